//! One step: tokens of one or more texts through the model.

use super::{
    DOWN, GATE_UP, Model, OUT, PER_LAYER, QKV, Turn,
    batch::{Batch, mixed},
};
use crate::{
    Error, Result,
    backend::{Backend, Heads},
    format::ModelConfig,
};

/// Activations of one step, for up to `rows` tokens.
pub(super) struct Workspace<B: Backend> {
    rows: usize,
    /// `[rows, hidden]`: the residual stream.
    x: B::Buffer,
    /// `[rows, hidden]`: normed, and what a product adds to the stream.
    normed: B::Buffer,
    /// `[rows, (query + 2 key_value) * head_dim]`.
    qkv: B::Buffer,
    /// `[rows, query * head_dim]`.
    attended: B::Buffer,
    /// `[rows, 2 * intermediate]`.
    gate_up: B::Buffer,
    /// `[rows, intermediate]`.
    activated: B::Buffer,
    /// `[logit_rows, vocabulary]`.
    pub logits: B::Buffer,
    logit_rows: usize,
    /// `[logit_rows]`: the most likely token of each.
    pub best: B::Buffer,
}

/// Which rows of a step become logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of them, of one text.
    Every,
    /// The last of every text.
    Last,
}

impl<B: Backend> Model<B> {
    /// Runs tokens through the model; the logits of the wanted rows are then in the workspace.
    pub(super) fn step(
        &mut self,
        turns: &mut [Turn<'_, B>],
        wanted: Wanted,
    ) -> Result<(&mut B, &mut Workspace<B>)> {
        self.check_turns(turns)?;
        let batch = Batch::new(turns);
        let rows = batch.ids.len();
        let logit_rows = if wanted == Wanted::Every { rows } else { turns.len() };
        let Self { backend, config, heads, linears, norms, head_norms, rope, work, .. } = self;
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let have = work.as_ref().map_or((0, 0), |work| (work.rows, work.logit_rows));
        let need = (have.0.max(rows), have.1.max(logit_rows));
        let work = match work.take().filter(|_| have == need) {
            Some(ready) => work.insert(ready),
            None => work.insert(Workspace::new(backend, config, *heads, need)?),
        };
        let epsilon = config.rms_norm_eps;
        backend.embed(&self.embedding, &batch.ids, &mut work.x)?;
        for layer in 0..config.num_hidden_layers {
            let products = &linears[layer * PER_LAYER..][..PER_LAYER];
            let [before, between] = [&norms[2 * layer], &norms[2 * layer + 1]];
            backend.rms_norm(&work.x, 0, rows, before, hidden, epsilon, &mut work.normed);
            let mixes = batch.mixed(turns);
            products[QKV].run(backend, &work.normed, rows, &mixes, &mut work.qkv)?;
            if let Some(weight) = head_norms.get(layer) {
                backend.head_norm(&mut work.qkv, *heads, rows, weight, epsilon);
            }
            for (text, span) in &batch.spans {
                let (keys, values) = &mut turns[*text].session.caches[layer];
                backend.rope(&mut work.qkv, *heads, rope, span, keys, values);
                let (qkv, out) = (&work.qkv, &mut work.attended);
                backend.attention(qkv, *heads, keys, values, span, config.windows[layer], out);
            }
            let mixes = batch.mixed(turns);
            products[OUT].run(backend, &work.attended, rows, &mixes, &mut work.normed)?;
            backend.add(&mut work.x, &work.normed, rows * hidden);
            backend.rms_norm(&work.x, 0, rows, between, hidden, epsilon, &mut work.normed);
            products[GATE_UP].run(backend, &work.normed, rows, &mixes, &mut work.gate_up)?;
            backend.silu_mul(&work.gate_up, rows, wide, &mut work.activated);
            products[DOWN].run(backend, &work.activated, rows, &mixes, &mut work.normed)?;
            backend.add(&mut work.x, &work.normed, rows * hidden);
        }
        let (first, last) = (rows - logit_rows, &norms[2 * config.num_hidden_layers]);
        backend.rms_norm(&work.x, first, logit_rows, last, hidden, epsilon, &mut work.normed);
        let mixes = match wanted {
            Wanted::Every => batch.mixed(turns),
            Wanted::Last => mixed(turns, (0..turns.len()).map(|text| (text, text..text + 1))),
        };
        let head = &linears[config.num_hidden_layers * PER_LAYER];
        head.run(backend, &work.normed, logit_rows, &mixes, &mut work.logits)?;
        for turn in turns {
            turn.session.position += turn.ids.len();
        }
        Ok((backend, work))
    }

    fn check_turns(&self, turns: &[Turn<'_, B>]) -> Result<()> {
        if turns.is_empty() {
            return Err(Error::argument("turns", "at least one text", "none"));
        }
        for Turn { session, ids } in turns {
            if ids.is_empty() {
                return Err(Error::argument("ids", "at least one token", "none"));
            }
            if let Some(id) = ids.iter().find(|&&id| id as usize >= self.config.vocab_size) {
                let expected = format!("token ids below {}", self.config.vocab_size);
                return Err(Error::argument("ids", expected, id));
            }
            let width = self.heads.key_value * self.heads.size;
            if session.caches.len() != self.config.num_hidden_layers || session.width != width {
                return Err(Error::argument("session", "a session of this model", "another's"));
            }
            let tokens = session.position + ids.len();
            if tokens > session.capacity {
                return Err(Error::ContextFull { tokens, context: session.capacity });
            }
            if let Some(mix) = &session.mix {
                self.check_mix(mix)?;
            }
        }
        Ok(())
    }
}

impl<B: Backend> Workspace<B> {
    fn new(
        backend: &mut B,
        config: &ModelConfig,
        heads: Heads,
        (rows, logit_rows): (usize, usize),
    ) -> Result<Self> {
        Ok(Self {
            logits: backend.zeros(logit_rows * config.vocab_size)?,
            logit_rows,
            best: backend.zeros(logit_rows)?,
            rows,
            x: backend.zeros(rows * config.hidden_size)?,
            normed: backend.zeros(rows * config.hidden_size)?,
            qkv: backend.zeros(rows * heads.qkv())?,
            attended: backend.zeros(rows * heads.query * heads.size)?,
            gate_up: backend.zeros(2 * rows * config.intermediate_size)?,
            activated: backend.zeros(rows * config.intermediate_size)?,
        })
    }
}
