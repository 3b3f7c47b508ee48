//! Bytes to an [`Adapter`](crate::adapter::Adapter) or a [`Checkpoint`]. No files are opened here
//! and no GPU is known: the caller hands over names and bytes.
//!
//! Nothing in a file is trusted. Lengths are checked before anything is allocated from them, every
//! tensor is used or named in an error, and a setting that changes the mathematics and is not built
//! here is refused by name.

mod checkpoint;
mod config;
mod family;
mod files;
pub mod gguf;
mod json;
mod look;
mod module;
mod numbers;
pub mod peft;
mod rope;
mod safetensors;
mod shards;

pub use checkpoint::Checkpoint;
pub use config::ModelConfig;
pub use family::Family;
pub use files::Files;
pub use rope::RopeScaling;
pub use safetensors::Tensors;
