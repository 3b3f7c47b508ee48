//! The weighted sum of any deltas of one weight as the best LoRA of a rank: PEFT's `svd`
//! combination, with every scale once (peft#3111).

use nalgebra::DMatrix;

use super::{
    Resized,
    directions::{
        Directions, decompose, kron_columns, loha_product, transposed, wide, worth_a_product,
    },
    svd::{check_numbers, check_side, of_matrix, of_product},
};
use crate::{
    Error, Result,
    adapter::{Delta, Factors, KronFactor, Lokr, check_alike, sum_of_biases},
};

/// The best LoRA of at most `rank` for the sum of all `weight * dW`, whatever the methods; no other
/// of that rank is nearer. The sum goes through the factors, side by side, where they are smaller
/// than `dW`, and is formed where they are not. Biases (`lora_bias`) add up.
///
/// Energies and norms of the result are those of the sum. Refuses DoRA, deltas of different
/// weights, a rank of zero, and sums too large for an SVD.
pub fn combine_svd(deltas: &[(&Delta, f64)], rank: usize) -> Result<Resized> {
    if rank == 0 {
        return Err(Error::argument("rank", "at least 1", rank));
    }
    check_alike(deltas)?;
    let mut combined = Resized::new(&directions(deltas, rank)?, &deltas[0].0.layer)?;
    combined.delta.bias = sum_of_biases(deltas)?;
    Ok(combined)
}

/// The `rank` strongest directions of the sum.
fn directions(deltas: &[(&Delta, f64)], rank: usize) -> Result<Directions> {
    let choose = |sigma: &[f64]| rank.min(sigma.len());
    if let &[(delta, weight)] = deltas {
        return decompose(delta, weight, Some(&choose));
    }
    let shape @ [out, inputs] = deltas[0].0.method().shape();
    let inner = deltas.iter().fold(0, |n: usize, (delta, _)| n.saturating_add(inner(delta)));
    if worth_a_product(inner, shape) {
        let (mut left, mut right) = (DMatrix::zeros(out, inner), DMatrix::zeros(inputs, inner));
        let mut done = 0;
        for &(delta, weight) in deltas {
            let (l, r) = product(delta)?;
            left.columns_mut(done, l.ncols()).copy_from(&(l * weight * f64::from(delta.scale)));
            right.columns_mut(done, r.ncols()).copy_from(&r);
            done += r.ncols();
        }
        return Ok(Directions::new(of_product(left, right, Some(&choose))?, 1.0));
    }
    check_side(out.min(inputs))?;
    check_numbers("a sum of deltas", shape)?;
    let (mut sum, mut row) = (DMatrix::zeros(out, inputs), vec![0.0; inputs]);
    for &(delta, weight) in deltas {
        for i in 0..out {
            delta.method().row(i, &mut row);
            let numbers = sum.row_mut(i);
            for (sum, d) in numbers.into_iter().zip(&row) {
                *sum += weight * f64::from(delta.scale) * d;
            }
        }
    }
    if let Some(at) = sum.iter().position(|v: &f64| !v.is_finite()) {
        let (what, index) = ("the sum of deltas".into(), at % out * inputs + at / out);
        return Err(Error::NotFinite { what, index, value: sum[at].to_string() });
    }
    Ok(Directions::new(of_matrix(sum, Some(&choose))?, 1.0))
}

/// How many columns [`product`] has.
fn inner(delta: &Delta) -> usize {
    match &delta.factors {
        Factors::Lora(f) => f.a().rows(),
        Factors::Loha(f) => f.w1_a().cols().saturating_mul(f.w1_a().cols()),
        Factors::Lokr(f) => half_width(f.w1()).saturating_mul(half_width(f.w2())),
    }
}

/// `f(factors) = left right^T` with `left` `[out, k]` and `right` `[in, k]`.
fn product(delta: &Delta) -> Result<(DMatrix<f64>, DMatrix<f64>)> {
    match &delta.factors {
        Factors::Lora(f) => Ok((wide("lora_B", f.b())?, transposed("lora_A", f.a())?)),
        Factors::Loha(f) => loha_product(f),
        Factors::Lokr(f) => lokr_product(f),
    }
}

/// The product of a Kronecker product is that of the left and that of the right sides.
fn lokr_product(f: &Lokr) -> Result<(DMatrix<f64>, DMatrix<f64>)> {
    let (first, second) = (halves(f.w1(), "lokr_w1")?, halves(f.w2(), "lokr_w2")?);
    let (first_width, second_width) = (first.0.ncols(), second.0.ncols());
    let pairs: Vec<(usize, usize)> =
        (0..first_width).flat_map(|i| (0..second_width).map(move |j| (i, j))).collect();
    Ok((
        kron_columns(&first.0, &second.0, &pairs, |u, p| f.output(u, p))?,
        kron_columns(&first.1, &second.1, &pairs, |v, q| f.input(v, q))?,
    ))
}

/// A factor as `left right^T`; a whole one is the product of itself and an identity.
fn halves(factor: &KronFactor, name: &str) -> Result<(DMatrix<f64>, DMatrix<f64>)> {
    let identity = |n| DMatrix::identity(n, n);
    Ok(match factor {
        KronFactor::Full(w) if w.rows() < w.cols() => (identity(w.rows()), transposed(name, w)?),
        KronFactor::Full(w) => (wide(name, w)?, identity(w.cols())),
        KronFactor::LowRank { a, b } => {
            (wide(&format!("{name}_a"), a)?, transposed(&format!("{name}_b"), b)?)
        }
    })
}

/// How many columns [`halves`] have.
fn half_width(factor: &KronFactor) -> usize {
    let [rows, cols] = factor.shape();
    factor.low_rank().unwrap_or(rows.min(cols))
}
