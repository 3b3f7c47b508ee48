//! `adapter_config.json` (PEFT `tuners/{lora,loha,lokr}/config.py`): rank and scale of every
//! module, and a refusal of everything that changes the mathematics and is not built here.

use serde_json::Value;

use super::patterns::Patterns;
use crate::adapter::Warning;
use crate::format::experts::unwrapped;
use crate::format::json::{Object, is_off, show};
use crate::format::key::ends_path;
use crate::{Error, Result};

/// A method that PEFT has and this crate reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::format) enum PeftType {
    Lora,
    Loha,
    Lokr,
}

impl PeftType {
    /// PEFT's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lora => "LORA",
            Self::Loha => "LOHA",
            Self::Lokr => "LOKR",
        }
    }

    /// PEFT's name of `alpha`.
    fn alpha_field(self) -> &'static str {
        if self == Self::Lora { "lora_alpha" } else { "alpha" }
    }
}

/// What a module's scale is made of.
pub(in crate::format) struct Resolved {
    /// `r` after `rank_pattern`.
    pub(in crate::format) rank: usize,
    /// `alpha` after `alpha_pattern`.
    pub(super) alpha: f64,
    /// `alpha / r`, or `alpha / sqrt(r)` with rslora.
    pub(super) scale: f64,
}

/// The settings that reading needs.
#[derive(Debug)]
pub(in crate::format) struct Config {
    /// Name of the file.
    pub(super) file: String,
    /// Method.
    pub(super) peft_type: PeftType,
    rank: usize,
    alpha: f64,
    rslora: bool,
    /// Every module has a DoRA magnitude.
    pub(super) dora: bool,
    /// Every module has a bias of `lora_B`.
    pub(super) lora_bias: bool,
    /// Biases of the base were trained too: the file holds them whole.
    pub(super) trains_biases: bool,
    /// Modules that the file holds whole, by name or end of path.
    modules_to_save: Vec<String>,
    trained_tokens: TrainedTokens,
    ranks: Patterns<usize>,
    alphas: Patterns<f64>,
    targets: Vec<String>,
    target_parameters: Vec<String>,
    unknown: Vec<String>,
}

impl Config {
    /// Reads the file, refusing what is not supported.
    pub(in crate::format) fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let json = Object::parse(file, bytes)?;
        let peft_type = match json.text("peft_type")? {
            Some("LORA") => PeftType::Lora,
            Some("LOHA") => PeftType::Loha,
            Some("LOKR") => PeftType::Lokr,
            Some(other) => return Err(unsupported(file, "peft_type", other, "LORA, LOHA, LOKR")),
            None => return Err(json.bad("peft_type", "LORA, LOHA or LOKR")),
        };
        refuse(&json)?;
        // Without alpha the scale is a guess, and every guess is wrong for somebody.
        let alpha = peft_type.alpha_field();
        let ranks = json.object("rank_pattern")?;
        let alphas = json.object("alpha_pattern")?;
        Ok(Self {
            file: file.to_owned(),
            peft_type,
            rank: rank(&json, "r")?,
            alpha: json.number(alpha)?.ok_or_else(|| json.bad(alpha, "a number"))?,
            rslora: peft_type == PeftType::Lora && json.flag("use_rslora", false)?,
            dora: peft_type == PeftType::Lora && json.flag("use_dora", false)?,
            lora_bias: peft_type == PeftType::Lora && json.flag("lora_bias", false)?,
            trains_biases: trains_biases(&json)?,
            modules_to_save: names(&json, "modules_to_save")?,
            trained_tokens: TrainedTokens::parse(&json)?,
            ranks: Patterns::parse(&ranks, |key| rank(&ranks, key))?,
            alphas: Patterns::parse(&alphas, |key| {
                alphas.number(key)?.ok_or_else(|| alphas.bad(key, "a number"))
            })?,
            targets: names(&json, "target_modules")?,
            target_parameters: names(&json, "target_parameters")?,
            unknown: unknown(&json, peft_type),
        })
    }

    /// Rank, alpha and scale of a module. The two patterns are looked up apart from each other
    /// (PEFT since 0.14, #2195). LoHa and LoKr know no rslora, and LoKr divides by `r` even where
    /// both factors are whole.
    pub(in crate::format) fn resolve(&self, module: &str) -> Resolved {
        let rank = self.ranks.get(module).unwrap_or(self.rank);
        let alpha = self.alphas.get(module).unwrap_or(self.alpha);
        let by = if self.rslora { (rank as f64).sqrt() } else { rank as f64 };
        Resolved { rank, alpha, scale: alpha / by }
    }

    /// The parameters of a module that `target_parameters` may mean: those whose path ends like an
    /// entry.
    pub(in crate::format) fn parameters<'a>(
        &'a self,
        module: &str,
    ) -> impl Iterator<Item = &'a str> {
        self.target_parameters.iter().filter_map(move |target| match target.rsplit_once('.') {
            None => Some(target.as_str()),
            Some((end, parameter)) => ends_path(module, end).then_some(parameter),
        })
    }

    /// Whether rows of an embedding table were trained.
    pub(super) fn has_trained_tokens(&self) -> bool {
        !matches!(self.trained_tokens, TrainedTokens::None)
    }

    /// The tokens whose rows were trained in that table.
    pub(super) fn trained_tokens(&self, table: &str) -> Option<&[usize]> {
        match &self.trained_tokens {
            TrainedTokens::None => None,
            TrainedTokens::Embedding(indices) => Some(indices),
            TrainedTokens::ByModule(modules) => {
                modules.iter().find(|(name, _)| ends_path(table, name)).map(|(_, i)| i.as_slice())
            }
        }
    }

    /// Whether a tensor belongs to a module that `modules_to_save` names: the module itself or one
    /// inside it, at any depth (PEFT `tuners_utils.py:check_target_module_exists`).
    pub(super) fn saves(&self, tensor: &str) -> bool {
        self.modules_to_save.iter().any(|name| is_within(tensor, name))
    }

    /// A name of `modules_to_save` that no tensor belongs to.
    pub(super) fn unsaved<'a>(
        &self,
        saved: impl Iterator<Item = &'a String> + Clone,
    ) -> Option<&str> {
        let lost = |name: &&String| !saved.clone().any(|tensor| is_within(tensor, name));
        self.modules_to_save.iter().find(lost).map(String::as_str)
    }

    /// Targets without tensors and fields that nothing here knows.
    pub(in crate::format) fn warnings<'a>(
        &self,
        modules: impl Iterator<Item = &'a String> + Clone,
    ) -> Vec<Warning> {
        let targets = self.targets.iter().map(|target| ("target_modules", target, target.as_str()));
        // A parameter without a path says nothing about modules.
        let parameters = self
            .target_parameters
            .iter()
            .filter_map(|target| Some(("target_parameters", target, target.rsplit_once('.')?.0)));
        let has = |end: &str| modules.clone().any(|m| ends_path(unwrapped(m), end));
        let lost = targets.chain(parameters).filter(|(.., end)| !has(end));
        let lost = lost.map(|(field, target, _)| Warning {
            code: "TargetWithoutTensors",
            module: String::new(),
            message: format!(
                "{}: {field} names {target:?}, but no tensor belongs to it",
                self.file
            ),
        });
        let unknown = self.unknown.iter().map(|field| Warning {
            code: "UnknownConfigField",
            module: String::new(),
            message: format!(
                "{}: {field} is not known for {}; it was ignored",
                self.file,
                self.peft_type.name()
            ),
        });
        lost.chain(unknown).collect()
    }
}

/// A rank: LoKr with whole factors never uses its size, so it may be larger than any factor's.
fn rank(json: &Object, field: &str) -> Result<usize> {
    json.need_count(field, 1, 1_000_000_000)
}

/// `trainable_token_indices`.
#[derive(Debug)]
enum TrainedTokens {
    None,
    /// A list: rows of the input embedding.
    Embedding(Vec<usize>),
    /// An object: rows of each table, by the end of its path.
    ByModule(Vec<(String, Vec<usize>)>),
}

impl TrainedTokens {
    fn parse(json: &Object) -> Result<Self> {
        let field = "trainable_token_indices";
        let bad = || json.bad(field, "a list of token ids, or such lists by module");
        let list = |value: &Value| -> Result<Vec<usize>> {
            let index = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
            value.as_array().and_then(|l| l.iter().map(index).collect()).ok_or_else(bad)
        };
        match json.get(field).filter(|value| !is_off(value)) {
            None => Ok(Self::None),
            Some(value @ Value::Array(_)) => Ok(Self::Embedding(list(value)?)),
            Some(Value::Object(map)) => {
                let one = |(name, value): (&String, &Value)| Ok((name.clone(), list(value)?));
                Ok(Self::ByModule(map.iter().map(one).collect::<Result<_>>()?))
            }
            Some(_) => Err(bad()),
        }
    }
}

/// Whether `bias` says that biases of the base were trained.
fn trains_biases(json: &Object) -> Result<bool> {
    match json.text("bias")? {
        None | Some("none") => Ok(false),
        Some("all" | "lora_only") => Ok(true),
        Some(_) => Err(json.bad("bias", "none, all or lora_only")),
    }
}

/// Whether the path of a tensor leads through a module of that name.
fn is_within(tensor: &str, module: &str) -> bool {
    format!(".{tensor}.").contains(&format!(".{module}."))
}

/// Names in a list; a text in its place is a regular expression or `all-linear`, and says nothing
/// that tensors do not.
fn names(json: &Object, field: &str) -> Result<Vec<String>> {
    let Some(Value::Array(list)) = json.get(field) else { return Ok(Vec::new()) };
    let name = |v: &Value| v.as_str().map(str::to_owned);
    let names: Option<Vec<String>> = list.iter().map(name).collect();
    names.ok_or_else(|| json.bad(field, "a list of texts"))
}

fn unsupported(file: &str, field: &str, got: impl ToString, supported: &str) -> Error {
    Error::Unsupported {
        what: format!("{file}: {field}"),
        got: got.to_string(),
        supported: supported.into(),
    }
}

/// Refuses by name what changes the mathematics and is not built here.
fn refuse(json: &Object) -> Result<()> {
    const OFF: [&str; 8] = [
        "alora_invocation_tokens",
        "arrow_config",
        "use_bdlora",
        "use_qalora",
        "kasa_config",
        "monteclora_config",
        "velora_config",
        "layer_replication",
    ];
    for field in OFF {
        if let Some(value) = json.get(field).filter(|value| !is_off(value)) {
            return Err(unsupported(json.file(), field, show(value), "nothing here, yet"));
        }
    }
    // These change the base model before training, so `A` and `B` alone are not the adapter
    // (PEFT `tuners/lora/layer.py`; peft#1929). The others leave it as it is.
    const PLAIN: [&str; 4] = ["gaussian", "orthogonal", "eva", "mica"];
    match json.get("init_lora_weights") {
        None | Some(Value::Bool(_)) => Ok(()),
        Some(Value::String(s)) if PLAIN.contains(&s.as_str()) => Ok(()),
        Some(other) => Err(unsupported(
            json.file(),
            "init_lora_weights",
            show(other),
            "true, false, gaussian, orthogonal, eva, mica",
        )),
    }
}

/// Fields with a value that nothing here knows: PEFT drops them too, but tells.
fn unknown(json: &Object, peft_type: PeftType) -> Vec<String> {
    const ALL: [&str; 20] = [
        "peft_type",
        "r",
        "rank_pattern",
        "alpha_pattern",
        "auto_mapping",
        "base_model_name_or_path",
        "exclude_modules",
        "inference_mode",
        "layers_pattern",
        "layers_to_transform",
        "modules_to_save",
        "peft_version",
        "revision",
        "target_modules",
        "target_parameters",
        "task_type",
        "trainable_token_indices",
        "bias",
        "ensure_weight_tying",
        "fan_in_fan_out",
    ];
    const LORA: [&str; 14] = [
        "lora_alpha",
        "lora_dropout",
        "use_rslora",
        "init_lora_weights",
        "loftq_config",
        "eva_config",
        "corda_config",
        "lora_ga_config",
        "megatron_config",
        "megatron_core",
        "qalora_group_size",
        "runtime_config",
        "use_dora",
        "lora_bias",
    ];
    const PRODUCTS: [&str; 8] = [
        "alpha",
        "rank_dropout",
        "module_dropout",
        "init_weights",
        "use_effective_conv2d",
        "rank_dropout_scale",
        "decompose_both",
        "decompose_factor",
    ];
    let own: &[&str] = if peft_type == PeftType::Lora { &LORA } else { &PRODUCTS };
    let fields = json.fields().map(|(field, _)| field);
    fields
        .filter(|f| json.is_on(f) && !ALL.contains(f) && !own.contains(f))
        .map(|f| crate::format::look::short(f, 60))
        .collect()
}
