//! A checkpoint to a model.

use std::rc::Rc;

use super::{Model, linear::Linear, rope};
use crate::{
    Error, Result,
    backend::{Backend, Heads},
    format::{Checkpoint, ModelConfig, RopeScaling},
    tensor::Tensor,
};

impl<B: Backend> Model<B> {
    /// Uploads a checkpoint. `context` limits how many tokens a text may have; the default is what
    /// the model was made for, at most 2048.
    pub fn new(mut backend: B, checkpoint: &Checkpoint, context: Option<usize>) -> Result<Self> {
        let config = checkpoint.config.clone();
        check(&config)?;
        let context = context
            .unwrap_or(config.max_position_embeddings.min(2048))
            .clamp(1, config.max_position_embeddings);
        let heads = Heads {
            query: config.num_attention_heads,
            key_value: config.num_key_value_heads,
            size: config.head_dim,
        };
        let tensor = |name: &str| -> Result<&Tensor> {
            checkpoint.tensors.get(name).ok_or_else(|| Error::MissingTensor {
                module: name.rsplit_once('.').map_or(name, |(module, _)| module).into(),
                tensor: name.into(),
            })
        };
        let embedding = Rc::new(backend.weight(&[tensor("model.embed_tokens.weight")?])?);
        let (mut linears, mut norms, mut head_norms) = (Vec::new(), Vec::new(), Vec::new());
        for layer in 0..config.num_hidden_layers {
            let path = format!("model.layers.{layer}");
            for (group, has_bias) in [
                (
                    &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"][..],
                    config.qkv_bias,
                ),
                (&["self_attn.o_proj"], config.o_bias),
                (&["mlp.gate_proj", "mlp.up_proj"], config.mlp_bias),
                (&["mlp.down_proj"], config.mlp_bias),
            ] {
                let names: Vec<_> = group.iter().map(|name| format!("{path}.{name}")).collect();
                let of = |kind| names.iter().map(move |name| tensor(&format!("{name}.{kind}")));
                let weights = of("weight").collect::<Result<Vec<_>>>()?;
                let bias = if has_bias {
                    let parts = of("bias").map(|part| Ok(part?.to_f32()));
                    Some(backend.upload(&parts.collect::<Result<Vec<_>>>()?.concat())?)
                } else {
                    None
                };
                let base = Rc::new(backend.weight(&weights)?);
                linears.push(Linear::new(base, bias, names.into_iter().zip(weights)));
            }
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                let weight = tensor(&format!("{path}.{norm}.weight"))?.to_f32();
                norms.push(backend.upload(&weight)?);
            }
            if config.qk_norm {
                let of = |name| tensor(&format!("{path}.self_attn.{name}.weight"));
                let weight = [of("q_norm")?.to_f32(), of("k_norm")?.to_f32()].concat();
                head_norms.push(backend.upload(&weight)?);
            }
        }
        norms.push(backend.upload(&tensor("model.norm.weight")?.to_f32())?);
        let (base, head) = if config.tie_word_embeddings {
            (Rc::clone(&embedding), tensor("model.embed_tokens.weight")?)
        } else {
            let head = tensor("lm_head.weight")?;
            (Rc::new(backend.weight(&[head])?), head)
        };
        linears.push(Linear::new(base, None, [("lm_head".to_owned(), head)]));
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
            head_norms,
            rope,
            context,
            modules,
            adapters: Vec::new(),
            loads: 0,
            merged: false,
            work: None,
            config,
        })
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
