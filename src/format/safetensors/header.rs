//! The header: what is in a file, and where. Places have 64 bits, since files are larger than the
//! memory of a browser; the `safetensors` crate has them in `usize`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::format::Progress;
use crate::format::look::{impostor, short};
use crate::tensor::DType;
use crate::{Error, Result};

/// The longest header that is read, in bytes; the limit of the reference reader.
const MAX_HEADER: u64 = 100_000_000;

/// The bytes before the header, which give its length.
const LENGTH: u64 = 8;

/// The types of the format and the bits of one number.
const TYPES: [(&str, u64); 20] = [
    ("F32", 32),
    ("F16", 16),
    ("BF16", 16),
    ("F64", 64),
    ("BOOL", 8),
    ("U8", 8),
    ("I8", 8),
    ("U16", 16),
    ("I16", 16),
    ("U32", 32),
    ("I32", 32),
    ("U64", 64),
    ("I64", 64),
    ("C64", 64),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("F4", 4),
];

/// A type of the format by its name, and the bits of one of its numbers.
pub(super) fn bits_of(dtype: &str) -> Option<(&'static str, u64)> {
    TYPES.iter().find(|(known, _)| *known == dtype).copied()
}

/// Tensor infos and metadata of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    file: String,
    /// In the order of their bytes.
    entries: Vec<Entry>,
    places: BTreeMap<String, usize>,
    metadata: BTreeMap<String, String>,
    /// Where the numbers begin.
    data: u64,
    len: u64,
}

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name.
    pub name: String,
    /// The type of its numbers, by the name that the format has for it.
    pub dtype: &'static str,
    /// Dimensions, slowest first.
    pub shape: Vec<usize>,
    /// Its bytes, counted from the start of the file.
    pub range: Range<u64>,
}

impl Entry {
    /// The type, where it is one that factors and weights have here.
    #[must_use]
    pub fn float(&self) -> Option<DType> {
        [DType::F32, DType::F16, DType::BF16].into_iter().find(|dtype| dtype.name() == self.dtype)
    }
}

impl Header {
    /// Reads the header from `prefix`, the first bytes of a file of `file_len` bytes; `file` is its
    /// name for errors. The tensors must fill exactly the bytes behind the header.
    pub fn parse(file: &str, prefix: &[u8], file_len: u64) -> Result<Progress<Self>> {
        let bad = |got: String| Error::BadFile {
            file: file.to_owned(),
            expected: "a safetensors file".into(),
            got,
        };
        let Some((length, rest)) = prefix.split_first_chunk::<8>() else {
            if file_len >= LENGTH {
                return Ok(Progress::More(LENGTH));
            }
            let got = impostor(prefix).map(str::to_owned);
            return Err(bad(got.unwrap_or_else(|| format!("a file of {file_len} bytes"))));
        };
        let length = u64::from_le_bytes(*length);
        if length > MAX_HEADER {
            return Err(bad(not_a_length(prefix, length)));
        }
        let data = LENGTH + length;
        if data > file_len {
            return Err(bad(format!(
                "a truncated file: its header alone would take {length} bytes behind the first 8, \
                 the file has {file_len} bytes"
            )));
        }
        let Some(json) = usize::try_from(length).ok().and_then(|n| rest.get(..n)) else {
            return Ok(Progress::More(data));
        };
        let raw: RawHeader = serde_json::from_slice(json).map_err(|e| {
            let what = if e.is_data() { "a broken header" } else { "a header that is not JSON" };
            bad(format!("{what}: {}", short(&e.to_string(), 200)))
        })?;
        let entries = place(raw.entries, data, file_len).map_err(bad)?;
        let mut places = BTreeMap::new();
        for (i, entry) in entries.iter().enumerate() {
            if places.insert(entry.name.clone(), i).is_some() {
                let name = short(&entry.name, 100);
                return Err(bad(format!("a broken header: a second tensor named {name:?}")));
            }
        }
        let (file, metadata) = (file.to_owned(), raw.metadata);
        Ok(Progress::Done(Self { file, entries, places, metadata, data, len: file_len }))
    }

    /// Name of the file, for errors.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// All tensors, in the order of their bytes.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The tensor of that name.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.places.get(name).and_then(|&place| self.entries.get(place))
    }

    /// The texts under `__metadata__`.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Where the numbers begin, in bytes from the start of the file.
    #[must_use]
    pub fn data_start(&self) -> u64 {
        self.data
    }

    /// Bytes of the whole file.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        self.len
    }
}

/// What bytes are whose first eight are no length. Text, and most other formats, have no zeros
/// there: read as a length they are far too large.
fn not_a_length(bytes: &[u8], length: u64) -> String {
    match (impostor(bytes), bytes.trim_ascii_start().first()) {
        (Some(got), _) => got.to_owned(),
        (None, Some(b'{' | b'[')) => "a JSON file".to_owned(),
        _ => format!("a header length of {length} bytes (at most {MAX_HEADER} are read)"),
    }
}

/// Checks that the tensors lie one behind the other, that each is as long as its shape says, and
/// that they fill the file; the error is what the file is instead.
fn place(raw: Vec<(String, RawEntry)>, data: u64, file_len: u64) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::with_capacity(raw.len());
    for (name, RawEntry { dtype, shape, data_offsets: [start, end] }) in raw {
        let what = || format!("a broken header: tensor {:?}", short(&name, 100));
        let Some((dtype, bits)) = bits_of(&dtype) else {
            return Err(format!("{} of an unknown type {:?}", what(), short(&dtype, 40)));
        };
        let bytes = shape
            .iter()
            .try_fold(bits, |n: u64, &d| n.checked_mul(d))
            .filter(|bits| bits.is_multiple_of(8))
            .map(|bits| bits / 8);
        let dimensions: Option<Vec<usize>> =
            shape.iter().map(|&d| usize::try_from(d).ok()).collect();
        let (Some(bytes), Some(dimensions)) = (bytes, dimensions) else {
            return Err(format!("{} of a size beyond all memory, {shape:?}", what()));
        };
        if end.checked_sub(start) != Some(bytes) {
            return Err(format!(
                "{}: offsets {start} to {end} for {bytes} bytes of {dtype} {shape:?}",
                what()
            ));
        }
        entries.push(Entry { name, dtype, shape: dimensions, range: start..end });
    }
    entries.sort_by_key(|entry| (entry.range.start, entry.range.end));
    let mut at = 0;
    for entry in &mut entries {
        if entry.range.start != at {
            let name = short(&entry.name, 100);
            return Err(format!(
                "a broken header: tensor {name:?} has the offset {}, the one before it ends at {at}",
                entry.range.start
            ));
        }
        at = entry.range.end;
    }
    let (wanted, got) = (at, file_len - data);
    if wanted > got {
        return Err(match at.checked_add(data) {
            Some(wanted) => format!(
                "a truncated file: its header describes {wanted} bytes, the file has {file_len}"
            ),
            None => "a header that describes more bytes than any file has".to_owned(),
        });
    }
    if wanted < got {
        return Err(format!("{} bytes more than its header describes", got - wanted));
    }
    for entry in &mut entries {
        entry.range = entry.range.start + data..entry.range.end + data;
    }
    Ok(entries)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// The JSON as it is. Readers disagree on which of two equal names holds: both are kept here.
struct RawHeader {
    entries: Vec<(String, RawEntry)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawHeader;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<RawHeader, A::Error> {
        let (mut entries, mut metadata) = (Vec::new(), None);
        while let Some(name) = map.next_key::<String>()? {
            if name != "__metadata__" {
                let entry = map.next_value()?;
                entries.push((name, entry));
            } else if metadata.replace(map.next_value::<Texts>()?.0).is_some() {
                return Err(A::Error::custom("a second __metadata__"));
            }
        }
        Ok(RawHeader { entries, metadata: metadata.unwrap_or_default() })
    }
}

/// `__metadata__`: texts by key, or null.
struct Texts(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_option(TextsVisitor).map(Self)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_none<E>(self) -> std::result::Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_some<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut texts = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            if texts.contains_key(&key) {
                map.next_value::<IgnoredAny>()?;
                let message = format!("a second metadata text {:?}", short(&key, 100));
                return Err(A::Error::custom(message));
            }
            texts.insert(key, map.next_value()?);
        }
        Ok(texts)
    }
}
