//! A place in the first bytes of a file. Every step says whether the bytes are there, are still to
//! come, or will never come.

use crate::{Error, Result};

/// The longest header that is read, in bytes; the same limit as for safetensors.
const MAX_HEADER: u64 = 100_000_000;

/// Why reading stopped.
pub(super) enum Stop {
    /// The file goes on: so many of its first bytes are needed at least.
    More(u64),
    /// The file is broken.
    Bad(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Bad(error)
    }
}

pub(super) type Step<T> = Result<T, Stop>;

pub(super) struct Cursor<'a> {
    pub(super) file: &'a str,
    /// What is being read, for errors.
    pub(super) place: String,
    /// The first bytes of the file.
    pub(super) bytes: &'a [u8],
    pub(super) file_len: u64,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of a file.
    pub(super) fn new(file: &'a str, bytes: &'a [u8], file_len: u64) -> Self {
        Self { file, place: "the header".into(), bytes, file_len, at: 0 }
    }

    /// Bytes before this place.
    pub(super) fn at(&self) -> u64 {
        self.at as u64
    }

    /// An error about what is being read.
    pub(super) fn bad(&self, got: &str) -> Stop {
        Stop::Bad(Error::BadFile {
            file: self.file.to_owned(),
            expected: "a GGUF file".into(),
            got: format!("{got} in {}", self.place),
        })
    }

    /// Fails where `count` things of at least `each` bytes cannot follow: no claimed count is
    /// believed beyond the bytes of the file.
    pub(super) fn expect_room(&self, count: u64, each: u64) -> Step<()> {
        let room = self.file_len.min(MAX_HEADER).saturating_sub(self.at());
        if count.checked_mul(each).is_some_and(|bytes| bytes <= room) {
            return Ok(());
        }
        let (len, place) = (self.file_len, &self.place);
        let limit = if len > MAX_HEADER {
            format!("the longest header that is read has {MAX_HEADER} bytes")
        } else {
            format!("truncated: the file has {len} bytes")
        };
        Err(Stop::Bad(Error::BadFile {
            file: self.file.to_owned(),
            expected: format!("room for {place}"),
            got: format!("{count} times {each} bytes behind byte {} ({limit})", self.at),
        }))
    }

    /// The next `count` things of `each` bytes.
    fn take(&mut self, count: u64, each: u64) -> Step<&'a [u8]> {
        self.expect_room(count, each)?;
        // No overflow: there is room.
        let end = self.at() + count * each;
        let bytes = usize::try_from(end).ok().and_then(|end| self.bytes.get(self.at..end));
        let bytes = bytes.ok_or(Stop::More(end))?;
        self.at += bytes.len();
        Ok(bytes)
    }

    /// The next `len` numbers of `N` bytes.
    pub(super) fn numbers<const N: usize, T>(
        &mut self,
        len: u64,
        decode: impl Fn([u8; N]) -> T,
    ) -> Step<Vec<T>> {
        let bytes = self.take(len, N as u64)?;
        Ok(bytes.as_chunks().0.iter().map(|&b| decode(b)).collect())
    }

    pub(super) fn u32(&mut self) -> Step<u32> {
        let bytes = self.take(1, 4)?;
        Ok(bytes.first_chunk().map_or(0, |&b| u32::from_le_bytes(b)))
    }

    pub(super) fn u64(&mut self) -> Step<u64> {
        let bytes = self.take(1, 8)?;
        Ok(bytes.first_chunk().map_or(0, |&b| u64::from_le_bytes(b)))
    }

    /// A text behind its length in bytes.
    pub(super) fn text(&mut self) -> Step<String> {
        let len = self.u64()?;
        let bytes = self.take(len, 1)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.bad("text that is not UTF-8"))?;
        Ok(text.to_owned())
    }
}
