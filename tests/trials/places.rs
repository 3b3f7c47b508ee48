//! The model that names towns, against logits and names that transformers and PEFT computed.

use lokahi::{
    backend::Backend,
    format::{Checkpoint, Tensors, peft},
    model::{Model, Sampler, Sampling},
};
use serde::Deserialize;
use std::collections::BTreeMap;

use super::{
    compare::{Tolerance, assert_close, widen},
    fixtures::{PLACES, PLACES_ADAPTERS, PLACES_LOGITS, PLACES_NAMES, files},
    name,
};

#[derive(Deserialize)]
struct Goldens {
    prefixes: Vec<Prefix>,
    /// For each model and prefix: prefix and continuation together.
    models: BTreeMap<String, Vec<Continuation>>,
}

#[derive(Deserialize)]
struct Prefix {
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Continuation {
    ids: Vec<u32>,
}

/// How far logits may be from those of transformers and PEFT, or of another way to run.
const LOGITS: Tolerance = Tolerance { absolute: 1e-3, relative: 0.0 };

fn goldens() -> Goldens {
    serde_json::from_slice(PLACES_NAMES).unwrap()
}

fn model<B: Backend>(backend: B) -> Model<B> {
    Model::new(backend, &Checkpoint::read(&files(PLACES)).unwrap(), None).unwrap()
}

/// The model with every adapter loaded and none active.
fn model_with_adapters<B: Backend>(backend: B) -> Model<B> {
    let mut model = model(backend);
    for (name, folder) in PLACES_ADAPTERS {
        model.load_adapter(name, &peft::read(&files(folder)).unwrap()).unwrap();
    }
    model
}

fn activate<B: Backend>(model: &mut Model<B>, name: &str) {
    let one = [(name, 1.0)];
    model.set_adapters(if name == "base" { &[] } else { &one }).unwrap();
}

async fn check_logits<B: Backend>(model: &mut Model<B>, name: &str, goldens: &Goldens) {
    let logits = Tensors::parse("goldens.safetensors", PLACES_LOGITS).unwrap();
    for (i, prefix) in goldens.prefixes.iter().enumerate() {
        let got = model.logits(&prefix.ids).unwrap().await.unwrap();
        let want = widen(&logits.get(&format!("{name}.{i}")).unwrap().to_f32());
        let what =
            format!("{} logits of {name}.{i}, merged: {}", self::name::<B>(), model.merged());
        assert_close(&what, &got, &want, LOGITS);
    }
}

/// The base and all 18 adapters, beside the base and merged into it.
pub async fn logits_of_every_adapter<B: Backend>(backend: B) {
    let mut model = model_with_adapters(backend);
    let goldens = goldens();
    assert_eq!(goldens.models.len(), PLACES_ADAPTERS.len() + 1);
    for name in goldens.models.keys() {
        activate(&mut model, name);
        check_logits(&mut model, name, &goldens).await;
        if name != "base" {
            model.merge_adapters().unwrap();
            check_logits(&mut model, name, &goldens).await;
            model.unmerge_adapters();
        }
    }
}

/// Greedy names, letter for letter, by the greedy kernel and by the sampler.
pub async fn greedy_names<B: Backend>(backend: B) {
    let mut model = model_with_adapters(backend);
    let goldens = goldens();
    let end = model.config().eos_token_ids.clone();
    for (name, continuations) in &goldens.models {
        activate(&mut model, name);
        for (prefix, want) in goldens.prefixes.iter().zip(continuations) {
            // The sampler's own greedy choice has its tests; here it is tried once with a model.
            let ways = if name == "base" { &[true, false][..] } else { &[true] };
            for &by_kernel in ways {
                let mut sampler = Sampler::new(Sampling::default()).unwrap();
                let mut session = model.session(model.context()).unwrap();
                let mut ids = prefix.ids.clone();
                let mut next = prefix.ids.clone();
                // One golden name ends at a limit of 26 tokens instead of at its end token.
                let limit = prefix.ids.len() + 26;
                while ids.len() < limit && !ids.last().is_some_and(|id| end.contains(id)) {
                    let id = if by_kernel {
                        model.advance_greedy(&mut session, &next).unwrap().await.unwrap()[0] as u32
                    } else {
                        let logits = model.advance(&mut session, &next).unwrap().await.unwrap();
                        sampler.pick(&logits).unwrap()
                    };
                    next = vec![id];
                    ids.push(id);
                }
                assert_eq!(ids, want.ids, "{} {name}, kernel: {by_kernel}", self::name::<B>());
            }
        }
    }
}

pub async fn unmerging_is_exact_to_the_bit<B: Backend>(backend: B) {
    let mut model = model_with_adapters(backend);
    let ids = &goldens().prefixes[3].ids;
    let before = model.logits(ids).unwrap().await.unwrap();
    for (name, _) in PLACES_ADAPTERS {
        activate(&mut model, name);
        model.merge_adapters().unwrap();
        let changed = model.logits(ids).unwrap().await.unwrap();
        assert_ne!(changed, before, "{name} changes nothing");
        model.unmerge_adapters();
        activate(&mut model, "base");
        let after = model.logits(ids).unwrap().await.unwrap();
        let bits = |numbers: &[f32]| numbers.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&after), bits(&before), "{} {name}", self::name::<B>());
    }
}

/// Two adapters at strengths: running beside the base equals merging, and differs from each alone.
pub async fn mixing_adds_deltas<B: Backend>(backend: B) {
    let mut model = model_with_adapters(backend);
    let ids = &goldens().prefixes[2].ids;
    let mut mixes = Vec::new();
    for mix in [
        &[("fi-lora", 0.7), ("it-lokr", 0.4)][..],
        &[("fi-lora", 0.7)],
        &[("jp-loha", 1.5), ("kr-lora", -0.5), ("tr-lokr", 0.25)],
    ] {
        model.set_adapters(mix).unwrap();
        let running = model.logits(ids).unwrap().await.unwrap();
        model.merge_adapters().unwrap();
        let merged = model.logits(ids).unwrap().await.unwrap();
        model.unmerge_adapters();
        let what = format!("{} {mix:?}", self::name::<B>());
        assert_close(&what, &running, &widen(&merged), LOGITS);
        assert!(!mixes.contains(&running), "{what}: as another mix");
        mixes.push(running);
    }
}

/// Token by token, in pieces and at once: one text, one result.
pub async fn steps_equal_the_whole_text<B: Backend>(backend: B) {
    let mut model = model_with_adapters(backend);
    model.set_adapters(&[("it-loha", 1.0)]).unwrap();
    let ids = goldens().models["it-loha"][2].ids.clone();
    let vocabulary = model.config().vocab_size;
    let whole = model.logits(&ids).unwrap().await.unwrap();
    for piece in [1, 3, ids.len()] {
        let mut session = model.session(ids.len()).unwrap();
        for (k, ids) in ids.chunks(piece).enumerate() {
            let got = model.advance(&mut session, ids).unwrap().await.unwrap();
            let last = k * piece + ids.len() - 1;
            let want = widen(&whole[last * vocabulary..][..vocabulary]);
            let tolerance = Tolerance { absolute: 1e-4, relative: 0.0 };
            assert_close(
                &format!("{} pieces of {piece}", self::name::<B>()),
                &got,
                &want,
                tolerance,
            );
        }
        assert_eq!(session.len(), ids.len());
    }
}
