//! `y[t] = W x[t]` for several tokens.

use super::{
    dot::Rows,
    strips::{Eight, STRIP, Strips},
};

/// `weight`: `W`, transposed, by strips; `x` `[rows, in]`, `y` `[rows, out]`.
pub(super) fn linear<E: Eight>(weight: Strips<'_, E>, outputs: usize, x: &[f32], y: &mut [f32]) {
    y.fill(0.0);
    let x = Rows { numbers: x, stride: weight.rows };
    let mut widened = Vec::new();
    for (strip, first) in weight.each().zip((0..).step_by(STRIP)) {
        let strip = Strips { eights: E::widened(strip, &mut widened), rows: weight.rows };
        strip.add_to(&mut y[first..], [outputs - first, outputs], 1.0, x);
    }
}
