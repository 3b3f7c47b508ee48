//! An adapter to a LyCORIS file (LyCORIS 4.1, `lycoris/modules/*.py`): one safetensors file whose
//! names are flattened paths, with an `alpha` for each module.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::adapter::{Adapter, Axis, Delta, Factors, KronOrder, Layer, Magnitude, Warning};
use crate::format::base::is_flat;
use crate::format::safetensors;
use crate::format::stored::{self, LoraNames, check_order, cores, exact_alpha, factors, kernel};
use crate::tensor::{DType, Tensor};
use crate::{Error, Result};

const NAMES: LoraNames =
    LoraNames { down: "lora_down.weight", up: "lora_up.weight", mid: Some("lora_mid.weight") };

/// What an adapter does not know of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options<'a> {
    /// What stands before the path: `lycoris` for LyCORIS's own wrapper, `lora_unet` and
    /// `lora_te` for the programs of kohya.
    pub prefix: &'a str,
    /// How factors are stored where it holds all their numbers exactly; else they are F32.
    pub dtype: DType,
}

impl Default for Options<'_> {
    /// For LyCORIS's wrapper, F32.
    fn default() -> Self {
        Self { prefix: "lycoris", dtype: DType::F32 }
    }
}

/// The bytes of a file: `<prefix>_<path with _ for .>.<factor>`, and for each module an `alpha`
/// that gives its scale back when divided by the rank. What the format cannot hold is an error
/// that names the module. The warnings tell where a scale had to be rounded.
pub fn write(adapter: &Adapter, options: &Options<'_>) -> Result<(Vec<u8>, Vec<Warning>)> {
    stored::check(adapter)?;
    if let Some(name) = adapter.replaced.keys().chain(adapter.rows.keys()).next() {
        return Err(refuse(name, "a tensor saved whole", "factors"));
    }
    if options.prefix.is_empty() || options.prefix.contains('.') {
        return Err(Error::argument("prefix", "a name without dots", options.prefix));
    }
    let mut warnings = Vec::new();
    let mut paths: BTreeMap<String, &str> = BTreeMap::new();
    let mut tensors = BTreeMap::new();
    for (module, delta) in &adapter.deltas {
        // Names of such a file that no base has resolved are paths already.
        let path = match is_flat(module) {
            true => module.clone(),
            false => format!("{}_{}", options.prefix, module.replace('.', "_")),
        };
        for (suffix, tensor) in module_tensors(module, delta, options.dtype, &mut warnings)? {
            tensors.insert(format!("{path}.{suffix}"), tensor);
        }
        if let Some(other) = paths.insert(path.clone(), module) {
            let got = format!("{path} for {other} too");
            return Err(refuse(module, &got, "paths that differ in more than dots and _"));
        }
    }
    let bytes = safetensors::write(&tensors, &metadata(adapter))?;
    Ok((bytes, warnings))
}

fn refuse(module: &str, got: &str, supported: &str) -> Error {
    Error::Unsupported {
        what: format!("{module} in a LyCORIS file"),
        got: got.to_owned(),
        supported: supported.to_owned(),
    }
}

/// Everything that a module has in the file, by suffix.
fn module_tensors(
    module: &str,
    delta: &Delta,
    dtype: DType,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<(&'static str, Tensor)>> {
    if delta.layer == Layer::Embedding {
        return Err(refuse(module, "an embedding", "Linear and convolutions"));
    }
    if let Layer::Expert(_) = delta.layer {
        return Err(refuse(module, "an expert of a fused parameter", "weights of their own"));
    }
    if delta.bias.is_some() {
        return Err(refuse(module, "lora_bias", "factors without a bias"));
    }
    if let Factors::Lokr(lokr) = &delta.factors {
        check_order(module, lokr, KronOrder::Plain, "LyCORIS file")?;
    }
    let mut tensors = factors(module, delta, &NAMES, kernel(delta), dtype)?;
    let mut warn = |code, message| {
        warnings.push(Warning { code, module: module.to_owned(), message });
    };
    let alpha = match delta.method().rank() {
        Some(rank) => {
            // LyCORIS takes an alpha of 0 for none.
            if delta.scale == 0.0 {
                return Err(refuse(module, "a scale of 0", "any other"));
            }
            exact_alpha(delta.scale, rank, delta.alpha).unwrap_or_else(|| {
                let near = delta.scale * rank as f32;
                let message = format!(
                    "no alpha of 32 bits gives the scale {} at rank {rank}; the nearest gives {}",
                    delta.scale,
                    near / rank as f32
                );
                warn("RoundedScale", message);
                near
            })
        }
        None => {
            fold_scale(module, delta, dtype, &mut tensors, &mut warn)?;
            delta.rank as f32
        }
    };
    tensors.push(("alpha", stored::tensor("alpha", vec![], &[alpha], DType::F32)?));
    if let Some(magnitude) = &delta.magnitude {
        let what = format!("module {module}: dora_scale");
        let shape = magnitude_shape(magnitude, kernel(delta).len());
        let values = stored::tensor(&what, shape, &magnitude.values, dtype)?;
        tensors.push(("dora_scale", values));
    }
    Ok(tensors)
}

/// Whole factors have the scale 1 in LyCORIS, whatever their alpha: `lokr_w1` takes theirs.
fn fold_scale(
    module: &str,
    delta: &Delta,
    dtype: DType,
    tensors: &mut [(&'static str, Tensor)],
    warn: &mut impl FnMut(&'static str, String),
) -> Result<()> {
    let Some((name, w1)) = tensors.iter_mut().find(|(name, _)| *name == "lokr_w1") else {
        return Ok(());
    };
    if delta.scale == 1.0 {
        return Ok(());
    }
    let exact = |x: f32| f64::from(x) * f64::from(delta.scale);
    let numbers = w1.to_f32();
    let scaled: Vec<f32> = numbers.iter().map(|&x| exact(x) as f32).collect();
    let what = format!("module {module}: {name} times {}", delta.scale);
    *w1 = stored::tensor(&what, w1.shape().to_vec(), &scaled, dtype)?;
    if numbers.iter().zip(&scaled).any(|(&x, &y)| exact(x) != f64::from(y)) {
        let message = format!(
            "the scale {} was multiplied into {name}, rounded to f32: LyCORIS gives whole factors \
             none",
            delta.scale
        );
        warn("FoldedScale", message);
    }
    Ok(())
}

/// `[out, 1, 1...]` or `[1, in, 1...]`, of as many dimensions as the weight.
fn magnitude_shape(magnitude: &Magnitude, kernel: usize) -> Vec<usize> {
    let mut shape = match magnitude.axis {
        Axis::Out => vec![magnitude.values.len(), 1],
        Axis::In => vec![1, magnitude.values.len()],
    };
    shape.resize(2 + kernel, 1);
    shape
}

/// What people's tools show of a file; no reader needs it. All values are texts.
fn metadata(adapter: &Adapter) -> BTreeMap<String, String> {
    let any = |test: fn(&Delta) -> bool| adapter.deltas.values().any(test);
    let common = |of: fn(&Delta) -> String| {
        let values: BTreeSet<String> = adapter.deltas.values().map(of).collect();
        let mut values = values.into_iter();
        values.next().filter(|_| values.next().is_none()).unwrap_or_else(|| "Dynamic".to_owned())
    };
    let mut args = json!({ "algo": common(|delta| delta.factors.name().to_lowercase()) });
    let on_output = |delta: &Delta| delta.magnitude.as_ref().is_some_and(|m| m.axis == Axis::Out);
    let both = |delta: &Delta| matches!(&delta.factors, Factors::Lokr(lokr) if lokr.w1().low_rank().is_some());
    for (name, on) in [
        ("use_tucker", any(|delta| !cores(delta).is_empty())),
        ("dora_wd", any(|delta| delta.magnitude.is_some())),
        ("wd_on_output", any(on_output)),
        ("decompose_both", any(both)),
    ] {
        if on {
            args[name] = "True".into();
        }
    }
    let texts = [
        ("format", "pt".to_owned()),
        ("ss_network_module", "lycoris.kohya".to_owned()),
        ("ss_network_dim", common(|d| d.method().rank().unwrap_or(d.rank).to_string())),
        ("ss_network_alpha", common(|d| d.alpha.to_string())),
        ("ss_network_args", args.to_string()),
    ];
    texts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
