//! Headers of files for JavaScript, which reads the bytes.

use js_sys::Float64Array;
use serde::Serialize;
use std::ops::Range;
use wasm_bindgen::prelude::*;

use super::{JsResult, plain};
use crate::format::safetensors::{Entry, Header};
use crate::format::{Base, Progress};

/// The header of a safetensors file, or how much of the file it takes.
#[wasm_bindgen]
pub struct CoreFile {
    header: Progress<Header>,
}

#[derive(Serialize)]
struct EntryInfo<'a> {
    name: &'a str,
    dtype: &'a str,
    shape: &'a [usize],
    start: u64,
    end: u64,
}

#[wasm_bindgen]
impl CoreFile {
    /// Reads the header from the first bytes of a file of `len` bytes.
    pub fn read(name: &str, prefix: &[u8], len: f64) -> JsResult<CoreFile> {
        Ok(Self { header: Header::parse(name, prefix, len as u64)? })
    }

    /// How many of the first bytes the header takes, where there were too few.
    #[wasm_bindgen(getter)]
    pub fn wanted(&self) -> Option<f64> {
        self.header.wanted().map(|wanted| wanted as f64)
    }

    /// Where the numbers begin.
    #[wasm_bindgen(getter, js_name = dataStart)]
    pub fn data_start(&self) -> JsResult<f64> {
        Ok(self.header()?.data_start() as f64)
    }

    /// The texts under `__metadata__`.
    pub fn metadata(&self) -> JsResult<JsValue> {
        plain(self.header()?.metadata())
    }

    /// All tensors, in the order of their bytes.
    pub fn entries(&self) -> JsResult<JsValue> {
        let info = |entry: &Entry| {
            plain(&EntryInfo {
                name: &entry.name,
                dtype: entry.dtype,
                shape: &entry.shape,
                start: entry.range.start,
                end: entry.range.end,
            })
        };
        let entries: JsResult<js_sys::Array> = self.header()?.entries().iter().map(info).collect();
        Ok(entries?.into())
    }
}

impl CoreFile {
    pub(super) fn header(&self) -> JsResult<&Header> {
        Ok(self.header.done()?)
    }
}

/// A base model as far as adapters need it.
#[wasm_bindgen]
#[derive(Default)]
pub struct CoreBase {
    tensors: Vec<(String, Vec<usize>)>,
    base: Base,
}

#[wasm_bindgen]
impl CoreBase {
    /// Without tensors.
    #[wasm_bindgen(constructor)]
    pub fn new() -> CoreBase {
        Self::default()
    }

    /// Adds the tensors of a file.
    pub fn add(&mut self, file: &CoreFile) -> JsResult<()> {
        let entries = file.header()?.entries().iter();
        self.tensors.extend(entries.map(|entry| (entry.name.clone(), entry.shape.clone())));
        Ok(())
    }

    /// Finishes: with the bytes of `config.json`, where there is one.
    pub fn finish(&mut self, config: Option<Vec<u8>>) -> JsResult<()> {
        let base = Base::new(std::mem::take(&mut self.tensors))?;
        self.base = match config {
            Some(bytes) => base.with_config("config.json", &bytes)?,
            None => base,
        };
        Ok(())
    }
}

impl CoreBase {
    #[cfg(feature = "run")]
    pub(super) fn of(base: Base) -> Self {
        Self { tensors: Vec::new(), base }
    }

    pub(super) fn base(&self) -> &Base {
        &self.base
    }
}

/// Ranges as `[start, end, start, end, ...]`.
pub(super) fn places(ranges: &[Range<u64>]) -> Float64Array {
    let flat: Vec<f64> = ranges.iter().flat_map(|r| [r.start as f64, r.end as f64]).collect();
    Float64Array::from(flat.as_slice())
}
