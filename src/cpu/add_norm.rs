//! `x[t] += y[t]`; `out[t] = x[t] / sqrt(mean(x[t]^2) + epsilon) * weight`.

use super::{dot::add_scaled, rms_norm::rms_norm};

/// `x`, `y`, `out` `[rows, width]`, `weight` `[width]`.
pub(super) fn add_norm(x: &mut [f32], y: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    add_scaled(x, 1.0, y);
    rms_norm(x, weight, epsilon, out);
}
