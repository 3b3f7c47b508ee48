//! The order of the rows of the query and key projections of `llama`. Rotary positions turn pairs
//! of rows of a head: transformers pairs row `j` with row `head_dim / 2 + j`, llama.cpp has the two
//! of a pair side by side, so its converter moves whole rows (gguf.md, `tensor_data_layout`).

use super::Metadata;
use crate::format::ModelConfig;
use crate::tensor::Tensor;
use crate::{Error, Result};

/// How many heads a base model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key and value heads.
    pub key_value: usize,
}

impl Heads {
    /// From the metadata of a base model.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let architecture = metadata.need("general.architecture", Metadata::text)?;
        let key = |name: &str| format!("{architecture}.attention.{name}");
        let query = metadata.need(&key("head_count"), Metadata::u32)?;
        let key_value = metadata.u32(&key("head_count_kv"))?.unwrap_or(query);
        Ok(Self { query: query as usize, key_value: key_value as usize })
    }

    /// The heads of a query or key projection.
    #[must_use]
    pub fn of(self, module: &str) -> usize {
        if module.ends_with(".k_proj") { self.key_value } else { self.query }
    }
}

impl From<&ModelConfig> for Heads {
    fn from(config: &ModelConfig) -> Self {
        Self { query: config.num_attention_heads, key_value: config.num_key_value_heads }
    }
}

/// Whether llama.cpp has the rows of this module (transformers' name) in its own order.
#[must_use]
pub fn is_reordered(architecture: &str, module: &str) -> bool {
    let rotary = [".self_attn.q_proj", ".self_attn.k_proj"];
    architecture == "llama" && rotary.iter().any(|name| module.ends_with(name))
}

/// Rows in llama.cpp's order to transformers' order. A row is `row_len` elements of any kind: the
/// bytes of quantised blocks move whole.
pub fn to_transformers<T: Copy>(rows: &[T], row_len: usize, heads: usize) -> Result<Vec<T>> {
    reorder(rows, row_len, heads, |row, half| row % half * 2 + row / half)
}

/// Rows in transformers' order to llama.cpp's order.
pub fn from_transformers<T: Copy>(rows: &[T], row_len: usize, heads: usize) -> Result<Vec<T>> {
    reorder(rows, row_len, heads, |row, half| row % 2 * half + row / 2)
}

/// [`to_transformers`] of a whole matrix `[out, in]`, or of a bias `[out]`, in any dtype.
pub fn matrix_to_transformers(matrix: &Tensor, heads: usize) -> Result<Tensor> {
    let rows: Vec<usize> = (0..matrix.shape().first().copied().unwrap_or(0)).collect();
    let order = to_transformers(&rows, 1, heads)?;
    matrix.reordered(|row| order[row])
}

/// `source` says which row of a head comes to a place, from the place and half the rows of a head.
fn reorder<T: Copy>(
    rows: &[T],
    row_len: usize,
    heads: usize,
    source: impl Fn(usize, usize) -> usize,
) -> Result<Vec<T>> {
    let pairs = heads.saturating_mul(2);
    let count = rows.len().checked_div(row_len).unwrap_or(0);
    if pairs == 0 || count * row_len != rows.len() || !count.is_multiple_of(pairs) {
        return Err(Error::ShapeMismatch {
            what: "rows of a query or key projection".into(),
            expected: format!("an even number for each of {heads} heads"),
            got: format!("{} elements in rows of {row_len}", rows.len()),
        });
    }
    let half = count / pairs;
    let mut out = Vec::with_capacity(rows.len());
    for row in 0..count {
        let head = row - row % (2 * half);
        let from = (head + source(row - head, half)) * row_len;
        out.extend(&rows[from..from + row_len]);
    }
    Ok(out)
}
