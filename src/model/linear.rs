//! One product of the model: all projections that read the same input, and the deltas on them.

use std::rc::Rc;

use crate::{
    Result,
    backend::{Active, Backend},
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

/// A delta of a loaded adapter on one projection.
pub(super) struct Slot<B: Backend> {
    /// Identity of the adapter.
    pub adapter: usize,
    pub first_row: usize,
    pub delta: B::Delta,
    /// 0 where the adapter is not active.
    pub strength: f32,
}

/// Stacked projections `[sum of out, in]`, frozen, with the deltas of every loaded adapter.
pub(super) struct Linear<B: Backend> {
    pub parts: Vec<Part>,
    pub slots: Vec<Slot<B>>,
    base: Rc<B::Weight>,
    /// `W + dW` while adapters are merged. The base is never touched, so unmerging is exact.
    merged: Option<B::Weight>,
}

impl<B: Backend> Linear<B> {
    pub fn new<'a>(
        base: Rc<B::Weight>,
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
        Self { parts, slots: Vec::new(), base, merged: None }
    }

    /// `y = W x` with every active delta: `x` `[rows, in]`, `y` `[rows, out]`.
    pub fn run(
        &self,
        backend: &mut B,
        x: &B::Buffer,
        rows: usize,
        y: &mut B::Buffer,
    ) -> Result<()> {
        match &self.merged {
            Some(merged) => backend.linears(merged, &[], x, rows, y),
            None => backend.linears(&self.base, &self.active(), x, rows, y),
        }
    }

    /// The merged weight of the active deltas; `None` where there are none.
    pub fn merge(&self, backend: &mut B) -> Result<Option<B::Weight>> {
        let active = self.active();
        if active.is_empty() {
            return Ok(None);
        }
        backend.merge(&self.base, &active).map(Some)
    }

    /// Runs on `merged` from now on, on the base where it is `None`.
    pub fn switch(&mut self, merged: Option<B::Weight>) {
        self.merged = merged;
    }

    fn active(&self) -> Vec<Active<'_, B>> {
        let slots = self.slots.iter().filter(|slot| slot.strength != 0.0);
        slots
            .map(|slot| Active {
                delta: &slot.delta,
                strength: slot.strength,
                first_row: slot.first_row,
            })
            .collect()
    }
}
