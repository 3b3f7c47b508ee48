//! Models of every family: the two spellings of their configs, checkpoints in several files and in
//! GGUF, and what is refused by name. What the models compute is in `trials::families`.

use std::collections::BTreeMap;

use ::safetensors::tensor::{Dtype, TensorView};
use lokahi::{
    Result,
    cpu::Cpu,
    format::{
        Checkpoint, Family, Files, Gather, Layout, ModelConfig, RopeScaling, Tensors,
        gguf::{self, Metadata, names, rope_order},
        safetensors,
    },
    model::Model,
    tensor::{Data, Tensor},
};
use serde_json::{Value, json};

use crate::{
    refused::refused,
    trials::{
        compare::{assert_close, of_largest, widen},
        fixtures::{SAMPLES, Sample, files},
    },
};

fn sample(name: &str) -> &'static Sample {
    SAMPLES.iter().find(|sample| sample.name == name).unwrap()
}

fn config(name: &str) -> Value {
    serde_json::from_slice(sample(name).model[0].1).unwrap()
}

fn parse(config: &Value) -> Result<ModelConfig> {
    ModelConfig::parse("config.json", config.to_string().as_bytes())
}

// Configs

#[test]
fn families_differ_in_their_settings() {
    let of = |name: &str| parse(&config(name)).unwrap();
    let [untied, llama3, bias, qwen2, qwen3, mistral] =
        ["llama-untied", "llama-rope-llama3", "llama-bias-headdim", "qwen2", "qwen3", "mistral"]
            .map(of);
    let families = [&untied, &llama3, &bias, &qwen2, &qwen3, &mistral].map(|c| c.family);
    let llama = Family::Llama;
    assert_eq!(families, [llama, llama, llama, Family::Qwen2, Family::Qwen3, Family::Mistral]);
    let biases = |c: &ModelConfig| (c.qkv_bias, c.o_bias, c.mlp_bias, c.qk_norm);
    assert_eq!(biases(&untied), (false, false, false, false));
    assert_eq!(biases(&bias), (true, true, true, false));
    assert_eq!(biases(&qwen2), (true, false, false, false));
    assert_eq!(biases(&qwen3), (false, false, false, true));
    assert_eq!((bias.head_dim, qwen3.head_dim, mistral.head_dim), (16, 16, 12));
    assert_eq!(mistral.windows, [Some(8); 2]);
    assert_eq!((qwen2.windows, qwen3.windows), (vec![None; 2], vec![None; 2]));
    assert_eq!(untied.rope_scaling, RopeScaling::None);
    let scaling = RopeScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 64,
    };
    assert_eq!((llama3.rope_theta, llama3.rope_scaling), (5e5, scaling));
}

#[test]
fn the_older_spelling_says_the_same() {
    for sample in SAMPLES {
        let new = config(sample.name);
        let mut old = new.clone();
        let rope = old.as_object_mut().unwrap().remove("rope_parameters").unwrap();
        let mut rope = rope.as_object().unwrap().clone();
        old["rope_theta"] = rope.remove("rope_theta").unwrap();
        let kind = rope.remove("rope_type").unwrap();
        for key in ["rope_type", "type"] {
            old["rope_scaling"] = if kind == "default" {
                Value::Null
            } else {
                let mut scaling = rope.clone();
                scaling.insert(key.to_owned(), kind.clone());
                Value::Object(scaling)
            };
            assert_eq!(parse(&old).unwrap(), parse(&new).unwrap(), "{}", sample.name);
        }
    }
    let mut both = config("llama-rope-llama3");
    both["rope_scaling"] = json!({ "rope_type": "linear", "factor": 2.0 });
    refused(parse(&both), "BadConfig", &["rope_scaling", "rope_parameters"]);
    both["rope_scaling"] = both["rope_parameters"].clone();
    assert_eq!(parse(&both).unwrap(), parse(&config("llama-rope-llama3")).unwrap());
}

#[test]
fn linear_scaling_divides_every_position() {
    let mut scaled = config("llama-untied");
    scaled["rope_parameters"]["rope_type"] = json!("linear");
    scaled["rope_parameters"]["factor"] = json!(2.0);
    assert_eq!(parse(&scaled).unwrap().rope_scaling, RopeScaling::Linear { factor: 2.0 });
    let logits = |config: &Value, ids: &[u32]| {
        let mut checkpoint = Checkpoint::read(&files(sample("llama-untied").model)).unwrap();
        checkpoint.config = parse(config).unwrap();
        let mut model = Model::new(Cpu::default(), &checkpoint, None).unwrap();
        pollster::block_on(model.logits(ids).unwrap()).unwrap()
    };
    let plain = config("llama-untied");
    assert_eq!(logits(&scaled, &[7]), logits(&plain, &[7]));
    assert_ne!(logits(&scaled, &[7, 8, 9]), logits(&plain, &[7, 8, 9]));
    // The divisors of a GGUF file, all of them 2, are the same scaling.
    let mut checkpoint = Checkpoint::read(&files(sample("llama-untied").model)).unwrap();
    checkpoint.config.rope_scaling = RopeScaling::Divisors(vec![2.0; 6]);
    let mut model = Model::new(Cpu::default(), &checkpoint, None).unwrap();
    let divided = pollster::block_on(model.logits(&[7, 8, 9]).unwrap()).unwrap();
    assert_eq!(divided, logits(&scaled, &[7, 8, 9]));
    checkpoint.config.rope_scaling = RopeScaling::Divisors(vec![2.0; 5]);
    refused(Model::new(Cpu::default(), &checkpoint, None), "ShapeMismatch", &["divisors", "6"]);
}

#[test]
fn windows_of_each_layer() {
    let windows = |name: &str, changes: &[(&str, Value)]| {
        let mut config = config(name);
        for (field, value) in changes {
            config[field] = value.clone();
        }
        parse(&config).map(|config| config.windows)
    };
    let absent = |name: &str, field: &str| {
        let mut config = config(name);
        config.as_object_mut().unwrap().remove(field);
        parse(&config).unwrap().windows
    };
    assert_eq!(windows("mistral", &[("sliding_window", Value::Null)]).unwrap(), [None, None]);
    assert_eq!(absent("mistral", "sliding_window"), [Some(4096), Some(4096)]);
    let on = [("use_sliding_window", json!(true)), ("sliding_window", json!(5))];
    let first = ("max_window_layers", json!(1));
    let types = |list: Value| ("layer_types", list);
    let qwen = |more: &[(&str, Value)]| windows("qwen2", &[&on[..], more].concat());
    assert_eq!(qwen(&[types(Value::Null)]).unwrap(), [None, None]);
    assert_eq!(qwen(&[types(Value::Null), first.clone()]).unwrap(), [None, Some(5)]);
    let mixed = types(json!(["sliding_attention", "full_attention"]));
    assert_eq!(qwen(&[mixed.clone(), first]).unwrap(), [Some(5), None]);
    refused(
        windows("qwen2", std::slice::from_ref(&mixed)),
        "BadConfig",
        &["layer_types", "full_attention"],
    );
    refused(windows("llama-untied", &[mixed]), "BadConfig", &["layer_types"]);
    refused(qwen(&[types(json!(["full_attention"]))]), "BadConfig", &["layer_types", "2"]);
    refused(windows("mistral", &[("sliding_window", json!(0))]), "BadConfig", &["sliding_window"]);
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let llama3 = |changes: Value| {
        let mut rope = config("llama-rope-llama3")["rope_parameters"].clone();
        for (key, value) in changes.as_object().unwrap() {
            rope[key] = value.clone();
        }
        rope
    };
    for (name, field, value, code, names) in [
        ("qwen2", "model_type", json!("qwen2_moe"), "Unsupported", &["qwen2_moe", "qwen3"][..]),
        ("qwen2", "model_type", json!("gpt2"), "Unsupported", &["gpt2", "mistral"]),
        (
            "qwen3",
            "architectures",
            json!(["Qwen2ForCausalLM"]),
            "Unsupported",
            &["Qwen3ForCausalLM"],
        ),
        ("qwen2", "attention_bias", json!(true), "Unsupported", &["attention_bias"]),
        ("mistral", "attention_bias", json!(true), "Unsupported", &["attention_bias"]),
        ("qwen3", "mlp_bias", json!(true), "Unsupported", &["mlp_bias"]),
        ("mistral", "hidden_act", json!("gelu"), "Unsupported", &["hidden_act", "silu"]),
        (
            "llama-rope-llama3",
            "rope_parameters",
            llama3(json!({ "rope_type": "yarn" })),
            "Unsupported",
            &["rope_parameters.rope_type", "yarn", "llama3"],
        ),
        (
            "llama-rope-llama3",
            "rope_parameters",
            llama3(json!({ "factor": null })),
            "BadConfig",
            &["rope_parameters.factor"],
        ),
        (
            "llama-rope-llama3",
            "rope_parameters",
            llama3(json!({ "low_freq_factor": 4.0 })),
            "BadConfig",
            &["rope_parameters.high_freq_factor", "low_freq_factor"],
        ),
        (
            "llama-rope-llama3",
            "rope_parameters",
            llama3(json!({ "partial_rotary_factor": 0.5 })),
            "Unsupported",
            &["rope_parameters.partial_rotary_factor"],
        ),
    ] {
        let mut config = config(name);
        config[field] = value;
        refused(parse(&config), code, names);
    }
}

#[test]
fn biases_and_norms_are_asked_for() {
    for (name, tensor) in [
        ("qwen2", "model.layers.1.self_attn.v_proj.bias"),
        ("qwen3", "model.layers.0.self_attn.k_norm.weight"),
        ("llama-bias-headdim", "model.layers.0.mlp.down_proj.bias"),
    ] {
        let mut tensors = tensors(sample(name));
        tensors.retain(|(stored, _)| stored != tensor);
        let model = folder(name, &[("model.safetensors", &tensors)], None);
        refused(Checkpoint::read(&model), "MissingTensor", &[tensor]);
    }
    let with = [tensors(sample("llama-untied")), tensors(sample("qwen2"))].concat();
    let biased: BTreeMap<_, _> = with
        .into_iter()
        .filter(|(name, _)| {
            !name.ends_with(".bias") || name == "model.layers.1.self_attn.v_proj.bias"
        })
        .collect();
    let biased: Vec<_> = biased.into_iter().collect();
    let model = folder("llama-untied", &[("model.safetensors", &biased)], None);
    refused(Checkpoint::read(&model), "UnknownTensor", &["v_proj.bias", "no such bias"]);
}

// Several files

type Named = (String, Tensor);

fn tensors(sample: &Sample) -> Vec<Named> {
    let file = Tensors::parse("model.safetensors", sample.model[1].1).unwrap();
    file.names().into_iter().map(|name| (name.clone(), file.get(&name).unwrap())).collect()
}

fn safetensors_file(tensors: &[Named]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, tensor)| tensor.to_f32().iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, tensor), bytes)| {
        (name.clone(), TensorView::new(Dtype::F32, tensor.shape().to_vec(), bytes).unwrap())
    });
    ::safetensors::serialize(views, None).unwrap()
}

fn folder(name: &str, shards: &[(&str, &[Named])], index: Option<Value>) -> Files<'static> {
    let mut files = Files::new();
    files.insert("config.json", config(name).to_string().into_bytes());
    for (shard, tensors) in shards {
        files.insert(*shard, safetensors_file(tensors));
    }
    if let Some(index) = index {
        files.insert("model.safetensors.index.json", index.to_string().into_bytes());
    }
    files
}

#[test]
fn a_model_in_several_files_is_one_model() {
    let [first, second] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let whole = tensors(sample("qwen3"));
    let (a, b) = whole.split_at(9);
    let map = |shards: &[(&str, &[Named])]| -> Value {
        let places = shards.iter().flat_map(|(shard, tensors)| {
            tensors.iter().map(move |(name, _)| (name.clone(), json!(shard)))
        });
        json!({ "metadata": { "total_size": 1 }, "weight_map": Value::Object(places.collect()) })
    };
    let shards = [(first, a), (second, b)];
    let index = map(&shards);
    let read = |shards: &[(&str, &[Named])], index: Value| {
        Checkpoint::read(&folder("qwen3", shards, Some(index)))
    };
    let one = Checkpoint::read(&files(sample("qwen3").model)).unwrap();
    assert_eq!(read(&shards, index.clone()).unwrap(), one);
    // In a subfolder, as a browser hands over a folder.
    let named = folder("qwen3", &shards, Some(index.clone()));
    let moved: Files<'static> = named
        .names()
        .map(|name| (format!("qwen3/{name}"), named.get(name).unwrap().1.to_vec()))
        .collect();
    assert_eq!(Checkpoint::read(&moved).unwrap(), one);

    refused(read(&shards[..1], index.clone()), "MissingFile", &[second, first]);
    refused(
        read(&[(first, a), (second, &b[1..])], index.clone()),
        "MissingTensor",
        &[second, &b[0].0],
    );
    refused(
        read(&shards, map(&[(first, a), (second, &b[1..])])),
        "UnknownTensor",
        &[second, &b[0].0, "index"],
    );
    let twice = [(first, &whole[..10]), (second, b)];
    refused(read(&twice, index.clone()), "UnknownTensor", &[first, second, &b[0].0]);
    refused(
        read(&shards, map(&[(first, &whole[..10]), (second, &b[1..])])),
        "MissingTensor",
        &[first, &b[0].0],
    );
    refused(read(&shards, json!({})), "BadConfig", &["index.json", "weight_map"]);
    refused(read(&shards, json!({ "weight_map": { "a": 1 } })), "BadConfig", &["weight_map.a"]);
}

// GGUF

/// A sample as llama.cpp's converter writes it.
struct File {
    metadata: Metadata,
    tensors: BTreeMap<String, Tensor>,
}

fn gguf_file(name: &str) -> File {
    let Checkpoint { config, tensors } = Checkpoint::read(&files(sample(name).model)).unwrap();
    let architecture = match config.family {
        Family::Llama | Family::Mistral => "llama",
        Family::Qwen2 => "qwen2",
        Family::Qwen3 => "qwen3",
    };
    let mut metadata = Metadata::new("m.gguf");
    metadata.insert("general.architecture", architecture);
    let mut set = |key: &str, number: usize| {
        metadata.insert(format!("{architecture}.{key}"), u32::try_from(number).unwrap());
    };
    set("block_count", config.num_hidden_layers);
    set("context_length", config.max_position_embeddings);
    set("embedding_length", config.hidden_size);
    set("feed_forward_length", config.intermediate_size);
    set("attention.head_count", config.num_attention_heads);
    set("attention.head_count_kv", config.num_key_value_heads);
    set("attention.key_length", config.head_dim);
    set("attention.value_length", config.head_dim);
    set("rope.dimension_count", config.head_dim);
    metadata
        .insert(format!("{architecture}.attention.layer_norm_rms_epsilon"), config.rms_norm_eps);
    metadata.insert(format!("{architecture}.rope.freq_base"), config.rope_theta as f32);
    metadata.insert("tokenizer.ggml.bos_token_id", 1u32);
    metadata.insert("tokenizer.ggml.eos_token_id", 2u32);
    let heads = rope_order::Heads::from(&config);
    let mut renamed: BTreeMap<_, _> = tensors
        .into_iter()
        .map(|(name, tensor)| {
            let module = name.rsplit_once('.').unwrap().0;
            let tensor = if rope_order::is_reordered(architecture, module) {
                let row = tensor.len() / tensor.shape()[0];
                let rows = tensor.to_f32();
                let rows = rope_order::from_transformers(&rows, row, heads.of(module)).unwrap();
                Tensor::new(tensor.shape().to_vec(), Data::F32(rows)).unwrap()
            } else {
                tensor
            };
            (names::from_transformers(&name).unwrap(), tensor)
        })
        .collect();
    if let RopeScaling::Llama3 {
        factor,
        low_freq_factor: low,
        high_freq_factor: high,
        original_max_position_embeddings: original,
    } = config.rope_scaling
    {
        // As the converter computes them (`convert_hf_to_gguf.py`, `rope_freqs`).
        let divisor = |d: usize| {
            let frequency = config.rope_theta.powf(-2.0 * d as f64 / config.head_dim as f64);
            let (wave, original) = (std::f64::consts::TAU / frequency, original as f64);
            if wave < original / high {
                return 1.0;
            }
            if wave > original / low {
                return factor as f32;
            }
            let smooth = (original / wave - low) / (high - low);
            (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
        };
        let divisors: Vec<f32> = (0..config.head_dim / 2).map(divisor).collect();
        let tensor = Tensor::new(vec![divisors.len()], Data::F32(divisors)).unwrap();
        renamed.insert("rope_freqs.weight".into(), tensor);
    }
    File { metadata, tensors: renamed }
}

impl File {
    fn read(&self) -> Result<Checkpoint> {
        let bytes = gguf::write(&self.metadata, &self.tensors).unwrap();
        Checkpoint::read(&Files::from_iter([("m.gguf", &bytes[..])]))
    }
}

/// What comes of a file that arrives in pieces of `len` bytes, of which only the first `until` come.
fn in_pieces(
    layout: Layout,
    bytes: &[u8],
    len: usize,
    until: usize,
) -> Result<BTreeMap<String, Tensor>> {
    let mut gather = Gather::new(layout);
    let mut found = BTreeMap::new();
    for piece in bytes[..until].chunks(len) {
        gather.push(0, piece, |name, tensor| {
            found.insert(name, tensor);
            Ok(())
        })?;
    }
    gather.finish()?;
    Ok(found)
}

#[test]
fn a_file_may_come_in_pieces() {
    let llama = sample("llama-untied");
    let (config, bytes) = (config("llama-untied"), llama.model[1].1);
    let config = parse(&config).unwrap();
    let header = safetensors::Header::parse("m", bytes, bytes.len() as u64).unwrap();
    let one = Layout::safetensors(config, &[header.done().unwrap().clone()], None).unwrap();
    let file = gguf_file("llama-untied");
    let gguf = gguf::write(&file.metadata, &file.tensors).unwrap();
    let header = gguf::Header::parse("m.gguf", &gguf, gguf.len() as u64).unwrap();
    let two = Layout::gguf(header.done().unwrap(), &[]).unwrap();
    let want = Checkpoint::read(&files(llama.model)).unwrap().tensors;
    for (layout, bytes) in [(one, bytes), (two, &gguf)] {
        for len in [7, 4096, bytes.len()] {
            let got = in_pieces(layout.clone(), bytes, len, bytes.len()).unwrap();
            assert_eq!(got, want, "pieces of {len}");
        }
        // GGUF may end in padding.
        let cut = in_pieces(layout.clone(), bytes, 1000, bytes.len() - 40);
        refused(cut, "BadFile", &["tensor", "at least", &format!("got {}", bytes.len() - 40)]);
        let mut gather = Gather::new(layout);
        refused(gather.push(1, bytes, |_, _| Ok(())), "BadArgument", &["file"]);
    }
}

#[test]
fn a_gguf_file_holds_the_same_model() {
    for sample in SAMPLES.iter().filter(|sample| sample.name != "mistral") {
        let want = Checkpoint::read(&files(sample.model)).unwrap();
        let got = gguf_file(sample.name).read().unwrap();
        assert_eq!(got.tensors, want.tensors, "{}", sample.name);
        let ModelConfig { rope_scaling, .. } = got.config.clone();
        let alike =
            ModelConfig { rope_scaling: want.config.rope_scaling.clone(), ..got.config.clone() };
        assert_eq!(alike, want.config, "{}", sample.name);
        assert_eq!(
            matches!(rope_scaling, RopeScaling::Divisors(_)),
            sample.name == "llama-rope-llama3"
        );
        let mut model = Model::new(Cpu::default(), &got, None).unwrap();
        let ids: Vec<u32> = (3..40).collect();
        let got = pollster::block_on(model.logits(&ids).unwrap()).unwrap();
        let mut model = Model::new(Cpu::default(), &want, None).unwrap();
        let want = widen(&pollster::block_on(model.logits(&ids).unwrap()).unwrap());
        assert_close(sample.name, &got, &want, of_largest(1e-5, &want));
    }
}

#[test]
fn a_gguf_file_that_is_not_read_is_refused_by_name() {
    let changed = |key: &str, value: gguf::Value| {
        let mut file = gguf_file("llama-untied");
        file.metadata.insert(key, value);
        file.read()
    };
    for (key, value, code, names) in [
        ("general.architecture", "gemma3".into(), "Unsupported", &["gemma3", "qwen3"][..]),
        ("general.type", "adapter".into(), "BadConfig", &["general.type", "model"]),
        ("llama.block_count", 0u32.into(), "BadConfig", &["llama.block_count"]),
        ("llama.block_count", 3u32.into(), "MissingTensor", &["model.layers.2."]),
        ("llama.block_count", 1u32.into(), "UnknownTensor", &["model.layers.1."]),
        ("llama.block_count", "2".into(), "BadConfig", &["llama.block_count"]),
        ("llama.embedding_length", 40u32.into(), "ShapeMismatch", &["tensor"]),
        ("llama.embedding_length", 1_000_000u32.into(), "BadConfig", &["embedding_length"]),
        ("llama.attention.head_count_kv", 3u32.into(), "BadConfig", &["head_count_kv", "4"]),
        ("llama.attention.key_length", 7u32.into(), "BadConfig", &["key_length", "even"]),
        ("llama.attention.value_length", 8u32.into(), "BadConfig", &["value_length", "12"]),
        ("llama.attention.layer_norm_rms_epsilon", (-1f32).into(), "BadConfig", &["epsilon"]),
        ("llama.rope.dimension_count", 6u32.into(), "BadConfig", &["dimension_count", "12"]),
        ("llama.rope.scaling.type", "yarn".into(), "Unsupported", &["scaling.type", "yarn"]),
        ("llama.rope.scaling.factor", 2f32.into(), "BadConfig", &["rope.scaling"]),
        ("llama.attention.sliding_window", 8u32.into(), "Unsupported", &["sliding_window"]),
        ("llama.expert_count", 8u32.into(), "Unsupported", &["expert_count", "8"]),
        ("llama.logit_scale", 2f32.into(), "Unsupported", &["logit_scale"]),
    ] {
        refused(changed(key, value), code, names);
    }
    assert_eq!(
        changed("llama.expert_count", 0u32.into()).unwrap(),
        gguf_file("llama-untied").read().unwrap()
    );
    let mut linear = gguf_file("llama-untied");
    linear.metadata.insert("llama.rope.scaling.type", "linear");
    linear.metadata.insert("llama.rope.scaling.factor", 4f32);
    assert_eq!(linear.read().unwrap().config.rope_scaling, RopeScaling::Linear { factor: 4.0 });

    let with = |name: &str, shape: &[usize], number: f32| {
        let mut file = gguf_file("llama-rope-llama3");
        let data = Data::F32(vec![number; shape.iter().product()]);
        file.tensors.insert(name.into(), Tensor::new(shape.to_vec(), data).unwrap());
        file.read()
    };
    let freqs = "rope_freqs.weight";
    refused(with(freqs, &[5], 1.0), "ShapeMismatch", &[freqs, "[6]"]);
    refused(with(freqs, &[6], 0.0), "BadArgument", &[freqs, "positive"]);
    refused(with(freqs, &[6], f32::NAN), "NotFinite", &[freqs]);
    refused(with("rope_factors_long.weight", &[6], 1.0), "UnknownTensor", &["rope_factors_long"]);
    refused(with("blk.0.attn_q.bias", &[48], 1.0), "MissingTensor", &["proj.bias"]);
    let mut headless = gguf_file("llama-untied");
    headless.tensors.remove("output.weight");
    assert!(headless.read().unwrap().config.tie_word_embeddings);
}

// Batches

#[test]
fn bad_turns_are_refused() {
    use lokahi::model::Turn;
    let one = Checkpoint::read(&files(sample("qwen2").model)).unwrap();
    let mut model = Model::new(Cpu::default(), &one, None).unwrap();
    let adapter = lokahi::format::peft::read(&files(sample("qwen2").adapter)).unwrap();
    model.load_adapter("a", &adapter).unwrap();
    refused(model.session_with(8, &[("b", 1.0)]), "UnknownAdapter", &["b"]);
    refused(model.session_with(8, &[("a", f32::NAN)]), "BadArgument", &["strengths"]);
    refused(model.session_with(8, &[("a", 1.0), ("a", 1.0)]), "BadArgument", &["twice"]);
    refused(model.advance_all(&mut []), "BadArgument", &["turns"]);
    let mut own = model.session_with(8, &[("a", 1.0)]).unwrap();
    let mut plain = model.session(8).unwrap();
    model.set_adapters(&[("a", 1.0)]).unwrap();
    model.merge_adapters().unwrap();
    refused(model.advance(&mut own, &[1]), "Merged", &["own adapters"]);
    drop(model.advance(&mut plain, &[1]).unwrap());
    model.unmerge_adapters();
    drop(model.advance(&mut own, &[1]).unwrap());
    // One bad turn, and no text goes on.
    let mut turns = [
        Turn { session: &mut own, ids: &[1] },
        Turn { session: &mut plain, ids: &[1, 2, 3, 4, 5, 6, 7, 8] },
    ];
    refused(model.advance_all(&mut turns), "ContextFull", &["9"]);
    assert_eq!((own.len(), plain.len()), (1, 1));
    model.delete_adapter("a").unwrap();
    model.load_adapter("a", &adapter).unwrap();
    refused(model.advance(&mut own, &[1]), "BadArgument", &["session", "deleted"]);
    let other = Checkpoint::read(&files(sample("qwen3").model)).unwrap();
    let mut other = Model::new(Cpu::default(), &other, None).unwrap();
    refused(other.advance(&mut plain, &[1]), "BadArgument", &["session", "another's"]);
}
