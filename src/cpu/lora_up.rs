//! LoRA: `y[t] += scale * B z[t]`.

use super::{
    Target,
    dot::Rows,
    factors::{Lora, rows},
};

/// `z` `[rows, r]`, `y` `[rows, target.width]`.
pub(super) fn lora_up(f: &Lora, z: &[f32], target: Target, y: &mut [f32]) {
    let shape = [f.b.cols(), target.width];
    let z = Rows { numbers: z, stride: f.b.rows() };
    rows(&f.b).add_to_each(&mut y[target.first_row..], shape, target.scale, z, f.b.rows());
}
