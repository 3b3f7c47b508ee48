//! LoRA: `z[t] = A x[t]`.

use super::dot::dot;
use crate::adapter::Lora;

/// `x` `[rows, in]`, `z` `[rows, r]`.
pub(super) fn lora_down(f: &Lora, x: &[f32], z: &mut [f32]) {
    let (rank, inputs) = (f.a().rows(), f.a().cols());
    for (z, x) in z.chunks_exact_mut(rank).zip(x.chunks_exact(inputs)) {
        for (k, z) in z.iter_mut().enumerate() {
            *z = dot(f.a().row(k), x);
        }
    }
}
