//! Shapes, dtypes and the numbers of a file as they are stored. Shapes are `[out, in]`, row-major.

mod half16;
mod matrix;
mod stack;

pub use half16::{bf16_to_f32, f16_to_f32, widen_bf16, widen_f16};
pub use matrix::Matrix;
pub use stack::stack;

use crate::{Error, Result};

/// How the numbers of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of binary32.
    BF16,
}

impl DType {
    /// The name as safetensors writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
        }
    }
}

/// The stored numbers of a [`Tensor`], row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// Bits of 16-bit floats.
    F16(Vec<u16>),
    /// Bits of bfloat16 numbers.
    BF16(Vec<u16>),
}

/// A named-in-the-file array: shape and stored numbers, both checked to agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

/// Fails on the first NaN or infinity, naming the numbers `what`.
pub fn check_finite(what: &str, numbers: &[f32]) -> Result<()> {
    match numbers.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::NotFinite {
            what: what.to_owned(),
            index,
            value: numbers[index].to_string(),
        }),
    }
}

impl Tensor {
    /// A tensor of `shape`; the length of `data` must be the product of `shape`.
    pub fn new(shape: Vec<usize>, data: Data) -> Result<Self> {
        let len = match &data {
            Data::F32(v) => v.len(),
            Data::F16(v) | Data::BF16(v) => v.len(),
        };
        let wanted = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if wanted != Some(len) {
            return Err(Error::shape("tensor data", &shape, &[len]));
        }
        Ok(Self { shape, data })
    }

    /// A tensor of zeros. The shape must be that of a tensor that is in memory.
    #[must_use]
    pub(crate) fn zeros(shape: Vec<usize>, dtype: DType) -> Self {
        let len = shape.iter().product();
        let data = match dtype {
            DType::F32 => Data::F32(vec![0.0; len]),
            DType::F16 => Data::F16(vec![0; len]),
            DType::BF16 => Data::BF16(vec![0; len]),
        };
        Self { shape, data }
    }

    /// Dimensions, slowest first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The stored numbers.
    #[must_use]
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// How the numbers are stored.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self.data {
            Data::F32(_) => DType::F32,
            Data::F16(_) => DType::F16,
            Data::BF16(_) => DType::BF16,
        }
    }

    /// Element at a flat row-major index, widened; exact.
    #[must_use]
    pub fn at(&self, index: usize) -> f32 {
        match &self.data {
            Data::F32(v) => v[index],
            Data::F16(v) => f16_to_f32(v[index]),
            Data::BF16(v) => bf16_to_f32(v[index]),
        }
    }

    /// Rounds a number to the dtype, to nearest even, and puts it at a flat index. Returns whether
    /// the stored number is finite.
    pub fn set(&mut self, index: usize, value: f64) -> bool {
        match &mut self.data {
            Data::F32(v) => {
                v[index] = value as f32;
                v[index].is_finite()
            }
            Data::F16(v) => {
                let half = half::f16::from_f64(value);
                v[index] = half.to_bits();
                half.is_finite()
            }
            Data::BF16(v) => {
                let half = half::bf16::from_f64(value);
                v[index] = half.to_bits();
                half.is_finite()
            }
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers as f32; widening is exact.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.data {
            Data::F32(v) => v.clone(),
            Data::F16(v) => v.iter().map(|&bits| f16_to_f32(bits)).collect(),
            Data::BF16(v) => v.iter().map(|&bits| bf16_to_f32(bits)).collect(),
        }
    }

    /// Fails on the first NaN or infinity, naming it `what`.
    pub fn check_finite(&self, what: &str) -> Result<()> {
        let broken = match &self.data {
            Data::F32(v) => return check_finite(what, v),
            // All exponent bits set: infinity or NaN.
            Data::F16(v) => v.iter().any(|x| x & 0x7c00 == 0x7c00),
            Data::BF16(v) => v.iter().any(|x| x & 0x7f80 == 0x7f80),
        };
        // Only a broken tensor is widened to find its place.
        if broken { check_finite(what, &self.to_f32()) } else { Ok(()) }
    }
}
