//! Names of the tensors of an adapter, in every spelling that people's files have: what is left of
//! the suffix is the module. A module may be called anything, so suffixes are read from the right.
//!
//! | spelling | example |
//! |---|---|
//! | PEFT, new diffusers | `X.lora_A.weight`, `X.lora_A`, `X.lora_A.default.weight` |
//! | kohya, LyCORIS | `X.lora_down.weight`, `X.lora_mid.weight`, `X.alpha`, `X.dora_scale` |
//! | old diffusers | `X.lora.down.weight`, `X_lora.down.weight`, `X.lora_linear_layer.down.weight` |
//! | all | `X.hada_w1_a`, `X.lokr_w1` |

use super::look::short;

/// What a tensor of an adapter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// `[r, in, kernel...]`: `lora_A`, `lora_down`.
    LoraA,
    /// `[out, r, 1...]`: `lora_B`, `lora_up`.
    LoraB,
    /// The core of LoCon's Tucker form.
    LoraMid,
    LoraEmbeddingA,
    LoraEmbeddingB,
    /// `lora_B.bias`.
    LoraBias,
    /// A DoRA magnitude for each output.
    Magnitude,
    /// A DoRA magnitude on the axis that its shape tells.
    DoraScale,
    Alpha,
    HadaT1,
    HadaT2,
    HadaW1A,
    HadaW1B,
    HadaW2A,
    HadaW2B,
    LokrW1,
    LokrW1A,
    LokrW1B,
    LokrW2,
    LokrW2A,
    LokrW2B,
    LokrT2,
}

/// Every role that is one word, and how files write it; the first word of a role is PEFT's.
const ROLES: [(Role, &str); 24] = [
    (Role::LoraA, "lora_A"),
    (Role::LoraB, "lora_B"),
    (Role::LoraA, "lora_down"),
    (Role::LoraB, "lora_up"),
    (Role::LoraMid, "lora_mid"),
    (Role::LoraEmbeddingA, "lora_embedding_A"),
    (Role::LoraEmbeddingB, "lora_embedding_B"),
    (Role::Magnitude, "lora_magnitude_vector"),
    (Role::Magnitude, "magnitude"),
    (Role::DoraScale, "dora_scale"),
    (Role::Alpha, "alpha"),
    (Role::HadaT1, "hada_t1"),
    (Role::HadaT2, "hada_t2"),
    (Role::HadaW1A, "hada_w1_a"),
    (Role::HadaW1B, "hada_w1_b"),
    (Role::HadaW2A, "hada_w2_a"),
    (Role::HadaW2B, "hada_w2_b"),
    (Role::LokrW1, "lokr_w1"),
    (Role::LokrW1A, "lokr_w1_a"),
    (Role::LokrW1B, "lokr_w1_b"),
    (Role::LokrW2, "lokr_w2"),
    (Role::LokrW2A, "lokr_w2_a"),
    (Role::LokrW2B, "lokr_w2_b"),
    (Role::LokrT2, "lokr_t2"),
];

/// Suffixes of adapters that are neither LoRA, LoHa nor LoKr, and what they are.
const OTHERS: [(&str, &str); 18] = [
    ("diff", "a whole dW (full fine-tuning)"),
    ("diff_b", "a whole change of a bias"),
    ("w_norm", "a trained norm"),
    ("b_norm", "the bias of a trained norm"),
    ("set_weight", "a weight that replaces the base's"),
    ("reshape_weight", "a new shape of the base's weight"),
    ("oft_blocks", "OFT"),
    ("oft_diag", "diagonal OFT"),
    ("oft_R", "OFT"),
    ("rescale", "OFT"),
    ("on_input", "IA3"),
    ("lokr_t1", "a core that neither PEFT nor LyCORIS reads"),
    ("a1", "GLoRA"),
    ("a2", "GLoRA"),
    ("b1", "GLoRA"),
    ("b2", "GLoRA"),
    ("bundle_emb", "a textual-inversion embedding"),
    ("lora_B_ga", "LoRA-GA"),
];

impl Role {
    fn parse(segment: &str) -> Option<Self> {
        ROLES.iter().find(|(_, name)| *name == segment).map(|(role, _)| *role)
    }

    /// PEFT's name, or the only one.
    pub(super) fn name(self) -> &'static str {
        // The bias belongs to `lora_B`; its tail tells it from the weight.
        let role = if self == Self::LoraBias { Self::LoraB } else { self };
        ROLES.iter().find(|(known, _)| *known == role).map_or("", |(_, name)| name)
    }

    /// PEFT's name of the method that has this factor; `None` of what belongs to any.
    pub(super) fn method(self) -> Option<&'static str> {
        match self {
            Self::Magnitude | Self::DoraScale | Self::Alpha => None,
            Self::LoraA | Self::LoraB | Self::LoraMid => Some("LORA"),
            Self::LoraEmbeddingA | Self::LoraEmbeddingB | Self::LoraBias => Some("LORA"),
            Self::HadaW1A | Self::HadaW1B | Self::HadaW2A | Self::HadaW2B => Some("LOHA"),
            Self::HadaT1 | Self::HadaT2 => Some("LOHA"),
            _ => Some("LOKR"),
        }
    }
}

/// A tensor name in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// The whole name.
    pub(super) name: String,
    /// The module, as the file writes it: prefix included.
    pub(super) stem: String,
    /// Which factor it is.
    pub(super) role: Role,
    /// The word of the role, as the file writes it.
    word: &'static str,
    /// Everything after the role: `.weight`, `.default.weight` or nothing.
    tail: String,
}

impl Key {
    /// The name that the partner with another role would have.
    pub(super) fn partner(&self, role: Role) -> String {
        let dot = if self.stem.is_empty() { "" } else { "." };
        let kohya = matches!(self.word, "lora_down" | "lora_up" | "lora_mid" | "alpha");
        let word = match role {
            Role::LoraA if kohya => "lora_down",
            Role::LoraB if kohya => "lora_up",
            _ => role.name(),
        };
        let weight = matches!(role, Role::LoraA | Role::LoraB | Role::LoraMid);
        let tail = if kohya && weight { ".weight" } else { self.tail.as_str() };
        format!("{}{dot}{word}{tail}", self.stem)
    }

    /// The name of the adapter in the tensor's name: `default` in `lora_A.default.weight`.
    pub(super) fn adapter(&self) -> &str {
        let tail = self.tail.trim_start_matches('.');
        let tail = tail.strip_suffix("weight").or(tail.strip_suffix("bias")).unwrap_or(tail);
        tail.trim_end_matches('.')
    }
}

/// Takes a tensor name apart; the error is the reason why this crate cannot use the tensor.
pub(super) fn parse(name: &str) -> Result<Key, String> {
    parse_role(name, |_| true)
}

/// The same, for some of the roles: a name may hold thousands of alphas, one of which is one.
fn parse_role(name: &str, allowed: fn(Role) -> bool) -> Result<Key, String> {
    let segments: Vec<&str> = name.split('.').collect();
    // Behind the role: `.weight` (LoRA) and, in files that were not saved by PEFT itself, the name
    // of the adapter. A module path cannot end in either, so at most the last three count.
    let role_at = |back: usize| -> Option<(usize, Role)> {
        let at = segments.len().checked_sub(back)?;
        Some((at, Role::parse(segments.get(at)?).filter(|role| allowed(*role))?))
    };
    let last = segments.last().copied();
    let is_bias = last == Some("bias");
    let found = role_at(1)
        .or_else(|| role_at(2).filter(|(_, role)| !is_bias || *role == Role::LoraB))
        .or_else(|| role_at(3).filter(|_| matches!(last, Some("weight" | "bias"))));
    let found = match found {
        Some((at, Role::LoraB)) if is_bias => Some((at, Role::LoraBias)),
        Some(_) if is_bias => None,
        found => found,
    };
    let Some((at, role)) = found else {
        return old_diffusers(name, &segments).ok_or_else(|| refusal(&segments));
    };
    let mut stem = segments[..at].join(".");
    if role == Role::Alpha {
        // Old diffusers files hang the alpha on a factor, or on the module of an `X_lora`.
        stem = match parse_role(&stem, |role| role != Role::Alpha) {
            Ok(factor) => factor.stem,
            Err(_) => without_lora(&stem),
        };
    }
    Ok(Key {
        name: name.to_owned(),
        stem,
        role,
        word: ROLES.iter().find(|(_, word)| *word == segments[at]).map_or("", |(_, word)| word),
        tail: segments[at + 1..].iter().map(|s| format!(".{s}")).collect(),
    })
}

/// Names of diffusers before it had PEFT's: `X.lora.down.weight`, `X_lora.down.weight`,
/// `X.lora_linear_layer.down.weight`.
fn old_diffusers(name: &str, segments: &[&str]) -> Option<Key> {
    let [head @ .., lora, half, "weight"] = segments else { return None };
    let (role, word) = match *half {
        "down" => (Role::LoraA, "lora_down"),
        "up" => (Role::LoraB, "lora_up"),
        _ => return None,
    };
    let stem = match *lora {
        "lora" | "lora_linear_layer" => head.join("."),
        _ if lora.ends_with("_lora") => without_lora(&[head, &[lora]].concat().join(".")),
        _ => return None,
    };
    Some(Key { name: name.to_owned(), stem, role, word, tail: ".weight".to_owned() })
}

/// The module that an attention processor of old diffusers files adapts: `to_q_lora` belongs to
/// `to_q` of the UNet, and to `q_proj` of a text encoder.
fn without_lora(stem: &str) -> String {
    let Some(stem) = stem.strip_suffix("_lora") else { return stem.to_owned() };
    let (path, last) = stem.rsplit_once('.').unwrap_or(("", stem));
    let text_encoder = stem.starts_with("text_encoder");
    let last = match last {
        "to_q" if text_encoder => "q_proj",
        "to_k" if text_encoder => "k_proj",
        "to_v" if text_encoder => "v_proj",
        "to_out" if text_encoder => "out_proj",
        "to_out" => "to_out.0",
        other => other,
    };
    let path: Vec<&str> = path.split('.').filter(|s| !matches!(*s, "processor" | "")).collect();
    [path.as_slice(), &[last]].concat().join(".")
}

/// Why a tensor that is no factor cannot be used.
fn refusal(segments: &[&str]) -> String {
    let last = segments.last().copied().unwrap_or_default();
    // The suffixes that may have `.weight`, an adapter's name or both behind them.
    let tail = &segments[segments.len().saturating_sub(3)..];
    let has = |names: &[&str]| tail.iter().any(|s| names.contains(s));
    let inside = |names: &[&str]| segments.iter().any(|s| names.contains(s));
    if let Some((_, what)) = OTHERS.iter().find(|(suffix, _)| has(&[suffix])) {
        return format!("{what}, which is not supported; LoRA, LoHa and LoKr are");
    }
    if inside(&["modules_to_save"]) {
        return "a whole module that modules_to_save of the config does not name".into();
    }
    if has(&["lora_A", "lora_B", "lora_down", "lora_up"]) {
        return "a bias of lora_A, which PEFT does not have".into();
    }
    let token_table = ["embed_tokens", "lm_head", "wte", "word_embeddings"];
    if last == "weight" && segments.iter().any(|s| token_table.contains(s)) {
        return "an embedding or output head saved whole, but modules_to_save does not name it"
            .into();
    }
    if last == "bias" {
        return "a trained bias, but `bias` of the config does not say so".into();
    }
    if last == "weight" {
        return "a weight saved whole, but modules_to_save does not name it".into();
    }
    let known: Vec<&str> = ROLES.iter().map(|(_, name)| *name).collect();
    format!("no suffix that is known; known are {}", short(&known.join(", "), 400))
}

/// Whether `end` is the end of a path, behind a separator.
pub(super) fn is_end(path: &str, end: &str, separator: char) -> bool {
    path.strip_suffix(end).is_some_and(|rest| rest.ends_with(separator))
}

/// Whether a module's path is `end` or ends with it, as PEFT and diffusers look up their settings.
pub(super) fn ends_path(path: &str, end: &str) -> bool {
    path == end || is_end(path, end, '.')
}

/// The path of the module as the base model names it, and whether more than PEFT's own prefix came
/// off. Compilers and parallel wrappers leave their segments behind (adapters with them are common:
/// peft#1932, #2084, #2118).
pub(super) fn module(stem: &str) -> (String, bool) {
    // `torch.compile` and FSDP wrap modules at any depth, with names that no model uses itself.
    let wrapper = |s: &&str| matches!(*s, "_orig_mod" | "_fsdp_wrapped_module");
    let clean: Vec<&str> = stem.split('.').filter(|s| !wrapper(s)).collect();
    let mut wrapped = clean.len() != stem.split('.').count();
    // `DataParallel` wraps the whole model, outside or inside of PEFT's own wrapper.
    let mut path = clean.as_slice();
    let strip_parallel = |path: &mut &[&str], wrapped: &mut bool| {
        while let Some((&"module", rest)) = path.split_first().filter(|(_, rest)| !rest.is_empty())
        {
            (*path, *wrapped) = (rest, true);
        }
    };
    strip_parallel(&mut path, &mut wrapped);
    if let ["base_model", "model", rest @ ..] = path
        && !rest.is_empty()
    {
        path = rest;
    }
    strip_parallel(&mut path, &mut wrapped);
    (path.join("."), wrapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_read_from_the_right() {
        let key = parse("base_model.model.lora_A.weight.lora_B.default.weight").unwrap();
        assert_eq!((key.role, key.adapter()), (Role::LoraB, "default"));
        assert_eq!(module(&key.stem), ("lora_A.weight".to_owned(), false));
        assert_eq!(
            key.partner(Role::LoraA),
            "base_model.model.lora_A.weight.lora_A.default.weight"
        );
        assert_eq!(parse("x.hada_w1_a").unwrap().role, Role::HadaW1A);
        assert_eq!(parse("x.hada_w1_a.default").unwrap().stem, "x");
    }

    #[test]
    fn every_spelling_of_a_factor_is_known() {
        for (name, stem, role) in [
            (
                "lora_unet_mid_block_0_to_q.lora_down.weight",
                "lora_unet_mid_block_0_to_q",
                Role::LoraA,
            ),
            ("lycoris_a.lora_mid.weight", "lycoris_a", Role::LoraMid),
            ("a.b.alpha", "a.b", Role::Alpha),
            ("a.b.dora_scale", "a.b", Role::DoraScale),
            ("a.b.magnitude", "a.b", Role::Magnitude),
            ("a.b.lora_magnitude_vector.weight", "a.b", Role::Magnitude),
            ("a.b.lora_A", "a.b", Role::LoraA),
            ("a.lora_linear_layer.up.weight", "a", Role::LoraB),
            ("text_encoder.l.0.fc1.lora.down.weight", "text_encoder.l.0.fc1", Role::LoraA),
            ("unet.b.0.attn1.processor.to_q_lora.down.weight", "unet.b.0.attn1.to_q", Role::LoraA),
            (
                "unet.b.0.attn1.processor.to_out_lora.up.weight",
                "unet.b.0.attn1.to_out.0",
                Role::LoraB,
            ),
            ("unet.b.0.attn1.processor.to_q_lora.alpha", "unet.b.0.attn1.to_q", Role::Alpha),
            (
                "unet.b.0.attn1.processor.to_q_lora.down.weight.alpha",
                "unet.b.0.attn1.to_q",
                Role::Alpha,
            ),
            (
                "text_encoder.l.0.attn.to_q_lora.up.weight",
                "text_encoder.l.0.attn.q_proj",
                Role::LoraB,
            ),
            (
                "text_encoder.l.0.attn.to_out_lora.up.weight",
                "text_encoder.l.0.attn.out_proj",
                Role::LoraB,
            ),
        ] {
            let key = parse(name).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!((key.stem.as_str(), key.role), (stem, role), "{name}");
        }
        assert_eq!(parse("a.lora_up.weight").unwrap().partner(Role::LoraA), "a.lora_down.weight");
        assert_eq!(parse("a.alpha").unwrap().partner(Role::LoraB), "a.lora_up.weight");
    }

    #[test]
    fn other_methods_are_refused_by_name() {
        for (name, what) in [
            ("a.diff", "full fine-tuning"),
            ("a.oft_blocks", "OFT"),
            ("a.a1.weight", "GLoRA"),
            ("a.on_input", "IA3"),
            ("a.lokr_t1", "neither PEFT nor LyCORIS"),
            ("a.weight", "modules_to_save"),
            ("a.lora_C.weight", "modules_to_save"),
            ("a.whatever", "no suffix"),
        ] {
            assert!(parse(name).unwrap_err().contains(what), "{name}: {:?}", parse(name));
        }
    }

    #[test]
    fn prefixes_come_off() {
        for stem in [
            "base_model.model.model.layers.0.q",
            "model.layers.0.q",
            "module.base_model.model.model.layers.0.q",
            "base_model.model.module.model.layers.0.q",
            "_orig_mod.base_model.model.model.layers.0.q",
            "base_model.model.model.layers._fsdp_wrapped_module.0.q",
        ] {
            assert_eq!(module(stem).0, "model.layers.0.q", "{stem}");
        }
        assert_eq!(module("module").0, "module");
    }
}
