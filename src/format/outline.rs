//! What the header of a file tells of a module.

use crate::adapter::{Delta, Layer};

/// A module of an adapter file, as far as shapes and settings tell it. Reading the numbers gives the
/// same answers.
#[derive(Debug, Clone)]
pub struct Outline {
    delta: Delta,
    parameters: usize,
    dtype: &'static str,
}

impl Outline {
    /// `delta` holds shapes without numbers.
    pub(super) fn new(delta: Delta, parameters: usize, dtype: &'static str) -> Self {
        Self { delta, parameters, dtype }
    }

    /// Of a delta that is in memory, whose factors are F32 then.
    #[must_use]
    pub fn of(delta: Delta) -> Self {
        let magnitude = delta.magnitude.as_ref().map_or(0, |m| m.values.len());
        let bias = delta.bias.as_ref().map_or(0, Vec::len);
        let parameters = delta.method().parameters() + magnitude + bias;
        Self { delta, parameters, dtype: "F32" }
    }

    /// `LoRA`, `LoHa`, `LoKr`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.delta.factors.name()
    }

    /// `[out, in]`; a convolution's kernel counts into `in`.
    #[must_use]
    pub fn shape(&self) -> [usize; 2] {
        self.delta.method().shape()
    }

    /// What the module changes.
    #[must_use]
    pub fn layer(&self) -> &Layer {
        &self.delta.layer
    }

    /// `r` as configured, or as the shapes tell it.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.delta.rank
    }

    /// `alpha` of this module.
    #[must_use]
    pub fn alpha(&self) -> f32 {
        self.delta.alpha
    }

    /// The one number that multiplies the product.
    #[must_use]
    pub fn scale(&self) -> f32 {
        self.delta.scale
    }

    /// How many numbers its tensors hold: factors, magnitude, bias.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// The largest rank that `dW` can have; DoRA's magnitude is not in it.
    #[must_use]
    pub fn rank_bound(&self) -> usize {
        self.delta.method().rank_bound()
    }

    /// The stored factors by PEFT's names, with their shapes.
    #[must_use]
    pub fn tensors(&self) -> Vec<(&'static str, Vec<usize>)> {
        self.delta.method().tensors()
    }

    /// Whether a DoRA magnitude comes with the factors.
    #[must_use]
    pub fn has_magnitude(&self) -> bool {
        self.delta.magnitude.is_some()
    }

    /// Whether a `lora_bias` comes with the factors.
    #[must_use]
    pub fn has_bias(&self) -> bool {
        self.delta.bias.is_some()
    }

    /// The type that the factors are stored as; `mixed` where they differ.
    #[must_use]
    pub fn dtype(&self) -> &'static str {
        self.dtype
    }
}
