//! LoRA: `z[t] = A x[t]`.

use super::factors::{Lora, rows};

/// `x` `[rows, in]`, `z` `[rows, r]`.
pub(super) fn lora_down(f: &Lora, x: &[f32], z: &mut [f32]) {
    for (z, x) in z.chunks_exact_mut(f.a.rows()).zip(x.chunks_exact(f.a.cols())) {
        rows(&f.a).dots(x, z);
    }
}
