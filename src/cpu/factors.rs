//! The factors of one delta as the kernels read them: where outputs are sums of rows, a factor lies
//! transposed, so that its rows are as long as the outputs are many.

use super::{
    dot::Rows,
    strips::{STRIP, Strips, strips_len, transposed},
};
use crate::{Result, adapter::Factors, tensor::Matrix};

#[derive(Debug)]
pub(super) enum CpuFactors {
    Lora(Lora),
    Loha(Loha),
    Lokr(Lokr),
}

/// A matrix by strips of eight columns.
type Eights = Vec<[f32; STRIP]>;

#[derive(Debug)]
pub(super) struct Lora {
    /// `[r, in]`.
    pub a: Matrix,
    /// `B`, transposed: `[r, out]`, by strips.
    b: Eights,
    /// `out`.
    pub outputs: usize,
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
    /// `w2_a` where `w2` is low-rank, transposed: `[r, ok]`, by strips.
    w2_a: Option<Eights>,
    /// `w2_b`, or the whole `w2`, transposed: `[in_n, r]`, `[in_n, ok]`, by strips.
    w2: Eights,
    /// `in_n`.
    pub segment: usize,
    /// Columns of `w2`: `r` or `ok`.
    pub width: usize,
    /// `ok`.
    pub inner: usize,
}

impl CpuFactors {
    pub fn new(factors: &Factors) -> Result<Self> {
        Ok(match factors {
            Factors::Lora(f) => {
                Self::Lora(Lora { a: f.a().clone(), b: strips(f.b()), outputs: f.b().rows() })
            }
            Factors::Loha(f) => Self::Loha(Loha {
                w1_a: f.w1_a().transposed(),
                w1_b: f.w1_b().clone(),
                w2_a: f.w2_a().transposed(),
                w2_b: f.w2_b().clone(),
            }),
            Factors::Lokr(f) => {
                let (w1, w2_a, w2) = f.running_factors()?;
                Self::Lokr(Lokr {
                    segment: w2.cols(),
                    width: w2.rows(),
                    inner: w2_a.unwrap_or(w2).rows(),
                    w1,
                    w2_a: w2_a.map(strips),
                    w2: strips(w2),
                })
            }
        })
    }

    /// Numbers of the code of one row.
    pub fn code_len(&self) -> usize {
        match self {
            Self::Lora(f) => f.a.rows(),
            Self::Loha(f) => f.w1_b.rows() * f.w2_b.rows(),
            Self::Lokr(f) => f.code_len(),
        }
    }

    /// How many numbers they are.
    pub fn len(&self) -> usize {
        match self {
            Self::Lora(f) => f.a.len() + STRIP * f.b.len(),
            Self::Loha(f) => 2 * (f.w1_a.len() + f.w1_b.len()),
            Self::Lokr(f) => {
                f.w1.len() + STRIP * (f.w2_a.as_ref().map_or(0, Vec::len) + f.w2.len())
            }
        }
    }
}

impl Lora {
    pub fn b(&self) -> Strips<'_> {
        Strips { eights: &self.b, rows: self.a.rows() }
    }
}

impl Lokr {
    pub fn w2(&self) -> Strips<'_> {
        Strips { eights: &self.w2, rows: self.segment }
    }

    pub fn w2_a(&self) -> Option<Strips<'_>> {
        self.w2_a.as_ref().map(|eights| Strips { eights, rows: self.width })
    }

    /// Numbers of the code of a row: `S` `[im, width]`, by strips.
    pub fn code_len(&self) -> usize {
        STRIP * strips_len(self.w1.cols(), self.width)
    }
}

/// A matrix, transposed, by strips.
fn strips(matrix: &Matrix) -> Eights {
    transposed(matrix.data(), matrix.cols())
}

/// The rows of a matrix.
pub(super) fn rows(matrix: &Matrix) -> Rows<'_> {
    Rows { numbers: matrix.data(), stride: matrix.cols() }
}
