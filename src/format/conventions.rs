//! What a file leaves open, and the caller may know.

use crate::adapter::Axis;

/// How to read what kohya and LyCORIS files do not say. The default of each is what most programs
/// do; a reader that takes it says so in a warning.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conventions {
    /// `alpha` of modules without an `.alpha` tensor; the default is their rank, a scale of 1.
    pub alpha: Option<f64>,
    /// `r` of a LoKr whose factors are both whole, so that alpha over it is the scale, as in PEFT;
    /// the default is a scale of 1, whatever alpha says, as in LyCORIS.
    pub whole_lokr_rank: Option<usize>,
    /// The axis of a `dora_scale` whose shape fits both; the default is the outputs.
    pub dora_axis: Option<Axis>,
}
