//! The GPU device for JavaScript.

use js_sys::Reflect;
use wasm_bindgen::prelude::*;

use super::JsResult;
use crate::gpu::Device;

/// An open WebGPU device.
#[wasm_bindgen]
pub struct CoreDevice {
    device: Device,
}

#[wasm_bindgen]
impl CoreDevice {
    /// Opens the device and runs the self-test.
    pub async fn open() -> JsResult<CoreDevice> {
        Ok(Self { device: Device::open().await? })
    }

    /// What the browser tells of the device: its description, or vendor and architecture.
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> String {
        let description = self.device.info().name.clone();
        if !description.is_empty() {
            return description;
        }
        let words = || -> Option<String> {
            let info = Reflect::get(self.device.raw().as_webgpu()?, &"adapterInfo".into()).ok()?;
            let word = |name: &str| Reflect::get(&info, &name.into()).ok()?.as_string();
            Some(format!("{} {}", word("vendor")?, word("architecture")?).trim().to_owned())
        };
        words().unwrap_or_default()
    }

    /// Whether it is of no more use: it was lost, or something failed on it.
    #[wasm_bindgen(getter)]
    pub fn lost(&self) -> bool {
        self.device.failure().is_some()
    }

    /// Whether the device is computed on the CPU.
    #[wasm_bindgen(getter)]
    pub fn software(&self) -> bool {
        self.device.info().software
    }
}

impl CoreDevice {
    pub(super) fn device(&self) -> &Device {
        &self.device
    }
}
