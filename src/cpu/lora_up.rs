//! LoRA: `y[t] += scale * B z[t]`.

use super::{Target, dot::Rows, factors::Lora};

/// `z` `[rows, r]`, `y` `[rows, target.width]`.
pub(super) fn lora_up(f: &Lora, z: &[f32], target: Target, y: &mut [f32]) {
    let z = Rows { numbers: z, stride: f.a.rows() };
    f.b().add_to(&mut y[target.first_row..], [f.outputs, target.width], target.scale, z);
}
