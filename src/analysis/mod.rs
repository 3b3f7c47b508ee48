//! What an adapter costs and what it can reach: parameter counts and rank bounds from shapes alone
//! ([`count()`]), the spectrum and the directions of `dW` ([`singular_values`], [`directions`]) and
//! the ranks it has ([`ranks`], [`measure`]), what is wrong with it ([`findings`]), and the best
//! LoRA of a rank for it ([`resize`](resize())) or for a sum of several ([`combine_svd`]).
//!
//! | word | meaning |
//! |---|---|
//! | rank bound | the largest rank that the shapes of the factors allow |
//! | numerical rank | how many singular values lie above a threshold |
//! | stable rank | `\|dW\|_F^2 / sigma_1^2` |
//! | entropy rank | `exp(H(p))`, `p_i = sigma_i^2 / sum sigma^2`, `H` in nats |
//!
//! A new method needs one variant of [`Recipe`] with its shapes and one arm in [`directions`].

mod combine;
mod count;
mod directions;
mod measures;
mod rank;
mod resize;
mod svd;

pub use combine::combine_svd;
pub use count::{LokrRecipe, ParameterCount, Recipe, TensorShape, count};
pub use directions::{Directions, directions, singular_values};
pub use measures::{Finding, FindingKind, Measures, findings, measure, tensor_findings};
pub use rank::{
    Ranks, default_threshold, energy_share, entropy_rank, frobenius_norm, numerical_rank, ranks,
    spectral_norm, stable_rank, threshold_or_default,
};
pub use resize::{Resized, Rule, rank_by, resize};
