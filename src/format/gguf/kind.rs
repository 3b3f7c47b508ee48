//! How the numbers of a tensor are stored: ggml's types.

use crate::format::numbers::from_le_bytes;
use crate::tensor::{DType, Data, read_q4_0};

/// A ggml tensor type. Quantised types store a row in blocks, each with its own scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GgmlType {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of binary32.
    BF16,
    /// Blocks of 32: an f16 scale, then 16 bytes of two 4-bit numbers each.
    Q4_0,
    /// Blocks of 32: an f16 scale, an f16 minimum, then 16 bytes of two 4-bit numbers each.
    Q4_1,
    /// Blocks of 32: an f16 scale, then 32 signed bytes.
    Q8_0,
    /// A type that is known by this name but not read here.
    Other(&'static str),
}

/// Number in the file, type, elements of a block, bytes of a block (`ggml.h`; gguf-py 0.19,
/// `constants.py`).
#[rustfmt::skip]
const TYPES: [(u32, GgmlType, u64, u64); 32] = [
    (0, GgmlType::F32, 1, 4),
    (1, GgmlType::F16, 1, 2),
    (2, GgmlType::Q4_0, 32, 18),
    (3, GgmlType::Q4_1, 32, 20),
    (6, GgmlType::Other("Q5_0"), 32, 22),
    (7, GgmlType::Other("Q5_1"), 32, 24),
    (8, GgmlType::Q8_0, 32, 34),
    (10, GgmlType::Other("Q2_K"), 256, 84),
    (11, GgmlType::Other("Q3_K"), 256, 110),
    (12, GgmlType::Other("Q4_K"), 256, 144),
    (13, GgmlType::Other("Q5_K"), 256, 176),
    (14, GgmlType::Other("Q6_K"), 256, 210),
    (16, GgmlType::Other("IQ2_XXS"), 256, 66),
    (17, GgmlType::Other("IQ2_XS"), 256, 74),
    (18, GgmlType::Other("IQ3_XXS"), 256, 98),
    (19, GgmlType::Other("IQ1_S"), 256, 50),
    (20, GgmlType::Other("IQ4_NL"), 32, 18),
    (21, GgmlType::Other("IQ3_S"), 256, 110),
    (22, GgmlType::Other("IQ2_S"), 256, 82),
    (23, GgmlType::Other("IQ4_XS"), 256, 136),
    (24, GgmlType::Other("I8"), 1, 1),
    (25, GgmlType::Other("I16"), 1, 2),
    (26, GgmlType::Other("I32"), 1, 4),
    (27, GgmlType::Other("I64"), 1, 8),
    (28, GgmlType::Other("F64"), 1, 8),
    (29, GgmlType::Other("IQ1_M"), 256, 56),
    (30, GgmlType::BF16, 1, 2),
    (34, GgmlType::Other("TQ1_0"), 256, 54),
    (35, GgmlType::Other("TQ2_0"), 256, 66),
    (39, GgmlType::Other("MXFP4"), 32, 17),
    (40, GgmlType::Other("NVFP4"), 64, 36),
    (41, GgmlType::Other("Q1_0"), 128, 18),
];

impl From<DType> for GgmlType {
    fn from(dtype: DType) -> Self {
        match dtype {
            DType::F32 => Self::F32,
            DType::F16 => Self::F16,
            DType::BF16 => Self::BF16,
            DType::Q8_0 => Self::Q8_0,
            DType::Q4_1 => Self::Q4_1,
        }
    }
}

impl GgmlType {
    /// The type of this number in a file.
    pub(super) fn from_id(id: u32) -> Option<Self> {
        TYPES.iter().find(|known| known.0 == id).map(|known| known.1)
    }

    /// The number of this type in a file.
    pub(super) fn id(self) -> u32 {
        self.entry().0
    }

    /// Elements and bytes of one block; one element where nothing is quantised.
    #[must_use]
    pub fn block(self) -> (u64, u64) {
        let (_, _, elements, bytes) = self.entry();
        (elements, bytes)
    }

    /// The numbers in the bytes of a file; `None` of a type that is not read here. Q4_0 is kept as
    /// Q4_1, which holds the same numbers.
    pub(in crate::format) fn numbers(self, bytes: &[u8]) -> Option<Data> {
        match self {
            Self::F32 => Some(from_le_bytes(DType::F32, bytes)),
            Self::F16 => Some(from_le_bytes(DType::F16, bytes)),
            Self::BF16 => Some(from_le_bytes(DType::BF16, bytes)),
            Self::Q8_0 => Some(from_le_bytes(DType::Q8_0, bytes)),
            Self::Q4_1 => Some(from_le_bytes(DType::Q4_1, bytes)),
            Self::Q4_0 => Some(Data::Q4_1(read_q4_0(bytes))),
            Self::Other(_) => None,
        }
    }

    /// The name as ggml writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => DType::F32.name(),
            Self::F16 => DType::F16.name(),
            Self::BF16 => DType::BF16.name(),
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q8_0 => "Q8_0",
            Self::Other(name) => name,
        }
    }

    fn entry(self) -> (u32, Self, u64, u64) {
        TYPES.into_iter().find(|known| known.1 == self).unwrap_or(TYPES[0])
    }
}
