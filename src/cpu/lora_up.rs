//! LoRA: `y[t] += scale * B z[t]`.

use super::{Target, dot::dot};
use crate::adapter::Lora;

/// `z` `[rows, r]`, `y` `[rows, target.width]`.
pub(super) fn lora_up(f: &Lora, z: &[f32], target: Target, y: &mut [f32]) {
    let (outputs, rank) = (f.b().rows(), f.b().cols());
    for (z, y) in z.chunks_exact(rank).zip(y.chunks_exact_mut(target.width)) {
        for (i, y) in y[target.first_row..][..outputs].iter_mut().enumerate() {
            *y += target.scale * dot(f.b().row(i), z);
        }
    }
}
