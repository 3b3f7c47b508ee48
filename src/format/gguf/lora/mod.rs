//! LoRA adapters of llama.cpp (`convert_lora_to_gguf.py`, `src/llama-adapter.cpp`): for a weight
//! such as `blk.0.attn_q.weight` the factors `blk.0.attn_q.weight.lora_a` `[r, in]` and `.lora_b`
//! `[out, r]`, and one `adapter.lora.alpha` for all of them.

mod read;
mod write;

pub use read::{read, read_as_stored};
pub use write::{Base, write};

use super::names::ARCHITECTURES;
use super::rope_order::{Heads, is_reordered};
use crate::adapter::Adapter;
use crate::format::look::short;
use crate::tensor::Matrix;
use crate::{Error, Result};

const ARCHITECTURE: &str = "general.architecture";
const ALPHA: &str = "adapter.lora.alpha";
/// What a file says that is such an adapter.
const SIGNS: [(&str, &str); 2] = [("general.type", "adapter"), ("adapter.type", "lora")];
const A: &str = ".lora_a";
const B: &str = ".lora_b";

fn check_architecture(file: &str, architecture: &str) -> Result<()> {
    if ARCHITECTURES.contains(&architecture) {
        return Ok(());
    }
    Err(Error::Unsupported {
        what: format!("{file}: {ARCHITECTURE}"),
        got: short(architecture, 100),
        supported: ARCHITECTURES.join(", "),
    })
}

/// Whether a module of the Llama family (transformers' name) is a Linear layer.
fn is_linear(module: &str) -> bool {
    !module.ends_with("norm") && module != "model.embed_tokens"
}

/// What llama.cpp multiplies the product with, in its own arithmetic.
fn scale(alpha: f32, rank: usize) -> f32 {
    alpha / rank as f32
}

fn reorder(b: &Matrix, order: impl Fn(&[f32], usize) -> Result<Vec<f32>>) -> Result<Matrix> {
    Matrix::new(b.rows(), b.cols(), order(b.data(), b.cols())?)
}

/// Heads of another base would move rows to wrong places without a word. All heads of a model are
/// of one size, q and k alike.
fn check_heads(adapter: &Adapter, architecture: &str, heads: Heads) -> Result<()> {
    let mut first: Option<(usize, &str)> = None;
    for (module, delta) in &adapter.deltas {
        if !is_reordered(architecture, module) {
            continue;
        }
        let [rows, _] = delta.method().shape();
        let size = rows.checked_div(heads.of(module)).unwrap_or(0);
        let (expected, example) = *first.get_or_insert((size, module));
        if size != expected {
            return Err(Error::ShapeMismatch {
                what: format!("module {module}"),
                expected: format!("heads of {expected} rows, as {example} with {heads:?}"),
                got: format!("{rows} rows, which makes heads of {size}"),
            });
        }
    }
    Ok(())
}
