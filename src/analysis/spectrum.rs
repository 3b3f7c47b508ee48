//! The singular values of `dW`, through the factors: `dW` is formed only where nothing smaller
//! exists.
//!
//! - **LoRA**: `B = Q_B R_B` and `A^T = Q_A R_A` give `B A = Q_B (R_B R_A^T) Q_A^T`, so the `r x r`
//!   matrix in the middle has the same singular values.
//! - **LoHa** is LoRA of rank `r^2`: row `i` of its `B` is `w1_a_i kron w2_a_i`, column `j` of its
//!   `A` is `w1_b_j kron w2_b_j` (the face-splitting product). From `r^2 >= min(out, in)` on, that
//!   is no smaller than `dW` itself.
//! - **LoKr**: the singular values of `w1 kron w2` are all products of one of `w1` and one of `w2`.
//!
//! All in f64. Factors are f32, so no square of a product of two of them leaves its range.
//!
//! `nalgebra` 0.35 and not `faer` 0.24, because it adds 10 KB to the gzipped wasm where `faer`
//! adds 91 KB, at speeds of the same order (natively, one core of an AMD EPYC, `nalgebra` against
//! `faer`: SVD of 16 x 16 15 and 23 us, 64 x 64 0.27 and 0.35 ms, 256 x 256 8.8 and 8.6 ms, 768 x
//! 768 0.2 to 0.3 and 0.14 s; QR of 1536 x 64 1.95 and 1.1 ms).

use nalgebra::DMatrix;

use crate::{
    Error, Result,
    adapter::{Delta, Factors, KronFactor, Loha, Lokr, Lora, Method},
    tensor::{Matrix, check_finite},
};

/// Singular values of `dW = scale * f(factors)`, descending, never negative. There are
/// [`Method::rank_bound`] of them; the rest of the `min(out, in)` are zero and not listed.
///
/// A DoRA magnitude needs the base and is left out.
///
/// Refuses factors or a scale that are not finite.
pub fn singular_values(delta: &Delta) -> Result<Vec<f64>> {
    check_finite("scale", &[delta.scale])?;
    let mut sigma = match &delta.factors {
        Factors::Lora(f) => lora(f)?,
        Factors::Loha(f) => loha(f)?,
        Factors::Lokr(f) => lokr(f)?,
    };
    let scale = f64::from(delta.scale).abs();
    sigma.iter_mut().for_each(|s| *s *= scale);
    sigma.sort_by(|a, b| b.total_cmp(a));
    Ok(sigma)
}

fn lora(f: &Lora) -> Result<Vec<f64>> {
    of_product(wide("lora_B", f.b())?, transposed("lora_A", f.a())?)
}

fn loha(f: &Loha) -> Result<Vec<f64>> {
    let w1_a = wide("hada_w1_a", f.w1_a())?;
    let w2_a = wide("hada_w2_a", f.w2_a())?;
    let w1_b = transposed("hada_w1_b", f.w1_b())?;
    let w2_b = transposed("hada_w2_b", f.w2_b())?;
    let [out, inputs] = f.shape();
    let r = w1_a.ncols();
    if r * r < out.min(inputs) {
        of_product(face_split(&w1_a, &w2_a), face_split(&w1_b, &w2_b))
    } else {
        // Row-major [out, in] is column-major [in, out]: the transpose has the same values.
        of_matrix(DMatrix::from_vec(inputs, out, f.materialise()))
    }
}

fn lokr(f: &Lokr) -> Result<Vec<f64>> {
    let first = kron_factor(f.w1(), "lokr_w1")?;
    let second = kron_factor(f.w2(), "lokr_w2")?;
    Ok(first.iter().flat_map(|s| second.iter().map(move |t| s * t)).collect())
}

fn kron_factor(factor: &KronFactor, name: &str) -> Result<Vec<f64>> {
    match factor {
        KronFactor::Full(w) => of_matrix(wide(name, w)?),
        KronFactor::LowRank { a, b } => {
            of_product(wide(&format!("{name}_a"), a)?, transposed(&format!("{name}_b"), b)?)
        }
    }
}

/// Singular values of `left right^T` for `left` `[n, k]` and `right` `[m, k]`: `min(n, k, m)`.
fn of_product(left: DMatrix<f64>, right: DMatrix<f64>) -> Result<Vec<f64>> {
    of_matrix(triangle(left) * triangle(right).transpose())
}

/// `R` `[k, k]` of the thin QR of a tall matrix `[n, k]`; a matrix that is not tall, as it is.
fn triangle(m: DMatrix<f64>) -> DMatrix<f64> {
    if m.nrows() > m.ncols() { m.qr().unpack_r() } else { m }
}

/// Row `i` is `x_i kron y_i`: `[n, r * s]` from `[n, r]` and `[n, s]`.
fn face_split(x: &DMatrix<f64>, y: &DMatrix<f64>) -> DMatrix<f64> {
    let s = y.ncols();
    DMatrix::from_fn(x.nrows(), x.ncols() * s, |i, k| x[(i, k / s)] * y[(i, k % s)])
}

/// Singular values of a matrix, in no promised order.
fn of_matrix(m: DMatrix<f64>) -> Result<Vec<f64>> {
    let (rows, cols) = m.shape();
    // Two or three steps a value are usual; the limit only keeps a page from hanging.
    let steps = 100 * rows.min(cols);
    match m.try_svd(false, false, 5.0 * f64::EPSILON, steps) {
        Some(svd) => Ok(svd.singular_values.iter().copied().collect()),
        None => Err(Error::argument(
            "factors",
            format!("singular values found within {steps} steps"),
            format!("a [{rows}, {cols}] matrix that did not converge"),
        )),
    }
}

/// The matrix in f64.
fn wide(name: &str, m: &Matrix) -> Result<DMatrix<f64>> {
    check_finite(name, m.data())?;
    let values = m.data().iter().map(|&v| f64::from(v));
    Ok(DMatrix::from_row_iterator(m.rows(), m.cols(), values))
}

/// The transpose in f64: row-major read as column-major.
fn transposed(name: &str, m: &Matrix) -> Result<DMatrix<f64>> {
    check_finite(name, m.data())?;
    let values = m.data().iter().map(|&v| f64::from(v));
    Ok(DMatrix::from_iterator(m.cols(), m.rows(), values))
}
