//! `config.json` of a Llama model (transformers `models/llama/configuration_llama.py`; the defaults
//! are its defaults).

use serde_json::Value;

use super::json::{Object, is_off, show};
use crate::{Error, Result};

/// No matrix or cache of a model that is read here has more numbers: sizes fit a 32-bit `usize`.
const MAX_NUMBERS: u64 = (1 << 31) - 1;

/// Sizes and settings of a Llama model.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
    /// Length of one row of activations.
    pub hidden_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; divides the number of query heads.
    pub num_key_value_heads: usize,
    /// Numbers in one head; even.
    pub head_dim: usize,
    /// Width of the gate in the MLP.
    pub intermediate_size: usize,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Added to the mean of squares in RMSNorm.
    pub rms_norm_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Longest sequence the model was made for, in tokens.
    pub max_position_embeddings: usize,
    /// Whether the output head is the embedding table.
    pub tie_word_embeddings: bool,
    /// Token that begins a text.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a text.
    pub eos_token_ids: Vec<u32>,
}

impl LlamaConfig {
    /// Reads `config.json`; `file` is its name for errors.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let json = Object::parse(file, bytes)?;
        check_architecture(&json)?;
        refuse(&json)?;
        let hidden_size = json.need_count("hidden_size", 1, 1 << 16)?;
        let num_attention_heads = json.need_count("num_attention_heads", 1, 1024)?;
        let num_key_value_heads =
            json.count("num_key_value_heads", 1, 1024)?.unwrap_or(num_attention_heads);
        if !num_attention_heads.is_multiple_of(num_key_value_heads) {
            let expected = format!("a divisor of num_attention_heads = {num_attention_heads}");
            return Err(json.bad("num_key_value_heads", expected));
        }
        let config = Self {
            hidden_size,
            num_hidden_layers: json.need_count("num_hidden_layers", 1, 1024)?,
            num_attention_heads,
            num_key_value_heads,
            head_dim: head_dim(&json, hidden_size, num_attention_heads)?,
            intermediate_size: json.need_count("intermediate_size", 1, 1 << 20)?,
            // Token numbers pass through f32, which is exact up to 2^24.
            vocab_size: json.need_count("vocab_size", 1, 1 << 24)?,
            rms_norm_eps: positive(&json, "rms_norm_eps")?.unwrap_or(1e-6) as f32,
            rope_theta: rope_theta(&json)?,
            max_position_embeddings: json
                .count("max_position_embeddings", 1, 1 << 24)?
                .unwrap_or(2048),
            tie_word_embeddings: json.flag("tie_word_embeddings", false)?,
            bos_token_id: tokens(&json, "bos_token_id")?.first().copied(),
            eos_token_ids: tokens(&json, "eos_token_id")?,
        };
        config.check_products(&json)?;
        Ok(config)
    }

    /// Every field is in its range, but a product may still be too large for 32 bits.
    fn check_products(&self, json: &Object) -> Result<()> {
        let kv = self.num_key_value_heads * self.head_dim;
        for (field, a, b) in [
            ("vocab_size", self.vocab_size, self.hidden_size),
            ("intermediate_size", 2 * self.intermediate_size, self.hidden_size),
            (
                "num_attention_heads",
                self.num_attention_heads * self.head_dim + 2 * kv,
                self.hidden_size,
            ),
            ("max_position_embeddings", self.max_position_embeddings, kv),
        ] {
            if a as u64 * b as u64 > MAX_NUMBERS {
                return Err(json.bad(field, format!("{a} * {b} to be at most {MAX_NUMBERS}")));
            }
        }
        Ok(())
    }
}

fn check_architecture(json: &Object) -> Result<()> {
    let supported = || "model_type llama with LlamaForCausalLM".to_owned();
    let refuse = |field: &str, got: String| {
        Err(Error::Unsupported {
            what: format!("{}: {field}", json.file()),
            got,
            supported: supported(),
        })
    };
    match json.text("model_type")? {
        Some("llama") => {}
        Some(other) => return refuse("model_type", other.to_owned()),
        None => return Err(json.bad("model_type", "llama")),
    }
    match json.get("architectures") {
        None => Ok(()),
        Some(Value::Array(list)) if list.iter().any(|v| v == "LlamaForCausalLM") => Ok(()),
        Some(other) => refuse("architectures", show(other)),
    }
}

/// Refuses settings that change the mathematics and are not built here.
fn refuse(json: &Object) -> Result<()> {
    let unsupported = |field: &str, got: &Value, supported: &str| {
        Err(Error::Unsupported {
            what: format!("{}: {field}", json.file()),
            got: show(got),
            supported: supported.to_owned(),
        })
    };
    for field in ["attention_bias", "mlp_bias", "quantization_config"] {
        if let Some(value) = json.get(field).filter(|value| !is_off(value)) {
            return unsupported(field, value, "none");
        }
    }
    if let Some(act) = json.get("hidden_act").filter(|v| v.as_str() != Some("silu")) {
        return unsupported("hidden_act", act, "silu");
    }
    for field in ["rope_scaling", "rope_parameters"] {
        let rope = json.object(field)?;
        // Older files write `type`.
        for key in ["rope_type", "type"] {
            if let Some(kind) = rope.get(key).filter(|v| v.as_str() != Some("default")) {
                return unsupported(&format!("{field}.{key}"), kind, "default");
            }
        }
        // A factor without a type would be a scaling by another name.
        if let Some(factor) = rope.get("factor").filter(|v| v.as_f64() != Some(1.0)) {
            return unsupported(&format!("{field}.factor"), factor, "1");
        }
        if let Some(part) = rope.get("partial_rotary_factor").filter(|v| v.as_f64() != Some(1.0)) {
            return unsupported(&format!("{field}.partial_rotary_factor"), part, "1");
        }
    }
    if let Some(part) = json.get("partial_rotary_factor").filter(|v| v.as_f64() != Some(1.0)) {
        return unsupported("partial_rotary_factor", part, "1");
    }
    Ok(())
}

/// `head_dim`, or `hidden_size / num_attention_heads`. Rotary positions turn pairs: it is even.
fn head_dim(json: &Object, hidden: usize, heads: usize) -> Result<usize> {
    if let Some(size) = json.count("head_dim", 2, 1024)? {
        return if size.is_multiple_of(2) {
            Ok(size)
        } else {
            Err(json.bad("head_dim", "an even number"))
        };
    }
    let size = hidden / heads;
    if !hidden.is_multiple_of(heads) || !size.is_multiple_of(2) || size == 0 || size > 1024 {
        let expected =
            format!("an even multiple of num_attention_heads = {heads}, at most 1024 times");
        return Err(json.bad("hidden_size", expected));
    }
    Ok(size)
}

fn positive(json: &Object, field: &str) -> Result<Option<f64>> {
    match json.number(field)? {
        // Positive as f32 too, since that is what the kernels use.
        Some(x) if x as f32 <= 0.0 => Err(json.bad(field, "a positive number")),
        x => Ok(x),
    }
}

/// transformers 5 writes it inside `rope_parameters`, which then holds.
fn rope_theta(json: &Object) -> Result<f64> {
    let inner = positive(&json.object("rope_parameters")?, "rope_theta")?;
    let outer = positive(json, "rope_theta")?;
    Ok(inner.or(outer).unwrap_or(10_000.0))
}

/// A token number or a list of them.
fn tokens(json: &Object, field: &str) -> Result<Vec<u32>> {
    let token = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
    let list = match json.get(field) {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(token).collect::<Option<Vec<u32>>>(),
        Some(one) => token(one).map(|id| vec![id]),
    };
    list.ok_or_else(|| json.bad(field, "a token number or a list of them"))
}
