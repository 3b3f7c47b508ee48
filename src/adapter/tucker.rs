//! The Tucker form of a convolution's factor: a small core that holds the kernel, between two
//! matrices (FedPara, proposition 3; LyCORIS `use_tucker`, PEFT `use_effective_conv2d`).

use super::{expect_not_empty, expect_shape};
use crate::{Result, tensor::Matrix};

/// The core `[r, s, kernel]` and the matrix `b` `[s, in]` behind it. Together they are one factor
/// `[r, in * kernel]`: `f[i, q * kernel + k] = sum over j of core[i, j, k] b[j, q]`.
///
/// The first index of the core belongs to the outputs, the second to the inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Tucker {
    core: Matrix,
    b: Matrix,
    kernel: usize,
}

impl Tucker {
    /// From the core `[r, s * kernel]`, row-major as `[r, s, kernel]`, and `b` `[s, in]`.
    pub fn new(core: Matrix, b: Matrix, kernel: usize) -> Result<Self> {
        expect_not_empty("core", core.shape())?;
        expect_not_empty("factor behind the core", b.shape())?;
        expect_shape("core", [core.rows(), b.rows() * kernel], core.shape())?;
        Ok(Self { core, b, kernel })
    }

    /// The core `[r, s * kernel]`.
    #[must_use]
    pub fn core(&self) -> &Matrix {
        &self.core
    }

    /// The matrix behind the core, `[s, in]`.
    #[must_use]
    pub fn b(&self) -> &Matrix {
        &self.b
    }

    /// `[r, s, kernel]`.
    #[must_use]
    pub fn core_shape(&self) -> Vec<usize> {
        vec![self.core.rows(), self.b.rows(), self.kernel]
    }

    /// Core and matrix as one factor `[r, in * kernel]`, rounded to f32.
    #[must_use]
    pub fn flat(&self) -> Matrix {
        let s = self.b.rows();
        Matrix::from_fn(self.core.rows(), self.b.cols() * self.kernel, |i, column| {
            let (q, k) = (column / self.kernel, column % self.kernel);
            let sum: f64 =
                (0..s).map(|j| self.core.at(i, j * self.kernel + k) * self.b.at(j, q)).sum();
            sum as f32
        })
    }
}
