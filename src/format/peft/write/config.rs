//! `adapter_config.json`: one rank, alpha and set of switches for all modules, and patterns for the
//! modules that differ.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Options, lokr};
use crate::adapter::{Adapter, Delta, Factors, KronFactor, Warning};
use crate::format::stored::{cores, kernel};
use crate::{Error, Result};

/// The text of the file.
pub(super) fn config(
    adapter: &Adapter,
    options: &Options,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<u8>> {
    let method = one_method(adapter)?;
    let dora = uniform(adapter, "use_dora", |delta| delta.magnitude.is_some())?;
    let lora_bias = uniform(adapter, "lora_bias", |delta| delta.bias.is_some())?;
    let mut config = json!({
        "auto_mapping": null,
        "base_model_name_or_path": options.base_model_name_or_path,
        "exclude_modules": null,
        "inference_mode": true,
        "layers_pattern": null,
        "layers_to_transform": null,
        "modules_to_save": modules_to_save(adapter)?,
        "peft_type": method.to_uppercase(),
        "revision": null,
        "target_modules": adapter.deltas.keys().collect::<Vec<_>>(),
        "task_type": options.task_type,
    });
    if !adapter.rows.is_empty() {
        let rows = adapter.rows.iter().map(|(name, rows)| {
            let table = name.strip_suffix(".weight").unwrap_or(name);
            (table.to_owned(), json!(rows.indices()))
        });
        config["trainable_token_indices"] = Value::Object(rows.collect());
    }
    let mut ranks = Ranks::new();
    for (module, delta) in &adapter.deltas {
        ranks.insert(module, delta.method().rank().unwrap_or(delta.rank));
    }
    let mut rslora = false;
    let own = match method {
        "LoRA" => {
            rslora = use_rslora(adapter, &ranks);
            json!({
                "bias": "none",
                "fan_in_fan_out": false,
                "init_lora_weights": true,
                "lora_bias": lora_bias,
                "lora_dropout": 0.0,
                "use_dora": dora,
                "use_rslora": rslora,
            })
        }
        _ => json!({
            "init_weights": true,
            "module_dropout": 0.0,
            "rank_dropout": 0.0,
            "use_effective_conv2d": use_effective_conv2d(adapter)?,
        }),
    };
    if method == "LoKr" {
        let plan = lokr::plan(adapter, &mut ranks, warnings)?;
        config["decompose_both"] = plan.decompose_both.into();
        config["decompose_factor"] = plan.decompose_factor.into();
        config["rank_dropout_scale"] = false.into();
    }
    let alphas = adapter.deltas.iter().map(|(module, delta)| {
        let rank = ranks.get(module.as_str()).copied().unwrap_or(delta.rank);
        (module.as_str(), number(alpha(delta, rank, rslora)))
    });
    let ranks = ranks.iter().map(|(module, rank)| (*module, Value::from(*rank)));
    let alpha_field = if method == "LoRA" { "lora_alpha" } else { "alpha" };
    for (field, pattern, values) in [
        (alpha_field, "alpha_pattern", alphas.collect::<Vec<_>>()),
        ("r", "rank_pattern", ranks.collect()),
    ] {
        let (common, rest) = split(values);
        config[field] = common;
        config[pattern] = Value::Object(rest);
    }
    if let (Value::Object(config), Value::Object(own)) = (&mut config, own) {
        config.extend(own);
        config.sort_keys();
    }
    Ok(format!("{config:#}\n").into_bytes())
}

/// `r` of every module.
pub(super) type Ranks<'a> = BTreeMap<&'a str, usize>;

fn one_method(adapter: &Adapter) -> Result<&'static str> {
    let mut methods: BTreeMap<&str, &str> = BTreeMap::new();
    for (module, delta) in &adapter.deltas {
        methods.entry(delta.factors.name()).or_insert(module);
    }
    let names: Vec<_> = methods.iter().map(|(name, module)| format!("{name} ({module})")).collect();
    match (adapter.deltas.values().next(), methods.len()) {
        (Some(delta), 1) => Ok(delta.factors.name()),
        _ => Err(Error::Unsupported {
            what: "an adapter of several methods in a PEFT folder".into(),
            got: names.join(", "),
            supported: "one method in a folder".into(),
        }),
    }
}

/// A switch that the config has once for all modules.
fn uniform(adapter: &Adapter, field: &str, of: impl Fn(&Delta) -> bool) -> Result<bool> {
    let find = |wanted: bool| adapter.deltas.iter().find(|(_, delta)| of(delta) == wanted);
    match (find(true), find(false)) {
        (Some((on, _)), Some((off, _))) => Err(Error::Unsupported {
            what: format!("{field} for some modules in a PEFT folder"),
            got: format!("{on} with it, {off} without"),
            supported: "all modules alike".into(),
        }),
        (on, _) => Ok(on.is_some()),
    }
}

/// Whether convolutions have cores. Kernels of ones never do, nor does a whole `lokr_w2`.
fn use_effective_conv2d(adapter: &Adapter) -> Result<bool> {
    let choice = |delta: &Delta| match &delta.factors {
        _ if !cores(delta).is_empty() => Some(true),
        Factors::Lokr(lokr) if matches!(lokr.w2(), KronFactor::Full(_)) => None,
        _ => kernel(delta).iter().any(|&k| k != 1).then_some(false),
    };
    let find = |wanted| adapter.deltas.iter().find(|(_, delta)| choice(delta) == Some(wanted));
    match (find(true), find(false)) {
        (Some((on, _)), Some((off, _))) => Err(Error::Unsupported {
            what: "use_effective_conv2d for some convolutions in a PEFT folder".into(),
            got: format!("{on} with a core, {off} flat"),
            supported: "all convolutions alike".into(),
        }),
        (on, _) => Ok(on.is_some()),
    }
}

/// Whether `alpha / sqrt(r)` gives the scales, and `alpha / r` does not.
fn use_rslora(adapter: &Adapter, ranks: &Ranks<'_>) -> bool {
    let all = |rslora| {
        adapter.deltas.iter().all(|(module, delta)| {
            let rank = ranks.get(module.as_str()).copied().unwrap_or(delta.rank);
            exact_alpha(delta, rank, rslora).is_some()
        })
    };
    !all(false) && all(true)
}

/// The alpha that gives the scale back, bit for bit.
fn alpha(delta: &Delta, rank: usize, rslora: bool) -> f64 {
    // Exact in f64, so that its quotient is the scale again.
    exact_alpha(delta, rank, rslora).unwrap_or(f64::from(delta.scale) * rank as f64)
}

/// The alpha of the module, where it gives the scale: as a person wrote it, or else to the bit.
fn exact_alpha(delta: &Delta, rank: usize, rslora: bool) -> Option<f64> {
    let by = if rslora { (rank as f64).sqrt() } else { rank as f64 };
    let written = delta.alpha.to_string().parse().ok();
    let candidates = written.into_iter().chain([f64::from(delta.alpha)]);
    candidates.into_iter().find(|alpha| (alpha / by) as f32 == delta.scale)
}

/// Whole numbers without a point, as PEFT writes them.
fn number(alpha: f64) -> Value {
    let whole = alpha as i64;
    if whole as f64 == alpha && alpha.abs() < 1e15 { whole.into() } else { alpha.into() }
}

/// The most common value, and the others by patterns.
fn split(values: Vec<(&str, Value)>) -> (Value, Map<String, Value>) {
    let count = |value: &Value| values.iter().filter(|(_, other)| other == value).count();
    let mut common = (Value::Null, 0);
    let mut seen = BTreeSet::new();
    for (_, value) in &values {
        if seen.insert(value.to_string()) && count(value) > common.1 {
            common = (value.clone(), count(value));
        }
    }
    let common = common.0;
    // PEFT takes a key for the end of a path, and as a regular expression (since 0.15 with `^`,
    // #2419): so it is this module alone.
    let key = |module: &str| format!("^{}", regex_lite::escape(module));
    let rest = values.into_iter().filter(|(_, value)| *value != common);
    let rest = rest.map(|(module, value)| (key(module), value)).collect();
    (common, rest)
}

/// The modules that the file holds whole.
fn modules_to_save(adapter: &Adapter) -> Result<Option<BTreeSet<&str>>> {
    let mut modules = BTreeSet::new();
    for name in adapter.replaced.keys() {
        let Some((module, _)) = name.rsplit_once('.') else {
            return Err(Error::Unsupported {
                what: format!("{name} in a PEFT folder"),
                got: "a tensor outside of any module".into(),
                supported: "tensors of modules".into(),
            });
        };
        modules.insert(module);
    }
    Ok(Some(modules).filter(|modules| !modules.is_empty()))
}
