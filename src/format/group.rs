//! The tensors of one module, and what they are together: the reader that all safetensors adapters
//! share. Layouts come from the shapes, never from a rule that chose them once.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Tensors;
use super::experts::unwrapped;
use super::key::{self, Key, Role};
use super::module::{at, check_size, factor, kernel_factor, split_shape};
use super::numbers::from_le_bytes;
use crate::adapter::{Expert, Factors, KronFactor, KronOrder, Layer, Loha, Lokr, Lora, Tucker};
use crate::tensor::{Matrix, Tensor};
use crate::{Error, Result};

/// The tensors of every module of a file, by what they are.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    pub(super) modules: BTreeMap<String, BTreeMap<Role, Key>>,
    /// Which modules are experts of a fused parameter: they share their tensors.
    pub(super) experts: BTreeMap<String, Expert>,
}

impl Groups {
    /// Adds a tensor to its module. Two tensors for one place are an error, and so are the factors
    /// of a second adapter: one of them would be left out in silence.
    pub(super) fn insert(&mut self, module: String, key: Key) -> Result<()> {
        let group = self.modules.entry(module).or_default();
        // A magnitude or an alpha has no place for an adapter's name in every spelling.
        let mut partners = group.values().filter(|other| key.role.method() == other.role.method());
        if let Some(other) = partners.find(|other| other.adapter() != key.adapter()) {
            let reason = format!("{} belongs to an adapter of another name; keep one", other.name);
            return Err(Error::UnknownTensor { tensor: key.name, reason });
        }
        let tensor = key.name.clone();
        match group.insert(key.role, key) {
            None => Ok(()),
            Some(first) => {
                let reason = format!("{} is the same factor of the same module", first.name);
                Err(Error::UnknownTensor { tensor, reason })
            }
        }
    }
}

/// How much of the factors is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// Their numbers.
    Numbers,
    /// Their shapes alone.
    Shapes,
}

/// One module of a file.
#[derive(Clone, Copy)]
pub(super) struct Group<'a> {
    pub(super) module: &'a str,
    pub(super) keys: &'a BTreeMap<Role, Key>,
    pub(super) tensors: &'a Tensors<'a>,
    pub(super) expert: Option<Expert>,
    pub(super) fill: Fill,
}

impl Group<'_> {
    /// The module by the file's own name, which settings of the file speak of: [`Group::module`] may
    /// be the base's.
    pub(super) fn own_name(&self) -> String {
        let own =
            self.keys.values().next().map_or_else(String::new, |key| key::module(&key.stem).0);
        match self.module.rsplit('.').nth(1).filter(|_| self.expert.is_some()) {
            Some(parameter) => format!("{}.{parameter}", unwrapped(&own)),
            None => own,
        }
    }

    pub(super) fn has(&self, role: Role) -> bool {
        self.keys.contains_key(&role)
    }

    /// PEFT's name of the method; mixtures are an error.
    pub(super) fn method(&self) -> Result<&'static str> {
        let mut methods = self.keys.iter().filter_map(|(role, key)| Some((role.method()?, key)));
        let Some((method, first)) = methods.next() else {
            let tensor = self.keys.values().next().map_or("a factor", |key| &key.name);
            return Err(Error::UnknownTensor {
                tensor: tensor.to_owned(),
                reason: format!("no factor of module {} beside it", self.module),
            });
        };
        match methods.find(|(other, _)| *other != method) {
            None => Ok(method),
            Some((other, key)) => Err(Error::UnknownTensor {
                tensor: key.name.clone(),
                reason: format!("a factor of {other} beside {}, one of {method}", first.name),
            }),
        }
    }

    /// The factors, and the layer that their kernel tells.
    pub(super) fn factors(&self) -> Result<(Factors, Layer)> {
        match self.method()? {
            "LORA" => self.lora(),
            "LOHA" => self.loha(),
            _ => self.lokr(),
        }
    }

    /// Places of all tensors in the file.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        let entry = |key: &Key| self.tensors.header().entry(&key.name);
        self.keys.values().filter_map(entry).map(|entry| entry.range.clone())
    }

    /// Two forms of one module at once: one of them would be left out in silence. `used` is how
    /// many tensors the form that was read has.
    pub(super) fn expect_used(&self, used: usize) -> Result<()> {
        if used == self.keys.len() {
            return Ok(());
        }
        let names: Vec<_> = self.keys.values().map(|key| key.name.as_str()).collect();
        Err(Error::UnknownTensor {
            tensor: names.join(", "),
            reason: format!("tensors of two forms of one module; one form has {used}"),
        })
    }

    fn lora(&self) -> Result<(Factors, Layer)> {
        if self.has(Role::LoraEmbeddingA) || self.has(Role::LoraEmbeddingB) {
            let (a, b) = (self.matrix(Role::LoraEmbeddingA)?, self.matrix(Role::LoraEmbeddingB)?);
            check_size(self.module, &[b.rows(), a.cols()])?;
            let lora = Lora::new(a, b).map_err(|e| self.at(e))?;
            return Ok((Factors::Lora(lora), Layer::Embedding));
        }
        if let Some(expert) = self.expert {
            let (a, b) = (self.slice(Role::LoraA, expert)?, self.slice(Role::LoraB, expert)?);
            check_size(self.module, &[b.rows(), a.cols()])?;
            let lora = Lora::new(a, b).map_err(|e| self.at(e))?;
            return Ok((Factors::Lora(lora), Layer::Expert(expert)));
        }
        let (a, kernel) = self.kernel_matrix(Role::LoraA)?;
        let (b, ones) = self.kernel_matrix(Role::LoraB)?;
        if ones.iter().any(|&d| d != 1) || ones.len() != kernel.len() {
            return Err(Error::ShapeMismatch {
                what: format!("module {}: {}", self.module, Role::LoraB.name()),
                expected: "a kernel of ones, of as many dimensions as lora_A has".into(),
                got: format!("{ones:?}"),
            });
        }
        if self.has(Role::LoraMid) {
            let (mid, middle) = self.kernel_matrix(Role::LoraMid)?;
            if kernel.iter().any(|&d| d != 1) || kernel.len() != middle.len() {
                return Err(Error::ShapeMismatch {
                    what: format!("module {}: lora_down", self.module),
                    expected: "a kernel of ones, of as many dimensions as lora_mid has".into(),
                    got: format!("{kernel:?}"),
                });
            }
            let tucker = self.tucker(mid, &middle, a, &[b.rows()], 1)?;
            let lora = Lora::tucker(tucker, b).map_err(|e| self.at(e))?;
            return Ok((Factors::Lora(lora), Layer::Conv { kernel: middle }));
        }
        check_size(self.module, &[b.rows(), a.cols()])?;
        Ok((Factors::Lora(Lora::new(a, b).map_err(|e| self.at(e))?), layer(kernel)))
    }

    fn loha(&self) -> Result<(Factors, Layer)> {
        let (w1_a, w1_b) = (self.matrix(Role::HadaW1A)?, self.matrix(Role::HadaW1B)?);
        let (w2_a, w2_b) = (self.matrix(Role::HadaW2A)?, self.matrix(Role::HadaW2B)?);
        if !self.has(Role::HadaT1) && !self.has(Role::HadaT2) {
            check_size(self.module, &[w1_a.rows(), w1_b.cols()])?;
            let loha = Loha::new(w1_a, w1_b, w2_a, w2_b).map_err(|e| self.at(e))?;
            return Ok((Factors::Loha(loha), Layer::Linear));
        }
        let (first, kernel) = self.kernel_matrix(Role::HadaT1)?;
        let (second, other) = self.kernel_matrix(Role::HadaT2)?;
        if kernel != other {
            return Err(Error::shape(format!("module {}: hada_t2", self.module), &kernel, &other));
        }
        let first = self.tucker(first, &kernel, w1_b, &[w1_a.cols()], 1)?;
        let second = self.tucker(second, &kernel, w2_b, &[w2_a.cols()], 1)?;
        let (w1_a, w2_a) = (w1_a.transposed(), w2_a.transposed());
        let loha = Loha::tucker([first, second], w1_a, w2_a).map_err(|e| self.at(e))?;
        Ok((Factors::Loha(loha), Layer::Conv { kernel }))
    }

    fn lokr(&self) -> Result<(Factors, Layer)> {
        let (w1, _) = self.kron_factor([Role::LokrW1, Role::LokrW1A, Role::LokrW1B])?;
        if self.has(Role::LokrT2) {
            let (a, b) = (self.matrix(Role::LokrW2A)?, self.matrix(Role::LokrW2B)?);
            let (core, kernel) = self.kernel_matrix(Role::LokrT2)?;
            let [ol, im] = w1.shape();
            let tucker = self.tucker(core, &kernel, b, &[ol, a.cols()], im)?;
            let lokr = Lokr::tucker(w1, tucker, a.transposed()).map_err(|e| self.at(e))?;
            return Ok((Factors::Lokr(lokr), Layer::Conv { kernel }));
        }
        let (w2, kernel) = self.kron_factor([Role::LokrW2, Role::LokrW2A, Role::LokrW2B])?;
        check_size(self.module, &[w1.shape(), w2.shape()].concat())?;
        let lokr = Lokr::new(w1, w2).map_err(|e| self.at(e))?;
        Ok((Factors::Lokr(lokr), layer(kernel)))
    }

    /// A factor that must be there, with two dimensions.
    fn matrix(&self, role: Role) -> Result<Matrix> {
        let name = self.name(role)?;
        match self.fill {
            Fill::Numbers => factor(name, &self.tensors.get(name)?),
            Fill::Shapes => match self.hollow(name)? {
                (matrix, kernel) if kernel.is_empty() => Ok(matrix),
                _ => Err(Error::ShapeMismatch {
                    what: format!("tensor {name}"),
                    expected: "two dimensions".into(),
                    got: format!("{:?}", self.tensors.shape(name).unwrap_or(&[])),
                }),
            },
        }
    }

    /// A factor that must be there, and its kernel.
    fn kernel_matrix(&self, role: Role) -> Result<(Matrix, Vec<usize>)> {
        let name = self.name(role)?;
        match self.fill {
            Fill::Numbers => kernel_factor(name, &self.tensors.get(name)?),
            Fill::Shapes => self.hollow(name),
        }
    }

    /// What of a fused factor belongs to an expert. Its shape was compared with the base's.
    fn slice(&self, role: Role, expert: Expert) -> Result<Matrix> {
        let name = self.name(role)?;
        let [rows, cols] = self.hollow(name)?.0.shape();
        let shape = match role {
            Role::LoraA => [rows / expert.count, cols],
            _ => [rows, cols / expert.count],
        };
        if self.fill == Fill::Shapes {
            return Ok(Matrix::hollow(shape[0], shape[1]));
        }
        let len = shape[0] * shape[1];
        // Rows of `lora_A` are expert behind expert; of the columns of `lora_B` the expert changes
        // fastest.
        let place = |i: usize| match role {
            Role::LoraA => expert.index * len + i,
            _ => i * expert.count + expert.index,
        };
        let (dtype, bytes) = (self.tensors.float(name)?.1, self.tensors.bytes(name)?);
        let size = bytes.len().checked_div(rows * cols).unwrap_or(0);
        let own = (0..len).flat_map(|i| &bytes[place(i) * size..][..size]).copied();
        let own = from_le_bytes(dtype, &own.collect::<Vec<u8>>());
        factor(name, &Tensor::new(shape.to_vec(), own)?)
    }

    fn hollow(&self, name: &str) -> Result<(Matrix, Vec<usize>)> {
        let (rows, columns, kernel) = split_shape(name, self.tensors.float(name)?.0)?;
        Ok((Matrix::hollow(rows, columns), kernel.to_vec()))
    }

    /// The name of a tensor that must be there.
    fn name(&self, role: Role) -> Result<&str> {
        if let Some(key) = self.keys.get(&role) {
            return Ok(&key.name);
        }
        // Named like its partners. Factors of embeddings have an ending of their own.
        let embedding = [Role::LoraEmbeddingA, Role::LoraEmbeddingB];
        let mut keys = self.keys.values().filter(|key| key.role.method().is_some());
        let like = keys.find(|key| embedding.contains(&key.role) == embedding.contains(&role));
        Err(Error::MissingTensor {
            module: self.module.to_owned(),
            tensor: like.map_or_else(|| role.name().to_owned(), |key| key.partner(role)),
        })
    }

    /// The core `[r, r * kernel]` before `b` `[r, in]`. The weight has `out` rows of `repeats` such
    /// factors.
    fn tucker(
        &self,
        core: Matrix,
        kernel: &[usize],
        b: Matrix,
        out: &[usize],
        repeats: usize,
    ) -> Result<Tucker> {
        // 0 where it does not fit, which an empty core alone can claim; no core has such a kernel.
        let size = kernel.iter().try_fold(1, |n: usize, &d| n.checked_mul(d)).unwrap_or(0);
        let row = [repeats, b.cols(), size];
        check_size(self.module, &[out, &row].concat())?;
        Tucker::new(core, b, size).map_err(|e| self.at(e))
    }

    /// One factor of a Kronecker product: whole, with its kernel, or as a product of two. Which one
    /// the tensors tell: the rule that chose it when the adapter was made is not run again.
    fn kron_factor(&self, [full, a, b]: [Role; 3]) -> Result<(KronFactor, Vec<usize>)> {
        let low = [a, b].into_iter().find_map(|role| self.keys.get(&role));
        match (self.has(full), low) {
            (true, Some(low)) => Err(Error::UnknownTensor {
                tensor: low.name.clone(),
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

    /// A list of numbers in any shape that has one long dimension, where it is there; no numbers
    /// where only shapes are read. The shape comes with it.
    pub(super) fn vector(&self, role: Role) -> Result<Option<(&[usize], Vec<f32>)>> {
        let Some(key) = self.keys.get(&role) else { return Ok(None) };
        let (shape, _) = self.tensors.float(&key.name)?;
        let long = shape.iter().filter(|&&d| d != 1).count();
        if long > 1 || shape.contains(&0) {
            return Err(Error::ShapeMismatch {
                what: format!("tensor {}", key.name),
                expected: "one dimension, others of 1".into(),
                got: format!("{shape:?}"),
            });
        }
        if self.fill == Fill::Shapes {
            return Ok(Some((shape, Vec::new())));
        }
        let tensor: Tensor = self.tensors.get(&key.name)?;
        tensor.check_finite(&format!("tensor {}", key.name))?;
        Ok(Some((shape, tensor.to_f32())))
    }

    /// Adds the module to an error of the mathematics.
    pub(super) fn at(&self, error: Error) -> Error {
        at(self.module, error)
    }
}

/// PEFT's own order of a whole `w2` of a Conv1d; other factors as they are.
pub(super) fn peft_order(factors: Factors, layer: &Layer) -> Result<Factors> {
    match (factors, layer) {
        (Factors::Lokr(lokr), Layer::Conv { kernel }) if lokr.core().is_none() => {
            let &[kernel] = kernel.as_slice() else { return Ok(Factors::Lokr(lokr)) };
            lokr.with_order(KronOrder::PeftConv1d { kernel }).map(Factors::Lokr)
        }
        (factors, _) => Ok(factors),
    }
}

/// The layer whose factors have this kernel.
fn layer(kernel: Vec<usize>) -> Layer {
    if kernel.is_empty() { Layer::Linear } else { Layer::Conv { kernel } }
}
