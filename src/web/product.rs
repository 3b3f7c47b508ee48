//! One product by itself for JavaScript, and the plan that comes from timing a few.

use js_sys::Promise;
use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::{JsResult, device::CoreDevice, model::promise, plain};
use crate::{
    Error,
    cpu::Cpu,
    gpu::Gpu,
    model::{Costs, Form, Plan, Probe, Product, ROWS, RandomDelta, Source},
    tensor::DType,
};

enum AnyProduct {
    Cpu(Box<Product<Cpu>>),
    Gpu(Box<Product<Gpu>>),
}

/// A weight and its delta, as numbers.
#[wasm_bindgen]
pub struct CoreSource {
    source: Source,
}

/// A weight with its delta on the CPU or on a device.
#[wasm_bindgen]
pub struct CoreProduct {
    product: AnyProduct,
}

/// What a device was measured to take.
#[wasm_bindgen]
pub struct CoreCosts {
    pub(super) costs: Costs,
}

/// [`Plan`] for JavaScript.
#[derive(Serialize)]
pub(super) struct PlanInfo {
    times: [f64; 3],
    bytes: f64,
    choice: usize,
    /// The probe of the base's dtype.
    base: usize,
}

impl From<Plan> for PlanInfo {
    fn from(plan: Plan) -> Self {
        let choice = Form::ALL.iter().position(|form| *form == plan.choice()).unwrap_or_default();
        Self { times: plan.times, bytes: plan.bytes, choice, base: plan.base.index() }
    }
}

fn dtype(name: &str) -> JsResult<DType> {
    let all = [DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_1];
    let refused = || Error::argument("dtype", "F32, F16, BF16, Q8_0 or Q4_1", name);
    Ok(all.into_iter().find(|dtype| dtype.name() == name).ok_or_else(refused)?)
}

fn form(index: usize) -> JsResult<Form> {
    let refused = || Error::argument("form", "one of three", index);
    Ok(*Form::ALL.get(index).ok_or_else(refused)?)
}

#[wasm_bindgen]
impl CoreSource {
    /// Random numbers. `rank` is of no account without a method, nor is `factor` without LoKr.
    pub fn random(
        shape: &[usize],
        dtype_name: &str,
        method: Option<String>,
        rank: usize,
        factor: i32,
        seed: u32,
    ) -> JsResult<CoreSource> {
        let delta = match method.as_deref() {
            None => None,
            Some("lora") => Some(RandomDelta::Lora { rank }),
            Some("loha") => Some(RandomDelta::Loha { rank }),
            Some("lokr") => Some(RandomDelta::Lokr { rank, factor: factor.into() }),
            Some(other) => {
                return Err(Error::argument("method", "lora, loha or lokr", other).into());
            }
        };
        let shape = shape.first_chunk().copied().unwrap_or_default();
        Ok(Self { source: Source::random(shape, dtype(dtype_name)?, delta, seed.into())? })
    }

    /// What is timed once on a device: a probe of [`CoreCosts::probe`].
    pub fn probe(index: usize) -> JsResult<CoreSource> {
        let refused = || Error::argument("probe", "one of them", index);
        Ok(Self { source: Probe::ALL.get(index).ok_or_else(refused)?.source()? })
    }

    /// `y` `[rows, out]` in f64.
    pub fn expected(&self, x: &[f32], with_deltas: bool) -> Vec<f64> {
        self.source.expected(x, with_deltas)
    }
}

#[wasm_bindgen]
impl CoreProduct {
    /// On the CPU.
    #[wasm_bindgen(js_name = onCpu)]
    pub fn on_cpu(source: &CoreSource) -> JsResult<CoreProduct> {
        let product = Product::new(Cpu::default(), &source.source)?;
        Ok(Self { product: AnyProduct::Cpu(Box::new(product)) })
    }

    /// On a device.
    #[wasm_bindgen(js_name = onDevice)]
    pub fn on_device(source: &CoreSource, device: &CoreDevice) -> JsResult<CoreProduct> {
        let product = Product::new(device.device().backend(), &source.source)?;
        Ok(Self { product: AnyProduct::Gpu(Box::new(product)) })
    }

    /// `y` `[rows, out]` for `x` `[rows, in]`.
    pub fn run(&mut self, form_index: usize, x: &[f32]) -> JsResult<Promise> {
        let form = form(form_index)?;
        Ok(match &mut self.product {
            AnyProduct::Cpu(product) => promise::<Cpu>(product.run(form, x)?),
            AnyProduct::Gpu(product) => promise::<Gpu>(product.run(form, x)?),
        })
    }

    /// Runs so often, and reads one number at the end.
    pub fn time(&mut self, form_index: usize, rows: usize, times: usize) -> JsResult<Promise> {
        let form = form(form_index)?;
        Ok(match &mut self.product {
            AnyProduct::Cpu(product) => promise::<Cpu>(product.time(form, rows, times)?),
            AnyProduct::Gpu(product) => promise::<Gpu>(product.time(form, rows, times)?),
        })
    }

    /// What each form would take.
    pub fn plan(&self, costs: &CoreCosts, rows: usize) -> JsResult<JsValue> {
        plain(&PlanInfo::from(match &self.product {
            AnyProduct::Cpu(product) => product.plan(&costs.costs, rows),
            AnyProduct::Gpu(product) => product.plan(&costs.costs, rows),
        }))
    }
}

#[wasm_bindgen]
impl CoreCosts {
    /// From milliseconds of every probe at each of [`CoreCosts::rows`]; NaN is what was not measured.
    #[wasm_bindgen(constructor)]
    pub fn new(times: &[f64]) -> JsResult<CoreCosts> {
        Ok(Self { costs: Costs::new(times)? })
    }

    /// Numbers of rows at which probes are timed.
    pub fn rows() -> Vec<usize> {
        ROWS.to_vec()
    }

    /// How many probes there are.
    pub fn probes() -> usize {
        Probe::ALL.len()
    }

    /// Which probe tells of a call alone, of a method's delta, or of a weight in a dtype.
    pub fn probe(what: &str) -> JsResult<usize> {
        Ok(match what {
            "call" => Probe::Call,
            "lora" => Probe::Lora,
            "loha" => Probe::Loha,
            "lokr" => Probe::Lokr,
            name => Probe::Weight(dtype(name)?),
        }
        .index())
    }
}
