//! Adapters without a model for JavaScript.

use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Array, Float64Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use super::file::{CoreBase, CoreFile, places};
use super::{JsResult, plain};
use crate::{
    Error,
    adapter::{Adapter, Axis, Layer, Warning},
    format::{AdapterFile, Conventions, Outline, Tensors, gguf},
};

/// An adapter file: known from its header, read when asked.
#[wasm_bindgen]
pub struct CoreAdapter {
    pub(super) inside: Inside,
}

pub(super) enum Inside {
    File(Box<AdapterFile<'static>>),
    /// Small, and without names for its parts: read whole.
    Gguf {
        name: String,
        bytes: Vec<u8>,
        adapter: Rc<Adapter>,
        metadata: BTreeMap<String, String>,
    },
}

/// An adapter whose numbers are in memory.
#[wasm_bindgen]
pub struct CoreAdapterData {
    pub(super) adapter: Rc<Adapter>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModuleInfo<'a> {
    name: &'a str,
    method: &'static str,
    shape: [usize; 2],
    rank: usize,
    alpha: f32,
    scale: f32,
    parameters: usize,
    rank_bound: usize,
    dtype: &'static str,
    layer: &'static str,
    kernel: &'a [usize],
    dora: bool,
    bias: bool,
    tensors: Vec<TensorInfo>,
}

#[derive(Serialize)]
struct TensorInfo {
    name: &'static str,
    shape: Vec<usize>,
}

#[derive(Serialize)]
struct WholeInfo<'a> {
    name: &'a str,
    shape: &'a [usize],
    dtype: &'static str,
}

#[derive(Serialize)]
pub(super) struct WarningInfo<'a> {
    code: &'static str,
    module: &'a str,
    message: &'a str,
}

/// [`Conventions`] as JavaScript gives them.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct JsConventions {
    alpha: Option<f64>,
    whole_lokr_rank: Option<usize>,
    dora_axis: Option<String>,
}

impl TryFrom<JsConventions> for Conventions {
    type Error = Error;

    fn try_from(js: JsConventions) -> Result<Self, Error> {
        let dora_axis = match js.dora_axis.as_deref() {
            None => None,
            Some("out") => Some(Axis::Out),
            Some("in") => Some(Axis::In),
            Some(other) => return Err(Error::argument("doraAxis", "`out` or `in`", other)),
        };
        if js.whole_lokr_rank == Some(0) {
            return Err(Error::argument("wholeLokrRank", "at least 1", 0));
        }
        Ok(Self { alpha: js.alpha, whole_lokr_rank: js.whole_lokr_rank, dora_axis })
    }
}

#[wasm_bindgen]
impl CoreAdapter {
    /// From the header of a safetensors file and, in a PEFT folder, its config.
    pub fn open(
        config: Option<Vec<u8>>,
        file: &CoreFile,
        conventions: JsValue,
    ) -> JsResult<CoreAdapter> {
        let conventions: Option<JsConventions> =
            serde_wasm_bindgen::from_value(conventions).map_err(JsValue::from)?;
        let conventions = Conventions::try_from(conventions.unwrap_or_default())?;
        let config = config.as_deref().map(|bytes| ("adapter_config.json", bytes));
        let tensors = Tensors::new(file.header()?.clone(), Default::default());
        let file = AdapterFile::open(config, tensors, &conventions)?;
        Ok(Self { inside: Inside::File(Box::new(file)) })
    }

    /// From the bytes of a GGUF file. Without a base, rows of q and k stay in llama.cpp's order.
    #[wasm_bindgen(js_name = openGguf)]
    pub fn open_gguf(name: String, bytes: Vec<u8>) -> JsResult<CoreAdapter> {
        let file = gguf::Gguf::parse(&name, &bytes)?;
        let adapter = Rc::new(gguf::lora::read_as_stored(&file)?);
        let metadata = file.header().metadata.shown();
        Ok(Self { inside: Inside::Gguf { name, bytes, adapter, metadata } })
    }

    /// What kind of file it is.
    #[wasm_bindgen(getter)]
    pub fn format(&self) -> String {
        match &self.inside {
            Inside::File(file) => file.format().to_owned(),
            Inside::Gguf { .. } => "GGUF".to_owned(),
        }
    }

    /// The texts that the file says of itself.
    pub fn metadata(&self) -> JsResult<JsValue> {
        match &self.inside {
            Inside::File(file) => plain(file.tensors().metadata()),
            Inside::Gguf { metadata, .. } => plain(metadata),
        }
    }

    /// Places of the few numbers that [`CoreAdapter::modules`] needs.
    pub fn scalars(&self) -> Float64Array {
        match &self.inside {
            Inside::File(file) => places(&file.scalars()),
            Inside::Gguf { .. } => places(&[]),
        }
    }

    /// Places of all numbers of a module.
    pub fn ranges(&self, module: &str) -> JsResult<Float64Array> {
        match &self.inside {
            Inside::File(file) => Ok(places(&file.ranges(module)?)),
            Inside::Gguf { .. } => Ok(places(&[])),
        }
    }

    /// Where all numbers of the file are.
    pub fn extent(&self) -> Float64Array {
        match &self.inside {
            Inside::File(file) => {
                let header = file.tensors().header();
                let (start, end) = (header.data_start(), header.file_len());
                places(std::slice::from_ref(&(start..end)))
            }
            Inside::Gguf { .. } => places(&[]),
        }
    }

    /// Adds bytes that lie at `start` in the file.
    pub fn insert(&mut self, start: f64, bytes: Vec<u8>) {
        if let Inside::File(file) = &mut self.inside {
            file.tensors_mut().insert(start as u64, bytes);
        }
    }

    /// Forgets what [`CoreAdapter::insert`] added.
    pub fn clear(&mut self) {
        if let Inside::File(file) = &mut self.inside {
            file.tensors_mut().clear();
        }
    }

    /// What each module holds.
    pub fn modules(&self) -> JsResult<JsValue> {
        let modules = Array::new();
        match &self.inside {
            Inside::File(file) => {
                for name in file.modules() {
                    modules.push(&outline(name, &file.outline(name)?)?);
                }
            }
            Inside::Gguf { adapter, .. } => {
                for (name, delta) in &adapter.deltas {
                    modules.push(&outline(name, &Outline::of(delta.clone()))?);
                }
            }
        }
        Ok(modules.into())
    }

    /// Tensors that take the place of the base's.
    pub fn whole(&self) -> JsResult<JsValue> {
        let Inside::File(file) = &self.inside else { return plain(&[(); 0]) };
        let info = |(name, shape, dtype)| WholeInfo { name, shape, dtype };
        plain(&file.whole_tensors().map(info).collect::<Vec<_>>())
    }

    /// What the reader had to guess or wants to tell.
    pub fn warnings(&self) -> JsResult<JsValue> {
        match &self.inside {
            Inside::File(file) => warnings(file.warnings()),
            Inside::Gguf { adapter, .. } => warnings(&adapter.warnings),
        }
    }

    /// Leaves out the modules whose names do not begin so; returns how many.
    pub fn retain(&mut self, prefix: &str) -> usize {
        match &mut self.inside {
            Inside::File(file) => file.retain(|module| module.starts_with(prefix)),
            Inside::Gguf { .. } => 0,
        }
    }

    /// Gives the modules the names of a base, and compares the shapes.
    pub fn resolve(&mut self, base: &CoreBase) -> JsResult<()> {
        match &mut self.inside {
            Inside::File(file) => file.resolve(base.base())?,
            Inside::Gguf { name, bytes, adapter, .. } => {
                let file = gguf::Gguf::parse(name, bytes)?;
                *adapter = Rc::new(gguf::lora::read(&file, base.base().heads())?);
            }
        }
        Ok(())
    }

    /// All of it; the bytes of [`CoreAdapter::extent`] must have been added.
    pub fn read(&self) -> JsResult<CoreAdapterData> {
        let adapter = match &self.inside {
            Inside::File(file) => Rc::new(file.read()?),
            Inside::Gguf { adapter, .. } => adapter.clone(),
        };
        Ok(CoreAdapterData { adapter })
    }
}

fn outline(name: &str, outline: &Outline) -> JsResult<JsValue> {
    let (layer, kernel): (_, &[usize]) = match outline.layer() {
        Layer::Linear => ("linear", &[]),
        Layer::Embedding => ("embedding", &[]),
        Layer::Expert(_) => ("expert", &[]),
        Layer::Conv { kernel } => ("conv", kernel),
    };
    let tensors = outline.tensors().into_iter();
    plain(&ModuleInfo {
        name,
        method: outline.method(),
        shape: outline.shape(),
        rank: outline.rank(),
        alpha: outline.alpha(),
        scale: outline.scale(),
        parameters: outline.parameters(),
        rank_bound: outline.rank_bound(),
        dtype: outline.dtype(),
        layer,
        kernel,
        dora: outline.has_magnitude(),
        bias: outline.has_bias(),
        tensors: tensors.map(|(name, shape)| TensorInfo { name, shape }).collect(),
    })
}

pub(super) fn warnings(warnings: &[Warning]) -> JsResult<JsValue> {
    let info = |warning: &'_ Warning| {
        plain(&WarningInfo {
            code: warning.code,
            module: &warning.module,
            message: &warning.message,
        })
    };
    let all: JsResult<Array> = warnings.iter().map(info).collect();
    Ok(all?.into())
}
