//! Rotary positions in `config.json`: `rope_parameters` (transformers 5), or `rope_theta` and
//! `rope_scaling` (before it); the kinds of `modeling_rope_utils.py`.

use serde_json::Value;

use super::config::positive;
use super::json::{Object, show};
use crate::{Error, Result};

/// How the frequencies of rotary positions are changed for longer texts.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// Every frequency is divided by the factor.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Llama 3: low frequencies are divided by the factor, high ones stay, between them it is
    /// mixed.
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Frequencies with fewer turns than this in the original context are low.
        low_freq_factor: f64,
        /// Frequencies with more turns than this are high.
        high_freq_factor: f64,
        /// The original context, in tokens.
        original_max_position_embeddings: usize,
    },
    /// Each frequency has a divisor of its own, `[head_dim / 2]`: `rope_freqs` of a GGUF file.
    Divisors(Vec<f32>),
}

/// `rope_theta`, from where transformers looks for it first.
pub(super) fn theta(json: &Object) -> Result<f64> {
    let inner = positive(&json.object("rope_parameters")?, "rope_theta")?;
    let outer = positive(json, "rope_theta")?;
    Ok(inner.or(outer).unwrap_or(10_000.0))
}

/// The scaling of either spelling; two that differ are refused.
pub(super) fn scaling(json: &Object) -> Result<RopeScaling> {
    let [new, old] = ["rope_parameters", "rope_scaling"];
    let (scaling, other) = (read(json, new)?, read(json, old)?);
    match (json.is_on(new), json.is_on(old)) {
        (true, true) if scaling != other => Err(json.bad(old, format!("the same as in {new}"))),
        (true, _) => Ok(scaling),
        (false, _) => Ok(other),
    }
}

fn read(json: &Object, field: &str) -> Result<RopeScaling> {
    let rope = json.object(field)?;
    let unsupported = |key: &str, got: &Value, supported: &str| {
        Err(Error::Unsupported {
            what: format!("{}: {field}.{key}", json.file()),
            got: show(got),
            supported: supported.to_owned(),
        })
    };
    let all = [rope.get("partial_rotary_factor"), json.get("partial_rotary_factor")];
    if let Some(part) = all.into_iter().flatten().find(|v| v.as_f64() != Some(1.0)) {
        return unsupported("partial_rotary_factor", part, "1");
    }
    if let Some((key, per_layer)) = rope.fields().find(|(_, value)| value.is_object()) {
        return unsupported(key, per_layer, "one kind of positions for all layers");
    }
    let mut kind = "default";
    // Older files write `type`.
    for key in ["type", "rope_type"] {
        kind = match rope.text(key)? {
            None => kind,
            Some(known @ ("default" | "linear" | "llama3")) => known,
            Some(_) => {
                let got = rope.get(key).unwrap_or(&Value::Null);
                return unsupported(key, got, "default, linear, llama3");
            }
        };
    }
    let need = |key: &str| positive(&rope, key)?.ok_or_else(|| rope.bad(key, "a positive number"));
    Ok(match kind {
        "linear" => RopeScaling::Linear { factor: need("factor")? },
        "llama3" => {
            let scaling = RopeScaling::Llama3 {
                factor: need("factor")?,
                low_freq_factor: need("low_freq_factor")?,
                high_freq_factor: need("high_freq_factor")?,
                original_max_position_embeddings: original_context(json, &rope)?,
            };
            if need("high_freq_factor")? <= need("low_freq_factor")? {
                return Err(rope.bad("high_freq_factor", "more than low_freq_factor"));
            }
            scaling
        }
        _ => match rope.get("factor").filter(|v| v.as_f64() != Some(1.0)) {
            // A factor without a kind would be a scaling by another name.
            Some(factor) => return unsupported("factor", factor, "1 where there is no rope_type"),
            None => RopeScaling::None,
        },
    })
}

/// Where transformers looks for it: beside the other settings, among them, the longest text.
fn original_context(json: &Object, rope: &Object) -> Result<usize> {
    let field = "original_max_position_embeddings";
    for (object, field) in [(json, field), (rope, field), (json, "max_position_embeddings")] {
        if let Some(tokens) = object.count(field, 1, 1 << 24)? {
            return Ok(tokens);
        }
    }
    Err(rope.bad(field, "a number of tokens"))
}
