//! Stored numbers to little-endian bytes and back: the order of every file that is read here.

use crate::tensor::{DType, Data};

/// The numbers in `bytes`; what does not fill a whole number at the end is left out.
pub(super) fn from_le_bytes(dtype: DType, bytes: &[u8]) -> Data {
    let halves = || bytes.as_chunks().0.iter().map(|&b| u16::from_le_bytes(b)).collect();
    match dtype {
        DType::F32 => {
            Data::F32(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect())
        }
        DType::F16 => Data::F16(halves()),
        DType::BF16 => Data::BF16(halves()),
    }
}

/// Appends the numbers to `out`.
pub(super) fn append_le_bytes(data: &Data, out: &mut Vec<u8>) {
    match data {
        Data::F32(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Data::F16(v) | Data::BF16(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
    }
}
