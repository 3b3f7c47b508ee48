//! Bytes to an [`Adapter`](crate::adapter::Adapter) or a [`Checkpoint`]. No files are opened here
//! and no GPU is known: the caller hands over names and bytes.
//!
//! Nothing in a file is trusted. Lengths are checked before anything is allocated from them, every
//! tensor is used or named in an error, and a setting that changes the mathematics and is not built
//! here is refused by name.

mod adapter_file;
mod base;
mod checkpoint;
mod conventions;
mod experts;
mod files;
pub mod gguf;
mod group;
mod json;
mod key;
mod llama;
mod look;
mod lycoris;
mod module;
mod numbers;
mod outline;
mod parts;
pub mod peft;
mod progress;
pub mod safetensors;

pub use adapter_file::{ADAPTER_FILES, AdapterFile, read};
pub use base::Base;
pub use checkpoint::Checkpoint;
pub use conventions::Conventions;
pub use files::Files;
pub use llama::LlamaConfig;
pub use outline::Outline;
pub use parts::Parts;
pub use progress::Progress;
pub use safetensors::Tensors;
