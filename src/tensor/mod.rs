//! Shapes, dtypes and the numbers of a file as they are stored. Shapes are `[out, in]`, row-major.

mod blocks;
mod data;
mod half16;
mod matrix;
mod stack;
mod vector;

pub use blocks::{BLOCK, Block, Q4_1, Q8_0, read_blocks, read_q4_0};
pub use data::{DType, Data};
pub use half16::{bf16_to_f32, f16_to_f32, finite_f16_to_f32};
pub use matrix::Matrix;
pub use stack::stack;
pub(crate) use vector::{F4, I4, I8, LANES};

use crate::{Error, Result};

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

/// The number with its lower 32 bits folded into one that stays: `half` looks at the upper ones
/// alone, and would round what lies just above a tie as if it were the tie.
fn sticky(value: f64) -> f64 {
    let bits = value.to_bits();
    let low = bits & 0xffff_ffff;
    f64::from_bits((bits ^ low) | (u64::from(low != 0) << 32))
}

impl Tensor {
    /// A tensor of `shape`; the length of `data` must be the product of `shape`, and rows of
    /// quantised numbers (the last dimension) must be whole blocks.
    pub fn new(shape: Vec<usize>, data: Data) -> Result<Self> {
        let wanted = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if wanted != Some(data.len()) {
            return Err(Error::shape("tensor data", &shape, &[data.len()]));
        }
        let block = data.dtype().block();
        if !shape.last().unwrap_or(&1).is_multiple_of(block) {
            return Err(Error::ShapeMismatch {
                what: format!("rows of {}", data.dtype().name()),
                expected: format!("a multiple of {block} numbers"),
                got: format!("{shape:?}"),
            });
        }
        Ok(Self { shape, data })
    }

    /// A tensor of zeros; F32 in place of a quantised type, as [`Tensor::set`] has it. The shape must be that of a tensor that is in memory.
    #[must_use]
    pub(crate) fn zeros(shape: Vec<usize>, dtype: DType) -> Self {
        let len = shape.iter().product();
        let data = match dtype {
            DType::F16 => Data::F16(vec![0; len]),
            DType::BF16 => Data::BF16(vec![0; len]),
            DType::F32 | DType::Q8_0 | DType::Q4_1 => Data::F32(vec![0.0; len]),
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
        self.data.dtype()
    }

    /// Element at a flat row-major index, widened; exact.
    #[must_use]
    pub fn at(&self, index: usize) -> f32 {
        match &self.data {
            Data::F32(v) => v[index],
            Data::F16(v) => f16_to_f32(v[index]),
            Data::BF16(v) => bf16_to_f32(v[index]),
            Data::Q8_0(v) => v[index / BLOCK].numbers()[index % BLOCK],
            Data::Q4_1(v) => v[index / BLOCK].numbers()[index % BLOCK],
        }
    }

    /// Rounds a number to the dtype, to nearest even, and puts it at a flat index. Returns whether
    /// the stored number is finite. A block cannot change one of its numbers: a quantised tensor
    /// becomes an F32 one first.
    pub fn set(&mut self, index: usize, value: f64) -> bool {
        match &mut self.data {
            Data::F32(v) => {
                v[index] = value as f32;
                v[index].is_finite()
            }
            Data::F16(v) => {
                let half = half::f16::from_f64(sticky(value));
                v[index] = half.to_bits();
                half.is_finite()
            }
            Data::BF16(v) => {
                let half = half::bf16::from_f64(sticky(value));
                v[index] = half.to_bits();
                half.is_finite()
            }
            Data::Q8_0(_) | Data::Q4_1(_) => {
                self.data = Data::F32(self.to_f32());
                self.set(index, value)
            }
        }
    }

    /// [`Tensor::set`], where a number that leaves the range of the dtype is an error about `what`.
    pub(crate) fn put(&mut self, index: usize, value: f64, what: &str) -> Result<()> {
        if self.set(index, value) {
            return Ok(());
        }
        Err(Error::NotFinite {
            what: format!("{what} in {}", self.dtype().name()),
            index,
            value: value.to_string(),
        })
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len()
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
            Data::Q8_0(v) => v.iter().flat_map(Block::numbers).collect(),
            Data::Q4_1(v) => v.iter().flat_map(Block::numbers).collect(),
        }
    }

    /// The same rows in another order: row `i` of the result is row `source(i)`. A row is all but
    /// the first dimension; rows of blocks move whole.
    pub fn reordered(&self, source: impl Fn(usize) -> usize) -> Result<Self> {
        let rows = self.shape.first().copied().unwrap_or(1);
        if let Some(row) = (0..rows).map(&source).find(|row| *row >= rows) {
            return Err(Error::argument("source", format!("rows below {rows}"), row));
        }
        let data = self.data.reordered(rows, source);
        Ok(Self { shape: self.shape.clone(), data })
    }

    /// Fails on the first NaN or infinity, naming it `what`.
    pub fn check_finite(&self, what: &str) -> Result<()> {
        // All exponent bits set: infinity or NaN.
        let f16 = |bits: &u16| bits & 0x7c00 == 0x7c00;
        let broken = match &self.data {
            Data::F32(v) => return check_finite(what, v),
            Data::F16(v) => v.iter().any(f16),
            Data::BF16(v) => v.iter().any(|bits| bits & 0x7f80 == 0x7f80),
            Data::Q8_0(v) => v.iter().any(|block| block.scales().iter().any(f16)),
            Data::Q4_1(v) => v.iter().any(|block| block.scales().iter().any(f16)),
        };
        // Only a broken tensor is widened to find its place.
        if broken { check_finite(what, &self.to_f32()) } else { Ok(()) }
    }
}
