//! The tensors of a model in one safetensors file or in several, which
//! `model.safetensors.index.json` lists (transformers `modeling_utils.py`, `save_pretrained`).

use std::collections::{BTreeMap, BTreeSet};

use super::by_name::by_name;
use super::checkpoint::Source;
use super::json::Object;
use super::look::short;
use super::{Files, Tensors};
use crate::tensor::Tensor;
use crate::{Error, Result};

const ONE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Every tensor of a folder; each is in exactly one file.
pub(super) struct Shards<'a> {
    files: Vec<Tensors<'a>>,
    /// Which file a tensor is in.
    places: BTreeMap<String, usize>,
}

impl<'a> Shards<'a> {
    /// `model.safetensors` where it is there, else the files of the index: all of them must be
    /// there, and hold what the index says and nothing else.
    pub(super) fn parse(folder: &'a Files<'_>) -> Result<Self> {
        let index = if folder.has(ONE) || !folder.has(INDEX) {
            None
        } else {
            let (name, bytes) = folder.get(INDEX)?;
            Some(Index::parse(name, bytes)?)
        };
        let mut names = BTreeSet::new();
        match &index {
            None => names.extend([ONE]),
            Some(index) => names.extend(index.weight_map.values().map(String::as_str)),
        }
        let mut shards = Self { files: Vec::new(), places: BTreeMap::new() };
        for name in names {
            let (name, bytes) = folder.get(name)?;
            let file = Tensors::parse(name, bytes)?;
            for tensor in file.names() {
                if let Some(other) = shards.places.insert(tensor.clone(), shards.files.len()) {
                    let (first, second) = (shards.files[other].file(), file.file());
                    let reason = format!("it is in {first} and in {second}");
                    return Err(Error::UnknownTensor { tensor: short(&tensor, 200), reason });
                }
            }
            shards.files.push(file);
        }
        if let Some(index) = index {
            index.check(&shards)?;
        }
        Ok(shards)
    }
}

impl Source for Shards<'_> {
    fn names(&self) -> Vec<String> {
        self.places.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.places.get(name).and_then(|&at| self.files[at].shape(name))
    }

    fn get(&self, name: &str) -> Result<Tensor> {
        match self.places.get(name) {
            Some(&at) => self.files[at].get(name),
            None => Err(Error::MissingTensor { module: name.into(), tensor: name.into() }),
        }
    }
}

/// Tensor name to file name.
struct Index {
    file: String,
    weight_map: BTreeMap<String, String>,
}

impl Index {
    fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let json = Object::parse(file, bytes)?;
        let map = json.object("weight_map")?;
        let names = map.fields().map(|(tensor, shard)| match shard.as_str() {
            Some(shard) => Ok((tensor.to_owned(), shard.to_owned())),
            None => Err(map.bad(tensor, "the name of a file")),
        });
        let weight_map = by_name(names)?;
        if weight_map.is_empty() {
            return Err(json.bad("weight_map", "the file of every tensor"));
        }
        Ok(Self { file: file.to_owned(), weight_map })
    }

    /// Every tensor is where the index says, and the index says so of every tensor.
    fn check(&self, shards: &Shards<'_>) -> Result<()> {
        for (tensor, shard) in &self.weight_map {
            let at = shards.places.get(tensor).map(|&at| shards.files[at].file());
            // The folder may have longer names than the index: see [`Files::get`].
            if !at.is_some_and(|at| at.ends_with(shard.as_str())) {
                return Err(Error::MissingTensor {
                    module: format!("{shard} (by {})", self.file),
                    tensor: short(tensor, 200),
                });
            }
        }
        match shards.places.iter().find(|(tensor, _)| !self.weight_map.contains_key(*tensor)) {
            None => Ok(()),
            Some((tensor, &at)) => {
                let reason = format!(
                    "it is in {}, but {} does not list it",
                    shards.files[at].file(),
                    self.file
                );
                Err(Error::UnknownTensor { tensor: short(tensor, 200), reason })
            }
        }
    }
}
