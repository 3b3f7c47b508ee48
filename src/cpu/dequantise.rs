//! The numbers of a weight as f32: the ground that a merge adds to.

use super::{Stored, Weight, packed::unpack};

pub(super) fn dequantise(weight: &Weight) -> Vec<f32> {
    let mut out = vec![0.0; weight.outputs * weight.inputs];
    match &weight.stored {
        Stored::Plain(data) => data.widen(0..out.len(), &mut out),
        Stored::Q8_0(tiles) => unpack(tiles, weight.inputs, &mut out),
        Stored::Q4_1(tiles) => unpack(tiles, weight.inputs, &mut out),
    }
    out
}
