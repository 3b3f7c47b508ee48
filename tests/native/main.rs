//! Native tests: the trials on the CPU and on a native GPU, the shaders' checks, the formats, the
//! analysis.
#![cfg(not(target_arch = "wasm32"))]

#[path = "../trials/mod.rs"]
mod trials;

// mod analysis;
mod comparer;
// mod format;
mod on_cpu;
mod on_gpu;
// mod refusals;
mod shaders;
