//! One product of the model: all projections that read the same input, and the deltas on them.

use std::rc::Rc;

use super::plan::{Costs, Plan, Work};
use crate::{
    Result,
    adapter::Delta,
    backend::{Added, Backend},
    tensor::{DType, Tensor},
};

/// One projection inside a [`Linear`].
pub(super) struct Part {
    /// Module name.
    pub name: String,
    /// `[out, in]`.
    pub shape: [usize; 2],
    /// Its first row in the stack.
    pub first_row: usize,
}

/// The strengths that a step runs with; fields as in [`Added`].
pub(super) struct Mix<'a, B: Backend> {
    pub strengths: &'a B::Buffer,
    pub active: &'a [bool],
    pub first: usize,
    pub width: usize,
}

impl<B: Backend> Clone for Mix<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Backend> Copy for Mix<'_, B> {}

/// What one adapter has on a product.
struct Loaded {
    /// Its column of strengths.
    adapter: usize,
    biased: bool,
    work: Vec<Work>,
}

/// Stacked projections `[sum of out, in]`, frozen, with the deltas of every loaded adapter.
pub(super) struct Linear<B: Backend> {
    pub parts: Vec<Part>,
    deltas: B::Deltas,
    loaded: Vec<Loaded>,
    /// Of the base.
    pub dtype: DType,
    base: Rc<B::Weight>,
    /// `[sum of out]`.
    bias: Option<B::Buffer>,
    /// `W + dW` while adapters are merged. The base is never touched, so unmerging is exact.
    merged: Option<B::Weight>,
}

impl<B: Backend> Linear<B> {
    pub fn new<'a>(
        base: Rc<B::Weight>,
        bias: Option<B::Buffer>,
        parts: impl IntoIterator<Item = (String, &'a Tensor)>,
    ) -> Self {
        let mut first_row = 0;
        let mut dtype = None;
        let part = |(name, tensor): (String, &Tensor)| {
            // A stack of different ones is widened.
            let common = dtype.is_none_or(|dtype| dtype == tensor.dtype());
            dtype = Some(if common { tensor.dtype() } else { DType::F32 });
            let shape = [tensor.shape()[0], tensor.shape()[1]];
            let part = Part { name, shape, first_row };
            first_row += shape[0];
            part
        };
        let parts = parts.into_iter().map(part).collect();
        let (deltas, loaded) = (B::Deltas::default(), Vec::new());
        let dtype = dtype.unwrap_or(DType::F32);
        Self { parts, deltas, loaded, dtype, base, bias, merged: None }
    }

    /// `y = W x + b` with every active delta: `x` `[rows, in]`, `y` `[rows, out]`. What comes back
    /// goes to the kernel that takes `y` next.
    pub fn run<'a>(
        &'a self,
        backend: &mut B,
        x: &B::Buffer,
        rows: usize,
        mix: Option<Mix<'a, B>>,
        y: &mut B::Buffer,
    ) -> Result<Option<Added<'a, B>>> {
        let merged = self.merged.is_some();
        let runs = |mix: &Mix<'a, B>| {
            let of = |loaded: &Loaded| mix.active[loaded.adapter] && (!merged || loaded.biased);
            self.loaded.iter().any(of)
        };
        let added = mix.filter(runs).map(|mix| Added { merged, ..self.added(mix) });
        let weight = self.merged.as_ref().unwrap_or(&self.base);
        backend.linears(weight, self.bias.as_ref(), added, x, rows, y)?;
        Ok(added)
    }

    fn added<'a>(&'a self, Mix { strengths, active, first, width }: Mix<'a, B>) -> Added<'a, B> {
        Added { deltas: &self.deltas, strengths, active, first, width, merged: false }
    }

    /// The deltas, with those of one more adapter.
    pub fn with(
        &self,
        backend: &mut B,
        adapter: usize,
        new: &[(usize, &Delta)],
    ) -> Result<B::Deltas> {
        backend.load(&self.deltas, adapter, new)
    }

    /// Takes what [`Linear::with`] gave.
    pub fn take(&mut self, deltas: B::Deltas, adapter: usize, new: &[(usize, &Delta)]) {
        self.deltas = deltas;
        let biased = new.iter().any(|(_, delta)| delta.bias.is_some());
        let work = new.iter().map(|(_, delta)| Work::of(delta)).collect();
        self.loaded.push(Loaded { adapter, biased, work });
    }

    /// What the ways to run it would take, where an active adapter changes it.
    pub fn plan(&self, costs: &Costs, active: &[bool], rows: usize) -> Option<Plan> {
        let of = self.loaded.iter().filter(|loaded| active[loaded.adapter]);
        let work: Vec<_> = of.flat_map(|loaded| &loaded.work).copied().collect();
        (!work.is_empty()).then(|| costs.plan(self.dtype, self.shape(), &work, rows))
    }

    /// `[sum of out, in]`.
    pub fn shape(&self) -> [usize; 2] {
        let outputs = self.parts.iter().map(|part| part.shape[0]).sum();
        [outputs, self.parts.first().map_or(0, |part| part.shape[1])]
    }

    /// Lets go of the deltas of an adapter.
    pub fn unload(&mut self, backend: &mut B, adapter: usize) -> Result<()> {
        backend.unload(&mut self.deltas, adapter)?;
        self.loaded.retain(|loaded| loaded.adapter != adapter);
        Ok(())
    }

    /// The merged weight; `None` where no active one changes it.
    pub fn merge(&self, backend: &mut B, mix: Mix<'_, B>) -> Result<Option<B::Weight>> {
        if !self.loaded.iter().any(|loaded| mix.active[loaded.adapter]) {
            return Ok(None);
        }
        backend.merge(&self.base, self.added(mix)).map(Some)
    }

    /// Runs on `merged` from now on, on the base where it is `None`; gives back what it ran on.
    pub fn switch(&mut self, merged: Option<B::Weight>) -> Option<B::Weight> {
        std::mem::replace(&mut self.merged, merged)
    }
}
