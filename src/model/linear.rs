//! One product of the model: all projections that read the same input, and the deltas on them.

use std::rc::Rc;

use crate::{
    Result,
    adapter::Delta,
    backend::{Added, Backend},
    tensor::Tensor,
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
}

/// Stacked projections `[sum of out, in]`, frozen, with the deltas of every loaded adapter.
pub(super) struct Linear<B: Backend> {
    pub parts: Vec<Part>,
    deltas: B::Deltas,
    loaded: Vec<Loaded>,
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
        let part = |(name, tensor): (String, &Tensor)| {
            let shape = [tensor.shape()[0], tensor.shape()[1]];
            let part = Part { name, shape, first_row };
            first_row += shape[0];
            part
        };
        let parts = parts.into_iter().map(part).collect();
        Self { parts, deltas: B::Deltas::default(), loaded: Vec::new(), base, bias, merged: None }
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
    pub fn take(&mut self, deltas: B::Deltas, adapter: usize, biased: bool) {
        self.deltas = deltas;
        self.loaded.push(Loaded { adapter, biased });
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

    /// Runs on `merged` from now on, on the base where it is `None`.
    pub fn switch(&mut self, merged: Option<B::Weight>) {
        self.merged = merged;
    }
}
