//! The GPU backend on wgpu: WebGPU in a browser, Vulkan natively (for tests and benches).
//!
//! [`device`](Device) opens the GPU, [`kernels`] is the table of shaders, `recorder` collects their
//! dispatches and runs them in one submit.

mod buffer;
mod device;
pub mod kernels;
pub mod params;
mod recorder;
mod self_test;
mod weight;

use std::{future::Future, ops::Range, pin::Pin};

pub use buffer::Buffer;
pub use device::{Device, DeviceInfo};
pub use weight::Weight;

use crate::{
    Result,
    adapter::{Delta, Factors},
    backend::{Active, Backend, Heads, Span},
    memory::Memory,
    tensor::{DType, Tensor, stack},
};
use kernels::Kernel;
use recorder::Recorder;
use weight::{Piece, overlap};

/// The GPU backend: memory and kernels on one [`Device`].
pub struct Gpu {
    recorder: Recorder,
    /// Codes of the delta that is being applied, grown on demand.
    codes: Option<(usize, Buffer)>,
    /// Token ids of the running embed, grown on demand.
    ids: Option<(usize, Buffer)>,
}

/// The factors of one delta in one buffer, in the order that the shaders of its method state.
#[derive(Debug)]
pub struct GpuDelta {
    buffer: Buffer,
    method: GpuMethod,
    scale: f32,
    code_len: usize,
    /// Shapes only; the rest is filled in where the delta lands.
    shape: params::Delta,
}

/// The three kernels of a method.
#[derive(Debug, Clone, Copy)]
struct GpuMethod {
    down: Kernel,
    up: Kernel,
    merge: Kernel,
}

impl Gpu {
    pub(crate) fn new(device: Device) -> Self {
        Self { recorder: Recorder::new(device), codes: None, ids: None }
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

    fn scratch(
        recorder: &mut Recorder,
        slot: &mut Option<(usize, Buffer)>,
        what: &str,
        len: usize,
    ) -> Result<()> {
        if slot.as_ref().is_none_or(|(have, _)| *have < len) {
            *slot = Some((len, recorder.buffer(what, 4 * len)?));
        }
        Ok(())
    }

    fn filled(&mut self, what: &str, bytes: &[u8]) -> Result<Buffer> {
        let buffer = self.recorder.buffer(what, bytes.len())?;
        self.recorder.write(&buffer, bytes);
        Ok(buffer)
    }
}

/// A kernel that reads no weight has one variant.
fn plain(kernel: Kernel) -> kernels::Variant {
    (kernel, DType::F32)
}

impl Backend for Gpu {
    type Buffer = Buffer;
    type Weight = Weight;
    type Delta = GpuDelta;
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

    fn delta(&mut self, delta: &Delta) -> Result<GpuDelta> {
        let [outputs, inputs] = delta.method().shape();
        let mut shape = params::Delta {
            outputs: outputs as u32,
            inputs: inputs as u32,
            ..bytemuck::Zeroable::zeroed()
        };
        let (method, factors) = match &delta.factors {
            Factors::Lora(f) => {
                shape.rank = f.a().rows() as u32;
                let method = GpuMethod {
                    down: Kernel::LoraDown,
                    up: Kernel::LoraUp,
                    merge: Kernel::LoraMerge,
                };
                (method, [f.a().data(), f.b().data()].concat())
            }
            Factors::Loha(f) => {
                shape.rank = f.w1_b().rows() as u32;
                let method = GpuMethod {
                    down: Kernel::LohaDown,
                    up: Kernel::LohaUp,
                    merge: Kernel::LohaMerge,
                };
                let all = [f.w1_a(), f.w1_b(), f.w2_a(), f.w2_b()];
                (method, all.map(|m| m.data()).concat())
            }
            Factors::Lokr(f) => {
                let (w1, w2_a, w2) = f.running_factors()?;
                shape.w1_rows = w1.rows() as u32;
                shape.w1_cols = w1.cols() as u32;
                shape.w2_rows = w2_a.map_or(w2.rows(), |a| a.rows()) as u32;
                shape.w2_cols = w2.cols() as u32;
                shape.rank = w2_a.map_or(0, |a| a.cols()) as u32;
                let method = GpuMethod {
                    down: Kernel::LokrDown,
                    up: Kernel::LokrUp,
                    merge: Kernel::LokrMerge,
                };
                (method, [w1.data(), w2.data(), w2_a.map_or(&[], |a| a.data())].concat())
            }
        };
        let buffer = self.filled("factors", bytemuck::cast_slice(&factors))?;
        let code_len = delta.method().code_len();
        Ok(GpuDelta { buffer, method, scale: delta.scale, code_len, shape })
    }

    fn read(&mut self, buffer: &Buffer, first: usize, len: usize) -> Self::Reading {
        Box::pin(self.recorder.read(buffer, first, len))
    }

    fn read_weight(&mut self, weight: &Weight) -> Self::Reading {
        let (inputs, stride) = (weight.inputs, 4 * weight.fours());
        let merged = self.merge(weight, &[]);
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

    fn merge(&mut self, weight: &Weight, deltas: &[Active<'_, Self>]) -> Result<Weight> {
        let merged = Weight::zeros(&mut self.recorder, [weight.outputs, weight.inputs])?;
        let fours = weight.fours();
        for to in &merged.pieces {
            for from in &weight.pieces {
                let rows = overlap(&to.rows, &from.rows);
                let params = params::Dequantise {
                    len: (rows.len() * fours) as u32,
                    from_at: ((rows.start - from.rows.start) * fours) as u32,
                    to_at: ((rows.start - to.rows.start) * fours) as u32,
                };
                let variant = (Kernel::Dequantise, weight.dtype);
                let buffers = [&from.buffer, &to.buffer];
                self.recorder.run(variant, &params, &buffers, rows.len() * fours);
            }
            for active in deltas {
                let first = active.first_row;
                let changed = first..first + active.delta.shape.outputs as usize;
                let rows = overlap(&to.rows, &changed);
                let params = params::Delta {
                    first_row: (rows.start - to.rows.start) as u32,
                    ..active.params(rows.start - first..rows.end - first, 4 * fours)
                };
                let buffers = [&active.delta.buffer, &to.buffer];
                let items = rows.len() * weight.inputs;
                self.recorder.run(plain(active.delta.method.merge), &params, &buffers, items);
            }
        }
        Ok(merged)
    }

    fn embed(&mut self, table: &Weight, ids: &[u32], out: &mut Buffer) -> Result<()> {
        Self::scratch(&mut self.recorder, &mut self.ids, "token ids", ids.len())?;
        let Some((_, buffer)) = &self.ids else { return Ok(()) };
        self.recorder.write(buffer, bytemuck::cast_slice(ids));
        for piece in &table.pieces {
            let params = params::Embed {
                rows: ids.len() as u32,
                width: table.inputs as u32,
                stride: table.fours() as u32,
                first_id: piece.rows.start as u32,
                piece: piece.rows.len() as u32,
            };
            let buffers = [&piece.buffer, buffer, out];
            let items = ids.len() * table.fours();
            self.recorder.run((Kernel::Embed, table.dtype), &params, &buffers, items);
        }
        Ok(())
    }

    fn rms_norm(
        &mut self,
        x: &Buffer,
        first: usize,
        rows: usize,
        weight: &Buffer,
        width: usize,
        epsilon: f32,
        out: &mut Buffer,
    ) {
        let params = params::RmsNorm {
            first: first as u32,
            rows: rows as u32,
            width: width as u32,
            epsilon,
        };
        self.recorder.run_workgroups(plain(Kernel::RmsNorm), &params, &[x, weight, out], rows);
    }

    fn linears(
        &mut self,
        weight: &Weight,
        deltas: &[Active<'_, Self>],
        x: &Buffer,
        rows: usize,
        y: &mut Buffer,
    ) -> Result<()> {
        for Piece { buffer, rows: outputs } in &weight.pieces {
            let params = params::Linear {
                rows: rows as u32,
                inputs: weight.inputs as u32,
                outputs: outputs.len() as u32,
                stride: weight.stride() as u32,
                first: outputs.start as u32,
                y_width: weight.outputs as u32,
            };
            let (kernel, items) = match rows {
                1 => (Kernel::LinearOne, outputs.len()),
                _ => (Kernel::Linear, outputs.len().div_ceil(4) * rows.div_ceil(4)),
            };
            self.recorder.run((kernel, weight.dtype), &params, &[buffer, x, y], items);
        }
        for active in deltas {
            let delta = active.delta;
            let tokens = active.tokens.clone();
            let codes = tokens.len() * delta.code_len;
            Self::scratch(&mut self.recorder, &mut self.codes, "codes", codes)?;
            let Some((_, z)) = &self.codes else { return Ok(()) };
            let items = tokens.len() * delta.shape.outputs as usize;
            let params = active.params(tokens, weight.outputs);
            let (down, up) = (plain(delta.method.down), plain(delta.method.up));
            self.recorder.run(down, &params, &[&delta.buffer, x, z], codes);
            self.recorder.run(up, &params, &[&delta.buffer, z, y], items);
        }
        Ok(())
    }

    fn bias(
        &mut self,
        bias: &Buffer,
        len: usize,
        scale: f32,
        first_row: usize,
        tokens: Range<usize>,
        y: &mut Buffer,
        width: usize,
    ) {
        let params = params::Bias {
            first_token: tokens.start as u32,
            rows: tokens.len() as u32,
            len: len as u32,
            first_row: first_row as u32,
            y_width: width as u32,
            scale,
        };
        self.recorder.run(plain(Kernel::Bias), &params, &[bias, y], tokens.len() * len);
    }

    fn head_norm(
        &mut self,
        qkv: &mut Buffer,
        heads: Heads,
        rows: usize,
        weight: &Buffer,
        epsilon: f32,
    ) {
        let params = params::HeadNorm {
            rows: rows as u32,
            query: heads.query as u32,
            key_value: heads.key_value as u32,
            size: heads.size as u32,
            epsilon,
        };
        let workgroups = rows * (heads.query + heads.key_value);
        let variant = plain(Kernel::HeadNorm);
        self.recorder.run_workgroups(variant, &params, &[qkv, weight], workgroups);
    }

    fn rope(
        &mut self,
        qkv: &mut Buffer,
        heads: Heads,
        table: &Buffer,
        span: &Span,
        keys: &mut Buffer,
        values: &mut Buffer,
    ) {
        let params = params::Rope {
            first: span.rows.start as u32,
            rows: span.rows.len() as u32,
            start: span.start as u32,
            query: heads.query as u32,
            key_value: heads.key_value as u32,
            size: heads.size as u32,
        };
        let items = span.rows.len() * heads.qkv() / 2;
        self.recorder.run(plain(Kernel::Rope), &params, &[qkv, table, keys, values], items);
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

    fn silu_mul(&mut self, gate_up: &Buffer, rows: usize, width: usize, out: &mut Buffer) {
        let params = params::SiluMul { rows: rows as u32, width: width as u32 };
        self.recorder.run(plain(Kernel::SiluMul), &params, &[gate_up, out], rows * width);
    }

    fn add(&mut self, x: &mut Buffer, y: &Buffer, len: usize) {
        let params = params::Add { len: len as u32 };
        self.recorder.run(plain(Kernel::Add), &params, &[x, y], len);
    }

    fn argmax(&mut self, x: &Buffer, rows: usize, width: usize, out: &mut Buffer) {
        let params = params::Argmax { rows: rows as u32, width: width as u32 };
        self.recorder.run_workgroups(plain(Kernel::Argmax), &params, &[x, out], rows);
    }
}

impl Active<'_, Gpu> {
    /// The delta's uniform struct where it lands in rows of `y_width` numbers.
    fn params(&self, tokens: Range<usize>, y_width: usize) -> params::Delta {
        params::Delta {
            rows: tokens.len() as u32,
            first: tokens.start as u32,
            first_row: self.first_row as u32,
            y_width: y_width as u32,
            scale: self.strength * self.delta.scale,
            ..self.delta.shape
        }
    }
}
