//! Every trial in a browser: on the wasm CPU backend and on the browser's WebGPU, and every shader
//! variant through the browser's own compiler. `npm test -- --only chromium,firefox` runs them;
//! `webdriver.json` turns WebGPU on.
#![cfg(target_arch = "wasm32")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../trials/mod.rs"]
mod trials;

mod on_cpu;
mod on_gpu;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
