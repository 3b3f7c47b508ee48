//! Fewer directions: the best LoRA of a smaller rank, by the rules of kohya's
//! `networks/resize_lora.py` (sd-scripts).

use super::{
    default_threshold,
    directions::{Directions, decompose},
    energy_share, frobenius_norm, spectral_norm,
};
use crate::{
    Error, Result,
    adapter::{Delta, Factors, Layer, Lora, sum_of_biases},
    tensor::{Matrix, check_finite},
};

/// How many directions stay: at least one, at most as many as there are. All rules but the first
/// are relative, so no scale changes their answer. kohya's tool computes in f32, so that a value
/// on the very edge may fall on its other side there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// This many.
    Rank(usize),
    /// The fewest whose squares sum to at least this share of all squares, above 0 to 1. kohya's
    /// `sv_fro` takes the root of it.
    Energy(f64),
    /// Those greater than `sigma_1` divided by this number, at least 1: kohya's `sv_ratio`, which
    /// leaves out a value that is equal.
    SvRatio(f64),
    /// The fewest with at least this share of the Frobenius norm, above 0 to 1: kohya's `sv_fro`.
    SvFro(f64),
    /// The fewest that sum to at least this share of the sum of all, above 0 to 1: kohya's
    /// `sv_cumulative`.
    SvCumulative(f64),
}

impl Rule {
    /// Refuses a number that means nothing.
    fn check(self) -> Result<()> {
        let (name, number, good) = match self {
            Self::Rank(rank) if rank > 0 => return Ok(()),
            Self::Rank(rank) => return Err(Error::argument("rank", "at least 1", rank)),
            Self::SvRatio(q) => ("sv_ratio", q, q.is_finite() && q >= 1.0),
            Self::Energy(e) => ("energy", e, e > 0.0 && e <= 1.0),
            Self::SvFro(f) => ("sv_fro", f, f > 0.0 && f <= 1.0),
            Self::SvCumulative(c) => ("sv_cumulative", c, c > 0.0 && c <= 1.0),
        };
        let expected = if name == "sv_ratio" { "at least 1" } else { "above 0, at most 1" };
        if good { Ok(()) } else { Err(Error::argument(name, expected, number)) }
    }

    /// The rank for a descending spectrum: 1 for one of zeros.
    fn rank(self, sigma: &[f64]) -> usize {
        let first = spectral_norm(sigma);
        let kept = match self {
            Self::Rank(rank) => rank,
            _ if first == 0.0 => 1,
            Self::SvRatio(q) => sigma.iter().filter(|&&s| s > first / q).count(),
            Self::Energy(share) => fewest(sigma.iter().map(|s| (s / first).powi(2)), share),
            Self::SvFro(share) => Self::Energy(share * share).rank(sigma),
            Self::SvCumulative(share) => fewest(sigma.iter().map(|s| s / first), share),
        };
        kept.clamp(1, sigma.len().max(1))
    }
}

/// How many of the first terms reach `share` of the sum of all.
fn fewest(terms: impl Iterator<Item = f64>, share: f64) -> usize {
    let sums: Vec<f64> = terms
        .scan(0.0, |sum, term| {
            *sum += term;
            Some(*sum)
        })
        .collect();
    let total = sums.last().copied().unwrap_or(0.0);
    sums.partition_point(|&sum| sum < share * total) + 1
}

/// The rank that `rule` gives a descending spectrum, capped at `max_rank` as kohya's `new_rank`
/// caps it. An all-zero spectrum keeps one direction. kohya takes `sigma_1 <= 1e-6` for zero; here
/// zero is zero.
pub fn rank_by(sigma: &[f64], rule: Rule, max_rank: Option<usize>) -> Result<usize> {
    rule.check()?;
    Rule::Rank(max_rank.unwrap_or(usize::MAX)).check()?;
    Ok(rule.rank(sigma).min(max_rank.unwrap_or(usize::MAX)))
}

/// A delta of lower rank, and what it lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Resized {
    /// A LoRA on the same layer: `lora_A = sqrt(sigma) V^T`, `lora_B = U sqrt(sigma)`, alpha equal
    /// to the rank, scale 1.
    ///
    /// kohya puts all of sigma into `lora_up` and keeps the scale; the product is the same. Roots
    /// on both sides keep small numbers in the range of 16-bit floats.
    pub delta: Delta,
    /// Directions kept.
    pub rank: usize,
    /// Share of the squared Frobenius norm kept, 0 to 1; 1 for a `dW` of zero, which loses nothing.
    pub retained_energy: f64,
    /// The largest singular value left out, which is the spectral norm of the error; 0 where
    /// nothing is. In the unit of the weights.
    pub largest_dropped: f64,
    /// Frobenius norm of the whole `dW`, in the unit of the weights.
    pub frobenius_norm: f64,
    /// Spectral norm `sigma_1` of `dW`, whole and resized, in the unit of the weights.
    pub spectral_norm: f64,
}

/// The best LoRA of the rank that `rule` asks for, at most `max_rank`: no other of that rank is
/// nearer to `dW` (Eckart and Young 1936). Any method becomes LoRA; a `lora_bias` stays.
///
/// A DoRA magnitude was trained for the whole `dW`: it stays where nothing but the rounding of f32
/// is lost, else the call is refused.
pub fn resize(delta: &Delta, rule: Rule, max_rank: Option<usize>) -> Result<Resized> {
    rank_by(&[], rule, max_rank)?;
    let choose = |sigma: &[f64]| rule.rank(sigma).min(max_rank.unwrap_or(usize::MAX));
    let mut resized = Resized::new(&decompose(delta, 1.0, Some(&choose))?, &delta.layer)?;
    let noise = default_threshold(delta.method().shape()) * resized.spectral_norm;
    if delta.magnitude.is_some() && resized.largest_dropped > noise {
        return Err(Error::Unsupported {
            what: "resizing a DoRA delta".into(),
            got: format!("rank {}, which leaves out directions", resized.rank),
            supported: "a rank that keeps all of dW".into(),
        });
    }
    resized.delta.magnitude.clone_from(&delta.magnitude);
    resized.delta.bias = sum_of_biases(&[(delta, 1.0)])?;
    Ok(resized)
}

impl Resized {
    /// The directions that have vectors, as a LoRA on `layer`.
    pub(super) fn new(directions: &Directions, layer: &Layer) -> Result<Self> {
        let (rank, sigma, [out, inputs]) =
            (directions.count(), &directions.sigma, directions.shape);
        let roots: Vec<f64> = sigma.iter().take(rank).map(|s| s.sqrt()).collect();
        let a = Matrix::from_fn(rank, inputs, |k, j| (roots[k] * directions.v(k)[j]) as f32);
        let b = Matrix::from_fn(out, rank, |i, k| (roots[k] * directions.u(k)[i]) as f32);
        check_finite("resized lora_A", a.data())?;
        check_finite("resized lora_B", b.data())?;
        let mut delta = Delta::new(Factors::Lora(Lora::new(a, b)?), rank, rank as f32, 1.0);
        delta.layer = layer.clone();
        let spectral_norm = spectral_norm(sigma);
        let retained = if spectral_norm == 0.0 { 1.0 } else { energy_share(sigma, rank) };
        Ok(Self {
            delta,
            rank,
            retained_energy: retained,
            largest_dropped: sigma.get(rank).copied().unwrap_or(0.0),
            frobenius_norm: frobenius_norm(sigma),
            spectral_norm,
        })
    }
}
