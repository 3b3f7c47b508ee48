//! `out[t] = x[t] / sqrt(mean(x[t]^2) + epsilon) * weight`.

use super::dot::dot;

/// `x`, `out` `[rows, width]`, `weight` `[width]`.
pub(super) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = weight.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let inverse = inverse_rms(x, epsilon);
        for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
            *out = x * inverse * w;
        }
    }
}

/// `1 / sqrt(mean(x^2) + epsilon)`.
pub(super) fn inverse_rms(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (dot(x, x) / x.len() as f32 + epsilon).sqrt()
}
