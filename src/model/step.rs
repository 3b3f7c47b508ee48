//! One step: tokens of one or more texts through the model.

use super::{DOWN, GATE_UP, Model, OUT, PER_LAYER, QKV, Turn, batch::Batch, linear::Mix};
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
    /// `[rows, hidden]`: the stream, normed.
    normed: B::Buffer,
    /// `[rows, hidden]`: what a product adds to the stream.
    product: B::Buffer,
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
    strengths: Option<Strengths<B>>,
}

/// The strengths of a step: all that a change of adapters writes.
struct Strengths<B: Backend> {
    buffer: B::Buffer,
    capacity: usize,
    /// What is in the buffer.
    written: Vec<f32>,
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
        let (table, columns) = self.table(&batch, turns);
        // One row serves all tokens, or each has its own.
        let width = if table.len() == columns { 0 } else { columns };
        let Self { backend, config, heads, linears, norms, head_norms, rope, work, .. } = self;
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let have = work.as_ref().map_or((0, 0), |work| (work.rows, work.logit_rows));
        let need = (have.0.max(rows), have.1.max(logit_rows));
        let work = match work.take().filter(|_| have == need) {
            Some(ready) => work.insert(ready),
            None => work.insert(Workspace::new(backend, config, *heads, need)?),
        };
        let on = |adapter| table.iter().skip(adapter).step_by(columns).any(|s| *s != 0.0);
        let active: Vec<_> = (0..columns).map(on).collect();
        let any = active.contains(&true);
        if any {
            work.write(backend, &table)?;
        }
        let Workspace {
            x,
            normed,
            product,
            qkv,
            attended,
            gate_up,
            activated,
            logits,
            strengths,
            ..
        } = &mut *work;
        let strengths = strengths.as_ref().filter(|_| any);
        let mix = strengths.map(|s| Mix { strengths: &s.buffer, active: &active, first: 0, width });
        let (epsilon, layers) = (config.rms_norm_eps, config.num_hidden_layers);
        let first = rows - logit_rows;
        // Behind the last layer only rows that become logits go on.
        let going = |norm| if norm == 2 * layers { first..rows } else { 0..rows };
        backend.embed(&self.embedding, &batch.ids, x)?;
        backend.rms_norm(x, going(0), &norms[0], hidden, epsilon, normed);
        for layer in 0..layers {
            let products = &linears[layer * PER_LAYER..][..PER_LAYER];
            // A product's deltas are added by the kernel that reads it.
            let mut added = products[QKV].run(backend, normed, rows, mix, qkv)?;
            if let Some(weight) = head_norms.get(layer) {
                backend.head_norm(qkv, added.take(), *heads, rows, weight, epsilon);
            }
            for (text, span) in &batch.spans {
                let (keys, values) = &mut turns[*text].session.caches[layer];
                backend.rope(qkv, added, *heads, rope, span, keys, values);
                let window = config.windows[layer];
                backend.attention(qkv, *heads, keys, values, span, window, attended);
            }
            let added = products[OUT].run(backend, attended, rows, mix, product)?;
            let norm = &norms[2 * layer + 1];
            backend.add_norm(x, product, added, 0..rows, norm, hidden, epsilon, normed);
            let added = products[GATE_UP].run(backend, normed, rows, mix, gate_up)?;
            backend.silu_mul(gate_up, added, rows, wide, activated);
            let added = products[DOWN].run(backend, activated, rows, mix, product)?;
            let (norm, going) = (&norms[2 * layer + 2], going(2 * layer + 2));
            backend.add_norm(x, product, added, going, norm, hidden, epsilon, normed);
        }
        let head = &linears[layers * PER_LAYER];
        let mix = mix.map(|mix| Mix { first, ..mix });
        let added = head.run(backend, normed, logit_rows, mix, logits)?;
        if let Some(added) = added {
            backend.up(added, logit_rows, config.vocab_size, logits);
        }
        for turn in turns {
            turn.session.position += turn.ids.len();
        }
        Ok((backend, work))
    }

    /// Strengths of the rows of a step, one row where they are all alike; and the width of a row.
    fn table(&self, batch: &Batch, turns: &[Turn<'_, B>]) -> (Vec<f32>, usize) {
        let of = |turn: &Turn<'_, B>| self.strengths(turn.session.mix.as_deref());
        let texts: Vec<_> = turns.iter().map(of).collect();
        if texts.iter().all(|row| row == &texts[0]) {
            return (texts[0].clone(), texts[0].len());
        }
        let rows =
            batch.spans.iter().flat_map(|(text, span)| span.rows.clone().map(|_| &texts[*text]));
        (rows.flatten().copied().collect(), texts[0].len())
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
            product: backend.zeros(rows * config.hidden_size)?,
            qkv: backend.zeros(rows * heads.qkv())?,
            attended: backend.zeros(rows * heads.query * heads.size)?,
            gate_up: backend.zeros(2 * rows * config.intermediate_size)?,
            activated: backend.zeros(rows * config.intermediate_size)?,
            strengths: None,
        })
    }

    /// Writes the strengths of a step where they are others than those of the step before.
    fn write(&mut self, backend: &mut B, table: &[f32]) -> Result<()> {
        if self.strengths.as_ref().is_none_or(|ready| ready.capacity < table.len()) {
            let buffer = backend.zeros(table.len())?;
            let capacity = table.len();
            self.strengths = Some(Strengths { buffer, capacity, written: Vec::new() });
        }
        match &mut self.strengths {
            Some(ready) if ready.written != table => {
                backend.write(&mut ready.buffer, table);
                ready.written = table.to_vec();
            }
            _ => {}
        }
        Ok(())
    }
}
