//! Tests that run natively.
#![cfg(not(target_arch = "wasm32"))]

mod analysis;
