//! The mathematics of low-rank adapters. No files, no GPU.
//!
//! For one weight `W` `[out, in]` an adapter is a [`Delta`]: `dW = scale * f(factors)`. Every
//! method factors through a short code `z` of one input row: `z = down(x)`, `y += scale * up(z)`.
//!
//! Everything here is the definition, computed in f64: it is the oracle that both backends are
//! tested against, and exact enough to write files from. The fast forms are in [`crate::cpu`] and
//! [`crate::gpu`].
//!
//! To add a method: write `adapter/NAME.rs` with the verbs of [`Method`], add it to [`Factors`].

mod factorization;
mod loha;
mod lokr;
mod lora;

use std::collections::BTreeMap;

pub use factorization::{Convention, factorize};
pub use loha::Loha;
pub use lokr::{KronFactor, Lokr};
pub use lora::Lora;

use crate::{Error, Result};

/// The verbs that every method answers, in this order in every file.
pub trait Method {
    /// Shape of `dW`: `[out, in]`.
    fn shape(&self) -> [usize; 2];
    /// The inner dimension `r` of the factors; `None` where LoKr keeps both factors whole, since
    /// then no shape tells it.
    fn rank(&self) -> Option<usize>;
    /// The stored factors by PEFT's names, with their shapes.
    fn tensors(&self) -> Vec<(&'static str, [usize; 2])>;
    /// How many numbers the factors hold.
    fn parameters(&self) -> usize {
        self.tensors().iter().map(|(_, [rows, cols])| rows * cols).sum()
    }
    /// The largest rank that `dW` can have, whatever the values of the factors.
    fn rank_bound(&self) -> usize;
    /// Length of the code `z` of one row.
    fn code_len(&self) -> usize;
    /// The code `z` `[code_len]` of one row `x` `[in]`.
    fn down(&self, x: &[f64]) -> Vec<f64>;
    /// `[out]` numbers from the code of one row; `up(down(x)) = f(factors) x`.
    fn up(&self, z: &[f64]) -> Vec<f64>;
    /// `f(factors)` `[out, in]`, row-major, without the scale.
    fn materialise(&self) -> Vec<f64>;
}

/// The factors of one weight, by method: the registry of methods.
#[derive(Debug, Clone, PartialEq)]
pub enum Factors {
    /// Low-rank product.
    Lora(Lora),
    /// Hadamard product of two low-rank products.
    Loha(Loha),
    /// Kronecker product.
    Lokr(Lokr),
}

impl Factors {
    /// The method's verbs.
    #[must_use]
    pub fn method(&self) -> &dyn Method {
        match self {
            Self::Lora(f) => f,
            Self::Loha(f) => f,
            Self::Lokr(f) => f,
        }
    }

    /// The name people use: `LoRA`, `LoHa`, `LoKr`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Lora(_) => "LoRA",
            Self::Loha(_) => "LoHa",
            Self::Lokr(_) => "LoKr",
        }
    }
}

/// The change of one weight: `dW = scale * f(factors)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// The trained numbers.
    pub factors: Factors,
    /// `r` as configured. Equals [`Method::rank`] where the shapes tell it.
    pub rank: usize,
    /// PEFT's `alpha` of this module.
    pub alpha: f32,
    /// The one number that multiplies the product: already `alpha / r`, `alpha / sqrt(r)` or 1.
    pub scale: f32,
}

impl Delta {
    /// The method's verbs.
    #[must_use]
    pub fn method(&self) -> &dyn Method {
        self.factors.method()
    }

    /// `dW` `[out, in]`, row-major, scale included.
    #[must_use]
    pub fn materialise(&self) -> Vec<f64> {
        let mut dw = self.method().materialise();
        dw.iter_mut().for_each(|v| *v *= f64::from(self.scale));
        dw
    }

    /// `dW x` for one row `x` `[in]`, through the code; `[out]`.
    #[must_use]
    pub fn apply(&self, x: &[f64]) -> Vec<f64> {
        let mut y = self.method().up(&self.method().down(x));
        y.iter_mut().for_each(|v| *v *= f64::from(self.scale));
        y
    }

    /// `W + strength * dW` for `weight` `[out, in]`, row-major.
    pub fn merge(&self, weight: &[f32], strength: f64) -> Result<Vec<f64>> {
        let shape = self.method().shape();
        if weight.len() != shape[0] * shape[1] {
            return Err(Error::shape("weight to merge into", &shape, &[weight.len()]));
        }
        let dw = self.materialise();
        Ok(weight.iter().zip(dw).map(|(&w, d)| f64::from(w) + strength * d).collect())
    }
}

/// One adapter file or folder: the deltas of many modules, by module name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Adapter {
    /// Deltas by the module path of the base model, without prefix (`model.layers.0.mlp.up_proj`).
    pub deltas: BTreeMap<String, Delta>,
    /// What the reader had to guess or wants to tell.
    pub warnings: Vec<Warning>,
}

impl Adapter {
    /// How many numbers all factors hold.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.deltas.values().map(|d| d.method().parameters()).sum()
    }
}

/// Something in a file that did not stop the reader but that its owner should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Stable name of the kind of warning.
    pub code: &'static str,
    /// The module it concerns; empty for the whole file.
    pub module: String,
    /// One sentence.
    pub message: String,
}

/// Checks that a factor has the shape that its partners ask for.
pub(crate) fn expect_shape(what: &str, expected: [usize; 2], got: [usize; 2]) -> Result<()> {
    if expected == got { Ok(()) } else { Err(Error::shape(what, &expected, &got)) }
}

/// Checks that no dimension is zero: an empty factor is a broken file, not a rank of zero.
pub(crate) fn expect_not_empty(what: &str, shape: [usize; 2]) -> Result<()> {
    if shape.contains(&0) {
        return Err(Error::ShapeMismatch {
            what: what.to_owned(),
            expected: "no dimension of zero".into(),
            got: format!("{shape:?}"),
        });
    }
    Ok(())
}

/// `a b` for `a` `[n, k]`, `b` `[k, m]`, in f64, row-major.
pub(crate) fn product(a: &crate::tensor::Matrix, b: &crate::tensor::Matrix) -> Vec<f64> {
    let mut out = vec![0.0; a.rows() * b.cols()];
    for (i, row) in out.chunks_exact_mut(b.cols()).enumerate() {
        for k in 0..a.cols() {
            let a_ik = a.at(i, k);
            for (y, &b_kj) in row.iter_mut().zip(b.row(k)) {
                *y += a_ik * f64::from(b_kj);
            }
        }
    }
    out
}

/// Inner product of a factor's row and a vector, in f64.
pub(crate) fn dot(row: &[f32], x: &[f64]) -> f64 {
    row.iter().zip(x).map(|(&a, &b)| f64::from(a) * b).sum()
}
