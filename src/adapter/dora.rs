//! DoRA: the direction of `W + dW` with a trained length for each row or column (Liu et al. 2024,
//! arXiv 2402.09353; PEFT `tuners/lora/dora.py`; LyCORIS `dora_scale`).
//!
//! `W' = magnitude / |W + dW| * (W + dW)`, where the norm runs over everything but the axis of the
//! magnitude. The user's strength moves from `W` to `W'` in a straight line, so 0 is the base (the
//! form of ComfyUI and A1111; LyCORIS's own multiplier leaves `W + dW` at 0).

use crate::{Error, Result};

/// Which axis of `[out, in]` the magnitude has one number for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// One for each output: PEFT, and LyCORIS since 3.2 (`wd_on_output`).
    Out,
    /// One for each input channel: LyCORIS before.
    In,
}

/// The trained lengths.
#[derive(Debug, Clone, PartialEq)]
pub struct Magnitude {
    /// `[out]` or `[in]`.
    pub values: Vec<f32>,
    /// Which of the two.
    pub axis: Axis,
}

impl Magnitude {
    /// Checks the length against a weight of `out` outputs and `channels` input channels.
    pub(super) fn check(&self, out: usize, channels: usize) -> Result<()> {
        let expected = match self.axis {
            Axis::Out => out,
            Axis::In => channels,
        };
        if self.values.len() == expected {
            return Ok(());
        }
        Err(Error::shape("DoRA magnitude", &[expected], &[self.values.len()]))
    }
}

/// `magnitude / norm`. A row of zeros has no direction: it stays zero (peft#2049, peft#3237).
pub(super) fn gain(magnitude: f32, squares: f64) -> f64 {
    if squares == 0.0 { 1.0 } else { f64::from(magnitude) / squares.sqrt() }
}
