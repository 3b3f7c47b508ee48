//! Matrices that read the same input, stacked into one: a product with the stack is one dispatch.

use super::{Data, Tensor};
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
    let stored: Vec<_> = parts.iter().map(|part| part.data()).collect();
    let widened = || Data::F32(parts.iter().flat_map(|part| part.to_f32()).collect());
    Ok((shape, Data::concat(&stored).unwrap_or_else(widened)))
}
