//! Tiny models of every family, against logits that transformers and PEFT computed; and several
//! texts in one batch, each with its own adapters.

use lokahi::{
    adapter::Adapter,
    backend::Backend,
    format::{Checkpoint, Tensors, peft},
    model::{Model, Session, Turn},
    tensor::{Data, Tensor},
};

use super::{
    compare::{assert_close, of_largest, widen},
    fixtures::{SAMPLES, Sample, files},
    name,
};

/// A share of the largest logit.
const CLOSE: f64 = 1e-4;

impl Sample {
    fn adapter(&self) -> Adapter {
        peft::read(&files(self.adapter)).unwrap()
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint::read(&files(self.model)).unwrap()
    }

    /// The model with its adapter loaded as `a`.
    fn model<B: Backend>(&self, backend: B) -> Model<B> {
        let mut model = Model::new(backend, &self.checkpoint(), None).unwrap();
        model.load_adapter("a", &self.adapter()).unwrap();
        model
    }

    fn ids(&self) -> Vec<u32> {
        let file = safetensors::SafeTensors::deserialize(self.goldens).unwrap();
        let ids = file.tensor("ids").unwrap();
        assert_eq!(ids.dtype(), safetensors::Dtype::I32);
        let numbers = ids.data().as_chunks().0.iter().map(|&b| i32::from_le_bytes(b));
        numbers.map(|id| u32::try_from(id).unwrap()).collect()
    }

    /// `logits` or `logits_adapter`.
    fn golden(&self, which: &str) -> Vec<f64> {
        let goldens = Tensors::parse("goldens.safetensors", self.goldens).unwrap();
        widen(&goldens.get(which).unwrap().to_f32())
    }
}

macro_rules! families {
    ($($trial:ident = $name:literal),+ $(,)?) => {$(
        pub async fn $trial<B: Backend>(backend: B) {
            let (mut model, sample) = texts_alone(backend, $name).await;
            batches(&mut model, sample).await;
        }
    )+};
}

/// Whole texts and steps of one family; the model is handed on.
pub async fn texts_alone<B: Backend>(backend: B, name: &str) -> (Model<B>, &'static Sample) {
    let sample = SAMPLES.iter().find(|sample| sample.name == name).unwrap();
    let mut model = sample.model(backend);
    whole_texts(&mut model, sample).await;
    steps(&mut model, sample).await;
    (model, sample)
}

families! {
    llama_untied = "llama-untied",
    llama_rope_llama3 = "llama-rope-llama3",
    llama_bias_headdim = "llama-bias-headdim",
    qwen2 = "qwen2",
    qwen3 = "qwen3",
    mistral = "mistral",
}

/// The base, and the adapter beside it and merged into it.
async fn whole_texts<B: Backend>(model: &mut Model<B>, sample: &Sample) {
    for (which, active, merged) in [
        ("logits", &[][..], false),
        ("logits_adapter", &[("a", 1.0)], false),
        ("logits_adapter", &[("a", 1.0)], true),
    ] {
        model.set_adapters(active).unwrap();
        if merged {
            model.merge_adapters().unwrap();
        }
        let want = sample.golden(which);
        let got = model.logits(&sample.ids()).unwrap().await.unwrap();
        let what = format!("{} {} {which}, merged: {merged}", name::<B>(), sample.name);
        assert_close(&what, &got, &want, of_largest(CLOSE, &want));
        model.unmerge_adapters();
    }
    model.set_adapters(&[]).unwrap();
}

/// Token by token and in pieces.
async fn steps<B: Backend>(model: &mut Model<B>, sample: &Sample) {
    let (ids, want) = (sample.ids(), sample.golden("logits_adapter"));
    let vocabulary = model.config().vocab_size;
    for piece in [1, 5] {
        let mut session = model.session_with(ids.len(), &[("a", 1.0)]).unwrap();
        for ids in ids.chunks(piece) {
            let got = model.advance(&mut session, ids).unwrap().await.unwrap();
            let want_now = &want[(session.len() - 1) * vocabulary..][..vocabulary];
            let what = format!("{} {} to {}", name::<B>(), sample.name, session.len());
            assert_close(&what, &got, want_now, of_largest(CLOSE, &want));
        }
    }
}

/// Four texts of their own lengths and adapters in one batch, of which two end early: each as if it
/// were alone, and the first steps as the goldens say.
async fn batches<B: Backend>(model: &mut Model<B>, sample: &Sample) {
    let ids = sample.ids();
    let vocabulary = model.config().vocab_size;
    // Adapters, length of the prompt, steps behind it.
    type Text<'a> = (&'a [(&'a str, f32)], usize, usize);
    let texts: [Text<'_>; 4] =
        [(&[("a", 1.0)], 21, 6), (&[], 12, 2), (&[("a", -0.5)], 1, 6), (&[("a", 1.0)], 21, 3)];
    let mut alone = Vec::new();
    for (adapters, length, steps) in texts {
        let mut session = model.session_with(64, adapters).unwrap();
        let mut next = ids[..length].to_vec();
        let (mut tokens, mut logits) = (Vec::new(), Vec::new());
        for _ in 0..=steps {
            let now = model.advance(&mut session, &next).unwrap().await.unwrap();
            next = vec![best(&now)];
            tokens.push(next[0]);
            logits.push(now);
        }
        alone.push((tokens, logits));
    }
    let want = sample.golden("logits_adapter");
    let what = format!("{} {}", name::<B>(), sample.name);
    let last = &want[20 * vocabulary..];
    assert_close(&what, &alone[0].1[0], last, of_largest(CLOSE, &want));
    let mut sessions: Vec<Session<B>> =
        texts.iter().map(|(adapters, ..)| model.session_with(64, adapters).unwrap()).collect();
    let mut next: Vec<Vec<u32>> = texts.iter().map(|(_, n, _)| ids[..*n].to_vec()).collect();
    for step in 0..=6 {
        let going: Vec<usize> = (0..4).filter(|&text| step <= texts[text].2).collect();
        let mut turns: Vec<_> = sessions
            .iter_mut()
            .zip(&next)
            .enumerate()
            .filter(|(text, _)| going.contains(text))
            .map(|(_, (session, ids))| Turn { session, ids })
            .collect();
        let logits = model.advance_all(&mut turns).unwrap().await.unwrap();
        for (text, logits) in going.into_iter().zip(logits.chunks(vocabulary)) {
            let (tokens, wanted) = &alone[text];
            let what = format!("{what}: text {text}, step {step}");
            let wanted = widen(&wanted[step]);
            assert_close(&what, logits, &wanted, of_largest(1e-5, &wanted));
            assert_eq!(best(logits), tokens[step], "{what}");
            next[text] = vec![tokens[step]];
        }
    }
    assert_ne!(alone[0].0, alone[2].0, "{what}: the adapters change nothing");
}

fn best(logits: &[f32]) -> u32 {
    let top = logits.iter().copied().fold(f32::MIN, f32::max);
    logits.iter().position(|&v| v == top).unwrap() as u32
}

/// `lora_bias`: a model with the bias of an adapter is one with another bias of its own.
pub async fn biases_of_adapters<B: Backend>(backend: B) {
    let sample = SAMPLES.iter().find(|sample| sample.name == "llama-bias-headdim").unwrap();
    let mut adapter = sample.adapter();
    let module = "model.layers.1.self_attn.o_proj";
    let (ids, strength) = (sample.ids(), -0.5f32);
    let mut model = sample.model(backend);
    let vocabulary = model.config().vocab_size;
    let (path, delta) = adapter.deltas.iter_mut().find(|(name, _)| name.ends_with(module)).unwrap();
    assert_eq!(delta.bias, None, "{path}");
    let outputs = delta.method().shape()[0];
    let added: Vec<f32> = (0..outputs).map(|i| (i as f32 * 0.7).sin()).collect();
    let scale = delta.scale;
    delta.bias = Some(added.clone());
    let mut changed = sample.checkpoint();
    let bias = changed.tensors.get_mut(&format!("{module}.bias")).unwrap();
    let sum = bias.to_f32().iter().zip(&added).map(|(b, a)| b + strength * scale * a).collect();
    *bias = Tensor::new(vec![outputs], Data::F32(sum)).unwrap();
    let mut other = Model::new(lokahi::cpu::Cpu::default(), &changed, None).unwrap();
    other.load_adapter("a", &sample.adapter()).unwrap();
    other.set_adapters(&[("a", strength)]).unwrap();
    let want = widen(&other.logits(&ids).unwrap().await.unwrap());
    model.load_adapter("b", &adapter).unwrap();
    model.set_adapters(&[("b", strength)]).unwrap();
    for merged in [false, true] {
        if merged {
            model.merge_adapters().unwrap();
        }
        let got = model.logits(&ids).unwrap().await.unwrap();
        let what = format!("{} lora_bias, merged: {merged}", name::<B>());
        assert_close(&what, &got, &want, of_largest(CLOSE, &want));
    }
    model.unmerge_adapters();
    model.set_adapters(&[("a", strength)]).unwrap();
    let without = widen(&model.logits(&ids).unwrap().await.unwrap());
    assert_ne!(without[20 * vocabulary..], want[20 * vocabulary..], "the bias changes nothing");
}
