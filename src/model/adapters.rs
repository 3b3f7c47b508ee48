//! Loading, mixing, merging and deleting the adapters of a model. PEFT's verbs.
//!
//! An error leaves everything as it was.

use std::{collections::BTreeMap, ops::Range};

use super::{Costs, Model, Plan, linear::Mix};
use crate::{
    Error, Result,
    adapter::{Adapter, Delta, Layer},
    backend::Backend,
};

/// An adapter that the model holds.
pub(super) struct Loaded {
    pub name: String,
    /// Never used twice.
    pub id: usize,
    /// Its column of strengths: free again when it is deleted.
    pub column: usize,
    /// 0 where it is not active.
    pub strength: f32,
}

/// What the kernels do not run; it can be merged into the weights of a checkpoint.
fn check_runs(adapter: &Adapter) -> Result<()> {
    if let Some(name) = adapter.replaced.keys().chain(adapter.rows.keys()).next() {
        return refuse("a weight saved whole", name);
    }
    adapter.deltas.iter().try_for_each(|(module, delta)| check_delta(module, delta))
}

pub(super) fn check_delta(module: &str, delta: &Delta) -> Result<()> {
    match delta {
        Delta { magnitude: Some(_), .. } => refuse("DoRA", module),
        Delta { layer: Layer::Linear, .. } => Ok(()),
        Delta { layer: Layer::Embedding, .. } => refuse("an embedding", module),
        Delta { layer: Layer::Conv { .. }, .. } => refuse("a convolution", module),
        Delta { layer: Layer::Expert(_), .. } => refuse("an expert", module),
    }
}

fn refuse(what: &str, got: &str) -> Result<()> {
    Err(Error::Unsupported {
        what: format!("{what} in a running model"),
        got: got.to_owned(),
        supported: "LoRA, LoHa and LoKr on Linear weights; merge it into the base".into(),
    })
}

impl<B: Backend> Model<B> {
    /// Uploads an adapter under a name. It is not active until [`Model::set_adapters`].
    pub fn load_adapter(&mut self, name: &str, adapter: &Adapter) -> Result<()> {
        if self.adapters.iter().any(|loaded| loaded.name == name) {
            return Err(Error::AdapterExists { name: name.into() });
        }
        check_runs(adapter)?;
        let mut fits = Vec::new();
        let mut misfit = None;
        for (module, delta) in &adapter.deltas {
            match self.place(module, delta.method().shape()) {
                Ok(place) if fits.iter().any(|(taken, _)| *taken == place) => {
                    misfit = misfit.or(Some(format!("{module}: another module changes the same")));
                }
                Ok(place) => fits.push((place, delta)),
                Err(why) => misfit = misfit.or(Some(why)),
            }
        }
        if let Some(example) = misfit {
            let (matched, total) = (fits.len(), adapter.deltas.len());
            return Err(Error::BaseMismatch { matched, total, example });
        }
        let mut of_linear: BTreeMap<usize, Vec<(usize, &Delta)>> = BTreeMap::new();
        for ((linear, part), delta) in fits {
            let first_row = self.linears[linear].parts[part].first_row;
            of_linear.entry(linear).or_default().push((first_row, delta));
        }
        let taken = |column: &usize| self.adapters.iter().any(|loaded| loaded.column == *column);
        let column = (0..).find(|column| !taken(column)).unwrap_or_default();
        let Self { linears, backend, .. } = self;
        let packed = of_linear.iter().map(|(at, new)| linears[*at].with(backend, column, new));
        for (deltas, (at, new)) in packed.collect::<Result<Vec<_>>>()?.into_iter().zip(&of_linear) {
            linears[*at].take(deltas, column, new);
        }
        let id = self.loads;
        self.loads += 1;
        self.adapters.push(Loaded { name: name.into(), id, column, strength: 0.0 });
        Ok(())
    }

    /// The product and part that a module of an adapter changes: the module of the same name, or
    /// the only one whose path ends like it (adapters made on a part of the model lack the front
    /// of the path, others have too much of it).
    fn place(&self, module: &str, shape: [usize; 2]) -> Result<(usize, usize), String> {
        let ends = |long: &str, short: &str| {
            long.strip_suffix(short).is_some_and(|front| front.ends_with('.'))
        };
        let place = self.modules.get(module).copied().or_else(|| {
            let mut alike = self
                .modules
                .iter()
                .filter(|(name, _)| ends(name, module) || ends(module, name))
                .map(|(_, place)| *place);
            alike.next().filter(|_| alike.next().is_none())
        });
        let Some((linear, part)) = place else {
            return Err(format!("{module}: the model has no such module"));
        };
        let has = self.linears[linear].parts[part].shape;
        if has != shape {
            return Err(format!("{module}: the adapter is {shape:?}, the model's weight {has:?}"));
        }
        Ok((linear, part))
    }

    /// Names of the loaded adapters, in the order of loading.
    pub fn adapters(&self) -> impl Iterator<Item = &str> {
        self.adapters.iter().map(|loaded| loaded.name.as_str())
    }

    /// The active adapters with their strengths.
    pub fn active_adapters(&self) -> impl Iterator<Item = (&str, f32)> {
        let active = self.adapters.iter().filter(|loaded| loaded.strength != 0.0);
        active.map(|loaded| (loaded.name.as_str(), loaded.strength))
    }

    /// Makes exactly these adapters active, each at its strength (1 = as trained, 0 = off).
    pub fn set_adapters(&mut self, wanted: &[(&str, f32)]) -> Result<()> {
        self.check_unmerged("changing the active adapters")?;
        let mut strengths = vec![0.0; self.adapters.len()];
        for (at, strength) in self.resolve(wanted)? {
            strengths[at] = strength;
        }
        for (loaded, strength) in self.adapters.iter_mut().zip(strengths) {
            loaded.strength = strength;
        }
        Ok(())
    }

    /// A row of strengths: of a text's own adapters, or what is active in the model.
    pub(super) fn strengths(&self, mix: Option<&[(usize, f32)]>) -> Vec<f32> {
        let columns = self.adapters.iter().map(|loaded| loaded.column + 1).max().unwrap_or(0);
        let mut row = vec![0.0; columns];
        for loaded in &self.adapters {
            let own = |mix: &[(usize, f32)]| {
                mix.iter().find(|(id, _)| *id == loaded.id).map_or(0.0, |(_, strength)| *strength)
            };
            row[loaded.column] = mix.map_or(loaded.strength, own);
        }
        row
    }

    /// Places and strengths of adapters that are named, each once.
    pub(super) fn resolve(&self, wanted: &[(&str, f32)]) -> Result<Vec<(usize, f32)>> {
        let mut found: Vec<(usize, f32)> = Vec::new();
        for &(name, strength) in wanted {
            let at = self.find(name)?;
            if !strength.is_finite() {
                return Err(Error::argument("strengths", "finite numbers", strength));
            }
            if found.iter().any(|(other, _)| *other == at) {
                let got = format!("{name:?} twice");
                return Err(Error::argument("names", "each adapter once", got));
            }
            found.push((at, strength));
        }
        Ok(found)
    }

    /// Whether a text can run with its own adapters.
    pub(super) fn check_mix(&self, mix: &[(usize, f32)]) -> Result<()> {
        self.check_unmerged("running a text with its own adapters")?;
        let loaded = |id: usize| self.adapters.iter().any(|loaded| loaded.id == id);
        if mix.iter().all(|&(id, _)| loaded(id)) {
            return Ok(());
        }
        Err(Error::argument("session", "adapters that are still loaded", "one that was deleted"))
    }

    /// Writes `W + dW` of the active adapters into second buffers and runs on these.
    pub fn merge_adapters(&mut self) -> Result<()> {
        self.check_unmerged("merging again")?;
        if self.active_adapters().next().is_none() {
            return Err(Error::argument("adapters", "an active adapter to merge", "none active"));
        }
        let row = self.strengths(None);
        let Self { linears, backend, .. } = self;
        let active: Vec<_> = row.iter().map(|strength| *strength != 0.0).collect();
        let strengths = &backend.upload(&row)?;
        let mix = Mix { strengths, active: &active, first: 0, width: 0 };
        let merged: Result<Vec<_>> = linears.iter().map(|l| l.merge(backend, mix)).collect();
        for (linear, merged) in linears.iter_mut().zip(merged?) {
            drop(linear.switch(merged));
        }
        self.merged = true;
        Ok(())
    }

    /// Runs on the base weights again, exactly as before; does nothing where nothing is merged.
    pub fn unmerge_adapters(&mut self) {
        self.linears.iter_mut().for_each(|linear| drop(linear.switch(None)));
        self.merged = false;
    }

    /// What the ways to run each product that an active adapter changes would take for so many
    /// tokens, with the places of its modules in [`Model::modules`].
    pub fn plan(&self, costs: &Costs, rows: usize) -> Vec<(Range<usize>, Plan)> {
        let active: Vec<_> = self.strengths(None).iter().map(|s| *s != 0.0).collect();
        let mut first = 0;
        let mut plans = Vec::new();
        for linear in &self.linears {
            let modules = first..first + linear.parts.len();
            first = modules.end;
            plans.extend(linear.plan(costs, &active, rows).map(|plan| (modules, plan)));
        }
        plans
    }

    /// Whether adapters are merged.
    pub fn merged(&self) -> bool {
        self.merged
    }

    /// Frees an adapter.
    pub fn delete_adapter(&mut self, name: &str) -> Result<()> {
        let at = self.find(name)?;
        if self.adapters[at].strength != 0.0 {
            self.check_unmerged("deleting one of them")?;
        }
        let Self { linears, backend, adapters, .. } = self;
        let column = adapters[at].column;
        // It is held until all of it is gone, so that what fails can be tried again.
        linears.iter_mut().try_for_each(|linear| linear.unload(backend, column))?;
        adapters.remove(at);
        Ok(())
    }

    fn find(&self, name: &str) -> Result<usize> {
        self.adapters.iter().position(|loaded| loaded.name == name).ok_or_else(|| {
            let loaded: Vec<_> = self.adapters().map(|name| format!("{name:?}")).collect();
            let loaded = if loaded.is_empty() { "none".into() } else { loaded.join(", ") };
            Error::UnknownAdapter { name: name.into(), loaded }
        })
    }

    fn check_unmerged(&self, action: &str) -> Result<()> {
        if !self.merged {
            return Ok(());
        }
        let merged: Vec<_> = self.active_adapters().map(|(name, _)| name).collect();
        Err(Error::Merged { merged: merged.join(", "), action: action.into() })
    }
}
