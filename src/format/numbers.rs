//! Stored numbers to little-endian bytes and back: the order of every file that is read here.

use crate::tensor::{Block, DType, Data, bf16_to_f32, f16_to_f32, read_blocks};

/// The numbers in `bytes`; what does not fill a whole number or block at the end is
/// left out.
pub(crate) fn from_le_bytes(dtype: DType, bytes: &[u8]) -> Data {
    let halves = || bytes.as_chunks().0.iter().map(|&b| u16::from_le_bytes(b)).collect();
    match dtype {
        DType::F32 => {
            Data::F32(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect())
        }
        DType::F16 => Data::F16(halves()),
        DType::BF16 => Data::BF16(halves()),
        DType::Q8_0 => Data::Q8_0(read_blocks(bytes)),
        DType::Q4_1 => Data::Q4_1(read_blocks(bytes)),
    }
}

/// The number of a tensor of one, by the type's name in safetensors; `None` for other types.
pub(super) fn scalar(dtype: &str, bytes: &[u8]) -> Option<f64> {
    Some(match (dtype, bytes) {
        ("F64", &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
        ("I64", &[a, b, c, d, e, f, g, h]) => i64::from_le_bytes([a, b, c, d, e, f, g, h]) as f64,
        ("F32", &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]).into(),
        ("I32", &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]).into(),
        ("F16", &[a, b]) => f16_to_f32(u16::from_le_bytes([a, b])).into(),
        ("BF16", &[a, b]) => bf16_to_f32(u16::from_le_bytes([a, b])).into(),
        ("I16", &[a, b]) => i16::from_le_bytes([a, b]).into(),
        ("U8", &[a]) => a.into(),
        ("I8", &[a]) => a.cast_signed().into(),
        _ => return None,
    })
}

/// Appends the numbers to `out`.
pub(super) fn append_le_bytes(data: &Data, out: &mut Vec<u8>) {
    match data {
        Data::F32(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Data::F16(v) | Data::BF16(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Data::Q8_0(v) => v.iter().for_each(|block| block.write(out)),
        Data::Q4_1(v) => v.iter().for_each(|block| block.write(out)),
    }
}

/// The numbers as `dtype` where it holds all of them exactly, else as they are.
pub(super) fn narrow(numbers: &[f32], dtype: DType) -> Data {
    let exact = |bits: fn(f32) -> u16, value: fn(u16) -> f32| -> Option<Vec<u16>> {
        numbers.iter().map(|&x| Some(bits(x)).filter(|&h| value(h) == x)).collect()
    };
    let halves = match dtype {
        DType::F32 | DType::Q8_0 | DType::Q4_1 => None,
        DType::F16 => exact(|x| half::f16::from_f32(x).to_bits(), f16_to_f32).map(Data::F16),
        DType::BF16 => exact(|x| half::bf16::from_f32(x).to_bits(), bf16_to_f32).map(Data::BF16),
    };
    halves.unwrap_or_else(|| Data::F32(numbers.to_vec()))
}
