//! A PEFT folder: two bytes of length, the config, the safetensors file. `seeds.sh` makes seeds.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (config, tensors) = rest.split_at(length);
    lokahi_fuzz::open(Some(config), tensors, &Default::default());
});
