//! The numbers of a tensor as they are stored.

use super::blocks::{BLOCK, Q4_1, Q8_0};

/// How the numbers of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of binary32.
    BF16,
    /// Blocks of 32 signed bytes with a scale.
    Q8_0,
    /// Blocks of 32 half bytes with a scale and a minimum.
    Q4_1,
}

impl DType {
    /// The name as safetensors or ggml writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_1 => "Q4_1",
        }
    }

    /// Numbers that are stored together: 1 where nothing is quantised.
    #[must_use]
    pub fn block(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q8_0 | Self::Q4_1 => BLOCK,
        }
    }
}

/// The stored numbers of a [`Tensor`](super::Tensor), row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// Bits of 16-bit floats.
    F16(Vec<u16>),
    /// Bits of bfloat16 numbers.
    BF16(Vec<u16>),
    /// Blocks, whole ones to a row.
    Q8_0(Vec<Q8_0>),
    /// Blocks, whole ones to a row.
    Q4_1(Vec<Q4_1>),
}

/// Runs `$run` with the vector inside `$data` as `$units`, whatever they are.
macro_rules! with_units {
    ($data:expr, $units:ident => $run:expr) => {
        match $data {
            Data::F32($units) => $run,
            Data::F16($units) | Data::BF16($units) => $run,
            Data::Q8_0($units) => $run,
            Data::Q4_1($units) => $run,
        }
    };
}

impl Data {
    /// How the numbers are stored.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F16(_) => DType::F16,
            Self::BF16(_) => DType::BF16,
            Self::Q8_0(_) => DType::Q8_0,
            Self::Q4_1(_) => DType::Q4_1,
        }
    }

    /// How many numbers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        with_units!(self, v => v.len()) * self.dtype().block()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The stored bytes, as in memory.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        with_units!(self, v => bytemuck::cast_slice(v))
    }

    /// One behind the other; `None` where they are stored differently.
    pub(super) fn concat(parts: &[&Self]) -> Option<Self> {
        let (first, rest) = parts.split_first()?;
        let mut all = (*first).clone();
        for part in rest {
            match (&mut all, part) {
                (Self::F32(all), Self::F32(v)) => all.extend_from_slice(v),
                (Self::F16(all), Self::F16(v)) => all.extend_from_slice(v),
                (Self::BF16(all), Self::BF16(v)) => all.extend_from_slice(v),
                (Self::Q8_0(all), Self::Q8_0(v)) => all.extend_from_slice(v),
                (Self::Q4_1(all), Self::Q4_1(v)) => all.extend_from_slice(v),
                _ => return None,
            }
        }
        Some(all)
    }

    /// As so many rows of equal length, in another order.
    pub(super) fn reordered(&self, rows: usize, source: impl Fn(usize) -> usize) -> Self {
        fn move_rows<T: Copy>(v: &[T], rows: usize, source: impl Fn(usize) -> usize) -> Vec<T> {
            let len = v.len().checked_div(rows).unwrap_or(0);
            (0..rows).flat_map(|row| &v[source(row) * len..][..len]).copied().collect()
        }
        match self {
            Self::F32(v) => Self::F32(move_rows(v, rows, source)),
            Self::F16(v) => Self::F16(move_rows(v, rows, source)),
            Self::BF16(v) => Self::BF16(move_rows(v, rows, source)),
            Self::Q8_0(v) => Self::Q8_0(move_rows(v, rows, source)),
            Self::Q4_1(v) => Self::Q4_1(move_rows(v, rows, source)),
        }
    }
}
