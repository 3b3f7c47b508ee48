//! Safetensors files (<https://github.com/huggingface/safetensors>): eight bytes that give the
//! length of a JSON header, the header, then the numbers, little-endian.
//!
//! The header alone tells what is in a file and where; numbers are read from the parts of the file
//! that are at hand.

mod header;
mod write;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use header::{Entry, Header};
pub use write::{NewEntry, header, write};

use super::Parts;
use super::numbers::{append_le_bytes, from_le_bytes};
use crate::tensor::{DType, Tensor};
use crate::{Error, Result};

/// A safetensors file: its header, and the bytes that are at hand.
#[derive(Debug)]
pub struct Tensors<'a> {
    header: Header,
    parts: Parts<'a>,
}

impl<'a> Tensors<'a> {
    /// A file that is in memory whole; `file` is its name for errors. The header must describe
    /// exactly the bytes that follow it.
    pub fn parse(file: &str, bytes: &'a [u8]) -> Result<Self> {
        let header = Header::parse(file, bytes, bytes.len() as u64)?.whole(file)?;
        Ok(Self::new(header, Parts::whole(bytes)))
    }

    /// A file of which some parts are at hand.
    #[must_use]
    pub fn new(header: Header, parts: Parts<'a>) -> Self {
        Self { header, parts }
    }

    /// What the file says of itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Name of the file, for errors.
    #[must_use]
    pub fn file(&self) -> &str {
        self.header.file()
    }

    /// Names of all tensors, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.header.names().map(str::to_owned).collect()
    }

    /// Shape of a tensor, slowest dimension first; `None` where there is no such tensor.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.header.entry(name).map(|entry| entry.shape.as_slice())
    }

    /// The texts under `__metadata__`.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        self.header.metadata()
    }

    /// Shape and dtype of a tensor that must be there and hold F32, F16 or BF16 numbers.
    pub fn float(&self, name: &str) -> Result<(&[usize], DType)> {
        let entry = self.entry(name)?;
        let dtype = entry.float().ok_or_else(|| Error::Unsupported {
            what: format!("{}: dtype of tensor {name}", self.file()),
            got: entry.dtype.to_owned(),
            supported: "F32, F16, BF16".into(),
        })?;
        Ok((&entry.shape, dtype))
    }

    /// A tensor in its stored dtype: F32, F16 or BF16.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        self.float(name)?;
        decode(self.entry(name)?, self.bytes(name)?)
    }

    /// The stored bytes of a tensor.
    pub fn bytes(&self, name: &str) -> Result<&[u8]> {
        let range = &self.entry(name)?.range;
        self.parts.get(range).ok_or_else(|| Error::BadFile {
            file: self.file().to_owned(),
            expected: format!("bytes {range:?} of tensor {name}"),
            got: "a part of the file without them".into(),
        })
    }

    /// Adds bytes that lie at `start` in the file.
    pub fn insert(&mut self, start: u64, bytes: impl Into<Cow<'a, [u8]>>) {
        self.parts.insert(start, bytes);
    }

    /// Forgets the bytes that are at hand.
    pub fn clear(&mut self) {
        self.parts = Parts::new();
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        self.header.entry(name).ok_or_else(|| Error::MissingTensor {
            module: self.file().to_owned(),
            tensor: name.to_owned(),
        })
    }
}

/// The tensor whose stored bytes these are: F32, F16 or BF16.
pub fn decode(entry: &Entry, bytes: &[u8]) -> Result<Tensor> {
    let dtype = entry.float().ok_or_else(|| Error::Unsupported {
        what: format!("dtype of tensor {}", entry.name),
        got: entry.dtype.to_owned(),
        supported: "F32, F16, BF16".into(),
    })?;
    Tensor::new(entry.shape.clone(), from_le_bytes(dtype, bytes))
}

/// The bytes of a tensor as a file stores them.
#[must_use]
pub fn encode(tensor: &Tensor) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_le_bytes(tensor.data(), &mut bytes);
    bytes
}
