//! A model that is in memory: its config and its tensors, with the names of transformers
//! (`models/NAME/`).

use std::collections::BTreeMap;

use super::{Files, Gather, Layout, ModelConfig, Parts, gguf, safetensors, shards};
use crate::Result;
use crate::tensor::Tensor;

/// A base model: its config and exactly the tensors that the config asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Sizes and settings.
    pub config: ModelConfig,
    /// Tensors by their full name (`model.layers.0.mlp.up_proj.weight`), in their stored dtype; the
    /// shapes are those of [`Layout::shapes`], and all numbers are finite. No `lm_head.weight`
    /// where the embeddings are tied.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Checkpoint {
    /// The model in a folder: `config.json` with `model.safetensors` or the files of
    /// `model.safetensors.index.json`; or one GGUF file and no `config.json`. Every tensor is used,
    /// or named in the error.
    pub fn read(files: &Files<'_>) -> Result<Self> {
        let gguf = files.names().find(|name| name.ends_with(".gguf"));
        if let Some(name) = gguf.filter(|_| !files.has("config.json")) {
            let (name, bytes) = files.get(name)?;
            let header = gguf::Header::parse(name, bytes, bytes.len() as u64)?.whole(name)?;
            let scalars = gguf::model::scalars(&header).unwrap_or(0..0);
            let scalars = Parts::whole(bytes).get(&scalars).unwrap_or(&[]).to_vec();
            return Self::gather(Layout::gguf(&header, &scalars)?, &[bytes]);
        }
        let (name, bytes) = files.get("config.json")?;
        let config = ModelConfig::parse(name, bytes)?;
        let index = shards::index(files)?;
        let (mut headers, mut all) = (Vec::new(), Vec::new());
        for name in shards::names(index.as_ref()) {
            let (name, bytes) = files.get(&name)?;
            let header = safetensors::Header::parse(name, bytes, bytes.len() as u64)?;
            headers.push(header.whole(name)?);
            all.push(bytes);
        }
        Self::gather(Layout::safetensors(config, &headers, index.as_ref())?, &all)
    }

    fn gather(layout: Layout, files: &[&[u8]]) -> Result<Self> {
        let config = layout.config().clone();
        let mut gather = Gather::new(layout);
        let mut tensors = BTreeMap::new();
        for (file, bytes) in files.iter().enumerate() {
            gather.push(file, bytes, |name, tensor| {
                tensors.insert(name, tensor);
                Ok(())
            })?;
        }
        gather.finish()?;
        Ok(Self { config, tensors })
    }

    /// How many numbers the model has; a tied table counts once.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.tensors.values().map(Tensor::len).sum()
    }
}
