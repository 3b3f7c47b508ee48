//! A Llama model in a folder: `config.json` and `model.safetensors`, with the tensor names of
//! transformers (`models/llama/modeling_llama.py`).

use std::collections::BTreeMap;

use super::look::short;
use super::{Files, LlamaConfig, Tensors};
use crate::tensor::Tensor;
use crate::{Error, Result};

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// A base model: its config and exactly the tensors that the config asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Sizes and settings.
    pub config: LlamaConfig,
    /// Tensors by their full name (`model.layers.0.mlp.up_proj.weight`), in their stored dtype; the
    /// shapes are those of [`Checkpoint::shapes`], and all numbers are finite. No `lm_head.weight`
    /// where the embeddings are tied.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Checkpoint {
    /// The model in a folder. Every tensor is used, or named in the error.
    pub fn read(files: &Files<'_>) -> Result<Self> {
        let (name, bytes) = files.get("config.json")?;
        let config = LlamaConfig::parse(name, bytes)?;
        let index = "model.safetensors.index.json";
        if !files.has("model.safetensors") && files.has(index) {
            return Err(Error::Unsupported {
                what: "a model in several files".into(),
                got: index.into(),
                supported: "one model.safetensors".into(),
            });
        }
        let (name, bytes) = files.get("model.safetensors")?;
        Self::from_tensors(config, &Tensors::parse(name, bytes)?)
    }

    fn from_tensors(config: LlamaConfig, file: &Tensors<'_>) -> Result<Self> {
        let shapes = Self::shapes(&config);
        for name in file.names() {
            if !shapes.contains_key(&name) && !is_ignored(&name) {
                check_tied_head(&config, file, &name)?;
            }
        }
        let mut tensors = BTreeMap::new();
        for (name, expected) in shapes {
            let Some(got) = file.shape(&name) else {
                let module = name.strip_suffix(".weight").unwrap_or(&name).to_owned();
                return Err(Error::MissingTensor { module, tensor: name });
            };
            if got != expected {
                return Err(Error::shape(format!("tensor {name}"), &expected, got));
            }
            let tensor = file.get(&name)?;
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

    /// Names and shapes (`[out, in]`, or `[hidden]` for norms) of all tensors of such a model.
    #[must_use]
    pub fn shapes(config: &LlamaConfig) -> BTreeMap<String, Vec<usize>> {
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
            for (part, shape) in [
                ("input_layernorm", &[hidden][..]),
                ("post_attention_layernorm", &[hidden]),
                ("self_attn.q_proj", &[q, hidden]),
                ("self_attn.k_proj", &[kv, hidden]),
                ("self_attn.v_proj", &[kv, hidden]),
                ("self_attn.o_proj", &[hidden, q]),
                ("mlp.gate_proj", &[width, hidden]),
                ("mlp.up_proj", &[width, hidden]),
                ("mlp.down_proj", &[hidden, width]),
            ] {
                add(format!("model.layers.{layer}.{part}.weight"), shape);
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
fn check_tied_head(config: &LlamaConfig, file: &Tensors<'_>, name: &str) -> Result<()> {
    let reason = if name == HEAD {
        let equal = file.shape(EMBEDDING).is_some() && file.get(HEAD)? == file.get(EMBEDDING)?;
        if equal {
            return Ok(());
        }
        "config.json ties the embeddings, but the head differs from the embedding table".to_owned()
    } else if name.ends_with(".bias") {
        "biases are not supported yet".to_owned()
    } else {
        format!(
            "a Llama model of {} layers with tie_word_embeddings {} has no such tensor",
            config.num_hidden_layers, config.tie_word_embeddings
        )
    };
    Err(Error::UnknownTensor { tensor: short(name, 200), reason })
}
