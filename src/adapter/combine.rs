//! Several adapters as one: by exact concatenation, and as PEFT's `add_weighted_adapter` mixes
//! (`tuners/lora/model.py`, `utils/merge_utils.py`).

use std::collections::BTreeMap;

use super::{Adapter, Delta, Factors, Lora};
use crate::{
    Error, Result,
    tensor::{Matrix, check_finite},
};

/// Combines whole adapters, each with its weight. `how` combines the deltas of one module: [`cat`],
/// [`linear`], [`ties`] with its settings, or [`combine_svd`](crate::analysis::combine_svd). A
/// module that only some adapters have goes to `how` with those; PEFT does the same.
///
/// Saved modules take the place of the base's and cannot be mixed: one that several adapters bring
/// is refused. One that a single adapter brings stays as it is, whatever the weight.
pub fn combine(
    adapters: &[(&Adapter, f64)],
    how: impl Fn(&[(&Delta, f64)]) -> Result<Delta>,
) -> Result<Adapter> {
    let mut modules: BTreeMap<&String, Vec<(&Delta, f64)>> = BTreeMap::new();
    let mut combined = Adapter::default();
    for &(adapter, weight) in adapters {
        for (module, delta) in &adapter.deltas {
            modules.entry(module).or_default().push((delta, weight));
        }
        for (name, tensor) in &adapter.replaced {
            if combined.replaced.insert(name.clone(), tensor.clone()).is_some() {
                return Err(unsupported(
                    "combining saved modules",
                    format!("{name} in more than one adapter"),
                    "one adapter with it",
                ));
            }
        }
        for (name, rows) in &adapter.rows {
            if combined.rows.insert(name.clone(), rows.clone()).is_some() {
                return Err(unsupported(
                    "combining trained rows of one table",
                    format!("{name} in more than one adapter"),
                    "one adapter with them",
                ));
            }
        }
        combined.warnings.extend(adapter.warnings.iter().cloned());
    }
    for (module, deltas) in modules {
        let delta = how(&deltas).map_err(|error| at(module, error))?;
        combined.deltas.insert(module.clone(), delta);
    }
    Ok(combined)
}

/// The exact weighted sum of LoRA deltas of one weight, whatever their ranks and scales: the rows of
/// all `A`, each times its weight and scale, over one another, the columns of all `B` side by side.
/// The rank is the sum of the ranks, alpha equals it, the scale is 1. Only the rounding of the
/// scaled rows to f32 is lost.
///
/// One delta alone keeps its method and its factors; its scale is multiplied by the weight.
pub fn cat(deltas: &[(&Delta, f64)]) -> Result<Delta> {
    if let [(delta, weight)] = deltas {
        return scaled(delta, *weight);
    }
    let parts = parts(deltas)?;
    let a = parts
        .iter()
        .flat_map(|part| part.lora.a().data().iter().map(|&v| (part.weight * f64::from(v)) as f32));
    let [out, inputs] = [parts[0].lora.b().rows(), parts[0].lora.a().cols()];
    let rank = parts.iter().map(|part| part.lora.a().rows()).sum();
    let b = (0..out).flat_map(|i| parts.iter().flat_map(move |part| part.lora.b().row(i)));
    lora(
        Matrix::new(rank, inputs, a.collect())?,
        Matrix::new(out, rank, b.copied().collect())?,
        deltas,
    )
}

/// PEFT's `linear`: sums of all `A` and of all `B`, each times the root of its weight and scale, a
/// negative sign on `A`. All have one rank. **Not the sum of the deltas**: the product has cross
/// terms `B_i A_j`. Use [`cat`] unless PEFT's numbers are wanted.
pub fn linear(deltas: &[(&Delta, f64)]) -> Result<Delta> {
    each_factor(deltas, |tensors, weights| {
        (0..tensors[0].len())
            .map(|i| tensors.iter().zip(weights).map(|(t, w)| w * f64::from(t[i])).sum())
            .collect()
    })
}

/// Which sign wins where the numbers of several adapters disagree. A tie is positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MajoritySign {
    /// That of their sum.
    #[default]
    Total,
    /// The one that more of them have.
    Frequency,
}

/// PEFT's `ties` (Yadav et al. 2023, arXiv 2306.01708), on all `A` and on all `B` as [`linear`]
/// does: keeps the `density` largest of each tensor, elects a sign for each place, and takes the
/// mean of the weighted numbers that have it. `density` is a share, 0 to 1.
pub fn ties(deltas: &[(&Delta, f64)], density: f64, majority: MajoritySign) -> Result<Delta> {
    if !(0.0..=1.0).contains(&density) {
        return Err(Error::argument("density", "0 to 1", density));
    }
    each_factor(deltas, |tensors, weights| {
        let pruned: Vec<Vec<f64>> = tensors.iter().map(|t| prune(t, density)).collect();
        (0..tensors[0].len())
            .map(|i| {
                let column = || pruned.iter().map(|t| t[i]);
                let vote: f64 = match majority {
                    MajoritySign::Total => column().sum(),
                    MajoritySign::Frequency => column().map(sign).sum(),
                };
                let elected = if vote >= 0.0 { 1.0 } else { -1.0 };
                let kept = column().zip(weights).filter(|&(v, _)| sign(v) == elected);
                let (sum, count) = kept.fold((0.0, 0.0), |(s, n), (v, w)| (s + v * w, n + 1.0));
                sum / f64::max(count, 1.0)
            })
            .collect()
    })
}

/// -1, 0 or 1, unlike [`f64::signum`].
fn sign(v: f64) -> f64 {
    if v == 0.0 { 0.0 } else { v.signum() }
}

/// The `density` largest magnitudes, zeros elsewhere; of equals the first.
fn prune(numbers: &[f32], density: f64) -> Vec<f64> {
    let kept = (density * numbers.len() as f64) as usize;
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|&i, &j| numbers[j].abs().total_cmp(&numbers[i].abs()));
    let mut pruned = vec![0.0; numbers.len()];
    for &i in order.iter().take(kept) {
        pruned[i] = f64::from(numbers[i]);
    }
    pruned
}

/// All `A` and all `B` mixed by `mix(tensors, weights)`, as PEFT weighs them: `sign sqrt |weight
/// scale|` for `A`, without the sign for `B`.
fn each_factor(
    deltas: &[(&Delta, f64)],
    mix: impl Fn(&[&[f32]], &[f64]) -> Vec<f64>,
) -> Result<Delta> {
    let parts = parts(deltas)?;
    let ranks: Vec<usize> = parts.iter().map(|part| part.lora.a().rows()).collect();
    if ranks.iter().any(|&rank| rank != ranks[0]) {
        return Err(unsupported("mixing factors", format!("ranks {ranks:?}"), "one rank; or cat"));
    }
    let mixed = |factor: fn(&Lora) -> &Matrix, weigh: fn(f64) -> f64| {
        let tensors: Vec<&[f32]> = parts.iter().map(|part| factor(part.lora).data()).collect();
        let weights: Vec<f64> = parts.iter().map(|part| weigh(part.weight)).collect();
        let [rows, cols] = factor(parts[0].lora).shape();
        Matrix::new(rows, cols, mix(&tensors, &weights).into_iter().map(|v| v as f32).collect())
    };
    let a = mixed(Lora::a, |weight| sign(weight) * weight.abs().sqrt())?;
    lora(a, mixed(Lora::b, |weight| weight.abs().sqrt())?, deltas)
}

/// One of the LoRA deltas that are combined.
struct Part<'a> {
    lora: &'a Lora,
    /// Weight times scale.
    weight: f64,
}

/// The factors of deltas that change one weight, all of them LoRA.
fn parts<'a>(deltas: &[(&'a Delta, f64)]) -> Result<Vec<Part<'a>>> {
    check_alike(deltas)?;
    let part = |&(delta, weight): &(&'a Delta, f64)| match &delta.factors {
        Factors::Lora(lora) => Ok(Part { lora, weight: weight * f64::from(delta.scale) }),
        other => Err(unsupported(
            "combining factors",
            other.name().to_owned(),
            "LoRA; combine_svd takes all methods",
        )),
    };
    deltas.iter().map(part).collect()
}

/// Refuses an empty list, deltas of different weights of the base, magnitudes, and numbers that are
/// not finite.
pub(crate) fn check_alike(deltas: &[(&Delta, f64)]) -> Result<()> {
    let Some((first, _)) = deltas.first() else {
        return Err(Error::argument("deltas", "at least one", "none"));
    };
    for (delta, weight) in deltas {
        check_finite("weight times scale", &[(weight * f64::from(delta.scale)) as f32])?;
        if delta.layer != first.layer || delta.method().shape() != first.method().shape() {
            let (expected, got) = (first.weight_shape(), delta.weight_shape());
            return Err(Error::ShapeMismatch {
                what: "deltas to combine".into(),
                expected: format!("{:?} {expected:?}", first.layer),
                got: format!("{:?} {got:?}", delta.layer),
            });
        }
        if delta.magnitude.is_some() {
            return Err(unsupported(
                "combining DoRA deltas",
                "a magnitude, which belongs to one dW alone".into(),
                "deltas without; or merging one after the other",
            ));
        }
    }
    Ok(())
}

/// The weighted sum of PEFT's `lora_bias`, scales included; `None` where no delta has one.
pub(crate) fn sum_of_biases(deltas: &[(&Delta, f64)]) -> Result<Option<Vec<f32>>> {
    let mut sum: Option<Vec<f64>> = None;
    for (delta, weight) in deltas {
        if let Some(bias) = &delta.bias {
            let sum = sum.get_or_insert_with(|| vec![0.0; bias.len()]);
            if sum.len() != bias.len() {
                return Err(Error::shape("lora_bias", &[sum.len()], &[bias.len()]));
            }
            for (sum, &b) in sum.iter_mut().zip(bias) {
                *sum += weight * f64::from(delta.scale) * f64::from(b);
            }
        }
    }
    let rounded: Option<Vec<f32>> = sum.map(|sum| sum.into_iter().map(|v| v as f32).collect());
    check_finite("combined lora_bias", rounded.as_deref().unwrap_or_default())?;
    Ok(rounded)
}

/// `weight dW`, by the scale alone.
fn scaled(delta: &Delta, weight: f64) -> Result<Delta> {
    if weight == 1.0 {
        return Ok(delta.clone());
    }
    check_alike(&[(delta, weight)])?;
    let times = |v: f32| (weight * f64::from(v)) as f32;
    Ok(Delta { alpha: times(delta.alpha), scale: times(delta.scale), ..delta.clone() })
}

/// The LoRA that the deltas became, with the sum of their biases.
fn lora(a: Matrix, b: Matrix, deltas: &[(&Delta, f64)]) -> Result<Delta> {
    check_finite("combined lora_A", a.data())?;
    check_finite("combined lora_B", b.data())?;
    let rank = a.rows();
    let mut delta = Delta::new(Factors::Lora(Lora::new(a, b)?), rank, rank as f32, 1.0);
    delta.layer = deltas[0].0.layer.clone();
    delta.bias = sum_of_biases(deltas)?;
    Ok(delta)
}

fn unsupported(what: &str, got: String, supported: &str) -> Error {
    Error::Unsupported { what: what.into(), got, supported: supported.into() }
}

/// Adds the module to an error.
fn at(module: &str, error: Error) -> Error {
    let name = |what| format!("module {module}: {what}");
    match error {
        Error::ShapeMismatch { what, expected, got } => {
            Error::ShapeMismatch { what: name(what), expected, got }
        }
        Error::Unsupported { what, got, supported } => {
            Error::Unsupported { what: name(what), got, supported }
        }
        Error::NotFinite { what, index, value } => {
            Error::NotFinite { what: name(what), index, value }
        }
        Error::NoConvergence { what, steps } => Error::NoConvergence { what: name(what), steps },
        other => other,
    }
}
