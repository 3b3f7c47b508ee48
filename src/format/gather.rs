//! Tensors from files that come in pieces, as a download brings them.

use super::Layout;
use super::layout::{EMBEDDING, HEAD, Place};
use crate::tensor::Tensor;
use crate::{Error, Result};

/// Puts the tensors of a [`Layout`] together. Beside the piece that is handed over, no more than
/// one tensor of a file is in memory.
#[derive(Debug)]
pub struct Gather {
    files: Vec<File>,
    /// A tied model that carries its head all the same: the two must be equal, so the first of
    /// them waits here for the other.
    has_twin: bool,
    twin: Option<Tensor>,
}

/// A file on its way.
#[derive(Debug)]
struct File {
    places: std::vec::IntoIter<Place>,
    /// Bytes that came so far.
    at: u64,
    /// The first bytes of the next tensor.
    begun: Vec<u8>,
}

impl Gather {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        let file =
            |places: Vec<Place>| File { places: places.into_iter(), at: 0, begun: Vec::new() };
        let files = layout.files.into_iter().map(file).collect();
        Self { files, has_twin: layout.has_twin, twin: None }
    }

    /// Takes the next bytes of a file, counted from its start; `found` gets every tensor that they
    /// complete, by transformers' name.
    pub fn push(
        &mut self,
        file: usize,
        mut piece: &[u8],
        mut found: impl FnMut(String, Tensor) -> Result<()>,
    ) -> Result<()> {
        let files = self.files.len();
        let Some(file) = self.files.get_mut(file) else {
            return Err(Error::argument("file", format!("a number below {files}"), file));
        };
        while let Some((name, tensor)) = file.next(&mut piece)? {
            if self.has_twin && (name == HEAD || name == EMBEDDING) {
                match self.twin.take() {
                    None => self.twin = Some(tensor.clone()),
                    Some(other) if other == tensor => {}
                    Some(_) => return Err(differs()),
                }
                if name == HEAD {
                    continue;
                }
            }
            found(name, tensor)?;
        }
        Ok(())
    }

    /// Checks that every tensor has come.
    pub fn finish(self) -> Result<()> {
        match self.files.iter().find_map(|file| Some((file, file.places.as_slice().first()?))) {
            None => Ok(()),
            Some((file, next)) => Err(Error::BadFile {
                file: format!("the file of tensor {}", next.name),
                expected: format!("at least {} bytes", next.range.end),
                got: format!("{} bytes", file.at),
            }),
        }
    }
}

impl File {
    /// The next tensor, where `piece` completes it; takes what belongs to it off the piece.
    fn next(&mut self, piece: &mut &[u8]) -> Result<Option<(String, Tensor)>> {
        let Some(place) = self.places.as_slice().first() else { return Ok(None) };
        take(piece, &mut self.at, place.range.start);
        if self.at < place.range.start {
            return Ok(None);
        }
        let bytes = take(piece, &mut self.at, place.range.end);
        if self.at < place.range.end {
            // Room for the whole of it at once: a vector that grows as it needs takes twice as much.
            let len = usize::try_from(place.range.end - place.range.start).unwrap_or(usize::MAX);
            let more = len.saturating_sub(self.begun.len());
            self.begun.try_reserve_exact(more).map_err(|_| Error::Device {
                reason: format!("no memory for tensor {}, {len} bytes", place.name),
            })?;
            self.begun.extend_from_slice(bytes);
            return Ok(None);
        }
        let tensor = if self.begun.is_empty() {
            place.tensor(bytes)
        } else {
            self.begun.extend_from_slice(bytes);
            place.tensor(&std::mem::take(&mut self.begun))
        };
        Ok(self.places.next().map(|place| place.name).zip(Some(tensor?)))
    }
}

/// Takes the bytes up to the place `end` of the file off the piece, as far as it goes.
fn take<'a>(piece: &mut &'a [u8], at: &mut u64, end: u64) -> &'a [u8] {
    let count = usize::try_from(end.saturating_sub(*at)).unwrap_or(usize::MAX).min(piece.len());
    let (taken, rest) = piece.split_at(count);
    *piece = rest;
    *at += count as u64;
    taken
}

fn differs() -> Error {
    Error::UnknownTensor {
        tensor: HEAD.into(),
        reason: "the config ties the embeddings, but the head differs from the embedding table"
            .into(),
    }
}
