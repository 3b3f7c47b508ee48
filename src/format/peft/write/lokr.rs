//! LoKr settings that make PEFT build layers of the shapes that an adapter has (PEFT
//! `tuners/lokr/layer.py:update_layer`). PEFT derives all shapes from the base, `r`,
//! `decompose_both` and `decompose_factor`, and loads nothing that differs.

use std::collections::BTreeSet;

use super::config::Ranks;
use crate::adapter::{Adapter, Convention, Delta, Factors, KronFactor, Lokr, factorize};
use crate::adapter::{Layer, Warning};
use crate::{Error, Result};

/// Kernels up to 7 x 7 are tried for flat factors, which do not tell theirs.
const MAX_KERNEL: usize = 49;

/// Settings for all modules.
pub(super) struct Plan {
    pub(super) decompose_both: bool,
    pub(super) decompose_factor: i64,
}

/// Finds the settings, and raises the rank of modules with whole factors where PEFT would
/// decompose these otherwise. The rank of whole factors is no size: only the scale depends on it.
pub(super) fn plan<'a>(
    adapter: &'a Adapter,
    ranks: &mut Ranks<'a>,
    warnings: &mut Vec<Warning>,
) -> Result<Plan> {
    let lokrs = || {
        adapter.deltas.iter().filter_map(|(module, delta)| match &delta.factors {
            Factors::Lokr(lokr) => Some((module.as_str(), delta, lokr)),
            _ => None,
        })
    };
    let decompose_both = lokrs().any(|(.., lokr)| lokr.w1().low_rank().is_some());
    let mut layers = Vec::new();
    for (module, delta, lokr) in lokrs() {
        let rank = ranks.entry(module).or_insert(delta.rank);
        let mut layer = Splits::new(module, delta, lokr);
        layer.fit_rank(rank, lokr, decompose_both)?;
        layers.push(layer);
    }
    let decompose_factor = match decompose_factor(&layers, |inputs| inputs.get(..1)) {
        Ok(factor) => factor,
        Err(_) => {
            let factor = decompose_factor(&layers, |inputs| Some(inputs))?;
            warnings.extend(layers.iter().filter_map(|layer| layer.warning(factor)));
            factor
        }
    };
    Ok(Plan { decompose_both, decompose_factor })
}

/// How the dimensions of a layer are split between `w1` and `w2`.
struct Splits<'a> {
    module: &'a str,
    /// `[ol, ok]`.
    out: [usize; 2],
    /// `im`.
    im: usize,
    /// `in_n` of `w2`: one number, or all that it can be where the kernel is not known.
    in_n: Vec<usize>,
}

impl<'a> Splits<'a> {
    fn new(module: &'a str, delta: &Delta, lokr: &Lokr) -> Self {
        let ([ol, im], [ok, columns]) = (lokr.w1().shape(), lokr.w2().shape());
        let flat = matches!(lokr.w2(), KronFactor::LowRank { .. }) && delta.layer == Layer::Linear;
        let in_n = if flat {
            let kernels = (1..=MAX_KERNEL).filter(|&kernel| columns.is_multiple_of(kernel));
            kernels.map(|kernel| columns / kernel).collect()
        } else {
            vec![columns / delta.kernel_size()]
        };
        Self { module, out: [ol, ok], im, in_n }
    }

    /// Makes the rank one for which PEFT keeps whole what is whole here, and decomposes the rest.
    fn fit_rank(&mut self, rank: &mut usize, lokr: &Lokr, decompose_both: bool) -> Result<()> {
        let [ol, ok] = self.out;
        let is_whole = |rank: usize, size: usize| rank >= size.div_ceil(2);
        let refuse = |name: &str, got: &str, size: usize| Error::Unsupported {
            what: format!("module {} in a PEFT folder", self.module),
            got: format!("{name} {got} of rank {rank}"),
            supported: format!("whole from rank {} on, as PEFT decides", size.div_ceil(2)),
        };
        let fixed = lokr.w1().low_rank().or(lokr.w2().low_rank()).is_some();
        let w1 = ol.max(self.im);
        let w2 = |in_n: &usize| ok.max(*in_n);
        if lokr.w1().low_rank().is_some() && is_whole(*rank, w1) {
            return Err(refuse("lokr_w1", "as a product", w1));
        }
        if lokr.w2().low_rank().is_some() {
            let widest = self.in_n.first().map_or(ok, w2);
            let decomposed: Vec<usize> =
                self.in_n.iter().copied().filter(|in_n| !is_whole(*rank, w2(in_n))).collect();
            if decomposed.is_empty() {
                return Err(refuse("lokr_w2", "as a product", widest));
            }
            self.in_n = decomposed;
        }
        let mut least = 1;
        for (name, factor, size, may_decompose) in [
            ("lokr_w1", lokr.w1(), w1, decompose_both),
            ("lokr_w2", lokr.w2(), self.in_n.first().map_or(ok, w2), true),
        ] {
            if factor.low_rank().is_some() || !may_decompose || is_whole(*rank, size) {
                continue;
            }
            if fixed {
                return Err(refuse(name, "whole beside a product", size));
            }
            least = least.max(size.div_ceil(2));
        }
        *rank = (*rank).max(least);
        Ok(())
    }

    /// Whether PEFT splits the layer like this, with one of these `in_n`.
    fn fits(&self, factor: i64, in_n: &[usize]) -> bool {
        let [ol, ok] = self.out;
        let splits = |a: usize, b: usize| {
            let dim = a.checked_mul(b);
            dim.is_some_and(|dim| factorize(dim, factor, Convention::Peft) == (a, b))
        };
        splits(ol, ok) && in_n.iter().any(|&in_n| splits(self.im, in_n))
    }

    /// A layer that fits as a convolution alone.
    fn warning(&self, factor: i64) -> Option<Warning> {
        if self.fits(factor, self.in_n.get(..1)?) {
            return None;
        }
        let fits = |in_n: &&usize| self.fits(factor, &[**in_n]);
        let inputs = self.in_n.iter().filter(fits).map(|in_n| (self.im * in_n).to_string());
        let inputs = inputs.collect::<Vec<_>>().join(" or ");
        Some(Warning {
            code: "KernelGuessed",
            module: self.module.to_owned(),
            message: format!(
                "PEFT loads it if the layer is a convolution of {inputs} inputs, which its flat \
                 factors do not tell"
            ),
        })
    }
}

/// A `decompose_factor` that splits all layers as they are split here; `inputs` chooses among what
/// each `in_n` may be.
fn decompose_factor(
    layers: &[Splits<'_>],
    inputs: impl Fn(&[usize]) -> Option<&[usize]>,
) -> Result<i64> {
    // A factor stands for itself where it divides a dimension, and for a limit elsewhere. So it is
    // at least as large as each first part; above these, it has to miss the divisors of other
    // dimensions.
    let least = layers.iter().map(|layer| layer.out[0].max(layer.im)).max().unwrap_or(1);
    let least = i64::try_from(least).unwrap_or(i64::MAX - 256);
    let mut factors: Vec<i64> = std::iter::once(-1).chain(least..least + 256).collect();
    let mut seen = BTreeSet::new();
    for layer in layers {
        let in_n = inputs(&layer.in_n).unwrap_or_default();
        if !seen.insert((layer.out, layer.im, in_n)) {
            continue;
        }
        factors.retain(|&factor| layer.fits(factor, in_n));
        if factors.is_empty() {
            let ([ol, ok], im) = (layer.out, layer.im);
            return Err(Error::Unsupported {
                what: format!("module {} in a PEFT folder", layer.module),
                got: format!("lokr_w1 [{ol}, {im}] and lokr_w2 [{ok}, {}]", in_n[0]),
                supported: "shapes that one decompose_factor gives all modules".into(),
            });
        }
    }
    factors.first().copied().ok_or_else(|| Error::argument("adapter", "LoKr modules", "none"))
}
