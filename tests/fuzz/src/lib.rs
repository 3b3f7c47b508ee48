//! What every target asks of an adapter, and what must hold of the answers.

use lokahi::Error;
use lokahi::adapter::{Adapter, Delta, Orientation};
use lokahi::format::{AdapterFile, Base, Conventions, Outline, Tensors, gguf};
use lokahi::tensor::{DType, Data, Tensor};

/// The largest `dW` that is formed, in numbers.
const SMALL: usize = 4096;

/// Opens a file and asks everything of it.
pub fn open(config: Option<&[u8]>, bytes: &[u8], conventions: &Conventions) {
    let Ok(tensors) = Tensors::parse("adapter.safetensors", bytes) else { return };
    let config = config.map(|bytes| ("adapter_config.json", bytes));
    let Ok(mut file) = AdapterFile::open(config, tensors, conventions) else { return };
    ask(&file);
    // A base whose every weight fits.
    let shapes = file.modules().filter_map(|module| {
        let shape = file.delta(module).ok()?.weight_shape();
        Some((format!("model.{module}.weight"), shape))
    });
    let Ok(base) = Base::new(shapes.chain(experts(&file)).collect::<Vec<_>>()) else { return };
    let (modules, before) = (file.modules().count(), scales(&file));
    if file.resolve(&base).is_ok() {
        ask(&file);
        assert!(scales(&file) == before || file.modules().any(|m| m.contains("_proj.")));
    }
    // Whatever comes of it, no module is lost.
    assert!(file.modules().count() >= modules);
}

/// Fused parameters of two experts that the factors of modules called so may belong to.
fn experts(file: &AdapterFile<'_>) -> impl Iterator<Item = (String, Vec<usize>)> {
    let parameter = |module: &str, parameter: &str| {
        let shape = |role| file.tensors().shape(&format!("{module}.lora_{role}.weight"));
        let (&[_, inputs], &[out, _]) = (shape("A")?, shape("B")?) else { return None };
        Some((format!("model.experts.{parameter}"), vec![2, inputs, out]))
    };
    [parameter("experts", "gate_up_proj"), parameter("experts.base_layer", "down_proj")]
        .into_iter()
        .flatten()
}

/// Rank and scale of every module; names say nothing here.
fn scales(file: &AdapterFile<'_>) -> Vec<(usize, u32)> {
    let outlines = file.modules().filter_map(|module| file.outline(module).ok());
    let mut scales: Vec<_> = outlines.map(|o| (o.rank(), o.scale().to_bits())).collect();
    scales.sort_unstable();
    scales
}

fn ask(file: &AdapterFile<'_>) {
    for module in file.modules() {
        let outline = file.outline(module);
        assert!(outline.is_err() || file.ranges(module).is_ok());
        match (outline, file.delta(module)) {
            (Ok(outline), Ok(delta)) => {
                agree(&outline, &delta);
                use_delta(&delta);
            }
            // Only the numbers can tell these.
            (Ok(_), Err(Error::NotFinite { .. })) | (Err(_), Err(_)) => {}
            (outline, delta) => panic!("{module}: {outline:?}, but {delta:?}"),
        }
        let _ = file.stored(module);
    }
    if let Ok(adapter) = file.read() {
        use_adapter(&adapter);
    }
}

/// The header alone must tell what the numbers tell.
fn agree(outline: &Outline, delta: &Delta) {
    let method = delta.method();
    assert_eq!(outline.method(), delta.factors.name());
    assert_eq!(outline.shape(), method.shape());
    assert_eq!(outline.layer(), &delta.layer);
    assert_eq!(outline.rank(), delta.rank);
    assert_eq!(outline.alpha().to_bits(), delta.alpha.to_bits());
    assert_eq!(outline.scale().to_bits(), delta.scale.to_bits());
    assert_eq!(outline.rank_bound(), method.rank_bound());
    assert_eq!(outline.tensors(), method.tensors());
    assert_eq!(outline.has_magnitude(), delta.magnitude.is_some());
    assert_eq!(outline.has_bias(), delta.bias.is_some());
}

/// Forms, applies and merges a delta that is small enough.
fn use_delta(delta: &Delta) {
    assert!(delta.scale.is_finite() && delta.alpha.is_finite());
    let [out, inputs] = delta.method().shape();
    let small = |n: usize, by: usize| n.checked_mul(by).is_some_and(|n| n <= SMALL);
    if !small(out, inputs) || !small(delta.method().parameters(), 1) {
        return;
    }
    let dw = delta.materialise();
    assert_eq!(dw.len(), out * inputs);
    assert!(dw.iter().all(|v| v.is_finite()), "{delta:?}");
    let x: Vec<f64> = (0..inputs).map(|j| (j % 7) as f64 - 3.0).collect();
    let y = delta.apply(&x);
    for (row, y) in dw.chunks(inputs).zip(&y) {
        let terms = row.iter().zip(&x).map(|(w, x)| w * x);
        let (sum, size) = terms.fold((0.0, 0.0), |(s, a), t| (s + t, a + f64::abs(t)));
        // Factors of any size cancel inside `dW`; only sums of moderate numbers are compared.
        if factors_are_moderate(delta) {
            assert!((sum - y).abs() <= 1e-9 * size + 1e-9, "{y} for {sum} in {delta:?}");
        }
    }
    merge(delta, &dw);
}

fn factors_are_moderate(delta: &Delta) -> bool {
    use lokahi::adapter::{Factors, KronFactor};
    let moderate = |m: &lokahi::tensor::Matrix| m.data().iter().all(|v| v.abs() < 100.0);
    let kron = |f: &KronFactor| match f {
        KronFactor::Full(m) => moderate(m),
        KronFactor::LowRank { a, b } => moderate(a) && moderate(b),
    };
    delta.scale.abs() < 100.0
        && match &delta.factors {
            Factors::Lora(f) => moderate(f.a()) && moderate(f.b()),
            Factors::Lokr(f) => kron(f.w1()) && kron(f.w2()),
            Factors::Loha(_) => true,
        }
}

fn merge(delta: &Delta, dw: &[f64]) {
    let shape = delta.weight_shape();
    let len = shape.iter().product();
    let zeros = Tensor::new(shape.clone(), Data::F32(vec![0.0; len])).unwrap();
    let ones = Tensor::new(shape.clone(), Data::F16(vec![0x3c00; len])).unwrap();
    if let (Ok(merged), None) = (delta.merge(&zeros, 1.0, false), &delta.magnitude) {
        let straight = delta.orientation(&shape, false) == Ok(Orientation::Straight);
        for (i, &v) in dw.iter().enumerate().filter(|_| straight) {
            assert_eq!(merged.at(i), v as f32);
        }
    }
    if let Ok(merged) = delta.merge(&ones, 0.0, false) {
        assert_eq!(merged, ones);
    }
    let _ = delta.merge(&ones, 1.0, false);
}

/// What can be written must be read back.
pub fn use_adapter(adapter: &Adapter) {
    for (name, rows) in &adapter.rows {
        let width = rows.values().shape()[1];
        let tokens = rows.indices().iter().max().map_or(1, |&n| n.saturating_add(1));
        if tokens.saturating_mul(width) <= SMALL {
            let numbers = Data::F32(vec![0.0; tokens * width]);
            let table = Tensor::new(vec![tokens, width], numbers).unwrap();
            let _ = rows.merge(&table, 1.0).map_err(|e| panic!("{name}: {e}"));
        }
    }
    let heads = gguf::rope_order::Heads { query: 1, key_value: 1 };
    let base = gguf::lora::Base { architecture: "llama", heads, tie_word_embeddings: false };
    let Ok(bytes) = gguf::lora::write(adapter, &base, DType::F16) else { return };
    let file = gguf::Gguf::parse("written.gguf", &bytes).unwrap();
    let back = gguf::lora::read(&file, Some(heads)).unwrap();
    assert!(adapter.deltas.keys().eq(back.deltas.keys()));
    for (delta, back) in adapter.deltas.values().zip(back.deltas.values()) {
        assert_eq!(delta.method().shape(), back.method().shape());
    }
}

/// Reads a GGUF file in every way, and asks everything of what comes.
pub fn open_gguf(bytes: &[u8]) {
    let Ok(file) = gguf::Gguf::parse("adapter.gguf", bytes) else { return };
    for name in file.header().tensors.keys() {
        let _ = file.raw(name);
        let _ = file.get(name);
    }
    let heads = gguf::rope_order::Heads { query: 2, key_value: 1 };
    let ways = [gguf::lora::read(&file, None), gguf::lora::read(&file, Some(heads))];
    for adapter in ways.into_iter().chain([gguf::lora::read_as_stored(&file)]).flatten() {
        adapter.deltas.values().for_each(use_delta);
        use_adapter(&adapter);
    }
}
