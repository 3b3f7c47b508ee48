//! A single safetensors file, whole and as a header that is read from its first bytes.
#![no_main]

use lokahi::format::{Progress, safetensors::Header};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    lokahi_fuzz::open(None, file, &Default::default());
    let len = file.len() as u64;
    let Ok(Progress::Done(whole)) = Header::parse("f", file, len) else { return };
    let header = &file[..whole.data_start() as usize];
    assert_eq!(Header::parse("f", header, len), Ok(Progress::Done(whole)));
    let short = Header::parse("f", &header[..header.len() / 2], len);
    assert!(matches!(short, Ok(Progress::More(_))));
});
