//! PEFT folders: `adapter_config.json` and `adapter_model.safetensors` (PEFT 0.21,
//! `utils/save_and_load.py`), with LoRA, LoHa or LoKr on Linear weights.
//!
//! The modules and the layout of the factors come from the tensors; the config gives rank, alpha
//! and scale, and is cross-checked.

mod config;
mod keys;

use std::collections::BTreeMap;

use config::{Config, MAX_RANK, Resolved};
use keys::{Key, Role};

use super::{Files, Tensors};
use crate::adapter::{Adapter, Delta, Factors, KronFactor, Loha, Lokr, Lora, Warning};
use crate::tensor::Matrix;
use crate::{Error, Result};

/// The adapter in a folder. Every tensor is used, or named in the error.
pub fn read(files: &Files<'_>) -> Result<Adapter> {
    let (name, bytes) = files.get("adapter_config.json")?;
    let config = Config::parse(name, bytes)?;
    let (name, bytes) = files.get("adapter_model.safetensors")?;
    let tensors = Tensors::parse(name, bytes)?;
    let (modules, mut warnings) = group(&tensors, &config)?;
    let mut deltas = BTreeMap::new();
    for (module, group) in modules {
        let reader = ModuleReader { module: &module, tensors: &tensors, config: &config, group };
        let delta = reader.delta()?;
        deltas.insert(module, delta);
    }
    warnings.extend(config.warnings(deltas.keys()));
    Ok(Adapter { deltas, warnings })
}

/// The tensors of one module, by what they are.
type Group = BTreeMap<Role, Key>;

/// Sorts the tensors of a file by module; refuses the ones that are no factors.
fn group(
    tensors: &Tensors<'_>,
    config: &Config,
) -> Result<(BTreeMap<String, Group>, Vec<Warning>)> {
    let mut modules: BTreeMap<String, Group> = BTreeMap::new();
    let mut warnings = Vec::new();
    for tensor in tensors.names() {
        let refuse = |reason: String| Error::UnknownTensor { tensor: tensor.clone(), reason };
        let key = keys::parse(&tensor).map_err(refuse)?;
        if key.role.method() != config.peft_type.name() {
            return Err(refuse(format!(
                "a factor of {}, but {} says {}",
                key.role.method(),
                config.file,
                config.peft_type.name()
            )));
        }
        if let Some(shape @ [_, _, _, ..]) = tensors.shape(&tensor) {
            return Err(refuse(format!(
                "shape {shape:?} belongs to a convolution; only Linear weights are supported yet"
            )));
        }
        let (module, wrapped) = keys::module(&key.stem);
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
        if let Some(first) = modules.entry(module).or_default().insert(key.role, key.clone()) {
            let first = first.partner(first.role);
            return Err(refuse(format!("{first} is the same factor of the same module")));
        }
    }
    if modules.is_empty() {
        return Err(Error::BadFile {
            file: tensors.file().to_owned(),
            expected: "the factors of at least one module".into(),
            got: "no adapter tensors".into(),
        });
    }
    Ok((modules, warnings))
}

/// Reads the factors of one module.
struct ModuleReader<'a> {
    module: &'a str,
    tensors: &'a Tensors<'a>,
    config: &'a Config,
    group: Group,
}

impl ModuleReader<'_> {
    fn delta(&self) -> Result<Delta> {
        let factors = match self.config.peft_type {
            config::PeftType::Lora => {
                let (a, b) = (self.matrix(Role::LoraA)?, self.matrix(Role::LoraB)?);
                self.check_size(&[b.rows(), a.cols()])?;
                Factors::Lora(Lora::new(a, b).map_err(|e| self.at(e))?)
            }
            config::PeftType::Loha => {
                let (w1_a, w1_b) = (self.matrix(Role::HadaW1A)?, self.matrix(Role::HadaW1B)?);
                let (w2_a, w2_b) = (self.matrix(Role::HadaW2A)?, self.matrix(Role::HadaW2B)?);
                self.check_size(&[w1_a.rows(), w1_b.cols()])?;
                Factors::Loha(Loha::new(w1_a, w1_b, w2_a, w2_b).map_err(|e| self.at(e))?)
            }
            config::PeftType::Lokr => {
                let w1 = self.kron_factor([Role::LokrW1, Role::LokrW1A, Role::LokrW1B])?;
                let w2 = self.kron_factor([Role::LokrW2, Role::LokrW2A, Role::LokrW2B])?;
                self.check_size(&[w1.shape(), w2.shape()].concat())?;
                Factors::Lokr(Lokr::new(w1, w2).map_err(|e| self.at(e))?)
            }
        };
        let Resolved { rank, alpha, scale } = self.config.resolve(self.module);
        self.check_rank(factors.method().rank(), rank)?;
        Ok(Delta { factors, rank, alpha: alpha as f32, scale: scale as f32 })
    }

    /// A factor that must be there: two dimensions, all numbers finite.
    fn matrix(&self, role: Role) -> Result<Matrix> {
        // Partners are named alike, with the same prefix and the same ending: a factor of another
        // adapter in the same file is none.
        let name = match self.group.values().next() {
            Some(key) => key.partner(role),
            None => role.name().to_owned(),
        };
        if self.tensors.shape(&name).is_none() {
            return Err(Error::MissingTensor { module: self.module.to_owned(), tensor: name });
        }
        let tensor = self.tensors.get(&name)?;
        let &[rows, cols] = tensor.shape() else {
            return Err(Error::ShapeMismatch {
                what: format!("tensor {name}"),
                expected: "two dimensions".into(),
                got: format!("{:?}", tensor.shape()),
            });
        };
        tensor.check_finite(&format!("tensor {name}"))?;
        Matrix::new(rows, cols, tensor.to_f32())
    }

    /// One factor of a Kronecker product: whole, or as a product of two. Which one the tensors
    /// tell: the rule that chose it when the adapter was made is not run again.
    fn kron_factor(&self, [full, a, b]: [Role; 3]) -> Result<KronFactor> {
        let low = [a, b].into_iter().find_map(|role| self.group.get(&role));
        match (self.group.contains_key(&full), low) {
            (true, Some(low)) => Err(Error::UnknownTensor {
                tensor: low.partner(low.role),
                reason: format!("{} gives this factor whole already", low.partner(full)),
            }),
            (false, Some(_)) => Ok(KronFactor::LowRank { a: self.matrix(a)?, b: self.matrix(b)? }),
            (_, None) => Ok(KronFactor::Full(self.matrix(full)?)),
        }
    }

    /// Small factors can claim a `dW` that no memory holds; `dims` multiply to its size.
    fn check_size(&self, dims: &[usize]) -> Result<()> {
        let product = |n: u32, &d: &usize| n.checked_mul(u32::try_from(d).ok()?);
        if dims.iter().try_fold(1, product).is_some() {
            return Ok(());
        }
        Err(Error::ShapeMismatch {
            what: format!("module {}", self.module),
            expected: "a weight of less than 2^32 numbers".into(),
            got: format!("a product of {dims:?}"),
        })
    }

    /// The tensors must have the rank that the config gives this module.
    fn check_rank(&self, got: Option<usize>, r: usize) -> Result<()> {
        match got {
            Some(got) if got != r || got > MAX_RANK => Err(Error::ShapeMismatch {
                what: format!("module {}", self.module),
                expected: format!("rank {r} of {} (at most {MAX_RANK})", self.config.file),
                got: format!("tensors of rank {got}"),
            }),
            _ => Ok(()),
        }
    }

    /// Adds the module to an error of the mathematics, which knows only factors.
    fn at(&self, error: Error) -> Error {
        match error {
            Error::ShapeMismatch { what, expected, got } => Error::ShapeMismatch {
                what: format!("module {}: {what}", self.module),
                expected,
                got,
            },
            other => other,
        }
    }
}
