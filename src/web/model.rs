//! Models for JavaScript. Steps return promises that borrow nothing, so that adapters can be
//! changed while one is pending.

use js_sys::{Float32Array, Promise};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::{
    JsResult,
    adapter::CoreAdapterData,
    device::CoreDevice,
    file::{CoreBase, CoreFile},
    gguf::CoreGguf,
    plain,
    product::{CoreCosts, PlanInfo},
};
use crate::{
    Error, Result,
    backend::Backend,
    cpu::Cpu,
    format::{Base, Gather, Index, Layout, ModelConfig},
    gpu::Gpu,
    memory::room,
    model::{Builder, Model, Sampler, Sampling, Session, Turn},
};

enum AnyModel {
    Cpu(Box<Model<Cpu>>),
    Gpu(Box<Model<Gpu>>),
}

enum AnyBuilder {
    Cpu(Box<Builder<Cpu>>),
    Gpu(Box<Builder<Gpu>>),
}

enum AnyBatch {
    Cpu(Vec<Session<Cpu>>),
    Gpu(Vec<Session<Gpu>>),
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

/// A model on the CPU or on a device.
#[wasm_bindgen]
pub struct CoreModel {
    model: AnyModel,
}

/// A model whose files are on their way.
#[wasm_bindgen]
pub struct CoreLoading {
    gather: Gather,
    builder: AnyBuilder,
}

/// Texts that go on together.
#[wasm_bindgen]
pub struct CoreBatch {
    texts: AnyBatch,
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

#[derive(Serialize)]
struct ProductPlan {
    modules: Vec<usize>,
    plan: PlanInfo,
}

/// What a model is and where its numbers lie.
#[wasm_bindgen]
pub struct CoreLayout {
    layout: Layout,
}

#[wasm_bindgen]
impl CoreLayout {
    /// Of safetensors files, by `config.json` and their headers, and `index`, where there is one.
    pub fn safetensors(
        config: &[u8],
        files: Vec<CoreFile>,
        index: Option<Vec<u8>>,
    ) -> JsResult<CoreLayout> {
        let config = ModelConfig::parse("config.json", config)?;
        let headers: JsResult<Vec<_>> = files.iter().map(|f| f.header().cloned()).collect();
        let index = index.map(|bytes| Index::parse("model.safetensors.index.json", &bytes));
        let layout = Layout::safetensors(config, &headers?, index.transpose()?.as_ref())?;
        Ok(Self { layout })
    }

    /// Of a GGUF file, by its header and the bytes of [`CoreGguf::scalars`].
    pub fn gguf(header: &CoreGguf, scalars: &[u8]) -> JsResult<CoreLayout> {
        Ok(Self { layout: Layout::gguf(header.header()?, scalars)? })
    }
}

impl CoreLayout {
    fn config(&self) -> ModelConfig {
        self.layout.config().clone()
    }

    fn loading(self, builder: AnyBuilder) -> CoreLoading {
        CoreLoading { gather: Gather::new(self.layout), builder }
    }
}

pub(super) fn promise<B: Backend>(reading: B::Reading) -> Promise {
    future_to_promise(async move { Ok(Float32Array::from(&reading.await?[..]).into()) })
}

#[wasm_bindgen]
impl CoreLoading {
    /// Begins a model on the CPU.
    #[wasm_bindgen(js_name = onCpu)]
    pub fn on_cpu(layout: CoreLayout, context: Option<usize>) -> JsResult<CoreLoading> {
        room(layout.layout.bytes())?;
        let builder = Builder::new(Cpu::default(), layout.config(), context)?;
        Ok(layout.loading(AnyBuilder::Cpu(Box::new(builder))))
    }

    /// Begins a model on a device.
    #[wasm_bindgen(js_name = onDevice)]
    pub fn on_device(
        layout: CoreLayout,
        context: Option<usize>,
        device: &CoreDevice,
    ) -> JsResult<CoreLoading> {
        let builder = Builder::new(device.device().backend(), layout.config(), context)?;
        Ok(layout.loading(AnyBuilder::Gpu(Box::new(builder))))
    }

    /// Takes the next bytes of a file, counted from its start.
    pub fn push(&mut self, file: usize, piece: &[u8]) -> JsResult<()> {
        let Self { gather, builder } = self;
        match builder {
            AnyBuilder::Cpu(builder) => gather.push(file, piece, |n, t| builder.put(n, t))?,
            AnyBuilder::Gpu(builder) => gather.push(file, piece, |n, t| builder.put(n, t))?,
        }
        Ok(())
    }

    /// The model, once all bytes have come.
    pub fn finish(self) -> JsResult<CoreModel> {
        self.gather.finish()?;
        let model = match self.builder {
            AnyBuilder::Cpu(builder) => AnyModel::Cpu(Box::new(builder.finish()?)),
            AnyBuilder::Gpu(builder) => AnyModel::Gpu(Box::new(builder.finish()?)),
        };
        Ok(CoreModel { model })
    }
}

#[wasm_bindgen]
impl CoreModel {
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

    /// What the ways to run the active adapters would take for so many tokens: for each product that
    /// they change, the places of its modules in [`CoreModel::modules`], and the plan.
    pub fn plan(&self, costs: &CoreCosts, rows: usize) -> JsResult<JsValue> {
        let plans = on!(&self.model, model => model.plan(&costs.costs, rows));
        let plans = plans
            .into_iter()
            .map(|(modules, plan)| ProductPlan { modules: modules.collect(), plan: plan.into() });
        plain(&plans.collect::<Vec<_>>())
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

    /// New texts of at most `capacity` tokens each, which go on together. Text `i` runs with the
    /// next `counts[i]` of `names` at their `strengths`; all with the active adapters where there
    /// are no counts.
    pub fn batch(
        &mut self,
        capacity: usize,
        counts: &[usize],
        names: Vec<String>,
        strengths: Vec<f32>,
    ) -> JsResult<CoreBatch> {
        let wanted: Vec<_> = names.iter().map(String::as_str).zip(strengths).collect();
        let texts = match &mut self.model {
            AnyModel::Cpu(model) => AnyBatch::Cpu(texts(model, capacity, counts, &wanted)?),
            AnyModel::Gpu(model) => AnyBatch::Gpu(texts(model, capacity, counts, &wanted)?),
        };
        Ok(CoreBatch { texts })
    }

    /// Appends to text `i` the next `counts[i]` of `ids`; texts without any rest. The logits
    /// `[texts that go on, vocabulary]` of what comes next, or the most likely tokens `[texts]`.
    pub fn advance(
        &mut self,
        batch: &mut CoreBatch,
        counts: &[usize],
        ids: &[u32],
        greedy: bool,
    ) -> JsResult<Promise> {
        match (&mut self.model, &mut batch.texts) {
            (AnyModel::Cpu(m), AnyBatch::Cpu(t)) => advance(m, t, counts, ids, greedy),
            (AnyModel::Gpu(m), AnyBatch::Gpu(t)) => advance(m, t, counts, ids, greedy),
            _ => Err(Error::argument("batch", "texts of this model", "another's").into()),
        }
    }

    /// Whether its device is of no more use.
    #[wasm_bindgen(getter)]
    pub fn lost(&mut self) -> bool {
        match &mut self.model {
            AnyModel::Cpu(_) => false,
            AnyModel::Gpu(model) => model.backend().device().failure().is_some(),
        }
    }

    /// Resolves when the device has taken all that it was given, and rejects where it refused memory,
    /// which no call can tell at once.
    pub fn settled(&mut self) -> JsResult<Promise> {
        match &mut self.model {
            AnyModel::Cpu(_) => Ok(Promise::resolve(&JsValue::UNDEFINED)),
            AnyModel::Gpu(model) => {
                let backend = model.backend();
                let buffer = backend.zeros(1)?;
                Ok(promise::<Gpu>(backend.read(&buffer, 0, 1)))
            }
        }
    }

    /// What the model holds: buffers and bytes.
    pub fn memory(&mut self) -> Vec<f64> {
        let memory = on!(&mut self.model, model => model.backend().memory());
        vec![memory.buffers as f64, memory.bytes as f64]
    }
}

fn texts<B: Backend>(
    model: &mut Model<B>,
    capacity: usize,
    counts: &[usize],
    mut wanted: &[(&str, f32)],
) -> Result<Vec<Session<B>>> {
    if counts.is_empty() {
        return Ok(vec![model.session(capacity)?]);
    }
    let text = |count: &usize| {
        let (own, rest) = wanted.split_at_checked(*count).unwrap_or((wanted, &[]));
        wanted = rest;
        model.session_with(capacity, own)
    };
    counts.iter().map(text).collect()
}

fn advance<B: Backend>(
    model: &mut Model<B>,
    texts: &mut [Session<B>],
    counts: &[usize],
    mut ids: &[u32],
    greedy: bool,
) -> JsResult<Promise> {
    let mut turns = Vec::new();
    for (session, count) in texts.iter_mut().zip(counts) {
        let (own, rest) = ids.split_at_checked(*count).unwrap_or((ids, &[]));
        ids = rest;
        if *count > 0 {
            turns.push(Turn { session, ids: own });
        }
    }
    let reading = if greedy {
        model.advance_all_greedy(&mut turns)?
    } else {
        model.advance_all(&mut turns)?
    };
    Ok(promise::<B>(reading))
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
