//! PEFT folders: `adapter_config.json` and `adapter_model.safetensors` (PEFT 0.21,
//! `utils/save_and_load.py`), with LoRA, LoHa or LoKr on Linear, Embedding and
//! convolution weights, DoRA, `lora_bias` and `modules_to_save`.
//!
//! The modules and the layout of the factors come from the tensors; the config gives rank, alpha
//! and scale, and is cross-checked.

mod config;
mod keys;
mod write;

pub use write::{Options, write};

use std::collections::BTreeMap;

use config::{Config, Resolved};
use keys::{Key, Role};

use super::module::{MAX_RANK, at, check_size, factor, kernel_factor};
use super::{Files, Tensors};
use crate::adapter::{
    Adapter, Axis, Delta, Factors, KronFactor, KronOrder, Layer, Loha, Lokr, Lora, Magnitude,
    Tucker, Warning,
};
use crate::tensor::{Matrix, Tensor};
use crate::{Error, Result};

/// The adapter in a folder. Every tensor is used, or named in the error.
pub fn read(files: &Files<'_>) -> Result<Adapter> {
    let (name, bytes) = files.get("adapter_config.json")?;
    let config = Config::parse(name, bytes)?;
    let (name, bytes) = files.get("adapter_model.safetensors")?;
    let tensors = Tensors::parse(name, bytes)?;
    let Sorted { modules, replaced, mut warnings } = sort(&tensors, &config)?;
    let mut deltas = BTreeMap::new();
    for (module, group) in modules {
        let reader = ModuleReader { module: &module, tensors: &tensors, config: &config, group };
        let delta = reader.delta()?;
        deltas.insert(module, delta);
    }
    warnings.extend(config.warnings(deltas.keys()));
    Ok(Adapter { deltas, replaced, warnings })
}

/// The tensors of one module, by what they are.
type Group = BTreeMap<Role, Key>;

/// The tensors of a file, sorted.
struct Sorted {
    modules: BTreeMap<String, Group>,
    /// Tensors of `modules_to_save`, by their name in the base.
    replaced: BTreeMap<String, Tensor>,
    warnings: Vec<Warning>,
}

/// Sorts the tensors of a file by module; refuses the ones that are nothing of an adapter.
fn sort(tensors: &Tensors<'_>, config: &Config) -> Result<Sorted> {
    let mut modules: BTreeMap<String, Group> = BTreeMap::new();
    let mut replaced = BTreeMap::new();
    let mut warnings = Vec::new();
    for tensor in tensors.names() {
        let refuse = |reason: String| Error::UnknownTensor { tensor: tensor.clone(), reason };
        let key = match keys::parse(&tensor) {
            Ok(key) => key,
            Err(_) if config.saves(&tensor) => {
                let saved = tensors.get(&tensor)?;
                saved.check_finite(&format!("tensor {tensor}"))?;
                let name = keys::module(&tensor).0;
                if replaced.insert(name.clone(), saved).is_some() {
                    return Err(refuse(format!("a second tensor for {name}")));
                }
                continue;
            }
            Err(reason) => return Err(refuse(reason)),
        };
        if key.role.method() != config.peft_type.name() {
            return Err(refuse(format!(
                "a factor of {}, but {} says {}",
                key.role.method(),
                config.file,
                config.peft_type.name()
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
    if let Some(name) = config.unsaved(replaced.keys()) {
        return Err(Error::MissingTensor {
            module: name.to_owned(),
            tensor: format!("of modules_to_save in {}", config.file),
        });
    }
    if modules.is_empty() {
        return Err(Error::BadFile {
            file: tensors.file().to_owned(),
            expected: "the factors of at least one module".into(),
            got: "no adapter tensors".into(),
        });
    }
    Ok(Sorted { modules, replaced, warnings })
}

/// The layer whose factors have this kernel.
fn layer(kernel: Vec<usize>) -> Layer {
    if kernel.is_empty() { Layer::Linear } else { Layer::Conv { kernel } }
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
        let (factors, layer) = match self.config.peft_type {
            config::PeftType::Lora => self.lora()?,
            config::PeftType::Loha => self.loha()?,
            config::PeftType::Lokr => self.lokr()?,
        };
        let Resolved { rank, alpha, scale } = self.config.resolve(self.module);
        self.check_rank(factors.method().rank(), rank)?;
        let mut delta = Delta::new(factors, rank, alpha as f32, scale as f32);
        delta.layer = layer;
        let out = delta.method().shape()[0];
        let values = self.vector(Role::LoraMagnitude, self.config.dora, "use_dora", out)?;
        delta.magnitude = values.map(|values| Magnitude { values, axis: Axis::Out });
        delta.bias = self.vector(Role::LoraBias, self.config.lora_bias, "lora_bias", out)?;
        // Two forms of one module at once: one of them would be left out in silence.
        let used = delta.method().tensors().len()
            + usize::from(delta.magnitude.is_some())
            + usize::from(delta.bias.is_some());
        if used != self.group.len() {
            let names: Vec<_> = self.group.values().map(|key| key.partner(key.role)).collect();
            return Err(Error::UnknownTensor {
                tensor: names.join(", "),
                reason: format!("tensors of two forms of one module; one form has {used}"),
            });
        }
        Ok(delta)
    }

    fn lora(&self) -> Result<(Factors, Layer)> {
        let (a, b, layer) = if self.group.contains_key(&Role::LoraEmbeddingA)
            || self.group.contains_key(&Role::LoraEmbeddingB)
        {
            let (a, b) = (self.matrix(Role::LoraEmbeddingA)?, self.matrix(Role::LoraEmbeddingB)?);
            (a, b, Layer::Embedding)
        } else {
            let (a, kernel) = self.kernel_matrix(Role::LoraA)?;
            let (b, ones) = self.kernel_matrix(Role::LoraB)?;
            if ones.iter().any(|&d| d != 1) || ones.len() != kernel.len() {
                return Err(Error::ShapeMismatch {
                    what: format!("module {}: lora_B", self.module),
                    expected: "a kernel of ones, of as many dimensions as lora_A has".into(),
                    got: format!("{ones:?}"),
                });
            }
            (a, b, layer(kernel))
        };
        check_size(self.module, &[b.rows(), a.cols()])?;
        Ok((Factors::Lora(Lora::new(a, b).map_err(|e| self.at(e))?), layer))
    }

    fn loha(&self) -> Result<(Factors, Layer)> {
        let (w1_a, w1_b) = (self.matrix(Role::HadaW1A)?, self.matrix(Role::HadaW1B)?);
        let (w2_a, w2_b) = (self.matrix(Role::HadaW2A)?, self.matrix(Role::HadaW2B)?);
        if !self.group.contains_key(&Role::HadaT1) && !self.group.contains_key(&Role::HadaT2) {
            check_size(self.module, &[w1_a.rows(), w1_b.cols()])?;
            let loha = Loha::new(w1_a, w1_b, w2_a, w2_b).map_err(|e| self.at(e))?;
            return Ok((Factors::Loha(loha), Layer::Linear));
        }
        let (first, kernel) = self.tucker(Role::HadaT1, w1_b, &[w1_a.cols()], 1)?;
        let (second, other) = self.tucker(Role::HadaT2, w2_b, &[w2_a.cols()], 1)?;
        if kernel != other {
            return Err(Error::shape(format!("module {}: hada_t2", self.module), &kernel, &other));
        }
        let (w1_a, w2_a) = (w1_a.transposed(), w2_a.transposed());
        let loha = Loha::tucker([first, second], w1_a, w2_a).map_err(|e| self.at(e))?;
        Ok((Factors::Loha(loha), Layer::Conv { kernel }))
    }

    fn lokr(&self) -> Result<(Factors, Layer)> {
        let (w1, _) = self.kron_factor([Role::LokrW1, Role::LokrW1A, Role::LokrW1B])?;
        if self.group.contains_key(&Role::LokrT2) {
            let (a, b) = (self.matrix(Role::LokrW2A)?, self.matrix(Role::LokrW2B)?);
            let [ol, im] = w1.shape();
            let (tucker, kernel) = self.tucker(Role::LokrT2, b, &[ol, a.cols()], im)?;
            let lokr = Lokr::tucker(w1, tucker, a.transposed()).map_err(|e| self.at(e))?;
            return Ok((Factors::Lokr(lokr), Layer::Conv { kernel }));
        }
        let (w2, kernel) = self.kron_factor([Role::LokrW2, Role::LokrW2A, Role::LokrW2B])?;
        check_size(self.module, &[w1.shape(), w2.shape()].concat())?;
        let mut lokr = Lokr::new(w1, w2).map_err(|e| self.at(e))?;
        if let [kernel] = *kernel {
            lokr = lokr.with_order(KronOrder::PeftConv1d { kernel })?;
        }
        Ok((Factors::Lokr(lokr), layer(kernel)))
    }

    /// A factor that must be there, with two dimensions.
    fn matrix(&self, role: Role) -> Result<Matrix> {
        let (name, tensor) = self.tensor(role)?;
        factor(&name, &tensor)
    }

    /// A factor that must be there, and its kernel.
    fn kernel_matrix(&self, role: Role) -> Result<(Matrix, Vec<usize>)> {
        let (name, tensor) = self.tensor(role)?;
        kernel_factor(&name, &tensor)
    }

    /// A tensor that must be there, and its name.
    fn tensor(&self, role: Role) -> Result<(String, Tensor)> {
        // Partners are named alike, with the same prefix and the same ending: a factor of another
        // adapter in the same file is none. Factors of embeddings have an ending of their own.
        let embedding = [Role::LoraEmbeddingA, Role::LoraEmbeddingB];
        let mut keys = self.group.values();
        let like = keys.find(|key| embedding.contains(&key.role) == embedding.contains(&role));
        let name = match like {
            Some(key) => key.partner(role),
            None => role.name().to_owned(),
        };
        if self.tensors.shape(&name).is_none() {
            return Err(Error::MissingTensor { module: self.module.to_owned(), tensor: name });
        }
        let tensor = self.tensors.get(&name)?;
        Ok((name, tensor))
    }

    /// The core `role` `[r, r, kernel...]` before `b` `[r, in]`, and its kernel. The weight has
    /// `out` rows of `repeats` such factors.
    fn tucker(
        &self,
        role: Role,
        b: Matrix,
        out: &[usize],
        repeats: usize,
    ) -> Result<(Tucker, Vec<usize>)> {
        let (core, kernel) = self.kernel_matrix(role)?;
        // 0 where it does not fit, which an empty core alone can claim; no core has such a kernel.
        let size = kernel.iter().try_fold(1, |n: usize, &d| n.checked_mul(d)).unwrap_or(0);
        let row = [repeats, b.cols(), size];
        check_size(self.module, &[out, &row].concat())?;
        Ok((Tucker::new(core, b, size).map_err(|e| self.at(e))?, kernel))
    }

    /// Numbers for each output, `[out]`, that a setting of the config asks for.
    fn vector(
        &self,
        role: Role,
        wanted: bool,
        field: &str,
        out: usize,
    ) -> Result<Option<Vec<f32>>> {
        match (self.group.get(&role), wanted) {
            (None, false) => Ok(None),
            (None, true) => Err(Error::MissingTensor {
                module: self.module.to_owned(),
                tensor: format!("{}, which {field} of {} asks for", role.name(), self.config.file),
            }),
            (Some(key), wanted) => {
                let name = key.partner(role);
                if !wanted {
                    let reason = format!("{field} of {} is off", self.config.file);
                    return Err(Error::UnknownTensor { tensor: name, reason });
                }
                let tensor = self.tensors.get(&name)?;
                tensor.check_finite(&format!("tensor {name}"))?;
                // Of a convolution it is `[1, out, 1...]`.
                let long: Vec<usize> = tensor.shape().iter().copied().filter(|&d| d != 1).collect();
                if tensor.len() != out || long.len() > 1 {
                    return Err(Error::shape(format!("tensor {name}"), &[out], tensor.shape()));
                }
                Ok(Some(tensor.to_f32()))
            }
        }
    }

    /// One factor of a Kronecker product: whole, with its kernel, or as a product of two. Which one
    /// the tensors tell: the rule that chose it when the adapter was made is not run again.
    fn kron_factor(&self, [full, a, b]: [Role; 3]) -> Result<(KronFactor, Vec<usize>)> {
        let low = [a, b].into_iter().find_map(|role| self.group.get(&role));
        match (self.group.contains_key(&full), low) {
            (true, Some(low)) => Err(Error::UnknownTensor {
                tensor: low.partner(low.role),
                reason: format!("{} gives this factor whole already", low.partner(full)),
            }),
            (false, Some(_)) => {
                Ok((KronFactor::LowRank { a: self.matrix(a)?, b: self.matrix(b)? }, Vec::new()))
            }
            (_, None) if full == Role::LokrW1 => {
                Ok((KronFactor::Full(self.matrix(full)?), Vec::new()))
            }
            (_, None) => {
                self.kernel_matrix(full).map(|(whole, kernel)| (KronFactor::Full(whole), kernel))
            }
        }
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

    fn at(&self, error: Error) -> Error {
        at(self.module, error)
    }
}
