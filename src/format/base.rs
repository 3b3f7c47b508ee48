//! A base model as far as an adapter needs it: names and shapes of its weights.
//!
//! Adapters name modules in many ways: with prefixes of the program that saved them, and often with
//! `_` for every `.`. Such a name cannot be taken apart, since modules have `_` in their own names;
//! it is looked up among the names of the base (diffusers#14006, #14080).

use std::collections::BTreeMap;

use super::gguf::{self, rope_order::Heads};
use super::json::Object;
use super::key::is_end;
use crate::{Error, Result};

/// Prefixes of names with `_` for `.`: kohya's (Stable Diffusion and what came after) and LyCORIS's.
const FLAT_PREFIXES: [&str; 8] = [
    "lora_unet_",
    "lora_te1_",
    "lora_te2_",
    "lora_te3_",
    "lora_te_",
    "lora_prior_unet_",
    "lora_transformer_",
    "lycoris_",
];

/// Prefixes of names with dots: diffusers, ComfyUI, ai-toolkit.
const DOTTED_PREFIXES: [&str; 9] = [
    "base_model.model.",
    "model.diffusion_model.",
    "diffusion_model.",
    "transformer.",
    "unet.",
    "text_encoder_2.",
    "text_encoder_3.",
    "text_encoder.",
    "text_encoders.",
];

/// Models of transformers that keep Linear weights as `[in, out]` (`Conv1D`).
const CONV1D_MODELS: [&str; 4] = ["gpt2", "openai-gpt", "imagegpt", "decision_transformer"];

/// Models of transformers whose fused experts are `[experts, in, out]` (`is_transposed`), whatever
/// the version of PEFT.
const TRANSPOSED_EXPERTS: [&str; 3] = ["gpt_oss", "llama4", "llama4_text"];

/// Names and shapes of a base model, and what its config says.
#[derive(Debug, Clone, Default)]
pub struct Base {
    shapes: BTreeMap<String, Vec<usize>>,
    /// Modules by their name with `_` for `.`.
    flat: BTreeMap<String, Vec<String>>,
    model_type: Option<String>,
    tie_word_embeddings: Option<bool>,
    heads: Option<Heads>,
}

impl Base {
    /// From the tensors of a model, over all its files.
    pub fn new(tensors: impl IntoIterator<Item = (String, Vec<usize>)>) -> Result<Self> {
        let mut shapes = BTreeMap::new();
        for (name, shape) in tensors {
            if shapes.insert(name.clone(), shape).is_some() {
                return Err(Error::argument("base", "each tensor once", format!("{name} twice")));
            }
        }
        let mut flat: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for module in shapes.keys().filter_map(|name| name.strip_suffix(".weight")) {
            flat.entry(module.replace('.', "_")).or_default().push(module.to_owned());
        }
        Ok(Self { shapes, flat, ..Self::default() })
    }

    /// With the model's `config.json`: its name for errors, and its bytes.
    pub fn with_config(self, file: &str, bytes: &[u8]) -> Result<Self> {
        let config = Object::parse(file, bytes)?;
        let model_type = config.text("model_type")?.map(str::to_owned);
        let tie_word_embeddings = match config.get("tie_word_embeddings") {
            None => None,
            Some(_) => Some(config.flag("tie_word_embeddings", true)?),
        };
        let count = |field| config.count(field, 1, 1 << 20);
        let query = count("num_attention_heads")?;
        let key_value = count("num_key_value_heads")?.or(query);
        let heads = query.zip(key_value).map(|(query, key_value)| Heads { query, key_value });
        Ok(Self { model_type, tie_word_embeddings, heads, ..self })
    }

    /// With what only its config would tell.
    #[must_use]
    pub fn with_heads(self, heads: Heads) -> Self {
        Self { heads: Some(heads), ..self }
    }

    /// Whether Linear weights are stored as `[in, out]`, as in GPT-2. Only square ones need to ask.
    #[must_use]
    pub fn conv1d(&self) -> bool {
        self.model_type.as_deref().is_some_and(|kind| CONV1D_MODELS.contains(&kind))
    }

    /// Attention heads of the config, where it has them.
    #[must_use]
    pub fn heads(&self) -> Option<Heads> {
        self.heads
    }

    /// What llama.cpp needs to know of the base of an adapter.
    pub fn gguf(&self) -> Result<gguf::lora::Base<'_>> {
        let kind = self.model_type.as_deref();
        let architecture = match kind {
            Some("llama" | "mistral") => "llama",
            Some(kind @ ("qwen2" | "qwen3")) => kind,
            other => {
                return Err(Error::Unsupported {
                    what: "model_type of the base's config.json, for a GGUF adapter".into(),
                    got: other.unwrap_or("none").into(),
                    supported: "llama, mistral, qwen2, qwen3".into(),
                });
            }
        };
        let heads = self.heads.ok_or_else(|| {
            Error::argument("base", "num_attention_heads in its config.json", "none")
        })?;
        let tied = self.tie_word_embeddings.unwrap_or(self.shape("lm_head.weight").is_none());
        Ok(gguf::lora::Base { architecture, heads, tie_word_embeddings: tied })
    }

    /// Whether fused experts are stored as `[experts, in, out]`, where the model is known for it. Only
    /// square ones need to ask.
    pub(super) fn transposed_experts(&self) -> Option<bool> {
        let kind = self.model_type.as_deref()?;
        TRANSPOSED_EXPERTS.contains(&kind).then_some(true)
    }

    /// `tie_word_embeddings` of the config, where it says.
    #[must_use]
    pub fn tie_word_embeddings(&self) -> Option<bool> {
        self.tie_word_embeddings
    }

    /// The input embedding table: the tensor with one of the names that such tables have.
    #[must_use]
    pub fn embedding_table(&self) -> Option<&str> {
        const TABLES: [&str; 4] = ["embed_tokens", "wte", "word_embeddings", "embed_in"];
        let is_table = |name: &&str| {
            let module = name.strip_suffix(".weight").unwrap_or_default();
            TABLES.contains(&module.rsplit('.').next().unwrap_or_default())
        };
        self.names().find(is_table)
    }

    /// Shape of a tensor by its full name.
    #[must_use]
    pub fn shape(&self, tensor: &str) -> Option<&[usize]> {
        self.shapes.get(tensor).map(Vec::as_slice)
    }

    /// The same; a head that is the embedding table has the shape of that.
    #[must_use]
    pub fn tied_shape(&self, tensor: &str) -> Option<&[usize]> {
        let tied = tensor == "lm_head.weight" && self.tie_word_embeddings == Some(true);
        let table = || self.embedding_table().filter(|_| tied);
        self.shape(tensor).or_else(|| self.shape(table()?))
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shapes.keys().map(String::as_str)
    }

    /// The module of the base that an adapter's name means: the same name, else the only one that
    /// fits behind known prefixes, else the only one of which either is the end of the other.
    pub fn module(&self, name: &str) -> Result<String> {
        self.find(name, "weight")
    }

    /// The same for a module with another parameter than a weight.
    pub(super) fn find(&self, name: &str, parameter: &str) -> Result<String> {
        let exact = |name: &str| self.tied_shape(&format!("{name}.{parameter}")).is_some();
        if exact(name) {
            return Ok(name.to_owned());
        }
        let bare = strip(name, &DOTTED_PREFIXES);
        if exact(bare) {
            return Ok(bare.to_owned());
        }
        let suffix = format!(".{parameter}");
        let modules = || self.shapes.keys().filter_map(|name| name.strip_suffix(&suffix));
        let dotted: Vec<&str> = if bare.contains('.') {
            modules().filter(|m| is_end(m, bare, '.') || is_end(bare, m, '.')).collect()
        } else {
            Vec::new()
        };
        if !dotted.is_empty() {
            return only(name, dotted);
        }
        if parameter != "weight" {
            return only(name, Vec::new());
        }
        let bare = strip(name, &FLAT_PREFIXES);
        if let Some(modules) = self.flat.get(bare) {
            return only(name, modules.iter().map(String::as_str).collect());
        }
        let ends = self.flat.iter().filter(|(flat, _)| is_end(flat, bare, '_'));
        only(name, ends.flat_map(|(_, modules)| modules).map(String::as_str).collect())
    }
}

/// Whether a name is a path with `_` for `.`, as kohya and LyCORIS write it.
pub(super) fn is_flat(name: &str) -> bool {
    !name.contains('.') && FLAT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn strip<'a>(name: &'a str, prefixes: &[&str]) -> &'a str {
    prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

fn only(name: &str, modules: Vec<&str>) -> Result<String> {
    match modules.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Error::argument("base", format!("a weight for {name}"), "none of that name")),
        [first, second, ..] => Err(Error::argument(
            "base",
            format!("one weight for {name}"),
            format!("{} that fit, such as {first} and {second}", modules.len()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(names: &[&str]) -> Base {
        Base::new(names.iter().map(|name| (format!("{name}.weight"), vec![2, 2]))).unwrap()
    }

    #[test]
    fn names_are_looked_up_and_never_taken_apart() {
        let flux = base(&["time_in.in_layer", "double_blocks.0.img_attn.qkv", "time.in.out"]);
        assert_eq!(flux.module("lora_unet_time_in_in_layer").unwrap(), "time_in.in_layer");
        assert_eq!(flux.module("time_in.in_layer").unwrap(), "time_in.in_layer");
        let qkv = "double_blocks.0.img_attn.qkv";
        for name in [
            "lora_unet_double_blocks_0_img_attn_qkv",
            "diffusion_model.double_blocks.0.img_attn.qkv",
            "transformer.double_blocks.0.img_attn.qkv",
            "lycoris_double_blocks_0_img_attn_qkv",
        ] {
            assert_eq!(flux.module(name).unwrap(), qkv, "{name}");
        }
        assert!(flux.module("lora_unet_nowhere").is_err());
    }

    #[test]
    fn prefixes_that_one_side_has_are_bridged_where_only_one_fits() {
        // peft#1579: keys with one `model.` too many, or too few.
        let llama = base(&["model.layers.0.q", "model.layers.1.q", "lm_head"]);
        assert_eq!(llama.module("layers.0.q").unwrap(), "model.layers.0.q");
        assert_eq!(llama.module("model.model.layers.0.q").unwrap(), "model.layers.0.q");
        assert_eq!(llama.module("lycoris_layers_1_q").unwrap(), "model.layers.1.q");
        let two = base(&["encoder.layers.0.q", "decoder.layers.0.q"]);
        let error = two.module("layers.0.q").unwrap_err().to_string();
        assert!(error.contains("decoder.layers.0.q and encoder.layers.0.q"), "{error}");
        // diffusers#10804: a short name is not the end of every longer one.
        let proj = base(&["proj_out", "blocks.0.proj_out"]);
        assert_eq!(proj.module("proj_out").unwrap(), "proj_out");
        assert_eq!(proj.module("transformer.proj_out").unwrap(), "proj_out");
        assert_eq!(proj.module("lora_unet_proj_out").unwrap(), "proj_out");
    }

    #[test]
    fn two_modules_that_flatten_alike_are_an_error() {
        let twins = base(&["a_b.c", "a.b_c"]);
        assert!(twins.module("lora_unet_a_b_c").unwrap_err().to_string().contains("2 that fit"));
    }

    #[test]
    fn the_config_tells_how_a_base_stores_weights() {
        let with = |json: &str| base(&[]).with_config("config.json", json.as_bytes()).unwrap();
        assert!(with(r#"{"model_type":"gpt2"}"#).conv1d());
        assert!(!with(r#"{"model_type":"llama"}"#).conv1d());
        assert_eq!(with(r#"{"tie_word_embeddings":false}"#).tie_word_embeddings(), Some(false));
        assert_eq!(with("{}").tie_word_embeddings(), None);
    }
}
