//! `out[t] = x[t] / sqrt(mean(x[t]^2) + epsilon) * weight`.

use super::dot::dot;

/// `x`, `out` `[rows, width]`, `weight` `[width]`.
pub(super) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = weight.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let inverse = 1.0 / (dot(x, x) / width as f32 + epsilon).sqrt();
        for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
            *out = x * inverse * w;
        }
    }
}
