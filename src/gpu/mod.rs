//! The GPU backend on wgpu: WebGPU in a browser, Vulkan natively (for tests and benches).
//!
//! [`device`](Device) opens the GPU, [`kernels`] is the table of shaders, `recorder` collects their
//! dispatches and runs them in one submit.

mod buffer;
mod deltas;
mod device;
pub mod kernels;
pub mod params;
mod recorder;
mod self_test;
mod weight;

use std::{future::Future, ops::Range, pin::Pin};

pub use buffer::Buffer;
pub use deltas::Deltas;
pub use device::{Device, DeviceInfo};
pub use weight::Weight;

use crate::{
    Result,
    adapter::Delta,
    backend::{Added, Backend, Heads, Span},
    memory::Memory,
    tensor::{DType, Tensor, stack},
};
use deltas::{Bindings, unpacked};
use kernels::Kernel;
use recorder::Recorder;
use weight::{Piece, overlap};

/// The GPU backend: memory and kernels on one [`Device`].
pub struct Gpu {
    recorder: Recorder,
    bindings: Bindings,
    /// Token ids of the running embed, grown on demand.
    ids: Option<(usize, Buffer)>,
}

impl Gpu {
    pub(crate) fn new(device: Device) -> Self {
        let mut recorder = Recorder::new(device);
        Self { bindings: Bindings::new(&mut recorder), recorder, ids: None }
    }

    /// The device that it runs on.
    #[must_use]
    pub fn device(&self) -> &Device {
        self.recorder.device()
    }

    /// How many bind groups are kept: one for each use of a kernel on living buffers.
    #[must_use]
    pub fn bind_groups(&self) -> usize {
        self.recorder.bind_groups()
    }

    /// How many dispatches were ever recorded.
    #[must_use]
    pub fn dispatches(&self) -> usize {
        self.recorder.dispatches()
    }

    fn filled(&mut self, what: &str, bytes: &[u8]) -> Result<Buffer> {
        let buffer = self.recorder.buffer(what, bytes.len())?;
        self.recorder.write(&buffer, 0, bytes);
        Ok(buffer)
    }
}

impl Gpu {
    /// The numbers of a weight in f32, with those of its deltas.
    fn widen(&mut self, weight: &Weight, added: Option<Added<'_, Self>>) -> Result<Weight> {
        let merged = Weight::zeros(&mut self.recorder, [weight.outputs, weight.inputs])?;
        let ([headers, factors, strengths, _], added) = self.bindings.of(added);
        let fours = weight.fours();
        for to in &merged.pieces {
            for from in &weight.pieces {
                let rows = overlap(&to.rows, &from.rows);
                let params = params::Merge {
                    added,
                    len: (rows.len() * fours) as u32,
                    row_len: fours as u32,
                    from_at: ((rows.start - from.rows.start) * fours) as u32,
                    to_at: ((rows.start - to.rows.start) * fours) as u32,
                    first_row: rows.start as u32,
                };
                let buffers = [headers, factors, strengths, &from.buffer, &to.buffer];
                let items = rows.len() * fours;
                self.recorder.run((Kernel::Merge, weight.dtype), &params, &buffers, items);
            }
        }
        Ok(merged)
    }
}

/// A kernel that reads no weight has one variant.
fn plain(kernel: Kernel) -> kernels::Variant {
    (kernel, DType::F32)
}

impl Backend for Gpu {
    type Buffer = Buffer;
    type Weight = Weight;
    type Deltas = Deltas;
    type Reading = Pin<Box<dyn Future<Output = Result<Vec<f32>>>>>;

    fn memory(&self) -> Memory {
        self.recorder.memory()
    }

    fn zeros(&mut self, len: usize) -> Result<Buffer> {
        self.recorder.buffer("activations", len.saturating_mul(4))
    }

    fn upload(&mut self, data: &[f32]) -> Result<Buffer> {
        self.filled("numbers", bytemuck::cast_slice(data))
    }

    fn weight(&mut self, parts: &[&Tensor]) -> Result<Weight> {
        let (shape, data) = stack(parts)?;
        Weight::upload(&mut self.recorder, shape, data)
    }

    fn warm(&mut self, dtype: DType) {
        let kernels = [(Kernel::Linear, dtype), (Kernel::LinearOne, dtype)];
        self.device().warm(&kernels);
        self.device().warm(&[plain(Kernel::AddNorm), plain(Kernel::SiluMul)]);
    }

    fn write(&mut self, buffer: &mut Buffer, data: &[f32]) {
        self.recorder.write(buffer, 0, bytemuck::cast_slice(data));
    }

    fn load(&mut self, deltas: &Deltas, adapter: usize, new: &[(usize, &Delta)]) -> Result<Deltas> {
        let unpacked = |(first_row, delta): &(usize, &Delta)| unpacked(adapter, *first_row, delta);
        let new = new.iter().map(unpacked).collect::<Result<Vec<_>>>()?;
        deltas.packed(&mut self.recorder, None, &new)
    }

    fn unload(&mut self, deltas: &mut Deltas, adapter: usize) -> Result<()> {
        if deltas.has(adapter) {
            *deltas = deltas.packed(&mut self.recorder, Some(adapter), &[])?;
        }
        Ok(())
    }

    fn read(&mut self, buffer: &Buffer, first: usize, len: usize) -> Self::Reading {
        Box::pin(self.recorder.read(buffer, first, len))
    }

    fn read_weight(&mut self, weight: &Weight) -> Self::Reading {
        let (inputs, stride) = (weight.inputs, 4 * weight.fours());
        let merged = self.widen(weight, None);
        let read = |w: Weight| -> Vec<_> {
            let read = |p: &Piece| self.recorder.read(&p.buffer, 0, p.rows.len() * stride);
            w.pieces.iter().map(read).collect()
        };
        let readings = merged.map(read);
        Box::pin(async move {
            let mut numbers = Vec::new();
            for reading in readings? {
                let rows = reading.await?;
                numbers.extend(rows.chunks_exact(stride).flat_map(|row| &row[..inputs]));
            }
            Ok(numbers)
        })
    }

    fn merge(&mut self, weight: &Weight, added: Added<'_, Self>) -> Result<Weight> {
        self.widen(weight, Some(added))
    }

    fn embed(&mut self, table: &Weight, ids: &[u32], out: &mut Buffer) -> Result<()> {
        let have = self.ids.take().filter(|(len, _)| *len >= ids.len());
        let ready = match have {
            Some(ready) => ready,
            None => (ids.len(), self.recorder.buffer("token ids", 4 * ids.len())?),
        };
        let (_, buffer) = self.ids.insert(ready);
        self.recorder.write(buffer, 0, bytemuck::cast_slice(ids));
        for piece in &table.pieces {
            let params = params::Embed {
                rows: ids.len() as u32,
                width: table.inputs as u32,
                stride: table.fours() as u32,
                first_id: piece.rows.start as u32,
                piece: piece.rows.len() as u32,
            };
            let buffers = [&piece.buffer, &*buffer, out];
            let items = ids.len() * table.fours();
            self.recorder.run((Kernel::Embed, table.dtype), &params, &buffers, items);
        }
        Ok(())
    }

    fn rms_norm(
        &mut self,
        x: &Buffer,
        rows: Range<usize>,
        weight: &Buffer,
        width: usize,
        epsilon: f32,
        out: &mut Buffer,
    ) {
        let params = params::RmsNorm {
            first: rows.start as u32,
            rows: rows.len() as u32,
            width: width as u32,
            epsilon,
        };
        self.recorder.run_workgroups(
            plain(Kernel::RmsNorm),
            &params,
            &[x, weight, out],
            rows.len(),
        );
    }

    fn add_norm(
        &mut self,
        x: &mut Buffer,
        y: &Buffer,
        added: Option<Added<'_, Self>>,
        rows: Range<usize>,
        weight: &Buffer,
        width: usize,
        epsilon: f32,
        out: &mut Buffer,
    ) {
        let ([headers, factors, strengths, codes], added) = self.bindings.of(added);
        let params = params::AddNorm {
            added,
            first: rows.start as u32,
            rows: rows.len() as u32,
            width: width as u32,
            epsilon,
        };
        let buffers = [headers, factors, strengths, codes, x, y, weight, out];
        self.recorder.run_workgroups(plain(Kernel::AddNorm), &params, &buffers, rows.len());
    }

    fn linears(
        &mut self,
        weight: &Weight,
        bias: Option<&Buffer>,
        added: Option<Added<'_, Self>>,
        x: &Buffer,
        rows: usize,
        y: &mut Buffer,
    ) -> Result<()> {
        let (_, [_, codes, ..]) = self.bindings.of(added);
        let codes = codes as usize;
        self.bindings.grow(&mut self.recorder, rows.saturating_mul(codes))?;
        for Piece { buffer, rows: outputs } in &weight.pieces {
            // The codes are computed with the first piece.
            let (added, codes) = if outputs.start == 0 { (added, codes) } else { (None, 0) };
            let ([headers, factors, strengths, z], added) = self.bindings.of(added);
            let params = params::Linear {
                added,
                rows: rows as u32,
                inputs: weight.inputs as u32,
                outputs: outputs.len() as u32,
                stride: weight.stride() as u32,
                first: outputs.start as u32,
                y_width: weight.outputs as u32,
                bias: u32::from(bias.is_some()),
            };
            let (kernel, items) = if rows > 1 && weight.inputs.is_multiple_of(4) {
                (Kernel::Linear, (outputs.len().div_ceil(4) + codes) * rows.div_ceil(4))
            } else {
                (Kernel::LinearOne, (outputs.len() + codes) * rows)
            };
            let bias = bias.unwrap_or(self.bindings.none());
            let buffers = [headers, factors, strengths, z, buffer, x, bias, y];
            self.recorder.run((kernel, weight.dtype), &params, &buffers, items);
        }
        Ok(())
    }

    fn up(&mut self, added: Added<'_, Self>, rows: usize, width: usize, y: &mut Buffer) {
        let ([headers, factors, strengths, codes], added) = self.bindings.of(Some(added));
        let params = params::Up { added, rows: rows as u32, width: width as u32 };
        let buffers = [headers, factors, strengths, codes, y];
        self.recorder.run(plain(Kernel::Up), &params, &buffers, rows * width.div_ceil(4));
    }

    fn head_norm(
        &mut self,
        qkv: &mut Buffer,
        added: Option<Added<'_, Self>>,
        heads: Heads,
        rows: usize,
        weight: &Buffer,
        epsilon: f32,
    ) {
        let ([headers, factors, strengths, codes], added) = self.bindings.of(added);
        let params = params::HeadNorm {
            added,
            rows: rows as u32,
            query: heads.query as u32,
            key_value: heads.key_value as u32,
            size: heads.size as u32,
            epsilon,
        };
        let workgroups = rows * (heads.query + 2 * heads.key_value);
        let buffers = [headers, factors, strengths, codes, qkv, weight];
        self.recorder.run_workgroups(plain(Kernel::HeadNorm), &params, &buffers, workgroups);
    }

    fn rope(
        &mut self,
        qkv: &mut Buffer,
        added: Option<Added<'_, Self>>,
        heads: Heads,
        table: &Buffer,
        span: &Span,
        keys: &mut Buffer,
        values: &mut Buffer,
    ) {
        let ([headers, factors, strengths, codes], added) = self.bindings.of(added);
        let params = params::Rope {
            added,
            first: span.rows.start as u32,
            rows: span.rows.len() as u32,
            start: span.start as u32,
            query: heads.query as u32,
            key_value: heads.key_value as u32,
            size: heads.size as u32,
        };
        let items = span.rows.len() * heads.qkv().div_ceil(4);
        let buffers = [headers, factors, strengths, codes, qkv, table, keys, values];
        self.recorder.run(plain(Kernel::Rope), &params, &buffers, items);
    }

    fn attention(
        &mut self,
        qkv: &Buffer,
        heads: Heads,
        keys: &Buffer,
        values: &Buffer,
        span: &Span,
        window: Option<usize>,
        out: &mut Buffer,
    ) {
        let params = params::Attention {
            first: span.rows.start as u32,
            rows: span.rows.len() as u32,
            start: span.start as u32,
            window: window.map_or(u32::MAX, |window| window as u32),
            query: heads.query as u32,
            key_value: heads.key_value as u32,
            size: heads.size as u32,
            scale: 1.0 / (heads.size as f32).sqrt(),
        };
        let buffers = [qkv, keys, values, out];
        let workgroups = span.rows.len() * heads.query;
        self.recorder.run_workgroups(plain(Kernel::Attention), &params, &buffers, workgroups);
    }

    fn silu_mul(
        &mut self,
        gate_up: &Buffer,
        added: Option<Added<'_, Self>>,
        rows: usize,
        width: usize,
        out: &mut Buffer,
    ) {
        let ([headers, factors, strengths, codes], added) = self.bindings.of(added);
        let params = params::SiluMul { added, rows: rows as u32, width: width as u32 };
        let buffers = [headers, factors, strengths, codes, gate_up, out];
        self.recorder.run(plain(Kernel::SiluMul), &params, &buffers, rows * width.div_ceil(2));
    }

    fn argmax(&mut self, x: &Buffer, rows: usize, width: usize, out: &mut Buffer) {
        let params = params::Argmax { rows: rows as u32, width: width as u32 };
        self.recorder.run_workgroups(plain(Kernel::Argmax), &params, &[x, out], rows);
    }
}
