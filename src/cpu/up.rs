//! `y[t] += sum of strength * scale * (up(down(x[t])) + bias)`: all that the deltas of a weight add.

use super::{
    Cpu, CpuFactors, Target,
    dot::add_scaled,
    {loha_down::loha_down, loha_up::loha_up},
    {lokr_down::lokr_down, lokr_up::lokr_up},
    {lora_down::lora_down, lora_up::lora_up},
};
use crate::backend::Added;

/// `x` `[rows, inputs]`, `y` `[rows, outputs]`; `z` is scratch memory for codes.
pub(super) fn up(
    added: Added<'_, Cpu>,
    (x, inputs): (&[f32], usize),
    (y, outputs): (&mut [f32], usize),
    z: &mut Vec<f32>,
) {
    let rows = y.len() / outputs;
    for delta in &added.deltas.0 {
        let strength = |t| added.strengths[(added.first + t) * added.width + delta.adapter];
        let mut start = 0;
        while start < rows {
            // Neighbours of one strength run together.
            let now: f32 = strength(start);
            let end = (start..rows).find(|&t| strength(t) != now).unwrap_or(rows);
            let x = &x[start * inputs..end * inputs];
            let y = &mut y[start * outputs..end * outputs];
            let count = end - start;
            start = end;
            if now == 0.0 {
                continue;
            }
            let scale = now * delta.scale;
            let target = Target { scale, first_row: delta.first_row, width: outputs };
            if let Some(bias) = &delta.bias {
                for y in y.chunks_exact_mut(outputs) {
                    add_scaled(&mut y[delta.first_row..][..bias.len()], scale, bias);
                }
            }
            if added.merged {
                continue;
            }
            z.resize(count * delta.factors.code_len(), 0.0);
            match &delta.factors {
                CpuFactors::Lora(f) => {
                    lora_down(f, x, z);
                    lora_up(f, z, target, y);
                }
                CpuFactors::Loha(f) => {
                    loha_down(f, x, z);
                    loha_up(f, z, target, y);
                }
                CpuFactors::Lokr(f) => {
                    lokr_down(f, x, z);
                    lokr_up(f, z, target, y);
                }
            }
        }
    }
}
