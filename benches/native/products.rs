//! `cargo bench --manifest-path benches/native/Cargo.toml`: the products of a model on this machine's CPU
//! (one thread) and GPU, beside what the device can do at most.
//!
//! Decode is one row and is bound by memory: GB/s of the weight and factors that are read. Prefill is
//! 128 rows and is bound by arithmetic: GFLOP/s, a multiply-add being two.

mod peak;

use std::{fs, hint::black_box, time::Instant};

use criterion::{Criterion, Throughput};
use lokahi::{
    adapter::{Convention, Delta, Factors, KronFactor, Loha, Lokr, Lora},
    backend::Backend,
    cpu::Cpu,
    gpu::Device,
    model::{Form, Product, Source},
    tensor::{Data, Matrix, Tensor},
};
use peak::Peak;

const SHAPES: [[usize; 2]; 4] = [[576, 576], [192, 576], [1536, 576], [2048, 2048]];
const ROWS: [usize; 2] = [1, 128];
const DTYPES: [&str; 2] = ["F32", "Q4_1"];
const METHODS: [&str; 4] = ["base", "lora", "loha", "lokr"];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What a product is, and what it reads and computes.
struct Case {
    /// As criterion has it.
    id: String,
    rows: usize,
    bytes: u64,
    products: u64,
    source: Source,
}

fn main() -> Result<()> {
    // The table is of this run.
    let _ = fs::remove_dir_all(folder());
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1))
        .configure_from_args();

    let mut group = criterion.benchmark_group("peak/cpu");
    let numbers = vec![1.0; peak::BYTES as usize / 4];
    group.throughput(Throughput::Bytes(peak::BYTES));
    group.bench_function("read", |b| b.iter(|| black_box(peak::cpu_read(&numbers))));
    group.throughput(Throughput::Elements(2 * peak::CPU_PRODUCTS));
    group.bench_function("multiply_add", |b| b.iter(|| black_box(peak::cpu_multiply_add())));
    group.finish();
    drop(numbers);
    let mut cases = Vec::new();
    run(&mut criterion, "cpu", &mut cases, Cpu::default)?;

    let gpu = match (Peak::open(), pollster::block_on(Device::open())) {
        (Some(peak), Ok(device)) => {
            let mut group = criterion.benchmark_group("peak/gpu");
            group.throughput(Throughput::Bytes(peak::BYTES));
            group.bench_function("read", |b| b.iter_custom(|times| peak.read(times)));
            group.throughput(Throughput::Elements(2 * peak::GPU_PRODUCTS));
            group.bench_function("multiply_add", |b| {
                b.iter_custom(|times| peak.multiply_add(times))
            });
            group.finish();
            run(&mut criterion, "gpu", &mut cases, || device.backend())?;
            device.info().name.clone()
        }
        (_, Err(error)) => format!("none: {error}"),
        (None, Ok(_)) => "none".into(),
    };
    criterion.final_summary();
    println!("\nGPU: {gpu}\n");
    table(&cases)
}

/// All products on a backend.
fn run<B: Backend>(
    criterion: &mut Criterion,
    device: &str,
    cases: &mut Vec<Case>,
    backend: impl Fn() -> B,
) -> Result<()> {
    for shape in SHAPES {
        for dtype in DTYPES {
            for rows in ROWS {
                for method in METHODS {
                    let case = Case::new(device, shape, dtype, rows, method)?;
                    let mut group = criterion.benchmark_group(&case.id);
                    group.throughput(match rows {
                        1 => Throughput::Bytes(case.bytes),
                        _ => Throughput::Elements(2 * case.products),
                    });
                    let mut product = Product::new(backend(), &case.source)?;
                    group.bench_function("run", |b| {
                        b.iter_custom(|times| {
                            let start = Instant::now();
                            let done = product.time(Form::Structured, rows, times as usize);
                            done.and_then(pollster::block_on).expect("the product runs");
                            start.elapsed()
                        });
                    });
                    group.finish();
                    cases.push(case);
                }
            }
        }
    }
    Ok(())
}

impl Case {
    fn new(
        device: &str,
        [out, inputs]: [usize; 2],
        dtype: &str,
        rows: usize,
        method: &str,
    ) -> Result<Self> {
        let numbers = out * inputs;
        let (data, bytes) = match dtype {
            "F32" => (Data::F32(vec![0.01; numbers]), 4 * numbers),
            // Scale and minimum in f16, then 32 integers of four bits.
            _ => (
                Data::Q4_1(bytemuck::cast_slice(&vec![0x38_u8; numbers / 32 * 20]).to_vec()),
                numbers / 32 * 20,
            ),
        };
        let matrix = |rows, cols| Matrix::from_fn(rows, cols, |_, _| 0.01);
        let (tall, wide) = (|| matrix(out, 8), || matrix(8, inputs));
        let [(ol, ok), (im, in_n)] =
            [out, inputs].map(|dim| lokahi::adapter::factorize(dim, -1, Convention::Peft));
        let full = |rows, cols| KronFactor::Full(matrix(rows, cols));
        let factors = match method {
            "lora" => Some(Factors::Lora(Lora::new(wide(), tall())?)),
            "loha" => Some(Factors::Loha(Loha::new(tall(), wide(), tall(), wide())?)),
            "lokr" => Some(Factors::Lokr(Lokr::new(full(ol, im), full(ok, in_n))?)),
            _ => None,
        };
        let deltas: Vec<_> =
            factors.into_iter().map(|factors| Delta::new(factors, 8, 1.0, 1.0)).collect();
        let work: usize = deltas.iter().map(|delta| delta.method().work()).sum();
        let read: usize = deltas.iter().map(|delta| delta.method().parameters()).sum();
        Ok(Self {
            id: format!("{device}/{out}x{inputs}/{dtype}/{rows}/{method}"),
            rows,
            bytes: (bytes + 4 * read) as u64,
            products: ((numbers + work) * rows) as u64,
            source: Source { weight: Tensor::new(vec![out, inputs], data)?, deltas },
        })
    }
}

/// Where criterion writes.
fn folder() -> String {
    let target = std::env::var("CARGO_TARGET_DIR");
    target.unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/target").into()) + "/criterion"
}

/// Achieved and possible, from what criterion wrote. What a filter left out is not in it.
fn table(cases: &[Case]) -> Result<()> {
    let median = |group: &str, name: &str| -> Option<f64> {
        let group = group.replace('/', "_");
        let text = fs::read(format!("{}/{group}/{name}/new/estimates.json", folder())).ok()?;
        let all: serde_json::Value = serde_json::from_slice(&text).ok()?;
        all["median"]["point_estimate"].as_f64()
    };
    println!("{:<26} {:>11} {:>20} {:>8}", "product", "median", "achieved", "of peak");
    for case in cases {
        let Some(ns) = median(&case.id, "run") else { continue };
        let device = &case.id[..3];
        let products = if device == "cpu" { peak::CPU_PRODUCTS } else { peak::GPU_PRODUCTS };
        let (work, peak, unit, of) = match case.rows {
            1 => (case.bytes, peak::BYTES, "GB/s", "read"),
            _ => (2 * case.products, 2 * products, "GFLOP/s", "multiply_add"),
        };
        let achieved = work as f64 / ns;
        let share = median(&format!("peak/{device}"), of)
            .map_or("?".into(), |ns| format!("{:.0} %", 100.0 * achieved / (peak as f64 / ns)));
        println!("{:<26} {:>8.1} us {achieved:>12.1} {unit:<7} {share:>8}", case.id, ns / 1e3);
    }
    Ok(())
}
