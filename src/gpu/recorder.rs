//! Kernels are recorded, then run in one pass and one submit when numbers are read.
//!
//! Their uniform structs lie in one arena that is written once a submit; bind groups are kept as
//! long as their buffers live.

use std::{collections::HashMap, rc::Rc};

use super::{
    buffer::{Buffer, Dropped},
    device::{Device, Pipeline, device_error},
    kernels::Variant,
    params::Params,
};
use crate::{
    Error, Result,
    memory::{Ledger, Memory},
};

/// Bytes between two uniform structs: the largest alignment that WebGPU allows a device to ask for.
const SLOT: usize = 256;
/// Dispatches in one submit; more are split.
const SLOTS: usize = 1024;
/// Invocations of one workgroup, in every kernel.
const WORKGROUP: usize = 64;
/// Workgroups that one dimension of a dispatch holds.
const WIDEST: usize = 65535;
/// Storage bindings that one kernel has at most.
const BINDINGS: usize = 8;

/// What tells bind groups apart: the kernel and its buffers.
type BindKey = (Variant, [u64; BINDINGS]);

struct Dispatch {
    pipeline: Rc<Pipeline>,
    bind_group: wgpu::BindGroup,
    groups: (u32, u32),
}

pub(super) struct Recorder {
    device: Device,
    arena: wgpu::Buffer,
    uniforms: Vec<u8>,
    pending: Vec<Dispatch>,
    bind_groups: HashMap<BindKey, wgpu::BindGroup>,
    dropped: Dropped,
    ledger: Ledger,
    next_id: u64,
    dispatches: usize,
}

impl Recorder {
    pub fn new(device: Device) -> Self {
        let arena = device.shared.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("uniforms"),
            size: (SLOT * SLOTS) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self {
            device,
            arena,
            uniforms: Vec::new(),
            pending: Vec::new(),
            bind_groups: HashMap::new(),
            dropped: Dropped::default(),
            ledger: Ledger::default(),
            next_id: 1,
            dispatches: 0,
        }
    }

    /// Bytes that a storage buffer has at most, in whole 16-byte vectors.
    pub fn limit(&self) -> u64 {
        let limits = self.device.shared.device.limits();
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size) & !15
    }

    /// A zeroed storage buffer of `bytes`, rounded up to whole 16-byte vectors, for `what`. A device
    /// that is of no more use, as it refused memory before, gives none.
    pub fn buffer(&mut self, what: &str, bytes: usize) -> Result<Buffer> {
        self.device.failure().map_or(Ok(()), Err)?;
        let limit = self.limit();
        let size = (bytes.max(1) as u64).checked_next_multiple_of(16);
        let size = size.filter(|size| *size <= limit).ok_or_else(|| Error::Device {
            reason: format!("{what} takes {bytes} bytes, the device allows {limit} in a buffer"),
        })?;
        Ok(self.create(what, size))
    }

    /// A buffer of so few bytes that every device has them.
    pub fn small(&mut self, what: &str) -> Buffer {
        self.create(what, 256)
    }

    fn create(&mut self, what: &str, size: u64) -> Buffer {
        let raw = self.device.shared.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(what),
            size,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.next_id += 1;
        let (id, dropped) = (self.next_id, Rc::clone(&self.dropped));
        Buffer { raw, id, dropped, _held: self.ledger.hold(size) }
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What buffers are held.
    pub fn memory(&self) -> Memory {
        self.ledger.memory()
    }

    /// How many bind groups are kept.
    pub fn bind_groups(&self) -> usize {
        self.bind_groups.len()
    }

    /// How many dispatches were ever recorded.
    pub fn dispatches(&self) -> usize {
        self.dispatches
    }

    /// Writes to a buffer from byte `at` on, after everything that was recorded before.
    pub fn write(&mut self, buffer: &Buffer, at: usize, bytes: &[u8]) {
        self.submit(None);
        self.device.shared.queue.write_buffer(&buffer.raw, at as u64, bytes);
    }

    /// Copies between two buffers: first byte in each, and how many bytes.
    pub fn copy(
        &mut self,
        from: &Buffer,
        to: &Buffer,
        moves: impl Iterator<Item = (usize, usize, usize)>,
    ) {
        let shared = &self.device.shared;
        let mut encoder = shared.device.create_command_encoder(&Default::default());
        for (from_at, to_at, bytes) in moves {
            let [from_at, to_at] = [from_at, to_at].map(|n| n as u64);
            encoder.copy_buffer_to_buffer(&from.raw, from_at, &to.raw, to_at, bytes as u64);
        }
        shared.queue.submit([encoder.finish()]);
    }

    /// Records a kernel with one invocation for each of `items`.
    pub fn run<P: Params>(
        &mut self,
        variant: Variant,
        params: &P,
        buffers: &[&Buffer],
        items: usize,
    ) {
        self.run_workgroups(variant, params, buffers, items.div_ceil(WORKGROUP));
    }

    /// Records a kernel with `workgroups` workgroups.
    pub fn run_workgroups<P: Params>(
        &mut self,
        variant: Variant,
        params: &P,
        buffers: &[&Buffer],
        workgroups: usize,
    ) {
        self.record(variant, bytemuck::bytes_of(params), buffers, workgroups);
    }

    /// Written once for all kernels: a copy for each kind of `params` would be 4 % of the wasm.
    fn record(&mut self, variant: Variant, params: &[u8], buffers: &[&Buffer], workgroups: usize) {
        if workgroups == 0 {
            return;
        }
        if self.pending.len() == SLOTS {
            self.submit(None);
        }
        let pipeline = self.device.shared.pipeline(variant);
        let bind_group = self.bind_group(variant, &pipeline, params.len(), buffers);
        self.uniforms.resize(self.pending.len() * SLOT, 0);
        self.uniforms.extend_from_slice(params);
        let width = workgroups.min(WIDEST);
        let height = workgroups.div_ceil(width);
        let groups = (width as u32, height as u32);
        self.dispatches += 1;
        self.pending.push(Dispatch { pipeline, bind_group, groups });
    }

    fn bind_group(
        &mut self,
        variant: Variant,
        pipeline: &Pipeline,
        params: usize,
        buffers: &[&Buffer],
    ) -> wgpu::BindGroup {
        let gone = std::mem::take(&mut *self.dropped.borrow_mut());
        if !gone.is_empty() {
            self.bind_groups.retain(|(_, ids), _| !ids.iter().any(|id| gone.contains(id)));
        }
        let mut ids = [0; BINDINGS];
        for (id, buffer) in ids.iter_mut().zip(buffers) {
            *id = buffer.id;
        }
        let make = || {
            let uniform = wgpu::BufferBinding {
                buffer: &self.arena,
                offset: 0,
                size: wgpu::BufferSize::new(params.next_multiple_of(16) as u64),
            };
            let mut entries = vec![wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::Buffer(uniform),
            }];
            for (binding, buffer) in (1..).zip(buffers) {
                let resource = buffer.raw.as_entire_binding();
                entries.push(wgpu::BindGroupEntry { binding, resource });
            }
            self.device.shared.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(variant.0.spec().name),
                layout: &pipeline.layout,
                entries: &entries,
            })
        };
        self.bind_groups.entry((variant, ids)).or_insert_with(make).clone()
    }

    /// Runs what was recorded; then copies `(buffer, first byte, staging)`.
    fn submit(&mut self, copy: Option<(&Buffer, u64, &wgpu::Buffer)>) {
        if self.pending.is_empty() && copy.is_none() {
            return;
        }
        let shared = &self.device.shared;
        let mut encoder = shared.device.create_command_encoder(&Default::default());
        if !self.pending.is_empty() {
            self.uniforms.resize(self.pending.len() * SLOT, 0);
            shared.queue.write_buffer(&self.arena, 0, &self.uniforms);
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for (slot, dispatch) in self.pending.drain(..).enumerate() {
                pass.set_pipeline(&dispatch.pipeline.raw);
                pass.set_bind_group(0, &dispatch.bind_group, &[(slot * SLOT) as u32]);
                pass.dispatch_workgroups(dispatch.groups.0, dispatch.groups.1, 1);
            }
        }
        self.uniforms.clear();
        if let Some((buffer, first, staging)) = copy {
            encoder.copy_buffer_to_buffer(&buffer.raw, first, staging, 0, staging.size());
        }
        shared.queue.submit([encoder.finish()]);
    }

    /// Runs what was recorded and starts to read `len` f32 from the `first` on.
    pub fn read(
        &mut self,
        buffer: &Buffer,
        first: usize,
        len: usize,
    ) -> impl Future<Output = Result<Vec<f32>>> + use<> {
        let staging = self.device.shared.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("readback"),
            size: 4 * len.max(1) as u64,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.submit(Some((buffer, 4 * first as u64, &staging)));
        let (tell, mapped) = futures_channel::oneshot::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // The reader may have been dropped; then nobody wants to know.
            let _ = tell.send(result);
        });
        let device = self.device.clone();
        async move {
            // Natively this waits; in a browser it does nothing and the event loop goes on.
            let polled = device.shared.device.poll(wgpu::PollType::wait_indefinitely());
            let mapped = mapped.await;
            if let Some(failure) = device.failure() {
                return Err(failure);
            }
            polled.map_err(device_error)?;
            mapped.map_err(device_error)?.map_err(device_error)?;
            let view = staging.get_mapped_range(..).map_err(device_error)?;
            Ok(bytemuck::cast_slice(&view)[..len].to_vec())
        }
    }
}
