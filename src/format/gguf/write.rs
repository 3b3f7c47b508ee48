//! Metadata and tensors to the bytes of a file, version 3.

use std::collections::BTreeMap;

use super::header::MAX_DIMENSIONS;
use super::value::write_text;
use super::{GgmlType, Metadata};
use crate::format::numbers::append_le_bytes;
use crate::tensor::Tensor;
use crate::{Error, Result};

/// llama.cpp keeps a tensor name in 64 bytes, with a zero behind it.
const MAX_NAME: usize = 63;

/// The bytes of a GGUF file. Tensors lie in the order of their names, each padded with zeros to the
/// alignment: 32 bytes, or what `general.alignment` says.
pub fn write(metadata: &Metadata, tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>> {
    let alignment = metadata.alignment()?;
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.iter().len() as u64).to_le_bytes());
    for (key, value) in metadata.iter() {
        write_text(key, &mut out);
        value.write(&mut out);
    }
    let mut offset = 0;
    for (name, tensor) in tensors {
        write_info(name, tensor, offset, &mut out)?;
        offset += size(tensor).next_multiple_of(u64::from(alignment));
    }
    out.resize(out.len().next_multiple_of(alignment as usize), 0);
    for tensor in tensors.values() {
        append_le_bytes(tensor.data(), &mut out);
        out.resize(out.len().next_multiple_of(alignment as usize), 0);
    }
    Ok(out)
}

fn write_info(name: &str, tensor: &Tensor, offset: u64, out: &mut Vec<u8>) -> Result<()> {
    if name.len() > MAX_NAME {
        return Err(Error::argument(
            format!("name of tensor {name}"),
            format!("at most {MAX_NAME} bytes"),
            name.len(),
        ));
    }
    let dimensions = u32::try_from(tensor.shape().len()).ok().filter(|n| *n <= MAX_DIMENSIONS);
    let dimensions = dimensions.ok_or_else(|| Error::ShapeMismatch {
        what: format!("tensor {name}"),
        expected: format!("at most {MAX_DIMENSIONS} dimensions"),
        got: format!("{:?}", tensor.shape()),
    })?;
    write_text(name, out);
    out.extend(dimensions.to_le_bytes());
    out.extend(tensor.shape().iter().rev().flat_map(|&d| (d as u64).to_le_bytes()));
    out.extend(GgmlType::from(tensor.dtype()).id().to_le_bytes());
    out.extend(offset.to_le_bytes());
    Ok(())
}

/// Bytes of the numbers. Each of them is in memory, so this cannot overflow.
fn size(tensor: &Tensor) -> u64 {
    let (elements, bytes) = GgmlType::from(tensor.dtype()).block();
    tensor.len() as u64 / elements * bytes
}
