//! Models for JavaScript. Steps return promises that borrow nothing, so that adapters can be
//! changed while one is pending.

use js_sys::{Float32Array, Map, Promise};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::{JsResult, adapter::CoreAdapterData, device::CoreDevice, file::CoreBase, files, plain};
use crate::{
    Error,
    backend::Backend,
    cpu::Cpu,
    format::{Base, Checkpoint},
    gpu::Gpu,
    model::{Model, Sampler, Sampling, Session},
};

enum AnyModel {
    Cpu(Box<Model<Cpu>>),
    Gpu(Box<Model<Gpu>>),
}

enum AnySession {
    Cpu(Session<Cpu>),
    Gpu(Session<Gpu>),
}

/// Runs the same expression on whichever backend the model has.
macro_rules! on {
    ($any:expr, $model:ident => $body:expr) => {
        match $any {
            AnyModel::Cpu($model) => $body,
            AnyModel::Gpu($model) => $body,
        }
    };
}

/// Runs a step of a session on the backend that both have.
macro_rules! step {
    ($any:expr, $session:expr, $verb:ident, $ids:expr) => {
        match ($any, $session) {
            (AnyModel::Cpu(m), AnySession::Cpu(s)) => Ok(promise::<Cpu>(m.$verb(s, $ids)?)),
            (AnyModel::Gpu(m), AnySession::Gpu(s)) => Ok(promise::<Gpu>(m.$verb(s, $ids)?)),
            _ => Err(Error::argument("session", "a session of this model", "another's").into()),
        }
    };
}

/// A model on the CPU or on a device.
#[wasm_bindgen]
pub struct CoreModel {
    model: AnyModel,
}

/// One text on its way.
#[wasm_bindgen]
pub struct CoreSession {
    session: AnySession,
}

/// A seeded choice of tokens.
#[wasm_bindgen]
pub struct CoreSampler {
    sampler: Sampler,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigInfo<'a> {
    architecture: &'static str,
    hidden_size: usize,
    layers: usize,
    heads: usize,
    key_value_heads: usize,
    head_size: usize,
    intermediate_size: usize,
    vocabulary_size: usize,
    context: usize,
    tied_embedding: bool,
    bos_token_id: Option<u32>,
    eos_token_ids: &'a [u32],
    parameters: usize,
}

#[derive(Serialize)]
struct ModuleInfo<'a> {
    name: &'a str,
    shape: [usize; 2],
}

fn promise<B: Backend>(reading: B::Reading) -> Promise {
    future_to_promise(async move { Ok(Float32Array::from(&reading.await?[..]).into()) })
}

#[wasm_bindgen]
impl CoreModel {
    /// Reads `config.json` and `model.safetensors`, for the CPU.
    #[wasm_bindgen(js_name = readOnCpu)]
    pub fn read_on_cpu(folder: &Map, context: Option<usize>) -> JsResult<CoreModel> {
        let checkpoint = Checkpoint::read(&files(folder)?)?;
        let model = Box::new(Model::new(Cpu::default(), &checkpoint, context)?);
        Ok(Self { model: AnyModel::Cpu(model) })
    }

    /// Reads `config.json` and `model.safetensors`, for a device.
    #[wasm_bindgen(js_name = readOnDevice)]
    pub fn read_on_device(
        folder: &Map,
        context: Option<usize>,
        device: &CoreDevice,
    ) -> JsResult<CoreModel> {
        let checkpoint = Checkpoint::read(&files(folder)?)?;
        let backend = device.device().backend();
        let model = Box::new(Model::new(backend, &checkpoint, context)?);
        Ok(Self { model: AnyModel::Gpu(model) })
    }

    /// The configuration and the number of parameters.
    pub fn config(&self) -> JsResult<JsValue> {
        on!(&self.model, model => {
            let config = model.config();
            plain(&ConfigInfo {
                architecture: config.family.architecture(),
                hidden_size: config.hidden_size,
                layers: config.num_hidden_layers,
                heads: config.num_attention_heads,
                key_value_heads: config.num_key_value_heads,
                head_size: config.head_dim,
                intermediate_size: config.intermediate_size,
                vocabulary_size: config.vocab_size,
                context: model.context(),
                tied_embedding: config.tie_word_embeddings,
                bos_token_id: config.bos_token_id,
                eos_token_ids: &config.eos_token_ids,
                parameters: model.parameters(),
            })
        })
    }

    /// The weights that adapters may change.
    pub fn modules(&self) -> JsResult<JsValue> {
        on!(&self.model, model => {
            let modules = model.modules().map(|(name, shape)| ModuleInfo { name, shape });
            plain(&modules.collect::<Vec<_>>())
        })
    }

    /// Names and shapes of those weights, to give an adapter of another program their names.
    pub fn base(&self) -> JsResult<CoreBase> {
        on!(&self.model, model => {
            let weights = model.modules();
            let weights = weights.map(|(name, shape)| (format!("{name}.weight"), shape.to_vec()));
            Ok(CoreBase::of(Base::new(weights)?.with_heads(model.config().into())))
        })
    }

    /// Uploads an adapter under a name.
    #[wasm_bindgen(js_name = loadAdapter)]
    pub fn load_adapter(&mut self, name: &str, adapter: &CoreAdapterData) -> JsResult<()> {
        Ok(on!(&mut self.model, model => model.load_adapter(name, &adapter.adapter))?)
    }

    /// Names of the loaded adapters.
    pub fn adapters(&self) -> Vec<String> {
        on!(&self.model, model => model.adapters().map(str::to_owned).collect())
    }

    /// Makes exactly these adapters active.
    #[wasm_bindgen(js_name = setAdapters)]
    pub fn set_adapters(&mut self, names: Vec<String>, strengths: Vec<f32>) -> JsResult<()> {
        if names.len() != strengths.len() {
            let expected = format!("{} numbers, one for each adapter", names.len());
            return Err(Error::argument("strengths", expected, strengths.len()).into());
        }
        let wanted: Vec<_> = names.iter().map(String::as_str).zip(strengths).collect();
        Ok(on!(&mut self.model, model => model.set_adapters(&wanted))?)
    }

    /// Writes the active adapters into second buffers.
    #[wasm_bindgen(js_name = mergeAdapters)]
    pub fn merge_adapters(&mut self) -> JsResult<()> {
        Ok(on!(&mut self.model, model => model.merge_adapters())?)
    }

    /// Back to the base weights.
    #[wasm_bindgen(js_name = unmergeAdapters)]
    pub fn unmerge_adapters(&mut self) {
        on!(&mut self.model, model => model.unmerge_adapters());
    }

    /// Whether adapters are merged.
    #[wasm_bindgen(getter)]
    pub fn merged(&self) -> bool {
        on!(&self.model, model => model.merged())
    }

    /// Frees an adapter.
    #[wasm_bindgen(js_name = deleteAdapter)]
    pub fn delete_adapter(&mut self, name: &str) -> JsResult<()> {
        Ok(on!(&mut self.model, model => model.delete_adapter(name))?)
    }

    /// Logits `[ids, vocabulary]` of a whole text.
    pub fn logits(&mut self, ids: &[u32]) -> JsResult<Promise> {
        match &mut self.model {
            AnyModel::Cpu(model) => Ok(promise::<Cpu>(model.logits(ids)?)),
            AnyModel::Gpu(model) => Ok(promise::<Gpu>(model.logits(ids)?)),
        }
    }

    /// A new text of at most `capacity` tokens.
    pub fn session(&mut self, capacity: usize) -> JsResult<CoreSession> {
        let session = match &mut self.model {
            AnyModel::Cpu(model) => AnySession::Cpu(model.session(capacity)?),
            AnyModel::Gpu(model) => AnySession::Gpu(model.session(capacity)?),
        };
        Ok(CoreSession { session })
    }

    /// Appends tokens; the logits of what comes next.
    pub fn advance(&mut self, session: &mut CoreSession, ids: &[u32]) -> JsResult<Promise> {
        step!(&mut self.model, &mut session.session, advance, ids)
    }

    /// Appends tokens; the most likely next one, as an array of one number.
    #[wasm_bindgen(js_name = advanceGreedy)]
    pub fn advance_greedy(&mut self, session: &mut CoreSession, ids: &[u32]) -> JsResult<Promise> {
        step!(&mut self.model, &mut session.session, advance_greedy, ids)
    }
}

#[wasm_bindgen]
impl CoreSampler {
    /// `seed` is a whole number from 0 to 2^53.
    #[wasm_bindgen(constructor)]
    pub fn new(temperature: f32, top_k: f64, top_p: f32, seed: f64) -> JsResult<CoreSampler> {
        let whole = |name: &str, value: f64| {
            let fits = value >= 0.0 && value.fract() == 0.0 && value <= 9_007_199_254_740_992.0;
            let refused = || Error::argument(name, "a whole number from 0 to 2^53", value);
            fits.then_some(value as u64).ok_or_else(refused)
        };
        let top_k = usize::try_from(whole("topK", top_k)?).unwrap_or(usize::MAX);
        let seed = whole("seed", seed)?;
        let sampler = Sampler::new(Sampling { temperature, top_k, top_p, seed })?;
        Ok(Self { sampler })
    }

    /// Whether only the most likely token is ever taken.
    #[wasm_bindgen(getter)]
    pub fn greedy(&self) -> bool {
        self.sampler.is_greedy()
    }

    /// The next token from logits `[vocabulary]`.
    pub fn pick(&mut self, logits: &[f32]) -> JsResult<u32> {
        Ok(self.sampler.pick(logits)?)
    }
}
