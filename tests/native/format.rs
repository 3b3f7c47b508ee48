//! Reading adapters and models: the numbers of PEFT, and files made to do harm.

use crate::refused::refused;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use ::safetensors::tensor::{Dtype, TensorView};
use lokahi::Result;
use lokahi::adapter::{Adapter, Delta, Factors, KronFactor, Loha, Lokr, Lora};
use lokahi::format::{
    AdapterFile, Checkpoint, Conventions, Family, Files, Layout, ModelConfig, Parts, Progress,
    RopeScaling, Tensors, peft, safetensors,
};
use lokahi::tensor::{DType, Data, Matrix, Tensor};
use serde_json::{Value, json};

const CONFIG: &str = "adapter_config.json";
const MODEL: &str = "adapter_model.safetensors";

// Fixtures

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn folder(path: &Path) -> Files<'static> {
    let entries = std::fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read(&path).unwrap())
    };
    entries.map(|entry| file(entry.unwrap().path())).collect()
}

fn subfolders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<_> = entries.filter(|p| p.is_dir()).collect();
    found.sort();
    found
}

/// Fails where `got` is farther from `want` than `1e-5` of the largest magnitude of `want`.
pub fn close(what: &str, got: &[f64], want: &[f32]) {
    within(what, got, want, 0.0);
}

/// What is lost where numbers of the size of `weight` are subtracted that were rounded to f32: a few
/// units in the last place of the largest.
pub fn rounding_of(weight: &Tensor) -> f64 {
    let largest = weight.to_f32().iter().fold(0.0f32, |m, v| m.max(v.abs()));
    f64::from(largest * 4.0 * f32::EPSILON)
}

/// The same, with an error of `noise` that `want` itself has.
pub fn within(what: &str, got: &[f64], want: &[f32], noise: f64) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    let largest = want.iter().fold(0.0f64, |m, &v| m.max(f64::from(v).abs()));
    assert!(largest > 0.0, "{what}: nothing to compare");
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let far = (g - f64::from(w)).abs();
        // Written so that NaN fails too.
        assert!(far <= 1e-5 * largest + noise, "{what}[{i}]: got {g}, want {w}, largest {largest}");
    }
}

#[test]
#[should_panic(expected = "got 1.0001")]
fn the_comparison_can_fail() {
    close("x", &[1.0001, 0.0], &[1.0, 0.0]);
}

#[test]
#[should_panic(expected = "got NaN")]
fn the_comparison_refuses_nan() {
    close("x", &[f64::NAN, 0.0], &[1.0, 0.0]);
}

#[test]
fn deltas_and_merges_are_those_of_peft() {
    let cases = subfolders(&root().join("tests/fixtures/adapters"));
    let peft_cases: Vec<_> = cases
        .iter()
        .filter(|c| c.file_name().unwrap().to_str().unwrap().starts_with("peft-"))
        .collect();
    assert!(peft_cases.len() >= 22, "{} cases", peft_cases.len());
    for case in peft_cases {
        let name = case.file_name().unwrap().to_str().unwrap();
        let files = folder(case);
        let adapter = peft::read(&files).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(adapter.warnings, [], "{name}");
        headers_tell_what_numbers_tell(&files, &adapter);
        let parse = |file| {
            let (file, bytes) = files.get(file).unwrap();
            Tensors::parse(file, bytes).unwrap()
        };
        let (base, expected) = (parse("base.safetensors"), parse("expected.safetensors"));
        let wanted: Vec<String> = expected
            .names()
            .iter()
            .filter_map(|n| n.strip_suffix(".delta").map(str::to_owned))
            .collect();
        let of_module = |(module, delta): (&String, &Delta)| {
            let bias = delta.bias.as_ref().map(|_| format!("{module}.bias"));
            [Some(module.clone()), bias].into_iter().flatten().collect::<Vec<_>>()
        };
        let saved = adapter.replaced.keys().map(|n| n.strip_suffix(".weight").unwrap().to_owned());
        let wanted: BTreeSet<String> = wanted.into_iter().collect();
        let got: BTreeSet<_> = adapter.deltas.iter().flat_map(of_module).chain(saved).collect();
        assert_eq!(got, wanted, "{name}: modules");
        assert!(!got.is_empty(), "{name}: no modules");
        // Only its config could tell a GPT-2, and only square weights would need it.
        let conv1d = name.contains("gpt2");
        for (module, delta) in &adapter.deltas {
            let want = |kind: &str| expected.get(&format!("{module}.{kind}")).unwrap();
            let what = format!("{name}: {module}");
            let weight = base.get(&format!("{module}.weight")).unwrap();
            let merged = delta.merge(&weight, 1.0, conv1d).unwrap();
            assert_eq!(merged.shape(), want("merged").shape(), "{what}");
            close(&format!("{what}.merged"), &wide(&merged), &want("merged").to_f32());
            // In the layout of the base: what is merged into zeros, or for DoRA, which needs the
            // base, what merging changes.
            let zeros = Tensor::new(weight.shape().to_vec(), Data::F32(vec![0.0; weight.len()]));
            let (ground, noise) = match &delta.magnitude {
                None => (zeros.unwrap(), 0.0),
                Some(_) => (weight.clone(), rounding_of(&weight)),
            };
            let change = delta.merge(&ground, 1.0, conv1d).unwrap();
            let change: Vec<f64> =
                wide(&change).iter().zip(wide(&ground)).map(|(a, b)| a - b).collect();
            within(&format!("{what}.delta"), &change, &want("delta").to_f32(), noise);
            if let Some(bias) = &delta.bias {
                let dense: Vec<f64> =
                    bias.iter().map(|&b| f64::from(b) * f64::from(delta.scale)).collect();
                close(&format!("{what}.bias"), &dense, &want("bias.delta").to_f32());
            }
        }
        for (tensor, saved) in &adapter.replaced {
            let module = tensor.strip_suffix(".weight").unwrap();
            let want = expected.get(&format!("{module}.merged")).unwrap();
            assert_eq!(saved, &want, "{name}: {tensor}");
        }
    }
}

fn headers_tell_what_numbers_tell(files: &Files<'_>, adapter: &Adapter) {
    let (file, bytes) = files.get(MODEL).unwrap();
    let len = bytes.len() as u64;
    // The header and nothing behind it.
    let prefix = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let header = match safetensors::Header::parse(file, &bytes[..prefix], len).unwrap() {
        Progress::Done(header) => header,
        Progress::More(wanted) => panic!("{wanted} of {prefix}"),
    };
    let tensors = Tensors::new(header, Parts::new());
    let config = Some(files.get(CONFIG).unwrap());
    let mut file = AdapterFile::open(config, tensors, &Conventions::default()).unwrap();
    assert!(file.modules().eq(adapter.deltas.keys()));
    for (module, delta) in &adapter.deltas {
        crate::lycoris::agrees(&file, module, delta);
        refused(file.delta(module), "BadFile", &["a part of the file without them"]);
    }
    // Part by part.
    for (module, delta) in &adapter.deltas {
        for range in file.ranges(module).unwrap() {
            let part = &bytes[range.start as usize..range.end as usize];
            file.tensors_mut().insert(range.start, part);
        }
        assert_eq!(&file.delta(module).unwrap(), delta);
        file.tensors_mut().clear();
    }
}

pub fn wide(tensor: &Tensor) -> Vec<f64> {
    tensor.to_f32().into_iter().map(f64::from).collect()
}

#[test]
fn stored_dtypes_are_read_as_they_are() {
    for (case, dtype) in
        [("peft-lora-fp16", DType::F16), ("peft-lora-bf16", DType::BF16), ("peft-lora", DType::F32)]
    {
        let files = folder(&root().join("tests/fixtures/adapters").join(case));
        let tensors = Tensors::parse(MODEL, files.get(MODEL).unwrap().1).unwrap();
        for name in tensors.names() {
            assert_eq!(tensors.get(&name).unwrap().dtype(), dtype, "{case}: {name}");
        }
        assert_eq!(tensors.metadata()["format"], "pt", "{case}");
    }
}

#[test]
fn patterns_give_each_module_its_own_rank_and_alpha() {
    let adapter =
        peft::read(&folder(&root().join("tests/fixtures/adapters/peft-loha-patterns"))).unwrap();
    let of = |module: &str| {
        let delta = &adapter.deltas[module];
        (delta.rank, delta.alpha, delta.scale)
    };
    // r 3, alpha 6; q_proj has rank 5, v_proj has alpha 1.
    assert_eq!(of("layers.0.down_proj"), (3, 6.0, 2.0));
    assert_eq!(of("layers.0.self_attn.q_proj"), (5, 6.0, 1.2));
    assert_eq!(of("layers.1.self_attn.v_proj"), (3, 1.0, 1.0 / 3.0));
}

#[test]
fn the_places_adapters_are_whole() {
    let all = subfolders(&root().join("www/public/places/adapters"));
    assert_eq!(all.len(), 18);
    let shapes = places().shapes_by_module();
    for path in all {
        let name = path.file_name().unwrap().to_str().unwrap();
        let adapter = peft::read(&folder(&path)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(adapter.warnings, [], "{name}");
        assert_eq!(adapter.deltas.len(), 28, "{name}");
        let (method, parameters) = match name.rsplit_once('-').unwrap().1 {
            "lora" => ("LoRA", 35_840),
            "loha" => ("LoHa", 71_680),
            "lokr" => ("LoKr", 18_368),
            other => panic!("{other}"),
        };
        assert_eq!(adapter.parameters(), parameters, "{name}");
        for (module, delta) in &adapter.deltas {
            assert_eq!(delta.factors.name(), method, "{name}: {module}");
            // The module is named and shaped as in the base model.
            let [out, inputs] = delta.method().shape();
            assert_eq!(shapes.get(module), Some(&vec![out, inputs]), "{name}: {module}");
        }
    }
}

struct Places(Checkpoint);

fn places() -> Places {
    Places(Checkpoint::read(&folder(&root().join("www/public/places/base"))).unwrap())
}

impl Places {
    fn shapes_by_module(&self) -> BTreeMap<String, Vec<usize>> {
        let module = |n: &String| n.strip_suffix(".weight").unwrap().to_owned();
        self.0.tensors.iter().map(|(n, t)| (module(n), t.shape().to_vec())).collect()
    }
}

#[test]
fn the_places_checkpoint_is_whole() {
    let Checkpoint { config, tensors } = &places().0;
    assert_eq!(places().0.parameters(), 709_248);
    assert_eq!(tensors.len(), 38);
    assert!(tensors.values().all(|t| t.dtype() == DType::F16));
    let expected = ModelConfig {
        family: Family::Llama,
        hidden_size: 128,
        num_hidden_layers: 4,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 32,
        intermediate_size: 320,
        vocab_size: 156,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: RopeScaling::None,
        windows: vec![None; 4],
        qkv_bias: false,
        o_bias: false,
        mlp_bias: false,
        qk_norm: false,
        max_position_embeddings: 64,
        tie_word_embeddings: true,
        bos_token_id: Some(1),
        eos_token_ids: vec![2],
    };
    assert_eq!(config, &expected);
}

// Vectors of small numbers, worked out by hand and run on PEFT.

fn matrix(rows: &[&[f32]]) -> Matrix {
    Matrix::new(rows.len(), rows[0].len(), rows.concat()).unwrap()
}

fn delta(factors: Factors, rank: usize, alpha: f32) -> Delta {
    Delta::new(factors, rank, alpha, alpha / rank as f32)
}

/// `dW` from the definition, and column by column through the code.
fn exactly(delta: &Delta, rows: &[&[f32]]) {
    close("dW", &delta.materialise(), &rows.concat());
    let [out, inputs] = delta.method().shape();
    assert_eq!([out, inputs], [rows.len(), rows[0].len()]);
    for j in 0..inputs {
        let x: Vec<f64> = (0..inputs).map(|k| f64::from(u8::from(k == j))).collect();
        let column: Vec<f32> = rows.iter().map(|row| row[j]).collect();
        close("column", &delta.apply(&x), &column);
    }
}

#[test]
fn vector_v1_lora() {
    let a = matrix(&[&[1., 2., 3.], &[4., 5., 6.]]);
    let b = matrix(&[&[1., 0.], &[2., -1.]]);
    let lora = Factors::Lora(Lora::new(a, b).unwrap());
    exactly(&delta(lora, 2, 1.0), &[&[0.5, 1., 1.5], &[-1., -0.5, 0.]]);
}

#[test]
fn vector_v3_loha() {
    let loha = Loha::new(
        matrix(&[&[1., 2.], &[3., 4.]]),
        matrix(&[&[1., 0., 2.], &[0., 1., 1.]]),
        matrix(&[&[1., 1.], &[0., 2.]]),
        matrix(&[&[2., 1., 0.], &[1., 0., 3.]]),
    );
    let loha = Factors::Loha(loha.unwrap());
    exactly(&delta(loha, 2, 2.0), &[&[3., 2., 12.], &[6., 0., 60.]]);
}

#[test]
fn vector_v5_lokr() {
    let w1 = KronFactor::Full(matrix(&[&[1., 2.], &[3., -1.]]));
    let w2 = KronFactor::LowRank { a: matrix(&[&[1.], &[2.], &[0.]]), b: matrix(&[&[1., -1.]]) };
    let d = delta(Factors::Lokr(Lokr::new(w1, w2).unwrap()), 1, 2.0);
    let zero: &[f32] = &[0.; 4];
    let rows: [&[f32]; 6] = [
        &[2., -2., 4., -4.],
        &[4., -4., 8., -8.],
        zero,
        &[6., -6., -2., 2.],
        &[12., -12., -4., 4.],
        zero,
    ];
    close("dW", &d.materialise(), &rows.concat());
    let y = d.apply(&[1., 0., 0., 0.]);
    close("column", &y, &[2., 4., 0., 6., 12., 0.]);
}

// Files made in the test

pub type Stored = (String, Vec<usize>, Vec<f32>);

pub fn stored(name: &str, shape: &[usize], values: &[f32]) -> Stored {
    (name.to_owned(), shape.to_vec(), values.to_vec())
}

pub fn safetensors_file(tensors: &[Stored]) -> Vec<u8> {
    safetensors_with(tensors, &json!({}))
}

/// With texts under `__metadata__`.
pub fn safetensors_with(tensors: &[Stored], metadata: &Value) -> Vec<u8> {
    let metadata: HashMap<String, String> = serde_json::from_value(metadata.clone()).unwrap();
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(.., v)| v.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    ::safetensors::serialize(views, Some(metadata)).unwrap()
}

/// A file whose header is `header`, whatever that is.
pub fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// A sound folder to break: one module `l.q`, `[2, 3]`, r 2, alpha 1.
struct Folder {
    config: Value,
    tensors: Vec<Stored>,
}

const A: &str = "base_model.model.l.q.lora_A.weight";
const B: &str = "base_model.model.l.q.lora_B.weight";

fn lora() -> Folder {
    Folder {
        config: json!({
            "peft_type": "LORA", "r": 2, "lora_alpha": 1, "target_modules": ["q"],
        }),
        tensors: vec![
            stored(A, &[2, 3], &[1., 2., 3., 4., 5., 6.]),
            stored(B, &[2, 2], &[1., 0., 2., -1.]),
        ],
    }
}

fn loha() -> Folder {
    let name = |role: &str| format!("base_model.model.l.q.hada_{role}");
    Folder {
        config: json!({ "peft_type": "LOHA", "r": 2, "alpha": 2, "target_modules": ["q"] }),
        tensors: vec![
            stored(&name("w1_a"), &[2, 2], &[1., 2., 3., 4.]),
            stored(&name("w1_b"), &[2, 3], &[1., 0., 2., 0., 1., 1.]),
            stored(&name("w2_a"), &[2, 2], &[1., 1., 0., 2.]),
            stored(&name("w2_b"), &[2, 3], &[2., 1., 0., 1., 0., 3.]),
        ],
    }
}

fn lokr() -> Folder {
    let name = |role: &str| format!("base_model.model.l.q.lokr_{role}");
    Folder {
        config: json!({ "peft_type": "LOKR", "r": 1, "alpha": 2, "target_modules": ["q"] }),
        tensors: vec![
            stored(&name("w1"), &[2, 2], &[1., 2., 3., -1.]),
            stored(&name("w2_a"), &[3, 1], &[1., 2., 0.]),
            stored(&name("w2_b"), &[1, 2], &[1., -1.]),
        ],
    }
}

impl Folder {
    fn set(mut self, field: &str, value: Value) -> Self {
        self.config[field] = value;
        self
    }

    fn unset(mut self, field: &str) -> Self {
        assert!(self.config.as_object_mut().unwrap().shift_remove(field).is_some(), "{field}");
        self
    }

    fn with(mut self, tensor: Stored) -> Self {
        self.tensors.retain(|(name, ..)| *name != tensor.0);
        self.tensors.push(tensor);
        self
    }

    fn without(mut self, name: &str) -> Self {
        let before = self.tensors.len();
        self.tensors.retain(|(n, ..)| !n.ends_with(name));
        assert_eq!(self.tensors.len() + 1, before, "{name}");
        self
    }

    fn renamed(mut self, from: &str, to: &str) -> Self {
        let mut renamed = 0;
        for (name, ..) in &mut self.tensors {
            if name.contains(from) {
                *name = name.replace(from, to);
                renamed += 1;
            }
        }
        assert!(renamed > 0, "{from}");
        self
    }

    fn read(&self) -> Result<Adapter> {
        read(self.config.to_string().into_bytes(), safetensors_file(&self.tensors))
    }
}

fn read(config: Vec<u8>, model: Vec<u8>) -> Result<Adapter> {
    peft::read(&Files::from_iter([(CONFIG, config), (MODEL, model)]))
}

/// Reads a sound config with other bytes for the tensors.
fn read_model(model: impl Into<Vec<u8>>) -> Result<Adapter> {
    read(lora().config.to_string().into_bytes(), model.into())
}

/// Reads sound tensors with other bytes for the config.
fn read_config(config: impl Into<Vec<u8>>) -> Result<Adapter> {
    read(config.into(), safetensors_file(&lora().tensors))
}

#[test]
fn sound_folders_are_read() {
    let adapter = lora().read().unwrap();
    assert_eq!(adapter.warnings, []);
    assert_eq!(adapter.deltas.keys().collect::<Vec<_>>(), ["l.q"]);
    exactly(&adapter.deltas["l.q"], &[&[0.5, 1., 1.5], &[-1., -0.5, 0.]]);
    exactly(&loha().read().unwrap().deltas["l.q"], &[&[3., 2., 12.], &[6., 0., 60.]]);
    let lokr = &lokr().read().unwrap().deltas["l.q"];
    assert_eq!((lokr.rank, lokr.alpha, lokr.scale), (1, 2.0, 2.0));
    assert_eq!(lokr.materialise()[..4], [2., -2., 4., -4.]);
}

#[test]
fn vector_v1_with_rslora() {
    let adapter = lora().set("use_rslora", json!(true)).read().unwrap();
    // alpha / sqrt(r) = 1 / sqrt(2)
    let s = std::f32::consts::FRAC_1_SQRT_2;
    let rows: [&[f32]; 2] = [&[s, 2. * s, 3. * s], &[-2. * s, -s, 0.]];
    close("dW", &adapter.deltas["l.q"].materialise(), &rows.concat());
}

#[test]
fn rslora_is_lora_only() {
    let adapter = loha().set("use_rslora", json!(true)).read().unwrap();
    assert_eq!(adapter.deltas["l.q"].scale, 1.0);
    assert_eq!(adapter.warnings[0].code, "UnknownConfigField");
    assert!(adapter.warnings[0].message.contains("use_rslora"));
}

#[test]
fn lokr_with_whole_factors_is_scaled_too() {
    let folder = lokr().without("w2_a").without("w2_b");
    let folder = folder.with(stored("base_model.model.l.q.lokr_w2", &[1, 1], &[1.]));
    let adapter = folder.set("r", json!(4)).set("alpha", json!(2)).read().unwrap();
    assert_eq!(adapter.deltas["l.q"].scale, 0.5);
    assert_eq!(adapter.deltas["l.q"].materialise(), [0.5, 1., 1.5, -0.5]);
}

#[test]
fn pattern_keys_are_regular_expressions_and_the_first_counts() {
    let scale =
        |alphas: Value| lora().set("alpha_pattern", alphas).read().unwrap().deltas["l.q"].scale;
    assert_eq!(scale(json!({})), 0.5);
    assert_eq!(scale(json!({ "q": 4 })), 2.0);
    assert_eq!(scale(json!({ "^q": 4 })), 0.5);
    assert_eq!(scale(json!({ "^l.q": 4 })), 2.0);
    assert_eq!(scale(json!({ "l": 4, "lq": 4, "": 4 })), 0.5);
    // From the start of the name, not from anywhere.
    assert_eq!(scale(json!({ r"\.q": 4 })), 0.5);
    assert_eq!(scale(json!({ "z|q": 8, "q": 4 })), 4.0);
    assert_eq!(scale(json!({ "q": 4, "z|q": 8 })), 2.0);
    // As Python joins it: `(.*\.)?(z)|(.*q)$`.
    assert_eq!(scale(json!({ "z)|(.*q": 8 })), 4.0);
    // Keys of one pattern say nothing about the other.
    let folder = lora().set("r", json!(7)).set("rank_pattern", json!({ "l.*": 2 }));
    let adapter = folder.set("alpha_pattern", json!({ "q": 3 })).read().unwrap();
    assert_eq!((adapter.deltas["l.q"].rank, adapter.deltas["l.q"].scale), (2, 1.5));
}

#[test]
fn other_spellings_of_names_are_read() {
    for (from, to) in [
        (".weight", ".default.weight"),
        (".weight", ""),
        ("base_model.model.", ""),
        ("base_model.model.", "module.base_model.model."),
        ("base_model.model.", "_orig_mod.base_model.model."),
        (".q.", "._fsdp_wrapped_module.q."),
    ] {
        let adapter = lora().renamed(from, to).read().unwrap();
        assert_eq!(adapter.deltas.keys().collect::<Vec<_>>(), ["l.q"], "{from} -> {to}");
        let wrapped = to.contains("mod");
        let plain = to.starts_with("base_model") || !wrapped;
        assert_eq!(adapter.warnings.is_empty(), plain, "{from} -> {to}");
    }
    // A module may be called like a factor.
    let adapter = lora().renamed("l.q", "lora_A.weight").read().unwrap();
    assert!(adapter.deltas.contains_key("lora_A.weight"));
}

#[test]
fn a_target_without_tensors_is_told() {
    let adapter = lora().set("target_modules", json!(["q", "l.q", "typo", "xq"])).read().unwrap();
    let codes: Vec<_> = adapter.warnings.iter().map(|w| w.code).collect();
    assert_eq!(codes, ["TargetWithoutTensors"; 2]);
    assert!(adapter.warnings[0].message.contains("typo"));
    assert!(adapter.warnings[1].message.contains("xq"));
}

#[test]
fn files_are_found_in_folders() {
    let (config, model) =
        (lora().config.to_string().into_bytes(), safetensors_file(&lora().tensors));
    let mut files = Files::new();
    files.insert("kjv/adapter_config.json", config.clone());
    refused(peft::read(&files), "MissingFile", &[MODEL, "kjv/adapter_config.json"]);
    files.insert("kjv/adapter_model.safetensors", model);
    assert_eq!(peft::read(&files).unwrap().deltas.len(), 1);
    files.insert("other/adapter_config.json", config.clone());
    refused(peft::read(&files), "BadArgument", &["kjv/adapter_config.json", "other/"]);
    files.insert(CONFIG, config);
    assert_eq!(peft::read(&files).unwrap().deltas.len(), 1);
    refused(peft::read(&Files::new()), "MissingFile", &[CONFIG, "no files"]);
    // The error speaks of the file as the caller named it.
    files.insert("kjv/adapter_model.safetensors", &b""[..]);
    refused(peft::read(&files), "BadFile", &["kjv/adapter_model.safetensors", "empty"]);
}

// Hostile files

#[test]
fn hostile_truncated_file() {
    let whole = safetensors_file(&lora().tensors);
    assert!(read_model(whole.clone()).is_ok());
    let (len, cut) = (whole.len(), whole.len() - 1);
    let names = [MODEL, "truncated", &len.to_string(), &cut.to_string()];
    refused(read_model(&whole[..cut]), "BadFile", &names);
    // Cut anywhere: an error every time, and no panic.
    for cut in 0..len {
        refused(read_model(&whole[..cut]), "BadFile", &[MODEL]);
    }
}

#[test]
fn hostile_bytes_behind_the_end() {
    let mut bytes = safetensors_file(&lora().tensors);
    bytes.extend([0; 3]);
    refused(read_model(bytes), "BadFile", &[MODEL, "3 bytes more"]);
}

#[test]
fn hostile_header_length_overflow() {
    let mut bytes = safetensors_file(&lora().tensors);
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    refused(read_model(bytes), "BadFile", &[MODEL, "18446744073709551615"]);
}

#[test]
fn hostile_header_claims_gigabytes() {
    let mut bytes = safetensors_file(&lora().tensors);
    bytes[..8].copy_from_slice(&4_000_000_000u64.to_le_bytes());
    refused(read_model(bytes.clone()), "BadFile", &[MODEL, "4000000000"]);
    // Within the limit of headers, but longer than the file.
    bytes[..8].copy_from_slice(&90_000_000u64.to_le_bytes());
    refused(read_model(bytes), "BadFile", &[MODEL, "truncated", "90000000"]);
}

#[test]
fn hostile_tensor_claims_gigabytes() {
    let claim = |shape: &str, end: &str| {
        with_header(
            &format!(r#"{{"{A}":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#),
            &[0; 16],
        )
    };
    assert!(Tensors::parse("f", &claim("[2,2]", "16")).is_ok());
    refused(
        read_model(claim("[1000000,1000000]", "4000000000000")),
        "BadFile",
        &[MODEL, "truncated"],
    );
    refused(read_model(claim("[1000000,1000000]", "16")), "BadFile", &[MODEL, "header"]);
    let max = usize::MAX.to_string();
    refused(
        read_model(claim(&format!("[{max},{max}]"), "16")),
        "BadFile",
        &[MODEL, "beyond all memory"],
    );
    refused(read_model(claim("[4]", &max)), "BadFile", &[MODEL, "header"]);
    refused(read_model(claim("[-1]", "16")), "BadFile", &[MODEL, "header"]);
}

#[test]
fn hostile_overlapping_tensors() {
    let one = r#"{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}"#;
    let header = format!(r#"{{"{A}":{one},"{B}":{one}}}"#);
    refused(read_model(with_header(&header, &[0; 16])), "BadFile", &[MODEL, "offset"]);
}

#[test]
fn hostile_tensor_named_twice() {
    let at = |from: usize, to: usize| {
        format!(r#""{A}":{{"dtype":"F32","shape":[2,2],"data_offsets":[{from},{to}]}}"#)
    };
    let header = format!("{{{},{}}}", at(0, 16), at(16, 32));
    refused(read_model(with_header(&header, &[0; 32])), "BadFile", &[MODEL, "second tensor", A]);
}

#[test]
fn hostile_header_is_no_json() {
    refused(
        read_model(with_header("{\"a\":", &[])),
        "BadFile",
        &[MODEL, "header that is not JSON"],
    );
    refused(read_model(with_header("[]", &[])), "BadFile", &[MODEL, "header"]);
    let deep = "[".repeat(100_000);
    refused(read_model(with_header(&deep, &[])), "BadFile", &[MODEL, "header"]);
    let mut bytes = with_header("{}  ", &[]);
    bytes[10] = 0xff;
    refused(read_model(bytes), "BadFile", &[MODEL, "header"]);
}

#[test]
fn hostile_html_instead_of_a_file() {
    for page in
        ["<!DOCTYPE html><html>", "\n\t <!doctype HTML>", "<HTML lang=en>", "\u{feff}<html>"]
    {
        refused(read_model(page), "BadFile", &[MODEL, "web page"]);
        refused(read_config(page), "BadFile", &[CONFIG, "web page"]);
    }
}

#[test]
fn hostile_lfs_pointer() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n";
    refused(read_model(pointer), "BadFile", &[MODEL, "Git LFS pointer"]);
    refused(read_config(pointer), "BadFile", &[CONFIG, "Git LFS pointer"]);
}

#[test]
fn hostile_other_files() {
    refused(read_model(r#"{"error": "not found"}"#), "BadFile", &[MODEL, "a JSON file"]);
    refused(read_model("GGUF\x03\0\0\0...."), "BadFile", &[MODEL, "GGUF"]);
    refused(read_model("PK\x03\x04\0\0\x08\x08...."), "BadFile", &[MODEL, "zip archive"]);
}

#[test]
fn hostile_empty_file() {
    refused(read_model(""), "BadFile", &[MODEL, "empty file"]);
    refused(read_config(""), "BadFile", &[CONFIG, "empty file"]);
}

#[test]
fn hostile_no_adapter_tensors() {
    refused(read_model(with_header("{}", &[])), "BadFile", &[MODEL, "no adapter tensors"]);
    let metadata = r#"{"__metadata__":{"format":"pt"}}"#;
    refused(read_model(with_header(metadata, &[])), "BadFile", &[MODEL, "no adapter tensors"]);
}

#[test]
fn hostile_missing_lora_b() {
    refused(lora().without(B).read(), "MissingTensor", &["module l.q", B]);
    // Named as its partner is.
    let folder = lora().renamed(".weight", ".default.weight").without("lora_B.default.weight");
    refused(folder.read(), "MissingTensor", &["l.q.lora_B.default.weight"]);
}

#[test]
fn hostile_partner_of_another_adapter() {
    let folder = lora().renamed("lora_B.weight", "lora_B.other.weight");
    refused(folder.read(), "UnknownTensor", &["lora_B.other.weight", A, "another name"]);
}

#[test]
fn hostile_one_factor_twice() {
    let folder = lora().with(stored("base_model.model.l.q.lora_A", &[2, 3], &[0.; 6]));
    refused(folder.read(), "UnknownTensor", &[A, "base_model.model.l.q.lora_A ", "same factor"]);
}

#[test]
fn hostile_orphan_hada_half() {
    refused(
        loha().without("w2_b").read(),
        "MissingTensor",
        &["l.q", "base_model.model.l.q.hada_w2_b"],
    );
    refused(
        loha().without("w1_a").read(),
        "MissingTensor",
        &["l.q", "base_model.model.l.q.hada_w1_a"],
    );
}

#[test]
fn hostile_orphan_lokr_factors() {
    refused(lokr().without("w1").read(), "MissingTensor", &["l.q", "base_model.model.l.q.lokr_w1"]);
    refused(lokr().without("w2_a").read(), "MissingTensor", &["base_model.model.l.q.lokr_w2_a"]);
    let folder = lokr().with(stored("base_model.model.l.q.lokr_w2", &[3, 2], &[0.; 6]));
    refused(folder.read(), "UnknownTensor", &["base_model.model.l.q.lokr_w2_a", "whole already"]);
}

#[test]
fn hostile_wrong_shape() {
    refused(
        lora().with(stored(B, &[4, 1], &[1.; 4])).read(),
        "ShapeMismatch",
        &["l.q", "lora_B", "[4, 1]"],
    );
    refused(lora().with(stored(B, &[4], &[1.; 4])).read(), "ShapeMismatch", &[B, "[4]"]);
    refused(
        lora().with(stored(A, &[2, 0], &[])).read(),
        "ShapeMismatch",
        &["l.q", "lora_A", "[2, 0]"],
    );
    let w = "base_model.model.l.q.hada_w2_b";
    refused(
        loha().with(stored(w, &[3, 2], &[1.; 6])).read(),
        "ShapeMismatch",
        &["l.q", "hada_w2_b", "[3, 2]"],
    );
    let w = "base_model.model.l.q.lokr_w2_b";
    refused(
        lokr().with(stored(w, &[2, 1], &[1.; 2])).read(),
        "ShapeMismatch",
        &["l.q", "lokr_w2_b", "[2, 1]"],
    );
}

#[test]
fn hostile_small_factors_of_a_giant_weight() {
    let name = |role: &str| format!("base_model.model.l.q.lokr_{role}");
    let n = 70_000;
    let giant = Folder { tensors: Vec::new(), ..lokr() }
        .with(stored(&name("w1"), &[n, 1], &vec![1.; n]))
        .with(stored(&name("w2"), &[n, 1], &vec![1.; n]));
    refused(giant.read(), "ShapeMismatch", &["module l.q", "70000"]);
}

#[test]
fn hostile_unknown_suffix() {
    for (suffix, reason) in [
        ("lora_C.weight", "modules_to_save"),
        ("lora_magnitude_vector", "use_dora"),
        ("lora_magnitude_vector.default.weight", "use_dora"),
        ("magnitude", "use_dora"),
        ("lora_A.bias", "bias of lora_A"),
        ("lora_B.bias", "lora_bias"),
        ("hada_t1", "LOHA"),
        ("lokr_t2", "LOKR"),
        ("token_adapter.trainable_tokens_delta", "trainable_token_indices"),
        ("modules_to_save.weight", "modules_to_save"),
        ("bias", "`bias` of the config"),
        ("alpha", "kohya"),
        ("lora_mid.weight", "kohya"),
        ("dora_scale", "kohya"),
        ("lora_down.weight", "same factor"),
        ("oft_blocks", "OFT"),
        ("diff", "full fine-tuning"),
        ("", "no suffix that is known"),
    ] {
        let name = format!("base_model.model.l.q.{suffix}");
        let folder = lora().with(stored(&name, &[2], &[0.; 2]));
        refused(folder.read(), "UnknownTensor", &[&name, reason]);
    }
    let name = "base_model.model.model.wte.weight";
    let folder = lora().with(stored(name, &[1, 1], &[0.]));
    refused(folder.read(), "UnknownTensor", &[name, "embedding"]);
}

#[test]
fn embeddings_that_peft_saves_along_replace_those_of_the_base() {
    // With a vocabulary of another size: peft#838, peft#1554.
    for suffix in ["weight", "base_layer.weight"] {
        let name = format!("base_model.model.model.embed_tokens.{suffix}");
        let adapter = lora().with(stored(&name, &[3, 1], &[1., 2., 3.])).read().unwrap();
        assert_eq!(adapter.replaced["model.embed_tokens.weight"].shape(), [3, 1]);
    }
}

#[test]
fn trained_biases_replace_those_of_the_base() {
    for (setting, name) in [("all", "other.bias"), ("lora_only", "l.q.base_layer.bias")] {
        let bias = stored(&format!("base_model.model.{name}"), &[4], &[1., 2., 3., 4.]);
        let folder = lora().set("bias", json!(setting)).with(bias.clone());
        let adapter = folder.read().unwrap();
        let (name, bias) = adapter.replaced.first_key_value().unwrap();
        assert_eq!(
            (name.as_str(), bias.to_f32()),
            (if setting == "all" { "other.bias" } else { "l.q.bias" }, vec![1., 2., 3., 4.])
        );
    }
    refused(lora().set("bias", json!("some")).read(), "BadConfig", &["bias", "lora_only"]);
}

#[test]
fn trained_rows_of_an_embedding_are_rows_and_no_delta() {
    let name = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta";
    let rows = stored(name, &[2, 3], &[1., 2., 3., 4., 5., 6.]);
    for indices in [json!([4, 1]), json!({ "embed_tokens": [4, 1] })] {
        let folder = lora().set("trainable_token_indices", indices).with(rows.clone());
        let adapter = folder.read().unwrap();
        let rows = &adapter.rows["model.embed_tokens.weight"];
        assert_eq!(rows.indices(), [4, 1]);
        let table =
            Tensor::new(vec![5, 3], Data::F32((0..15).map(|i| i as f32).collect())).unwrap();
        let merged = rows.merge(&table, 1.0).unwrap().to_f32();
        assert_eq!(merged, [0., 1., 2., 4., 5., 6., 6., 7., 8., 9., 10., 11., 1., 2., 3.]);
        assert_eq!(rows.merge(&table, 0.0).unwrap(), table);
        let short = Tensor::new(vec![4, 3], Data::F32(vec![0.0; 12])).unwrap();
        refused(rows.merge(&short, 1.0), "BadArgument", &["token index", "below 4"]);
    }
    let folder = |indices: Value| lora().set("trainable_token_indices", indices);
    refused(
        folder(json!([1])).with(rows.clone()).read(),
        "UnknownTensor",
        &[name, "2 rows", "1 tokens"],
    );
    refused(folder(json!([1, 1])).with(rows.clone()).read(), "BadArgument", &["1 twice"]);
    refused(folder(json!({ "wte": [1, 2] })).with(rows).read(), "UnknownTensor", &[name]);
    refused(folder(json!([1, 2])).read(), "MissingTensor", &["trainable_tokens_delta"]);
    refused(folder(json!(["a"])).read(), "BadConfig", &["trainable_token_indices"]);
}

#[test]
fn hostile_convolution() {
    let kernel = lora().with(stored(A, &[2, 3, 1, 1], &[1.; 6]));
    refused(kernel.read(), "ShapeMismatch", &["l.q", "lora_B", "kernel of ones"]);
    let kernel = kernel.with(stored(B, &[4, 2, 1, 3], &[1.; 24]));
    refused(kernel.read(), "ShapeMismatch", &["l.q", "lora_B", "[1, 3]"]);
}

#[test]
fn hostile_factor_of_another_method() {
    let folder = loha().set("peft_type", json!("LORA")).set("lora_alpha", json!(2));
    refused(folder.read(), "UnknownTensor", &["hada_w1_a", "LOHA", "LORA"]);
}

#[test]
fn hostile_rank_zero() {
    for r in [json!(0), json!(-1), json!(2.0), json!("2"), json!(true), json!([2]), json!(1e30)] {
        refused(lora().set("r", r.clone()).read(), "BadConfig", &[CONFIG, "`r`"]);
        let folder = lora().set("rank_pattern", json!({ "q": r }));
        refused(folder.read(), "BadConfig", &[CONFIG, "`rank_pattern.q`"]);
    }
    refused(lora().unset("r").read(), "BadConfig", &[CONFIG, "`r`", "nothing"]);
}

#[test]
fn hostile_rank_disagrees_with_config() {
    let names = ["module l.q", "rank 8", CONFIG, "rank 2"];
    refused(lora().set("r", json!(8)).read(), "ShapeMismatch", &names);
    refused(loha().set("r", json!(8)).read(), "ShapeMismatch", &names);
    refused(lokr().set("r", json!(8)).read(), "ShapeMismatch", &["module l.q", "rank 8", "rank 1"]);
    let folder = lora().set("rank_pattern", json!({ "q": 3 }));
    refused(folder.read(), "ShapeMismatch", &["module l.q", "rank 3", "rank 2"]);
}

#[test]
fn hostile_nan_in_factors() {
    for (value, text) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let folder = lora().with(stored(B, &[2, 2], &[1., 0., value, -1.]));
        refused(folder.read(), "NotFinite", &[B, "element 2", text]);
        let w = "base_model.model.l.q.hada_w2_b";
        let folder = loha().with(stored(w, &[2, 3], &[value; 6]));
        refused(folder.read(), "NotFinite", &[w, "element 0", text]);
    }
}

#[test]
fn hostile_alpha_missing() {
    refused(lora().unset("lora_alpha").read(), "BadConfig", &[CONFIG, "`lora_alpha`", "nothing"]);
    refused(loha().unset("alpha").read(), "BadConfig", &[CONFIG, "`alpha`", "nothing"]);
    refused(lokr().unset("alpha").read(), "BadConfig", &[CONFIG, "`alpha`", "nothing"]);
}

#[test]
fn hostile_alpha_is_no_number() {
    for alpha in [json!("8"), json!(null), json!([8]), json!(1e300)] {
        refused(lora().set("lora_alpha", alpha).read(), "BadConfig", &[CONFIG, "`lora_alpha`"]);
    }
    let folder = lora().set("alpha_pattern", json!({ "q": "8" }));
    refused(folder.read(), "BadConfig", &[CONFIG, "`alpha_pattern.q`"]);
}

#[test]
fn hostile_alpha_is_a_nan_token() {
    for token in ["NaN", "Infinity", "-Infinity"] {
        for (before, after) in [("\"lora_alpha\": ", ""), ("\n  \"lora_alpha\":", "\n")] {
            let text = format!("{{\"peft_type\": \"LORA\", \"r\": 2, {before}{token}{after}}}");
            assert!(read_config(text.replace(token, "1")).is_ok());
            let names = [CONFIG, token.trim_start_matches('-'), "lora_alpha", "token"];
            refused(read_config(text), "BadFile", &names);
        }
    }
    refused(read_config("{\"r\": 1e999}"), "BadFile", &[CONFIG, "out of range"]);
}

#[test]
fn hostile_config_is_no_object() {
    let good = lora().config.to_string();
    refused(read_config(format!("\u{feff}{good}")), "BadFile", &[CONFIG, "byte order mark"]);
    refused(read_config("[1, 2]"), "BadFile", &[CONFIG, "object", "[1,2]"]);
    refused(read_config("not json"), "BadFile", &[CONFIG, "not json"]);
    refused(read_config(&good[..good.len() - 1]), "BadFile", &[CONFIG, "EOF"]);
    refused(read_config("[".repeat(100_000)), "BadFile", &[CONFIG, "recursion"]);
    refused(read_config(safetensors_file(&lora().tensors)), "BadFile", &[CONFIG]);
}

#[test]
fn hostile_key_twice() {
    let text = r#"{"peft_type": "LORA", "r": 2, "lora_alpha": 1, "r": 2}"#;
    refused(read_config(text), "BadFile", &[CONFIG, "\"r\"", "twice"]);
}

#[test]
fn hostile_invalid_regex_in_rank_pattern() {
    for key in ["(", "[", "q))|((x", "*", "(q{1000}){1000}{1000}"] {
        let folder = lora().set("rank_pattern", json!({ key: 2 }));
        refused(folder.read(), "BadConfig", &[CONFIG, "rank_pattern", key, "regular expression"]);
    }
    let folder = lora().set("rank_pattern", json!([1]));
    refused(folder.read(), "BadConfig", &[CONFIG, "`rank_pattern`", "object"]);
}

#[test]
fn hostile_unsupported_peft_type() {
    for kind in ["ADALORA", "OFT", "lora", ""] {
        let names = [CONFIG, "peft_type", kind, "LORA, LOHA, LOKR"];
        refused(lora().set("peft_type", json!(kind)).read(), "Unsupported", &names);
    }
    refused(lora().unset("peft_type").read(), "BadConfig", &[CONFIG, "`peft_type`"]);
}

#[test]
fn hostile_dora() {
    refused(
        lora().set("use_dora", json!(true)).read(),
        "MissingTensor",
        &["l.q", "lora_magnitude_vector", "use_dora", CONFIG],
    );
    let folder = lora().set("lora_bias", json!(true));
    refused(folder.read(), "MissingTensor", &["l.q", "lora_B", "lora_bias", CONFIG]);
    let name = A.replace("lora_A.weight", "lora_magnitude_vector");
    let long = lora().set("use_dora", json!(true)).with(stored(&name, &[9], &[1.; 9]));
    refused(long.read(), "ShapeMismatch", &["l.q", "lora_magnitude_vector", "[9]"]);
}

#[test]
fn hostile_two_forms_of_one_module() {
    let name = |part: &str| A.replace("lora_A.weight", part);
    let both = lora().with(stored(&name("lora_embedding_A"), &[2, 5], &[1.; 10])).with(stored(
        &name("lora_embedding_B"),
        &[4, 2],
        &[1.; 8],
    ));
    refused(both.read(), "UnknownTensor", &["lora_A", "lora_embedding_A", "two forms"]);
}

#[test]
fn hostile_saved_module_twice() {
    let head = |prefix: &str| stored(&format!("{prefix}lm_head.weight"), &[1], &[1.]);
    let folder = lora().set("modules_to_save", json!(["lm_head"])).with(head(""));
    assert_eq!(folder.read().unwrap().replaced.len(), 1);
    let twice = folder.with(head("base_model.model."));
    refused(twice.read(), "UnknownTensor", &["lm_head.weight", "second tensor"]);
}

#[test]
fn hostile_saved_module_without_its_tensors() {
    let folder = lora().set("modules_to_save", json!(["lm_head"]));
    refused(folder.read(), "MissingTensor", &["lm_head", "modules_to_save"]);
}

#[test]
fn hostile_settings_that_change_the_mathematics() {
    for (field, off, on) in [
        ("alora_invocation_tokens", json!(null), json!([1, 2])),
        ("arrow_config", json!(null), json!({ "top_k": 3 })),
        ("use_bdlora", json!(null), json!({ "nblocks": 2 })),
        ("use_qalora", json!(false), json!(true)),
        ("kasa_config", json!(null), json!({ "a": 1 })),
        ("monteclora_config", json!(null), json!({ "a": 1 })),
        ("velora_config", json!(null), json!({ "a": 1 })),
        ("layer_replication", json!(null), json!([[0, 4], [2, 5]])),
        ("init_lora_weights", json!("gaussian"), json!("pissa_niter_4")),
        ("init_lora_weights", json!(true), json!("olora")),
        ("init_lora_weights", json!("eva"), json!("corda")),
        ("init_lora_weights", json!(null), json!("loftq")),
        ("init_lora_weights", json!(false), json!("lora_ga")),
    ] {
        let read = |value: &Value| lora().set(field, value.clone()).read();
        assert_eq!(read(&off).unwrap().warnings, [], "{field}");
        refused(read(&on), "Unsupported", &[CONFIG, field]);
    }
    // A hint that nothing follows: the shapes of the factors tell the orientation.
    assert_eq!(lora().set("fan_in_fan_out", json!(true)).read().unwrap(), lora().read().unwrap());
}

#[test]
fn hostile_dtype() {
    let header = format!(
        r#"{{"{A}":{{"dtype":"I64","shape":[2,1],"data_offsets":[0,16]}},"{B}":{{"dtype":"F32","shape":[1,2],"data_offsets":[16,24]}}}}"#
    );
    refused(read_model(with_header(&header, &[0; 24])), "Unsupported", &[MODEL, A, "I64", "BF16"]);
}

#[test]
fn hostile_single_bytes() {
    // Nothing is asked but that no byte leads to a panic, and that most changes are noticed.
    let (config, model) =
        (lora().config.to_string().into_bytes(), safetensors_file(&lora().tensors));
    let (mut refused, mut all) = (0, 0);
    let mut count = |result: Result<Adapter>| {
        refused += usize::from(result.is_err());
        all += 1;
    };
    for value in [0, b'"', b'0', b'9', b'[', b'}', 0x7f, 0xff] {
        for i in 0..config.len() {
            let mut config = config.clone();
            config[i] = value;
            count(read(config, model.clone()));
        }
        for i in 0..model.len() {
            let mut model = model.clone();
            model[i] = value;
            count(read(config.clone(), model));
        }
    }
    assert!(refused > all / 2, "{refused} of {all}");
}

// Models

fn tiny_config() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4,
        "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 6, "vocab_size": 5,
    })
}

fn tiny_tensors() -> Vec<Stored> {
    let config = ModelConfig::parse("config.json", tiny_config().to_string().as_bytes()).unwrap();
    let fill = |(name, shape): (String, Vec<usize>)| {
        let len = shape.iter().product();
        (name, shape, vec![0.5; len])
    };
    Layout::shapes(&config).into_iter().map(fill).collect()
}

fn read_tiny(config: Value, tensors: &[Stored]) -> Result<Checkpoint> {
    let (config, model) = (config.to_string().into_bytes(), safetensors_file(tensors));
    Checkpoint::read(&Files::from_iter([("config.json", config), ("model.safetensors", model)]))
}

#[test]
fn a_model_config_has_the_defaults_of_transformers() {
    let config = read_tiny(tiny_config(), &tiny_tensors()).unwrap().config;
    assert_eq!((config.num_key_value_heads, config.head_dim), (2, 2));
    assert_eq!((config.rope_theta, config.rms_norm_eps), (10_000.0, 1e-6));
    assert!(!config.tie_word_embeddings);
    assert_eq!((config.bos_token_id, config.eos_token_ids.len()), (None, 0));
    let mut other = tiny_config();
    other["rope_theta"] = json!(5e5);
    other["eos_token_id"] = json!([3, 4]);
    let config = read_tiny(other.clone(), &tiny_tensors()).unwrap().config;
    assert_eq!((config.rope_theta, config.eos_token_ids), (5e5, vec![3, 4]));
    other["rope_parameters"] = json!({ "rope_theta": 1e6, "rope_type": "default" });
    assert_eq!(read_tiny(other, &tiny_tensors()).unwrap().config.rope_theta, 1e6);
}

#[test]
fn hostile_model_config() {
    for (field, value) in [
        ("hidden_size", json!(0)),
        ("hidden_size", json!(5)),
        ("hidden_size", json!(u64::MAX)),
        ("hidden_size", json!(null)),
        ("num_hidden_layers", json!(0)),
        ("num_attention_heads", json!(0)),
        ("num_key_value_heads", json!(0)),
        ("num_key_value_heads", json!(4)),
        ("head_dim", json!(3)),
        ("head_dim", json!(0)),
        ("intermediate_size", json!(-1)),
        ("vocab_size", json!(1.5)),
        ("vocab_size", json!(1u64 << 25)),
        ("rms_norm_eps", json!(0)),
        ("rms_norm_eps", json!("1e-5")),
        ("rope_theta", json!(-1)),
        ("max_position_embeddings", json!(0)),
        ("tie_word_embeddings", json!("yes")),
        ("bos_token_id", json!(-1)),
        ("eos_token_id", json!(["a"])),
        ("model_type", json!(null)),
    ] {
        let mut config = tiny_config();
        config[field] = value;
        let names = ["config.json", &format!("`{field}`")];
        refused(read_tiny(config, &tiny_tensors()), "BadConfig", &names);
    }
    // Each in its range, the product not.
    let mut config = tiny_config();
    config["hidden_size"] = json!(1 << 16);
    config["head_dim"] = json!(2);
    config["vocab_size"] = json!(1 << 24);
    refused(read_tiny(config, &tiny_tensors()), "BadConfig", &["`vocab_size`", "65536"]);
}

#[test]
fn hostile_model_of_another_kind() {
    for (field, value) in [
        ("model_type", json!("gemma3")),
        ("architectures", json!(["LlamaForSequenceClassification"])),
        ("hidden_act", json!("gelu")),
        ("rope_scaling", json!({ "type": "dynamic", "factor": 2.0 })),
        ("rope_scaling", json!({ "factor": 2.0 })),
        ("rope_parameters", json!({ "full_attention": { "rope_type": "default" } })),
        ("rope_parameters", json!({ "rope_theta": 1e4, "rope_type": "yarn" })),
        ("partial_rotary_factor", json!(0.5)),
        ("quantization_config", json!({ "bits": 4 })),
    ] {
        let mut config = tiny_config();
        config[field] = value;
        refused(read_tiny(config, &tiny_tensors()), "Unsupported", &["config.json", field]);
    }
}

#[test]
fn hostile_model_tensors() {
    let change = |change: &dyn Fn(&mut Vec<Stored>)| {
        let mut tensors = tiny_tensors();
        change(&mut tensors);
        read_tiny(tiny_config(), &tensors)
    };
    assert!(change(&|_| ()).is_ok());
    let q = "model.layers.0.self_attn.q_proj.weight";
    refused(change(&|t| t.retain(|(n, ..)| n != q)), "MissingTensor", &[q]);
    refused(
        change(&|t| t.retain(|(n, ..)| n != "lm_head.weight")),
        "MissingTensor",
        &["lm_head.weight"],
    );
    let at = |t: &mut Vec<Stored>| t.iter().position(|(n, ..)| n == q).unwrap();
    let reshape = |t: &mut Vec<Stored>| {
        let i = at(t);
        t[i].1 = vec![16];
    };
    refused(change(&reshape), "ShapeMismatch", &[q, "[4, 4]", "[16]"]);
    let spoil = |t: &mut Vec<Stored>| {
        let i = at(t);
        t[i].2[7] = f32::NAN;
    };
    refused(change(&spoil), "NotFinite", &[q, "element 7"]);
    for name in ["model.layers.1.mlp.up_proj.weight", "model.layers.0.self_attn.q_proj.bias", "x"] {
        refused(change(&|t| t.push(stored(name, &[1], &[0.]))), "UnknownTensor", &[name]);
    }
    let frequencies = "model.layers.0.self_attn.rotary_emb.inv_freq";
    let read = change(&|t| t.push(stored(frequencies, &[1], &[1.]))).unwrap();
    assert!(!read.tensors.contains_key(frequencies));
}

#[test]
fn a_tied_head_must_say_what_the_table_says() {
    let mut config = tiny_config();
    config["tie_word_embeddings"] = json!(true);
    let read = read_tiny(config.clone(), &tiny_tensors()).unwrap();
    assert!(!read.tensors.contains_key("lm_head.weight"));
    let mut tensors = tiny_tensors();
    let i = tensors.iter().position(|(n, ..)| n == "lm_head.weight").unwrap();
    tensors[i].2[3] = 0.25;
    refused(read_tiny(config, &tensors), "UnknownTensor", &["lm_head.weight", "ties"]);
    assert!(read_tiny(tiny_config(), &tensors).unwrap().tensors.contains_key("lm_head.weight"));
}
