//! Adapters merged into a base model, one tensor at a time: the caller reads and writes the files,
//! so that no more than one weight need be in memory.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::Base;
use super::json::Object;
use crate::adapter::{Adapter, Delta, merge};
use crate::tensor::{DType, Tensor};
use crate::{Error, Result};

/// What happens to the output head of a base whose head is its embedding table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Embeddings {
    /// They stay one table, which takes every change of either.
    Tied,
    /// The head becomes a table of its own.
    Untied,
}

const HEAD: &str = "lm_head.weight";

/// Which tensors of a base change, and how.
#[derive(Debug)]
pub struct Merge {
    adapters: Vec<(Rc<Adapter>, f64)>,
    /// By the tensor's name in the base.
    changes: BTreeMap<String, Vec<(usize, Part)>>,
    conv1d: bool,
    /// The table that the head is made from, where it becomes a tensor of its own.
    untied: Option<String>,
    /// First dimension of tables that come with another vocabulary.
    resized: BTreeMap<String, Vec<usize>>,
}

/// A part of an adapter, by its name there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Delta(String),
    Bias(String),
    Whole(String),
    Rows(String),
}

impl Merge {
    /// Finds the tensor of the base for every part of every adapter, each at its strength; a part
    /// that has none, or does not fit, is an error before anything is written. A base with tied
    /// embeddings needs `embeddings` where its table or its head changes.
    pub fn plan(
        base: &Base,
        adapters: Vec<(Rc<Adapter>, f64)>,
        embeddings: Option<Embeddings>,
    ) -> Result<Self> {
        let mut changes: BTreeMap<String, Vec<(usize, Part)>> = BTreeMap::new();
        for (index, (adapter, strength)) in adapters.iter().enumerate() {
            if !strength.is_finite() {
                return Err(Error::argument("strength", "a finite number", strength));
            }
            let mut add = |name: String, part| changes.entry(name).or_default().push((index, part));
            for (module, delta) in &adapter.deltas {
                add(delta.tensor(module), Part::Delta(module.clone()));
                if delta.bias.is_some() {
                    add(format!("{module}.bias"), Part::Bias(module.clone()));
                }
            }
            for name in adapter.replaced.keys() {
                add(name.clone(), Part::Whole(name.clone()));
            }
            for name in adapter.rows.keys() {
                add(name.clone(), Part::Rows(name.clone()));
            }
        }
        let mut plan = Self {
            adapters,
            changes,
            conv1d: base.conv1d(),
            untied: None,
            resized: BTreeMap::new(),
        };
        plan.settle_embeddings(base, embeddings)?;
        plan.check(base)?;
        Ok(plan)
    }

    /// Decides between one table and two where a tied table or head changes.
    fn settle_embeddings(&mut self, base: &Base, embeddings: Option<Embeddings>) -> Result<()> {
        let tied = base.shape(HEAD).is_none() && base.tie_word_embeddings() != Some(false);
        let Some(table) = base.embedding_table().filter(|_| tied) else { return Ok(()) };
        if !self.changes.contains_key(table) && !self.changes.contains_key(HEAD) {
            return Ok(());
        }
        // Without a config that says so, a model without a head may simply have none.
        let sure = base.tie_word_embeddings() == Some(true) || self.changes.contains_key(HEAD);
        match embeddings {
            None if !sure => Ok(()),
            None => Err(Error::argument(
                "embeddings",
                "`tied` (one table takes every change) or `untied` (the head becomes a table of its \
                 own): this base has its embedding table as its head, and the adapter changes it",
                "none",
            )),
            Some(Embeddings::Untied) => {
                self.untied = Some(table.to_owned());
                Ok(())
            }
            Some(Embeddings::Tied) => {
                let head = self.changes.remove(HEAD).unwrap_or_default();
                self.changes.entry(table.to_owned()).or_default().extend(head);
                Ok(())
            }
        }
    }

    fn check(&mut self, base: &Base) -> Result<()> {
        let mut missing = Vec::new();
        for (name, parts) in &self.changes {
            let made = self.untied.as_deref().filter(|_| name == HEAD);
            let Some(shape) = base.shape(made.unwrap_or(name)) else {
                missing.push(name.clone());
                continue;
            };
            let whole = parts.iter().filter(|(_, part)| matches!(part, Part::Whole(_))).count();
            if whole > 1 || (whole == 1 && parts.len() > 1) {
                return Err(Error::argument(
                    "adapters",
                    format!("one that replaces {name}, and no other change of it"),
                    format!("{} changes", parts.len()),
                ));
            }
            for (index, part) in parts {
                let (adapter, strength) = &self.adapters[*index];
                match part {
                    Part::Delta(module) => {
                        delta(adapter, module)?.orientation(shape, self.conv1d)?;
                    }
                    Part::Whole(tensor) => {
                        let new = adapter.replaced[tensor].shape();
                        // Another vocabulary is no change of rows, and has no half way.
                        let table = new.len() == 2 && new.get(1) == shape.get(1);
                        if new != shape && (!table || *strength != 1.0) {
                            return Err(Error::shape(format!("tensor {tensor}"), shape, new));
                        }
                        if new != shape {
                            self.resized.insert(name.clone(), new.to_vec());
                        }
                    }
                    Part::Bias(_) | Part::Rows(_) => {}
                }
            }
        }
        let Some(example) = missing.first() else { return Ok(()) };
        let total = self.changes.len();
        Err(Error::BaseMismatch {
            matched: total - missing.len(),
            total,
            example: format!("{example}: the base has no such tensor"),
        })
    }

    /// Names of the tensors of the base that change.
    pub fn changed(&self) -> impl Iterator<Item = &str> {
        self.changes.keys().map(String::as_str)
    }

    /// Whether the header of the base's file holds for the result: no tensor has another shape, none
    /// is added.
    #[must_use]
    pub fn keeps_headers(&self) -> bool {
        self.untied.is_none() && self.resized.is_empty()
    }

    /// The shape that a tensor of the base will have.
    #[must_use]
    pub fn shape<'a>(&'a self, name: &str, base: &'a [usize]) -> &'a [usize] {
        self.resized.get(name).map_or(base, Vec::as_slice)
    }

    /// The tensor of the base that becomes the output head too, and the head's name.
    #[must_use]
    pub fn new_head(&self) -> Option<(&str, &'static str)> {
        self.untied.as_deref().map(|table| (table, HEAD))
    }

    /// A tensor of the base with its changes. `name` may be that of a head that is added; then
    /// `weight` is the table that it was.
    pub fn tensor(&self, name: &str, weight: &Tensor) -> Result<Tensor> {
        let Some(parts) = self.changes.get(name) else { return Ok(weight.clone()) };
        let (mut deltas, mut merged) = (Vec::new(), None);
        for (index, part) in parts {
            let (adapter, strength) = &self.adapters[*index];
            if *strength == 0.0 {
                continue;
            }
            let now = merged.as_ref().unwrap_or(weight);
            merged = match part {
                Part::Delta(module) => {
                    deltas.push((delta(adapter, module)?, *strength));
                    continue;
                }
                Part::Bias(module) => Some(add_bias(now, delta(adapter, module)?, *strength)?),
                Part::Whole(tensor) => {
                    Some(towards(weight, &adapter.replaced[tensor], *strength, tensor)?)
                }
                Part::Rows(tensor) => Some(adapter.rows[tensor].merge(now, *strength)?),
            };
        }
        // Deltas of one weight are summed before anything is rounded.
        let now = merged.as_ref().unwrap_or(weight);
        merge(now, &deltas, self.conv1d).map_err(|e| super::module::at(name, e))
    }

    /// The base's `config.json` as it must be for the result; `None` where it stays.
    pub fn config(&self, file: &str, bytes: &[u8]) -> Result<Option<String>> {
        if self.keeps_headers() {
            return Ok(None);
        }
        let mut config = Object::parse(file, bytes)?.into_map();
        if self.untied.is_some() {
            config.insert("tie_word_embeddings".into(), Value::Bool(false));
        }
        if let Some([tokens, ..]) = self.resized.values().next().map(Vec::as_slice) {
            config.insert("vocab_size".into(), Value::from(*tokens));
        }
        let text = serde_json::to_string_pretty(&config);
        text.map(Some).map_err(|e| Error::argument("config", "JSON", e))
    }
}

fn delta<'a>(adapter: &'a Adapter, module: &str) -> Result<&'a Delta> {
    let missing = || Error::argument("module", "a module of the adapter", module);
    adapter.deltas.get(module).ok_or_else(missing)
}

/// `bias + strength * scale * lora_bias`.
fn add_bias(bias: &Tensor, delta: &Delta, strength: f64) -> Result<Tensor> {
    let added = delta.bias.as_deref().unwrap_or(&[]);
    if bias.shape() != [added.len()] {
        return Err(Error::shape("bias of the base", &[added.len()], bias.shape()));
    }
    let mut sum = bias.clone();
    for (i, &b) in added.iter().enumerate() {
        let added = strength * f64::from(delta.scale) * f64::from(b);
        sum.put(i, f64::from(bias.at(i)) + added, "merged bias")?;
    }
    Ok(sum)
}

/// From the base's tensor (strength 0) to a whole one (strength 1), in the base's dtype.
fn towards(base: &Tensor, whole: &Tensor, strength: f64, name: &str) -> Result<Tensor> {
    if strength == 1.0 {
        return convert(whole, base.dtype());
    }
    if base.shape() != whole.shape() {
        return Err(Error::shape(format!("tensor {name}"), base.shape(), whole.shape()));
    }
    let mut mixed = base.clone();
    for i in 0..base.len() {
        let (from, to) = (f64::from(base.at(i)), f64::from(whole.at(i)));
        mixed.put(i, from + strength * (to - from), "merged number")?;
    }
    Ok(mixed)
}

/// The tensor in another dtype.
fn convert(tensor: &Tensor, dtype: DType) -> Result<Tensor> {
    if tensor.dtype() == dtype {
        return Ok(tensor.clone());
    }
    let mut converted = Tensor::zeros(tensor.shape().to_vec(), dtype);
    for i in 0..tensor.len() {
        converted.put(i, tensor.at(i).into(), "merged number")?;
    }
    Ok(converted)
}
