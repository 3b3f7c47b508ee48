//! LoRA: `W[i] += scale * (B A)[i]`.

use super::{
    Target,
    dot::Rows,
    factors::{Lora, LoraFactors},
    strips::Strips,
};

/// `weight` `[.., target.width]`.
pub(super) fn lora_merge(f: &Lora, target: Target, weight: &mut [f32]) {
    let (rank, [outputs, inputs]) = (f.rank, f.shape);
    let mut left = vec![0.0; outputs * rank];
    let mut widened = Vec::new();
    let a = match &f.factors {
        LoraFactors::F32 { a, b } => {
            Strips { eights: b, rows: rank }.columns(&mut left);
            a.data()
        }
        LoraFactors::BF16 { a, b } => {
            Strips { eights: b, rows: rank }.columns(&mut left);
            widened.resize(rank * inputs, 0.0);
            Strips { eights: a, rows: inputs }.columns(&mut widened);
            &widened
        }
    };
    let a = Rows { numbers: a, stride: inputs };
    let changed = weight.chunks_exact_mut(target.width).skip(target.first_row);
    for (row, left) in changed.zip(left.chunks_exact(rank)) {
        a.add_to(row, target.scale, left);
    }
}
