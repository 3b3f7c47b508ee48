//! What an adapter's numbers tell, for JavaScript.

use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::adapter::{CoreAdapter, Inside};
use super::{JsResult, plain};
use crate::{Error, adapter::Delta, analysis};

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
    alpha_per_rank: f64,
    energy: Vec<f64>,
}

#[derive(Serialize)]
struct FindingInfo {
    code: &'static str,
    tensor: String,
    count: usize,
    first: usize,
}

#[wasm_bindgen]
impl CoreAdapter {
    /// Singular values and ranks of one module's `dW`; `threshold` is relative to the largest.
    pub fn spectrum(&self, module: &str, threshold: Option<f64>) -> JsResult<JsValue> {
        let delta = self.delta(module)?;
        let threshold = analysis::threshold_or_default(threshold, delta.method().shape())?;
        let measures = analysis::measure(&delta, Some(threshold))?;
        plain(&SpectrumInfo {
            rank_bound: measures.ranks.bound,
            numerical_rank: measures.ranks.numerical,
            stable_rank: measures.ranks.stable,
            entropy_rank: measures.ranks.entropy,
            threshold,
            frobenius_norm: measures.frobenius_norm,
            spectral_norm: measures.spectral_norm,
            alpha_per_rank: measures.alpha_per_rank,
            energy: measures.energy,
            singular_values: measures.sigma,
        })
    }

    /// What is wrong with the numbers of one module.
    pub fn findings(&self, module: &str) -> JsResult<JsValue> {
        let mut findings = match &self.inside {
            Inside::File(file) => {
                let stored = file.stored(module)?;
                let named: Vec<_> = stored.iter().map(|(name, t)| (name.as_str(), t)).collect();
                analysis::tensor_findings(&named)
            }
            Inside::Gguf { .. } => Vec::new(),
        };
        // What is not finite is no delta.
        if findings.is_empty() {
            findings = analysis::findings(&self.delta(module)?);
        }
        let info = findings.into_iter().map(|finding| FindingInfo {
            code: finding.kind.code(),
            tensor: finding.tensor,
            count: finding.count,
            first: finding.first,
        });
        plain(&info.collect::<Vec<_>>())
    }
}

impl CoreAdapter {
    pub(super) fn delta(&self, module: &str) -> Result<Delta, Error> {
        match &self.inside {
            Inside::File(file) => file.delta(module),
            Inside::Gguf { adapter, .. } => {
                let expected = "the name of a module of this adapter";
                let missing = || Error::argument("module", expected, module);
                adapter.deltas.get(module).cloned().ok_or_else(missing)
            }
        }
    }
}
