//! The Tucker form of a convolution's factor: a small core that holds the kernel, between two
//! matrices (FedPara, proposition 3; LyCORIS `use_tucker`, PEFT `use_effective_conv2d`).

use super::expect_not_empty;
use crate::tensor::{Matrix, check_finite};
use crate::{Error, Result};

/// Two small tensors can claim a product that no memory holds; those of real layers have millions.
const MAX_FLAT: usize = 1 << 26;

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
        // By division: a product of two lengths from a file may not fit 32 bits.
        if core.cols().checked_rem(kernel) != Some(0) || core.cols() / kernel != b.rows() {
            return Err(Error::ShapeMismatch {
                what: "core".into(),
                expected: format!("[r, {}, {kernel}]", b.rows()),
                got: format!("{} numbers in each of {} rows", core.cols(), core.rows()),
            });
        }
        let flat = [core.rows(), b.cols(), kernel];
        if flat.iter().try_fold(1, |n: usize, &d| n.checked_mul(d)).is_none_or(|n| n > MAX_FLAT) {
            return Err(Error::ShapeMismatch {
                what: "core and the factor behind it".into(),
                expected: format!("a product of at most {MAX_FLAT} numbers"),
                got: format!("{flat:?}"),
            });
        }
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

    /// Core and matrix as one factor `[r, in * kernel]`, rounded to f32; an error where a sum leaves
    /// its range.
    pub fn flat(&self) -> Result<Matrix> {
        let (s, columns) = (self.b.rows(), self.b.cols() * self.kernel);
        if self.core.is_hollow() {
            return Ok(Matrix::hollow(self.core.rows(), columns));
        }
        let flat = Matrix::from_fn(self.core.rows(), columns, |i, column| {
            let (q, k) = (column / self.kernel, column % self.kernel);
            let sum: f64 =
                (0..s).map(|j| self.core.at(i, j * self.kernel + k) * self.b.at(j, q)).sum();
            sum as f32
        });
        check_finite("product of the core and the factor behind it", flat.data())?;
        Ok(flat)
    }
}
