//! LoRA: `W[i] += scale * (B A)[i]`.

use super::{
    Target,
    factors::{Lora, rows},
};

/// `weight` `[.., target.width]`.
pub(super) fn lora_merge(f: &Lora, target: Target, weight: &mut [f32]) {
    let mut left = vec![0.0; f.a.rows()];
    let changed = weight.chunks_exact_mut(target.width).skip(target.first_row);
    for (i, row) in changed.take(f.outputs).enumerate() {
        f.b().column(i, &mut left);
        rows(&f.a).add_to(row, target.scale, &left);
    }
}
