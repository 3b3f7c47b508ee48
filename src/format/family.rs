//! The families of models that are read: all of them are the same transformer, with small
//! differences that [`ModelConfig`](super::ModelConfig) holds (transformers `models/NAME/`).

/// A family of models, named as transformers names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Llama 1 to 3, and what is built like them (SmolLM2, TinyLlama).
    Llama,
    /// Qwen2 and Qwen2.5: biases on q, k and v.
    Qwen2,
    /// Qwen3: a norm on every query and key head.
    Qwen3,
    /// Mistral: attention in a sliding window.
    Mistral,
}

/// What transformers takes where `config.json` says nothing.
pub(super) struct Defaults {
    /// `None`: as many as query heads.
    pub num_key_value_heads: Option<usize>,
    /// `None`: `hidden_size / num_attention_heads`.
    pub head_dim: Option<usize>,
    pub max_position_embeddings: usize,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 4] = [Self::Llama, Self::Qwen2, Self::Qwen3, Self::Mistral];

    /// `model_type` in `config.json`.
    #[must_use]
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Mistral => "mistral",
        }
    }

    /// The class that is read, as `architectures` in `config.json` names it.
    #[must_use]
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Llama => "LlamaForCausalLM",
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
            Self::Mistral => "MistralForCausalLM",
        }
    }

    pub(super) fn defaults(self) -> Defaults {
        let (num_key_value_heads, head_dim, max_position_embeddings) = match self {
            Self::Llama => (None, None, 2048),
            Self::Qwen2 => (Some(32), None, 32_768),
            Self::Qwen3 => (Some(32), Some(128), 32_768),
            Self::Mistral => (Some(8), None, 131_072),
        };
        Defaults { num_key_value_heads, head_dim, max_position_embeddings }
    }
}
