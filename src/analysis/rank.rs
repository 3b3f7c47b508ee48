//! Ranks and norms from singular values. A spectrum here is a slice of finite numbers, none
//! negative, descending, as [`singular_values`] gives it; zeros at its end may be left out.
//!
//! An all-zero or empty spectrum (a new adapter: no direction learned yet) has rank 0 in every
//! sense, never NaN.

use super::singular_values;
use crate::{Error, Result, adapter::Delta};

/// The ranks of one `dW`, side by side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranks {
    /// What the shapes of the factors allow.
    pub bound: usize,
    /// Singular values above the threshold; never more than `bound`.
    pub numerical: usize,
    /// `|dW|_F^2 / sigma_1^2`, between 1 and `bound` unless `dW` is zero.
    pub stable: f64,
    /// `exp` of the entropy of `sigma^2 / sum sigma^2`, between `1` and `bound` unless `dW` is
    /// zero.
    pub entropy: f64,
}

impl Ranks {
    /// From the spectrum of a `dW` whose rank bound is `bound`; `threshold` is relative to
    /// `sigma_1` (see [`numerical_rank`]).
    #[must_use]
    pub fn from_spectrum(sigma: &[f64], bound: usize, threshold: f64) -> Self {
        Self {
            bound,
            numerical: numerical_rank(sigma, threshold),
            stable: stable_rank(sigma),
            entropy: entropy_rank(sigma),
        }
    }
}

/// The ranks of `delta`. `threshold` is relative to `sigma_1`, at least 0; `None` takes
/// [`default_threshold`].
pub fn ranks(delta: &Delta, threshold: Option<f64>) -> Result<Ranks> {
    let method = delta.method();
    let threshold = threshold_or_default(threshold, method.shape())?;
    Ok(Ranks::from_spectrum(&singular_values(delta)?, method.rank_bound(), threshold))
}

/// `threshold` where it is given, at least 0 and finite; else [`default_threshold`] of the shape.
pub fn threshold_or_default(threshold: Option<f64>, shape: [usize; 2]) -> Result<f64> {
    match threshold.unwrap_or_else(|| default_threshold(shape)) {
        threshold if threshold.is_finite() && threshold >= 0.0 => Ok(threshold),
        other => Err(Error::argument("threshold", "a finite number of at least 0", other)),
    }
}

/// `max(out, in) * 2^-23`: below `sigma_1` times this, a singular value of f32 numbers is noise
/// (the rule of NumPy's `matrix_rank` and of MATLAB's `rank`). No unit.
#[must_use]
pub fn default_threshold([out, inputs]: [usize; 2]) -> f64 {
    out.max(inputs) as f64 * f64::from(f32::EPSILON)
}

/// How many singular values are greater than `threshold * sigma_1`.
#[must_use]
pub fn numerical_rank(sigma: &[f64], threshold: f64) -> usize {
    let limit = threshold * spectral_norm(sigma);
    sigma.iter().filter(|&&s| s > limit).count()
}

/// `|dW|_F^2 / sigma_1^2` (Rudelson and Vershynin 2007): how many directions as strong as the
/// strongest would carry the same energy. 0 for a zero spectrum.
#[must_use]
pub fn stable_rank(sigma: &[f64]) -> f64 {
    relative_energies(sigma).sum()
}

/// `exp(H(p))` with `p_i = sigma_i^2 / sum sigma^2` and `H` in nats (the effective rank of Roy
/// and Vetterli 2007, on energies): `k` for `k` equal singular values. 0 for a zero spectrum.
#[must_use]
pub fn entropy_rank(sigma: &[f64]) -> f64 {
    let total = stable_rank(sigma);
    if total == 0.0 {
        return 0.0;
    }
    let shares = relative_energies(sigma).map(|e| e / total).filter(|&p| p > 0.0);
    // Rounding can leave a single direction a hair below one.
    shares.map(|p| -p * p.ln()).sum::<f64>().max(0.0).exp()
}

/// The share of `|dW|_F^2` in the first `k` singular values, 0 to 1; 0 for a zero spectrum.
#[must_use]
pub fn energy_share(sigma: &[f64], k: usize) -> f64 {
    let total = stable_rank(sigma);
    if total == 0.0 { 0.0 } else { relative_energies(sigma).take(k).sum::<f64>() / total }
}

/// `|dW|_F`, the root of the sum of all squared entries, in the unit of the weights.
#[must_use]
pub fn frobenius_norm(sigma: &[f64]) -> f64 {
    spectral_norm(sigma) * stable_rank(sigma).sqrt()
}

/// `sigma_1`: the most that `dW` can stretch an input, in the unit of the weights.
#[must_use]
pub fn spectral_norm(sigma: &[f64]) -> f64 {
    sigma.first().copied().unwrap_or(0.0)
}

/// `(sigma_i / sigma_1)^2`: divided before squaring, so nothing overflows. Empty for zero.
fn relative_energies(sigma: &[f64]) -> impl Iterator<Item = f64> {
    let first = spectral_norm(sigma);
    sigma.iter().take_while(move |_| first > 0.0).map(move |s| (s / first).powi(2))
}
