//! `W + sum of strength * scale * dW` in f32.

use super::{
    Cpu, CpuFactors, Target, Weight, dequantise::dequantise, loha_merge::loha_merge,
    lokr_merge::lokr_merge, lora_merge::lora_merge,
};
use crate::{Result, backend::Added};

/// By the first row of strengths.
pub(super) fn merge(weight: &Weight, added: Added<'_, Cpu>) -> Result<Vec<f32>> {
    let mut merged = dequantise(weight)?;
    for delta in &added.deltas.0 {
        let strength = added.strengths[added.first * added.width + delta.adapter];
        if strength == 0.0 {
            continue;
        }
        let scale = strength * delta.scale;
        let target = Target { scale, first_row: delta.first_row, width: weight.inputs };
        match &delta.factors {
            CpuFactors::Lora(f) => lora_merge(f, target, &mut merged),
            CpuFactors::Loha(f) => loha_merge(f, target, &mut merged),
            CpuFactors::Lokr(f) => lokr_merge(f, target, &mut merged),
        }
    }
    Ok(merged)
}
