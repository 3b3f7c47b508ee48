//! GGUF files (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>): a header of metadata
//! and tensor infos, then the numbers, little-endian; the files of llama.cpp.
//!
//! The header alone is enough to know what is in a file and where: [`Header::parse`] works on the
//! first bytes and says when it needs more. [`Gguf`] is a file that is in memory whole.

mod cursor;
mod header;
mod kind;
pub mod lora;
mod metadata;
pub mod model;
pub mod names;
pub mod rope_order;
mod value;
mod write;

pub use header::{Header, TensorInfo};
pub use kind::GgmlType;
pub use metadata::Metadata;
pub use value::{Elements, Value};
pub use write::write;

use crate::Result;
use crate::tensor::Tensor;

/// A parsed GGUF file, borrowing its bytes.
#[derive(Debug)]
pub struct Gguf<'a> {
    header: Header,
    bytes: &'a [u8],
}

impl<'a> Gguf<'a> {
    /// Reads the header; `file` is the name for errors.
    pub fn parse(file: &str, bytes: &'a [u8]) -> Result<Self> {
        let header = Header::parse(file, bytes, bytes.len() as u64)?.whole(file)?;
        Ok(Self { header, bytes })
    }

    /// Metadata and tensor infos.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The stored bytes of a tensor, of a type that this crate reads: numbers, or whole blocks.
    pub fn raw(&self, name: &str) -> Result<&'a [u8]> {
        let info = self.header.readable(name)?;
        let end = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        // The parser has compared all ranges with the length of the file.
        Ok(self.bytes.get(end(info.range.start)..end(info.range.end)).unwrap_or(&[]))
    }

    /// A tensor in its stored dtype; Q4_0 as Q4_1.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        self.header.tensor(name, self.raw(name)?)
    }
}
