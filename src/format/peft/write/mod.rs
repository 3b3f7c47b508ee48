//! An adapter to a PEFT folder.

mod config;
mod lokr;

use std::collections::BTreeMap;

use crate::adapter::{Adapter, Axis, Delta, Factors, KronFactor, KronOrder, Layer, Warning};
use crate::format::stored::{self, LoraNames, check_order, cores, factors, kernel};
use crate::format::{Files, safetensors};
use crate::tensor::{DType, Tensor};
use crate::{Error, Result};

/// What stands before the path of a module.
const PREFIX: &str = "base_model.model.";
const LINEAR: LoraNames = LoraNames { down: "lora_A.weight", up: "lora_B.weight", mid: None };
const EMBEDDING: LoraNames =
    LoraNames { down: "lora_embedding_A", up: "lora_embedding_B", mid: None };

/// What an adapter does not know of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How factors are stored where it holds all their numbers exactly; else they are F32.
    pub dtype: DType,
    /// Where PEFT finds the base model: a Hub id or a path.
    pub base_model_name_or_path: Option<String>,
    /// PEFT's word for what the model does, such as `CAUSAL_LM`.
    pub task_type: Option<String>,
}

impl Default for Options {
    /// F32, nothing said of the base.
    fn default() -> Self {
        Self { dtype: DType::F32, base_model_name_or_path: None, task_type: None }
    }
}

/// The folder of an adapter: `adapter_config.json` and `adapter_model.safetensors`, which PEFT 0.15
/// or newer loads with the same factors and the same scales. What one config cannot hold is an
/// error that names the module. The warnings tell what was rewritten or could not be checked.
pub fn write(adapter: &Adapter, options: &Options) -> Result<(Files<'static>, Vec<Warning>)> {
    stored::check(adapter)?;
    let mut warnings = Vec::new();
    let config = config::config(adapter, options, &mut warnings)?;
    let mut tensors = BTreeMap::new();
    for (module, delta) in &adapter.deltas {
        check(module, delta)?;
        for (suffix, tensor) in module_tensors(module, delta, options.dtype)? {
            tensors.insert(format!("{PREFIX}{module}.{suffix}"), tensor);
        }
        if let (Factors::Lora(_), false) = (&delta.factors, cores(delta).is_empty()) {
            warnings.push(Warning {
                code: "CoreMultiplied",
                module: module.clone(),
                message: "PEFT has no core in LoRA: lora_A is the product of core and lora_down, \
                          rounded to f32"
                    .into(),
            });
        }
    }
    for (name, tensor) in &adapter.replaced {
        tensor.check_finite(&format!("tensor {name}"))?;
        tensors.insert(format!("{PREFIX}{name}"), tensor.clone());
    }
    for (name, rows) in &adapter.rows {
        let table = name.strip_suffix(".weight").unwrap_or(name);
        let name = format!("{PREFIX}{table}.token_adapter.trainable_tokens_delta");
        tensors.insert(name, rows.values().clone());
    }
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let mut files = Files::new();
    files.insert("adapter_config.json", config);
    files.insert("adapter_model.safetensors", safetensors::write(&tensors, &metadata)?);
    Ok((files, warnings))
}

fn module_tensors(
    module: &str,
    delta: &Delta,
    dtype: DType,
) -> Result<Vec<(&'static str, Tensor)>> {
    let names = if delta.layer == Layer::Embedding { EMBEDDING } else { LINEAR };
    // The core of a Conv1d has the kernel `[k, 1]`.
    let mut core = kernel(delta).to_vec();
    core.resize(core.len().max(2), 1);
    let mut tensors = factors(module, delta, &names, &core, dtype)?;
    let mut put = |name, shape, values: &[f32]| {
        let what = format!("module {module}: {name}");
        stored::tensor(&what, shape, values, dtype).map(|tensor| tensors.push((name, tensor)))
    };
    if let Some(magnitude) = &delta.magnitude {
        let mut shape = vec![magnitude.values.len()];
        if let Layer::Conv { kernel } = &delta.layer {
            shape.insert(0, 1);
            shape.extend(kernel.iter().map(|_| 1));
        }
        put("lora_magnitude_vector", shape, &magnitude.values)?;
    }
    if let Some(bias) = &delta.bias {
        put("lora_B.bias", vec![bias.len()], bias)?;
    }
    Ok(tensors)
}

/// Refuses what PEFT has no place for in one module.
fn check(module: &str, delta: &Delta) -> Result<()> {
    let refuse = |got: String, supported: &str| {
        Err(Error::Unsupported {
            what: format!("module {module} in a PEFT folder"),
            got,
            supported: supported.to_owned(),
        })
    };
    if let Layer::Expert(_) = delta.layer {
        return refuse("an expert of a fused parameter".into(), "weights of their own");
    }
    let (name, kernel) = (delta.factors.name(), kernel(delta));
    let lora = matches!(delta.factors, Factors::Lora(_));
    if let Some(magnitude) = &delta.magnitude {
        if !lora {
            return refuse(format!("DoRA of {name}"), "DoRA of LoRA");
        }
        if magnitude.axis == Axis::In {
            return refuse("DoRA with one number for each input".into(), "one for each output");
        }
        if delta.bias.is_some() {
            return refuse("DoRA and lora_bias".into(), "one of them");
        }
    }
    if delta.bias.is_some() && (!lora || delta.layer == Layer::Embedding) {
        let got = format!("lora_bias of {name} on {:?}", delta.layer);
        return refuse(got, "lora_bias of LoRA on Linear and convolutions");
    }
    if lora {
        return match kernel.len() {
            ..=3 => Ok(()),
            n => refuse(format!("a convolution of {n} dimensions"), "at most 3"),
        };
    }
    if delta.layer == Layer::Embedding {
        return refuse(format!("{name} of an embedding"), "LoRA of embeddings");
    }
    if kernel.len() > 2 {
        let got = format!("{name} of a convolution of {} dimensions", kernel.len());
        return refuse(got, "at most 2");
    }
    if !cores(delta).is_empty() && kernel.iter().all(|&k| k == 1) {
        return refuse("a core for a kernel of ones".into(), "flat factors");
    }
    if let Factors::Lokr(lokr) = &delta.factors {
        let wanted = match (lokr.w2(), kernel) {
            (KronFactor::Full(_), &[kernel]) => KronOrder::PeftConv1d { kernel },
            _ => KronOrder::Plain,
        };
        check_order(module, lokr, wanted, "PEFT folder")?;
    }
    Ok(())
}
