//! What one module weighs, and what is wrong with it.

use super::{
    Ranks, energy_share, frobenius_norm, singular_values, spectral_norm, threshold_or_default,
};
use crate::{
    Result,
    adapter::{Delta, Factors, KronFactor, Layer},
    tensor::{Matrix, Tensor},
};

/// The numbers of one `dW`. Norms and singular values have the unit of the weights; a DoRA
/// magnitude, which needs the base, is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    /// All singular values that can differ from zero, descending.
    pub sigma: Vec<f64>,
    /// Root of the sum of all squared entries.
    pub frobenius_norm: f64,
    /// `sigma_1`.
    pub spectral_norm: f64,
    /// Bound, numerical, stable and entropy rank.
    pub ranks: Ranks,
    /// `alpha / r` as the file has them. What multiplies the product is [`Delta::scale`].
    pub alpha_per_rank: f64,
    /// Share of the energy in the first `k + 1` directions, for each `k`: ascending to 1, or all 0
    /// for a `dW` of zero.
    pub energy: Vec<f64>,
}

/// Measures `delta`. `threshold` as in [`ranks`](super::ranks).
pub fn measure(delta: &Delta, threshold: Option<f64>) -> Result<Measures> {
    let method = delta.method();
    let threshold = threshold_or_default(threshold, method.shape())?;
    let sigma = singular_values(delta)?;
    Ok(Measures {
        frobenius_norm: frobenius_norm(&sigma),
        spectral_norm: spectral_norm(&sigma),
        ranks: Ranks::from_spectrum(&sigma, method.rank_bound(), threshold),
        alpha_per_rank: f64::from(delta.alpha) / delta.rank as f64,
        energy: (1..=sigma.len()).map(|k| energy_share(&sigma, k)).collect(),
        sigma,
    })
}

/// Something about a tensor of an adapter that its owner should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Name of the tensor.
    pub tensor: String,
    /// How many of its numbers are concerned.
    pub count: usize,
    /// Flat row-major index of the first.
    pub first: usize,
}

/// Kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// NaN.
    NotANumber,
    /// Infinities.
    Infinite,
    /// A factor that training starts from zero is zero: it was never trained, and `dW` is zero.
    NeverTrained,
    /// Another factor is all zero, so `dW` is zero: training has broken down, or the file.
    ZeroFactor,
    /// The scale is zero, so `dW` is zero.
    ZeroScale,
    /// `lora_B` is block-diagonal: parts of a fused projection (q, k, v), trained apart and saved as
    /// one by sd-scripts (sd-scripts#2204). The rank is the sum of theirs; where alpha stayed that of
    /// one part, the effect is too weak by the number of parts, which `count` tells. Alpha over rank
    /// is used as written.
    FusedParts,
}

impl FindingKind {
    /// The stable name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotANumber => "NotANumber",
            Self::Infinite => "Infinite",
            Self::NeverTrained => "NeverTrained",
            Self::ZeroFactor => "ZeroFactor",
            Self::ZeroScale => "ZeroScale",
            Self::FusedParts => "FusedParts",
        }
    }
}

/// What is wrong with tensors as a file names them, before they are a delta: the readers refuse
/// what is not finite. Names end as in PEFT (with or without `.weight`), LyCORIS or kohya.
#[must_use]
pub fn tensor_findings(tensors: &[(&str, &Tensor)]) -> Vec<Finding> {
    tensors.iter().flat_map(|(name, tensor)| of_numbers(name, &tensor.to_f32())).collect()
}

/// What is wrong with a delta: its factors under PEFT's names, magnitude, bias and scale. Tucker
/// forms are seen as the flat factor that they make.
#[must_use]
pub fn findings(delta: &Delta) -> Vec<Finding> {
    let mut tensors = factors(delta);
    if let Some(magnitude) = &delta.magnitude {
        tensors.push(("lora_magnitude_vector", &magnitude.values));
    }
    if let Some(bias) = &delta.bias {
        tensors.push(("lora_B.bias", bias));
    }
    let scale = [delta.scale];
    tensors.push(("scale", &scale));
    let mut findings: Vec<_> = tensors.iter().flat_map(|(name, t)| of_numbers(name, t)).collect();
    if let Factors::Lora(lora) = &delta.factors
        && let Some(parts) = fused_parts(lora.b())
    {
        let tensor = "lora_B.weight".to_owned();
        findings.push(Finding { kind: FindingKind::FusedParts, tensor, count: parts, first: 0 });
    }
    if delta.scale == 0.0 {
        let tensor = "scale".to_owned();
        findings.push(Finding { kind: FindingKind::ZeroScale, tensor, count: 1, first: 0 });
    }
    findings
}

/// Into how many parts a block-diagonal `B` `[out, r]` falls: three or four groups of as many columns
/// each, no two of which touch one row.
fn fused_parts(b: &Matrix) -> Option<usize> {
    [4, 3].into_iter().find(|&parts| {
        if !b.cols().is_multiple_of(parts) || b.rows() < 2 * parts {
            return false;
        }
        let width = b.cols() / parts;
        let mut rows = vec![0; parts];
        for i in 0..b.rows() {
            let used = |group: &[f32]| group.iter().any(|&v| v != 0.0);
            let mut groups = b.row(i).chunks(width).enumerate().filter(|(_, group)| used(group));
            if let Some((first, _)) = groups.next() {
                rows[first] += 1;
                if groups.next().is_some() {
                    return false;
                }
            }
        }
        rows.iter().all(|&n| n > 0)
    })
}

/// The factors under PEFT's names.
fn factors(delta: &Delta) -> Vec<(&'static str, &[f32])> {
    let mut parts: Vec<(&'static str, &Matrix)> = Vec::with_capacity(4);
    match &delta.factors {
        Factors::Lora(f) if delta.layer == Layer::Embedding => {
            parts.extend([("lora_embedding_A", f.a()), ("lora_embedding_B", f.b())]);
        }
        Factors::Lora(f) => parts.extend([("lora_A.weight", f.a()), ("lora_B.weight", f.b())]),
        Factors::Loha(f) => parts.extend([
            ("hada_w1_a", f.w1_a()),
            ("hada_w1_b", f.w1_b()),
            ("hada_w2_a", f.w2_a()),
            ("hada_w2_b", f.w2_b()),
        ]),
        Factors::Lokr(f) => {
            let names = [
                (f.w1(), ["lokr_w1", "lokr_w1_a", "lokr_w1_b"]),
                (f.w2(), ["lokr_w2", "lokr_w2_a", "lokr_w2_b"]),
            ];
            for (factor, [whole, first, second]) in names {
                match factor {
                    KronFactor::Full(w) => parts.push((whole, w)),
                    KronFactor::LowRank { a, b } => parts.extend([(first, a), (second, b)]),
                }
            }
        }
    }
    parts.into_iter().map(|(name, m)| (name, m.data())).collect()
}

fn of_numbers(name: &str, numbers: &[f32]) -> Vec<Finding> {
    let find = |kind, concerned: fn(&f32) -> bool| {
        let first = numbers.iter().position(concerned)?;
        let count = numbers.iter().filter(|v| concerned(v)).count();
        Some(Finding { kind, tensor: name.to_owned(), count, first })
    };
    let zero = zero_kind(name)
        .and_then(|kind| find(kind, |&v| v == 0.0))
        .filter(|finding| finding.count == numbers.len());
    let nan = find(FindingKind::NotANumber, |v| v.is_nan());
    let infinite = find(FindingKind::Infinite, |v| v.is_infinite());
    [nan, infinite, zero].into_iter().flatten().collect()
}

/// What a tensor of zeros means: each factor multiplies the whole of `dW`. `None` for what is no
/// factor, which may well be zero.
///
/// Training starts from zero in PEFT's `lora_B`, `lora_embedding_A`, `hada_w2_b` and `lokr_w1`, in
/// LyCORIS's and kohya's `lora_up`, `hada_w2_a` and `lokr_w2` or `lokr_w2_b`.
fn zero_kind(name: &str) -> Option<FindingKind> {
    const FROM_ZERO: [&str; 10] = [
        "lora_B",
        "lora_embedding_A",
        "lora_up",
        "hada_w2_a",
        "hada_w2_b",
        "lokr_w1",
        "lokr_w1_a",
        "lokr_w2",
        "lokr_w2_b",
        "lora.up",
    ];
    const OTHERS: [&str; 13] = [
        "lora_A",
        "lora_embedding_B",
        "lora_down",
        "lora_mid",
        "hada_w1_a",
        "hada_w1_b",
        "hada_t1",
        "hada_t2",
        "lokr_w1_b",
        "lokr_w2_a",
        "lokr_t1",
        "lokr_t2",
        "lora.down",
    ];
    let stem = name.strip_suffix(".weight").unwrap_or(name);
    if FROM_ZERO.iter().any(|end| stem.ends_with(end)) {
        Some(FindingKind::NeverTrained)
    } else if OTHERS.iter().any(|end| stem.ends_with(end)) {
        Some(FindingKind::ZeroFactor)
    } else {
        None
    }
}
