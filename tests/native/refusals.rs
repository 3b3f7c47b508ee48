//! Bad calls on a model have a named error and change nothing. Bad files are in `format`.

use crate::trials::fixtures::{CASES, PLACES, PLACES_ADAPTERS, files};
use lokahi::{
    adapter::{Adapter, Delta, Factors, Lora},
    cpu::Cpu,
    format::{Checkpoint, peft},
    model::Model,
    tensor::Matrix,
};

fn model() -> Model<Cpu> {
    Model::new(Cpu::default(), &Checkpoint::read(&files(PLACES)).unwrap(), None).unwrap()
}

fn adapter(name: &str) -> Adapter {
    let (_, folder) = PLACES_ADAPTERS.iter().find(|(known, _)| *known == name).unwrap();
    peft::read(&files(folder)).unwrap()
}

fn logits(model: &mut Model<Cpu>) -> Vec<f32> {
    pollster::block_on(model.logits(&[1, 21, 37]).unwrap()).unwrap()
}

/// Runs a bad call on a model with one active adapter; the logits stay as they were.
#[track_caller]
fn refused(code: &str, names: &str, call: impl FnOnce(&mut Model<Cpu>) -> lokahi::Result<()>) {
    let mut model = model();
    model.load_adapter("fi", &adapter("fi-lora")).unwrap();
    model.set_adapters(&[("fi", 0.5)]).unwrap();
    let before = logits(&mut model);
    let error = call(&mut model).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(names), "{error} does not name {names}");
    assert_eq!(logits(&mut model), before, "a refused call changed the model");
    assert_eq!(model.adapters().collect::<Vec<_>>(), ["fi"]);
}

#[test]
fn adapter_of_another_model() {
    let other = peft::read(&files(CASES[0].adapter)).unwrap();
    refused("BaseMismatch", "0 of 6 modules", |model| model.load_adapter("other", &other));
}

#[test]
fn right_name_wrong_shape() {
    let mut wrong = adapter("fi-loha");
    let (a, b) = (Matrix::from_fn(2, 128, |_, _| 0.1), Matrix::from_fn(65, 2, |_, _| 0.1));
    let factors = Factors::Lora(Lora::new(a, b).unwrap());
    let module = "model.layers.2.self_attn.k_proj";
    let delta = Delta::new(factors, 2, 2.0, 1.0);
    wrong.deltas.insert(module.into(), delta);
    refused("BaseMismatch", module, |model| model.load_adapter("wrong", &wrong));
}

#[test]
fn name_taken_or_unknown() {
    refused("AdapterExists", "fi", |model| model.load_adapter("fi", &adapter("fi-lokr")));
    refused("UnknownAdapter", "it", |model| model.set_adapters(&[("fi", 1.0), ("it", 1.0)]));
    refused("UnknownAdapter", "it", |model| model.delete_adapter("it"));
    refused("BadArgument", "twice", |model| model.set_adapters(&[("fi", 1.0), ("fi", 0.2)]));
}

#[test]
fn strength_nan_or_infinite() {
    for strength in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        refused("BadArgument", "strengths", |model| model.set_adapters(&[("fi", strength)]));
    }
}

#[test]
fn no_tokens_too_many_or_unknown_ones() {
    refused("BadArgument", "ids", |model| model.logits(&[]).map(drop));
    refused("BadArgument", "156", |model| model.logits(&[1, 156]).map(drop));
    refused("ContextFull", "65", |model| model.logits(&[1; 65]).map(drop));
    refused("ContextFull", "3 tokens", |model| {
        let mut session = model.session(2)?;
        model.advance(&mut session, &[1, 21, 37]).map(drop)
    });
}

#[test]
fn merged_adapters_are_not_changed() {
    let mut model = model();
    model.load_adapter("fi", &adapter("fi-lora")).unwrap();
    assert_eq!(model.merge_adapters().unwrap_err().code(), "BadArgument");
    model.set_adapters(&[("fi", 1.0)]).unwrap();
    model.merge_adapters().unwrap();
    let before = logits(&mut model);
    assert_eq!(model.set_adapters(&[]).unwrap_err().code(), "Merged");
    assert_eq!(model.merge_adapters().unwrap_err().code(), "Merged");
    assert_eq!(model.delete_adapter("fi").unwrap_err().code(), "Merged");
    assert_eq!(logits(&mut model), before);
    // One that is not merged may come and go.
    model.load_adapter("it", &adapter("it-loha")).unwrap();
    model.delete_adapter("it").unwrap();
    assert_eq!(logits(&mut model), before);
    model.unmerge_adapters();
    model.delete_adapter("fi").unwrap();
    assert_eq!(model.adapters().count(), 0);
}
