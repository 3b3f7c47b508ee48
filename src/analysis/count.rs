//! Parameter counts and rank bounds from shapes alone, before any factor exists.
//!
//! Shapes and thresholds as in PEFT (`tuners/{lora,loha,lokr}/layer.py`) and LyCORIS
//! (`modules/lokr.py`) for a linear layer; bounds from rank(X Y) <= min, rank(X * Y) <= rank(X)
//! rank(Y) (FedPara, proposition 1) and rank(X kron Y) = rank(X) rank(Y).

use crate::{
    Error, Result,
    adapter::{Convention, factorize},
};

/// A method and the settings that decide the shapes of its factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipe {
    /// `B A`.
    Lora {
        /// Inner dimension of the product.
        r: usize,
    },
    /// `(w1_a w1_b) * (w2_a w2_b)`, cell by cell.
    Loha {
        /// Inner dimension of each of the two products.
        r: usize,
    },
    /// `w1 kron w2`.
    Lokr(LokrRecipe),
}

/// Settings of LoKr, named as in PEFT's `LoKrConfig` and LyCORIS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LokrRecipe {
    /// Inner dimension of a factor that is itself a product.
    pub r: usize,
    /// How far the two dimensions are split; -1 means as evenly as they can be. See [`factorize`].
    pub decompose_factor: i64,
    /// Whether `w1` may be a product too.
    pub decompose_both: bool,
    /// Whether both factors stay whole at every `r` (LyCORIS only; PEFT has no such setting).
    pub full_matrix: bool,
    /// Whose factorization.
    pub convention: Convention,
}

impl LokrRecipe {
    /// PEFT's defaults: factor -1, `w1` whole, `w2` a product when `r` is small enough.
    #[must_use]
    pub fn new(r: usize) -> Self {
        Self {
            r,
            decompose_factor: -1,
            decompose_both: false,
            full_matrix: false,
            convention: Convention::Peft,
        }
    }
}

impl Recipe {
    fn r(&self) -> usize {
        match self {
            Self::Lora { r } | Self::Loha { r } => *r,
            Self::Lokr(recipe) => recipe.r,
        }
    }
}

/// One tensor of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorShape {
    /// What PEFT appends to the name of the module: `lora_A.weight`, `hada_w1_a`, `lokr_w2_b`.
    pub name: &'static str,
    /// `[rows, cols]`, row-major.
    pub shape: [usize; 2],
}

impl TensorShape {
    /// How many numbers it holds. 64 bits, since a product of two lengths can pass 32.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let [rows, cols] = self.shape;
        (rows as u64).saturating_mul(cols as u64)
    }
}

/// What one weight's adapter costs and what it can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterCount {
    /// Every tensor, in the order of the formula.
    pub tensors: Vec<TensorShape>,
    /// The largest rank that `dW` can have, whatever the values of the factors.
    pub rank_bound: usize,
}

impl ParameterCount {
    /// How many numbers all tensors hold.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.tensors.iter().fold(0, |sum, t| sum.saturating_add(t.parameters()))
    }
}

/// The tensors and the rank bound of `recipe` on one weight of `shape` `[out, in]`. Refuses a
/// dimension or an `r` of zero.
pub fn count(shape: [usize; 2], recipe: &Recipe) -> Result<ParameterCount> {
    if shape.contains(&0) {
        return Err(Error::argument("shape", "[out, in] of at least 1", format!("{shape:?}")));
    }
    if recipe.r() == 0 {
        return Err(Error::argument("r", "at least 1", 0));
    }
    Ok(match recipe {
        Recipe::Lora { r } => lora(shape, *r),
        Recipe::Loha { r } => loha(shape, *r),
        Recipe::Lokr(recipe) => lokr(shape, recipe),
    })
}

fn lora([out, inputs]: [usize; 2], r: usize) -> ParameterCount {
    ParameterCount {
        tensors: vec![tensor("lora_A.weight", r, inputs), tensor("lora_B.weight", out, r)],
        rank_bound: r.min(out).min(inputs),
    }
}

fn loha([out, inputs]: [usize; 2], r: usize) -> ParameterCount {
    ParameterCount {
        tensors: vec![
            tensor("hada_w1_a", out, r),
            tensor("hada_w1_b", r, inputs),
            tensor("hada_w2_a", out, r),
            tensor("hada_w2_b", r, inputs),
        ],
        rank_bound: r.saturating_mul(r).min(out).min(inputs),
    }
}

fn lokr([out, inputs]: [usize; 2], recipe: &LokrRecipe) -> ParameterCount {
    let LokrRecipe { r, decompose_factor, decompose_both, full_matrix, convention } = *recipe;
    let (im, in_n) = factorize(inputs, decompose_factor, convention);
    let (ol, ok) = factorize(out, decompose_factor, convention);
    // Both rules compare with `max / 2` in real numbers: 3 is small against 7 / 2, 4 is not.
    let small = |a: usize, b: usize| !full_matrix && r.saturating_mul(2) < a.max(b);

    let mut tensors = Vec::with_capacity(4);
    let rank_1 = if decompose_both && small(ol, im) {
        tensors.extend([tensor("lokr_w1_a", ol, r), tensor("lokr_w1_b", r, im)]);
        r.min(ol).min(im)
    } else {
        tensors.push(tensor("lokr_w1", ol, im));
        ol.min(im)
    };
    let rank_2 = if small(ok, in_n) {
        tensors.extend([tensor("lokr_w2_a", ok, r), tensor("lokr_w2_b", r, in_n)]);
        r.min(ok).min(in_n)
    } else {
        tensors.push(tensor("lokr_w2", ok, in_n));
        ok.min(in_n)
    };
    ParameterCount { tensors, rank_bound: rank_1 * rank_2 }
}

fn tensor(name: &'static str, rows: usize, cols: usize) -> TensorShape {
    TensorShape { name, shape: [rows, cols] }
}
