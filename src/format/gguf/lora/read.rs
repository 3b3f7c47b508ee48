//! A GGUF file to an adapter.

use std::collections::BTreeSet;

use super::{
    A, ALPHA, ARCHITECTURE, B, SIGNS, check_architecture, check_heads, is_linear, reorder, scale,
};
use crate::adapter::{Adapter, Delta, Factors, Lora, Warning};
use crate::format::gguf::rope_order::{self, Heads, is_reordered};
use crate::format::gguf::{Gguf, Metadata, names};
use crate::format::look::short;
use crate::format::module::{MAX_RANK, at, check_size, factor};
use crate::tensor::Matrix;
use crate::{Error, Result};

/// The adapter in a file. `heads` are those of the base model: they undo llama.cpp's order of the
/// rows of q and k, and the file does not tell them. Without them, a file that needs them is an
/// error. Every tensor is used, or named in the error or a warning.
pub fn read(file: &Gguf<'_>, heads: Option<Heads>) -> Result<Adapter> {
    read_rows(file, heads.map_or(Rows::Unknown, Rows::Transformers))
}

/// [`read`] without the base model: the rows of q and k stay in llama.cpp's order, with a warning.
/// Ranks, counts and spectra do not depend on it, but such an adapter is wrong on a model.
pub fn read_as_stored(file: &Gguf<'_>) -> Result<Adapter> {
    read_rows(file, Rows::AsStored)
}

/// What becomes of the rows that llama.cpp has in its own order.
#[derive(Clone, Copy)]
enum Rows {
    Unknown,
    AsStored,
    Transformers(Heads),
}

fn read_rows(file: &Gguf<'_>, rows: Rows) -> Result<Adapter> {
    let metadata = &file.header().metadata;
    let architecture = check_metadata(metadata)?;
    let alpha = metadata.f32(ALPHA)?.unwrap_or(0.0);
    let mut adapter = Adapter::default();
    if alpha == 0.0 {
        let message = format!("{ALPHA} is absent or 0: the scale is 1, as in llama.cpp");
        adapter.warnings.push(Warning { code: "NoAlpha", module: String::new(), message });
    }
    for weight in weights(file, &mut adapter.warnings)? {
        let module = module(weight)?;
        let (a, mut b) = (matrix(file, &module, weight, A)?, matrix(file, &module, weight, B)?);
        check_size(&module, &[b.rows(), a.cols()])?;
        if is_reordered(architecture, &module) {
            match rows {
                Rows::Transformers(heads) => {
                    let heads = heads.of(&module);
                    let order = |rows: &[f32], r| rope_order::to_transformers(rows, r, heads);
                    b = reorder(&b, order).map_err(|e| at(&module, e))?;
                }
                Rows::Unknown => {
                    return Err(Error::argument(
                        "heads",
                        "the heads of the base model, from its config.json or GGUF file",
                        format!("none, and llama.cpp has the rows of {module} in its own order"),
                    ));
                }
                Rows::AsStored => adapter.warnings.push(Warning {
                    code: "StoredRowOrder",
                    module: module.clone(),
                    message: "rows in llama.cpp's order: do not run it on a model".into(),
                }),
            }
        }
        let rank = a.rows();
        let lora = Lora::new(a, b).map_err(|e| at(&module, e))?;
        // llama.cpp reads an alpha of 0 as none.
        let alpha = if alpha == 0.0 { rank as f32 } else { alpha };
        let (factors, scale) = (Factors::Lora(lora), scale(alpha, rank));
        adapter.deltas.insert(module, Delta::new(factors, rank, alpha, scale));
    }
    if let Rows::Transformers(heads) = rows {
        check_heads(&adapter, architecture, heads)?;
    }
    Ok(adapter)
}

/// The architecture of the base, where this is a LoRA file for one that is known.
fn check_metadata(metadata: &Metadata) -> Result<&str> {
    for (key, value) in SIGNS {
        if metadata.text(key)? != Some(value) {
            return Err(metadata.bad(key, format!("{value:?}")));
        }
    }
    let tokens = "adapter.alora.invocation_tokens";
    if metadata.has(tokens) {
        return Err(Error::Unsupported {
            what: format!("{}: {tokens}", metadata.file()),
            got: "an adapter that begins in the middle of a text (aLoRA)".into(),
            supported: "none".into(),
        });
    }
    let architecture = metadata.need(ARCHITECTURE, Metadata::text)?;
    check_architecture(metadata.file(), architecture)?;
    Ok(architecture)
}

/// The weights that have factors. llama.cpp skips norms that a file brings along, and so does this.
fn weights<'a>(file: &'a Gguf<'_>, warnings: &mut Vec<Warning>) -> Result<BTreeSet<&'a str>> {
    let mut weights = BTreeSet::new();
    for tensor in file.header().tensors.keys() {
        if let Some(weight) = tensor.strip_suffix(A).or_else(|| tensor.strip_suffix(B)) {
            weights.insert(weight);
        } else if tensor.ends_with("_norm.weight") {
            let module = short(tensor.trim_end_matches(".weight"), 200);
            let message = "a norm that comes with an adapter is not used, as in llama.cpp".into();
            warnings.push(Warning { code: "IgnoredNorm", module, message });
        } else {
            let reason = format!("known suffixes are {A} and {B}");
            return Err(Error::UnknownTensor { tensor: short(tensor, 200), reason });
        }
    }
    if weights.is_empty() {
        return Err(Error::BadFile {
            file: file.header().metadata.file().to_owned(),
            expected: "the factors of at least one module".into(),
            got: "no adapter tensors".into(),
        });
    }
    Ok(weights)
}

/// The module of a weight, by transformers' name.
fn module(weight: &str) -> Result<String> {
    let module = names::to_transformers(weight)
        .and_then(|tensor| tensor.strip_suffix(".weight").map(str::to_owned))
        .filter(|module| is_linear(module));
    module.ok_or_else(|| Error::UnknownTensor {
        tensor: format!("{}{A}", short(weight, 200)),
        reason: "no Linear weight of the Llama family; nothing else is supported yet".into(),
    })
}

fn matrix(file: &Gguf<'_>, module: &str, weight: &str, suffix: &str) -> Result<Matrix> {
    let tensor = format!("{weight}{suffix}");
    if !file.header().tensors.contains_key(&tensor) {
        return Err(Error::MissingTensor { module: module.to_owned(), tensor });
    }
    let matrix = factor(&tensor, &file.get(&tensor)?)?;
    let rank = if suffix == A { matrix.rows() } else { matrix.cols() };
    if rank > MAX_RANK {
        return Err(Error::ShapeMismatch {
            what: format!("tensor {tensor}"),
            expected: format!("a rank of at most {MAX_RANK}"),
            got: format!("{:?}", matrix.shape()),
        });
    }
    Ok(matrix)
}
