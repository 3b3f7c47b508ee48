//! PEFT folders: `adapter_config.json` and `adapter_model.safetensors` (PEFT 0.21,
//! `utils/save_and_load.py`), with LoRA, LoHa or LoKr on Linear, Embedding and
//! convolution weights, DoRA, `lora_bias`, trained biases, `modules_to_save`, trained rows of
//! embeddings.
//!
//! The modules and the layout of the factors come from the tensors; the config gives rank, alpha
//! and scale, and is cross-checked.

mod config;
mod patterns;
mod write;

pub use write::{Options, write};

pub(super) use config::Config;
use config::Resolved;

use super::adapter_file::{Sorted, Whole};
use super::group::{Group, Groups, peft_order};
use super::key::{self, Role};
use super::module::MAX_RANK;
use super::{AdapterFile, Conventions, Files, Tensors};
use crate::adapter::{Adapter, Axis, Delta, Magnitude, Warning};
use crate::{Error, Result};

/// The adapter in a folder. Every tensor is used, or named in the error.
pub fn read(files: &Files<'_>) -> Result<Adapter> {
    let config = files.get("adapter_config.json")?;
    let (name, bytes) = files.get("adapter_model.safetensors")?;
    let tensors = Tensors::parse(name, bytes)?;
    AdapterFile::open(Some(config), tensors, &Conventions::default())?.read()
}

/// Sorts the tensors of a file by module; refuses the ones that are nothing of an adapter.
pub(super) fn sort(tensors: &Tensors<'_>, config: &Config) -> Result<Sorted> {
    let (mut groups, mut whole) = (Groups::default(), Whole::default());
    let mut warnings: Vec<Warning> = Vec::new();
    for tensor in tensors.names() {
        let refuse = |reason: String| Error::UnknownTensor { tensor: tensor.clone(), reason };
        let key = match key::parse(&tensor) {
            Ok(key) => key,
            Err(reason) => {
                place(&tensor, config, tensors, &mut whole)
                    .map_err(|other| refuse(other.unwrap_or(reason)))?;
                continue;
            }
        };
        match (key.role, key.role.method()) {
            (_, Some(method)) if method != config.peft_type.name() => {
                let (file, name) = (&config.file, config.peft_type.name());
                return Err(refuse(format!("a factor of {method}, but {file} says {name}")));
            }
            (Role::Alpha | Role::DoraScale | Role::LoraMid, _) => {
                let file = &config.file;
                return Err(refuse(format!(
                    "a name of kohya and LyCORIS files beside {file}: two rules of scale; read the \
                     file without its config, or take the tensor out"
                )));
            }
            _ => {}
        }
        let (module, wrapped) = key::module(&key.stem);
        if wrapped && warnings.is_empty() {
            warnings.push(Warning {
                code: "WrapperPrefix",
                module: module.clone(),
                message: format!(
                    "names carry wrappers of compiled or parallel models, as in {tensor}; \
                     they were taken off"
                ),
            });
        }
        groups.insert(module, key)?;
    }
    if let Some(name) = config.unsaved(whole.tensors.keys()) {
        return Err(Error::MissingTensor {
            module: name.to_owned(),
            tensor: format!("of modules_to_save in {}", config.file),
        });
    }
    if config.has_trained_tokens() && whole.rows.is_empty() {
        return Err(Error::MissingTensor {
            module: "the embedding table".into(),
            tensor: format!("trainable_tokens_delta, which {} asks for", config.file),
        });
    }
    Ok(Sorted { groups, whole, warnings })
}

/// Places a tensor that is no factor: a whole tensor or trained rows. The error is the reason where
/// there is a better one than that of its name.
fn place(
    tensor: &str,
    config: &Config,
    tensors: &Tensors<'_>,
    whole: &mut Whole,
) -> Result<(), Option<String>> {
    let path = key::module(tensor).0;
    const ROWS: &str = ".trainable_tokens_delta";
    if let Some(table) = path.strip_suffix(ROWS) {
        let table = table.strip_suffix(".token_adapter").unwrap_or(table);
        let rows = tensors.shape(tensor).and_then(|shape| shape.first()).copied();
        let indices = config.trained_tokens(table).ok_or_else(|| {
            let file = &config.file;
            Some(format!("trained rows, but trainable_token_indices of {file} has none for them"))
        })?;
        if rows != Some(indices.len()) {
            return Err(Some(format!(
                "{} rows, but trainable_token_indices of {} names {} tokens",
                rows.unwrap_or(0),
                config.file,
                indices.len()
            )));
        }
        let place = (tensor.to_owned(), indices.to_vec());
        return match whole.rows.insert(format!("{table}.weight"), place) {
            None => Ok(()),
            Some((first, _)) => Err(Some(format!("{first} holds rows of the same table"))),
        };
    }
    // PEFT saves the embeddings along where their vocabulary was resized or a target names them.
    let (module, kind) = path.rsplit_once('.').ok_or(None)?;
    let module = module.strip_suffix(".base_layer").unwrap_or(module);
    let last = module.rsplit('.').next();
    let embedding = kind == "weight" && matches!(last, Some("embed_tokens" | "lm_head"));
    let bias = kind == "bias" && config.trains_biases;
    if !config.saves(tensor) && !embedding && !bias {
        return Err(None);
    }
    let name = format!("{module}.{kind}");
    match whole.tensors.insert(name.clone(), tensor.to_owned()) {
        None => Ok(()),
        Some(first) => Err(Some(format!("a second tensor for {name}, beside {first}"))),
    }
}

/// The delta of one module.
pub(super) fn delta(group: &Group<'_>, config: &Config) -> Result<Delta> {
    let (factors, layer) = group.factors()?;
    let factors = peft_order(factors, &layer)?;
    let Resolved { rank, alpha, scale } = config.resolve(&group.own_name());
    check_rank(group, config, factors.method().rank(), rank)?;
    let mut delta = Delta::new(factors, rank, alpha as f32, scale as f32);
    delta.layer = layer;
    let out = delta.method().shape()[0];
    let values = vector(group, Role::Magnitude, config.dora, ["use_dora", &config.file], out)?;
    delta.magnitude = values.map(|values| Magnitude { values, axis: Axis::Out });
    delta.bias = vector(group, Role::LoraBias, config.lora_bias, ["lora_bias", &config.file], out)?;
    let used = delta.method().tensors().len()
        + usize::from(delta.magnitude.is_some())
        + usize::from(delta.bias.is_some());
    group.expect_used(used)?;
    Ok(delta)
}

/// Numbers for each output, `[out]`, that a setting of the config asks for.
fn vector(
    group: &Group<'_>,
    role: Role,
    wanted: bool,
    [field, file]: [&str; 2],
    out: usize,
) -> Result<Option<Vec<f32>>> {
    match (group.vector(role)?, wanted) {
        (None, false) => Ok(None),
        (None, true) => Err(Error::MissingTensor {
            module: group.module.to_owned(),
            tensor: format!("{}, which {field} of {file} asks for", role.name()),
        }),
        (Some(_), false) => Err(Error::UnknownTensor {
            tensor: group.keys.get(&role).map_or("", |key| &key.name).to_owned(),
            reason: format!("{field} of {file} is off"),
        }),
        // Of a convolution it is `[1, out, 1...]`.
        (Some((shape, values)), true) => match shape.iter().product::<usize>() {
            len if len == out => Ok(Some(values)),
            _ => {
                let what = format!("module {}: {}", group.module, role.name());
                Err(Error::shape(what, &[out], shape))
            }
        },
    }
}

/// The tensors must have the rank that the config gives this module.
fn check_rank(group: &Group<'_>, config: &Config, got: Option<usize>, r: usize) -> Result<()> {
    match got {
        Some(got) if got != r || got > MAX_RANK => Err(Error::ShapeMismatch {
            what: format!("module {}", group.module),
            expected: format!("rank {r} of {} (at most {MAX_RANK})", config.file),
            got: format!("tensors of rank {got}"),
        }),
        _ => Ok(()),
    }
}
