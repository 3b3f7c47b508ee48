//! A model: its config and its tensors, with the names of transformers (`models/NAME/`).

use std::collections::BTreeMap;

use super::gguf::{self, Gguf};
use super::look::short;
use super::shards::Shards;
use super::{Files, ModelConfig};
use crate::tensor::Tensor;
use crate::{Error, Result};

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// A base model: its config and exactly the tensors that the config asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Sizes and settings.
    pub config: ModelConfig,
    /// Tensors by their full name (`model.layers.0.mlp.up_proj.weight`), in their stored dtype; the
    /// shapes are those of [`Checkpoint::shapes`], and all numbers are finite. No `lm_head.weight`
    /// where the embeddings are tied.
    pub tensors: BTreeMap<String, Tensor>,
}

/// Where the tensors of a model come from, by the names of transformers.
pub(super) trait Source {
    /// Names of all tensors.
    fn names(&self) -> Vec<String>;
    /// Shape of a tensor, slowest dimension first.
    fn shape(&self, name: &str) -> Option<&[usize]>;
    /// A tensor in its stored dtype.
    fn get(&self, name: &str) -> Result<Tensor>;
}

impl Checkpoint {
    /// The model in a folder: `config.json` with `model.safetensors` or the files of
    /// `model.safetensors.index.json`; or one GGUF file and no `config.json`. Every tensor is used,
    /// or named in the error.
    pub fn read(files: &Files<'_>) -> Result<Self> {
        let gguf = files.names().find(|name| name.ends_with(".gguf"));
        if let Some(name) = gguf.filter(|_| !files.has("config.json")) {
            let (name, bytes) = files.get(name)?;
            return gguf::model::read(&Gguf::parse(name, bytes)?);
        }
        let (name, bytes) = files.get("config.json")?;
        let config = ModelConfig::parse(name, bytes)?;
        Self::from_source(config, &Shards::parse(files)?)
    }

    pub(super) fn from_source(config: ModelConfig, source: &impl Source) -> Result<Self> {
        let shapes = Self::shapes(&config);
        for name in source.names() {
            if !shapes.contains_key(&name) && !is_ignored(&name) {
                check_tied_head(&config, source, &name)?;
            }
        }
        let mut tensors = BTreeMap::new();
        for (name, expected) in shapes {
            let Some(got) = source.shape(&name) else {
                let module = name.rsplit_once('.').map_or(&*name, |(module, _)| module).to_owned();
                return Err(Error::MissingTensor { module, tensor: name });
            };
            if got != expected {
                return Err(Error::shape(format!("tensor {name}"), &expected, got));
            }
            let tensor = source.get(&name)?;
            tensor.check_finite(&format!("tensor {name}"))?;
            tensors.insert(name, tensor);
        }
        Ok(Self { config, tensors })
    }

    /// How many numbers the model has; a tied table counts once.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.tensors.values().map(Tensor::len).sum()
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

/// A tied model may carry its head, when it says the same as the embedding table. Anything else
/// beyond the expected names is an error.
fn check_tied_head(config: &ModelConfig, source: &impl Source, name: &str) -> Result<()> {
    let reason = if name == HEAD {
        let equal =
            source.shape(EMBEDDING).is_some() && source.get(HEAD)? == source.get(EMBEDDING)?;
        if equal {
            return Ok(());
        }
        "the config ties the embeddings, but the head differs from the embedding table".to_owned()
    } else if name.ends_with(".bias") {
        "the config asks for no such bias".to_owned()
    } else {
        format!(
            "a {} model of {} layers with tie_word_embeddings {} has no such tensor",
            config.family.model_type(),
            config.num_hidden_layers,
            config.tie_word_embeddings
        )
    };
    Err(Error::UnknownTensor { tensor: short(name, 200), reason })
}
