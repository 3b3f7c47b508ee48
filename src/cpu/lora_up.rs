//! LoRA: `y[t] += scale * B z[t]`.

use super::{
    Target,
    dot::Rows,
    factors::{Lora, LoraFactors},
    strips::Strips,
};

/// `z` `[rows, r]`, `y` `[rows, target.width]`.
pub(super) fn lora_up(f: &Lora, z: &[f32], target: Target, y: &mut [f32]) {
    let z = Rows { numbers: z, stride: f.rank };
    let y = &mut y[target.first_row..];
    let shape = [f.shape[0], target.width];
    match &f.factors {
        LoraFactors::F32 { b, .. } => {
            Strips { eights: b, rows: f.rank }.add_to(y, shape, target.scale, z);
        }
        LoraFactors::BF16 { b, .. } => {
            Strips { eights: b, rows: f.rank }.add_to(y, shape, target.scale, z);
        }
    }
}
