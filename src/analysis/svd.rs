//! The thin SVD of a matrix and of a product, in f64.
//!
//! Exact to about `1e-14 sigma_1`. Matrices with more than [`SMALL`] columns lead to their vectors,
//! and tall ones to their values, by the eigenvectors of the Gram matrix of the smaller side: what
//! lies below `1e-7 sigma_1` is noise there, as it is in factors of f32 numbers. That takes a ninth
//! of the time for the values of 5120 x 640 (2.7 and 0.3 s), a fifth for the vectors of 768 x 768
//! (3.0 and 0.6 s), and saves nothing for the values of square ones.
//!
//! `nalgebra` 0.35 and not `faer` 0.24, because it adds 10 KB to the gzipped wasm where `faer`
//! adds 91 KB, at speeds of the same order (natively, one core of an AMD EPYC, `nalgebra` against
//! `faer`: SVD of 16 x 16 15 and 23 us, 64 x 64 0.27 and 0.35 ms, 256 x 256 8.8 and 8.6 ms, 768 x
//! 768 0.2 to 0.3 and 0.14 s; QR of 1536 x 64 1.95 and 1.1 ms).

use nalgebra::{DMatrix, Dyn, SymmetricEigen, linalg::QR};

use crate::{Error, Result};

/// Up to this many columns the SVD gives the vectors itself.
const SMALL: usize = 64;
/// An SVD of a larger side takes minutes in a browser.
const MAX_SIDE: usize = 2048;
/// Most numbers in one matrix that is formed here: 256 MiB.
const MAX_NUMBERS: usize = 1 << 25;

/// How many directions get vectors, by the spectrum; `None`: none, and the SVDs compute none.
pub(super) type Choose<'a> = Option<&'a dyn Fn(&[f64]) -> usize>;

/// `u diag(sigma) v^T` of a matrix `[n, m]`: `u` `[n, k]`, `v` `[m, k]`, and all of `sigma`.
pub(super) struct Svd {
    pub(super) u: DMatrix<f64>,
    pub(super) sigma: Vec<f64>,
    pub(super) v: DMatrix<f64>,
}

/// The SVD of `left right^T` for `left` `[n, k]` and `right` `[m, k]`: `min(n, k, m)` values.
pub(super) fn of_product(
    left: DMatrix<f64>,
    right: DMatrix<f64>,
    choose: Choose<'_>,
) -> Result<Svd> {
    check_side(left.nrows().min(left.ncols()).min(right.nrows()))?;
    let (left, right) = (Side::new(left), Side::new(right));
    let small = of_matrix(left.small() * right.small().transpose(), choose)?;
    Ok(Svd { u: left.expand(small.u), sigma: small.sigma, v: right.expand(small.v) })
}

/// One side of a product, as orthonormal columns times a smaller matrix where it is tall.
enum Side {
    Tall(QR<f64, Dyn, Dyn>),
    Flat(DMatrix<f64>),
}

impl Side {
    fn new(m: DMatrix<f64>) -> Self {
        if m.nrows() > m.ncols() { Self::Tall(m.qr()) } else { Self::Flat(m) }
    }

    fn small(&self) -> DMatrix<f64> {
        match self {
            Self::Tall(qr) => qr.r(),
            Self::Flat(m) => m.clone(),
        }
    }

    /// Vectors of the smaller matrix to vectors of the side.
    fn expand(&self, vectors: DMatrix<f64>) -> DMatrix<f64> {
        match self {
            Self::Tall(qr) if vectors.ncols() > 0 => qr.q() * vectors,
            Self::Tall(qr) => DMatrix::zeros(qr.qr_internal().nrows(), 0),
            Self::Flat(_) => vectors,
        }
    }
}

/// The SVD of a matrix, `min(n, m)` values.
pub(super) fn of_matrix(m: DMatrix<f64>, choose: Choose<'_>) -> Result<Svd> {
    let (rows, cols) = m.shape();
    if rows < cols {
        let Svd { u, sigma, v } = of_matrix(m.transpose(), choose)?;
        return Ok(Svd { u: v, sigma, v: u });
    }
    check_side(cols)?;
    if cols <= SMALL || (choose.is_none() && rows < 2 * cols) {
        direct(m, choose)
    } else {
        by_gram(m, choose)
    }
}

fn direct(m: DMatrix<f64>, choose: Choose<'_>) -> Result<Svd> {
    let (rows, cols) = m.shape();
    let vectors = choose.is_some();
    let svd = m
        .try_svd(vectors, vectors, 5.0 * f64::EPSILON, most_steps(cols))
        .ok_or_else(|| no_convergence([rows, cols]))?;
    let sigma: Vec<f64> = svd.singular_values.iter().copied().collect();
    let k = choose.map_or(0, |choose| choose(&sigma));
    let none = |rows| DMatrix::zeros(rows, 0);
    Ok(Svd {
        u: svd.u.map_or_else(|| none(rows), |u| u.columns(0, k).into_owned()),
        sigma,
        v: svd.v_t.map_or_else(|| none(cols), |v_t| v_t.rows(0, k).transpose()),
    })
}

/// The SVD of a matrix that is not wide by the eigenvectors of `m^T m`, which are its right vectors.
fn by_gram(mut m: DMatrix<f64>, choose: Choose<'_>) -> Result<Svd> {
    let (rows, cols) = m.shape();
    // Squares of small or large numbers leave the range of f64.
    let size = m.amax();
    if size > 0.0 {
        m.unscale_mut(size);
    }
    let gram = m.transpose() * &m;
    let root = |lambda: f64| size * lambda.max(0.0).sqrt();
    let Some(choose) = choose else {
        let sigma = direct(gram, None)?.sigma.into_iter().map(root).collect();
        return Ok(Svd { u: DMatrix::zeros(rows, 0), sigma, v: DMatrix::zeros(cols, 0) });
    };
    let eigen = SymmetricEigen::try_new(gram, f64::EPSILON, most_steps(cols))
        .ok_or_else(|| no_convergence([rows, cols]))?;
    let mut order: Vec<usize> = (0..cols).collect();
    order.sort_by(|&i, &j| eigen.eigenvalues[j].total_cmp(&eigen.eigenvalues[i]));
    let sigma: Vec<f64> = order.iter().map(|&i| root(eigen.eigenvalues[i])).collect();
    order.truncate(choose(&sigma));
    let v = eigen.eigenvectors.select_columns(&order);
    // The columns of `m v` are orthogonal but for rounding; QR makes them so where they are short.
    let (mut u, r) = (&m * &v).qr().unpack();
    for (k, mut column) in u.column_iter_mut().enumerate() {
        column.scale_mut(r[(k, k)].signum());
    }
    Ok(Svd { u, sigma, v })
}

/// Two or three steps a value are usual; the limit only keeps a page from hanging.
fn most_steps(values: usize) -> usize {
    100 * values
}

fn no_convergence(shape: [usize; 2]) -> Error {
    Error::NoConvergence {
        what: format!("the SVD of a {shape:?} matrix"),
        steps: most_steps(shape[1]),
    }
}

pub(super) fn check_side(values: usize) -> Result<()> {
    if values <= MAX_SIDE {
        return Ok(());
    }
    Err(Error::Unsupported {
        what: "an SVD of this size".into(),
        got: format!("{values} singular values"),
        supported: format!("at most {MAX_SIDE}"),
    })
}

pub(super) fn check_numbers(what: &str, [rows, cols]: [usize; 2]) -> Result<()> {
    if rows.checked_mul(cols).is_some_and(|n| n <= MAX_NUMBERS) {
        return Ok(());
    }
    Err(Error::Unsupported {
        what: format!("{what} of this size"),
        got: format!("[{rows}, {cols}]"),
        supported: format!("at most {MAX_NUMBERS} numbers"),
    })
}
