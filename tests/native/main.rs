//! Tests that run natively, against files and numbers made by other programs.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail by a panic too"
)]

mod format;
