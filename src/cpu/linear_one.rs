//! `y = W x` for one token: `W` is read once, as it is stored.

use super::{
    Weight,
    dot::{dot, dot_q4_1, dot_q8_0, dot_widened},
};
use crate::tensor::{BLOCK, Data, bf16_to_f32, finite_f16_to_f32};

/// `x` `[in]`, `y` `[out]`.
pub(super) fn linear_one(weight: &Weight, x: &[f32], y: &mut [f32]) {
    let units = weight.inputs / weight.data.dtype().block();
    match &weight.data {
        Data::F32(v) => rows(v, units, y, |row| dot(row, x)),
        Data::F16(v) => rows(v, units, y, |row| dot_widened(row, x, finite_f16_to_f32)),
        Data::BF16(v) => rows(v, units, y, |row| dot_widened(row, x, bf16_to_f32)),
        Data::Q8_0(v) => rows(v, units, y, |row| dot_q8_0(row, x)),
        Data::Q4_1(v) => {
            let totals: Vec<f32> = x.chunks_exact(BLOCK).map(|x| x.iter().sum()).collect();
            rows(v, units, y, |row| dot_q4_1(row, x, &totals));
        }
    }
}

/// `y[i] = product(row i)`; a row is so many numbers or blocks.
fn rows<T>(stored: &[T], units: usize, y: &mut [f32], product: impl Fn(&[T]) -> f32) {
    for (row, y) in stored.chunks_exact(units).zip(y) {
        *y = product(row);
    }
}
