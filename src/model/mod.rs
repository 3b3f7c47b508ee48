//! Small transformers, written once over a [`Backend`].
//!
//! [`Model`] holds the frozen weights and the loaded adapters; a [`Session`] holds the keys and
//! values of one text. Several texts, each with its own adapters, go on together in one batch of
//! [`Turn`]s. Steps return a reading that borrows nothing, so adapters may be changed while a
//! result is on its way.

mod adapters;
mod batch;
mod build;
mod linear;
mod plan;
mod product;
mod random;
mod rope;
mod sampler;
mod session;
mod step;

use std::{collections::HashMap, rc::Rc};

pub use batch::Turn;
pub use build::Builder;
pub use plan::{Costs, Form, Plan, Probe, ROWS};
pub use product::{Product, Source};
pub use random::RandomDelta;
pub use sampler::{Sampler, Sampling};
pub use session::Session;

use crate::{
    Error, Result,
    backend::{Backend, Heads},
    format::ModelConfig,
};
use linear::{Linear, Part};
use step::{Wanted, Workspace};

/// Products of one layer, in the order in which [`Model::linears`] holds them.
const QKV: usize = 0;
const OUT: usize = 1;
const GATE_UP: usize = 2;
const DOWN: usize = 3;
const PER_LAYER: usize = 4;

/// A transformer of any [`Family`](crate::format::Family) on one backend, with any number of
/// adapters.
pub struct Model<B: Backend> {
    backend: B,
    config: ModelConfig,
    heads: Heads,
    parameters: usize,
    embedding: Rc<B::Weight>,
    /// `PER_LAYER` products for each layer, then the head.
    linears: Vec<Linear<B>>,
    /// Norms before attention and before the feed-forward, for each layer; then the last one.
    norms: Vec<B::Buffer>,
    /// `[2, head_dim]` for each layer: norms of query and key heads, where the model has them.
    head_norms: Vec<B::Buffer>,
    /// `[context, head_dim / 2, 2]`: cosine and sine.
    rope: B::Buffer,
    context: usize,
    /// Module name to product and part.
    modules: HashMap<String, (usize, usize)>,
    adapters: Vec<adapters::Loaded>,
    /// Adapters that were ever loaded.
    loads: usize,
    merged: bool,
    work: Option<Workspace<B>>,
}

impl<B: Backend> Model<B> {
    /// The model's configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// How many numbers the model has; a tied head counts once.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// How many tokens a text may have.
    pub fn context(&self) -> usize {
        self.context
    }

    /// The weights that adapters may change: module name and `[out, in]`.
    pub fn modules(&self) -> impl Iterator<Item = (&str, [usize; 2])> {
        let parts = self.linears.iter().flat_map(|linear| &linear.parts);
        parts.map(|Part { name, shape, .. }| (name.as_str(), *shape))
    }

    /// The backend, for kernels outside a model step.
    pub fn backend(&mut self) -> &mut B {
        &mut self.backend
    }

    /// Logits `[ids, vocabulary]` of a whole text, without a session.
    pub fn logits(&mut self, ids: &[u32]) -> Result<B::Reading> {
        let len = ids.len() * self.config.vocab_size;
        let mut session = self.session(ids.len())?;
        let turn = Turn { session: &mut session, ids };
        let (backend, work) = self.step(&mut [turn], Wanted::Every)?;
        Ok(backend.read(&work.logits, 0, len))
    }

    /// A new text of at most `capacity` tokens, which runs with the active adapters.
    pub fn session(&mut self, capacity: usize) -> Result<Session<B>> {
        if capacity > self.context {
            return Err(Error::ContextFull { tokens: capacity, context: self.context });
        }
        let Self { backend, config, heads, .. } = self;
        Session::new(backend, config.num_hidden_layers, capacity, heads.key_value * heads.size)
    }

    /// A new text that runs with exactly these adapters, each at its strength, whatever
    /// [`Model::set_adapters`] says.
    pub fn session_with(
        &mut self,
        capacity: usize,
        adapters: &[(&str, f32)],
    ) -> Result<Session<B>> {
        let mix = self.resolve(adapters)?;
        let mut session = self.session(capacity)?;
        session.mix = Some(mix.iter().map(|&(at, s)| (self.adapters[at].id, s)).collect());
        Ok(session)
    }

    /// Appends tokens to a text; the logits `[vocabulary]` of what comes next.
    pub fn advance(&mut self, session: &mut Session<B>, ids: &[u32]) -> Result<B::Reading> {
        self.advance_all(&mut [Turn { session, ids }])
    }

    /// Appends tokens to a text; the most likely next token, as one number. Four bytes are read
    /// back instead of all logits.
    pub fn advance_greedy(&mut self, session: &mut Session<B>, ids: &[u32]) -> Result<B::Reading> {
        self.advance_all_greedy(&mut [Turn { session, ids }])
    }

    /// [`Model::advance`] for several texts in one step: logits `[turns, vocabulary]`. The base
    /// weights are read once for all of them.
    pub fn advance_all(&mut self, turns: &mut [Turn<'_, B>]) -> Result<B::Reading> {
        let len = turns.len() * self.config.vocab_size;
        let (backend, work) = self.step(turns, Wanted::Last)?;
        Ok(backend.read(&work.logits, 0, len))
    }

    /// [`Model::advance_greedy`] for several texts in one step: `[turns]`.
    pub fn advance_all_greedy(&mut self, turns: &mut [Turn<'_, B>]) -> Result<B::Reading> {
        let (rows, vocabulary) = (turns.len(), self.config.vocab_size);
        let (backend, work) = self.step(turns, Wanted::Last)?;
        backend.argmax(&work.logits, rows, vocabulary, &mut work.best);
        Ok(backend.read(&work.best, 0, rows))
    }
}
