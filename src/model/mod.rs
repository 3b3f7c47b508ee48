//! Small transformers, written once over a [`Backend`].
//!
//! [`Model`] holds the frozen weights and the loaded adapters; a [`Session`] holds the keys and
//! values of one text. Steps return a reading that borrows nothing, so adapters may be changed
//! while a result is on its way.

mod adapters;
mod linear;
mod rope;
mod sampler;
mod session;

use std::{collections::HashMap, rc::Rc};

pub use sampler::{Sampler, Sampling};
pub use session::Session;

use crate::{
    Error, Result,
    backend::{Backend, Heads},
    format::{Checkpoint, LlamaConfig},
    tensor::Tensor,
};
use linear::{Linear, Part};

/// Products of one layer, in the order in which [`Model::linears`] holds them.
const QKV: usize = 0;
const OUT: usize = 1;
const GATE_UP: usize = 2;
const DOWN: usize = 3;
const PER_LAYER: usize = 4;

/// A Llama on one backend, with any number of adapters.
pub struct Model<B: Backend> {
    backend: B,
    config: LlamaConfig,
    heads: Heads,
    parameters: usize,
    embedding: Rc<B::Weight>,
    /// `PER_LAYER` products for each layer, then the head.
    linears: Vec<Linear<B>>,
    /// Norms before attention and before the feed-forward, for each layer; then the last one.
    norms: Vec<B::Buffer>,
    /// `[context, head_dim / 2, 2]`: cosine and sine.
    rope: B::Buffer,
    context: usize,
    /// Module name to product and part.
    modules: HashMap<String, (usize, usize)>,
    adapters: Vec<adapters::Loaded>,
    merged: bool,
    work: Option<Workspace<B>>,
}

/// Activations of one step, for up to `rows` tokens.
struct Workspace<B: Backend> {
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
    logits: B::Buffer,
    logit_rows: usize,
    /// `[1]`: the most likely token.
    best: B::Buffer,
}

/// Which rows of a step become logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Every,
    Last,
}

impl<B: Backend> Model<B> {
    /// Uploads a checkpoint. `context` limits how many tokens a text may have; the default is what
    /// the model was made for, at most 2048.
    pub fn new(mut backend: B, checkpoint: &Checkpoint, context: Option<usize>) -> Result<Self> {
        let config = checkpoint.config.clone();
        let context = context
            .unwrap_or(config.max_position_embeddings.min(2048))
            .clamp(1, config.max_position_embeddings);
        let heads = Heads {
            query: config.num_attention_heads,
            key_value: config.num_key_value_heads,
            size: config.head_dim,
        };
        if heads.size > 256 || !heads.size.is_multiple_of(2) {
            return Err(Error::Unsupported {
                what: "head_dim".into(),
                got: heads.size.to_string(),
                supported: "even numbers up to 256".into(),
            });
        }
        let tensor = |name: &str| -> Result<&Tensor> {
            checkpoint.tensors.get(name).ok_or_else(|| Error::MissingTensor {
                module: name.trim_end_matches(".weight").into(),
                tensor: name.into(),
            })
        };
        let embedding = Rc::new(backend.weight(&[tensor("model.embed_tokens.weight")?])?);
        let mut linears = Vec::new();
        let mut norms = Vec::new();
        for layer in 0..config.num_hidden_layers {
            let path = format!("model.layers.{layer}");
            for group in [
                &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"][..],
                &["self_attn.o_proj"],
                &["mlp.gate_proj", "mlp.up_proj"],
                &["mlp.down_proj"],
            ] {
                let names: Vec<_> = group.iter().map(|name| format!("{path}.{name}")).collect();
                let parts = names
                    .iter()
                    .map(|name| tensor(&format!("{name}.weight")))
                    .collect::<Result<Vec<_>>>()?;
                let base = Rc::new(backend.weight(&parts)?);
                linears.push(Linear::new(base, names.into_iter().zip(parts)));
            }
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                let weight = tensor(&format!("{path}.{norm}.weight"))?.to_f32();
                norms.push(backend.upload(&weight)?);
            }
        }
        norms.push(backend.upload(&tensor("model.norm.weight")?.to_f32())?);
        let (base, head) = if config.tie_word_embeddings {
            (Rc::clone(&embedding), tensor("model.embed_tokens.weight")?)
        } else {
            let head = tensor("lm_head.weight")?;
            (Rc::new(backend.weight(&[head])?), head)
        };
        linears.push(Linear::new(base, [("lm_head".to_owned(), head)]));
        let rope = backend.upload(&rope::table(&config, context))?;
        let index = |(at, linear): (usize, &Linear<B>)| {
            let names = linear.parts.iter().map(|part| part.name.clone());
            names.enumerate().map(|(part, name)| (name, (at, part))).collect::<Vec<_>>()
        };
        let modules = linears.iter().enumerate().flat_map(index).collect();
        Ok(Self {
            backend,
            heads,
            parameters: checkpoint.parameters(),
            embedding,
            linears,
            norms,
            rope,
            context,
            modules,
            adapters: Vec::new(),
            merged: false,
            work: None,
            config,
        })
    }

    /// The model's configuration.
    pub fn config(&self) -> &LlamaConfig {
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
        let (backend, work) = self.step(&mut session, ids, Wanted::Every)?;
        Ok(backend.read(&work.logits, 0, len))
    }

    /// A new text of at most `capacity` tokens.
    pub fn session(&mut self, capacity: usize) -> Result<Session<B>> {
        if capacity > self.context {
            return Err(Error::ContextFull { tokens: capacity, context: self.context });
        }
        let len = capacity * self.heads.key_value * self.heads.size;
        Session::new(&mut self.backend, self.config.num_hidden_layers, capacity, len)
    }

    /// Appends tokens to a text; the logits `[vocabulary]` of what comes next.
    pub fn advance(&mut self, session: &mut Session<B>, ids: &[u32]) -> Result<B::Reading> {
        let vocabulary = self.config.vocab_size;
        let (backend, work) = self.step(session, ids, Wanted::Last)?;
        Ok(backend.read(&work.logits, 0, vocabulary))
    }

    /// Appends tokens to a text; the most likely next token, as one number. Four bytes are read
    /// back instead of all logits.
    pub fn advance_greedy(&mut self, session: &mut Session<B>, ids: &[u32]) -> Result<B::Reading> {
        let vocabulary = self.config.vocab_size;
        let (backend, work) = self.step(session, ids, Wanted::Last)?;
        backend.argmax(&work.logits, 1, vocabulary, &mut work.best);
        Ok(backend.read(&work.best, 0, 1))
    }

    /// Runs tokens through the model; the logits of the wanted rows are then in the workspace.
    fn step(
        &mut self,
        session: &mut Session<B>,
        ids: &[u32],
        wanted: Wanted,
    ) -> Result<(&mut B, &mut Workspace<B>)> {
        self.check(session, ids)?;
        let Self { backend, config, heads, linears, norms, rope, work, .. } = self;
        let (rows, start) = (ids.len(), session.position);
        let logit_rows = if wanted == Wanted::Every { rows } else { 1 };
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let have = work.as_ref().map_or((0, 0), |work| (work.rows, work.logit_rows));
        let need = (have.0.max(rows), have.1.max(logit_rows));
        let work = match work.take().filter(|_| have == need) {
            Some(ready) => work.insert(ready),
            None => work.insert(Workspace::new(backend, config, *heads, need)?),
        };
        let epsilon = config.rms_norm_eps;
        backend.embed(&self.embedding, ids, &mut work.x)?;
        for (layer, (keys, values)) in session.caches.iter_mut().enumerate() {
            let products = &linears[layer * PER_LAYER..][..PER_LAYER];
            let [before, between] = [&norms[2 * layer], &norms[2 * layer + 1]];
            backend.rms_norm(&work.x, 0, rows, before, hidden, epsilon, &mut work.normed);
            products[QKV].run(backend, &work.normed, rows, &mut work.qkv)?;
            backend.rope(&mut work.qkv, *heads, rope, start, rows, keys, values);
            backend.attention(&work.qkv, *heads, keys, values, start, rows, &mut work.attended);
            products[OUT].run(backend, &work.attended, rows, &mut work.normed)?;
            backend.add(&mut work.x, &work.normed, rows * hidden);
            backend.rms_norm(&work.x, 0, rows, between, hidden, epsilon, &mut work.normed);
            products[GATE_UP].run(backend, &work.normed, rows, &mut work.gate_up)?;
            backend.silu_mul(&work.gate_up, rows, wide, &mut work.activated);
            products[DOWN].run(backend, &work.activated, rows, &mut work.normed)?;
            backend.add(&mut work.x, &work.normed, rows * hidden);
        }
        let (first, last) = (rows - logit_rows, &norms[2 * config.num_hidden_layers]);
        backend.rms_norm(&work.x, first, logit_rows, last, hidden, epsilon, &mut work.normed);
        let head = &linears[config.num_hidden_layers * PER_LAYER];
        head.run(backend, &work.normed, logit_rows, &mut work.logits)?;
        session.position += rows;
        Ok((backend, work))
    }

    fn check(&self, session: &Session<B>, ids: &[u32]) -> Result<()> {
        if ids.is_empty() {
            return Err(Error::argument("ids", "at least one token", "none"));
        }
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.config.vocab_size) {
            let expected = format!("token ids below {}", self.config.vocab_size);
            return Err(Error::argument("ids", expected, id));
        }
        let tokens = session.position + ids.len();
        if tokens > session.capacity {
            return Err(Error::ContextFull { tokens, context: session.capacity });
        }
        Ok(())
    }
}

impl<B: Backend> Workspace<B> {
    fn new(
        backend: &mut B,
        config: &LlamaConfig,
        heads: Heads,
        (rows, logit_rows): (usize, usize),
    ) -> Result<Self> {
        Ok(Self {
            logits: backend.zeros(logit_rows * config.vocab_size)?,
            logit_rows,
            best: backend.zeros(1)?,
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
