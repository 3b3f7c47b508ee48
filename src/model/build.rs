//! Tensors to a model, in whatever order they come.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use super::{DOWN, GATE_UP, Model, OUT, PER_LAYER, QKV, linear::Linear, rope};
use crate::{
    Error, Result,
    backend::{Backend, Heads},
    format::{Checkpoint, ModelConfig, RopeScaling},
    tensor::Tensor,
};

/// A model that is being loaded: each piece of it is uploaded as soon as its tensors are there, and
/// they are let go.
pub struct Builder<B: Backend> {
    backend: B,
    config: ModelConfig,
    context: usize,
    pieces: Vec<Piece>,
    /// Tensor name to the piece that it is a part of.
    owners: HashMap<String, usize>,
    /// Tensors that came before the rest of their piece.
    waiting: BTreeMap<String, Tensor>,
    parameters: usize,
    embedding: Option<Rc<B::Weight>>,
    linears: BTreeMap<usize, Linear<B>>,
    norms: BTreeMap<usize, B::Buffer>,
    head_norms: BTreeMap<usize, B::Buffer>,
}

/// What is uploaded together.
struct Piece {
    kind: Kind,
    /// Names of its tensors.
    weights: Vec<String>,
    /// Of a product too, where it has biases.
    biases: Vec<String>,
}

/// What a piece becomes, and its place among the others of its kind.
#[derive(Clone, Copy)]
enum Kind {
    /// The table, which is the head too where the two are tied.
    Embedding,
    Product(usize),
    Norm(usize),
    HeadNorm(usize),
}

impl Piece {
    fn tensors(&self) -> impl Iterator<Item = &String> {
        self.weights.iter().chain(&self.biases)
    }
}

/// Everything that a model is made of.
fn pieces(config: &ModelConfig) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut add = |kind, path: &str, modules: &[&str], has_bias: bool| {
        let of = |tensor| modules.iter().map(|name| format!("{path}{name}.{tensor}")).collect();
        let biases = if has_bias { of("bias") } else { Vec::new() };
        pieces.push(Piece { kind, weights: of("weight"), biases });
    };
    add(Kind::Embedding, "", &["model.embed_tokens"], false);
    for layer in 0..config.num_hidden_layers {
        let path = format!("model.layers.{layer}.");
        let first = layer * PER_LAYER;
        let qkv = &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
        add(Kind::Product(first + QKV), &path, qkv, config.qkv_bias);
        add(Kind::Product(first + OUT), &path, &["self_attn.o_proj"], config.o_bias);
        let gate_up = &["mlp.gate_proj", "mlp.up_proj"];
        add(Kind::Product(first + GATE_UP), &path, gate_up, config.mlp_bias);
        add(Kind::Product(first + DOWN), &path, &["mlp.down_proj"], config.mlp_bias);
        add(Kind::Norm(2 * layer), &path, &["input_layernorm"], false);
        add(Kind::Norm(2 * layer + 1), &path, &["post_attention_layernorm"], false);
        if config.qk_norm {
            let norms = &["self_attn.q_norm", "self_attn.k_norm"];
            add(Kind::HeadNorm(layer), &path, norms, false);
        }
    }
    add(Kind::Norm(2 * config.num_hidden_layers), "", &["model.norm"], false);
    if !config.tie_word_embeddings {
        add(Kind::Product(config.num_hidden_layers * PER_LAYER), "", &["lm_head"], false);
    }
    pieces
}

impl<B: Backend> Builder<B> {
    /// Begins a model without numbers. `context` limits how many tokens a text may have; the
    /// default is what the model was made for, at most 2048.
    pub fn new(backend: B, config: ModelConfig, context: Option<usize>) -> Result<Self> {
        check(&config)?;
        let context = context
            .unwrap_or(config.max_position_embeddings.min(2048))
            .clamp(1, config.max_position_embeddings);
        let pieces = pieces(&config);
        let owned = |(at, piece): (usize, &Piece)| {
            piece.tensors().map(|name| (name.clone(), at)).collect::<Vec<_>>()
        };
        let owners = pieces.iter().enumerate().flat_map(owned).collect();
        Ok(Self {
            backend,
            config,
            context,
            pieces,
            owners,
            waiting: BTreeMap::new(),
            parameters: 0,
            embedding: None,
            linears: BTreeMap::new(),
            norms: BTreeMap::new(),
            head_norms: BTreeMap::new(),
        })
    }

    /// Adds a tensor by its full name; its shape must be that of
    /// [`Layout::shapes`](crate::format::Layout::shapes).
    pub fn put(&mut self, name: String, tensor: Tensor) -> Result<()> {
        let Some(&at) = self.owners.get(&name) else {
            let reason = "it is no part of this model".into();
            return Err(Error::UnknownTensor { tensor: name, reason });
        };
        self.parameters += tensor.len();
        self.waiting.insert(name, tensor);
        let Self { pieces, waiting, .. } = self;
        let piece = &pieces[at];
        if !piece.tensors().all(|name| waiting.contains_key(name)) {
            return Ok(());
        }
        let mut take = |names: &[String]| -> Vec<Tensor> {
            names.iter().filter_map(|name| waiting.remove(name)).collect()
        };
        let (weights, biases) = (take(&piece.weights), take(&piece.biases));
        self.upload(at, &weights, &biases)
    }

    fn upload(&mut self, at: usize, weights: &[Tensor], biases: &[Tensor]) -> Result<()> {
        let Self { backend, config, .. } = self;
        let Piece { kind, weights: names, .. } = &self.pieces[at];
        let modules = names.iter().map(|name| name.trim_end_matches(".weight").to_owned());
        let mut numbers = |tensors: &[Tensor]| {
            backend.upload(&tensors.iter().flat_map(Tensor::to_f32).collect::<Vec<_>>())
        };
        let parts: Vec<_> = weights.iter().collect();
        match *kind {
            Kind::Norm(at) => {
                self.norms.insert(at, numbers(weights)?);
            }
            Kind::HeadNorm(at) => {
                self.head_norms.insert(at, numbers(weights)?);
            }
            Kind::Embedding => {
                let table = Rc::new(backend.weight(&parts)?);
                if config.tie_word_embeddings {
                    backend.warm(parts[0].dtype());
                    let head = [("lm_head".to_owned(), parts[0])];
                    let head = Linear::new(Rc::clone(&table), None, head);
                    self.linears.insert(config.num_hidden_layers * PER_LAYER, head);
                }
                self.embedding = Some(table);
            }
            Kind::Product(at) => {
                let bias = if biases.is_empty() { None } else { Some(numbers(biases)?) };
                backend.warm(parts[0].dtype());
                let base = Rc::new(backend.weight(&parts)?);
                self.linears.insert(at, Linear::new(base, bias, modules.zip(parts)));
            }
        }
        Ok(())
    }

    /// The model, once all tensors are there.
    pub fn finish(mut self) -> Result<Model<B>> {
        let done = |piece: &Piece| match piece.kind {
            Kind::Embedding => self.embedding.is_some(),
            Kind::Product(at) => self.linears.contains_key(&at),
            Kind::Norm(at) => self.norms.contains_key(&at),
            Kind::HeadNorm(at) => self.head_norms.contains_key(&at),
        };
        let unfinished = self.pieces.iter().filter(|piece| !done(piece));
        let missing = unfinished.flat_map(Piece::tensors).find(|n| !self.waiting.contains_key(*n));
        let (None, Some(embedding)) = (missing, self.embedding) else {
            return Err(Error::missing(missing.cloned().unwrap_or_default()));
        };
        let rope = self.backend.upload(&rope::table(&self.config, self.context))?;
        let linears: Vec<_> = self.linears.into_values().collect();
        let index = |(at, linear): (usize, &Linear<B>)| {
            let names = linear.parts.iter().map(|part| part.name.clone());
            names.enumerate().map(|(part, name)| (name, (at, part))).collect::<Vec<_>>()
        };
        let modules = linears.iter().enumerate().flat_map(index).collect();
        Ok(Model {
            heads: heads(&self.config),
            backend: self.backend,
            parameters: self.parameters,
            embedding,
            linears,
            norms: self.norms.into_values().collect(),
            head_norms: self.head_norms.into_values().collect(),
            rope,
            context: self.context,
            modules,
            adapters: Vec::new(),
            loads: 0,
            merged: false,
            work: None,
            config: self.config,
        })
    }
}

fn heads(config: &ModelConfig) -> Heads {
    Heads {
        query: config.num_attention_heads,
        key_value: config.num_key_value_heads,
        size: config.head_dim,
    }
}

impl<B: Backend> Model<B> {
    /// The model of a checkpoint; `context` as in [`Builder::new`].
    pub fn new(backend: B, checkpoint: &Checkpoint, context: Option<usize>) -> Result<Self> {
        let mut builder = Builder::new(backend, checkpoint.config.clone(), context)?;
        for (name, tensor) in &checkpoint.tensors {
            builder.put(name.clone(), tensor.clone())?;
        }
        builder.finish()
    }
}

/// What the kernels need, beyond what the readers have checked.
fn check(config: &ModelConfig) -> Result<()> {
    if config.head_dim > 256 || !config.head_dim.is_multiple_of(2) {
        return Err(Error::Unsupported {
            what: "head_dim".into(),
            got: config.head_dim.to_string(),
            supported: "even numbers up to 256".into(),
        });
    }
    if config.windows.len() != config.num_hidden_layers {
        let (expected, got) = ([config.num_hidden_layers], [config.windows.len()]);
        return Err(Error::shape("windows", &expected, &got));
    }
    match &config.rope_scaling {
        RopeScaling::Divisors(divisors) if divisors.len() != config.head_dim / 2 => {
            Err(Error::shape(
                "divisors of the rotary frequencies",
                &[config.head_dim / 2],
                &[divisors.len()],
            ))
        }
        _ => Ok(()),
    }
}
