//! Tensor names of the Llama family: llama.cpp's (gguf-py, `constants.py`) and transformers'.

/// The values of `general.architecture` whose tensors have these names. Mistral is `llama` too.
pub const ARCHITECTURES: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// Modules outside of the blocks: llama.cpp's name, transformers' name.
const OUTSIDE: [(&str, &str); 3] =
    [("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head")];

/// Modules of one block, behind `blk.N.` and `model.layers.N.`.
const IN_BLOCK: [(&str, &str); 11] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// `blk.0.attn_q.weight` to `model.layers.0.self_attn.q_proj.weight`; `None` for other names.
#[must_use]
pub fn to_transformers(tensor: &str) -> Option<String> {
    translate(tensor, "blk.", "model.layers.", |(from, to)| (from, to))
}

/// `model.layers.0.self_attn.q_proj.weight` to `blk.0.attn_q.weight`; `None` for other names.
#[must_use]
pub fn from_transformers(tensor: &str) -> Option<String> {
    translate(tensor, "model.layers.", "blk.", |(from, to)| (to, from))
}

fn translate(
    tensor: &str,
    block: &str,
    other_block: &str,
    turn: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) -> Option<String> {
    let (module, kind) = tensor.rsplit_once('.').filter(|(_, kind)| is_kind(kind))?;
    let find = |table: &[(&'static str, &'static str)], name: &str| {
        table.iter().map(|pair| turn(*pair)).find(|(from, _)| *from == name).map(|(_, to)| to)
    };
    let Some(in_block) = module.strip_prefix(block) else {
        return Some(format!("{}.{kind}", find(&OUTSIDE, module)?));
    };
    let (number, module) = in_block.split_once('.')?;
    // One spelling of a number only, so that two names never mean one tensor.
    let number = number.parse::<u32>().ok().filter(|n| n.to_string() == number)?;
    Some(format!("{other_block}{number}.{}.{kind}", find(&IN_BLOCK, module)?))
}

fn is_kind(kind: &str) -> bool {
    matches!(kind, "weight" | "bias")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        let blocks =
            IN_BLOCK.map(|(gguf, hf)| (format!("blk.7.{gguf}"), format!("model.layers.7.{hf}")));
        let outside = OUTSIDE.map(|(gguf, hf)| (gguf.to_owned(), hf.to_owned()));
        for (gguf, hf) in blocks.iter().chain(&outside) {
            for kind in ["weight", "bias"] {
                let (gguf, hf) = (format!("{gguf}.{kind}"), format!("{hf}.{kind}"));
                assert_eq!(to_transformers(&gguf).as_deref(), Some(hf.as_str()));
                assert_eq!(from_transformers(&hf).as_deref(), Some(gguf.as_str()));
            }
        }
    }

    #[test]
    fn other_names_are_no_names() {
        for name in [
            "",
            "output",
            "output.scale",
            "blk.0.attn_q",
            "blk.00.attn_q.weight",
            "blk..attn_q.weight",
            "blk.+1.attn_q.weight",
            "blk.-1.attn_q.weight",
            "blk.4294967296.attn_q.weight",
            "blk.0.weight",
            "blk.0.ffn_gate_exps.weight",
            "blk.0.output.weight",
            "attn_q.weight",
            "rope_freqs.weight",
            "model.layers.0.self_attn.q_proj.weight",
            "blk.0.attn_q.weight.lora_a",
        ] {
            assert_eq!(to_transformers(name), None, "{name}");
        }
        for name in ["model.layers.0.weight", "layers.0.mlp.up_proj.weight", "model.lm_head.weight"]
        {
            assert_eq!(from_transformers(name), None, "{name}");
        }
    }
}
