//! `y = W x` for one token: `W` is read once, as it is stored.

use super::{
    dot::{dot, dot_widened},
    linear::linear,
};
use crate::tensor::{Data, bf16_to_f32, finite_f16_to_f32};

/// `x` `[in]`, `y` `[out]`.
pub(super) fn linear_one(weight: &Data, x: &[f32], y: &mut [f32]) {
    match weight {
        Data::F32(v) => rows(v, x, y, dot),
        Data::F16(v) => rows(v, x, y, |row, x| dot_widened(row, x, finite_f16_to_f32)),
        Data::BF16(v) => rows(v, x, y, |row, x| dot_widened(row, x, bf16_to_f32)),
        // Blocks come here only where they are not packed.
        Data::Q8_0(_) | Data::Q4_1(_) => linear(weight, [y.len(), x.len()], x, y),
    }
}

/// `y[i] = product(row i, x)`.
fn rows<T>(stored: &[T], x: &[f32], y: &mut [f32], product: impl Fn(&[T], &[f32]) -> f32) {
    for (row, y) in stored.chunks_exact(x.len()).zip(y) {
        *y = product(row, x);
    }
}
