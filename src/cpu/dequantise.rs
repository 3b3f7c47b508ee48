//! The numbers of a weight as f32: the ground that merge kernels add to.

use super::Weight;
use crate::tensor::{Data, widen_bf16, widen_f16};

pub(super) fn dequantise(weight: &Weight) -> Vec<f32> {
    let mut out = vec![0.0; weight.outputs * weight.inputs];
    match &weight.data {
        Data::F32(v) => out.copy_from_slice(v),
        Data::F16(v) => widen_f16(v, &mut out),
        Data::BF16(v) => widen_bf16(v, &mut out),
    }
    out
}
