//! The factors of a module in the shapes that files have. PEFT and LyCORIS write LoHa and LoKr
//! alike, and LoRA but for its names.

use crate::adapter::{Adapter, Delta, Factors, KronFactor, KronOrder, Layer, Lokr, Tucker};
use crate::tensor::{DType, Matrix, Tensor, check_finite};
use crate::{Error, Result};

use super::module::at;
use super::numbers::narrow;

/// The names of LoRA's factors in a family of files.
pub(super) struct LoraNames {
    /// `A`.
    pub(super) down: &'static str,
    /// `B`.
    pub(super) up: &'static str,
    /// The core between them; without a name for it, core and `A` are written as their product.
    pub(super) mid: Option<&'static str>,
}

/// Lengths of the kernel, none where there is no kernel.
pub(super) fn kernel(delta: &Delta) -> &[usize] {
    match &delta.layer {
        Layer::Conv { kernel } => kernel,
        Layer::Linear | Layer::Embedding | Layer::Expert(_) => &[],
    }
}

/// Whether something stands between the outer factors: LoCon's `lora_mid`, `hada_t1`, `lokr_t2`.
pub(super) fn cores(delta: &Delta) -> Vec<&Tucker> {
    match &delta.factors {
        Factors::Lora(lora) => lora.core().into_iter().collect(),
        Factors::Loha(loha) => loha.cores().into_iter().flatten().collect(),
        Factors::Lokr(lokr) => lokr.core().into_iter().collect(),
    }
}

/// The factors of a module by their suffixes, as `dtype` where it holds all numbers of one exactly,
/// else as F32. `core` is the kernel as cores have it.
pub(super) fn factors(
    module: &str,
    delta: &Delta,
    lora_names: &LoraNames,
    core: &[usize],
    dtype: DType,
) -> Result<Vec<(&'static str, Tensor)>> {
    let (kernel, ones) = (kernel(delta), vec![1; kernel(delta).len()]);
    let put = |name: &'static str, matrix: &Matrix, kernel: &[usize]| {
        let tensor = spread(&format!("module {module}: {name}"), matrix, kernel, dtype);
        tensor.map(|tensor| (name, tensor)).map_err(|e| at(module, e))
    };
    for core in cores(delta) {
        if core.core_shape()[0] != core.core_shape()[1] {
            return Err(Error::ShapeMismatch {
                what: format!("module {module}: core"),
                expected: "one rank on both sides".into(),
                got: format!("{:?}", core.core_shape()),
            });
        }
    }
    match &delta.factors {
        Factors::Lora(lora) => match (lora.core(), lora_names.mid) {
            (Some(tucker), Some(mid)) => vec![
                put(lora_names.down, tucker.b(), &ones),
                put(mid, tucker.core(), core),
                put(lora_names.up, lora.b(), &ones),
            ],
            _ => vec![put(lora_names.down, lora.a(), kernel), put(lora_names.up, lora.b(), &ones)],
        },
        Factors::Loha(loha) => match loha.cores() {
            Some([first, second]) => vec![
                put("hada_t1", first.core(), core),
                put("hada_w1_a", &loha.w1_a().transposed(), &[]),
                put("hada_w1_b", first.b(), &[]),
                put("hada_t2", second.core(), core),
                put("hada_w2_a", &loha.w2_a().transposed(), &[]),
                put("hada_w2_b", second.b(), &[]),
            ],
            None => vec![
                put("hada_w1_a", loha.w1_a(), &[]),
                put("hada_w1_b", loha.w1_b(), &[]),
                put("hada_w2_a", loha.w2_a(), &[]),
                put("hada_w2_b", loha.w2_b(), &[]),
            ],
        },
        Factors::Lokr(lokr) => {
            let mut tensors = match lokr.w1() {
                KronFactor::Full(w1) => vec![put("lokr_w1", w1, &[])],
                KronFactor::LowRank { a, b } => {
                    vec![put("lokr_w1_a", a, &[]), put("lokr_w1_b", b, &[])]
                }
            };
            match (lokr.w2(), lokr.core()) {
                (KronFactor::Full(w2), _) => tensors.push(put("lokr_w2", w2, kernel)),
                (KronFactor::LowRank { a, .. }, Some(tucker)) => tensors.extend([
                    put("lokr_t2", tucker.core(), core),
                    put("lokr_w2_a", &a.transposed(), &[]),
                    put("lokr_w2_b", tucker.b(), &[]),
                ]),
                (KronFactor::LowRank { a, b }, None) => {
                    tensors.extend([put("lokr_w2_a", a, &[]), put("lokr_w2_b", b, &[])]);
                }
            }
            tensors
        }
    }
    .into_iter()
    .collect()
}

/// `[rows, columns * kernel]` as `[rows, columns, kernel...]`.
fn spread(what: &str, matrix: &Matrix, kernel: &[usize], dtype: DType) -> Result<Tensor> {
    let columns = matrix.cols().checked_div(kernel.iter().product()).unwrap_or(0);
    tensor(what, [&[matrix.rows(), columns], kernel].concat(), matrix.data(), dtype)
}

/// Finite numbers, stored as `dtype` where it holds all of them exactly, else as F32.
pub(super) fn tensor(
    what: &str,
    shape: Vec<usize>,
    numbers: &[f32],
    dtype: DType,
) -> Result<Tensor> {
    check_finite(what, numbers)?;
    Tensor::new(shape, narrow(numbers, dtype))
}

/// Checks what both families ask of an adapter: it has modules, and each has a name and a scale.
pub(super) fn check(adapter: &Adapter) -> Result<()> {
    if adapter.deltas.is_empty() {
        return Err(Error::argument("adapter", "at least one module", "none"));
    }
    for (module, delta) in &adapter.deltas {
        if module.is_empty() {
            return Err(Error::argument("adapter", "modules with names", "an empty name"));
        }
        check_finite(&format!("module {module}: scale"), &[delta.scale])?;
    }
    Ok(())
}

/// Checks that a product lies in the order that its reader will give it.
pub(super) fn check_order(
    module: &str,
    lokr: &Lokr,
    wanted: KronOrder,
    format: &str,
) -> Result<()> {
    let got = lokr.order();
    let ([ol, im], [ok, columns]) = (lokr.w1().shape(), lokr.w2().shape());
    let alike = match (got, wanted) {
        _ if got == wanted => true,
        (KronOrder::PeftConv1d { .. }, KronOrder::PeftConv1d { .. }) => false,
        (KronOrder::PeftConv1d { kernel }, _) | (_, KronOrder::PeftConv1d { kernel }) => {
            (ol == 1 || ok == 1) && (im == 1 || columns == kernel)
        }
        (KronOrder::Plain, KronOrder::Plain) => true,
    };
    if alike {
        return Ok(());
    }
    Err(Error::Unsupported {
        what: format!("module {module} in a {format}"),
        got: format!("a Kronecker product in the order {got:?}"),
        supported: format!("{wanted:?}, in which {format}s are read"),
    })
}

/// The alpha for which `alpha / rank` is the scale in f32, if there is one; `wish` where it is.
pub(super) fn exact_alpha(scale: f32, rank: usize, wish: f32) -> Option<f32> {
    // Division rounds: the product may miss by one step an alpha that gives the scale exactly.
    let near = scale * rank as f32;
    let candidates = [wish, near, near.next_up(), near.next_down()];
    candidates.into_iter().find(|&alpha| alpha / rank as f32 == scale)
}
