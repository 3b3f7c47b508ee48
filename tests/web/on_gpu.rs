//! Every trial on the browser's WebGPU. A browser without it fails: `webdriver.json` turns it on.

use crate::trials::{cases, families, kernels, places, products};
use lokahi::gpu::{Device, Gpu, kernels::Kernel};
use wasm_bindgen_test::wasm_bindgen_test;

async fn gpu() -> Gpu {
    Device::open().await.expect("WebGPU").backend()
}

macro_rules! run {
    ($room:ident::$trial:ident) => {
        #[wasm_bindgen_test]
        async fn $trial() {
            $room::$trial(gpu().await).await;
        }
    };
}

crate::trials!(run);

/// Browsers are stricter than naga, on uniform control flow for one.
#[wasm_bindgen_test]
async fn every_variant_compiles() {
    let device = Device::open().await.expect("WebGPU");
    for kernel in Kernel::ALL {
        for weight in kernel.variants() {
            let name = kernel.spec().name;
            let module = device.raw().create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(name),
                source: wgpu::ShaderSource::Wgsl(kernel.wgsl(*weight).into()),
            });
            let told = module.get_compilation_info().await.messages;
            assert!(told.is_empty(), "{name}.wgsl for {}: {told:?}", weight.name());
        }
    }
    assert_eq!(device.failure(), None);
}
