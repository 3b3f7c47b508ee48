//! `y = W x` for one token.

use super::strips::{Eight, STRIP, Strips, one_row};
use crate::tensor::F4;

/// `weight`: `W`, transposed, by strips; `x` `[in]`, `y` `[out]`.
pub(super) fn linear_one<E: Eight>(weight: Strips<'_, E>, x: &[f32], y: &mut [f32]) {
    for (strip, y) in weight.each().zip(y.chunks_mut(STRIP)) {
        let sums: [f32; STRIP] = bytemuck::cast(one_row(strip, x).map(F4::to_array));
        y.copy_from_slice(&sums[..y.len()]);
    }
}
