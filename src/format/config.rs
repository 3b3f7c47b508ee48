//! `config.json` of a model (transformers `models/NAME/configuration_NAME.py`; the defaults are its
//! defaults).

use serde_json::Value;

use super::json::{Object, is_off, show};
use super::look::short;
use super::{Family, RopeScaling, rope};
use crate::{Error, Result};

/// No matrix or cache of a model that is read here has more numbers: sizes fit a 32-bit `usize`.
const MAX_NUMBERS: u64 = (1 << 31) - 1;

/// The window of Mistral and Qwen where `config.json` does not say one.
const DEFAULT_WINDOW: usize = 4096;

/// A kind of layer in `layer_types`: without a window.
const FULL: &str = "full_attention";

/// Sizes and settings of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// What the model is called; everything it changes is in the other fields.
    pub family: Family,
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
    /// How the rotary frequencies are changed.
    pub rope_scaling: RopeScaling,
    /// Longest sequence the model was made for, in tokens.
    pub max_position_embeddings: usize,
    /// For each block, how many positions a token sees, its own among them; `None` is all.
    pub windows: Vec<Option<usize>>,
    /// Whether the query, key and value projections have biases.
    pub qkv_bias: bool,
    /// Whether the output projection of attention has a bias.
    pub o_bias: bool,
    /// Whether the projections of the MLP have biases.
    pub mlp_bias: bool,
    /// Whether every query and key head is normed before its rotation.
    pub qk_norm: bool,
    /// Whether the output head is the embedding table.
    pub tie_word_embeddings: bool,
    /// Token that begins a text.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a text.
    pub eos_token_ids: Vec<u32>,
}

impl ModelConfig {
    /// Reads `config.json`; `file` is its name for errors.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let json = Object::parse(file, bytes)?;
        let family = family(&json)?;
        refuse(&json, family)?;
        let defaults = family.defaults();
        let hidden_size = json.need_count("hidden_size", 1, 1 << 16)?;
        let num_hidden_layers = json.need_count("num_hidden_layers", 1, 1024)?;
        let num_attention_heads = json.need_count("num_attention_heads", 1, 1024)?;
        // In transformers null means as many as query heads, in every family.
        let absent = defaults.num_key_value_heads.filter(|_| !json.has("num_key_value_heads"));
        let num_key_value_heads =
            json.count("num_key_value_heads", 1, 1024)?.or(absent).unwrap_or(num_attention_heads);
        if !num_attention_heads.is_multiple_of(num_key_value_heads) {
            let expected = format!("a divisor of num_attention_heads = {num_attention_heads}");
            return Err(json.bad("num_key_value_heads", expected));
        }
        let attention_bias = json.flag("attention_bias", false)?;
        let config = Self {
            family,
            hidden_size,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads,
            head_dim: head_dim(&json, defaults.head_dim, hidden_size, num_attention_heads)?,
            intermediate_size: json.need_count("intermediate_size", 1, 1 << 20)?,
            // Token numbers pass through f32, which is exact up to 2^24.
            vocab_size: json.need_count("vocab_size", 1, 1 << 24)?,
            rms_norm_eps: positive(&json, "rms_norm_eps")?.unwrap_or(1e-6) as f32,
            rope_theta: rope::theta(&json)?,
            rope_scaling: rope::scaling(&json)?,
            max_position_embeddings: json
                .count("max_position_embeddings", 1, 1 << 24)?
                .unwrap_or(defaults.max_position_embeddings),
            windows: windows(&json, family, num_hidden_layers)?,
            qkv_bias: attention_bias || family == Family::Qwen2,
            o_bias: attention_bias,
            mlp_bias: json.flag("mlp_bias", false)?,
            qk_norm: family == Family::Qwen3,
            tie_word_embeddings: json.flag("tie_word_embeddings", false)?,
            bos_token_id: tokens(&json, "bos_token_id")?.first().copied(),
            eos_token_ids: tokens(&json, "eos_token_id")?,
        };
        config.check_products(|field, expected| json.bad(field, expected))?;
        Ok(config)
    }

    /// Every field is in its range, but a product may still be too large for 32 bits.
    pub(super) fn check_products(&self, bad: impl Fn(&str, String) -> Error) -> Result<()> {
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
                return Err(bad(field, format!("{a} * {b} to be at most {MAX_NUMBERS}")));
            }
        }
        Ok(())
    }
}

/// The family, where both `model_type` and `architectures` name it.
fn family(json: &Object) -> Result<Family> {
    let refuse = |field: &str, got: String, supported: String| {
        Err(Error::Unsupported { what: format!("{}: {field}", json.file()), got, supported })
    };
    let known = || Family::ALL.map(Family::model_type).join(", ");
    let Some(name) = json.text("model_type")? else {
        return Err(json.bad("model_type", known()));
    };
    let Some(family) = Family::ALL.into_iter().find(|family| family.model_type() == name) else {
        return refuse("model_type", short(name, 100), known());
    };
    let class = family.architecture();
    match json.get("architectures") {
        None => Ok(family),
        Some(Value::Array(list)) if list.iter().any(|v| v == class) => Ok(family),
        Some(other) => refuse("architectures", show(other), class.to_owned()),
    }
}

/// Refuses settings that change the mathematics and are not built here.
fn refuse(json: &Object, family: Family) -> Result<()> {
    let unsupported = |field: &str, got: &Value, supported: &str| {
        Err(Error::Unsupported {
            what: format!("{}: {field}", json.file()),
            got: show(got),
            supported: supported.to_owned(),
        })
    };
    let foreign: &[&str] = match family {
        Family::Llama => &[],
        Family::Qwen3 => &["mlp_bias"],
        Family::Qwen2 | Family::Mistral => &["attention_bias", "mlp_bias"],
    };
    for field in [&["quantization_config"], foreign].concat() {
        if let Some(value) = json.get(field).filter(|value| !is_off(value)) {
            return unsupported(field, value, "none");
        }
    }
    match json.get("hidden_act").filter(|v| v.as_str() != Some("silu")) {
        Some(act) => unsupported("hidden_act", act, "silu"),
        None => Ok(()),
    }
}

/// The window of each layer. Qwen has one only where it is switched on, from a layer on;
/// `layer_types` may name the layers one by one.
fn windows(json: &Object, family: Family, layers: usize) -> Result<Vec<Option<usize>>> {
    let known = json.count("sliding_window", 1, 1 << 24)?;
    // In transformers null means none.
    let window = if json.has("sliding_window") { known } else { Some(DEFAULT_WINDOW) };
    let (window, first) = match family {
        Family::Llama => (None, 0),
        Family::Mistral => (window, 0),
        Family::Qwen2 | Family::Qwen3 => {
            let switched_on = json.flag("use_sliding_window", false)?;
            let first = json.count("max_window_layers", 0, 1 << 24)?.unwrap_or(28);
            (window.filter(|_| switched_on), first)
        }
    };
    let Some(types) = json.get("layer_types") else {
        return Ok((0..layers).map(|layer| window.filter(|_| layer >= first)).collect());
    };
    let bad = || {
        let has = if window.is_some() { "full_attention or sliding_attention" } else { FULL };
        json.bad("layer_types", format!("{has} for each of {layers} layers"))
    };
    let list = types.as_array().filter(|list| list.len() == layers).ok_or_else(bad)?;
    let of_layer = |kind: &Value| match (kind.as_str(), window) {
        (Some(FULL), _) if family != Family::Mistral || window.is_none() => Ok(None),
        (Some("sliding_attention"), Some(_)) => Ok(window),
        _ => Err(bad()),
    };
    list.iter().map(of_layer).collect()
}

/// `head_dim`, or `hidden_size / num_attention_heads`. Rotary positions turn pairs: it is even.
fn head_dim(json: &Object, default: Option<usize>, hidden: usize, heads: usize) -> Result<usize> {
    if let Some(size) = json.count("head_dim", 2, 1024)?.or(default) {
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

pub(super) fn positive(json: &Object, field: &str) -> Result<Option<f64>> {
    match json.number(field)? {
        // Positive as f32 too, since that is what the kernels use.
        Some(x) if x as f32 <= 0.0 => Err(json.bad(field, "a positive number")),
        x => Ok(x),
    }
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
