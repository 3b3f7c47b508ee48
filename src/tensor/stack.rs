//! Matrices that read the same input, stacked into one: a product with the stack is one dispatch.

use super::{DType, Data, Tensor};
use crate::{Error, Result};

/// Stacks matrices `[out_p, in]` along `out`. Keeps their dtype where it is common, else widens to
/// f32. Returns `[sum of out_p, in]` and the numbers.
pub fn stack(parts: &[&Tensor]) -> Result<([usize; 2], Data)> {
    let Some(first) = parts.first() else {
        return Err(Error::argument("parts", "at least one matrix", "none"));
    };
    let mut rows = 0;
    for part in parts {
        match *part.shape() {
            [out, inputs] if Some(&inputs) == first.shape().last() => rows += out,
            _ => return Err(Error::shape("stacked weight", first.shape(), part.shape())),
        }
    }
    let shape = [rows, first.shape()[1]];
    let common = parts.iter().all(|t| t.dtype() == first.dtype());
    let bits = || {
        let halves = parts.iter().map(|t| match t.data() {
            Data::F16(v) | Data::BF16(v) => v.as_slice(),
            Data::F32(_) => &[],
        });
        halves.collect::<Vec<_>>().concat()
    };
    let data = match first.dtype() {
        DType::F16 if common => Data::F16(bits()),
        DType::BF16 if common => Data::BF16(bits()),
        _ => Data::F32(parts.iter().flat_map(|t| t.to_f32()).collect()),
    };
    Ok((shape, data))
}
