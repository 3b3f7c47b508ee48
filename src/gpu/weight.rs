//! A frozen matrix in GPU memory. A kernel reads only so many bytes of a buffer (128 MiB on many
//! devices), so a weight is split by rows over as many buffers as it takes.

use std::ops::Range;

use super::{buffer::Buffer, recorder::Recorder};
use crate::{
    Result,
    tensor::{DType, Data},
};

/// A frozen matrix `[outputs, inputs]`; rows that are not of blocks are padded with zeros to whole
/// fours.
#[derive(Debug)]
pub struct Weight {
    pub(super) pieces: Vec<Piece>,
    pub(super) dtype: DType,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
}

/// Some rows of a weight.
#[derive(Debug)]
pub(super) struct Piece {
    pub buffer: Buffer,
    pub rows: Range<usize>,
}

impl Weight {
    /// Fours in a row.
    pub(super) fn fours(&self) -> usize {
        self.inputs.div_ceil(4)
    }

    /// Blocks in a row, as the shaders count them: a four where nothing is quantised.
    pub(super) fn stride(&self) -> usize {
        self.inputs.div_ceil(self.dtype.block().max(4))
    }

    pub(super) fn upload(
        recorder: &mut Recorder,
        [outputs, inputs]: [usize; 2],
        data: Data,
    ) -> Result<Self> {
        let data = match data {
            Data::F32(v) => Data::F32(padded(v, inputs)),
            Data::F16(v) => Data::F16(padded(v, inputs)),
            Data::BF16(v) => Data::BF16(padded(v, inputs)),
            blocks => blocks,
        };
        let (dtype, bytes) = (data.dtype(), data.bytes());
        let row = bytes.len() / outputs.max(1);
        let what = format!("a weight [{outputs}, {inputs}] in {}", dtype.name());
        let pieces = pieces(recorder, &what, outputs, row)?;
        for Piece { buffer, rows } in &pieces {
            recorder.write(buffer, 0, &bytes[rows.start * row..rows.end * row]);
        }
        Ok(Self { pieces, dtype, outputs, inputs })
    }

    /// In f32, for a merge.
    pub(super) fn zeros(recorder: &mut Recorder, [outputs, inputs]: [usize; 2]) -> Result<Self> {
        let what = format!("a merged weight [{outputs}, {inputs}] in F32");
        let row = inputs.div_ceil(4).saturating_mul(16);
        let pieces = pieces(recorder, &what, outputs, row)?;
        Ok(Self { pieces, dtype: DType::F32, outputs, inputs })
    }
}

/// Buffers for `outputs` rows of `row` bytes.
fn pieces(recorder: &mut Recorder, what: &str, outputs: usize, row: usize) -> Result<Vec<Piece>> {
    // In wasm a device may allow more than `usize` counts.
    let limit = usize::try_from(recorder.limit()).unwrap_or(usize::MAX);
    // A row that is too long for any buffer is refused as a buffer, by name.
    let rows = (limit / row.max(1)).max(1);
    let piece = |first: usize| {
        let rows = first..outputs.min(first.saturating_add(rows));
        let buffer = recorder.buffer(what, rows.len().saturating_mul(row))?;
        Ok(Piece { buffer, rows })
    };
    (0..outputs.max(1)).step_by(rows).map(piece).collect()
}

/// The rows that are in both; an empty range behind both starts where there are none.
pub(super) fn overlap(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

/// Rows of `width` padded with zeros to whole fours.
fn padded<T: Copy + Default>(data: Vec<T>, width: usize) -> Vec<T> {
    let stride = width.next_multiple_of(4);
    if stride == width {
        return data;
    }
    let mut out = vec![T::default(); data.len() / width * stride];
    for (to, from) in out.chunks_exact_mut(stride).zip(data.chunks_exact(width)) {
        to[..width].copy_from_slice(from);
    }
    out
}
