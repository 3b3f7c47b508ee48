//! The numbers of a weight as f32: the ground that a merge adds to.

use super::Weight;

pub(super) fn dequantise(weight: &Weight) -> Vec<f32> {
    let mut out = vec![0.0; weight.data.len()];
    weight.data.widen(0..out.len(), &mut out);
    out
}
