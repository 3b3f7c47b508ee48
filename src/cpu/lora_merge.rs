//! LoRA: `W[i] += scale * (B A)[i]`.

use super::{Target, dot::add_scaled};
use crate::adapter::Lora;

/// `weight` `[.., target.width]`.
pub(super) fn lora_merge(f: &Lora, target: Target, weight: &mut [f32]) {
    let rows = weight.chunks_exact_mut(target.width).skip(target.first_row);
    for (i, row) in rows.take(f.b().rows()).enumerate() {
        for (k, b) in f.b().row(i).iter().enumerate() {
            add_scaled(row, target.scale * b, f.a().row(k));
        }
    }
}
