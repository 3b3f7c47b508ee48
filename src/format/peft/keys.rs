//! Names of tensors in `adapter_model.safetensors` (PEFT `utils/save_and_load.py`): prefix, module
//! path, suffix. A module may be called anything, so suffixes are read from the right.

/// What a tensor of an adapter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    LoraA,
    LoraB,
    LoraEmbeddingA,
    LoraEmbeddingB,
    /// `lora_B.bias`.
    LoraBias,
    LoraMagnitude,
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

/// Every role and how files write it.
const ROLES: [(Role, &str); 18] = [
    (Role::LoraA, "lora_A"),
    (Role::LoraB, "lora_B"),
    (Role::LoraEmbeddingA, "lora_embedding_A"),
    (Role::LoraEmbeddingB, "lora_embedding_B"),
    (Role::LoraMagnitude, "lora_magnitude_vector"),
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

impl Role {
    fn parse(segment: &str) -> Option<Self> {
        ROLES.iter().find(|(_, name)| *name == segment).map(|(role, _)| *role)
    }

    /// The name as files write it.
    pub(super) fn name(self) -> &'static str {
        // The bias belongs to `lora_B`; its tail tells it from the weight.
        let role = if self == Self::LoraBias { Self::LoraB } else { self };
        ROLES.iter().find(|(known, _)| *known == role).map_or("", |(_, name)| name)
    }

    /// PEFT's name of the method that has this factor.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::LoraA | Self::LoraB | Self::LoraEmbeddingA | Self::LoraEmbeddingB => "LORA",
            Self::LoraBias | Self::LoraMagnitude => "LORA",
            Self::HadaW1A | Self::HadaW1B | Self::HadaW2A | Self::HadaW2B => "LOHA",
            Self::HadaT1 | Self::HadaT2 => "LOHA",
            _ => "LOKR",
        }
    }
}

/// A tensor name in parts: `stem` + `.` + role + `tail`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Everything before the role, prefix included.
    pub(super) stem: String,
    /// Which factor it is.
    pub(super) role: Role,
    /// Everything after the role: `.weight`, `.default.weight` or nothing.
    pub(super) tail: String,
}

impl Key {
    /// The name of the partner tensor with another role.
    pub(super) fn partner(&self, role: Role) -> String {
        let dot = if self.stem.is_empty() { "" } else { "." };
        format!("{}{dot}{}{}", self.stem, role.name(), self.tail)
    }
}

/// Takes a tensor name apart; the error is the reason why this crate cannot use the tensor.
pub(super) fn parse(name: &str) -> Result<Key, String> {
    let segments: Vec<&str> = name.split('.').collect();
    // Behind the role: `.weight` (LoRA) and, in files that were not saved by PEFT itself, the name
    // of the adapter. A module path cannot end in either, so at most the last three count.
    let role_at = |back: usize| -> Option<(usize, Role)> {
        let at = segments.len().checked_sub(back)?;
        Some((at, Role::parse(segments.get(at)?)?))
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
    let Some((at, role)) = found else { return Err(refusal(&segments)) };
    Ok(Key {
        stem: segments[..at].join("."),
        role,
        tail: segments[at + 1..].iter().map(|s| format!(".{s}")).collect(),
    })
}

/// Why a tensor that is no factor cannot be used.
fn refusal(segments: &[&str]) -> String {
    let last = segments.last().copied().unwrap_or_default();
    // The suffixes that may have `.weight`, an adapter's name or both behind them.
    let tail = &segments[segments.len().saturating_sub(3)..];
    let has = |names: &[&str]| tail.iter().any(|s| names.contains(s));
    let inside = |names: &[&str]| segments.iter().any(|s| names.contains(s));
    if has(&["magnitude", "dora_scale"]) {
        return "a DoRA magnitude by a name that PEFT does not use; not supported yet".into();
    }
    if has(&["lokr_t1"]) {
        return "a core that neither PEFT nor LyCORIS reads".into();
    }
    if has(&["trainable_tokens_delta"]) {
        return "trained rows of an embedding (trainable tokens); not supported yet".into();
    }
    if inside(&["modules_to_save"]) {
        return "a whole module that modules_to_save of the config does not name".into();
    }
    if has(&["lora_A", "lora_B"]) {
        return "a bias of lora_A, which PEFT does not have".into();
    }
    if has(&["lora_down", "lora_up", "lora_mid", "alpha"]) {
        return "a name of kohya or LyCORIS files; not supported yet in a PEFT folder".into();
    }
    let token_table = ["embed_tokens", "lm_head", "wte", "word_embeddings"];
    if last == "weight" && segments.iter().any(|s| token_table.contains(s)) {
        return "an embedding or output head saved whole, but modules_to_save does not name it"
            .into();
    }
    if last == "bias" {
        return "a trained bias of the base model; not supported yet".into();
    }
    if last == "weight" {
        return "a weight saved whole, but modules_to_save does not name it".into();
    }
    let known: Vec<&str> = ROLES.iter().map(|(_, name)| *name).collect();
    format!("no suffix that is known; known are {}", known.join(", "))
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
        assert_eq!((key.role, key.tail.as_str()), (Role::LoraB, ".default.weight"));
        assert_eq!(module(&key.stem), ("lora_A.weight".to_owned(), false));
        assert_eq!(
            key.partner(Role::LoraA),
            "base_model.model.lora_A.weight.lora_A.default.weight"
        );
        assert_eq!(parse("x.hada_w1_a").unwrap().role, Role::HadaW1A);
        assert_eq!(parse("x.hada_w1_a.default").unwrap().stem, "x");
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
