//! The deltas of all adapters on one weight, in two buffers: a header of each, and their factors
//! one behind the other. Kernels read them as shaders/common/deltas.wgsl says.
//!
//! Only loading and deleting an adapter makes these buffers anew. Which deltas run, and how strong,
//! is in the uniform structs and in a small table of strengths: a swap compiles, allocates and
//! binds nothing.

use super::{Gpu, buffer::Buffer, params::Delta as Header, recorder::Recorder};
use crate::{
    Result,
    adapter::{Delta, Factors},
    backend::Added,
    tensor::Matrix,
};

/// The deltas of any number of adapters on one weight.
#[derive(Debug, Default)]
pub struct Deltas {
    held: Vec<Held>,
    /// Headers and factors; none where there are no deltas.
    buffers: Option<[Buffer; 2]>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    header: Header,
    /// Numbers in its factors, and in its bias behind them: whole fours.
    len: usize,
}

impl Deltas {
    /// Whether an adapter has a delta here.
    pub(super) fn has(&self, adapter: usize) -> bool {
        self.held.iter().any(|held| held.header.adapter as usize == adapter)
    }

    /// Those deltas of `self` that are not of the adapter `gone`, and behind them the new ones.
    pub(super) fn packed(
        &self,
        recorder: &mut Recorder,
        gone: Option<usize>,
        new: &[(Header, Vec<f32>)],
    ) -> Result<Self> {
        let kept = self.held.iter().filter(|held| Some(held.header.adapter as usize) != gone);
        let added =
            new.iter().map(|(header, numbers)| Held { header: *header, len: numbers.len() });
        let mut held: Vec<_> = kept.clone().copied().chain(added).collect();
        if held.is_empty() {
            return Ok(Self::default());
        }
        let len: usize = held.iter().map(|held| held.len).sum();
        let factors = recorder.buffer("factors", len.saturating_mul(4))?;
        let mut at = 0;
        for Held { header, len } in &mut held {
            header.factors = at as u32 / 4;
            at += *len;
            if header.bias != u32::MAX {
                header.bias = at as u32 - header.outputs.next_multiple_of(4);
            }
        }
        let headers: Vec<_> = held.iter().map(|held| held.header).collect();
        let bytes = bytemuck::cast_slice(&headers);
        let buffer = recorder.buffer("deltas", bytes.len())?;
        recorder.write(&buffer, 0, bytes);
        let byte = |held: &Held| 16 * held.header.factors as usize;
        if let Some([_, old]) = &self.buffers {
            let moves = kept.zip(&held).map(|(from, to)| (byte(from), byte(to), 4 * to.len));
            recorder.copy(old, &factors, moves);
        }
        for (to, (_, numbers)) in held[held.len() - new.len()..].iter().zip(new) {
            recorder.write(&factors, byte(to), bytemuck::cast_slice(numbers));
        }
        Ok(Self { held, buffers: Some([buffer, factors]) })
    }
}

/// The header and the factors of one delta; where they lie is filled in when they are packed.
pub(super) fn unpacked(
    adapter: usize,
    first_row: usize,
    delta: &Delta,
) -> Result<(Header, Vec<f32>)> {
    let [outputs, inputs] = delta.method().shape();
    let mut header = Header {
        outputs: outputs as u32,
        first_row: first_row as u32,
        adapter: adapter as u32,
        row_len: inputs.div_ceil(4) as u32,
        bias: if delta.bias.is_some() { 0 } else { u32::MAX },
        scale: delta.scale,
        ..bytemuck::Zeroable::zeroed()
    };
    let mut numbers = Vec::new();
    let mut up = Vec::new();
    match &delta.factors {
        Factors::Lora(f) => {
            header.rank = f.a().rows() as u32;
            header.right_len = header.rank.div_ceil(4);
            header.code_len = header.right_len;
            for_down(&mut numbers, f.a(), inputs, 0);
            for_up(&mut up, f.b());
        }
        Factors::Loha(f) => {
            header.method = 1;
            header.rank = f.w1_b().rows() as u32;
            header.left_len = header.rank.div_ceil(4);
            header.right_len = header.left_len;
            header.code_len = 4 * header.left_len.pow(2);
            for b in [f.w1_b(), f.w2_b()] {
                for_down(&mut numbers, b, inputs, 0);
            }
            for a in [f.w1_a(), f.w2_a()] {
                for_up(&mut up, a);
            }
        }
        Factors::Lokr(f) => {
            let (w1, w2_a, w2) = f.running_factors()?;
            header.method = 2;
            header.w1_rows = w1.rows() as u32;
            header.w1_cols = w1.cols() as u32;
            header.w2_rows = w2_a.map_or(w2.rows(), |a| a.rows()) as u32;
            header.w2_cols = w2.cols() as u32;
            header.rank = w2_a.map_or(0, |a| a.cols()) as u32;
            header.left_len = header.rank.div_ceil(4);
            header.right_len = w1.cols().div_ceil(4) as u32;
            header.code_len = 4 * w2.rows().div_ceil(4) as u32 * header.right_len;
            // A part of x may begin anywhere in a four.
            let last = if w2.cols().is_multiple_of(4) { 0 } else { 3 };
            header.row_len = (w2.cols() + last).div_ceil(4) as u32;
            for moved in 0..=last {
                for_down(&mut numbers, w2, w2.cols() + last, moved);
            }
            for_up(&mut up, &w1);
            if let Some(w2_a) = w2_a {
                for_up(&mut up, w2_a);
            }
        }
    }
    header.down_len = numbers.len() as u32 / 4;
    numbers.append(&mut up);
    numbers.extend(delta.bias.iter().flatten());
    numbers.resize(numbers.len().next_multiple_of(4), 0.0);
    Ok((header, numbers))
}

/// Rows of so many numbers, moved by some, and whole fours of rows.
fn for_down(numbers: &mut Vec<f32>, matrix: &Matrix, width: usize, moved: usize) {
    let first = numbers.len();
    let stride = width.next_multiple_of(4);
    numbers.resize(first + stride * matrix.rows().next_multiple_of(4), 0.0);
    for row in 0..matrix.rows() {
        numbers[first + stride * row + moved..][..matrix.cols()].copy_from_slice(matrix.row(row));
    }
}

/// Rows of whole fours.
fn for_up(numbers: &mut Vec<f32>, matrix: &Matrix) {
    for row in 0..matrix.rows() {
        numbers.extend(matrix.row(row));
        numbers.resize(numbers.len().next_multiple_of(4), 0.0);
    }
}

/// What kernels bind for deltas.
pub(super) struct Bindings {
    /// Stands for what is not there.
    none: Buffer,
    /// Codes of the product that ran last, grown on demand.
    codes: Buffer,
    len: usize,
}

impl Bindings {
    pub fn new(recorder: &mut Recorder) -> Self {
        Self { none: recorder.small("nothing"), codes: recorder.small("codes"), len: 0 }
    }

    /// Makes room for so many fours of codes.
    pub fn grow(&mut self, recorder: &mut Recorder, len: usize) -> Result<()> {
        if self.len < len {
            self.codes = recorder.buffer("codes", len.saturating_mul(16))?;
            self.len = len;
        }
        Ok(())
    }

    /// What a missing bias is.
    pub fn none(&self) -> &Buffer {
        &self.none
    }

    /// Headers, factors, strengths and codes, and the `added` of the uniform struct.
    pub fn of<'a>(&'a self, added: Option<Added<'a, Gpu>>) -> ([&'a Buffer; 4], [u32; 20]) {
        let mut numbers = [0; 20];
        let Some((added, [headers, factors])) =
            added.and_then(|added| Some((added, added.deltas.buffers.as_ref()?)))
        else {
            return ([&self.none, &self.none, &self.none, &self.codes], numbers);
        };
        let held = added.deltas.held.iter().map(|held| &held.header).enumerate();
        let active = held.clone().filter(|(_, header)| added.active[header.adapter as usize]);
        let mut running: Vec<_> = active.collect();
        if running.len() > 16 {
            running = held.collect();
        }
        let codes = running.iter().map(|(_, header)| header.code_len).sum();
        let codes = if added.merged { 0 } else { codes };
        let first = [running.len() as u32, codes, added.first as u32, added.width as u32];
        numbers[..4].copy_from_slice(&first);
        for (number, (at, _)) in numbers[4..].iter_mut().zip(running) {
            *number = at as u32;
        }
        ([headers, factors, added.strengths, &self.codes], numbers)
    }
}
