//! Checks that the readers of adapters share, whatever the file.

use crate::tensor::{Matrix, Tensor};
use crate::{Error, Result};

/// Ranks above this are no ranks: `r * r` must fit 32 bits.
pub(super) const MAX_RANK: usize = 65_535;

/// A factor: two dimensions, all numbers finite. `name` is that of the tensor.
pub(super) fn factor(name: &str, tensor: &Tensor) -> Result<Matrix> {
    let &[rows, cols] = tensor.shape() else {
        return Err(Error::ShapeMismatch {
            what: format!("tensor {name}"),
            expected: "two dimensions".into(),
            got: format!("{:?}", tensor.shape()),
        });
    };
    tensor.check_finite(&format!("tensor {name}"))?;
    Matrix::new(rows, cols, tensor.to_f32())
}

/// Small factors can claim a `dW` that no memory holds; `dims` multiply to its size.
pub(super) fn check_size(module: &str, dims: &[usize]) -> Result<()> {
    let product = |n: u32, &d: &usize| n.checked_mul(u32::try_from(d).ok()?);
    if dims.iter().try_fold(1, product).is_some() {
        return Ok(());
    }
    Err(Error::ShapeMismatch {
        what: format!("module {module}"),
        expected: "a weight of less than 2^32 numbers".into(),
        got: format!("a product of {dims:?}"),
    })
}

/// Adds the module to an error of the mathematics, which knows only factors.
pub(super) fn at(module: &str, error: Error) -> Error {
    match error {
        Error::ShapeMismatch { what, expected, got } => {
            Error::ShapeMismatch { what: format!("module {module}: {what}"), expected, got }
        }
        other => other,
    }
}
