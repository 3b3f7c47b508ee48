//! What a model is and where its numbers lie: all that the headers of its files tell.

use std::collections::BTreeMap;
use std::ops::Range;

use super::ModelConfig;
use super::gguf::{self, GgmlType, rope_order::matrix_to_transformers};
use super::look::short;
use super::safetensors::Header;
use super::shards::{self, Index};
use crate::tensor::Tensor;
use crate::{Error, Result};

pub(super) const EMBEDDING: &str = "model.embed_tokens.weight";
pub(super) const HEAD: &str = "lm_head.weight";

/// The config of a model and the place of every tensor that it asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    pub(super) config: ModelConfig,
    /// For each file, its tensors in the order of their bytes.
    pub(super) files: Vec<Vec<Place>>,
    /// Whether a tied model carries its head all the same.
    pub(super) has_twin: bool,
}

/// Where a tensor lies and what its bytes are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// By transformers.
    pub name: String,
    pub file: usize,
    pub range: Range<u64>,
    pub shape: Vec<usize>,
    /// ggml's types hold those of safetensors that are read here.
    pub kind: GgmlType,
    /// How many heads the rows belong to, where they are in llama.cpp's order.
    pub heads: Option<usize>,
}

impl Place {
    /// The tensor in its stored dtype (Q4_0 as Q4_1), with the rows in transformers' order, all of
    /// them finite.
    pub fn tensor(&self, bytes: &[u8]) -> Result<Tensor> {
        let data = self.kind.numbers(bytes).ok_or_else(|| self.unsupported())?;
        let tensor = Tensor::new(self.shape.clone(), data)?;
        tensor.check_finite(&format!("tensor {}", self.name))?;
        match self.heads {
            None => Ok(tensor),
            Some(heads) => matrix_to_transformers(&tensor, heads),
        }
    }

    fn unsupported(&self) -> Error {
        Error::Unsupported {
            what: format!("type of tensor {}", self.name),
            got: self.kind.name().to_owned(),
            supported: "F32, F16, BF16; in GGUF Q8_0, Q4_0, Q4_1 too".into(),
        }
    }
}

impl Layout {
    /// A model in safetensors files, by their headers; an index must say the same as they do.
    pub fn safetensors(
        config: ModelConfig,
        files: &[Header],
        index: Option<&Index>,
    ) -> Result<Self> {
        Self::new(config, files.len(), shards::places(files, index)?)
    }

    /// A model in a GGUF file, by its header; `scalars` are the bytes of
    /// [`gguf::model::scalars`], empty where there are none.
    pub fn gguf(header: &gguf::Header, scalars: &[u8]) -> Result<Self> {
        let (config, places) = gguf::model::read(header, scalars)?;
        Self::new(config, 1, places)
    }

    /// Sizes and settings.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Bytes of all numbers.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().flatten().map(|place| place.range.end - place.range.start).sum()
    }

    fn new(config: ModelConfig, files: usize, mut places: BTreeMap<String, Place>) -> Result<Self> {
        let shapes = Self::shapes(&config);
        let mut has_twin = false;
        for name in places.keys().filter(|name| !shapes.contains_key(*name)) {
            has_twin |= *name == HEAD;
            if !is_ignored(name) && *name != HEAD {
                return Err(unknown(&config, name));
            }
        }
        let mut layout = Self { files: vec![Vec::new(); files], has_twin, config };
        let head =
            has_twin.then(|| (HEAD.to_owned(), shapes.get(EMBEDDING).cloned().unwrap_or_default()));
        for (name, expected) in shapes.into_iter().chain(head) {
            let Some(place) = places.remove(&name) else {
                return Err(Error::missing(name));
            };
            if place.shape != expected {
                return Err(Error::shape(format!("tensor {name}"), &expected, &place.shape));
            }
            if let GgmlType::Other(_) = place.kind {
                return Err(place.unsupported());
            }
            layout.files[place.file].push(place);
        }
        for file in &mut layout.files {
            file.sort_unstable_by_key(|place| place.range.start);
        }
        Ok(layout)
    }

    /// Names and shapes (`[out, in]`, `[out]` for biases, `[hidden]` or `[head_dim]` for norms) of
    /// all tensors of such a model.
    #[must_use]
    pub fn shapes(config: &ModelConfig) -> BTreeMap<String, Vec<usize>> {
        let (hidden, width) = (config.hidden_size, config.intermediate_size);
        let q = config.num_attention_heads * config.head_dim;
        let kv = config.num_key_value_heads * config.head_dim;
        let mut shapes = BTreeMap::new();
        let mut add = |name: String, shape: &[usize]| shapes.insert(name, shape.to_vec());
        add(EMBEDDING.to_owned(), &[config.vocab_size, hidden]);
        add("model.norm.weight".to_owned(), &[hidden]);
        if !config.tie_word_embeddings {
            add(HEAD.to_owned(), &[config.vocab_size, hidden]);
        }
        for layer in 0..config.num_hidden_layers {
            let path = format!("model.layers.{layer}");
            for (part, out, inputs, bias) in [
                ("self_attn.q_proj", q, hidden, config.qkv_bias),
                ("self_attn.k_proj", kv, hidden, config.qkv_bias),
                ("self_attn.v_proj", kv, hidden, config.qkv_bias),
                ("self_attn.o_proj", hidden, q, config.o_bias),
                ("mlp.gate_proj", width, hidden, config.mlp_bias),
                ("mlp.up_proj", width, hidden, config.mlp_bias),
                ("mlp.down_proj", hidden, width, config.mlp_bias),
            ] {
                add(format!("{path}.{part}.weight"), &[out, inputs]);
                if bias {
                    add(format!("{path}.{part}.bias"), &[out]);
                }
            }
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                add(format!("{path}.{norm}.weight"), &[hidden]);
            }
            if config.qk_norm {
                for norm in ["self_attn.q_norm", "self_attn.k_norm"] {
                    add(format!("{path}.{norm}.weight"), &[config.head_dim]);
                }
            }
        }
        shapes
    }
}

/// Old files carry the rotary frequencies, which follow from the config.
fn is_ignored(name: &str) -> bool {
    name.ends_with(".rotary_emb.inv_freq")
}

/// The error of a tensor beyond the expected ones.
fn unknown(config: &ModelConfig, name: &str) -> Error {
    let reason = if name.ends_with(".bias") {
        "the config asks for no such bias".to_owned()
    } else {
        format!(
            "a {} model of {} layers with tie_word_embeddings {} has no such tensor",
            config.family.model_type(),
            config.num_hidden_layers,
            config.tie_word_embeddings
        )
    };
    Error::UnknownTensor { tensor: short(name, 200), reason }
}
