//! Converting, resizing, combining and merging for JavaScript, which reads and writes the files.

use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Map, Uint8Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use super::adapter::{CoreAdapter, CoreAdapterData, warnings};
use super::file::{CoreBase, CoreFile};
use super::{JsResult, plain};
use crate::{
    Error,
    adapter::{Adapter, cat, combine, linear, ties},
    analysis::{Resized, Rule, combine_svd, resize},
    format::{Embeddings, Merge, decode, encode, gguf, lycoris, peft, safetensors},
    tensor::DType,
};

fn dtype(name: Option<&str>) -> Result<DType, Error> {
    match name {
        None | Some("F32") => Ok(DType::F32),
        Some("F16") => Ok(DType::F16),
        Some("BF16") => Ok(DType::BF16),
        Some(other) => Err(Error::argument("dtype", "F32, F16 or BF16", other)),
    }
}

#[wasm_bindgen]
impl CoreAdapterData {
    /// A PEFT folder: files by name.
    #[wasm_bindgen(js_name = writePeft)]
    pub fn write_peft(
        &self,
        stored: Option<String>,
        base_model_name_or_path: Option<String>,
    ) -> JsResult<Written> {
        let dtype = dtype(stored.as_deref())?;
        let options = peft::Options { dtype, base_model_name_or_path, task_type: None };
        let (files, warnings) = peft::write(&self.adapter, &options)?;
        let map = Map::new();
        for name in files.names() {
            map.set(&name.into(), &Uint8Array::from(files.get(name)?.1).into());
        }
        Ok(Written { files: map, warnings })
    }

    /// A LyCORIS file under the name `adapter.safetensors`.
    #[wasm_bindgen(js_name = writeLycoris)]
    pub fn write_lycoris(
        &self,
        stored: Option<String>,
        prefix: Option<String>,
    ) -> JsResult<Written> {
        let default = lycoris::Options::default();
        let prefix = prefix.as_deref().unwrap_or(default.prefix);
        let options = lycoris::Options { prefix, dtype: dtype(stored.as_deref())? };
        let (bytes, warnings) = lycoris::write(&self.adapter, &options)?;
        Ok(Written::one("adapter.safetensors", &bytes, warnings))
    }

    /// A GGUF file under the name `adapter.gguf`.
    #[wasm_bindgen(js_name = writeGguf)]
    pub fn write_gguf(&self, stored: Option<String>, base: &CoreBase) -> JsResult<Written> {
        let base = base.base().gguf()?;
        let bytes = gguf::lora::write(&self.adapter, &base, dtype(stored.as_deref())?)?;
        Ok(Written::one("adapter.gguf", &bytes, Vec::new()))
    }

    /// The methods that it holds, as people name them.
    pub fn methods(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.adapter.deltas.values().map(|delta| delta.factors.name().to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Files, and what was rewritten on the way.
#[wasm_bindgen]
pub struct Written {
    files: Map,
    warnings: Vec<crate::adapter::Warning>,
}

#[wasm_bindgen]
impl Written {
    /// `Map<string, Uint8Array>`.
    pub fn files(&self) -> Map {
        self.files.clone()
    }

    /// What was rewritten or could not be checked.
    pub fn warnings(&self) -> JsResult<JsValue> {
        warnings(&self.warnings)
    }
}

impl Written {
    fn one(name: &str, bytes: &[u8], warnings: Vec<crate::adapter::Warning>) -> Self {
        let files = Map::new();
        files.set(&name.into(), &Uint8Array::from(bytes).into());
        Self { files, warnings }
    }
}

/// One rule of resizing, and a cap.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct JsRule {
    rank: Option<usize>,
    energy: Option<f64>,
    sv_ratio: Option<f64>,
    sv_fro: Option<f64>,
    sv_cumulative: Option<f64>,
    max_rank: Option<usize>,
}

impl JsRule {
    fn rule(&self) -> Result<Rule, Error> {
        let rules = [
            self.rank.map(Rule::Rank),
            self.energy.map(Rule::Energy),
            self.sv_ratio.map(Rule::SvRatio),
            self.sv_fro.map(Rule::SvFro),
            self.sv_cumulative.map(Rule::SvCumulative),
        ];
        let mut given = rules.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(rule), None) => Ok(rule),
            (none, _) => Err(Error::argument(
                "rule",
                "one of rank, energy, svRatio, svFro, svCumulative",
                if none.is_some() { "several" } else { "none" },
            )),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResizedInfo {
    rank: usize,
    rank_before: usize,
    retained_energy: f64,
    largest_dropped: f64,
    frobenius_norm: f64,
    spectral_norm: f64,
}

/// An adapter that is resized module by module.
#[wasm_bindgen]
pub struct CoreResize {
    rule: Rule,
    max_rank: Option<usize>,
    adapter: Adapter,
}

#[wasm_bindgen]
impl CoreResize {
    /// By one rule.
    #[wasm_bindgen(constructor)]
    pub fn new(rule: JsValue) -> JsResult<CoreResize> {
        let js: JsRule = serde_wasm_bindgen::from_value(rule).map_err(JsValue::from)?;
        Ok(Self { rule: js.rule()?, max_rank: js.max_rank, adapter: Adapter::default() })
    }

    /// Resizes one module, whose bytes have been added; tells what it lost.
    pub fn add(&mut self, module: &str, adapter: &CoreAdapter) -> JsResult<JsValue> {
        let delta = adapter.delta(module)?;
        let Resized {
            delta: smaller,
            rank,
            retained_energy,
            largest_dropped,
            frobenius_norm,
            spectral_norm,
        } = resize(&delta, self.rule, self.max_rank)
            .map_err(|error| crate::format::module::at(module, error))?;
        self.adapter.deltas.insert(module.to_owned(), smaller);
        plain(&ResizedInfo {
            rank,
            rank_before: delta.rank,
            retained_energy,
            largest_dropped,
            frobenius_norm,
            spectral_norm,
        })
    }

    /// The result. The whole tensors of `data`, where there are some, stay as they are.
    pub fn finish(&mut self, data: Option<CoreAdapterData>) -> CoreAdapterData {
        let mut adapter = std::mem::take(&mut self.adapter);
        if let Some(data) = data {
            adapter.replaced = data.adapter.replaced.clone();
            adapter.rows = data.adapter.rows.clone();
        }
        CoreAdapterData { adapter: Rc::new(adapter) }
    }
}

/// How adapters are combined.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct JsCombination {
    /// `cat`, `svd`, `linear` or `ties`.
    how: Option<String>,
    rank: Option<usize>,
    density: Option<f64>,
}

/// Several adapters that become one.
#[wasm_bindgen]
#[derive(Default)]
pub struct CoreCombine {
    adapters: Vec<(Rc<Adapter>, f64)>,
}

#[wasm_bindgen]
impl CoreCombine {
    /// None yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> CoreCombine {
        Self::default()
    }

    /// Adds one with its weight.
    pub fn add(&mut self, data: &CoreAdapterData, weight: f64) {
        self.adapters.push((data.adapter.clone(), weight));
    }

    /// The weighted sum: exact (`cat`), the best of a rank (`svd`), or as PEFT mixes (`linear`,
    /// `ties`).
    pub fn run(&self, options: JsValue) -> JsResult<CoreAdapterData> {
        let js: JsCombination = serde_wasm_bindgen::from_value(options).map_err(JsValue::from)?;
        let adapters: Vec<_> = self.adapters.iter().map(|(a, w)| (a.as_ref(), *w)).collect();
        let how = js.how.as_deref().unwrap_or(if js.rank.is_some() { "svd" } else { "cat" });
        let adapter = match (how, js.rank) {
            ("cat", None) => combine(&adapters, cat)?,
            ("linear", None) => combine(&adapters, linear)?,
            ("ties", None) => {
                let density = js.density.unwrap_or(0.5);
                combine(&adapters, |deltas| ties(deltas, density, Default::default()))?
            }
            ("svd", Some(rank)) => {
                combine(&adapters, |deltas| Ok(combine_svd(deltas, rank)?.delta))?
            }
            ("svd", None) => return Err(Error::argument("rank", "a rank for svd", "none").into()),
            (other, _) => {
                let expected = "cat, linear or ties without a rank, or svd with one";
                return Err(Error::argument("how", expected, other).into());
            }
        };
        Ok(CoreAdapterData { adapter: Rc::new(adapter) })
    }
}

/// A merge into a base, tensor by tensor.
#[wasm_bindgen]
#[derive(Default)]
pub struct CoreMerge {
    adapters: Vec<(Rc<Adapter>, f64)>,
    plan: Option<Merge>,
}

#[wasm_bindgen]
impl CoreMerge {
    /// Of no adapters yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> CoreMerge {
        Self::default()
    }

    /// Adds one with its strength.
    pub fn add(&mut self, data: &CoreAdapterData, strength: f64) {
        self.adapters.push((data.adapter.clone(), strength));
    }

    /// Checks that every part fits; `embeddings` is `tied` or `untied`.
    pub fn plan(&mut self, base: &CoreBase, embeddings: Option<String>) -> JsResult<()> {
        let embeddings = match embeddings.as_deref() {
            None => None,
            Some("tied") => Some(Embeddings::Tied),
            Some("untied") => Some(Embeddings::Untied),
            Some(other) => {
                return Err(Error::argument("embeddings", "`tied` or `untied`", other).into());
            }
        };
        self.plan = Some(Merge::plan(base.base(), self.adapters.clone(), embeddings)?);
        Ok(())
    }

    /// Names of the tensors that change.
    pub fn changed(&self) -> JsResult<Vec<String>> {
        Ok(self.planned()?.changed().map(str::to_owned).collect())
    }

    /// The table that becomes an output head too, where one does.
    #[wasm_bindgen(js_name = newHead)]
    pub fn new_head(&self) -> JsResult<Option<String>> {
        Ok(self.planned()?.new_head().map(|(table, _)| table.to_owned()))
    }

    /// The bytes before the numbers of a file of the result; `None` where those of the base's file
    /// hold. `adds_head` is whether the new head goes to the end of this file.
    pub fn header(&self, file: &CoreFile, adds_head: bool) -> JsResult<Option<Vec<u8>>> {
        let (plan, header) = (self.planned()?, file.header()?);
        if plan.keeps_headers() {
            return Ok(None);
        }
        let same = header.entries().iter().map(safetensors::NewEntry::from);
        let mut entries: Vec<_> = same
            .map(|entry| safetensors::NewEntry {
                shape: plan.shape(entry.name, entry.shape),
                ..entry
            })
            .collect();
        if let (Some((table, head)), true) = (plan.new_head(), adds_head)
            && let Some(entry) = header.entry(table)
        {
            let shape = plan.shape(head, &entry.shape);
            entries.push(safetensors::NewEntry { name: head, dtype: entry.dtype, shape });
        }
        Ok(Some(safetensors::header(&entries, header.metadata())?))
    }

    /// The bytes of a tensor with its changes. For a new head, `file` and `bytes` are those of the
    /// table that it was.
    pub fn tensor(
        &self,
        file: &CoreFile,
        name: &str,
        bytes: &[u8],
        head: bool,
    ) -> JsResult<Vec<u8>> {
        let plan = self.planned()?;
        let header = file.header()?;
        let entry = header.entry(name).ok_or_else(|| Error::MissingTensor {
            module: header.file().to_owned(),
            tensor: name.to_owned(),
        })?;
        let weight = decode(entry, bytes)?;
        let target = plan.new_head().filter(|_| head).map_or(name, |(_, head)| head);
        Ok(encode(&plan.tensor(target, &weight)?))
    }

    /// The `config.json` of the result; `None` where the base's holds.
    pub fn config(&self, bytes: &[u8]) -> JsResult<Option<String>> {
        Ok(self.planned()?.config("config.json", bytes)?)
    }
}

impl CoreMerge {
    fn planned(&self) -> Result<&Merge, Error> {
        self.plan.as_ref().ok_or_else(|| Error::argument("plan", "a call of it before", "none"))
    }
}

/// The bytes before the numbers of the same file with other texts in its metadata.
#[wasm_bindgen(js_name = withMetadata)]
pub fn with_metadata(file: &CoreFile, metadata: JsValue) -> JsResult<Vec<u8>> {
    let metadata: BTreeMap<String, String> =
        serde_wasm_bindgen::from_value(metadata).map_err(JsValue::from)?;
    let header = file.header()?;
    let entries: Vec<_> = header.entries().iter().map(safetensors::NewEntry::from).collect();
    Ok(safetensors::header(&entries, &metadata)?)
}
