//! A buffer beyond the device's limits is refused by name.

use crate::refused::refused;
use lokahi::{
    backend::Backend,
    gpu::Device,
    tensor::{Data, Tensor, read_blocks},
};

#[test]
fn what_a_gpu_cannot_bind_is_named() {
    let device = pollster::block_on(Device::open()).expect("a Vulkan device");
    let limits = device.raw().limits();
    let most = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    let mut gpu = device.backend();
    let before = gpu.memory();
    let names = ["activations", &most.to_string()];
    refused(gpu.zeros(most as usize / 4 + 1), "Device", &names);
    refused(gpu.zeros(usize::MAX), "Device", &names);
    // Blocks that fit, but not as f32. Where gigabytes fit, this would take too many of them.
    let rows = most as usize / 4 / 4096 + 1;
    if most <= 1 << 28 {
        let blocks = read_blocks(&vec![0; rows * 4096 / 32 * 20]);
        let tensor = Tensor::new(vec![rows, 4096], Data::Q4_1(blocks)).unwrap();
        let weight = gpu.weight(&[&tensor]).unwrap();
        let shape = format!("merged weight [{rows}, 4096]");
        refused(gpu.merge(&weight, &[]), "Device", &[&shape, &most.to_string()]);
        drop(weight);
    }
    assert_eq!(gpu.memory(), before);
}
