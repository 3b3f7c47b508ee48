//! The wasm-bindgen skin: a thin cover, no logic. The TypeScript in `src/js` is what people call;
//! it holds the only copies of the names used here.

mod adapter;
#[cfg(feature = "run")]
mod device;
mod file;
#[cfg(feature = "run")]
mod gguf;
#[cfg(feature = "tools")]
mod measures;
#[cfg(feature = "run")]
mod model;
#[cfg(feature = "run")]
mod product;
#[cfg(feature = "tools")]
mod tools;

use js_sys::{Error as JsError, Reflect};
use wasm_bindgen::prelude::*;

use crate::Error;

/// What a call into this room gives.
type JsResult<T> = Result<T, JsValue>;

/// An error crosses as a JavaScript `Error` with its stable `code`.
impl From<Error> for JsValue {
    fn from(error: Error) -> Self {
        let js = JsError::new(&error.to_string());
        // Setting a property of a fresh object does not fail.
        let _ = Reflect::set(&js, &"code".into(), &error.code().into());
        js.into()
    }
}

/// A plain JavaScript value of a serialisable one.
fn plain(value: &impl serde::Serialize) -> JsResult<JsValue> {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    value.serialize(&serializer).map_err(JsValue::from)
}
