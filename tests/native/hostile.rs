//! Files that the fuzzers and a second reading of the readers found to do harm.

use lokahi::Result;
use lokahi::adapter::Adapter;
use lokahi::format::{AdapterFile, Base, Conventions, Files, Tensors, peft, read};
use serde_json::{Value, json};

use crate::format::{Stored, safetensors_file, safetensors_with, stored};
use crate::refused::refused;

fn lycoris(tensors: &[Stored]) -> Result<Adapter> {
    let files = Files::from_iter([("a.safetensors", safetensors_file(tensors))]);
    read(&files, &Conventions::default())
}

#[test]
fn hostile_magnitude_without_dimensions() {
    // Indexed where it had no dimension: a panic.
    let tensors = [
        stored("l.lora_down.weight", &[1, 1], &[1.0]),
        stored("l.lora_up.weight", &[1, 1], &[1.0]),
        stored("l.alpha", &[], &[1.0]),
        stored("l.dora_scale", &[], &[2.0]),
    ];
    let adapter = lycoris(&tensors).unwrap();
    assert_eq!(adapter.deltas["l"].magnitude.as_ref().unwrap().values, [2.0]);
    let mut wide = tensors;
    wide[0] = stored("l.lora_down.weight", &[1, 2], &[1.0, 1.0]);
    wide[1] = stored("l.lora_up.weight", &[2, 1], &[1.0, 1.0]);
    refused(lycoris(&wide), "ShapeMismatch", &["dora_scale", "2 outputs", "[]"]);
}

#[test]
fn hostile_core_beyond_f32() {
    // Finite factors whose product is not: a delta of infinities.
    for (form, tensors) in [
        (
            "lora",
            vec![
                ("lora_down.weight", vec![1, 1, 1]),
                ("lora_mid.weight", vec![1, 1, 1]),
                ("lora_up.weight", vec![1, 1, 1]),
            ],
        ),
        (
            "loha",
            vec![
                ("hada_w1_a", vec![1, 1]),
                ("hada_w1_b", vec![1, 1]),
                ("hada_w2_a", vec![1, 1]),
                ("hada_w2_b", vec![1, 1]),
                ("hada_t1", vec![1, 1, 1, 1]),
                ("hada_t2", vec![1, 1, 1, 1]),
            ],
        ),
        (
            "lokr",
            vec![
                ("lokr_w1", vec![1, 1]),
                ("lokr_w2_a", vec![1, 1]),
                ("lokr_w2_b", vec![1, 1]),
                ("lokr_t2", vec![1, 1, 1, 1]),
            ],
        ),
    ] {
        let with = |value: f32| -> Vec<Stored> {
            tensors
                .iter()
                .map(|(name, shape)| stored(&format!("l.{name}"), shape, &[value]))
                .collect()
        };
        assert!(lycoris(&with(2.0)).is_ok(), "{form}");
        refused(lycoris(&with(1e30)), "NotFinite", &["module l", "core"]);
    }
}

#[test]
fn hostile_alpha_of_alphas() {
    // One step of recursion for each: the stack ended.
    let name = format!("l{}", ".alpha".repeat(200_000));
    refused(lycoris(&[stored(&name, &[], &[1.0])]), "UnknownTensor", &["no factor"]);
}

#[test]
fn hostile_alpha_beyond_f32() {
    // The scale of 1e308 / 1e300 is a number; an alpha of 1e308 is none as f32.
    let bytes = safetensors_with(
        &[
            stored("unet.l.lora_A.weight", &[2, 1], &[1.0, 1.0]),
            stored("unet.l.lora_B.weight", &[1, 2], &[1.0, 1.0]),
        ],
        &json!({ "lora_adapter_metadata": r#"{"unet.lora_alpha": 4e38}"# }),
    );
    let files = Files::from_iter([("a.safetensors", bytes)]);
    refused(read(&files, &Conventions::default()), "NotFinite", &["alpha of module unet.l"]);
}

#[test]
fn hostile_patterns_that_ask_for_gigabytes() {
    // Each key is small, and each alone was allowed ten megabytes.
    let key = |i: usize| format!("a{{1000}}{{50}}{i}");
    let pattern: serde_json::Map<String, Value> = (0..500).map(|i| (key(i), json!(1))).collect();
    let config = json!({ "peft_type": "LORA", "r": 1, "lora_alpha": 1, "rank_pattern": pattern });
    let tensors =
        [stored("l.lora_A.weight", &[1, 1], &[1.0]), stored("l.lora_B.weight", &[1, 1], &[1.0])];
    let folder = |config: &Value| {
        Files::from_iter([
            ("adapter_config.json", config.to_string().into_bytes()),
            ("adapter_model.safetensors", safetensors_file(&tensors)),
        ])
    };
    refused(peft::read(&folder(&config)), "BadConfig", &["rank_pattern", "size limit"]);
    // Counts that a person would write.
    let key = r"model\.layers\.[0-9]{1,3}\.(self_attn\.[qkv]_proj|mlp\.(gate|up|down)_proj)|l";
    let config =
        json!({ "peft_type": "LORA", "r": 9, "lora_alpha": 1, "rank_pattern": { key: 1 } });
    assert_eq!(peft::read(&folder(&config)).unwrap().deltas["l"].rank, 1);
}

#[test]
fn settings_of_a_file_speak_of_its_own_names() {
    // Looked up by the base's names, they were lost without a word: another scale.
    let factors = [
        stored("unet.q.lora_A.weight", &[2, 1], &[1.0, 1.0]),
        stored("unet.q.lora_B.weight", &[1, 2], &[1.0, 1.0]),
    ];
    let base = Base::new([("q.weight".to_owned(), vec![1, 1])]).unwrap();
    let metadata = json!({ "lora_adapter_metadata": r#"{"unet.lora_alpha": 16}"# });
    let config = json!({
        "peft_type": "LORA", "r": 2, "lora_alpha": 2, "alpha_pattern": { "^unet.q": 16 },
    });
    let (bytes, config) = (safetensors_with(&factors, &metadata), config.to_string());
    for config in [None, Some(("adapter_config.json", config.as_bytes()))] {
        let tensors = Tensors::parse("a.safetensors", &bytes).unwrap();
        let mut file = AdapterFile::open(config, tensors, &Conventions::default()).unwrap();
        assert_eq!(file.outline("unet.q").unwrap().scale(), 8.0);
        file.resolve(&base).unwrap();
        assert_eq!(file.outline("q").unwrap().scale(), 8.0);
        assert_eq!(file.delta("q").unwrap().materialise(), [16.0]);
    }
}

#[test]
fn a_failed_rename_leaves_the_names() {
    let one = |m: &str| {
        [("lora_A.weight", m), ("lora_B.weight", m)]
            .map(|(f, m)| stored(&format!("{m}.{f}"), &[1, 1], &[1.0]))
    };
    let bytes = safetensors_file(&[one("a"), one("b")].concat());
    let tensors = Tensors::parse("a.safetensors", &bytes).unwrap();
    let mut file = AdapterFile::open(None, tensors, &Conventions::default()).unwrap();
    refused(file.rename(|_| Ok("c".to_owned())), "BadArgument", &["c for b"]);
    assert_eq!(file.modules().collect::<Vec<_>>(), ["a", "b"]);
}
