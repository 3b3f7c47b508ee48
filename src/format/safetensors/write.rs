//! Tensors to the bytes of a safetensors file: whole, or the header alone for files too large for
//! memory.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::header::{Entry, bits_of};
use crate::format::numbers::append_le_bytes;
use crate::tensor::{DType, Tensor};
use crate::{Error, Result};

/// The one name that no tensor can have.
const METADATA: &str = "__metadata__";

/// A tensor of a file that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewEntry<'a> {
    /// Its name.
    pub name: &'a str,
    /// How its numbers are stored, as safetensors names it: `F32`, `BF16`, `I64`, ...
    pub dtype: &'a str,
    /// Dimensions, slowest first.
    pub shape: &'a [usize],
}

/// The tensor of another file, as it is there.
impl<'a> From<&'a Entry> for NewEntry<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self { name: &entry.name, dtype: entry.dtype, shape: &entry.shape }
    }
}

/// Everything before the numbers: eight bytes of length and the JSON, padded to a multiple of
/// eight. Behind it belong the numbers of all entries, little-endian, in this order and without
/// gaps.
///
/// Readers map the numbers without copying them, so each tensor must begin at a multiple of the
/// size of its numbers: larger dtypes first. Another order is an error where it breaks this.
pub fn header(entries: &[NewEntry<'_>], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let mut json = Map::new();
    if !metadata.is_empty() {
        json.insert(METADATA.to_owned(), json!(metadata));
    }
    let mut start = 0u64;
    for entry in entries {
        let bits = bits(entry)?;
        if !start.is_multiple_of((bits / 8).max(1)) {
            return Err(Error::argument(
                "entries",
                format!("larger dtypes before smaller ones, so that {} is aligned", entry.name),
                format!("{} at byte {start}", entry.dtype),
            ));
        }
        let end = size(entry, bits).and_then(|size| start.checked_add(size));
        let end = end.ok_or_else(|| Error::ShapeMismatch {
            what: format!("tensor {}", entry.name),
            expected: "whole bytes, less than 2^64".into(),
            got: format!("{:?} of {bits} bits", entry.shape),
        })?;
        let info = json!({
            "dtype": entry.dtype, "shape": entry.shape, "data_offsets": [start, end],
        });
        if entry.name == METADATA || json.insert(entry.name.to_owned(), info).is_some() {
            return Err(Error::argument("entries", "each name once", format!("{:?}", entry.name)));
        }
        start = end;
    }
    let mut text = Value::Object(json).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    Ok([&(text.len() as u64).to_le_bytes(), text.as_slice()].concat())
}

/// The bytes of a file: F32 tensors first, then those of 16 bits, each by name.
pub fn write(
    tensors: &BTreeMap<String, Tensor>,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let mut sorted: Vec<_> = tensors.iter().collect();
    sorted.sort_by_key(|(_, tensor)| tensor.dtype() != DType::F32);
    let entries: Vec<NewEntry<'_>> = sorted
        .iter()
        .map(|(name, tensor)| NewEntry {
            name,
            dtype: tensor.dtype().name(),
            shape: tensor.shape(),
        })
        .collect();
    let mut out = header(&entries, metadata)?;
    for (_, tensor) in sorted {
        append_le_bytes(tensor.data(), &mut out);
    }
    Ok(out)
}

/// Bits of one number of an entry.
fn bits(entry: &NewEntry<'_>) -> Result<u64> {
    bits_of(entry.dtype).map(|(_, bits)| bits).ok_or_else(|| {
        let what = format!("dtype of tensor {}", entry.name);
        Error::argument(what, "a dtype of safetensors, such as F32", entry.dtype)
    })
}

/// Bytes of all numbers of an entry; `None` where they are not whole or too many.
fn size(entry: &NewEntry<'_>, bits: u64) -> Option<u64> {
    let size = entry.shape.iter().try_fold(bits, |n, &d| n.checked_mul(d as u64))?;
    size.is_multiple_of(8).then_some(size / 8)
}
