//! An adapter to a GGUF file.

use std::collections::BTreeMap;

use super::{
    A, ALPHA, ARCHITECTURE, B, SIGNS, check_architecture, check_heads, is_linear, reorder, scale,
};
use crate::adapter::{Adapter, Delta, Factors, Layer, Lora};
use crate::format::gguf::rope_order::{self, Heads, is_reordered};
use crate::format::gguf::{Metadata, names};
use crate::format::module::at;
use crate::format::numbers::narrow;
use crate::format::stored::exact_alpha;
use crate::tensor::{DType, Matrix, Tensor, check_finite};
use crate::{Error, Result};

/// The base model that an adapter is written for.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// llama.cpp's name: one of [`names::ARCHITECTURES`].
    pub architecture: &'a str,
    /// Its heads.
    pub heads: Heads,
    /// Whether its output head is the embedding table: llama.cpp then has no head to adapt.
    pub tie_word_embeddings: bool,
}

/// The bytes of an adapter file. Factors are stored as `dtype` where it holds them exactly, as F32
/// otherwise. The file has one alpha for all modules: where `alpha / r` is not the scale of a
/// module (rslora, patterns), the ratio is multiplied into its `lora_b`.
pub fn write(adapter: &Adapter, base: &Base<'_>, dtype: DType) -> Result<Vec<u8>> {
    check_architecture("the base model", base.architecture)?;
    check_heads(adapter, base.architecture, base.heads)?;
    if let Some(name) = adapter.replaced.keys().chain(adapter.rows.keys()).next() {
        return Err(Error::Unsupported {
            what: format!("{name} in a GGUF adapter"),
            got: "a weight saved whole".into(),
            supported: "factors of LoRA".into(),
        });
    }
    if adapter.deltas.is_empty() {
        return Err(Error::argument("adapter", "at least one module", "none"));
    }
    let alpha = common_alpha(adapter);
    let mut tensors = BTreeMap::new();
    for (module, delta) in &adapter.deltas {
        let (weight, lora) = writable(module, delta, base)?;
        let mut b = fold(module, lora.b(), delta.scale, scale(alpha, lora.a().rows()))?;
        if is_reordered(base.architecture, module) {
            let heads = base.heads.of(module);
            let order = |rows: &[f32], r| rope_order::from_transformers(rows, r, heads);
            b = reorder(&b, order).map_err(|e| at(module, e))?;
        }
        for (suffix, matrix) in [(A, lora.a()), (B, &b)] {
            let tensor = Tensor::new(matrix.shape().to_vec(), narrow(matrix.data(), dtype))?;
            tensors.insert(format!("{weight}{suffix}"), tensor);
        }
    }
    let mut metadata = Metadata::new("adapter.gguf");
    metadata.insert(ARCHITECTURE, base.architecture);
    metadata.insert(ALPHA, alpha);
    for (key, value) in SIGNS {
        metadata.insert(key, value);
    }
    crate::format::gguf::write(&metadata, &tensors)
}

/// The weight and the factors of a module that llama.cpp can apply.
fn writable<'a>(module: &str, delta: &'a Delta, base: &Base<'_>) -> Result<(String, &'a Lora)> {
    let refuse = |got: &str, supported: &str| Error::Unsupported {
        what: format!("module {module} in a GGUF adapter"),
        got: got.to_owned(),
        supported: supported.to_owned(),
    };
    let Factors::Lora(lora) = &delta.factors else {
        return Err(refuse(delta.factors.name(), "LoRA"));
    };
    if delta.magnitude.is_some() || delta.bias.is_some() || delta.layer != Layer::Linear {
        return Err(refuse("DoRA, a bias or a layer that is not Linear", "plain LoRA"));
    }
    if module == "lm_head" && base.tie_word_embeddings {
        return Err(refuse("an output head that is tied to the embeddings", "a head of its own"));
    }
    let weight =
        names::from_transformers(&format!("{module}.weight")).filter(|_| is_linear(module));
    let weight =
        weight.ok_or_else(|| refuse("this module", "Linear weights of the Llama family"))?;
    Ok((weight, lora))
}

/// The alpha that fits most modules as it is.
fn common_alpha(adapter: &Adapter) -> f32 {
    let mut votes: BTreeMap<u32, usize> = BTreeMap::new();
    for delta in adapter.deltas.values() {
        let rank = delta.method().rank().unwrap_or(delta.rank);
        let exact = exact_alpha(delta.scale, rank, delta.alpha);
        let alpha = exact.unwrap_or(delta.scale * rank as f32);
        // llama.cpp reads 0 as a scale of 1.
        if alpha.is_normal() {
            *votes.entry(alpha.to_bits()).or_default() += 1;
        }
    }
    let most = votes.into_iter().max_by_key(|(_, count)| *count);
    most.map_or(1.0, |(bits, _)| f32::from_bits(bits))
}

/// `lora_b` times `scale / file_scale`, so that the file's scale gives the same product.
fn fold(module: &str, b: &Matrix, scale: f32, file_scale: f32) -> Result<Matrix> {
    if scale == file_scale {
        return Ok(b.clone());
    }
    let ratio = f64::from(scale) / f64::from(file_scale);
    let data: Vec<f32> = b.data().iter().map(|&x| (f64::from(x) * ratio) as f32).collect();
    check_finite(&format!("module {module}: lora_B times {ratio}"), &data)?;
    Matrix::new(b.rows(), b.cols(), data)
}
