//! Adapters without a model for JavaScript.

use js_sys::Map;
use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::{JsResult, files, plain};
use crate::{
    Error,
    adapter::{Adapter, Delta},
    analysis::{self, Ranks},
    format::peft,
};

/// A parsed adapter.
#[wasm_bindgen]
pub struct CoreAdapter {
    adapter: Adapter,
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
    tensors: Vec<TensorInfo>,
}

#[derive(Serialize)]
struct TensorInfo {
    name: &'static str,
    shape: Vec<usize>,
}

#[derive(Serialize)]
struct WarningInfo<'a> {
    code: &'static str,
    module: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpectrumInfo {
    singular_values: Vec<f64>,
    rank_bound: usize,
    numerical_rank: usize,
    stable_rank: f64,
    entropy_rank: f64,
    threshold: f64,
    frobenius_norm: f64,
    spectral_norm: f64,
}

#[wasm_bindgen]
impl CoreAdapter {
    /// Reads a PEFT folder.
    pub fn read(folder: &Map) -> JsResult<CoreAdapter> {
        Ok(Self { adapter: peft::read(&files(folder)?)? })
    }

    /// What each module holds.
    pub fn modules(&self) -> JsResult<JsValue> {
        let info = |(name, delta): (&'_ String, &Delta)| {
            let method = delta.method();
            let tensors = method.tensors().into_iter();
            plain(&ModuleInfo {
                name,
                method: delta.factors.name(),
                shape: method.shape(),
                rank: delta.rank,
                alpha: delta.alpha,
                scale: delta.scale,
                parameters: method.parameters(),
                rank_bound: method.rank_bound(),
                tensors: tensors.map(|(name, shape)| TensorInfo { name, shape }).collect(),
            })
        };
        let modules: JsResult<js_sys::Array> = self.adapter.deltas.iter().map(info).collect();
        Ok(modules?.into())
    }

    /// What the reader had to guess or wants to tell.
    pub fn warnings(&self) -> JsResult<JsValue> {
        let info = self.adapter.warnings.iter().map(|warning| WarningInfo {
            code: warning.code,
            module: &warning.module,
            message: &warning.message,
        });
        plain(&info.collect::<Vec<_>>())
    }

    /// Singular values and ranks of one module's `dW`; `threshold` is relative to the largest.
    pub fn spectrum(&self, module: &str, threshold: Option<f64>) -> JsResult<JsValue> {
        let delta = self.adapter.deltas.get(module).ok_or_else(|| {
            Error::argument("module", "the name of a module of this adapter", module)
        })?;
        let (shape, bound) = (delta.method().shape(), delta.method().rank_bound());
        let threshold = analysis::threshold_or_default(threshold, shape)?;
        let singular_values = analysis::singular_values(delta)?;
        let ranks = Ranks::from_spectrum(&singular_values, bound, threshold);
        plain(&SpectrumInfo {
            rank_bound: bound,
            numerical_rank: ranks.numerical,
            stable_rank: ranks.stable,
            entropy_rank: ranks.entropy,
            threshold,
            frobenius_norm: analysis::frobenius_norm(&singular_values),
            spectral_norm: analysis::spectral_norm(&singular_values),
            singular_values,
        })
    }
}

impl CoreAdapter {
    pub(super) fn adapter(&self) -> &Adapter {
        &self.adapter
    }
}
