//! Adapters to files and back: safetensors, PEFT folders, LyCORIS files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::refused::refused;
use crate::trials::fixtures::{PLACES_ADAPTERS, files};
use lokahi::adapter::{
    Adapter, Axis, Delta, Factors, KronFactor, KronOrder, Layer, Loha, Lokr, Lora, Magnitude,
    Tucker,
};
use lokahi::format::{Files, Tensors, lycoris, peft, safetensors};
use lokahi::tensor::{DType, Data, Matrix, Tensor};
use serde_json::{Value, json};

const MODEL: &str = "adapter_model.safetensors";

// Safetensors

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// Names that JSON has to escape, all dtypes, shapes with nothing in them.
fn odd_tensors() -> BTreeMap<String, Tensor> {
    let tensor = |shape: &[usize], data| Tensor::new(shape.to_vec(), data).unwrap();
    [
        ("a \"quoted\" \\ name\n\u{1}", tensor(&[3], Data::F16(vec![1, 2, 0x7bff]))),
        ("z", tensor(&[2, 1], Data::F32(vec![-0.0, f32::MIN_POSITIVE]))),
        ("층.가중치", tensor(&[1, 1, 1], Data::BF16(vec![0x3f80]))),
        ("scalar", tensor(&[], Data::F32(vec![0.1]))),
        ("nothing", tensor(&[0, 3], Data::F32(vec![]))),
    ]
    .map(|(name, tensor)| (name.to_owned(), tensor))
    .into()
}

#[test]
fn tensors_come_back_here_and_in_the_safetensors_crate() {
    let tensors = odd_tensors();
    let metadata = texts(&[("format", "pt"), ("a \"b\"", "c\\\nd")]);
    let bytes = safetensors::write(&tensors, &metadata).unwrap();
    let ours = Tensors::parse("x", &bytes).unwrap();
    assert_eq!(ours.names(), tensors.keys().cloned().collect::<Vec<_>>());
    assert_eq!(ours.metadata(), &metadata);
    let (length, _) = ::safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(length % 8, 0);
    let theirs = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(theirs.len(), tensors.len());
    for (name, tensor) in &tensors {
        assert_eq!(&ours.get(name).unwrap(), tensor, "{name}");
        let view = theirs.tensor(name).unwrap();
        assert_eq!(
            (view.shape(), format!("{:?}", view.dtype()).as_str()),
            (tensor.shape(), tensor.dtype().name())
        );
        // Readers view the bytes as numbers where they lie.
        let at = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
        let size = if tensor.dtype() == DType::F32 { 4 } else { 2 };
        assert_eq!(at % size, 0, "{name}");
    }
    assert_eq!(safetensors::write(&tensors, &metadata).unwrap(), bytes, "the same bytes again");
}

#[test]
fn headers_for_tensors_that_come_one_by_one() {
    let entry = |name, dtype, shape| safetensors::NewEntry { name, dtype, shape };
    let entries = [entry("ids", "I64", &[2][..]), entry("b", "BF16", &[3]), entry("a", "U8", &[1])];
    let mut bytes = safetensors::header(&entries, &BTreeMap::new()).unwrap();
    assert_eq!(bytes.len() % 8, 0);
    bytes.extend(7i64.to_le_bytes());
    bytes.extend((-1i64).to_le_bytes());
    bytes.extend([1, 2, 3, 4, 5, 6]);
    bytes.push(9);
    let theirs = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(theirs.tensor("ids").unwrap().data()[..8], 7i64.to_le_bytes());
    assert_eq!(theirs.tensor("b").unwrap().data(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(theirs.tensor("a").unwrap().data(), [9]);
    let (_, theirs) = ::safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(theirs.metadata(), &None);

    let header = |entries: &[_]| safetensors::header(entries, &BTreeMap::new());
    let halves_first = [entry("a", "BF16", &[3]), entry("b", "F32", &[1])];
    refused(header(&halves_first), "BadArgument", &["b is aligned", "byte 6"]);
    refused(header(&[entry("a", "F33", &[3])]), "BadArgument", &["F33", "tensor a"]);
    let twice = [entry("a", "F32", &[1]), entry("a", "F32", &[1])];
    refused(header(&twice), "BadArgument", &["\"a\""]);
    refused(header(&[entry("__metadata__", "F32", &[1])]), "BadArgument", &["__metadata__"]);
    let large = [entry("a", "F32", &[usize::MAX, 2])];
    refused(header(&large), "ShapeMismatch", &["tensor a"]);
    // Four bits a number: three of them are no whole bytes.
    refused(header(&[entry("a", "F4", &[3])]), "ShapeMismatch", &["whole bytes"]);
}

// PEFT folders

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters")
}

fn file(case: &str, file: &str) -> Vec<u8> {
    std::fs::read(root().join(case).join(file)).unwrap()
}

fn case(name: &str) -> Files<'static> {
    ["adapter_config.json", MODEL].into_iter().map(|f| (f, file(name, f))).collect()
}

/// Every case of PEFT, by name.
fn cases() -> BTreeMap<String, Adapter> {
    let names = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let cases = names.filter(|name| name.starts_with("peft-"));
    let cases: BTreeMap<_, _> = cases
        .map(|name| {
            let adapter = peft::read(&case(&name)).unwrap();
            (name, adapter)
        })
        .collect();
    assert!(cases.len() >= 22, "{} cases", cases.len());
    cases
}

fn peft(adapter: &Adapter) -> Files<'static> {
    let (files, warnings) = peft::write(adapter, &peft::Options::default()).unwrap();
    assert_eq!(warnings, []);
    files
}

fn config(files: &Files<'_>) -> Value {
    serde_json::from_slice(files.get("adapter_config.json").unwrap().1).unwrap()
}

/// Names, shapes, dtypes and bytes.
fn stored(files: &Files<'_>) -> BTreeMap<String, Tensor> {
    let tensors = Tensors::parse(MODEL, files.get(MODEL).unwrap().1).unwrap();
    tensors.names().into_iter().map(|name| (name.clone(), tensors.get(&name).unwrap())).collect()
}

#[test]
fn every_case_of_peft_comes_back() {
    for (name, adapter) in cases() {
        let dtype = match () {
            () if name.ends_with("-fp16") => DType::F16,
            () if name.ends_with("-bf16") => DType::BF16,
            () => DType::F32,
        };
        let options = peft::Options { dtype, ..peft::Options::default() };
        let (files, warnings) = peft::write(&adapter, &options).unwrap();
        assert_eq!(warnings, [], "{name}");
        // Rank, alpha, scale, factors: all of it, to the bit.
        assert_eq!(peft::read(&files).unwrap(), adapter, "{name}");
        // The tensors are those that PEFT itself had saved.
        let original = case(&name);
        assert_eq!(stored(&files), stored(&original), "{name}");
        let (ours, theirs) = (config(&files), config(&original));
        for field in ["peft_type", "use_rslora", "use_dora", "lora_bias", "decompose_both"] {
            assert_eq!(ours.get(field), theirs.get(field), "{name}: {field}");
        }
    }
}

#[test]
fn place_name_adapters_come_back() {
    for (name, folder) in PLACES_ADAPTERS {
        let adapter = peft::read(&files(folder)).unwrap();
        let written = peft(&adapter);
        assert_eq!(peft::read(&written).unwrap(), adapter, "{name}");
        let config = config(&written);
        assert_eq!(config["rank_pattern"], json!({}), "{name}");
        assert_eq!(config["alpha_pattern"], json!({}), "{name}");
    }
}

#[test]
fn the_config_says_what_the_caller_knows() {
    let adapter = peft::read(&case("peft-lora-patterns")).unwrap();
    let options = peft::Options {
        base_model_name_or_path: Some("owner/\"model\"".into()),
        task_type: Some("CAUSAL_LM".into()),
        ..peft::Options::default()
    };
    let config = config(&peft::write(&adapter, &options).unwrap().0);
    assert_eq!(config["base_model_name_or_path"], "owner/\"model\"");
    assert_eq!(config["task_type"], "CAUSAL_LM");
    assert_eq!(config["bias"], "none");
    let targets: Vec<_> = adapter.deltas.keys().cloned().collect();
    assert_eq!(config["target_modules"], json!(targets));
    for pattern in ["rank_pattern", "alpha_pattern"] {
        let keys = config[pattern].as_object().unwrap().keys();
        assert!(keys.clone().len() > 0, "{pattern}");
        for key in keys {
            assert!(key.starts_with(r"^layers\."), "{pattern}: {key}");
        }
    }
}

/// A matrix of small numbers that differ.
fn matrix(rows: usize, cols: usize) -> Matrix {
    Matrix::from_fn(rows, cols, |i, j| ((i * 31 + j * 7) % 17) as f32 * 0.25 - 1.9)
}

fn lora(out: usize, inputs: usize, rank: usize) -> Delta {
    let lora = Lora::new(matrix(rank, inputs), matrix(out, rank)).unwrap();
    Delta::new(Factors::Lora(lora), rank, rank as f32, 1.0)
}

fn loha(out: usize, inputs: usize, rank: usize) -> Delta {
    let (a, b) = (matrix(out, rank), matrix(rank, inputs));
    let loha = Loha::new(a.clone(), b.clone(), a, b).unwrap();
    Delta::new(Factors::Loha(loha), rank, rank as f32, 1.0)
}

fn product(rows: usize, cols: usize, rank: usize) -> KronFactor {
    KronFactor::LowRank { a: matrix(rows, rank), b: matrix(rank, cols) }
}

fn whole(rows: usize, cols: usize) -> KronFactor {
    KronFactor::Full(matrix(rows, cols))
}

fn lokr(w1: KronFactor, w2: KronFactor, rank: usize) -> Delta {
    Delta::new(Factors::Lokr(Lokr::new(w1, w2).unwrap()), rank, rank as f32, 1.0)
}

fn scaled(delta: Delta, alpha: f32, scale: f32) -> Delta {
    Delta { alpha, scale, ..delta }
}

fn conv(delta: Delta, kernel: &[usize]) -> Delta {
    Delta { layer: Layer::Conv { kernel: kernel.to_vec() }, ..delta }
}

fn adapter<const N: usize>(deltas: [(&str, Delta); N]) -> Adapter {
    let deltas = deltas.map(|(module, delta)| (module.to_owned(), delta));
    Adapter { deltas: deltas.into(), ..Adapter::default() }
}

/// Numbers without a pattern (SplitMix64).
fn noise(count: u64) -> impl Iterator<Item = u64> {
    (1..=count).map(|i| {
        let mut z = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// Finite scales of every size, of both signs.
fn awkward_scales() -> Vec<f32> {
    let mut scales = vec![1.0, 0.1, 1.0 / 3.0, -2.0 / 7.0, 4.0 / 12f32.sqrt(), 1e-30, 7.7e30];
    let random = noise(300).map(|bits| {
        let exponent = 100 + (bits >> 32) as u32 % 55;
        f32::from_bits(bits as u32 & 0x807f_ffff | exponent << 23)
    });
    scales.extend(random);
    scales
}

#[test]
fn every_scale_comes_back_to_the_bit() {
    let mut deltas = BTreeMap::new();
    for (i, scale) in awkward_scales().into_iter().enumerate() {
        // An alpha that says nothing of the scale, as other files may have it.
        let delta = scaled(lora(2, 3, 1 + i % 13), 5.0, scale);
        deltas.insert(format!("blocks.{i}.w[0]+"), delta);
    }
    let adapter = Adapter { deltas, ..Adapter::default() };
    let back = peft::read(&peft(&adapter)).unwrap();
    for (module, delta) in &adapter.deltas {
        let got = &back.deltas[module];
        assert_eq!(got.scale.to_bits(), delta.scale.to_bits(), "{module}: {}", delta.scale);
        assert_eq!((&got.factors, got.rank), (&delta.factors, delta.rank), "{module}");
    }
    assert_eq!(back.deltas.len(), adapter.deltas.len());
}

#[test]
fn rslora_is_written_where_it_alone_gives_the_scales() {
    let root = |alpha: f64, rank: usize| (alpha / (rank as f64).sqrt()) as f32;
    let both = adapter([
        ("a", scaled(lora(4, 6, 8), 16.0, root(16.0, 8))),
        ("b", scaled(lora(4, 6, 3), 0.1, root(0.1, 3))),
    ]);
    let files = peft(&both);
    assert_eq!(config(&files)["use_rslora"], true);
    assert_eq!(config(&files)["lora_alpha"], json!(16));
    assert_eq!(config(&files)["alpha_pattern"], json!({ "^b": 0.1 }));
    assert_eq!(peft::read(&files).unwrap(), both);
    // One module with another rule: alpha / r for all, with an alpha that gives each scale.
    let mixed = adapter([
        ("a", scaled(lora(4, 6, 8), 16.0, root(16.0, 8))),
        ("b", scaled(lora(4, 6, 3), 6.0, 2.0)),
    ]);
    let files = peft(&mixed);
    assert_eq!(config(&files)["use_rslora"], false);
    let back = peft::read(&files).unwrap();
    for (module, delta) in &mixed.deltas {
        assert_eq!(back.deltas[module].scale, delta.scale, "{module}");
    }
}

#[test]
fn a_pattern_is_for_its_module_alone() {
    // As ends of paths and as regular expressions, these names match each other.
    let adapter = adapter([
        ("proj", scaled(lora(4, 6, 2), 4.0, 2.0)),
        ("b.proj", scaled(lora(4, 6, 3), 3.0, 1.0)),
        ("bxproj", scaled(lora(4, 6, 5), 1.0, 0.2)),
        ("c.b.proj", scaled(lora(4, 6, 3), 6.0, 2.0)),
    ]);
    assert_eq!(peft::read(&peft(&adapter)).unwrap(), adapter);
}

// LoKr in PEFT: the layers that PEFT builds, by its rule, from the base and the config.

fn peft_factorization(dim: usize, factor: i64) -> (usize, usize) {
    if factor > 0 && dim.is_multiple_of(factor as usize) {
        return (factor as usize, dim / factor as usize);
    }
    let limit = if factor == -1 { dim } else { factor as usize };
    let (mut m, mut n) = (1, dim);
    while m < n {
        let mut next = m + 1;
        while !dim.is_multiple_of(next) {
            next += 1;
        }
        if next > limit {
            break;
        }
        (m, n) = (next, dim / next);
    }
    (m.min(n), m.max(n))
}

/// Factors of a weight of `shape`, with their shapes.
fn peft_layer(shape: &[usize], r: usize, config: &Value) -> BTreeMap<&'static str, Vec<usize>> {
    let factor = config["decompose_factor"].as_i64().unwrap();
    let kernel = &shape[2..];
    let (ol, ok) = peft_factorization(shape[0], factor);
    let (im, in_n) = peft_factorization(shape[1], factor);
    let mut layer = BTreeMap::new();
    if config["decompose_both"] == true && 2 * r < ol.max(im) {
        layer.insert("lokr_w1_a", vec![ol, r]);
        layer.insert("lokr_w1_b", vec![r, im]);
    } else {
        layer.insert("lokr_w1", vec![ol, im]);
    }
    let size: usize = kernel.iter().product();
    if 2 * r >= ok.max(in_n) {
        layer.insert("lokr_w2", [&[ok, in_n], kernel].concat());
    } else if config["use_effective_conv2d"] == true && size != 1 {
        let core = if kernel.len() == 1 { &[kernel[0], 1] } else { kernel };
        layer.insert("lokr_t2", [&[r, r], core].concat());
        layer.insert("lokr_w2_a", vec![r, ok]);
        layer.insert("lokr_w2_b", vec![r, in_n]);
    } else {
        layer.insert("lokr_w2_a", vec![ok, r]);
        layer.insert("lokr_w2_b", vec![r, in_n * size]);
    }
    layer
}

#[track_caller]
fn peft_builds_these(files: &Files<'_>, adapter: &Adapter, shape: impl Fn(&str) -> Vec<usize>) {
    let (config, mut tensors) = (config(files), stored(files));
    for module in adapter.deltas.keys() {
        let pattern = &config["rank_pattern"][format!("^{}", module.replace('.', r"\."))];
        let r = pattern.as_u64().or(config["r"].as_u64()).unwrap() as usize;
        for (suffix, shape) in peft_layer(&shape(module), r, &config) {
            let tensor = tensors.remove(&format!("base_model.model.{module}.{suffix}"));
            let got = tensor.unwrap_or_else(|| panic!("{module}: no {suffix} in {config}"));
            assert_eq!(got.shape(), shape, "{module}: {suffix}, {config}");
        }
    }
    assert_eq!(tensors.keys().collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn peft_builds_the_layers_of_every_lokr() {
    let mut count = 0;
    for (name, adapter) in cases().iter().filter(|(name, _)| name.contains("lokr")) {
        let base = file(name, "base.safetensors");
        let base = Tensors::parse("base", &base).unwrap();
        let shape = |module: &str| base.shape(&format!("{module}.weight")).unwrap().to_vec();
        peft_builds_these(&case(name), adapter, shape);
        peft_builds_these(&peft(adapter), adapter, shape);
        count += 1;
    }
    assert_eq!(count, 7);
}

/// Written, built by PEFT's rule, and read with the same factors and scales.
#[track_caller]
fn lokr_comes_back(adapter: &Adapter) -> Value {
    let (files, _) = peft::write(adapter, &peft::Options::default()).unwrap();
    peft_builds_these(&files, adapter, |module| adapter.deltas[module].weight_shape());
    let back = peft::read(&files).unwrap();
    for (module, delta) in &adapter.deltas {
        let got = &back.deltas[module];
        assert_eq!((got.scale, &got.factors), (delta.scale, &delta.factors), "{module}");
    }
    config(&files)
}

#[test]
fn lokr_settings_are_found_from_the_shapes() {
    // Whole factors with the scale 1 and a small rank, as LyCORIS's full_matrix has them: PEFT
    // keeps w2 whole from rank 64 on, so alpha is 64 too.
    let full = adapter([("a", lokr(whole(64, 64), whole(128, 64), 4))]);
    let config = lokr_comes_back(&full);
    assert_eq!((&config["r"], &config["alpha"]), (&json!(64), &json!(64)));
    assert_eq!(config["decompose_factor"], json!(-1));
    // The larger part first: PEFT's order where the factor divides the dimension.
    let tall = adapter([("a", lokr(whole(16, 16), product(8, 40, 2), 2))]);
    assert_eq!(lokr_comes_back(&tall)["decompose_factor"], json!(16));
    // 105 = 3 * 35 at a limit under 5, 6 = 2 * 3 if 3 is no factor: 4 is the only one.
    let four = adapter([("a", lokr(whole(3, 2), product(35, 3, 1), 1))]);
    assert_eq!(lokr_comes_back(&four)["decompose_factor"], json!(4));
    // Both decomposed in one module, and whole factors beside: their rank grows, not their scale.
    let both = adapter([
        ("a", scaled(lokr(product(8, 8, 2), product(8, 8, 2), 2), 3.0, 1.5)),
        ("b", scaled(lokr(whole(8, 8), whole(8, 16), 2), 3.0, 1.5)),
    ]);
    let config = lokr_comes_back(&both);
    assert_eq!(config["decompose_both"], true);
    assert_eq!((&config["r"], &config["alpha"]), (&json!(2), &json!(3)));
    assert_eq!(config["rank_pattern"], json!({ "^b": 8 }));
    assert_eq!(config["alpha_pattern"], json!({ "^b": 12 }));
}

#[test]
fn lokr_of_convolutions() {
    let core = |r: usize, k: usize, in_n: usize| {
        Tucker::new(matrix(r, r * k), matrix(r, in_n), k).unwrap()
    };
    let tucker = |w1, core, w2_a| Factors::Lokr(Lokr::tucker(w1, core, w2_a).unwrap());
    let delta = |factors, kernel: &[usize]| conv(Delta::new(factors, 2, 2.0, 1.0), kernel);
    let two = delta(tucker(whole(2, 2), core(2, 6, 8), matrix(16, 2)), &[2, 3]);
    let two = lokr_comes_back(&adapter([("a", two)]));
    assert_eq!(two["use_effective_conv2d"], true);
    // A core of a Conv1d is stored with a second dimension of one.
    let one = adapter([("a", delta(tucker(whole(4, 4), core(2, 3, 8), matrix(8, 2)), &[3]))]);
    lokr_comes_back(&one);
    // A whole w2 of a Conv1d lies in PEFT's order.
    let Factors::Lokr(plain) = lokr(whole(2, 2), whole(4, 2 * 3), 2).factors else { panic!() };
    let scrambled = plain.clone().with_order(KronOrder::PeftConv1d { kernel: 3 }).unwrap();
    lokr_comes_back(&adapter([("a", delta(Factors::Lokr(scrambled.clone()), &[3]))]));
    let write = |delta| peft::write(&adapter([("conv1", delta)]), &peft::Options::default());
    refused(write(delta(Factors::Lokr(plain), &[3])), "Unsupported", &["conv1", "Plain"]);
    refused(write(delta(Factors::Lokr(scrambled), &[1, 3])), "Unsupported", &["conv1", "PeftConv"]);
    // Both orders are one where the parts have a length of one.
    let Factors::Lokr(thin) = lokr(whole(1, 1), whole(5, 7 * 3), 4).factors else { panic!() };
    let (files, _) = write(delta(Factors::Lokr(thin), &[3])).unwrap();
    let back = peft::read(&files).unwrap();
    let plain = lokr(whole(1, 1), whole(5, 7 * 3), 4);
    assert_eq!(back.deltas["conv1"].materialise(), plain.materialise());
    // Flat factors do not tell their kernel. No factor splits 32 = 4 * 8 and 108 = 3 * 36, but -1
    // splits 32 and 27 = 3 * 9, ..., 9 = 3 * 3: a kernel of 4, 6, 9 or 12.
    let flat = lokr(whole(4, 3), product(8, 4 * 9, 1), 1);
    let (files, warnings) = write(flat.clone()).unwrap();
    assert_eq!(config(&files)["decompose_factor"], json!(-1));
    assert_eq!(warnings.iter().map(|w| w.code).collect::<Vec<_>>(), ["KernelGuessed"]);
    assert!(warnings[0].message.contains("27 or 18 or 12 or 9 inputs"), "{}", warnings[0].message);
    lokr_comes_back(&adapter([("a", conv(flat, &[3, 3]))]));
}

#[test]
fn loha_of_convolutions() {
    let tucker = |kernel: &[usize]| {
        let k = kernel.iter().product();
        let core = Tucker::new(matrix(2, 2 * k), matrix(2, 6), k).unwrap();
        let loha = Loha::tucker([core.clone(), core], matrix(4, 2), matrix(4, 2)).unwrap();
        conv(Delta::new(Factors::Loha(loha), 2, 2.0, 1.0), kernel)
    };
    let adapter_of = |delta| adapter([("a", delta), ("linear", loha(4, 6, 2))]);
    for kernel in [&[3][..], &[2, 3], &[3, 1]] {
        let files = peft(&adapter_of(tucker(kernel)));
        let shape = stored(&files)["base_model.model.a.hada_t1"].shape().to_vec();
        let wanted = [&[2, 2], kernel].concat();
        assert_eq!(shape[..wanted.len()], wanted);
        assert_eq!(shape.len(), 4, "a core has two dimensions of a kernel, even in a Conv1d");
        assert_eq!(config(&files)["use_effective_conv2d"], true);
        let back = peft::read(&files).unwrap();
        assert_eq!(back.deltas["a"].factors, tucker(kernel).factors);
    }
    let write = |adapter: &Adapter| peft::write(adapter, &peft::Options::default());
    let ones = adapter_of(tucker(&[1, 1]));
    refused(write(&ones), "Unsupported", &["module a", "kernel of ones"]);
    refused(write(&adapter_of(tucker(&[2, 1, 2]))), "Unsupported", &["module a", "3 dimensions"]);
    let mut mixed = adapter_of(tucker(&[3, 3]));
    mixed.deltas.insert("flat".into(), conv(loha(4, 54, 2), &[3, 3]));
    refused(write(&mixed), "Unsupported", &["use_effective_conv2d", "a with", "flat flat"]);
}

#[test]
fn what_a_peft_folder_cannot_hold() {
    let write = |adapter: &Adapter| peft::write(adapter, &peft::Options::default());
    let one = |delta| write(&adapter([("a.b", delta)]));
    let dora = |delta, axis, n| {
        let magnitude = Some(Magnitude { values: vec![1.0; n], axis });
        Delta { magnitude, ..delta }
    };
    let bias = |delta| Delta { bias: Some(vec![1.0; 4]), ..delta };
    refused(write(&Adapter::default()), "BadArgument", &["module"]);
    refused(write(&adapter([("", lora(4, 6, 2))])), "BadArgument", &["name"]);
    let several = adapter([("a", lora(4, 6, 2)), ("b", loha(4, 6, 2))]);
    refused(write(&several), "Unsupported", &["LoRA (a)", "LoHa (b)"]);
    let some = adapter([("a", dora(lora(4, 6, 2), Axis::Out, 4)), ("b", lora(4, 6, 2))]);
    refused(write(&some), "Unsupported", &["use_dora", "a with", "b without"]);
    let some = adapter([("a", bias(lora(4, 6, 2))), ("b", lora(4, 6, 2))]);
    refused(write(&some), "Unsupported", &["lora_bias", "a with", "b without"]);
    refused(one(dora(loha(4, 6, 2), Axis::Out, 4)), "Unsupported", &["a.b", "DoRA of LoHa"]);
    refused(one(dora(lora(4, 6, 2), Axis::In, 6)), "Unsupported", &["a.b", "each output"]);
    refused(one(bias(dora(lora(4, 6, 2), Axis::Out, 4))), "Unsupported", &["a.b", "lora_bias"]);
    refused(one(bias(loha(4, 6, 2))), "Unsupported", &["a.b", "lora_bias of LoHa"]);
    let embedding = |delta| Delta { layer: Layer::Embedding, ..delta };
    refused(one(bias(embedding(lora(4, 6, 2)))), "Unsupported", &["a.b", "Embedding"]);
    refused(one(embedding(loha(4, 6, 2))), "Unsupported", &["a.b", "LoHa of an embedding"]);
    refused(one(conv(lora(4, 6, 2), &[1; 4])), "Unsupported", &["a.b", "4 dimensions"]);
    refused(one(scaled(lora(4, 6, 2), 1.0, f32::NAN)), "NotFinite", &["a.b", "scale"]);
    refused(one(conv(lora(4, 6, 2), &[5])), "ShapeMismatch", &["a.b"]);
    let nan = Lora::new(Matrix::new(1, 1, vec![f32::NAN]).unwrap(), matrix(1, 1)).unwrap();
    let nan = Delta::new(Factors::Lora(nan), 1, 1.0, 1.0);
    refused(one(nan), "NotFinite", &["a.b", "lora_A"]);
    let mut saved = adapter([("a", lora(4, 6, 2))]);
    let tensor = Tensor::new(vec![1], Data::F32(vec![0.0])).unwrap();
    saved.replaced.insert("weight".into(), tensor);
    refused(write(&saved), "Unsupported", &["weight", "outside"]);
    // LoKr: what PEFT would build otherwise.
    let large = lokr(whole(2, 2), product(6, 6, 3), 3);
    refused(one(large), "Unsupported", &["a.b", "lokr_w2 as a product", "rank 3"]);
    let large = lokr(product(4, 4, 2), whole(4, 4), 2);
    refused(one(large), "Unsupported", &["a.b", "lokr_w1 as a product"]);
    let beside = lokr(product(8, 8, 2), whole(8, 8), 2);
    refused(one(beside), "Unsupported", &["a.b", "lokr_w2 whole beside"]);
    let shapes = adapter([
        ("a", lokr(whole(4, 4), whole(8, 8), 4)),
        ("z", lokr(whole(2, 2), whole(16, 16), 8)),
    ]);
    refused(write(&shapes), "Unsupported", &["module z", "lokr_w1 [2, 2]", "decompose_factor"]);
}

#[test]
fn locon_cores_are_multiplied_out_for_peft() {
    let core = Tucker::new(matrix(2, 2 * 9), matrix(2, 6), 9).unwrap();
    let lora = Lora::tucker(core, matrix(4, 2)).unwrap();
    let delta = conv(Delta::new(Factors::Lora(lora), 2, 1.0, 0.5), &[3, 3]);
    let adapter = adapter([("a", delta.clone())]);
    let (files, warnings) = peft::write(&adapter, &peft::Options::default()).unwrap();
    assert_eq!(warnings.iter().map(|w| w.code).collect::<Vec<_>>(), ["CoreMultiplied"]);
    assert_eq!(stored(&files)["base_model.model.a.lora_A.weight"].shape(), [2, 6, 3, 3]);
    let back = peft::read(&files).unwrap();
    assert_eq!(back.deltas["a"].materialise(), delta.materialise());
}

// LyCORIS files, read by what their own functions say (`lycoris/functional/*.py`).

type Group = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The tensors of every flattened path.
fn groups(bytes: &[u8]) -> BTreeMap<String, Group> {
    let file = ::safetensors::SafeTensors::deserialize(bytes).unwrap();
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for (name, view) in file.tensors() {
        let (path, suffix) = name.split_once('.').unwrap();
        let half = |b: &[u8; 2]| u16::from_le_bytes(*b);
        let numbers = match view.dtype() {
            ::safetensors::Dtype::F32 => {
                view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
            }
            ::safetensors::Dtype::F16 => {
                let halves = view.data().as_chunks().0.iter();
                halves.map(|b| half::f16::from_bits(half(b)).to_f32()).collect()
            }
            other => panic!("{other:?}"),
        };
        let group = groups.entry(path.to_owned()).or_default();
        group.insert(suffix.to_owned(), (view.shape().to_vec(), numbers));
    }
    groups
}

/// Rows of f64.
type Rows = Vec<Vec<f64>>;

fn rows(group: &Group, name: &str) -> Option<Rows> {
    let (shape, numbers) = group.get(name)?;
    let wide: Vec<f64> = numbers.iter().map(|&x| f64::from(x)).collect();
    Some(wide.chunks(numbers.len() / shape[0]).map(<[f64]>::to_vec).collect())
}

fn times(a: &Rows, b: &Rows) -> Rows {
    let cell = |row: &Vec<f64>, j: usize| row.iter().zip(b).map(|(x, b)| x * b[j]).sum();
    a.iter().map(|row| (0..b[0].len()).map(|j| cell(row, j)).collect()).collect()
}

/// `einsum("i j k, i p, j q -> p (q k)")`.
fn rebuild_tucker(core: &Rows, a: &Rows, b: &Rows) -> Rows {
    let (out, inputs, kernel) = (a[0].len(), b[0].len(), core[0].len() / b.len());
    let cell = |p: usize, q: usize, k: usize| -> f64 {
        let pairs = (0..a.len()).flat_map(|i| (0..b.len()).map(move |j| (i, j)));
        pairs.map(|(i, j)| core[i][j * kernel + k] * a[i][p] * b[j][q]).sum()
    };
    let row = |p| (0..inputs * kernel).map(|c| cell(p, c / kernel, c % kernel)).collect();
    (0..out).map(row).collect()
}

fn transposed(a: &Rows) -> Rows {
    (0..a[0].len()).map(|j| a.iter().map(|row| row[j]).collect()).collect()
}

/// `dW` and its scale.
fn lycoris_delta(group: &Group) -> (Vec<f64>, f32) {
    let get = |name: &str| rows(group, name).unwrap_or_else(|| panic!("no {name}"));
    let length = |name: &str| group[name].0[0] as f32;
    let (shape, alpha) = &group["alpha"];
    assert_eq!(*shape, Vec::<usize>::new(), "alpha is a scalar");
    let alpha = alpha[0];
    let (weight, rank) = if group.contains_key("lora_up.weight") {
        let (up, down) = (get("lora_up.weight"), get("lora_down.weight"));
        let weight = match rows(group, "lora_mid.weight") {
            Some(mid) => rebuild_tucker(&mid, &transposed(&up), &down),
            None => times(&up, &down),
        };
        (weight, length("lora_down.weight"))
    } else if group.contains_key("hada_w1_a") {
        let half = |t: &str, a: &str, b: &str| match rows(group, t) {
            Some(core) => rebuild_tucker(&core, &get(a), &get(b)),
            None => times(&get(a), &get(b)),
        };
        let first = half("hada_t1", "hada_w1_a", "hada_w1_b");
        let second = half("hada_t2", "hada_w2_a", "hada_w2_b");
        let cells = |(x, y): (&Vec<f64>, &Vec<f64>)| x.iter().zip(y).map(|(x, y)| x * y).collect();
        (first.iter().zip(&second).map(cells).collect(), length("hada_w1_b"))
    } else {
        let w1 =
            rows(group, "lokr_w1").unwrap_or_else(|| times(&get("lokr_w1_a"), &get("lokr_w1_b")));
        let w2 = match (rows(group, "lokr_w2"), rows(group, "lokr_t2")) {
            (Some(whole), _) => whole,
            (_, Some(core)) => rebuild_tucker(&core, &get("lokr_w2_a"), &get("lokr_w2_b")),
            _ => times(&get("lokr_w2_a"), &get("lokr_w2_b")),
        };
        let row = |u: usize, p: usize| -> Vec<f64> {
            w1[u].iter().flat_map(|x| w2[p].iter().map(move |y| x * y)).collect()
        };
        let weight = (0..w1.len()).flat_map(|u| (0..w2.len()).map(move |p| (u, p)));
        let ranks = ["lokr_w1_b", "lokr_w2_b"].into_iter().find(|name| group.contains_key(*name));
        // Whole factors have the scale 1.
        (weight.map(|(u, p)| row(u, p)).collect(), ranks.map_or(alpha, length))
    };
    let scale = alpha / rank;
    (weight.concat().iter().map(|x| x * f64::from(scale)).collect(), scale)
}

fn lycoris(adapter: &Adapter) -> BTreeMap<String, Group> {
    let (bytes, warnings) = lycoris::write(adapter, &lycoris::Options::default()).unwrap();
    assert_eq!(warnings, []);
    groups(&bytes)
}

#[track_caller]
fn near(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(0f64, |m, x| m.max(x.abs()));
    assert!(largest > 0.0, "{what}: nothing to compare");
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= tolerance * largest, "{what}: {g} for {w}, largest {largest}");
    }
}

#[test]
fn every_case_of_peft_becomes_a_lycoris_file() {
    let refusals = [
        ("peft-lora-embedding", "embedding"),
        ("peft-lora-lora-bias", "lora_bias"),
        ("peft-lora-bias-saved-modules", "saved whole"),
    ];
    let mut written = 0;
    for (name, adapter) in cases() {
        let result = lycoris::write(&adapter, &lycoris::Options::default());
        if let Some((_, reason)) = refusals.iter().find(|(refused, _)| *refused == name) {
            refused(result, "Unsupported", &[reason, "LyCORIS"]);
            continue;
        }
        let (bytes, warnings) = result.unwrap_or_else(|e| panic!("{name}: {e}"));
        let groups = groups(&bytes);
        assert_eq!(groups.len(), adapter.deltas.len(), "{name}");
        for (module, delta) in &adapter.deltas {
            let group = &groups[&format!("lycoris_{}", module.replace('.', "_"))];
            let (got, scale) = lycoris_delta(group);
            let what = format!("{name}: {module}");
            let rounded = warnings.iter().any(|warning| warning.module == *module);
            if delta.method().rank().is_some() && !rounded {
                assert_eq!(scale.to_bits(), delta.scale.to_bits(), "{what}");
            }
            // Cores are multiplied out in f32 here, and folded scales are rounded to f32.
            near(&what, &got, &delta.materialise(), 1e-6);
        }
        written += 1;
    }
    assert_eq!(written, 19);
}

fn shapes(group: &Group) -> Vec<(&str, &[usize])> {
    group.iter().map(|(name, (shape, _))| (name.as_str(), shape.as_slice())).collect()
}

#[test]
fn lycoris_shapes_and_numbers_are_those_of_its_modules() {
    // The cases of LyCORIS itself: LoCon with a core, on convolutions.
    let core = Tucker::new(matrix(3, 3 * 9), matrix(3, 6), 9).unwrap();
    let locon = Factors::Lora(Lora::tucker(core.clone(), matrix(12, 3)).unwrap());
    let loha_core = Tucker::new(matrix(3, 3 * 9), matrix(3, 6), 9).unwrap();
    let hada = Loha::tucker([loha_core.clone(), loha_core], matrix(12, 3), matrix(12, 3)).unwrap();
    let kron_core = Tucker::new(matrix(2, 2 * 9), matrix(2, 8), 9).unwrap();
    let kron = Lokr::tucker(whole(2, 2), kron_core, matrix(16, 2)).unwrap();
    let square =
        |factors, rank: usize| conv(Delta::new(factors, rank, rank as f32 / 2.0, 0.5), &[3, 3]);
    let adapter = adapter([
        ("conv_1x1", conv(lora(12, 12, 4), &[1, 1])),
        ("conv.in", square(locon, 3)),
        ("hada", square(Factors::Loha(hada), 3)),
        ("kron", square(Factors::Lokr(kron), 2)),
        ("full", conv(lokr(whole(3, 2), whole(4, 3 * 9), 5), &[3, 3])),
        ("both", lokr(product(3, 6, 2), product(16, 16, 2), 2)),
        ("linear", loha(24, 36, 4)),
    ]);
    let groups = lycoris(&adapter);
    let of = |module: &str| shapes(&groups[module]);
    let (up, down) = (&[12, 4, 1, 1][..], &[4, 12, 1, 1][..]);
    assert_eq!(
        of("lycoris_conv_1x1"),
        [("alpha", &[][..]), ("lora_down.weight", down), ("lora_up.weight", up)]
    );
    assert_eq!(
        of("lycoris_conv_in"),
        [
            ("alpha", &[][..]),
            ("lora_down.weight", &[3, 6, 1, 1]),
            ("lora_mid.weight", &[3, 3, 3, 3]),
            ("lora_up.weight", &[12, 3, 1, 1]),
        ]
    );
    assert_eq!(
        of("lycoris_hada"),
        [
            ("alpha", &[][..]),
            ("hada_t1", &[3, 3, 3, 3]),
            ("hada_t2", &[3, 3, 3, 3]),
            ("hada_w1_a", &[3, 12]),
            ("hada_w1_b", &[3, 6]),
            ("hada_w2_a", &[3, 12]),
            ("hada_w2_b", &[3, 6]),
        ]
    );
    assert_eq!(
        of("lycoris_kron"),
        [
            ("alpha", &[][..]),
            ("lokr_t2", &[2, 2, 3, 3]),
            ("lokr_w1", &[2, 2]),
            ("lokr_w2_a", &[2, 16]),
            ("lokr_w2_b", &[2, 8]),
        ]
    );
    assert_eq!(
        of("lycoris_full"),
        [("alpha", &[][..]), ("lokr_w1", &[3, 2]), ("lokr_w2", &[4, 3, 3, 3])]
    );
    assert_eq!(
        of("lycoris_both"),
        [
            ("alpha", &[][..]),
            ("lokr_w1_a", &[3, 2]),
            ("lokr_w1_b", &[2, 6]),
            ("lokr_w2_a", &[16, 2]),
            ("lokr_w2_b", &[2, 16]),
        ]
    );
    for (module, delta) in &adapter.deltas {
        let (got, scale) = lycoris_delta(&groups[&format!("lycoris_{}", module.replace('.', "_"))]);
        assert_eq!(scale, delta.scale, "{module}");
        near(module, &got, &delta.materialise(), 1e-6);
    }
    // Numbers are the factors' own.
    assert_eq!(groups["lycoris_conv_in"]["lora_mid.weight"].1, core.core().data());
    assert_eq!(groups["lycoris_linear"]["hada_w2_b"].1, matrix(4, 36).data());
    assert_eq!(groups["lycoris_kron"]["lokr_w2_a"].1, matrix(16, 2).transposed().data());
}

#[test]
fn lycoris_prefix_dtype_and_metadata() {
    let exact = Matrix::from_fn(2, 6, |i, j| (i * 6 + j) as f32 * 0.5);
    let coarse = Lora::new(exact, matrix(4, 2)).unwrap();
    let adapter = adapter([("a.b_c", Delta::new(Factors::Lora(coarse), 2, 1.0, 0.5))]);
    let options = lycoris::Options { prefix: "lora_unet", dtype: DType::F16 };
    let (bytes, _) = lycoris::write(&adapter, &options).unwrap();
    let tensors = Tensors::parse("x", &bytes).unwrap();
    let dtype = |name: &str| tensors.get(&format!("lora_unet_a_b_c.{name}")).unwrap().dtype();
    assert_eq!(dtype("lora_down.weight"), DType::F16);
    assert_eq!(dtype("lora_up.weight"), DType::F32, "-1.9 is no number of 16 bits");
    let metadata = tensors.metadata();
    assert_eq!(metadata["format"], "pt");
    assert_eq!(metadata["ss_network_module"], "lycoris.kohya");
    assert_eq!(
        ["ss_network_dim", "ss_network_alpha"].map(|key| metadata[key].as_str()),
        ["2", "1"]
    );
    assert_eq!(metadata["ss_network_args"], r#"{"algo":"lora"}"#);
    for prefix in ["", "a.b"] {
        let options = lycoris::Options { prefix, ..options };
        refused(lycoris::write(&adapter, &options), "BadArgument", &["prefix"]);
    }
}

#[test]
fn lycoris_scales_come_back_or_are_told() {
    let mut deltas = BTreeMap::new();
    for (i, scale) in awkward_scales().into_iter().enumerate() {
        let delta = scaled(lora(2, 3, 1 + i % 13), 5.0, scale);
        deltas.insert(format!("m{i}"), delta);
    }
    let adapter = Adapter { deltas, ..Adapter::default() };
    let (bytes, warnings) = lycoris::write(&adapter, &lycoris::Options::default()).unwrap();
    let groups = groups(&bytes);
    let mut rounded = 0;
    for (module, delta) in &adapter.deltas {
        let (_, scale) = lycoris_delta(&groups[&format!("lycoris_{module}")]);
        let told = warnings.iter().find(|warning| warning.module == *module);
        assert_eq!(scale == delta.scale, told.is_none(), "{module}: {scale} for {}", delta.scale);
        if let Some(warning) = told {
            assert_eq!(warning.code, "RoundedScale");
            assert!((scale / delta.scale - 1.0).abs() < 2.5e-7, "{module}: {scale}");
            rounded += 1;
        }
    }
    assert!(rounded > 0 && rounded < adapter.deltas.len() / 2, "{rounded} rounded");
}

#[test]
fn whole_factors_take_their_scale_into_w1_for_lycoris() {
    let delta = |scale| adapter([("a", scaled(lokr(whole(2, 3), whole(4, 5), 7), 7.0, scale))]);
    for (scale, codes) in [(1.0, &[][..]), (-0.25, &[]), (0.3, &["FoldedScale"])] {
        let (bytes, warnings) =
            lycoris::write(&delta(scale), &lycoris::Options::default()).unwrap();
        assert_eq!(warnings.iter().map(|w| w.code).collect::<Vec<_>>(), codes, "{scale}");
        let group = &groups(&bytes)["lycoris_a"];
        assert_eq!(group["alpha"].1, [7.0]);
        let want: Vec<f32> =
            whole(2, 3).materialise().iter().map(|x| (x * f64::from(scale)) as f32).collect();
        assert_eq!(group["lokr_w1"].1, want);
        assert_eq!(group["lokr_w2"].1, matrix(4, 5).data());
        let (got, _) = lycoris_delta(group);
        near("dW", &got, &delta(scale).deltas["a"].materialise(), 1e-7);
    }
    let large = lycoris::write(&delta(3e38), &lycoris::Options::default());
    refused(large, "NotFinite", &["module a", "lokr_w1"]);
}

#[test]
fn lycoris_dora_has_the_dimensions_of_the_weight() {
    let dora = |delta, axis, values: &[f32]| {
        let magnitude = Some(Magnitude { values: values.to_vec(), axis });
        Delta { magnitude, ..delta }
    };
    let adapter = adapter([
        ("out", dora(lora(2, 3, 1), Axis::Out, &[1.5, 2.5])),
        ("in", dora(loha(2, 3, 1), Axis::In, &[1.0, 2.0, 3.0])),
        ("conv", dora(conv(lora(2, 3 * 4, 1), &[2, 2]), Axis::In, &[1.0, 2.0, 3.0])),
    ]);
    let groups = lycoris(&adapter);
    let scale = |module: &str| groups[&format!("lycoris_{module}")]["dora_scale"].clone();
    assert_eq!(scale("out"), (vec![2, 1], vec![1.5, 2.5]));
    assert_eq!(scale("in"), (vec![1, 3], vec![1.0, 2.0, 3.0]));
    assert_eq!(scale("conv"), (vec![1, 3, 1, 1], vec![1.0, 2.0, 3.0]));
}

#[test]
fn what_a_lycoris_file_cannot_hold() {
    let write = |adapter: &Adapter| lycoris::write(adapter, &lycoris::Options::default());
    let one = |delta| write(&adapter([("a.b", delta)]));
    refused(write(&Adapter::default()), "BadArgument", &["module"]);
    let same = adapter([("a.b", lora(4, 6, 2)), ("a_b", lora(4, 6, 2))]);
    refused(write(&same), "Unsupported", &["lycoris_a_b", "a.b", "a_b"]);
    refused(one(scaled(lora(4, 6, 2), 0.0, 0.0)), "Unsupported", &["a.b", "scale of 0"]);
    refused(one(scaled(lora(4, 6, 2), 1.0, f32::INFINITY)), "NotFinite", &["a.b", "scale"]);
    let Factors::Lokr(plain) = lokr(whole(2, 2), whole(4, 2 * 3), 2).factors else { panic!() };
    let scrambled = plain.with_order(KronOrder::PeftConv1d { kernel: 3 }).unwrap();
    let scrambled = conv(Delta::new(Factors::Lokr(scrambled), 2, 2.0, 1.0), &[3]);
    refused(one(scrambled), "Unsupported", &["a.b", "PeftConv1d"]);
    let uneven = Tucker::new(matrix(2, 3 * 9), matrix(3, 6), 9).unwrap();
    let uneven = Lora::tucker(uneven, matrix(4, 2)).unwrap();
    let uneven = conv(Delta::new(Factors::Lora(uneven), 2, 2.0, 1.0), &[3, 3]);
    refused(one(uneven), "ShapeMismatch", &["a.b", "core"]);
}

// For scripts/interop.py, which loads what is written here in PEFT and in LyCORIS.

/// Writes what both formats hold of an adapter, with its base and the weights after merging.
fn write_interop(name: &str, adapter: &Adapter, base: &[u8], expected: &[u8]) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("interop").join(name);
    std::fs::create_dir_all(folder.join("peft")).unwrap();
    std::fs::write(folder.join("base.safetensors"), base).unwrap();
    std::fs::write(folder.join("expected.safetensors"), expected).unwrap();
    let (files, _) = peft::write(adapter, &peft::Options::default()).unwrap();
    for file in files.names() {
        std::fs::write(folder.join("peft").join(file), files.get(file).unwrap().1).unwrap();
    }
    if let Ok((bytes, _)) = lycoris::write(adapter, &lycoris::Options::default()) {
        std::fs::write(folder.join("lycoris.safetensors"), bytes).unwrap();
    }
}

/// A base for an adapter, and its weights after merging.
fn merged(adapter: &Adapter) -> [Vec<u8>; 2] {
    let [mut base, mut expected] = [BTreeMap::new(), BTreeMap::new()];
    for (i, (module, delta)) in adapter.deltas.iter().enumerate() {
        let shape = delta.weight_shape();
        let count = shape.iter().product::<usize>() as u64;
        let numbers =
            noise(count + i as u64).skip(i).map(|z| (z >> 40) as f32 / 16_777_216.0 - 0.5);
        let weight = Tensor::new(shape, Data::F32(numbers.collect())).unwrap();
        let after = delta.merge(&weight, 1.0, false).unwrap();
        base.insert(format!("{module}.weight"), weight);
        expected.insert(format!("{module}.merged"), after);
        if let Some(bias) = &delta.bias {
            let tensor = |data| Tensor::new(vec![bias.len()], Data::F32(data)).unwrap();
            base.insert(format!("{module}.bias"), tensor(vec![0.5; bias.len()]));
            let after = bias.iter().map(|b| 0.5 + delta.scale * b).collect();
            expected.insert(format!("{module}.bias.merged"), tensor(after));
        }
    }
    [base, expected].map(|tensors| safetensors::write(&tensors, &BTreeMap::new()).unwrap())
}

#[test]
#[ignore = "writes the files that scripts/interop.py checks"]
fn files_for_interop() {
    for (name, adapter) in cases() {
        let [base, expected] = ["base.safetensors", "expected.safetensors"].map(|f| file(&name, f));
        write_interop(&name, &adapter, &base, &expected);
    }
    let core = |r: usize, k: usize, in_n: usize| {
        Tucker::new(matrix(r, r * k), matrix(r, in_n), k).unwrap()
    };
    let kron = |ol, im, ok, in_n, kernel: &[usize]| {
        let core = core(2, kernel.iter().product(), in_n);
        let lokr = Lokr::tucker(whole(ol, im), core, matrix(ok, 2)).unwrap();
        conv(Delta::new(Factors::Lokr(lokr), 2, 1.0, 0.5), kernel)
    };
    let hada = |out, inputs, kernel: &[usize]| {
        let core = core(2, kernel.iter().product(), inputs);
        let loha = Loha::tucker([core.clone(), core], matrix(out, 2), matrix(out, 2)).unwrap();
        conv(Delta::new(Factors::Loha(loha), 2, 1.0, 0.5), kernel)
    };
    let locon = |out, inputs, kernel: &[usize]| {
        let core = core(2, kernel.iter().product(), inputs);
        let lora = Lora::tucker(core, matrix(out, 2)).unwrap();
        conv(Delta::new(Factors::Lora(lora), 2, 1.0, 0.5), kernel)
    };
    let dora = |delta: Delta| {
        let values = (0..delta.method().shape()[0]).map(|i| 1.0 + i as f32 * 0.25).collect();
        Delta { magnitude: Some(Magnitude { values, axis: Axis::Out }), ..delta }
    };
    let biased = |delta: Delta| {
        let bias = (0..delta.method().shape()[0]).map(|i| i as f32 - 1.5).collect();
        Delta { bias: Some(bias), ..delta }
    };
    let Factors::Lokr(plain) = lokr(whole(2, 4), whole(4, 6 * 3), 2).factors else { panic!() };
    let conv1 = plain.with_order(KronOrder::PeftConv1d { kernel: 3 }).unwrap();
    let conv1 = scaled(conv(Delta::new(Factors::Lokr(conv1), 2, 1.0, 0.5), &[3]), 1.0, 0.5);
    for (name, adapter) in [
        ("lokr-full-matrix", adapter([("a", lokr(whole(4, 4), whole(8, 4), 1))])),
        ("lokr-larger-first", adapter([("a", lokr(whole(16, 16), product(8, 40, 2), 2))])),
        ("lokr-factor-4", adapter([("a", lokr(whole(3, 2), product(35, 3, 1), 1))])),
        (
            "lokr-both-and-whole",
            adapter([
                ("a", scaled(lokr(product(8, 8, 2), product(8, 8, 2), 2), 3.0, 1.5)),
                ("b", scaled(lokr(whole(8, 8), whole(8, 16), 2), 0.1, 0.3)),
            ]),
        ),
        ("lokr-core-conv2d", adapter([("a", kron(2, 2, 16, 8, &[2, 3]))])),
        ("lokr-core-conv1d", adapter([("a", kron(4, 4, 8, 8, &[3]))])),
        ("lokr-whole-conv1d", adapter([("a", conv1)])),
        ("loha-core", adapter([("a", hada(4, 6, &[2, 3])), ("b", loha(4, 6, 2))])),
        ("loha-core-conv1d", adapter([("a", hada(4, 6, &[3]))])),
        ("locon-core", adapter([("a", locon(4, 6, &[3, 3])), ("b", conv(lora(4, 6, 3), &[1, 1]))])),
        (
            "lora-convolutions",
            adapter([
                ("one", scaled(conv(lora(4, 6 * 3, 2), &[3]), 7.0, 0.3)),
                ("two", scaled(conv(lora(4, 6 * 6, 3), &[2, 3]), 7.0, -1.7)),
                ("three", conv(lora(4, 6 * 8, 2), &[2, 2, 2])),
            ]),
        ),
        (
            "lora-dora-convolutions",
            adapter([
                ("one", dora(conv(lora(4, 6 * 3, 2), &[3]))),
                ("two", dora(conv(lora(4, 6 * 6, 3), &[2, 3]))),
                ("three", dora(conv(lora(4, 6 * 8, 2), &[2, 2, 2]))),
                ("linear", dora(scaled(lora(5, 7, 2), 2.0, 0.7))),
            ]),
        ),
        (
            "lora-bias",
            adapter([
                ("two", biased(conv(lora(4, 6 * 6, 3), &[2, 3]))),
                ("linear", biased(scaled(lora(5, 7, 2), 2.0, 0.7))),
            ]),
        ),
        (
            "lora-names",
            adapter([
                ("proj", scaled(lora(4, 6, 2), 4.0, 2.0)),
                ("b.proj", scaled(lora(4, 6, 3), 3.0, 1.0)),
                ("bxproj", scaled(lora(4, 6, 5), 1.0, 0.2)),
                ("c.b.proj", scaled(lora(4, 6, 3), 6.0, 2.0 / 3f32.sqrt())),
            ]),
        ),
    ] {
        let [base, expected] = merged(&adapter);
        write_interop(name, &adapter, &base, &expected);
    }
}
