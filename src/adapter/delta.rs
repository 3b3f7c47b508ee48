//! The change of one weight, and how it is merged into it.

use std::collections::BTreeMap;

use super::{Axis, Factors, Magnitude, Method, dora::gain};
use crate::{Error, Result, tensor::Tensor};

/// The kind of layer that a delta changes: how its weight is shaped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Layer {
    /// `[out, in]`. GPT-2's Conv1D stores `[in, out]`; only the base tells.
    #[default]
    Linear,
    /// `[out, in / groups, kernel...]`; the factors hold the kernel inside `in`.
    Conv {
        /// Lengths of the kernel, as many as the convolution has dimensions.
        kernel: Vec<usize>,
    },
    /// A table `[tokens, width]`: `dW` is `[width, tokens]` and is stored transposed.
    Embedding,
    /// One matrix of a parameter that holds those of all experts.
    Expert(Expert),
}

/// A place in a fused parameter (PEFT's `target_parameters`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expert {
    /// Which expert.
    pub index: usize,
    /// How many experts the parameter holds.
    pub count: usize,
    /// Whether it is `[count, in, out]`; else `[count, out, in]`.
    pub transposed: bool,
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
    /// What it changes.
    pub layer: Layer,
    /// DoRA: the trained lengths.
    pub magnitude: Option<Magnitude>,
    /// PEFT's `lora_bias` `[out]`: `scale * bias` is added to the bias of the layer.
    pub bias: Option<Vec<f32>>,
}

/// How a base stores a weight, against the `[out, in]` of a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orientation {
    /// As the delta has it.
    Straight,
    /// `[in, out]`: embeddings, GPT-2's Conv1D.
    Transposed,
}

impl Delta {
    /// The delta of a Linear weight, without magnitude or bias.
    #[must_use]
    pub fn new(factors: Factors, rank: usize, alpha: f32, scale: f32) -> Self {
        Self { factors, rank, alpha, scale, layer: Layer::Linear, magnitude: None, bias: None }
    }

    /// The method's verbs.
    #[must_use]
    pub fn method(&self) -> &dyn Method {
        self.factors.method()
    }

    /// Full name of the base's tensor that a delta of this name changes: `name.weight`, or what stands
    /// before the expert's number.
    #[must_use]
    pub fn tensor(&self, name: &str) -> String {
        match (&self.layer, name.rsplit_once('.')) {
            (Layer::Expert(_), Some((parameter, _))) => parameter.to_owned(),
            _ => format!("{name}.weight"),
        }
    }

    /// Shape of the weight as the base usually stores it: `[out, in]`, `[out, in, kernel...]`,
    /// `[tokens, width]` of an embedding, or that of the parameter of all experts.
    #[must_use]
    pub fn weight_shape(&self) -> Vec<usize> {
        let [out, inputs] = self.method().shape();
        match &self.layer {
            Layer::Linear => vec![out, inputs],
            Layer::Embedding => vec![inputs, out],
            Layer::Expert(Expert { count, transposed: false, .. }) => vec![*count, out, inputs],
            Layer::Expert(Expert { count, transposed: true, .. }) => vec![*count, inputs, out],
            Layer::Conv { kernel } => {
                [&[out, inputs / self.kernel_size()], kernel.as_slice()].concat()
            }
        }
    }

    /// Numbers in the kernel; 1 where there is none.
    #[must_use]
    pub fn kernel_size(&self) -> usize {
        match &self.layer {
            Layer::Conv { kernel } => kernel.iter().product::<usize>().max(1),
            _ => 1,
        }
    }

    /// How a base weight of `shape` lies against this delta. Flat factors of a convolution do not
    /// tell its kernel, so everything behind the first dimension counts as `in`. `conv1d` says
    /// whether the base keeps Linear weights as `[in, out]`, which decides for square ones.
    pub fn orientation(&self, shape: &[usize], conv1d: bool) -> Result<Orientation> {
        let [out, inputs] = self.method().shape();
        let straight = shape.first() == Some(&out)
            && shape.len() >= 2
            && shape[1..].iter().try_fold(1, |n: usize, &d| n.checked_mul(d)) == Some(inputs);
        let transposed = shape == [inputs, out];
        match (&self.layer, straight, transposed) {
            (Layer::Expert(Expert { index, count, .. }), ..) if index >= count => {
                Err(Error::argument("expert", format!("a number below {count}"), index))
            }
            (Layer::Expert(Expert { transposed: true, .. }), ..)
                if shape == self.weight_shape() =>
            {
                Ok(Orientation::Transposed)
            }
            (Layer::Expert(_), ..) if shape == self.weight_shape() => Ok(Orientation::Straight),
            (Layer::Embedding, _, true) => Ok(Orientation::Transposed),
            (Layer::Linear, true, true) if conv1d => Ok(Orientation::Transposed),
            (Layer::Linear | Layer::Conv { .. }, true, _) => Ok(Orientation::Straight),
            (Layer::Linear, false, true) => Ok(Orientation::Transposed),
            _ => Err(Error::shape("base weight", &self.weight_shape(), shape)),
        }
    }

    /// `dW` `[out, in]`, row-major, scale included; without a magnitude, which needs the base.
    #[must_use]
    pub fn materialise(&self) -> Vec<f64> {
        let mut dw = self.method().materialise();
        dw.iter_mut().for_each(|v| *v *= f64::from(self.scale));
        dw
    }

    /// `dW x` for one row `x` `[in]`, through the code; `[out]`. Without a magnitude.
    #[must_use]
    pub fn apply(&self, x: &[f64]) -> Vec<f64> {
        let mut y = self.method().up(&self.method().down(x));
        y.iter_mut().for_each(|v| *v *= f64::from(self.scale));
        y
    }

    /// Row `i` of `dW`, scale included.
    fn row(&self, i: usize, row: &mut [f64]) {
        self.method().row(i, row);
        row.iter_mut().for_each(|v| *v *= f64::from(self.scale));
    }

    /// `W + strength * (W' - W)` for a weight of any layout, in its own dtype, rounded once from
    /// f64. `W' = W + dW`, or what DoRA makes of it.
    pub fn merge(&self, weight: &Tensor, strength: f64, conv1d: bool) -> Result<Tensor> {
        merge(weight, &[(self, strength)], conv1d)
    }
}

/// Merges several deltas into one weight. Each sees the base and itself alone, so their order does
/// not matter; a sum that leaves the range of the dtype is an error. Deltas of several experts may
/// come together.
pub fn merge(weight: &Tensor, deltas: &[(&Delta, f64)], conv1d: bool) -> Result<Tensor> {
    let mut merged = weight.clone();
    let mut slices: BTreeMap<usize, Vec<(&Delta, f64)>> = BTreeMap::new();
    for &(delta, strength) in deltas {
        delta.orientation(weight.shape(), conv1d)?;
        // Nothing is added, not even 0: that would make 0 of -0.
        if strength == 0.0 {
            continue;
        }
        let index = match delta.layer {
            Layer::Expert(expert) => expert.index,
            _ => 0,
        };
        slices.entry(index).or_default().push((delta, strength));
    }
    for (index, deltas) in slices {
        merge_slice(weight, &mut merged, index, &deltas, conv1d)?;
    }
    Ok(merged)
}

/// Merges deltas of one shape into the matrix at `index` of the weight.
fn merge_slice(
    weight: &Tensor,
    merged: &mut Tensor,
    index: usize,
    deltas: &[(&Delta, f64)],
    conv1d: bool,
) -> Result<()> {
    let Some((first, _)) = deltas.first() else { return Ok(()) };
    let orientation = first.orientation(weight.shape(), conv1d)?;
    for (delta, _) in deltas {
        if delta.orientation(weight.shape(), conv1d)? != orientation {
            return Err(Error::shape("delta of one weight", weight.shape(), &delta.weight_shape()));
        }
    }
    let [out, inputs] = first.method().shape();
    let slice = index * out * inputs;
    // Place of `[i, j]` of the deltas in the stored weight.
    let place = |i: usize, j: usize| match orientation {
        Orientation::Straight => slice + i * inputs + j,
        Orientation::Transposed => slice + j * out + i,
    };
    let base = |i: usize, j: usize| f64::from(weight.at(place(i, j)));
    let runs = deltas
        .iter()
        .map(|&(delta, strength)| Run::new(delta, strength, base))
        .collect::<Result<Vec<_>>>()?;
    let (mut sum, mut row) = (vec![0.0; inputs], vec![0.0; inputs]);
    for i in 0..out {
        sum.iter_mut().enumerate().for_each(|(j, v)| *v = base(i, j));
        for run in &runs {
            run.add(i, &mut row, &mut sum, base);
        }
        for (j, &v) in sum.iter().enumerate() {
            if !merged.set(place(i, j), v) && base(i, j).is_finite() {
                return Err(Error::NotFinite {
                    what: format!("merged weight in {}", weight.dtype().name()),
                    index: place(i, j),
                    value: v.to_string(),
                });
            }
        }
    }
    Ok(())
}

/// One delta while it is merged.
struct Run<'a> {
    delta: &'a Delta,
    strength: f64,
    /// `magnitude / |W + dW|` of each input channel, for [`Axis::In`].
    columns: Vec<f64>,
}

impl<'a> Run<'a> {
    fn new(delta: &'a Delta, strength: f64, base: impl Fn(usize, usize) -> f64) -> Result<Self> {
        let mut columns = Vec::new();
        if let Some(magnitude) = &delta.magnitude {
            let ([out, inputs], kernel) = (delta.method().shape(), delta.kernel_size());
            magnitude.check(out, inputs / kernel)?;
            if magnitude.axis == Axis::In {
                let mut squares = vec![0.0; inputs / kernel];
                let mut row = vec![0.0; inputs];
                for i in 0..out {
                    delta.row(i, &mut row);
                    for (j, d) in row.iter().enumerate() {
                        squares[j / kernel] += (base(i, j) + d).powi(2);
                    }
                }
                columns = magnitude.values.iter().zip(squares).map(|(&m, s)| gain(m, s)).collect();
            }
        }
        Ok(Self { delta, strength, columns })
    }

    /// Adds `strength * (W' - W)` of row `i` to `sum`.
    fn add(&self, i: usize, row: &mut [f64], sum: &mut [f64], base: impl Fn(usize, usize) -> f64) {
        self.delta.row(i, row);
        match &self.delta.magnitude {
            None => sum.iter_mut().zip(row).for_each(|(y, d)| *y += self.strength * *d),
            Some(magnitude) => {
                row.iter_mut().enumerate().for_each(|(j, d)| *d += base(i, j));
                let kernel = self.delta.kernel_size();
                match magnitude.axis {
                    Axis::Out => {
                        let gain = gain(magnitude.values[i], row.iter().map(|v| v * v).sum());
                        row.iter_mut().for_each(|v| *v *= gain);
                    }
                    Axis::In => {
                        row.iter_mut()
                            .enumerate()
                            .for_each(|(j, v)| *v *= self.columns[j / kernel]);
                    }
                }
                for (j, (y, v)) in sum.iter_mut().zip(row.iter()).enumerate() {
                    *y += self.strength * (v - base(i, j));
                }
            }
        }
    }
}
