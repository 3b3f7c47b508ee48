//! The CPU backend: one file per kernel, named like its shader. It is the fallback where there is
//! no WebGPU, and the faster choice wherever the GPU is a software one.

mod add_norm;
mod argmax;
mod attention;
mod dequantise;
mod dot;
mod embed;
mod exp;
mod factors;
mod head_norm;
mod linear;
mod loha_down;
mod loha_merge;
mod loha_up;
mod lokr_down;
mod lokr_merge;
mod lokr_up;
mod lora_down;
mod lora_merge;
mod lora_up;
mod merge;
mod packed;
mod quantised;
mod rms_norm;
mod rope;
mod silu_mul;
mod strips;
mod up;

use std::{
    future::{Ready, ready},
    ops::Range,
    rc::Rc,
};

use crate::{
    Error, Result,
    adapter::Delta,
    backend::{Added, Backend, Heads, Span},
    memory::{Held, Ledger, Memory},
    tensor::{BLOCK, Data, Tensor, stack},
};
use factors::CpuFactors;
use packed::{Bytes, Nibbles, Tile};
use strips::{STRIP, Strips, transposed};

/// The CPU backend. Holds nothing but scratch memory.
#[derive(Debug, Default)]
pub struct Cpu {
    /// Codes of the delta that is being applied.
    codes: Vec<f32>,
    /// Counts weights and deltas; activations are plain vectors.
    ledger: Ledger,
}

/// A frozen matrix `[out, in]` in its stored dtype.
#[derive(Debug)]
pub struct Weight {
    outputs: usize,
    inputs: usize,
    stored: Stored,
    _held: Held,
}

/// The numbers of a weight.
#[derive(Debug)]
enum Stored {
    /// Transposed, by strips: `[in, out]`. The same for the next two.
    F32(Vec<[f32; STRIP]>),
    F16(Vec<strips::F16>),
    BF16(Vec<strips::BF16>),
    Q8_0(Vec<Tile<Bytes>>),
    Q4_1(Vec<Tile<Nibbles>>),
}

impl Weight {
    fn new(ledger: &Ledger, [outputs, inputs]: [usize; 2], data: Data) -> Self {
        let held = ledger.hold(data.bytes().len() as u64);
        let stored = match &data {
            Data::F32(numbers) => Stored::F32(transposed(numbers, inputs)),
            Data::F16(numbers) => Stored::F16(transposed(numbers, inputs)),
            Data::BF16(numbers) => Stored::BF16(transposed(numbers, inputs)),
            Data::Q8_0(blocks) => Stored::Q8_0(packed::pack(blocks, inputs / BLOCK)),
            Data::Q4_1(blocks) => Stored::Q4_1(packed::pack(blocks, inputs / BLOCK)),
        };
        Self { outputs, inputs, stored, _held: held }
    }

    /// The transpose.
    fn strips<'a, E>(&self, eights: &'a [E]) -> Strips<'a, E> {
        Strips { eights, rows: self.inputs }
    }
}

/// Where a delta lands.
#[derive(Debug, Clone, Copy)]
struct Target {
    /// `strength * scale`.
    scale: f32,
    /// First output row.
    first_row: usize,
    /// Numbers in a row of the target.
    width: usize,
}

/// The deltas of any number of adapters on one weight.
#[derive(Debug, Default)]
pub struct CpuDeltas(Vec<Rc<CpuDelta>>);

/// One delta as the kernels read it.
#[derive(Debug)]
struct CpuDelta {
    factors: CpuFactors,
    bias: Option<Vec<f32>>,
    scale: f32,
    /// First output row that it changes.
    first_row: usize,
    /// Its column of strengths.
    adapter: usize,
    _held: Held,
}

/// So many zeros, or a named error where there is no memory for them.
fn zeros(len: usize) -> Result<Vec<f32>> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(len).map_err(|_| Error::Device {
        reason: format!("no memory for a buffer of {len} numbers"),
    })?;
    buffer.resize(len, 0.0);
    Ok(buffer)
}

impl Backend for Cpu {
    type Buffer = Vec<f32>;
    type Weight = Weight;
    type Deltas = CpuDeltas;
    type Reading = Ready<Result<Vec<f32>>>;

    fn memory(&self) -> Memory {
        self.ledger.memory()
    }

    fn zeros(&mut self, len: usize) -> Result<Vec<f32>> {
        zeros(len)
    }

    fn upload(&mut self, data: &[f32]) -> Result<Vec<f32>> {
        Ok(data.to_vec())
    }

    fn weight(&mut self, parts: &[&Tensor]) -> Result<Weight> {
        let (shape, data) = stack(parts)?;
        Ok(Weight::new(&self.ledger, shape, data))
    }

    fn write(&mut self, buffer: &mut Vec<f32>, data: &[f32]) {
        buffer[..data.len()].copy_from_slice(data);
    }

    fn load(
        &mut self,
        deltas: &CpuDeltas,
        adapter: usize,
        new: &[(usize, &Delta)],
    ) -> Result<CpuDeltas> {
        let mut all = deltas.0.clone();
        for &(first_row, delta) in new {
            let factors = CpuFactors::new(&delta.factors)?;
            let bias = delta.bias.as_deref().map_or(0, size_of_val);
            all.push(Rc::new(CpuDelta {
                _held: self.ledger.hold((factors.bytes() + bias) as u64),
                factors,
                bias: delta.bias.clone(),
                scale: delta.scale,
                first_row,
                adapter,
            }));
        }
        Ok(CpuDeltas(all))
    }

    fn unload(&mut self, deltas: &mut CpuDeltas, adapter: usize) -> Result<()> {
        deltas.0.retain(|delta| delta.adapter != adapter);
        Ok(())
    }

    fn read(&mut self, buffer: &Vec<f32>, first: usize, len: usize) -> Self::Reading {
        ready(Ok(buffer[first..first + len].to_vec()))
    }

    fn read_weight(&mut self, weight: &Weight) -> Self::Reading {
        ready(dequantise::dequantise(weight))
    }

    fn merge(&mut self, weight: &Weight, added: Added<'_, Self>) -> Result<Weight> {
        let shape = [weight.outputs, weight.inputs];
        Ok(Weight::new(&self.ledger, shape, Data::F32(merge::merge(weight, added)?)))
    }

    fn embed(&mut self, table: &Weight, ids: &[u32], out: &mut Vec<f32>) -> Result<()> {
        embed::embed(table, ids, out);
        Ok(())
    }

    fn rms_norm(
        &mut self,
        x: &Vec<f32>,
        rows: Range<usize>,
        weight: &Vec<f32>,
        width: usize,
        epsilon: f32,
        out: &mut Vec<f32>,
    ) {
        rms_norm::rms_norm(&x[rows.start * width..rows.end * width], weight, epsilon, out);
    }

    fn add_norm(
        &mut self,
        x: &mut Vec<f32>,
        y: &Vec<f32>,
        _: Option<Added<'_, Self>>,
        rows: Range<usize>,
        weight: &Vec<f32>,
        width: usize,
        epsilon: f32,
        out: &mut Vec<f32>,
    ) {
        let rows = rows.start * width..rows.end * width;
        add_norm::add_norm(&mut x[rows.clone()], &y[rows], weight, epsilon, out);
    }

    fn linears(
        &mut self,
        weight: &Weight,
        bias: Option<&Vec<f32>>,
        added: Option<Added<'_, Self>>,
        x: &Vec<f32>,
        rows: usize,
        y: &mut Vec<f32>,
    ) -> Result<()> {
        let &Weight { outputs, inputs, .. } = weight;
        let x = &x[..rows * inputs];
        let y = &mut y[..rows * outputs];
        match &weight.stored {
            Stored::F32(eights) => linear::linear(weight.strips(eights), outputs, x, y),
            Stored::F16(eights) => linear::linear(weight.strips(eights), outputs, x, y),
            Stored::BF16(eights) => linear::linear(weight.strips(eights), outputs, x, y),
            Stored::Q8_0(tiles) => quantised::product(tiles, inputs, outputs, x, y),
            Stored::Q4_1(tiles) => quantised::product(tiles, inputs, outputs, x, y),
        }
        if let Some(bias) = bias {
            y.chunks_exact_mut(outputs).for_each(|y| dot::add_scaled(y, 1.0, bias));
        }
        if let Some(added) = added {
            up::up(added, (x, inputs), (y, outputs), &mut self.codes);
        }
        Ok(())
    }

    /// Products lack nothing here.
    fn up(&mut self, _: Added<'_, Self>, _: usize, _: usize, _: &mut Vec<f32>) {}

    fn head_norm(
        &mut self,
        qkv: &mut Vec<f32>,
        _: Option<Added<'_, Self>>,
        heads: Heads,
        rows: usize,
        weight: &Vec<f32>,
        epsilon: f32,
    ) {
        head_norm::head_norm(&mut qkv[..rows * heads.qkv()], heads, weight, epsilon);
    }

    fn rope(
        &mut self,
        qkv: &mut Vec<f32>,
        _: Option<Added<'_, Self>>,
        heads: Heads,
        table: &Vec<f32>,
        span: &Span,
        keys: &mut Vec<f32>,
        values: &mut Vec<f32>,
    ) {
        let qkv = &mut qkv[span.rows.start * heads.qkv()..span.rows.end * heads.qkv()];
        rope::rope(qkv, heads, table, span.start, keys, values);
    }

    fn attention(
        &mut self,
        qkv: &Vec<f32>,
        heads: Heads,
        keys: &Vec<f32>,
        values: &Vec<f32>,
        span: &Span,
        window: Option<usize>,
        out: &mut Vec<f32>,
    ) {
        let Span { rows, start } = span;
        let qkv = &qkv[rows.start * heads.qkv()..rows.end * heads.qkv()];
        let out = &mut out[rows.start * heads.query * heads.size..];
        attention::attention(qkv, heads, keys, values, *start, window, out);
    }

    fn silu_mul(
        &mut self,
        gate_up: &Vec<f32>,
        _: Option<Added<'_, Self>>,
        rows: usize,
        width: usize,
        out: &mut Vec<f32>,
    ) {
        silu_mul::silu_mul(&gate_up[..2 * rows * width], width, out);
    }

    fn argmax(&mut self, x: &Vec<f32>, rows: usize, width: usize, out: &mut Vec<f32>) {
        argmax::argmax(&x[..rows * width], width, out);
    }
}
