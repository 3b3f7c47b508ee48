//! The metadata of a GGUF file for JavaScript, which reads the bytes.

use js_sys::Float64Array;
use wasm_bindgen::prelude::*;

use super::{JsResult, file::places};
use crate::format::Progress;
use crate::format::gguf::{Header, Metadata, model::scalars};

/// The header of a GGUF file, or how much of the file it takes. A getter gives `undefined` where the
/// key is absent, and an error that names the key where the value is of another type.
#[wasm_bindgen]
pub struct CoreGguf {
    header: Progress<Header>,
}

#[wasm_bindgen]
impl CoreGguf {
    /// Reads the header from the first bytes of a file of `len` bytes.
    pub fn read(name: &str, prefix: &[u8], len: f64) -> JsResult<CoreGguf> {
        Ok(Self { header: Header::parse(name, prefix, len as u64)? })
    }

    /// How many of the first bytes the header takes at least, where there were too few.
    #[wasm_bindgen(getter)]
    pub fn wanted(&self) -> Option<f64> {
        self.header.wanted().map(|wanted| wanted as f64)
    }

    /// The bytes that [`super::model::CoreLayout::gguf`] needs, as start and end; none where it
    /// needs none.
    pub fn scalars(&self) -> JsResult<Float64Array> {
        let range = scalars(self.header()?);
        Ok(places(range.as_slice()))
    }

    /// A text.
    pub fn text(&self, key: &str) -> JsResult<Option<String>> {
        Ok(self.metadata()?.text(key)?.map(str::to_owned))
    }

    /// An array of texts.
    pub fn texts(&self, key: &str) -> JsResult<Option<Vec<String>>> {
        Ok(self.metadata()?.texts(key)?.map(<[String]>::to_vec))
    }

    /// A whole number.
    pub fn number(&self, key: &str) -> JsResult<Option<u32>> {
        Ok(self.metadata()?.u32(key)?)
    }

    /// An array of whole numbers.
    pub fn numbers(&self, key: &str) -> JsResult<Option<Vec<u32>>> {
        Ok(self.metadata()?.u32s(key)?)
    }

    /// A truth value.
    pub fn flag(&self, key: &str) -> JsResult<Option<bool>> {
        Ok(self.metadata()?.bool(key)?)
    }
}

impl CoreGguf {
    pub(super) fn header(&self) -> JsResult<&Header> {
        Ok(self.header.done()?)
    }

    fn metadata(&self) -> JsResult<&Metadata> {
        Ok(&self.header()?.metadata)
    }
}
