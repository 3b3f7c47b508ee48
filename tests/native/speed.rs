//! How fast the product with a weight is, by dtype and number of tokens. It measures and asserts
//! nothing: `cargo test --release --test native speed -- --ignored --nocapture --test-threads 1`.

use std::time::Instant;

use lokahi::{backend::Backend, cpu::Cpu, gpu::Device};

use crate::trials::{kernels::Noise, name};

/// Shapes of SmolLM2-135M: q, k and v; down.
const SHAPES: [(usize, usize); 2] = [(960, 576), (576, 1536)];

fn products<B: Backend>(backend: &mut B) {
    let mut noise = Noise::new(23);
    println!("{}: GFLOP/s (GB/s of weights)", name::<B>());
    for (outputs, inputs) in SHAPES {
        for tensor in noise.tensors(outputs, inputs) {
            let weight = backend.weight(&[&tensor]).unwrap();
            let bytes = tensor.data().bytes().len() as f64;
            print!("{outputs:5} x {inputs:4} {:5}", tensor.dtype().name());
            for rows in [1, 4, 128] {
                let x = backend.upload(&noise.numbers(rows * inputs)).unwrap();
                let mut y = backend.zeros(rows * outputs).unwrap();
                let calls = 20usize.div_ceil(rows);
                let mut once = || {
                    let start = Instant::now();
                    for _ in 0..calls {
                        backend.linears(&weight, None, None, &x, rows, &mut y).unwrap();
                    }
                    pollster::block_on(backend.read(&y, 0, 1)).unwrap();
                    start.elapsed().as_secs_f64() / calls as f64
                };
                let best = (0..5).map(|_| once()).fold(f64::INFINITY, f64::min);
                let flops = 2.0 * (rows * outputs * inputs) as f64;
                print!("   {rows:3} rows {:6.2} ({:5.2})", flops / best / 1e9, bytes / best / 1e9);
            }
            println!();
        }
    }
}

#[test]
#[ignore = "measures"]
fn on_cpu() {
    products(&mut Cpu::default());
}

#[test]
#[ignore = "measures"]
fn on_gpu() {
    let device = pollster::block_on(Device::open()).expect("a Vulkan device");
    products(&mut device.backend());
}
