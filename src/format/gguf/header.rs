//! The header: what is in a file, and where. Nothing is allocated from a length that the bytes do
//! not bear out.

use std::collections::BTreeMap;
use std::ops::Range;

use super::cursor::{Cursor, Step, Stop};
use super::{GgmlType, Metadata, Value};
use crate::format::Progress;
use crate::format::look::{impostor, short};
use crate::tensor::Tensor;
use crate::{Error, Result};

/// ggml's tensors have at most four dimensions.
pub(super) const MAX_DIMENSIONS: u32 = 4;

/// Metadata and tensor infos of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Settings by key.
    pub metadata: Metadata,
    /// Where each tensor is, by name.
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Dimensions, slowest first: `[out, in]`. The file has them the other way round.
    pub shape: Vec<usize>,
    /// How the numbers are stored.
    pub kind: GgmlType,
    /// Its bytes, counted from the start of the file.
    pub range: Range<u64>,
}

impl Header {
    /// Reads the header from `prefix`, the first bytes of a file of `file_len` bytes; `file` is its
    /// name for errors. All ranges are compared with `file_len`, so the rest of the file is not
    /// needed.
    pub fn parse(file: &str, prefix: &[u8], file_len: u64) -> Result<Progress<Self>> {
        match Self::read(&mut Cursor::new(file, prefix, file_len)) {
            Ok(header) => Ok(Progress::Done(header)),
            Err(Stop::More(bytes)) => Ok(Progress::More(bytes)),
            Err(Stop::Bad(error)) => Err(error),
        }
    }

    /// Where a tensor is.
    pub fn info(&self, name: &str) -> Result<&TensorInfo> {
        self.tensors.get(name).ok_or_else(|| Error::MissingTensor {
            module: self.metadata.file().to_owned(),
            tensor: name.to_owned(),
        })
    }

    /// A tensor in its stored dtype from the bytes of its range; Q4_0 as Q4_1.
    pub fn tensor(&self, name: &str, bytes: &[u8]) -> Result<Tensor> {
        let info = self.info(name)?;
        let data = info.kind.numbers(bytes).ok_or_else(|| self.unsupported(name, info))?;
        Tensor::new(info.shape.clone(), data)
    }

    /// [`Header::info`] of a tensor whose type this crate knows to read.
    pub(super) fn readable(&self, name: &str) -> Result<&TensorInfo> {
        match self.info(name)? {
            info @ TensorInfo { kind: GgmlType::Other(_), .. } => Err(self.unsupported(name, info)),
            info => Ok(info),
        }
    }

    fn unsupported(&self, name: &str, info: &TensorInfo) -> Error {
        Error::Unsupported {
            what: format!("{}: type of tensor {name}", self.metadata.file()),
            got: info.kind.name().to_owned(),
            supported: "F32, F16, BF16, Q8_0, Q4_0, Q4_1".into(),
        }
    }

    fn read(cursor: &mut Cursor<'_>) -> Step<Self> {
        check_magic(cursor)?;
        check_version(cursor)?;
        let (tensors, values) = (cursor.u64()?, cursor.u64()?);
        let metadata = read_metadata(cursor, values)?;
        let alignment = u64::from(metadata.alignment()?);
        let mut tensors = read_infos(cursor, tensors, alignment)?;
        // Offsets count from the end of the infos, on the next multiple of the alignment.
        let data = cursor.at().next_multiple_of(alignment);
        for (name, TensorInfo { range, .. }) in &mut tensors {
            let end = range.end.checked_add(data).filter(|end| *end <= cursor.file_len);
            let Some(end) = end else {
                cursor.place = format!("tensor {:?}", short(name, 100));
                return Err(cursor.bad(&format!(
                    "truncated: bytes {range:?} behind byte {data} of a file of {} bytes",
                    cursor.file_len
                )));
            };
            *range = range.start + data..end;
        }
        check_overlap(cursor, &tensors)?;
        Ok(Self { metadata, tensors })
    }
}

fn read_metadata(cursor: &mut Cursor<'_>, count: u64) -> Step<Metadata> {
    "the metadata".clone_into(&mut cursor.place);
    // The shortest entry: an empty key, its type, one byte.
    cursor.expect_room(count, 8 + 4 + 1)?;
    let mut metadata = Metadata::new(cursor.file);
    for index in 0..count {
        cursor.place = format!("metadata entry {index}");
        let key = cursor.text()?;
        cursor.place = format!("metadata key {:?}", short(&key, 100));
        let value = Value::read(cursor)?;
        if metadata.insert(key, value).is_some() {
            return Err(cursor.bad("a second value"));
        }
    }
    Ok(metadata)
}

/// All tensor infos; their ranges still count from the start of the numbers.
fn read_infos(
    cursor: &mut Cursor<'_>,
    count: u64,
    alignment: u64,
) -> Step<BTreeMap<String, TensorInfo>> {
    "the tensor infos".clone_into(&mut cursor.place);
    // The shortest info: an empty name, no dimensions, type and offset.
    cursor.expect_room(count, 8 + 4 + 4 + 8)?;
    let mut infos = BTreeMap::new();
    for index in 0..count {
        cursor.place = format!("tensor info {index}");
        let name = cursor.text()?;
        cursor.place = format!("tensor {:?}", short(&name, 100));
        let info = read_info(cursor, alignment)?;
        if infos.insert(name, info).is_some() {
            return Err(cursor.bad("a second tensor of this name"));
        }
    }
    Ok(infos)
}

fn check_magic(cursor: &mut Cursor<'_>) -> Step<()> {
    let start = cursor.bytes.get(..4).unwrap_or(cursor.bytes);
    if cursor.file_len >= 4 && b"GGUF".starts_with(start) {
        return cursor.u32().map(drop);
    }
    // The formats before GGUF wrote their four letters as a little-endian number: backwards.
    let got = match start {
        b"lmgg" | b"fmgg" | b"tjgg" => "a model file of the formats before GGUF (ggml, ggmf, ggjt)",
        b"algg" => "an adapter file of the format before GGUF (ggla)",
        _ => impostor(cursor.bytes).unwrap_or("other first bytes than GGUF"),
    };
    Err(Stop::Bad(Error::BadFile {
        file: cursor.file.to_owned(),
        expected: "a GGUF file".into(),
        got: got.to_owned(),
    }))
}

fn check_version(cursor: &mut Cursor<'_>) -> Step<()> {
    let version = cursor.u32()?;
    let got = match version {
        2 | 3 => return Ok(()),
        // A file has either order, and nothing but this number tells it.
        _ if (1..=3).contains(&version.swap_bytes()) => {
            format!("version {}, big-endian", version.swap_bytes())
        }
        _ => format!("version {version}"),
    };
    Err(Stop::Bad(Error::Unsupported {
        what: format!("{}: this kind of GGUF", cursor.file),
        got,
        supported: "versions 2 and 3, little-endian".into(),
    }))
}

/// A tensor info behind its name.
fn read_info(cursor: &mut Cursor<'_>, alignment: u64) -> Step<TensorInfo> {
    let dimensions = cursor.u32()?;
    if dimensions > MAX_DIMENSIONS {
        return Err(cursor.bad(&format!("{dimensions} dimensions (at most {MAX_DIMENSIONS})")));
    }
    let dimensions = cursor.numbers(u64::from(dimensions), u64::from_le_bytes)?;
    let id = cursor.u32()?;
    let offset = cursor.u64()?;
    let Some(kind) = GgmlType::from_id(id) else {
        return Err(cursor.bad(&format!("the unknown type {id}")));
    };
    let (elements, bytes) = kind.block();
    // The file has the fastest dimension first; blocks lie along it.
    let row = dimensions.first().copied().unwrap_or(1);
    if !row.is_multiple_of(elements) {
        let name = kind.name();
        return Err(cursor.bad(&format!("rows of {row} for {name} in blocks of {elements}")));
    }
    let size = dimensions
        .iter()
        .try_fold(1, |n: u64, d| n.checked_mul(*d))
        .and_then(|n| (n / elements).checked_mul(bytes));
    let shape: Option<Vec<usize>> =
        dimensions.iter().rev().map(|&d| usize::try_from(d).ok()).collect();
    let (Some(size), Some(shape)) = (size, shape) else {
        return Err(cursor.bad(&format!("a size beyond all memory, {dimensions:?},")));
    };
    if !offset.is_multiple_of(alignment) {
        let got = format!("offset {offset}, no multiple of the alignment {alignment},");
        return Err(cursor.bad(&got));
    }
    match offset.checked_add(size) {
        Some(end) => Ok(TensorInfo { shape, kind, range: offset..end }),
        None => Err(cursor.bad(&format!("an offset beyond all files, {offset},"))),
    }
}

/// No byte belongs to two tensors.
fn check_overlap(cursor: &Cursor<'_>, infos: &BTreeMap<String, TensorInfo>) -> Step<()> {
    let mut ranges: Vec<_> =
        infos.iter().map(|(name, info)| (info.range.start, info.range.end, name)).collect();
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        if let [(_, end, first), (start, _, second)] = pair
            && start < end
        {
            return Err(Stop::Bad(Error::BadFile {
                file: cursor.file.to_owned(),
                expected: "tensors that lie apart".into(),
                got: format!("{:?} overlapping {:?}", short(first, 100), short(second, 100)),
            }));
        }
    }
    Ok(())
}
