//! What the machine can do at most, measured in the same run: a plain read and a loop of
//! multiply-adds.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Bytes that are read: more than caches hold.
pub const BYTES: u64 = 1 << 27;

/// Multiply-adds of one thread of the CPU: 16 chains of four, so long.
const STEPS: usize = 1 << 16;
pub const CPU_PRODUCTS: u64 = 64 * STEPS as u64;

/// Threads of the GPU, and their multiply-adds.
const THREADS: u32 = 1 << 18;
pub const GPU_PRODUCTS: u64 = 16_384 * THREADS as u64;

/// One thread reads memory.
pub fn cpu_read(numbers: &[f32]) -> f32 {
    let mut sums = [0.0; 32];
    for chunk in numbers.as_chunks::<32>().0 {
        for (sum, v) in sums.iter_mut().zip(chunk) {
            *sum += v;
        }
    }
    sums.iter().sum()
}

/// One thread multiplies and adds, by the instructions that the crate is built with.
pub fn cpu_multiply_add() -> f32 {
    let mut sums: [f32; 64] = std::array::from_fn(|i| i as f32);
    let (x, y) = (black_box(0.999), black_box(0.001));
    for _ in 0..STEPS {
        for sum in &mut sums {
            *sum = *sum * x + y;
        }
    }
    sums.iter().sum()
}

/// The GPU by itself, apart from Lokahi's own device.
pub struct Peak {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipelines: [(wgpu::ComputePipeline, wgpu::BindGroup); 2],
}

impl Peak {
    pub fn open() -> Option<Self> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = wgpu::Backends::VULKAN;
        let instance = wgpu::Instance::new(descriptor);
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = pollster::block_on(instance.request_adapter(&options)).ok()?;
        let descriptor =
            wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).ok()?;
        let buffer = |size| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size,
                usage: wgpu::BufferUsages::STORAGE,
                mapped_at_creation: false,
            })
        };
        let buffers = [buffer(BYTES), buffer(16 * u64::from(THREADS))];
        let source = wgpu::ShaderSource::Wgsl(include_str!("peak.wgsl").into());
        let module =
            device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
        let pipelines = ["read_all", "multiply_add"].map(|entry| {
            let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: None,
                layout: None,
                module: &module,
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            });
            let entry = |binding| wgpu::BindGroupEntry {
                binding,
                resource: buffers[binding as usize].as_entire_binding(),
            };
            let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &pipeline.get_bind_group_layout(0),
                entries: &[entry(0), entry(1)],
            });
            (pipeline, bind_group)
        });
        Some(Self { device, queue, pipelines })
    }

    pub fn read(&self, times: u64) -> Duration {
        self.run(0, times)
    }

    pub fn multiply_add(&self, times: u64) -> Duration {
        self.run(1, times)
    }

    fn run(&self, which: usize, times: u64) -> Duration {
        let (pipeline, bind_group) = &self.pipelines[which];
        let start = Instant::now();
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, bind_group, &[]);
            for _ in 0..times {
                pass.dispatch_workgroups(THREADS / 256, 1, 1);
            }
        }
        self.queue.submit([encoder.finish()]);
        // A lost device shows in the numbers that follow.
        let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
        start.elapsed()
    }
}
