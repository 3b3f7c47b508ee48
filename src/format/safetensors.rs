//! Safetensors files (<https://github.com/huggingface/safetensors>): eight bytes that give the
//! length of a JSON header, the header, then the numbers, little-endian.
//!
//! The header is parsed by the `safetensors` crate. Its lengths are compared with the file here,
//! with checked arithmetic, since `usize` has 32 bits in a browser.

use std::collections::{BTreeMap, HashMap};

use ::safetensors::tensor::{Dtype, Metadata, TensorInfo};

use super::json::Strict;
use super::look::{impostor, short};
use super::numbers::from_le_bytes;
use crate::tensor::{DType, Data, Tensor};
use crate::{Error, Result};

/// The longest header that is read, in bytes; the limit of the reference reader.
const MAX_HEADER: u64 = 100_000_000;

/// A parsed safetensors file, borrowing its bytes.
#[derive(Debug)]
pub struct Tensors<'a> {
    file: String,
    header: Metadata,
    /// The numbers of all tensors.
    data: &'a [u8],
}

impl<'a> Tensors<'a> {
    /// Reads the header; `file` is the name for errors. The header must describe exactly the bytes
    /// that follow it.
    pub fn parse(file: &str, bytes: &'a [u8]) -> Result<Self> {
        let bad = |got: String| Error::BadFile {
            file: file.to_owned(),
            expected: "a safetensors file".into(),
            got,
        };
        let (header, data) = split(bytes).map_err(bad)?;
        let header: Strict = serde_json::from_slice(header)
            .map_err(|e| bad(format!("a header that is not JSON: {e}")))?;
        let header: Metadata = serde_json::from_value(header.0)
            .map_err(|e| bad(format!("a broken header: {}", short(&e.to_string(), 200))))?;
        // `Metadata` has checked that the tensors lie one behind the other and that each is as
        // long as its shape says, so its end is the end of all of them.
        let (wanted, got) = (header.data_len(), data.len());
        if wanted > got {
            let behind = bytes.len() - got;
            return Err(bad(format!(
                "a truncated file: its header describes {} bytes, the file has {}",
                behind as u64 + wanted as u64,
                bytes.len()
            )));
        }
        if wanted < got {
            return Err(bad(format!("{} bytes more than its header describes", got - wanted)));
        }
        Ok(Self { file: file.to_owned(), header, data })
    }

    /// Name of the file, for errors.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Names of all tensors, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = self.header.offset_keys();
        names.sort_unstable();
        names
    }

    /// Shape of a tensor, slowest dimension first; `None` where there is no such tensor.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.header.info(name).map(|info| info.shape.as_slice())
    }

    /// The texts under `__metadata__`.
    #[must_use]
    pub fn metadata(&self) -> BTreeMap<&str, &str> {
        let texts = self.header.metadata().iter().flat_map(HashMap::iter);
        texts.map(|(k, v)| (k.as_str(), v.as_str())).collect()
    }

    /// A tensor in its stored dtype: F32, F16 or BF16.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let missing =
            || Error::MissingTensor { module: self.file.clone(), tensor: name.to_owned() };
        let info = self.header.info(name).ok_or_else(missing)?;
        let data = self.numbers(name, info)?;
        Tensor::new(info.shape.clone(), data)
    }

    fn numbers(&self, name: &str, info: &TensorInfo) -> Result<Data> {
        let (start, end) = info.data_offsets;
        let bytes = self.data.get(start..end).unwrap_or(&[]);
        let dtype = match info.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => {
                return Err(Error::Unsupported {
                    what: format!("{}: dtype of tensor {name}", self.file),
                    got: format!("{other:?}"),
                    supported: "F32, F16, BF16".into(),
                });
            }
        };
        Ok(from_le_bytes(dtype, bytes))
    }
}

/// Header and numbers of a file, or what the bytes are instead.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        let got = impostor(bytes).map(str::to_owned);
        return Err(got.unwrap_or_else(|| format!("a file of {} bytes", bytes.len())));
    };
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER {
        // Text, and most other formats, have no zeros in their first bytes: read as a length they
        // are far too large.
        return Err(match (impostor(bytes), bytes.trim_ascii_start().first()) {
            (Some(got), _) => got.to_owned(),
            (None, Some(b'{' | b'[')) => "a JSON file".to_owned(),
            _ => format!("a header length of {length} bytes (at most {MAX_HEADER} are read)"),
        });
    }
    usize::try_from(length).ok().and_then(|n| rest.split_at_checked(n)).ok_or_else(|| {
        format!(
            "a truncated file: its header alone would take {length} bytes behind the first 8, \
             the file has {} bytes",
            bytes.len()
        )
    })
}
