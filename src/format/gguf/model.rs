//! Models of llama.cpp (`convert_hf_to_gguf.py`, `src/llama-model.cpp`): the metadata holds what
//! `config.json` holds, and the tensors have other names; `llama` has the rows of q and k in its
//! own order.

use std::collections::BTreeMap;
use std::ops::Range;

use super::rope_order::{Heads, is_reordered};
use super::{Header, Metadata, TensorInfo, names};
use crate::format::layout::Place;
use crate::format::look::short;
use crate::format::{Family, ModelConfig, RopeScaling};
use crate::{Error, Result};

/// The divisors of the rotary frequencies, where Llama 3 has them.
const DIVISORS: &str = "rope_freqs.weight";

/// The settings behind `llama.` that are read here, or say nothing new about a model that is.
const KNOWN: [&str; 18] = [
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "expert_count",
    "expert_used_count",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.type",
    "vocab_size",
];

/// The part of a file that its config needs beside the header.
#[must_use]
pub fn scalars(header: &Header) -> Option<Range<u64>> {
    header.tensors.get(DIVISORS).map(|info| info.range.clone())
}

/// The config of a model, and its tensors by transformers' names. `scalars` are the bytes of
/// [`scalars`], empty where there are none.
pub(in crate::format) fn read(
    header: &Header,
    scalars: &[u8],
) -> Result<(ModelConfig, BTreeMap<String, Place>)> {
    let settings = Settings::of(&header.metadata)?;
    let config = settings.config(header, scalars)?;
    let heads = Heads::from(&config);
    let place = |(stored, info): (&String, &TensorInfo)| {
        // An unknown name stays as it is, for the error.
        let name = names::to_transformers(stored).unwrap_or_else(|| stored.clone());
        // Of a bias as of a weight.
        let module = name.rsplit_once('.').map_or(&*name, |(module, _)| module);
        let heads = is_reordered(settings.architecture, module).then(|| heads.of(module));
        let TensorInfo { shape, kind, range } = info.clone();
        (name.clone(), Place { name, file: 0, range, shape, kind, heads })
    };
    let tensors = header.tensors.iter().filter(|(name, _)| *name != DIVISORS);
    Ok((config, tensors.map(place).collect()))
}

/// The metadata of one architecture, without the front of its keys.
struct Settings<'a> {
    metadata: &'a Metadata,
    architecture: &'a str,
    family: Family,
}

impl<'a> Settings<'a> {
    fn of(metadata: &'a Metadata) -> Result<Self> {
        let key = "general.architecture";
        let architecture = metadata.need(key, Metadata::text)?;
        let family = match architecture {
            // Mistral is `llama` too, and nothing tells them apart.
            "llama" => Family::Llama,
            "qwen2" => Family::Qwen2,
            "qwen3" => Family::Qwen3,
            other => {
                return Err(Error::Unsupported {
                    what: format!("{}: {key}", metadata.file()),
                    got: short(other, 100),
                    supported: names::ARCHITECTURES.join(", "),
                });
            }
        };
        match metadata.text("general.type")? {
            None | Some("model") => Ok(Self { metadata, architecture, family }),
            Some(_) => Err(metadata.bad("general.type", "model")),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn bad(&self, name: &str, expected: impl Into<String>) -> Error {
        self.metadata.bad(&self.key(name), expected)
    }

    fn unsupported(&self, name: &str, got: impl Into<String>, supported: &str) -> Error {
        Error::Unsupported {
            what: format!("{}: {}", self.metadata.file(), self.key(name)),
            got: got.into(),
            supported: supported.into(),
        }
    }

    fn count(&self, name: &str, max: usize) -> Result<Option<usize>> {
        let Some(count) = self.metadata.u32(&self.key(name))? else { return Ok(None) };
        let count = usize::try_from(count).ok().filter(|count| (1..=max).contains(count));
        count.map(Some).ok_or_else(|| self.bad(name, format!("a whole number from 1 to {max}")))
    }

    fn need_count(&self, name: &str, max: usize) -> Result<usize> {
        self.count(name, max)?.ok_or_else(|| self.bad(name, "a value"))
    }

    fn positive(&self, name: &str) -> Result<Option<f32>> {
        match self.metadata.f32(&self.key(name))? {
            Some(x) if x <= 0.0 => Err(self.bad(name, "a positive number")),
            x => Ok(x),
        }
    }

    /// What the file says of the model; the limits are those of `config.json`.
    fn config(&self, header: &Header, scalars: &[u8]) -> Result<ModelConfig> {
        self.check_known()?;
        let has = |name: &str| header.tensors.contains_key(name);
        let hidden_size = self.need_count("embedding_length", 1 << 16)?;
        let num_hidden_layers = self.need_count("block_count", 1024)?;
        let num_attention_heads = self.need_count("attention.head_count", 1024)?;
        let head_count_kv = self.count("attention.head_count_kv", 1024)?;
        let num_key_value_heads = head_count_kv.unwrap_or(num_attention_heads);
        if !num_attention_heads.is_multiple_of(num_key_value_heads) {
            let expected = format!("a divisor of head_count = {num_attention_heads}");
            return Err(self.bad("attention.head_count_kv", expected));
        }
        let token = |name: &str| self.metadata.u32(&format!("tokenizer.ggml.{name}_token_id"));
        let epsilon = "attention.layer_norm_rms_epsilon";
        let head_dim = self.head_dim(hidden_size, num_attention_heads)?;
        let config = ModelConfig {
            family: self.family,
            hidden_size,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            intermediate_size: self.need_count("feed_forward_length", 1 << 20)?,
            vocab_size: self.vocabulary(header)?,
            rms_norm_eps: self.positive(epsilon)?.ok_or_else(|| self.bad(epsilon, "a value"))?,
            rope_theta: f64::from(self.positive("rope.freq_base")?.unwrap_or(10_000.0)),
            rope_scaling: self.rope_scaling(header, scalars, head_dim)?,
            max_position_embeddings: self.need_count("context_length", 1 << 24)?,
            windows: vec![None; num_hidden_layers],
            qkv_bias: self.family == Family::Qwen2 || has("blk.0.attn_q.bias"),
            o_bias: has("blk.0.attn_output.bias"),
            mlp_bias: has("blk.0.ffn_gate.bias"),
            qk_norm: self.family == Family::Qwen3,
            tie_word_embeddings: !has("output.weight"),
            bos_token_id: token("bos")?,
            eos_token_ids: [token("eos")?, token("eot")?].into_iter().flatten().collect(),
        };
        config.check_products(|field, expected| Error::BadConfig {
            file: self.metadata.file().to_owned(),
            field: field.to_owned(),
            expected,
            got: "more".into(),
        })?;
        Ok(config)
    }

    /// A setting that is not known here may change the mathematics.
    fn check_known(&self) -> Result<()> {
        let front = self.key("");
        for (key, _) in self.metadata.iter() {
            if let Some(name) = key.strip_prefix(&front).filter(|name| !KNOWN.contains(name)) {
                return Err(self.unsupported(name, "this setting", "files without it"));
            }
        }
        match self.metadata.u32(&self.key("expert_count"))? {
            None | Some(0) => Ok(()),
            Some(experts) => Err(self.unsupported("expert_count", experts.to_string(), "0")),
        }
    }

    fn head_dim(&self, hidden: usize, heads: usize) -> Result<usize> {
        let size = match self.count("attention.key_length", 1024)? {
            Some(size) => size,
            None if hidden.is_multiple_of(heads) => hidden / heads,
            None => return Err(self.bad("embedding_length", format!("a multiple of {heads}"))),
        };
        if !size.is_multiple_of(2) || size > 1024 {
            return Err(self.bad("attention.key_length", "an even number up to 1024"));
        }
        for name in ["attention.value_length", "rope.dimension_count"] {
            if self.count(name, 1024)?.is_some_and(|other| other != size) {
                return Err(self.bad(name, format!("the length of a head, {size}")));
            }
        }
        Ok(size)
    }

    /// As many tokens as the table has rows.
    fn vocabulary(&self, header: &Header) -> Result<usize> {
        let table = header.info("token_embd.weight")?;
        let rows = table.shape.first().copied().filter(|rows| (1..=1 << 24).contains(rows));
        rows.ok_or_else(|| Error::ShapeMismatch {
            what: "tensor token_embd.weight".into(),
            expected: "1 to 2^24 rows".into(),
            got: format!("{:?}", table.shape),
        })
    }

    fn rope_scaling(
        &self,
        header: &Header,
        scalars: &[u8],
        head_dim: usize,
    ) -> Result<RopeScaling> {
        let (kind, factor) = ("rope.scaling.type", "rope.scaling.factor");
        let old = self.positive("rope.scale_linear")?.filter(|factor| *factor != 1.0);
        let scaling = match (self.metadata.text(&self.key(kind))?, self.positive(factor)?, old) {
            (None | Some("none"), None, None) => RopeScaling::None,
            (Some("linear"), Some(factor), None) | (None, None, Some(factor)) => {
                RopeScaling::Linear { factor: f64::from(factor) }
            }
            (Some("none" | "linear") | None, ..) => {
                return Err(self.bad(factor, "one factor, with rope.scaling.type linear"));
            }
            (Some(other), ..) => return Err(self.unsupported(kind, short(other, 60), "linear")),
        };
        if !header.tensors.contains_key(DIVISORS) {
            return Ok(scaling);
        }
        if scaling != RopeScaling::None {
            return Err(self.unsupported(kind, format!("linear with {DIVISORS}"), "one of them"));
        }
        let tensor = header.tensor(DIVISORS, scalars)?;
        if tensor.shape() != [head_dim / 2] {
            return Err(Error::shape(
                format!("tensor {DIVISORS}"),
                &[head_dim / 2],
                tensor.shape(),
            ));
        }
        tensor.check_finite(&format!("tensor {DIVISORS}"))?;
        let divisors = tensor.to_f32();
        match divisors.iter().find(|divisor| **divisor <= 0.0) {
            None => Ok(RopeScaling::Divisors(divisors)),
            Some(bad) => Err(Error::argument(DIVISORS, "positive divisors", bad)),
        }
    }
}
