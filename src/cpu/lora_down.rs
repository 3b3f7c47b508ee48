//! LoRA: `z[t] = A x[t]`.

use super::{
    factors::{Lora, LoraFactors, rows},
    linear::linear,
    strips::Strips,
};

/// `x` `[rows, in]`, `z` `[rows, r]`.
pub(super) fn lora_down(f: &Lora, x: &[f32], z: &mut [f32]) {
    let [_, inputs] = f.shape;
    match &f.factors {
        LoraFactors::F32 { a, .. } => {
            for (z, x) in z.chunks_exact_mut(f.rank).zip(x.chunks_exact(inputs)) {
                rows(a).dots(x, z);
            }
        }
        LoraFactors::BF16 { a, .. } => linear(Strips { eights: a, rows: inputs }, f.rank, x, z),
    }
}
