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

mod combine;
mod delta;
mod dora;
mod factorization;
mod loha;
mod lokr;
mod lora;
mod tucker;

use std::collections::{BTreeMap, BTreeSet};

pub use combine::{MajoritySign, cat, combine, linear, ties};
pub(crate) use combine::{check_alike, sum_of_biases};
pub use delta::{Delta, Expert, Layer, Orientation, merge};
pub use dora::{Axis, Magnitude};
pub use factorization::{Convention, factorize};
pub use loha::Loha;
pub use lokr::{KronFactor, KronOrder, Lokr};
pub use lora::Lora;
pub use tucker::Tucker;

use crate::{
    Error, Result,
    tensor::{Matrix, Tensor},
};

/// The verbs that every method answers, in this order in every file.
pub trait Method {
    /// Shape of `dW`: `[out, in]`; a convolution's kernel counts into `in`.
    fn shape(&self) -> [usize; 2];
    /// The inner dimension `r` of the factors; `None` where LoKr keeps both factors whole, since
    /// then no shape tells it.
    fn rank(&self) -> Option<usize>;
    /// The stored factors by PEFT's names, with their shapes. The core of a Tucker form is
    /// `[r, r, kernel]`.
    fn tensors(&self) -> Vec<(&'static str, Vec<usize>)>;
    /// How many numbers the factors hold.
    fn parameters(&self) -> usize {
        self.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }
    /// The largest rank that `dW` can have, whatever the values of the factors.
    fn rank_bound(&self) -> usize;
    /// Length of the code `z` of one row.
    fn code_len(&self) -> usize;
    /// Multiply-adds of `down` and `up` for one row, as the backends run them.
    fn work(&self) -> usize;
    /// The code `z` `[code_len]` of one row `x` `[in]`.
    fn down(&self, x: &[f64]) -> Vec<f64>;
    /// `[out]` numbers from the code of one row; `up(down(x)) = f(factors) x`.
    fn up(&self, z: &[f64]) -> Vec<f64>;
    /// Writes row `i` of `f(factors)` `[in]`, without the scale. Whole weights of large models do
    /// not fit in memory as f64; a row does.
    fn row(&self, i: usize, row: &mut [f64]);
    /// `f(factors)` `[out, in]`, row-major, without the scale.
    fn materialise(&self) -> Vec<f64> {
        let [out, inputs] = self.shape();
        let mut dw = vec![0.0; out * inputs];
        for (i, row) in dw.chunks_exact_mut(inputs).enumerate() {
            self.row(i, row);
        }
        dw
    }
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

/// One adapter file or folder: what it does to each part of the base.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Adapter {
    /// Deltas by the module path of the base model, without prefix (`model.layers.0.mlp.up_proj`);
    /// those of experts by parameter and number (`model.layers.0.mlp.experts.down_proj.7`).
    pub deltas: BTreeMap<String, Delta>,
    /// Tensors that take the place of the base's, by full name (`classifier.weight`): PEFT's
    /// `modules_to_save`.
    pub replaced: BTreeMap<String, Tensor>,
    /// Rows of embedding tables that take the place of the base's, by the table's full name:
    /// PEFT's trainable tokens.
    pub rows: BTreeMap<String, Rows>,
    /// What the reader had to guess or wants to tell.
    pub warnings: Vec<Warning>,
}

/// Some rows of an embedding table. PEFT calls them a delta, but they are the rows themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    indices: Vec<usize>,
    values: Tensor,
}

impl Rows {
    /// Row `indices[i]` of a table `[tokens, width]` is row `i` of `values` `[indices, width]`. No
    /// index may come twice.
    pub fn new(indices: Vec<usize>, values: Tensor) -> Result<Self> {
        if values.shape().len() != 2 || values.shape()[0] != indices.len() {
            let what = "trained rows of an embedding";
            return Err(Error::ShapeMismatch {
                what: what.into(),
                expected: format!("[{}, width]", indices.len()),
                got: format!("{:?}", values.shape()),
            });
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = indices.iter().find(|index| !seen.insert(**index)) {
            return Err(Error::argument("token indices", "each once", format!("{twice} twice")));
        }
        Ok(Self { indices, values })
    }

    /// Which tokens.
    #[must_use]
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// Their rows, `[indices, width]`.
    #[must_use]
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// Moves the rows of a table from the base's (strength 0) to these (strength 1), rounded once to
    /// the table's dtype.
    pub fn merge(&self, table: &Tensor, strength: f64) -> Result<Tensor> {
        let &[tokens, width] = table.shape() else {
            return Err(Error::shape("embedding table", &[0, 0], table.shape()));
        };
        if self.values.shape()[1] != width {
            let got = [tokens, self.values.shape()[1]];
            return Err(Error::shape("trained rows of an embedding", &[tokens, width], &got));
        }
        let mut merged = table.clone();
        for (i, &token) in self.indices.iter().enumerate() {
            if token >= tokens {
                return Err(Error::argument("token index", format!("below {tokens}"), token));
            }
            for j in 0..width {
                let (at, base) = (token * width + j, f64::from(table.at(token * width + j)));
                let new = f64::from(self.values.at(i * width + j));
                // Not `base + 1 * (new - base)`, which rounds.
                let value = if strength == 1.0 { new } else { base + strength * (new - base) };
                merged.put(at, value, "merged row")?;
            }
        }
        Ok(merged)
    }
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

/// `y = left m` for one row `left` `[k]` and `m` `[k, n]`, in f64.
pub(crate) fn row_product(left: impl Iterator<Item = f64>, m: &Matrix, y: &mut [f64]) {
    y.fill(0.0);
    for (k, left) in left.enumerate() {
        for (y, &right) in y.iter_mut().zip(m.row(k)) {
            *y += left * f64::from(right);
        }
    }
}

/// Inner product of a factor's row and a vector, in f64.
pub(crate) fn dot(row: &[f32], x: &[f64]) -> f64 {
    row.iter().zip(x).map(|(&a, &b)| f64::from(a) * b).sum()
}
