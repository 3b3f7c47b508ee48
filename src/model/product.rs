//! One product of a model by itself, in every form, to be tried and timed.

use super::{
    Costs, Form, Plan,
    adapters::check_delta,
    linear::{Linear, Mix},
    plan::Work,
};
use crate::{Error, Result, adapter::Delta, backend::Backend, tensor::Tensor};

/// What a [`Product`] is made of.
#[derive(Debug, Clone)]
pub struct Source {
    /// `[out, in]`.
    pub weight: Tensor,
    /// Deltas of that shape, all of them on.
    pub deltas: Vec<Delta>,
}

/// One weight with its deltas on a backend. It runs by the same calls as in a [`Model`]; but in a
/// model, `up` rides in the kernel that reads the product, which is missing here.
///
/// [`Model`]: super::Model
pub struct Product<B: Backend> {
    backend: B,
    linear: Linear<B>,
    work: Vec<Work>,
    strengths: B::Buffer,
    active: Vec<bool>,
    merged: Option<B::Weight>,
    /// Rows, then `x` `[rows, in]` and `y` `[rows, out]`.
    buffers: Option<(usize, B::Buffer, B::Buffer)>,
}

impl<B: Backend> Product<B> {
    /// Uploads a weight and its deltas.
    pub fn new(mut backend: B, Source { weight, deltas }: &Source) -> Result<Self> {
        let base = backend.weight(&[weight])?.into();
        let mut linear = Linear::new(base, None, [(String::new(), weight)]);
        for (at, delta) in deltas.iter().enumerate() {
            check_delta("the delta", delta)?;
            let shape = delta.method().shape();
            if weight.shape() != shape {
                return Err(Error::shape("the weight of a delta", &shape, weight.shape()));
            }
            let new = [(0, delta)];
            let packed = linear.with(&mut backend, at, &new)?;
            linear.take(packed, at, &new);
        }
        Ok(Self {
            strengths: backend.upload(&vec![1.0; deltas.len().max(1)])?,
            active: vec![true; deltas.len()],
            work: deltas.iter().map(Work::of).collect(),
            backend,
            linear,
            merged: None,
            buffers: None,
        })
    }

    /// `y` `[rows, out]` for `x` `[rows, in]`.
    pub fn run(&mut self, form: Form, x: &[f32]) -> Result<B::Reading> {
        let [outputs, inputs] = self.linear.shape();
        let rows = x.len() / inputs.max(1);
        if rows == 0 || rows * inputs != x.len() {
            let expected = format!("whole rows of {inputs} numbers");
            return Err(Error::argument("x", expected, format!("{} numbers", x.len())));
        }
        self.prepare(form, rows)?;
        if let Some((_, buffer, _)) = &mut self.buffers {
            self.backend.write(buffer, x);
        }
        self.repeat(form, rows, 1, rows * outputs)
    }

    /// Runs so often, then reads the first number: for a clock.
    pub fn time(&mut self, form: Form, rows: usize, times: usize) -> Result<B::Reading> {
        self.prepare(form, rows)?;
        self.repeat(form, rows, times, 1)
    }

    /// The backend, free for something else.
    #[must_use]
    pub fn into_backend(self) -> B {
        self.backend
    }

    /// What the forms would take for so many tokens. On a device, the deltas have a dispatch more
    /// than in a model.
    #[must_use]
    pub fn plan(&self, costs: &Costs, rows: usize) -> Plan {
        let mut plan = costs.plan(self.linear.dtype, self.linear.shape(), &self.work, rows);
        plan.times[1] += costs.call();
        plan
    }

    /// Whatever `form` needs before it runs.
    fn prepare(&mut self, form: Form, rows: usize) -> Result<()> {
        let [outputs, inputs] = self.linear.shape();
        let len = |width: usize| {
            let refused = || Error::argument("rows", "what fits in memory", rows);
            rows.checked_mul(width).filter(|len| *len > 0).ok_or_else(refused)
        };
        if self.buffers.as_ref().is_none_or(|(ready, ..)| *ready != rows) {
            let x = self.backend.upload(&vec![0.5; len(inputs)?])?;
            self.buffers = Some((rows, x, self.backend.zeros(len(outputs)?)?));
        }
        if form == Form::Merged && self.merged.is_none() {
            let mix = Mix { strengths: &self.strengths, active: &self.active, first: 0, width: 0 };
            self.merged = self.linear.merge(&mut self.backend, mix)?;
        }
        Ok(())
    }

    /// Runs so often, then reads the first numbers.
    fn repeat(&mut self, form: Form, rows: usize, times: usize, len: usize) -> Result<B::Reading> {
        let [outputs, _] = self.linear.shape();
        let Self { backend, linear, strengths, active, merged, buffers, .. } = self;
        let Some((_, x, y)) = buffers else {
            return Err(Error::argument("rows", "at least one", 0));
        };
        if form == Form::Merged {
            linear.switch(merged.take());
        }
        let mix = Mix { strengths, active, first: 0, width: 0 };
        let mix = (form != Form::Base && !active.is_empty()).then_some(mix);
        let done = (0..times).try_for_each(|_| {
            let added = linear.run(backend, x, rows, mix, y)?;
            if let Some(added) = added {
                backend.up(added, rows, outputs, y);
            }
            Ok(())
        });
        // Kept for the next time, and the base is as it was.
        if form == Form::Merged {
            *merged = linear.switch(None);
        }
        done.map(|()| backend.read(y, 0, len))
    }
}
