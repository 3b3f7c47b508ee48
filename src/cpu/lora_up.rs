//! LoRA: `y[t] += scale * B z[t]`.

use super::{
    Target,
    factors::{Lora, rows},
};

/// `z` `[rows, r]`, `y` `[rows, target.width]`.
pub(super) fn lora_up(f: &Lora, z: &[f32], target: Target, y: &mut [f32]) {
    for (z, y) in z.chunks_exact(f.b.rows()).zip(y.chunks_exact_mut(target.width)) {
        let y = &mut y[target.first_row..][..f.b.cols()];
        rows(&f.b).add_to(y, target.scale, z);
    }
}
