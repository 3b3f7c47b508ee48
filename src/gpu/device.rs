//! The GPU device: opened once, shared by every model on it.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use super::kernels::{Access, Variant};
use crate::{Error, Result, gpu::Gpu};

/// What is known of the device that an engine runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The name the driver or the browser gives; browsers often give none.
    pub name: String,
    /// Whether it is computed on the CPU: right, but slower than the CPU backend.
    pub software: bool,
}

/// An open GPU device. Cheap to clone; every clone is the same device.
#[derive(Debug, Clone)]
pub struct Device {
    pub(super) shared: Rc<Shared>,
}

/// A compiled kernel.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub raw: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub info: DeviceInfo,
    pub failure: Failure,
    pub pipelines: RefCell<HashMap<Variant, Rc<Pipeline>>>,
}

/// The first thing that went wrong on the device, told by its callbacks from wherever they run.
#[derive(Debug, Clone, Default)]
pub(super) struct Failure(Arc<Mutex<Option<Error>>>);

impl Failure {
    fn set(&self, error: Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// The failure, if there was one.
    pub fn get(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Device {
    /// Opens the device that the browser or the driver prefers, with the adapter's own limits and
    /// no optional feature, and checks it by known products.
    pub async fn open() -> Result<Self> {
        Self::open_with(|limits| limits).await
    }

    /// [`Device::open`] with other limits than the adapter's own, which are given: a test asks for
    /// as little as the smallest device has.
    pub async fn open_with(limits: impl FnOnce(wgpu::Limits) -> wgpu::Limits) -> Result<Self> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::BROWSER_WEBGPU;
        let instance = wgpu::Instance::new(descriptor);
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        // wgpu's own words list the backends that were not compiled in: noise to a visitor.
        let adapter = instance
            .request_adapter(&options)
            .await
            .map_err(|_| Error::Device { reason: "no adapter was found for WebGPU".into() })?;
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("lokahi"),
                required_limits: limits(adapter.limits()),
                ..Default::default()
            })
            .await
            .map_err(device_error)?;

        let failure = Failure::default();
        let (errors, losses) = (failure.clone(), failure.clone());
        device.on_uncaptured_error(Arc::new(move |error| errors.set(uncaptured(error))));
        device.set_device_lost_callback(move |reason, message| {
            losses.set(Error::DeviceLost { reason: format!("{reason:?}: {message}") });
        });
        let info = adapter.get_info();
        let info =
            DeviceInfo { name: info.name, software: info.device_type == wgpu::DeviceType::Cpu };
        let pipelines = RefCell::default();
        let opened = Self { shared: Rc::new(Shared { device, queue, info, failure, pipelines }) };
        super::self_test::run(&opened).await?;
        Ok(opened)
    }

    /// Name and kind of the device.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        &self.shared.info
    }

    /// The device as wgpu knows it, for sharing with an application's own rendering.
    #[must_use]
    pub fn raw(&self) -> &wgpu::Device {
        &self.shared.device
    }

    /// A backend on this device.
    #[must_use]
    pub fn backend(&self) -> Gpu {
        Gpu::new(self.clone())
    }

    /// How many kernels are compiled.
    #[must_use]
    pub fn pipelines(&self) -> usize {
        self.shared.pipelines.borrow().len()
    }

    /// Compiles kernels, where they are not.
    pub(super) fn warm(&self, variants: &[Variant]) {
        for variant in variants {
            self.shared.pipeline(*variant);
        }
    }

    /// The failure of the device, if there was one: it is of no more use.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.shared.failure.get()
    }
}

impl Shared {
    /// The compiled kernel; compiles it on first use.
    pub fn pipeline(&self, (kernel, weight): Variant) -> Rc<Pipeline> {
        let mut pipelines = self.pipelines.borrow_mut();
        let make = || Rc::new(self.compile((kernel, weight)));
        Rc::clone(pipelines.entry((kernel, weight)).or_insert_with(make))
    }

    fn compile(&self, (kernel, weight): Variant) -> Pipeline {
        let spec = kernel.spec();
        let entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
            count: None,
        };
        let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, true)];
        for (binding, access) in (1..).zip(spec.bindings) {
            let read_only = *access == Access::Read;
            entries.push(entry(binding, wgpu::BufferBindingType::Storage { read_only }, false));
        }
        let layout = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(spec.name),
            entries: &entries,
        });
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(spec.name),
            source: wgpu::ShaderSource::Wgsl(kernel.wgsl(weight).into()),
        });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(spec.name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let raw = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(spec.name),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        Pipeline { raw, layout }
    }
}

/// A device tells that it refused memory later, by an error that nobody waits for.
fn uncaptured(error: wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => Error::Device { reason: "it has no more memory".into() },
        error => device_error(error),
    }
}

pub(super) fn device_error(error: impl std::fmt::Display) -> Error {
    Error::Device { reason: error.to_string() }
}
