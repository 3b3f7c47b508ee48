//! LoRA adapters in GGUF files: there and back, the order of rows, and files made to do harm.

use std::collections::BTreeMap;

use crate::refused::refused;
use crate::trials::fixtures::{CASES, PLACES_ADAPTERS, files};
use lokahi::Result;
use lokahi::adapter::{Adapter, Delta, Factors, Lora};
use lokahi::format::gguf::lora::{self, Base};
use lokahi::format::gguf::rope_order::{Heads, from_transformers, to_transformers};
use lokahi::format::gguf::{Elements, GgmlType, Gguf, Metadata, write};
use lokahi::format::peft;
use lokahi::tensor::{DType, Data, Matrix, Tensor};

const HEADS: Heads = Heads { query: 4, key_value: 2 };
const LLAMA: Base<'_> = Base { architecture: "llama", heads: HEADS, tie_word_embeddings: true };

fn places(name: &str) -> Adapter {
    let (_, folder) = PLACES_ADAPTERS.iter().find(|(known, _)| *known == name).unwrap();
    peft::read(&files(folder)).unwrap()
}

fn read(bytes: &[u8]) -> Result<Adapter> {
    lora::read(&Gguf::parse("a.gguf", bytes)?, Some(HEADS))
}

fn factors(delta: &Delta) -> (&Matrix, &Matrix) {
    let Factors::Lora(lora) = &delta.factors else { panic!("{}", delta.factors.name()) };
    (lora.a(), lora.b())
}

/// Every `dW` within `1e-6` of the largest number of the one it came from.
#[track_caller]
fn same_deltas(got: &Adapter, want: &Adapter) {
    let modules = |adapter: &Adapter| adapter.deltas.keys().cloned().collect::<Vec<_>>();
    assert_eq!(modules(got), modules(want));
    for (module, want) in &want.deltas {
        let (got, want) = (got.deltas[module].materialise(), want.materialise());
        let largest = want.iter().fold(0f64, |m, x| m.max(x.abs()));
        assert!(largest > 0.0 && got.len() == want.len(), "{module}");
        for (g, w) in got.iter().zip(&want) {
            assert!((g - w).abs() <= 1e-6 * largest, "{module}: {g} for {w}");
        }
    }
}

#[test]
fn places_adapters_go_there_and_back() {
    let lora = PLACES_ADAPTERS.iter().map(|(name, _)| *name).filter(|name| name.ends_with("-lora"));
    let mut count = 0;
    for name in lora {
        let adapter = places(name);
        for architecture in ["llama", "qwen2", "qwen3"] {
            let base = Base { architecture, ..LLAMA };
            let bytes = lora::write(&adapter, &base, DType::F32).unwrap();
            // One scale for all modules: every number comes back as it was.
            assert_eq!(read(&bytes).unwrap(), adapter, "{name}, {architecture}");
            let gguf = Gguf::parse("a.gguf", &bytes).unwrap();
            assert_eq!(gguf.header().tensors.len(), 56);
            assert_eq!(gguf.header().metadata.f32("adapter.lora.alpha").unwrap(), Some(8.0));
        }
        count += 1;
    }
    assert_eq!(count, 6);
}

/// The cases of PEFT name their modules `layers.N`, without the model around them.
fn case(name: &str) -> Adapter {
    let case = CASES.iter().find(|case| case.name == name).unwrap();
    let adapter = peft::read(&files(case.adapter)).unwrap();
    let rename =
        |module: &String| format!("model.{}", module.replace("down_proj", "mlp.down_proj"));
    let deltas = adapter.deltas.iter().map(|(module, delta)| (rename(module), delta.clone()));
    Adapter { deltas: deltas.collect(), ..adapter }
}

#[test]
fn scales_that_differ_are_folded_into_b() {
    // rslora: alpha / sqrt(r), which other converters take for alpha / r (vllm#6909 and others).
    // patterns: ranks and alphas by module, of which a GGUF file has one.
    for name in ["peft-lora", "peft-lora-rslora", "peft-lora-patterns"] {
        let adapter = case(name);
        let base = Base { architecture: "qwen2", ..LLAMA };
        let bytes = lora::write(&adapter, &base, DType::F32).unwrap();
        let back = read(&bytes).unwrap();
        same_deltas(&back, &adapter);
        let uniform = name != "peft-lora-patterns";
        for (module, delta) in &adapter.deltas {
            if uniform {
                assert_eq!(factors(delta), factors(&back.deltas[module]), "{name}: {module}");
                assert_eq!(delta.scale, back.deltas[module].scale, "{name}: {module}");
            }
        }
        let alphas = back.deltas.values().map(|d| d.scale * d.rank as f32);
        let alphas: Vec<f32> = alphas.collect();
        assert!(alphas.iter().all(|a| (a - alphas[0]).abs() < 1e-5), "{name}: {alphas:?}");
    }
}

fn one(module: &str, delta: Delta) -> Adapter {
    Adapter { deltas: BTreeMap::from([(module.to_owned(), delta)]), ..Adapter::default() }
}

/// A LoRA `[out, in]` of small numbers that differ.
fn delta(out: usize, inputs: usize, rank: usize, scale: f32) -> Delta {
    let a = Matrix::from_fn(rank, inputs, |i, j| (i * inputs + j) as f32 * 0.25 - 1.0);
    let b = Matrix::from_fn(out, rank, |i, j| (i * rank + j) as f32 * 0.5 - 3.0);
    let factors = Factors::Lora(Lora::new(a, b).unwrap());
    Delta::new(factors, rank, scale * rank as f32, scale)
}

const UP: &str = "model.layers.0.mlp.up_proj";
const Q: &str = "model.layers.0.self_attn.q_proj";
const K: &str = "model.layers.0.self_attn.k_proj";

#[test]
fn every_scale_comes_back() {
    for rank in [1, 2, 3, 5, 7, 12, 48, 49, 100] {
        for scale in [1.0, 0.1, 1.0 / 3.0, 2.0f32.sqrt(), -1.5, 1e-20, 3e20] {
            let adapter = one(UP, delta(3, 4, rank, scale));
            let back = read(&lora::write(&adapter, &LLAMA, DType::F32).unwrap()).unwrap();
            same_deltas(&back, &adapter);
        }
    }
    // No file scale is 0: the factor becomes it.
    let back = one(UP, delta(3, 4, 2, 0.0));
    let back = read(&lora::write(&back, &LLAMA, DType::F32).unwrap()).unwrap();
    assert!(back.deltas[UP].materialise().iter().all(|x| *x == 0.0));
    refused(
        lora::write(&one(UP, delta(3, 4, 2, f32::NAN)), &LLAMA, DType::F32),
        "NotFinite",
        &[UP, "lora_B"],
    );
}

#[test]
fn halves_stay_halves_where_they_hold_the_numbers() {
    let kinds = |adapter: &Adapter, dtype| {
        let bytes = lora::write(adapter, &LLAMA, dtype).unwrap();
        same_deltas(&read(&bytes).unwrap(), adapter);
        let gguf = Gguf::parse("a.gguf", &bytes).unwrap();
        gguf.header().tensors.values().map(|info| info.kind).collect::<Vec<_>>()
    };
    for (dtype, kind) in [(DType::F16, GgmlType::F16), (DType::BF16, GgmlType::BF16)] {
        let mut adapter = one(UP, delta(3, 4, 2, 0.5));
        assert_eq!(kinds(&adapter, dtype), [kind; 2]);
        // Another scale: its `lora_b` is folded, times 1 / 3.
        adapter.deltas.insert("model.layers.1.mlp.up_proj".into(), delta(3, 4, 2, 0.5));
        adapter.deltas.insert("model.layers.2.mlp.up_proj".into(), delta(3, 4, 2, 0.5 / 3.0));
        assert_eq!(kinds(&adapter, dtype), [kind, kind, kind, kind, kind, GgmlType::F32]);
    }
    let fp16 = case("peft-lora-fp16");
    let base = Base { architecture: "qwen2", ..LLAMA };
    let bytes = lora::write(&fp16, &base, DType::F16).unwrap();
    let gguf = Gguf::parse("a.gguf", &bytes).unwrap();
    assert!(gguf.header().tensors.values().all(|info| info.kind == GgmlType::F16));
    same_deltas(&read(&bytes).unwrap(), &fp16);
}

/// `reshape(heads, 2, head_dim / 2, row).swap(1, 2)`, index by index.
fn swapped(rows: &[u8], row: usize, heads: usize) -> Vec<u8> {
    let half = rows.len() / row / heads / 2;
    let mut out = vec![0; rows.len()];
    for head in 0..heads {
        for two in 0..2 {
            for j in 0..half {
                for k in 0..row {
                    let from = ((head * 2 + two) * half + j) * row + k;
                    out[((head * half + j) * 2 + two) * row + k] = rows[from];
                }
            }
        }
    }
    out
}

#[test]
fn rows_of_any_length_are_moved_whole() {
    for (heads, head_dim, row) in [(1, 2, 1), (3, 10, 7), (5, 6, 34), (4, 32, 18), (7, 2, 3)] {
        let rows: Vec<u8> = (0..heads * head_dim * row).map(|i| (i * 7 % 251) as u8).collect();
        let gguf = from_transformers(&rows, row, heads).unwrap();
        assert_eq!(gguf, swapped(&rows, row, heads), "{heads} {head_dim} {row}");
        assert_eq!(to_transformers(&gguf, row, heads).unwrap(), rows);
    }
    // Heads of two rows are in order already; heads of four are not.
    assert_eq!(from_transformers(&[0, 1, 2, 3], 1, 2).unwrap(), [0, 1, 2, 3]);
    assert_eq!(from_transformers(&[0, 1, 2, 3], 1, 1).unwrap(), [0, 2, 1, 3]);
    assert_eq!(from_transformers(&[0u8; 0], 1, 1).unwrap(), [0u8; 0]);
    for (len, row, heads) in
        [(6, 1, 2), (5, 1, 1), (4, 3, 1), (4, 0, 1), (4, 1, 0), (4, 1, usize::MAX)]
    {
        refused(to_transformers(&vec![0; len], row, heads), "ShapeMismatch", &["heads"]);
    }
}

#[test]
fn only_q_and_k_of_llama_are_reordered() {
    let mut adapter = one(UP, delta(8, 4, 2, 1.0));
    for name in ["q", "k", "v", "o"] {
        let rows = if matches!(name, "k" | "v") { 8 } else { 16 };
        let module = format!("model.layers.0.self_attn.{name}_proj");
        adapter.deltas.insert(module, delta(rows, 4, 2, 1.0));
    }
    let moved = |architecture| {
        let base = Base { architecture, ..LLAMA };
        let bytes = lora::write(&adapter, &base, DType::F32).unwrap();
        let stored = lora::read_as_stored(&Gguf::parse("a.gguf", &bytes).unwrap()).unwrap();
        let mut moved = Vec::new();
        for (module, delta) in &adapter.deltas {
            let (a, b) = factors(&stored.deltas[module]);
            assert_eq!(a, factors(delta).0, "{module}");
            if b != factors(delta).1 {
                moved.push(module.clone());
            }
        }
        let warned: Vec<_> = stored.warnings.iter().map(|w| w.module.clone()).collect();
        assert_eq!(warned, moved);
        moved
    };
    assert_eq!(moved("llama"), [K, Q]);
    assert!(moved("qwen2").is_empty() && moved("qwen3").is_empty());
}

// Files by hand

const WEIGHT: &str = "blk.0.ffn_up.weight";

/// A sound file for a weight `[3, 4]`, rank 2, and what a test changes in it.
struct File {
    metadata: Metadata,
    tensors: BTreeMap<String, Tensor>,
}

fn sound() -> File {
    let mut metadata = Metadata::new("");
    metadata.insert("general.type", "adapter");
    metadata.insert("general.architecture", "llama");
    metadata.insert("adapter.type", "lora");
    metadata.insert("adapter.lora.alpha", 4.0f32);
    File { metadata, tensors: BTreeMap::new() }.factors(WEIGHT, 3, 4, 2)
}

impl File {
    fn tensor(mut self, name: &str, shape: &[usize]) -> Self {
        let numbers = (1..=shape.iter().product()).map(|i| i as f32).collect();
        let tensor = Tensor::new(shape.to_vec(), Data::F32(numbers)).unwrap();
        self.tensors.insert(name.to_owned(), tensor);
        self
    }

    fn factors(self, weight: &str, out: usize, inputs: usize, rank: usize) -> Self {
        let file = self.tensor(&format!("{weight}.lora_a"), &[rank, inputs]);
        file.tensor(&format!("{weight}.lora_b"), &[out, rank])
    }

    fn without(mut self, name: &str) -> Self {
        assert!(self.tensors.remove(name).is_some(), "{name}");
        self
    }

    fn set(mut self, key: &str, value: impl Into<lokahi::format::gguf::Value>) -> Self {
        self.metadata.insert(key, value);
        self
    }

    /// The metadata without one key.
    fn unset(mut self, key: &str) -> Self {
        let mut rest = Metadata::new("");
        for (k, value) in self.metadata.iter().filter(|(k, _)| *k != key) {
            rest.insert(k, value.clone());
        }
        assert_eq!(rest.iter().len() + 1, self.metadata.iter().len(), "{key}");
        self.metadata = rest;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        write(&self.metadata, &self.tensors).unwrap()
    }

    fn read(&self) -> Result<Adapter> {
        read(&self.bytes())
    }
}

#[test]
fn a_sound_file_is_read() {
    let adapter = sound().read().unwrap();
    assert_eq!(adapter.warnings, []);
    let delta = &adapter.deltas[UP];
    assert_eq!((delta.rank, delta.alpha, delta.scale), (2, 4.0, 2.0));
    // Row 0 of 2 * [[1, 2], [3, 4], [5, 6]] [[1, 2, 3, 4], [5, 6, 7, 8]].
    assert_eq!(delta.materialise()[..4], [22., 28., 34., 40.]);
    assert_eq!(adapter.deltas.len(), 1);
}

#[test]
fn alpha_of_zero_is_none() {
    for file in [sound().unset("adapter.lora.alpha"), sound().set("adapter.lora.alpha", 0.0f32)] {
        let adapter = file.read().unwrap();
        let delta = &adapter.deltas[UP];
        assert_eq!((delta.rank, delta.alpha, delta.scale), (2, 2.0, 1.0));
        assert_eq!(adapter.warnings[0].code, "NoAlpha");
    }
    refused(
        sound().set("adapter.lora.alpha", f32::NAN).read(),
        "BadConfig",
        &["adapter.lora.alpha", "NaN"],
    );
    refused(sound().set("adapter.lora.alpha", "4").read(), "BadConfig", &["adapter.lora.alpha"]);
}

#[test]
fn norms_are_told_and_not_used() {
    let adapter = sound().tensor("blk.0.attn_norm.weight", &[4]).read().unwrap();
    assert_eq!(adapter.deltas.len(), 1);
    let warning = &adapter.warnings[0];
    assert_eq!((warning.code, warning.module.as_str()), ("IgnoredNorm", "blk.0.attn_norm"));
}

#[test]
fn q_and_k_of_llama_need_the_heads_of_the_base() {
    let file = sound().factors("blk.0.attn_q.weight", 16, 4, 2);
    let bytes = file.bytes();
    let gguf = Gguf::parse("a.gguf", &bytes).unwrap();
    refused(lora::read(&gguf, None), "BadArgument", &["heads", "config.json", Q]);
    let adapter = lora::read(&gguf, Some(HEADS)).unwrap();
    assert_eq!(adapter.warnings, []);
    // Four rows a head: 0 2 1 3 in the file.
    let b = factors(&adapter.deltas[Q]).1.data();
    assert_eq!(b[..8], [1., 2., 5., 6., 3., 4., 7., 8.]);
    // Left in the file's order by choice, with a warning.
    let stored = lora::read_as_stored(&gguf).unwrap();
    assert_eq!(factors(&stored.deltas[Q]).1.data()[..4], [1., 2., 3., 4.]);
    assert_eq!(stored.warnings[0].code, "StoredRowOrder");
    // Nothing needs them in other files.
    let bytes = sound().bytes();
    assert!(lora::read(&Gguf::parse("a.gguf", &bytes).unwrap(), None).is_ok());
    let bytes = file.set("general.architecture", "qwen3").bytes();
    let adapter = lora::read(&Gguf::parse("a.gguf", &bytes).unwrap(), None).unwrap();
    assert_eq!(factors(&adapter.deltas[Q]).1.data()[..4], [1., 2., 3., 4.]);
}

#[test]
fn heads_of_a_base_are_found() {
    let mut metadata = Metadata::new("base.gguf");
    refused(Heads::from_metadata(&metadata), "BadConfig", &["base.gguf", "general.architecture"]);
    metadata.insert("general.architecture", "llama");
    refused(Heads::from_metadata(&metadata), "BadConfig", &["llama.attention.head_count"]);
    metadata.insert("llama.attention.head_count", 4u32);
    let heads = Heads::from_metadata(&metadata).unwrap();
    assert_eq!(heads, Heads { query: 4, key_value: 4 });
    metadata.insert("llama.attention.head_count_kv", 2u64);
    assert_eq!(Heads::from_metadata(&metadata).unwrap(), HEADS);
}

#[test]
fn heads_of_another_base_are_refused() {
    let file = sound().factors("blk.0.attn_q.weight", 16, 4, 2);
    let file = file.factors("blk.0.attn_k.weight", 8, 4, 2);
    let bytes = file.bytes();
    let gguf = Gguf::parse("a.gguf", &bytes).unwrap();
    assert!(lora::read(&gguf, Some(HEADS)).is_ok());
    for (query, key_value) in [(4, 4), (2, 2), (8, 2), (3, 2), (4, 0), (0, 0)] {
        let error = refused(
            lora::read(&gguf, Some(Heads { query, key_value })),
            "ShapeMismatch",
            &["self_attn", "heads"],
        );
        drop(error);
    }
    let adapter = lora::read(&gguf, Some(HEADS)).unwrap();
    let base = Base { heads: Heads { query: 4, key_value: 4 }, ..LLAMA };
    refused(lora::write(&adapter, &base, DType::F32), "ShapeMismatch", &[Q, K]);
}

#[test]
fn hostile_signs() {
    for (key, value) in [("general.type", "model"), ("adapter.type", "dora")] {
        refused(sound().set(key, value).read(), "BadConfig", &["a.gguf", key, value]);
        refused(sound().unset(key).read(), "BadConfig", &["a.gguf", key, "nothing"]);
    }
    let foreign = sound().set("general.architecture", "gemma3");
    refused(foreign.read(), "Unsupported", &["a.gguf", "gemma3", "llama, qwen2, qwen3"]);
    refused(sound().unset("general.architecture").read(), "BadConfig", &["general.architecture"]);
    let tokens = Elements::U32(vec![1, 2]);
    let alora = sound().set("adapter.alora.invocation_tokens", tokens);
    refused(alora.read(), "Unsupported", &["invocation_tokens", "aLoRA"]);
}

#[test]
fn hostile_missing_partner() {
    for suffix in ["lora_a", "lora_b"] {
        let name = format!("{WEIGHT}.{suffix}");
        refused(sound().without(&name).read(), "MissingTensor", &[UP, &name]);
    }
    let none = sound().without("blk.0.ffn_up.weight.lora_a").without("blk.0.ffn_up.weight.lora_b");
    refused(none.read(), "BadFile", &["a.gguf", "no adapter tensors"]);
    let norm = sound().without("blk.0.ffn_up.weight.lora_a").without("blk.0.ffn_up.weight.lora_b");
    let norm = norm.tensor("blk.0.attn_norm.weight", &[4]);
    refused(norm.read(), "BadFile", &["a.gguf", "no adapter tensors"]);
}

#[test]
fn hostile_names() {
    // llama.cpp#11131, #6536: the tensor is named.
    for name in [
        "blk.0.ffn_up.weight.lora_magnitude_vector",
        "token_embd.weight",
        "blk.0.ffn_up.weight",
        "blk.0.ffn_up.bias",
        "blk.0.ffn_up.weight.loraA",
    ] {
        refused(sound().tensor(name, &[3]).read(), "UnknownTensor", &[name, ".lora_a"]);
    }
    for weight in [
        "token_embd.weight",
        "blk.0.ffn_gate_exps.weight",
        "blk.0.ffn_up.bias",
        "blk.0.ffn_up",
        "blk.0.attn_norm.weight",
        "output_norm.weight",
        "model.layers.0.mlp.up_proj.weight",
        "",
    ] {
        refused(sound().factors(weight, 3, 4, 2).read(), "UnknownTensor", &[weight, "Linear"]);
    }
}

#[test]
fn hostile_shapes() {
    let a = format!("{WEIGHT}.lora_a");
    let b = format!("{WEIGHT}.lora_b");
    // Factors of two ranks, and llama.cpp's old layout, transposed.
    refused(sound().tensor(&a, &[3, 4]).read(), "ShapeMismatch", &[UP, "lora_B"]);
    refused(sound().tensor(&a, &[4, 2]).read(), "ShapeMismatch", &[UP, "lora_B"]);
    for shape in [&[8][..], &[2, 4, 1], &[]] {
        refused(sound().tensor(&a, shape).read(), "ShapeMismatch", &[&a, "two dimensions"]);
    }
    refused(sound().tensor(&b, &[3, 0]).read(), "ShapeMismatch", &[UP, "zero"]);
    let huge = sound().tensor(&a, &[1, 70_000]).tensor(&b, &[70_000, 1]);
    refused(huge.read(), "ShapeMismatch", &[UP, "2^32"]);
    let rank = sound().tensor(&a, &[70_000, 1]).tensor(&b, &[1, 70_000]);
    refused(rank.read(), "ShapeMismatch", &[&a, "rank"]);
    let uneven = sound().factors("blk.0.attn_q.weight", 12, 4, 2);
    refused(uneven.read(), "ShapeMismatch", &[Q, "4 heads"]);
}

#[test]
fn hostile_numbers() {
    let name = format!("{WEIGHT}.lora_b");
    let mut file = sound();
    let numbers = vec![1., 2., f32::NAN, 4., 5., 6.];
    file.tensors.insert(name.clone(), Tensor::new(vec![3, 2], Data::F32(numbers)).unwrap());
    refused(file.read(), "NotFinite", &[&name, "element 2", "NaN"]);
}

#[test]
fn what_llama_cpp_cannot_apply_is_not_written() {
    let write = |adapter: &Adapter| lora::write(adapter, &LLAMA, DType::F32);
    for (name, method) in [("fi-loha", "LoHa"), ("fi-lokr", "LoKr")] {
        refused(write(&places(name)), "Unsupported", &["model.layers.0", method, "LoRA"]);
    }
    for module in [
        "transformer.h.0.attn.c_attn",
        "model.layers.0.mlp.experts",
        "model.norm",
        "model.embed_tokens",
    ] {
        refused(write(&one(module, delta(3, 4, 2, 1.0))), "Unsupported", &[module, "Linear"]);
    }
    let mut dora = delta(3, 4, 2, 1.0);
    dora.bias = Some(vec![1.0; 3]);
    refused(write(&one(UP, dora)), "Unsupported", &[UP, "plain LoRA"]);
    let mut saved = one(UP, delta(3, 4, 2, 1.0));
    let whole = Tensor::new(vec![1], Data::F32(vec![1.0])).unwrap();
    saved.replaced.insert("score.weight".into(), whole);
    refused(write(&saved), "Unsupported", &["score.weight", "whole"]);
    // llama.cpp#9065: a tied head is no tensor there.
    let head = one("lm_head", delta(3, 4, 2, 1.0));
    refused(write(&head), "Unsupported", &["lm_head", "tied"]);
    let base = Base { tie_word_embeddings: false, ..LLAMA };
    let bytes = lora::write(&head, &base, DType::F32).unwrap();
    assert_eq!(read(&bytes).unwrap(), head);
    refused(write(&Adapter::default()), "BadArgument", &["at least one module"]);
    let base = Base { architecture: "gpt2", ..LLAMA };
    refused(lora::write(&head, &base, DType::F32), "Unsupported", &["gpt2", "qwen3"]);
    refused(write(&one(Q, delta(12, 4, 2, 1.0))), "ShapeMismatch", &[Q, "4 heads"]);
}
