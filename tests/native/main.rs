//! Native tests: the trials on the CPU and on a native GPU, the shaders' checks, the formats, the
//! analysis.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../trials/mod.rs"]
mod trials;

mod analysis;
mod combine;
mod comparer;
mod experts;
mod format;
mod gguf;
mod gguf_lora;
mod hostile;
mod leaks;
mod limits;
mod lycoris;
mod models;
mod on_cpu;
mod on_gpu;
mod plan;
mod refusals;
mod refused;
mod reports;
mod resize;
mod roundtrip;
mod shaders;
mod smollm2;
mod speed;
mod tensor;
mod vectors;
mod whole_net;
mod writers;
