//! `y[t, first_row + i] += scale * bias[i]`.

use super::{Target, dot::add_scaled};

/// `y` `[rows, target.width]`.
pub(super) fn bias(bias: &[f32], target: Target, y: &mut [f32]) {
    for y in y.chunks_exact_mut(target.width) {
        add_scaled(&mut y[target.first_row..][..bias.len()], target.scale, bias);
    }
}
