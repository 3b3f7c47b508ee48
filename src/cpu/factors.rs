//! The factors of one delta as the kernels read them: where outputs are sums of rows, a factor lies
//! transposed, so that its rows are as long as the outputs are many.

use super::dot::Rows;
use crate::{Result, adapter::Factors, tensor::Matrix};

#[derive(Debug)]
pub(super) enum CpuFactors {
    Lora(Lora),
    Loha(Loha),
    Lokr(Lokr),
}

#[derive(Debug)]
pub(super) struct Lora {
    /// `[r, in]`.
    pub a: Matrix,
    /// `B`, transposed: `[r, out]`.
    pub b: Matrix,
}

#[derive(Debug)]
pub(super) struct Loha {
    /// Transposed: `[r, out]`.
    pub w1_a: Matrix,
    /// `[r, in]`.
    pub w1_b: Matrix,
    /// Transposed: `[r, out]`.
    pub w2_a: Matrix,
    /// `[r, in]`.
    pub w2_b: Matrix,
}

/// LoKr with `w1` whole: it is small, and mixing codes by its product is cheaper than by its parts.
#[derive(Debug)]
pub(super) struct Lokr {
    /// `[ol, im]`.
    pub w1: Matrix,
    /// `w2_a` where `w2` is low-rank, transposed: `[r, ok]`.
    pub w2_a: Option<Matrix>,
    /// `w2_b`, or the whole `w2`, transposed: `[in_n, r]`, `[in_n, ok]`.
    pub w2: Matrix,
}

impl CpuFactors {
    pub fn new(factors: &Factors) -> Result<Self> {
        Ok(match factors {
            Factors::Lora(f) => Self::Lora(Lora { a: f.a().clone(), b: f.b().transposed() }),
            Factors::Loha(f) => Self::Loha(Loha {
                w1_a: f.w1_a().transposed(),
                w1_b: f.w1_b().clone(),
                w2_a: f.w2_a().transposed(),
                w2_b: f.w2_b().clone(),
            }),
            Factors::Lokr(f) => {
                let (w1, w2_a, w2) = f.running_factors()?;
                let w2_a = w2_a.map(Matrix::transposed);
                Self::Lokr(Lokr { w1, w2_a, w2: w2.transposed() })
            }
        })
    }

    /// How many numbers they are.
    pub fn len(&self) -> usize {
        match self {
            Self::Lora(f) => f.a.len() + f.b.len(),
            Self::Loha(f) => 2 * (f.w1_a.len() + f.w1_b.len()),
            Self::Lokr(f) => f.w1.len() + f.w2_a.as_ref().map_or(0, Matrix::len) + f.w2.len(),
        }
    }
}

impl Lokr {
    /// Numbers in one row of the code matrix `S` `[im, width]`.
    pub fn width(&self) -> usize {
        self.w2.cols()
    }

    /// Rows `ok` of `w2`.
    pub fn w2_rows(&self) -> usize {
        self.w2_a.as_ref().unwrap_or(&self.w2).cols()
    }
}

/// The rows of a matrix.
pub(super) fn rows(matrix: &Matrix) -> Rows<'_> {
    Rows { numbers: matrix.data(), stride: matrix.cols() }
}
