//! The tensors of a model in one safetensors file or in several, which
//! `model.safetensors.index.json` lists (transformers `modeling_utils.py`, `save_pretrained`).

use std::collections::{BTreeMap, BTreeSet};

use super::Files;
use super::by_name::by_name;
use super::gguf::GgmlType;
use super::json::Object;
use super::layout::Place;
use super::look::short;
use super::safetensors::Header;
use crate::{Error, Result};

const ONE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The index of a folder, where there is one and no `model.safetensors`.
pub(super) fn index(folder: &Files<'_>) -> Result<Option<Index>> {
    if folder.has(ONE) || !folder.has(INDEX) {
        return Ok(None);
    }
    let (name, bytes) = folder.get(INDEX)?;
    Index::parse(name, bytes).map(Some)
}

/// The files of a model, sorted.
pub(super) fn names(index: Option<&Index>) -> Vec<String> {
    index.map_or_else(|| vec![ONE.to_owned()], Index::files)
}

/// Every tensor of some files by their headers; each is in exactly one. The files hold what the
/// index says and nothing else.
pub(super) fn places(files: &[Header], index: Option<&Index>) -> Result<BTreeMap<String, Place>> {
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for (file, header) in files.iter().enumerate() {
        for entry in header.entries() {
            let place = Place {
                name: entry.name.clone(),
                file,
                range: entry.range.clone(),
                shape: entry.shape.clone(),
                kind: entry.float().map_or(GgmlType::Other(entry.dtype), GgmlType::from),
                heads: None,
            };
            if let Some(other) = places.insert(entry.name.clone(), place) {
                let (first, second) = (files[other.file].file(), header.file());
                let reason = format!("it is in {first} and in {second}");
                return Err(Error::UnknownTensor { tensor: short(&entry.name, 200), reason });
            }
        }
    }
    if let Some(index) = index {
        index.check(files, &places)?;
    }
    Ok(places)
}

/// `model.safetensors.index.json`: tensor name to file name.
#[derive(Debug)]
pub struct Index {
    file: String,
    weight_map: BTreeMap<String, String>,
}

impl Index {
    /// Reads the index; `file` is its name for errors.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
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

    /// The files that it names, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let names: BTreeSet<_> = self.weight_map.values().cloned().collect();
        names.into_iter().collect()
    }

    /// Every tensor is where the index says, and the index says so of every tensor.
    fn check(&self, files: &[Header], places: &BTreeMap<String, Place>) -> Result<()> {
        for (tensor, shard) in &self.weight_map {
            let at = places.get(tensor).map(|place| files[place.file].file());
            // The folder may have longer names than the index: see [`Files::get`].
            if !at.is_some_and(|at| at.ends_with(shard.as_str())) {
                return Err(Error::MissingTensor {
                    module: format!("{shard} (by {})", self.file),
                    tensor: short(tensor, 200),
                });
            }
        }
        match places.iter().find(|(tensor, _)| !self.weight_map.contains_key(*tensor)) {
            None => Ok(()),
            Some((tensor, place)) => {
                let reason = format!(
                    "it is in {}, but {} does not list it",
                    files[place.file].file(),
                    self.file
                );
                Err(Error::UnknownTensor { tensor: short(tensor, 200), reason })
            }
        }
    }
}
