//! One product of the model: all projections that read the same input, and the deltas on them.

use std::{ops::Range, rc::Rc};

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
    /// Added to every output, times scale and strength.
    pub bias: Option<SlotBias<B>>,
    /// 0 where the adapter is not active.
    pub strength: f32,
}

/// `lora_B`'s bias, where it has one.
pub(super) struct SlotBias<B: Backend> {
    pub buffer: B::Buffer,
    pub len: usize,
    pub scale: f32,
}

impl<B: Backend> Slot<B> {
    fn strength(&self, mix: Option<&[(usize, f32)]>) -> f32 {
        let Some(mix) = mix else { return self.strength };
        mix.iter().find(|(adapter, _)| *adapter == self.adapter).map_or(0.0, |(_, s)| *s)
    }
}

/// Rows of a step that run with the same adapters.
pub(super) struct Mixed<'a> {
    pub tokens: Range<usize>,
    /// Identity and strength of each; `None`: what is active in the model.
    pub mix: Option<&'a [(usize, f32)]>,
}

/// Stacked projections `[sum of out, in]`, frozen, with the deltas of every loaded adapter.
pub(super) struct Linear<B: Backend> {
    pub parts: Vec<Part>,
    pub slots: Vec<Slot<B>>,
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
        Self { parts, slots: Vec::new(), base, bias, merged: None }
    }

    /// `y = W x + b` with every active delta: `x` `[rows, in]`, `y` `[rows, out]`.
    pub fn run(
        &self,
        backend: &mut B,
        x: &B::Buffer,
        rows: usize,
        mixes: &[Mixed<'_>],
        y: &mut B::Buffer,
    ) -> Result<()> {
        match &self.merged {
            Some(merged) => backend.linears(merged, &[], x, rows, y)?,
            None => backend.linears(&self.base, &self.active(mixes), x, rows, y)?,
        }
        let width = self.parts.iter().map(|part| part.shape[0]).sum();
        if let Some(bias) = &self.bias {
            backend.bias(bias, width, 1.0, 0, 0..rows, y, width);
        }
        // Beside merged weights too: there the strengths are those that were merged.
        for (slot, strength, tokens) in self.running(mixes) {
            if let Some(SlotBias { buffer, len, scale }) = &slot.bias {
                let scale = strength * scale;
                backend.bias(buffer, *len, scale, slot.first_row, tokens.clone(), y, width);
            }
        }
        Ok(())
    }

    /// The merged weight of the active deltas; `None` where there are none.
    pub fn merge(&self, backend: &mut B) -> Result<Option<B::Weight>> {
        let active = self.active(&[Mixed { tokens: 0..0, mix: None }]);
        if active.is_empty() {
            return Ok(None);
        }
        backend.merge(&self.base, &active).map(Some)
    }

    /// Runs on `merged` from now on, on the base where it is `None`.
    pub fn switch(&mut self, merged: Option<B::Weight>) {
        self.merged = merged;
    }

    /// Each delta with its strength, on the rows where that is not 0.
    fn running<'a>(
        &'a self,
        mixes: &'a [Mixed<'a>],
    ) -> impl Iterator<Item = (&'a Slot<B>, f32, &'a Range<usize>)> {
        let on = |slot: &'a Slot<B>| {
            mixes.iter().map(move |mixed| (slot, slot.strength(mixed.mix), &mixed.tokens))
        };
        self.slots.iter().flat_map(on).filter(|(_, strength, _)| *strength != 0.0)
    }

    fn active<'a>(&'a self, mixes: &'a [Mixed<'a>]) -> Vec<Active<'a, B>> {
        let active = |(slot, strength, tokens): (&'a Slot<B>, f32, &'a Range<usize>)| Active {
            delta: &slot.delta,
            strength,
            first_row: slot.first_row,
            tokens: tokens.clone(),
        };
        self.running(mixes).map(active).collect()
    }
}
