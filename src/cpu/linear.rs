//! `y[t] = W x[t]`, for one token and for several.

use super::{
    dot::Rows,
    strips::{Eight, Strips},
};

/// `weight`: `W`, transposed, by strips; `x` `[rows, in]`, `y` `[rows, out]`.
pub(super) fn linear<E: Eight>(weight: Strips<'_, E>, outputs: usize, x: &[f32], y: &mut [f32]) {
    y.fill(0.0);
    weight.add_to(y, [outputs; 2], 1.0, Rows { numbers: x, stride: weight.rows });
}
