//! A GGUF file: header, adapter, numbers.
#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| lokahi_fuzz::open_gguf(file));
