//! LoRA on fused expert parameters (`target_parameters`): peft#2710, peft#2527, peft#3340.

use lokahi::Result;
use lokahi::adapter::{Delta, Expert, Layer, merge};
use lokahi::format::{AdapterFile, Base, Conventions, Tensors};
use lokahi::tensor::{Data, Tensor};
use serde_json::{Value, json};

use crate::format::{Stored, safetensors_file, stored};
use crate::lycoris::agrees;
use crate::refused::refused;

const CONFIG: &str = "adapter_config.json";

fn config(r: usize, alpha: usize) -> Value {
    json!({
        "peft_type": "LORA", "r": r, "lora_alpha": alpha, "target_modules": [],
        "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
    })
}

fn factors(module: &str, a: (&[usize], &[f32]), b: (&[usize], &[f32])) -> [Stored; 2] {
    let name = |role: &str| format!("base_model.model.{module}.lora_{role}.weight");
    [stored(&name("A"), a.0, a.1), stored(&name("B"), b.0, b.1)]
}

fn base(parameters: &[(&str, [usize; 3])]) -> Base {
    let shapes = parameters
        .iter()
        .map(|(name, shape)| (format!("model.layers.0.mlp.experts.{name}"), shape.to_vec()));
    Base::new(shapes.collect::<Vec<_>>()).unwrap()
}

/// Opens, resolves and hands over.
fn with<T>(
    config: &Value,
    tensors: &[Stored],
    base: &Base,
    then: impl FnOnce(&AdapterFile<'_>) -> T,
) -> Result<T> {
    let bytes = safetensors_file(tensors);
    let config = config.to_string();
    let tensors = Tensors::parse("adapter_model.safetensors", &bytes)?;
    let config = Some((CONFIG, config.as_bytes()));
    let mut file = AdapterFile::open(config, tensors, &Conventions::default())?;
    file.resolve(base)?;
    // A second look changes nothing.
    file.resolve(base)?;
    Ok(then(&file))
}

/// Two experts of rank 2 with one input and one output.
fn v7() -> [Stored; 2] {
    let module = "model.layers.0.mlp.experts";
    factors(module, (&[4, 1], &[1., 2., 3., 4.]), (&[1, 4], &[10., 20., 30., 40.]))
}

#[test]
fn vector_v7_rows_of_a_lie_by_expert_and_columns_of_b_by_rank() {
    let base =
        Base::new([("model.layers.0.mlp.experts.gate_up_proj".to_owned(), vec![2, 1, 1])]).unwrap();
    let base = base.with_config("config.json", br#"{"model_type":"gpt_oss"}"#).unwrap();
    let config = config(2, 2);
    let deltas = with(&config, &v7(), &base, |file| {
        let names: Vec<_> = file.modules().map(str::to_owned).collect();
        let parameter = "model.layers.0.mlp.experts.gate_up_proj";
        assert_eq!(names, [0, 1].map(|i| format!("{parameter}.{i}")));
        for name in &names {
            agrees(file, name, &file.delta(name).unwrap());
            assert_eq!(file.delta(name).unwrap().tensor(name), parameter);
        }
        assert_eq!(file.ranges(&names[0]).unwrap().len(), 2);
        file.read().unwrap().deltas
    });
    let deltas: Vec<Delta> = deltas.unwrap().into_values().collect();
    assert_eq!(deltas[0].materialise(), [70.0]);
    assert_eq!(deltas[1].materialise(), [220.0]);
    let parameter = Tensor::new(vec![2, 1, 1], Data::F32(vec![1.0, 2.0])).unwrap();
    let all: Vec<_> = deltas.iter().map(|delta| (delta, 1.0)).collect();
    assert_eq!(merge(&parameter, &all, false).unwrap().to_f32(), [71.0, 222.0]);
    assert_eq!(deltas[1].merge(&parameter, 0.5, false).unwrap().to_f32(), [1.0, 112.0]);
    let mut outside = deltas[0].clone();
    outside.layer = Layer::Expert(Expert { index: 2, count: 2, transposed: false });
    refused(outside.merge(&parameter, 1.0, false), "BadArgument", &["expert", "below 2"]);
    let other = Tensor::new(vec![3, 1, 1], Data::F32(vec![0.0; 3])).unwrap();
    refused(merge(&other, &all, false), "ShapeMismatch", &["[2, 1, 1]", "[3, 1, 1]"]);
}

#[test]
fn two_parameters_of_one_module_are_told_by_their_shapes() {
    // Rank 1, two experts, width 2: gate_up_proj [2, 2, 3] as [in, out], down_proj [2, 2, 4].
    let module = "model.layers.0.mlp.experts";
    let up = |module: &str| {
        factors(module, (&[2, 2], &[1., 2., 3., 4.]), (&[3, 2], &[1., 10., 2., 20., 3., 30.]))
    };
    let down = |module: &str| {
        factors(module, (&[2, 4], &[1., 0., 0., 1., 0., 1., 1., 0.]), (&[2, 2], &[1., 2., 3., 4.]))
    };
    let inner = format!("{module}.base_layer");
    // gate_up_proj lies as [in, out], down_proj as [out, in].
    let base = base(&[("gate_up_proj", [2, 2, 3]), ("down_proj", [2, 2, 4])]);
    let mut config = config(1, 1);
    config["alpha_pattern"] = json!({ "down_proj": 2 });
    for tensors in [[up(&inner), down(module)].concat(), [up(module), down(&inner)].concat()] {
        let deltas = with(&config, &tensors, &base, |file| file.read().unwrap().deltas).unwrap();
        let dw = |name: &str| deltas[&format!("{module}.{name}")].materialise();
        assert_eq!(dw("gate_up_proj.0"), [1., 2., 2., 4., 3., 6.]);
        assert_eq!(dw("gate_up_proj.1"), [30., 40., 60., 80., 90., 120.]);
        assert_eq!(dw("down_proj.0"), [2., 0., 0., 2., 6., 0., 0., 6.]);
        assert_eq!(dw("down_proj.1"), [0., 4., 4., 0., 0., 8., 8., 0.]);
        let delta = &deltas[&format!("{module}.gate_up_proj.1")];
        let expert = Expert { index: 1, count: 2, transposed: true };
        assert_eq!(delta.layer, Layer::Expert(expert));
        let zeros = Tensor::new(vec![2, 2, 3], Data::F32(vec![0.0; 12])).unwrap();
        let merged = delta.merge(&zeros, 1.0, false).unwrap().to_f32();
        assert_eq!(merged[..6], [0.0; 6]);
        assert_eq!(merged[6..], [30., 60., 90., 40., 80., 120.]);
    }
}

#[test]
fn what_the_base_does_not_tell_is_an_error() {
    let bytes = safetensors_file(&v7());
    let text = config(2, 2).to_string();
    let tensors = Tensors::parse("adapter_model.safetensors", &bytes).unwrap();
    let config_file = Some((CONFIG, text.as_bytes()));
    let file = AdapterFile::open(config_file, tensors, &Conventions::default()).unwrap();
    let names = ["model.layers.0.mlp.experts", "without its base", "target_parameters"];
    refused(file.read(), "Unsupported", &names);
    refused(file.outline("model.layers.0.mlp.experts"), "Unsupported", &names);

    let resolve = |config: &Value, base: &Base| with(config, &v7(), base, |_| ());
    // Square, of a model whose layout nothing tells.
    let square = base(&[("gate_up_proj", [2, 1, 1])]);
    refused(resolve(&config(2, 2), &square), "BaseMismatch", &["square", "gate_up_proj"]);
    // Two parameters of one shape.
    let twins = base(&[("gate_up_proj", [2, 1, 1]), ("down_proj", [2, 1, 1])]);
    refused(
        resolve(&config(2, 2), &twins),
        "BaseMismatch",
        &["gate_up_proj", "down_proj", "alike"],
    );
    // Another number of experts, another rank, no such parameter.
    let three = base(&[("gate_up_proj", [3, 1, 1])]);
    refused(resolve(&config(2, 2), &three), "BaseMismatch", &["[3, 1, 1]", "[4, 1]"]);
    refused(resolve(&config(1, 2), &square), "BaseMismatch", &["rank 1", "[4, 1]"]);
    refused(resolve(&config(2, 2), &base(&[])), "BaseMismatch", &["experts", "none of that name"]);
}

#[test]
fn a_target_parameter_without_tensors_is_told() {
    let tensors = factors("l.q", (&[1, 1], &[1.]), (&[1, 1], &[1.]));
    let base = Base::new([("l.q.weight".to_owned(), vec![1, 1])]).unwrap();
    let mut config = config(1, 1);
    config["target_parameters"] = json!(["experts.up"]);
    let warnings = with(&config, &tensors, &base, |file| file.warnings().to_vec()).unwrap();
    assert_eq!(warnings[0].code, "TargetWithoutTensors");
    assert!(warnings[0].message.contains("experts.up"), "{}", warnings[0].message);
}
