//! Bytes to an [`Adapter`](crate::adapter::Adapter) or a [`Checkpoint`]. No files are opened here
//! and no GPU is known: the caller hands over names and bytes.
//!
//! Nothing in a file is trusted. Lengths are checked before anything is allocated from them, every
//! tensor is used or named in an error, and a setting that changes the mathematics and is not built
//! here is refused by name.

mod adapter_file;
mod base;
mod by_name;
mod checkpoint;
mod config;
mod conventions;
mod experts;
mod family;
mod files;
mod gather;
pub mod gguf;
mod group;
mod json;
mod key;
mod layout;
mod look;
pub mod lycoris;
mod merge;
pub(crate) mod module;
pub(crate) mod numbers;
mod outline;
mod parts;
pub mod peft;
mod progress;
mod rope;
pub mod safetensors;
mod shards;
mod stored;

pub use adapter_file::{AdapterFile, read};
pub use base::Base;
pub use checkpoint::Checkpoint;
pub use config::ModelConfig;
pub use conventions::Conventions;
pub use family::Family;
pub use files::Files;
pub use gather::Gather;
pub use layout::Layout;
pub use merge::{Embeddings, Merge};
pub use outline::Outline;
pub use parts::Parts;
pub use progress::Progress;
pub use rope::RopeScaling;
pub use safetensors::{Tensors, decode, encode};
pub use shards::Index;
