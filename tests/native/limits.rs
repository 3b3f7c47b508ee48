//! Devices that allow little: weights are split over several buffers there, and what cannot be
//! split is refused by name.

use crate::{
    refused::refused,
    trials::{families, kernels},
};
use lokahi::{
    backend::Backend,
    gpu::{Device, Gpu},
    tensor::{Data, Tensor, read_blocks},
};

/// What every WebGPU device allows and no more, and so few bytes in a binding.
fn small(bytes: u64) -> Gpu {
    let limits = wgpu::Limits {
        max_storage_buffer_binding_size: bytes,
        max_storage_buffers_per_shader_stage: 8,
        max_compute_invocations_per_workgroup: 256,
        ..wgpu::Limits::default()
    };
    let device = pollster::block_on(Device::open_with(|_| limits)).expect("a Vulkan device");
    assert_eq!(device.raw().limits().max_storage_buffer_binding_size, bytes);
    device.backend()
}

/// `$bytes`: less than the weights of the trial take, enough for anything else in it.
macro_rules! split {
    ($($room:ident::$trial:ident: $bytes:expr),+ $(,)?) => {$(
        #[test]
        fn $trial() {
            pollster::block_on($room::$trial(small($bytes)));
        }
    )+};
}

split! {
    kernels::embed: 3 << 9,
    kernels::linear: 1 << 16,
    kernels::linear_one: 1 << 14,
    kernels::loha_merge: 17 << 10,
    kernels::lokr_merge: 1 << 13,
    kernels::lora_merge: 1 << 14,
    kernels::merge: 3 << 9,
}

/// Tiny models whose larger weights, merged or not, take two buffers.
#[test]
fn models_of_split_weights() {
    for name in ["llama-untied", "llama-bias-headdim", "qwen2", "qwen3"] {
        pollster::block_on(families::texts_alone(small(1 << 14), name));
    }
}

/// A weight has as many buffers as it takes, and gives back the numbers that went in.
#[test]
fn a_weight_is_split_by_rows() {
    let mut gpu = small(1 << 14);
    // Seven rows of 2340 bytes, padded to whole fours, in a buffer of 16384.
    let numbers: Vec<f32> = (0..50 * 583).map(|i| i as f32).collect();
    let tensor = Tensor::new(vec![50, 583], Data::F32(numbers.clone())).unwrap();
    let before = gpu.memory();
    let weight = gpu.weight(&[&tensor]).unwrap();
    assert_eq!(gpu.memory().buffers - before.buffers, 50usize.div_ceil(7));
    let got = pollster::block_on(gpu.read_weight(&weight)).unwrap();
    assert_eq!(got, numbers);
    drop(weight);
    assert_eq!(gpu.memory(), before);
}

#[test]
fn what_a_gpu_cannot_bind_is_named() {
    let mut gpu = small(1 << 14);
    let before = gpu.memory();
    let names = ["activations", "16384"];
    refused(gpu.zeros(4097), "Device", &names);
    refused(gpu.zeros(usize::MAX), "Device", &names);
    // A row that fits as blocks, but not as f32: rows are not split.
    let blocks = read_blocks(&vec![0; 2 * 8192 / 32 * 20]);
    let tensor = Tensor::new(vec![2, 8192], Data::Q4_1(blocks)).unwrap();
    let weight = gpu.weight(&[&tensor]).unwrap();
    let read = pollster::block_on(gpu.read_weight(&weight));
    refused(read, "Device", &["merged weight [2, 8192]", "16384"]);
    drop(weight);
    assert_eq!(gpu.memory(), before);
}
