//! Files of LyCORIS, kohya and diffusers: the numbers of LyCORIS, and what such files leave open.

use std::path::Path;

use lokahi::Result;
use lokahi::adapter::{Adapter, Axis, Delta};
use lokahi::format::{AdapterFile, Base, Conventions, Files, Tensors, read};
use serde_json::{Value, json};

use crate::format::{Stored, close, rounding_of, safetensors_with, stored, wide, within};
use crate::refused::refused;

const CASES: [&str; 10] = [
    "lycoris-locon",
    "lycoris-locon-conv-tucker",
    "lycoris-loha",
    "lycoris-loha-conv-tucker",
    "lycoris-loha-dora",
    "lycoris-lokr",
    "lycoris-lokr-both",
    "lycoris-lokr-conv-tucker",
    "lycoris-lokr-full",
    "lycoris-lokr-unet-prefix",
];

#[test]
fn deltas_and_merges_are_those_of_lycoris() {
    for name in CASES {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters").join(name);
        let file = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let (adapter, base) = (file("adapter.safetensors"), file("base.safetensors"));
        let (base, expected) =
            (Tensors::parse("base", &base).unwrap(), file("expected.safetensors"));
        let expected = Tensors::parse("expected", &expected).unwrap();
        let tensors = Tensors::parse("adapter", &adapter).unwrap();
        let mut adapter = AdapterFile::open(None, tensors, &Conventions::default()).unwrap();
        assert_eq!(adapter.format(), "LyCORIS", "{name}");
        let codes: Vec<_> = adapter.warnings().iter().map(|w| w.code).collect();
        let whole: &[&str] = if name == "lycoris-lokr-full" { &["WholeLokr"] } else { &[] };
        assert_eq!(codes, whole, "{name}");
        let shapes =
            base.names().into_iter().map(|n| (n.clone(), base.shape(&n).unwrap().to_vec()));
        adapter.resolve(&Base::new(shapes).unwrap()).unwrap();
        let deltas = expected.names().into_iter().filter(|n| n.ends_with(".delta")).count();
        assert_eq!(adapter.modules().count(), deltas, "{name}");
        for module in adapter.modules() {
            let what = format!("{name}: {module}");
            let delta = adapter.delta(module).unwrap();
            let want = |kind: &str| expected.get(&format!("{module}.{kind}")).unwrap().to_f32();
            let weight = base.get(&format!("{module}.weight")).unwrap();
            let merged = delta.merge(&weight, 1.0, false).unwrap();
            close(&format!("{what}.merged"), &wide(&merged), &want("merged"));
            if delta.magnitude.is_none() {
                // LyCORIS's own is the difference of two forward passes in f32.
                let noise = rounding_of(&weight);
                within(&format!("{what}.delta"), &delta.materialise(), &want("delta"), noise);
            }
            agrees(&adapter, module, &delta);
        }
    }
}

/// The header alone must tell what the numbers tell.
pub fn agrees(file: &AdapterFile<'_>, module: &str, delta: &Delta) {
    let outline = file.outline(module).unwrap();
    let method = delta.method();
    assert_eq!(outline.method(), delta.factors.name(), "{module}");
    assert_eq!(outline.shape(), method.shape(), "{module}");
    assert_eq!(outline.layer(), &delta.layer, "{module}");
    assert_eq!(outline.rank(), delta.rank, "{module}");
    assert_eq!(outline.alpha().to_bits(), delta.alpha.to_bits(), "{module}");
    assert_eq!(outline.scale().to_bits(), delta.scale.to_bits(), "{module}");
    assert_eq!(outline.rank_bound(), method.rank_bound(), "{module}");
    assert_eq!(outline.tensors(), method.tensors(), "{module}");
    let own = method.parameters()
        + delta.magnitude.as_ref().map_or(0, |m| m.values.len())
        + delta.bias.as_ref().map_or(0, Vec::len);
    assert_eq!(outline.parameters(), own, "{module}");
    assert_eq!(outline.has_magnitude(), delta.magnitude.is_some(), "{module}");
}

// Files by hand

/// A sound LoRA: one module `l`, `[2, 3]`, r 1, alpha 4, and its `dW`.
fn lora() -> Vec<Stored> {
    vec![
        stored("lora_unet_l.alpha", &[], &[4.0]),
        stored("lora_unet_l.lora_down.weight", &[1, 3], &[1.0, 2.0, 3.0]),
        stored("lora_unet_l.lora_up.weight", &[2, 1], &[1.0, 10.0]),
    ]
}

const DW: [f64; 6] = [4.0, 8.0, 12.0, 40.0, 80.0, 120.0];

fn read_all(tensors: &[Stored], metadata: Value, conventions: &Conventions) -> Result<Adapter> {
    let bytes = safetensors_with(tensors, &metadata);
    read(&Files::from_iter([("adapter.safetensors", bytes)]), conventions)
}

fn adapter(tensors: &[Stored]) -> Result<Adapter> {
    read_all(tensors, json!({}), &Conventions::default())
}

fn renamed(from: &str, to: &str) -> Vec<Stored> {
    lora().into_iter().map(|(name, shape, v)| (name.replace(from, to), shape, v)).collect()
}

fn codes(adapter: &Adapter) -> Vec<&str> {
    adapter.warnings.iter().map(|w| w.code).collect()
}

fn only(adapter: &Adapter) -> &Delta {
    assert_eq!(adapter.deltas.len(), 1);
    adapter.deltas.values().next().unwrap()
}

#[test]
fn every_spelling_gives_the_same_delta() {
    for (down, up, module) in [
        ("lora_unet_l.lora_down.weight", "lora_unet_l.lora_up.weight", "lora_unet_l"),
        ("lycoris_l.lora_down.weight", "lycoris_l.lora_up.weight", "lycoris_l"),
        ("diffusion_model.l.lora_A.weight", "diffusion_model.l.lora_B.weight", "diffusion_model.l"),
        ("l.lora_A.default.weight", "l.lora_B.default.weight", "l"),
        ("l.lora_A", "l.lora_B", "l"),
        ("unet.l.lora.down.weight", "unet.l.lora.up.weight", "unet.l"),
        (
            "unet.a.processor.to_q_lora.down.weight",
            "unet.a.processor.to_q_lora.up.weight",
            "unet.a.to_q",
        ),
        (
            "text_encoder.l.lora_linear_layer.down.weight",
            "text_encoder.l.lora_linear_layer.up.weight",
            "text_encoder.l",
        ),
        // A mixture of spellings is one module all the same.
        ("l.lora_A.weight", "l.lora_up.weight", "l"),
    ] {
        let [alpha, a, b] = lora().try_into().unwrap();
        let tensors = [
            (format!("{module}.alpha"), alpha.1, alpha.2),
            (down.to_owned(), a.1, a.2),
            (up.to_owned(), b.1, b.2),
        ];
        let adapter = adapter(&tensors).unwrap_or_else(|e| panic!("{down}: {e}"));
        assert_eq!(adapter.deltas.keys().collect::<Vec<_>>(), [module]);
        assert_eq!(only(&adapter).materialise(), DW, "{down}");
        assert_eq!(codes(&adapter), [] as [&str; 0], "{down}");
    }
}

#[test]
fn alpha_of_any_dtype_counts_literally() {
    for (alpha, scale) in [(1.0, 1.0), (4.0, 4.0), (0.0, 0.0), (-2.0, -2.0)] {
        let mut tensors = lora();
        tensors[0].2 = vec![alpha];
        let adapter = adapter(&tensors).unwrap();
        assert_eq!(only(&adapter).scale, scale);
    }
    for alpha in [f32::NAN, f32::INFINITY] {
        let mut tensors = lora();
        tensors[0].2 = vec![alpha];
        refused(adapter(&tensors), "NotFinite", &["lora_unet_l", "alpha / rank"]);
    }
    let mut tensors = lora();
    tensors[0] = stored("lora_unet_l.alpha", &[2], &[1.0, 2.0]);
    refused(adapter(&tensors), "ShapeMismatch", &["lora_unet_l.alpha", "[2]"]);
    // (1,) is as good as a scalar.
    tensors[0] = stored("lora_unet_l.alpha", &[1], &[4.0]);
    assert_eq!(only(&adapter(&tensors).unwrap()).materialise(), DW);
}

#[test]
fn without_alpha_the_scale_is_one_and_a_warning_says_so() {
    let adapter = adapter(&lora()[1..]).unwrap();
    assert_eq!((only(&adapter).scale, only(&adapter).alpha), (1.0, 1.0));
    assert_eq!(codes(&adapter), ["NoAlpha"]);
    assert!(adapter.warnings[0].message.contains("lora_unet_l"), "{:?}", adapter.warnings);
    let known = Conventions { alpha: Some(0.5), ..Conventions::default() };
    let adapter = read_all(&lora()[1..], json!({}), &known).unwrap();
    assert_eq!((only(&adapter).scale, codes(&adapter)), (0.5, vec![]));
    // The settings of the run are no settings of the module (lattice#261).
    let adapter = read_all(&lora(), json!({ "ss_network_alpha": "1" }), &known).unwrap();
    assert_eq!(only(&adapter).scale, 4.0);
}

#[test]
fn new_diffusers_files_keep_alpha_in_the_header() {
    let tensors = renamed("lora_unet_l", "unet.b.proj_out");
    let metadata = |json: Value| json!({ "lora_adapter_metadata": json.to_string() });
    for (settings, scale) in [
        (json!({ "unet.r": 1, "unet.lora_alpha": 8 }), 8.0),
        (json!({ "unet.lora_alpha": 8, "unet.alpha_pattern": { "b.proj_out": 2 } }), 2.0),
        (json!({ "unet.lora_alpha": 8, "unet.alpha_pattern": { "proj": 2 } }), 8.0),
    ] {
        let adapter = read_all(&tensors[1..], metadata(settings), &Conventions::default()).unwrap();
        assert_eq!((only(&adapter).scale, codes(&adapter)), (scale, vec![]));
    }
    let other = metadata(json!({ "text_encoder.lora_alpha": 8 }));
    let adapter = read_all(&tensors[1..], other, &Conventions::default()).unwrap();
    assert_eq!(codes(&adapter), ["NoAlpha"]);
    let broken = json!({ "lora_adapter_metadata": "no json" });
    let result = read_all(&tensors, broken, &Conventions::default());
    refused(result, "BadConfig", &["lora_adapter_metadata", "no json"]);
}

#[test]
fn two_whole_lokr_factors_have_a_scale_of_one_whatever_alpha_says() {
    // sd-scripts#1402: 100000 and 1e10 are used as signs for "whole".
    for alpha in [1.0, 4.0, 100_000.0, 1e10, f32::INFINITY, f32::NAN] {
        let tensors = [
            stored("lycoris_l.alpha", &[], &[alpha]),
            stored("lycoris_l.lokr_w1", &[1, 2], &[1.0, 2.0]),
            stored("lycoris_l.lokr_w2", &[2, 1], &[3.0, 4.0]),
        ];
        let adapter = adapter(&tensors).unwrap();
        assert_eq!(only(&adapter).materialise(), [3.0, 6.0, 4.0, 8.0], "{alpha}");
        assert_eq!(codes(&adapter), ["WholeLokr"]);
        if alpha == 4.0 {
            let peft = Conventions { whole_lokr_rank: Some(2), ..Conventions::default() };
            let adapter = read_all(&tensors, json!({}), &peft).unwrap();
            assert_eq!(only(&adapter).materialise(), [6.0, 12.0, 8.0, 16.0]);
            assert_eq!(codes(&adapter), [] as [&str; 0]);
        }
    }
}

#[test]
fn the_axis_of_dora_comes_from_the_shape_and_a_guess_is_told() {
    let with = |shape: &[usize]| {
        let mut tensors = renamed("nothing", "");
        tensors[1] = stored("lora_unet_l.lora_down.weight", &[1, 2], &[1.0, 2.0]);
        let n = shape.iter().product();
        tensors.push(stored("lora_unet_l.dora_scale", shape, &vec![1.0; n]));
        tensors
    };
    let axis = |adapter: &Adapter| only(adapter).magnitude.as_ref().unwrap().axis;
    for (shape, want) in [(&[2, 1][..], Axis::Out), (&[1, 2], Axis::In)] {
        let adapter = adapter(&with(shape)).unwrap();
        assert_eq!((axis(&adapter), codes(&adapter)), (want, vec![]), "{shape:?}");
    }
    // A list of a square weight: ComfyUI#12938.
    let adapter_of =
        |metadata, conventions: &Conventions| read_all(&with(&[2]), metadata, conventions);
    let guess = adapter_of(json!({}), &Conventions::default()).unwrap();
    assert_eq!((axis(&guess), codes(&guess)), (Axis::Out, vec!["DoraAxis"]));
    let told = Conventions { dora_axis: Some(Axis::In), ..Conventions::default() };
    let told = adapter_of(json!({}), &told).unwrap();
    assert_eq!((axis(&told), codes(&told)), (Axis::In, vec![]));
    for (note, want) in [("true", Axis::Out), ("false", Axis::In), ("\"False\"", Axis::In)] {
        let metadata = json!({ "ss_network_args": format!("{{\"wd_on_output\": {note}}}") });
        let noted = adapter_of(metadata, &Conventions::default()).unwrap();
        assert_eq!((axis(&noted), codes(&noted)), (want, vec![]), "{note}");
    }
    refused(adapter(&with(&[3])), "ShapeMismatch", &["dora_scale", "2 outputs or 2 inputs", "[3]"]);
    refused(adapter(&with(&[2, 2])), "ShapeMismatch", &["dora_scale"]);
}

#[test]
fn what_is_not_whole_or_not_known_is_an_error() {
    for (left_out, missing) in [(1, "lora_down"), (2, "lora_up")] {
        let mut tensors = lora();
        tensors.remove(left_out);
        refused(adapter(&tensors), "MissingTensor", &["module lora_unet_l", missing]);
    }
    refused(adapter(&lora()[..1]), "UnknownTensor", &["lora_unet_l.alpha", "no factor"]);
    for (name, reason) in [
        ("lora_unet_l.diff", "full fine-tuning"),
        ("lora_unet_l.diff_b", "bias"),
        ("lora_unet_l.w_norm", "norm"),
        ("lora_unet_l.oft_blocks", "OFT"),
        ("lora_unet_l.a1.weight", "GLoRA"),
        ("lora_unet_l.on_input", "IA3"),
        ("bundle_emb.x.string_to_param", "textual-inversion"),
        ("lora_unet_l.lokr_t1", "neither"),
        ("lora_unet_l.hada_w1_a", "LOHA"),
    ] {
        let mut tensors = lora();
        tensors.push(stored(name, &[1, 1], &[0.0]));
        refused(adapter(&tensors), "UnknownTensor", &[name, reason]);
    }
    let empty = Files::from_iter([("a.safetensors", b"\x02\0\0\0\0\0\0\0{}".to_vec())]);
    refused(read(&empty, &Conventions::default()), "BadFile", &["no adapter tensors"]);
}

#[test]
fn a_file_for_another_base_is_one_clear_error() {
    // ComfyUI#810, #1461, #6920: one error with counts, not one for each layer.
    let bytes = safetensors_with(&lora(), &json!({}));
    let open = || {
        let tensors = Tensors::parse("adapter", &bytes).unwrap();
        AdapterFile::open(None, tensors, &Conventions::default()).unwrap()
    };
    let base =
        |name: &str, shape: &[usize]| Base::new([(name.to_owned(), shape.to_vec())]).unwrap();
    open().resolve(&base("l.weight", &[2, 3])).unwrap();
    open().resolve(&base("l.weight", &[2, 3, 1, 1])).unwrap();
    refused(open().resolve(&base("l.weight", &[2, 4])), "BaseMismatch", &["0 of 1", "[2, 4]"]);
    refused(open().resolve(&base("m.weight", &[2, 3])), "BaseMismatch", &["0 of 1", "lora_unet_l"]);
}

#[test]
fn a_file_of_several_components_can_be_read_in_parts() {
    let mut tensors = lora();
    tensors.extend(renamed("lora_unet_l", "lora_te_k"));
    let bytes = safetensors_with(&tensors, &json!({}));
    let tensors = Tensors::parse("adapter", &bytes).unwrap();
    let mut file = AdapterFile::open(None, tensors, &Conventions::default()).unwrap();
    assert_eq!(file.retain(|module| module.starts_with("lora_unet_")), 1);
    file.resolve(&Base::new([("l.weight".to_owned(), vec![2, 3])]).unwrap()).unwrap();
    assert_eq!(file.modules().collect::<Vec<_>>(), ["l"]);
}

#[test]
fn locon_with_a_core_is_not_a_locon_without_one() {
    // diffusers#11943: the core must count, or be an error.
    let mut tensors = vec![
        stored("lora_unet_l.alpha", &[], &[1.0]),
        stored("lora_unet_l.lora_down.weight", &[1, 1, 1, 1], &[2.0]),
        stored("lora_unet_l.lora_up.weight", &[1, 1, 1, 1], &[3.0]),
        stored("lora_unet_l.lora_mid.weight", &[1, 1, 1, 2], &[5.0, 7.0]),
    ];
    assert_eq!(only(&adapter(&tensors).unwrap()).materialise(), [30.0, 42.0]);
    tensors[1].1 = vec![1, 1, 1, 2];
    tensors[1].2 = vec![2.0, 2.0];
    refused(adapter(&tensors), "ShapeMismatch", &["lora_down", "lora_mid", "[1, 2]"]);
}

#[test]
fn a_conv1d_lokr_of_lycoris_has_the_order_of_the_formula() {
    // V10: LyCORIS is right where PEFT scrambles.
    let tensors = [
        stored("lycoris_l.lokr_w1", &[2, 2], &[1., 2., 3., 4.]),
        stored("lycoris_l.lokr_w2", &[2, 1, 2], &[10., 1., 100., 5.]),
    ];
    let adapter = adapter(&tensors).unwrap();
    let want = [10., 1., 20., 2., 100., 5., 200., 10., 30., 3., 40., 4., 300., 15., 400., 20.];
    assert_eq!(only(&adapter).materialise(), want);
}
