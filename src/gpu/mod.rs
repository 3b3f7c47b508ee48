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

use std::{future::Future, ops::Range, pin::Pin};

pub use buffer::Buffer;
pub use device::{Device, DeviceInfo};

use crate::{
    Result,
    adapter::{Delta, Factors},
    backend::{Active, Backend, Heads, Span},
    memory::Memory,
    tensor::{DType, Data, Tensor, stack},
};
use kernels::Kernel;
use recorder::Recorder;

/// The GPU backend: memory and kernels on one [`Device`].
pub struct Gpu {
    recorder: Recorder,
    /// Codes of the delta that is being applied, grown on demand.
    codes: Option<(usize, Buffer)>,
    /// Token ids of the running embed, grown on demand.
    ids: Option<(usize, Buffer)>,
}

/// A frozen matrix `[outputs, inputs]`; rows that are not of blocks are padded with zeros to whole
/// fours.
#[derive(Debug)]
pub struct Weight {
    buffer: Buffer,
    dtype: DType,
    outputs: usize,
    inputs: usize,
}

impl Weight {
    /// Fours in a row.
    fn fours(&self) -> usize {
        self.inputs.div_ceil(4)
    }

    /// Blocks in a row, as the shaders count them: a four where nothing is quantised.
    fn stride(&self) -> usize {
        self.inputs.div_ceil(self.dtype.block().max(4))
    }
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
        let ([outputs, inputs], data) = stack(parts)?;
        let data = match data {
            Data::F32(v) => Data::F32(padded(v, inputs)),
            Data::F16(v) => Data::F16(padded(v, inputs)),
            Data::BF16(v) => Data::BF16(padded(v, inputs)),
            blocks => blocks,
        };
        let what = format!("a weight [{outputs}, {inputs}] in {}", data.dtype().name());
        let buffer = self.filled(&what, data.bytes())?;
        Ok(Weight { buffer, dtype: data.dtype(), outputs, inputs })
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
        let len = weight.outputs * stride;
        let reading = self.merge(weight, &[]).map(|w| self.recorder.read(&w.buffer, 0, len));
        Box::pin(async move {
            let rows = reading?.await?;
            Ok(rows.chunks_exact(stride).flat_map(|row| &row[..inputs]).copied().collect())
        })
    }

    fn merge(&mut self, weight: &Weight, deltas: &[Active<'_, Self>]) -> Result<Weight> {
        let (outputs, inputs) = (weight.outputs, weight.inputs);
        let len = outputs * weight.fours();
        let what = format!("a merged weight [{outputs}, {inputs}] in F32");
        let buffer = self.recorder.buffer(&what, len.saturating_mul(16))?;
        let variant = (Kernel::Dequantise, weight.dtype);
        let params = params::Dequantise { len: len as u32 };
        self.recorder.run(variant, &params, &[&weight.buffer, &buffer], len);
        for active in deltas {
            let params = active.params(0..1, 4 * weight.fours());
            let buffers = [&active.delta.buffer, &buffer];
            let items = (params.outputs * params.inputs) as usize;
            self.recorder.run(plain(active.delta.method.merge), &params, &buffers, items);
        }
        Ok(Weight { buffer, dtype: DType::F32, outputs, inputs })
    }

    fn embed(&mut self, table: &Weight, ids: &[u32], out: &mut Buffer) -> Result<()> {
        Self::scratch(&mut self.recorder, &mut self.ids, "token ids", ids.len())?;
        let Some((_, buffer)) = &self.ids else { return Ok(()) };
        self.recorder.write(buffer, bytemuck::cast_slice(ids));
        let params = params::Embed {
            rows: ids.len() as u32,
            width: table.inputs as u32,
            stride: table.fours() as u32,
        };
        let buffers = [&table.buffer, buffer, out];
        let items = ids.len() * table.fours();
        self.recorder.run((Kernel::Embed, table.dtype), &params, &buffers, items);
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
        let params = params::Linear {
            rows: rows as u32,
            inputs: weight.inputs as u32,
            outputs: weight.outputs as u32,
            stride: weight.stride() as u32,
        };
        let (kernel, items) = match rows {
            1 => (Kernel::LinearOne, weight.outputs),
            _ => (Kernel::Linear, weight.outputs.div_ceil(4) * rows.div_ceil(4)),
        };
        self.recorder.run((kernel, weight.dtype), &params, &[&weight.buffer, x, y], items);
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
            first_token: tokens.start as u32,
            first_row: self.first_row as u32,
            y_width: y_width as u32,
            scale: self.strength * self.delta.scale,
            ..self.delta.shape
        }
    }
}
