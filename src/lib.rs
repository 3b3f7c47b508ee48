//! Lokahi runs and explains low-rank adapters (LoRA, LoHa, LoKr) on small models, in the browser
//! and natively.
//!
//! Every adapter is a small *down* and a small *up*: for one weight `W` `[out, in]` and one input
//! row `x`, `z = down(x)` is a short code and `y += scale * up(z)`. The product `dW` is never
//! needed to run an adapter.
//!
//! The house, from the ground up; imports run one way:
//!
//! | room | what is in it |
//! |---|---|
//! | [`tensor`] | shapes, dtypes, 16-bit and quantised numbers to f32 |
//! | [`adapter`] | the mathematics of each method; no files, no GPU |
//! | [`analysis`] | parameter counts, rank bounds, spectra and measured ranks |
//! | [`mod@format`] | bytes to [`adapter::Adapter`]: safetensors, PEFT folders, GGUF |
//! | [`backend`] | the trait that [`cpu`] and [`gpu`] implement |
//! | [`memory`] | what a backend holds, counted |
//! | [`model`] | small transformers, written once over a backend |
//! | `web` | the wasm-bindgen skin (wasm only) |

pub mod adapter;
pub mod analysis;
pub mod backend;
pub mod cpu;
pub mod error;
pub mod format;
pub mod gpu;
pub mod memory;
pub mod model;
pub mod tensor;
#[cfg(target_arch = "wasm32")]
pub mod web;

pub use error::{Error, Result};
