//! The spectrum and the directions of `dW`, through the factors: `dW` is formed only where nothing
//! smaller exists.
//!
//! - **LoRA**: `B = Q_B R_B` and `A^T = Q_A R_A` give `B A = Q_B (R_B R_A^T) Q_A^T`, so the `r x r`
//!   matrix in the middle has the same singular values, and its vectors lead to those of `dW`.
//! - **LoHa** is LoRA of rank `r^2`: row `i` of its `B` is `w1_a_i kron w2_a_i`, column `j` of its
//!   `A` is `w1_b_j kron w2_b_j` (the face-splitting product). Where `r^2` comes near
//!   `min(out, in)`, that is no smaller than `dW` itself, and `dW` is formed.
//! - **LoKr**: the singular values of `w1 kron w2` are all products of one of `w1` and one of `w2`,
//!   the vectors are the Kronecker products of theirs. Only those asked for are formed.

use nalgebra::DMatrix;

use super::svd::{Choose, Svd, check_numbers, check_side, of_matrix, of_product};
use crate::{
    Result,
    adapter::{Delta, Factors, KronFactor, Loha, Lokr, Lora, Method},
    tensor::{Matrix, check_finite},
};

/// The spectrum of a `dW` `[out, in]` and its strongest directions: `dW` is the sum of
/// `sigma_i u_i v_i^T`.
#[derive(Debug, Clone, PartialEq)]
pub struct Directions {
    /// `[out, in]` of `dW`.
    pub shape: [usize; 2],
    /// All singular values that can differ from zero, [`Method::rank_bound`] of them: descending,
    /// never negative, in the unit of the weights.
    pub sigma: Vec<f64>,
    /// Left vectors `[k, out]`, one after the other; orthonormal.
    pub u: Vec<f64>,
    /// Right vectors `[k, in]`, one after the other; orthonormal.
    pub v: Vec<f64>,
}

impl Directions {
    /// The SVD times a number, whose sign goes to the left.
    pub(super) fn new(mut svd: Svd, factor: f64) -> Self {
        svd.sigma.iter_mut().for_each(|s| *s *= factor.abs());
        if factor < 0.0 {
            svd.u.neg_mut();
        }
        Self {
            shape: [svd.u.nrows(), svd.v.nrows()],
            sigma: svd.sigma,
            // Column-major [n, k] is row-major [k, n].
            u: svd.u.data.into(),
            v: svd.v.data.into(),
        }
    }

    /// How many directions have vectors.
    #[must_use]
    pub fn count(&self) -> usize {
        self.u.len() / self.shape[0]
    }

    /// Left vector `[out]` of direction `k`: where it writes.
    #[must_use]
    pub fn u(&self, k: usize) -> &[f64] {
        &self.u[k * self.shape[0]..(k + 1) * self.shape[0]]
    }

    /// Right vector `[in]` of direction `k`: what it reads.
    #[must_use]
    pub fn v(&self, k: usize) -> &[f64] {
        &self.v[k * self.shape[1]..(k + 1) * self.shape[1]]
    }
}

/// The spectrum of `dW = scale * f(factors)` and the `at_most` strongest of its directions; fewer
/// where the rank bound is smaller.
///
/// A DoRA magnitude needs the base and is left out; a `lora_bias` is no part of `dW`.
///
/// Refuses factors or a scale that are not finite, and matrices too large for an SVD.
pub fn directions(delta: &Delta, at_most: usize) -> Result<Directions> {
    decompose(delta, 1.0, Some(&|sigma| at_most.min(sigma.len())))
}

/// Singular values of `dW = scale * f(factors)`: [`Directions::sigma`] alone.
pub fn singular_values(delta: &Delta) -> Result<Vec<f64>> {
    Ok(decompose(delta, 1.0, None)?.sigma)
}

/// [`directions`] of `weight dW`, as many as `choose` says when it sees the spectrum of the factors.
pub(super) fn decompose(delta: &Delta, weight: f64, choose: Choose<'_>) -> Result<Directions> {
    check_finite("scale", &[delta.scale])?;
    let svd = match &delta.factors {
        Factors::Lora(f) => lora(f, choose)?,
        Factors::Loha(f) => loha(f, choose)?,
        Factors::Lokr(f) => lokr(f, choose)?,
    };
    Ok(Directions::new(svd, weight * f64::from(delta.scale)))
}

fn lora(f: &Lora, choose: Choose<'_>) -> Result<Svd> {
    of_product(wide("lora_B", f.b())?, transposed("lora_A", f.a())?, choose)
}

fn loha(f: &Loha, choose: Choose<'_>) -> Result<Svd> {
    let ([out, inputs], r) = (f.shape(), f.w1_a().cols());
    if worth_a_product(r.saturating_mul(r), f.shape()) {
        let (left, right) = loha_product(f)?;
        return of_product(left, right, choose);
    }
    check_side(out.min(inputs))?;
    check_numbers("dW of a LoHa", [out, inputs])?;
    let whole = |(a, b): (DMatrix<f64>, DMatrix<f64>)| a * b.transpose();
    let [first, second] = loha_products(f)?;
    let bound = f.rank_bound();
    let bounded: Choose<'_> = match choose {
        Some(choose) => Some(&|sigma: &[f64]| choose(&sigma[..bound])),
        None => None,
    };
    let mut svd = of_matrix(whole(first).component_mul(&whole(second)), bounded)?;
    svd.sigma.truncate(bound);
    Ok(svd)
}

/// Whether a product of two sides with `inner` columns is less work than the whole `[out, in]`.
pub(super) fn worth_a_product(inner: usize, [out, inputs]: [usize; 2]) -> bool {
    inner < out.min(inputs) / 2
}

/// The two products of a LoHa, each as `[out, r]` and `[in, r]`.
fn loha_products(f: &Loha) -> Result<[(DMatrix<f64>, DMatrix<f64>); 2]> {
    Ok([
        (wide("hada_w1_a", f.w1_a())?, transposed("hada_w1_b", f.w1_b())?),
        (wide("hada_w2_a", f.w2_a())?, transposed("hada_w2_b", f.w2_b())?),
    ])
}

/// A LoHa as one product: `[out, r^2]` and `[in, r^2]`.
pub(super) fn loha_product(f: &Loha) -> Result<(DMatrix<f64>, DMatrix<f64>)> {
    let [first, second] = loha_products(f)?;
    Ok((face_split(&first.0, &second.0)?, face_split(&first.1, &second.1)?))
}

/// Row `i` is `x_i kron y_i`: `[n, r * s]` from `[n, r]` and `[n, s]`.
fn face_split(x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<DMatrix<f64>> {
    let s = y.ncols();
    let cols = x.ncols().saturating_mul(s);
    check_numbers("LoHa as one product", [x.nrows(), cols])?;
    Ok(DMatrix::from_fn(x.nrows(), cols, |i, k| x[(i, k / s)] * y[(i, k % s)]))
}

fn lokr(f: &Lokr, choose: Choose<'_>) -> Result<Svd> {
    let all: Choose<'_> = if choose.is_some() { Some(&|sigma: &[f64]| sigma.len()) } else { None };
    let (first, second) =
        (kron_factor(f.w1(), "lokr_w1", all)?, kron_factor(f.w2(), "lokr_w2", all)?);
    let rows = first.sigma.iter().enumerate();
    let mut pairs: Vec<(f64, usize, usize)> = rows
        .flat_map(|(i, s)| second.sigma.iter().enumerate().map(move |(j, t)| (s * t, i, j)))
        .collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let sigma: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
    let chosen = choose.map_or(0, |choose| choose(&sigma));
    let pairs: Vec<_> = pairs.iter().take(chosen).map(|&(_, i, j)| (i, j)).collect();
    Ok(Svd {
        u: kron_columns(&first.u, &second.u, &pairs, |u, p| f.output(u, p))?,
        sigma,
        v: kron_columns(&first.v, &second.v, &pairs, |v, q| f.input(v, q))?,
    })
}

/// Column `k` is the Kronecker product of column `i` of `x` and column `j` of `y`, for `(i, j)` in
/// `pairs`; `place` says where row `a` of `x` and row `b` of `y` meet.
pub(super) fn kron_columns(
    x: &DMatrix<f64>,
    y: &DMatrix<f64>,
    pairs: &[(usize, usize)],
    place: impl Fn(usize, usize) -> usize,
) -> Result<DMatrix<f64>> {
    let rows = x.nrows() * y.nrows();
    check_numbers("directions of a LoKr", [rows, pairs.len()])?;
    let mut columns = DMatrix::zeros(rows, pairs.len());
    for (mut column, &(i, j)) in columns.column_iter_mut().zip(pairs) {
        for (a, left) in x.column(i).iter().enumerate() {
            for (b, right) in y.column(j).iter().enumerate() {
                column[place(a, b)] = left * right;
            }
        }
    }
    Ok(columns)
}

fn kron_factor(factor: &KronFactor, name: &str, choose: Choose<'_>) -> Result<Svd> {
    match factor {
        KronFactor::Full(w) => of_matrix(wide(name, w)?, choose),
        KronFactor::LowRank { a, b } => {
            let (a, b) = (wide(&format!("{name}_a"), a)?, transposed(&format!("{name}_b"), b)?);
            of_product(a, b, choose)
        }
    }
}

/// The matrix in f64.
pub(super) fn wide(name: &str, m: &Matrix) -> Result<DMatrix<f64>> {
    check_finite(name, m.data())?;
    let values = m.data().iter().map(|&v| f64::from(v));
    Ok(DMatrix::from_row_iterator(m.rows(), m.cols(), values))
}

/// The transpose in f64: row-major read as column-major.
pub(super) fn transposed(name: &str, m: &Matrix) -> Result<DMatrix<f64>> {
    check_finite(name, m.data())?;
    let values = m.data().iter().map(|&v| f64::from(v));
    Ok(DMatrix::from_iterator(m.cols(), m.rows(), values))
}
