//! Checks that the readers of adapters share, whatever the file.

use crate::tensor::{Matrix, Tensor};
use crate::{Error, Result};

/// Ranks above this are no ranks: `r * r` must fit 32 bits.
pub(super) const MAX_RANK: usize = 65_535;

/// A factor of two dimensions. `name` is that of the tensor.
pub(super) fn factor(name: &str, tensor: &Tensor) -> Result<Matrix> {
    match kernel_factor(name, tensor)? {
        (matrix, kernel) if kernel.is_empty() => Ok(matrix),
        _ => Err(misshapen(name, "two dimensions", tensor.shape())),
    }
}

/// A factor `[rows, columns, kernel...]` as a matrix `[rows, columns * kernel]`, and its kernel;
/// all numbers are finite.
pub(super) fn kernel_factor(name: &str, tensor: &Tensor) -> Result<(Matrix, Vec<usize>)> {
    let (rows, columns, kernel) = split_shape(name, tensor.shape())?;
    tensor.check_finite(&format!("tensor {name}"))?;
    Ok((Matrix::new(rows, columns, tensor.to_f32())?, kernel.to_vec()))
}

/// Rows, columns with the kernel in them, and kernel of a factor of this shape.
pub(super) fn split_shape<'a>(
    name: &str,
    shape: &'a [usize],
) -> Result<(usize, usize, &'a [usize])> {
    let &[rows, ref behind @ ..] = shape else {
        return Err(misshapen(name, "two dimensions or more", shape));
    };
    let [_, kernel @ ..] = behind else {
        return Err(misshapen(name, "two dimensions or more", shape));
    };
    // Without rows nothing bounds the columns; the methods refuse such a factor.
    let columns = behind.iter().try_fold(1, |n: usize, &d| n.checked_mul(d));
    let columns = if rows == 0 { Some(0) } else { columns };
    Ok((rows, columns.ok_or_else(|| misshapen(name, "two dimensions or more", shape))?, kernel))
}

fn misshapen(name: &str, expected: &str, shape: &[usize]) -> Error {
    Error::ShapeMismatch {
        what: format!("tensor {name}"),
        expected: expected.to_owned(),
        got: format!("{shape:?}"),
    }
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
pub(crate) fn at(module: &str, error: Error) -> Error {
    match error {
        Error::ShapeMismatch { what, expected, got } => {
            Error::ShapeMismatch { what: format!("module {module}: {what}"), expected, got }
        }
        Error::NotFinite { what, index, value } => {
            Error::NotFinite { what: format!("module {module}: {what}"), index, value }
        }
        other => other,
    }
}
