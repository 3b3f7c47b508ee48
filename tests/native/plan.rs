//! The cost model: by made-up times whose answers are known, and by the backends' own.

use lokahi::{
    adapter::{Delta, Factors, Lora},
    cpu::Cpu,
    model::{Costs, Form, Plan, Probe, Product, ROWS, Source},
    tensor::DType,
};

use crate::trials::kernels::Noise;

/// A device on which a multiply-add of a weight takes `weight(dtype)` and one of a delta `delta`,
/// in ms, and a call `call`.
fn device(call: f64, delta: f64, weight: impl Fn(DType) -> f64) -> Costs {
    let time = |probe: Probe, rows: usize| {
        let source = probe.source().unwrap();
        let weights = source.weight.len() as f64;
        let deltas: usize = source.deltas.iter().map(|d| d.method().work()).sum();
        let rows = rows as f64;
        match probe {
            Probe::Call => call,
            Probe::Weight(dtype) => call + rows * weights * weight(dtype),
            _ => call + rows * deltas as f64 * delta,
        }
    };
    let times = Probe::ALL.iter().flat_map(|&probe| ROWS.map(|rows| time(probe, rows)));
    Costs::new(&times.collect::<Vec<_>>()).unwrap()
}

fn product(tensor: usize) -> Product<Cpu> {
    let mut noise = Noise::new(37);
    let weight = noise.tensors(40, 64).remove(tensor);
    let lora = Lora::new(noise.matrix(4, 64), noise.matrix(40, 4)).unwrap();
    let deltas = vec![Delta::new(Factors::Lora(lora), 4, 4.0, 1.0)];
    Product::new(Cpu::default(), &Source { weight, deltas }).unwrap()
}

#[test]
fn times_are_sums_of_what_was_measured() {
    let costs = device(3.0, 0.5, |_| 0.25);
    let product = product(0);
    for rows in [1, 2, 16, 70, 128, 1000] {
        let Plan { times: [base, structured, merged], .. } = product.plan(&costs, rows);
        let want = 3.0 + 0.25 * (40 * 64 * rows) as f64;
        assert!((base / want - 1.0).abs() < 1e-9, "{rows} rows: {base}, expected {want}");
        assert_eq!(base, merged, "a merged F32 weight is as any");
        let want = want + 3.0 + 0.5 * (4 * (40 + 64) * rows) as f64;
        assert!((structured / want - 1.0).abs() < 1e-9, "{rows}: {structured}, expected {want}");
    }
}

#[test]
fn merging_must_be_worth_its_memory() {
    let choice = |tensor, delta, f32: f64, other: f64| {
        let costs = device(0.0, delta, |dtype| if dtype == DType::F32 { f32 } else { other });
        product(tensor).plan(&costs, 1).choice()
    };
    // The delta has 416 multiply-adds, the weight 2560.
    assert_eq!(choice(0, 0.7, 1.0, 1.0), Form::Merged, "it saves 10 %");
    assert_eq!(choice(0, 0.5, 1.0, 1.0), Form::Structured, "it saves 7.5 % only");
    // Reading F32 is slower than reading blocks.
    assert_eq!(choice(4, 1.0, 2.0, 1.0), Form::Structured);
    assert_eq!(choice(4, 10.0, 2.0, 1.0), Form::Merged);
}

#[test]
fn what_was_not_measured_has_no_time() {
    let mut times = vec![1.0; 3 * Probe::ALL.len()];
    // F16 alone.
    times[3 * 5..][..3].fill(f64::NAN);
    let costs = Costs::new(&times).unwrap();
    assert!(product(1).plan(&costs, 1).times[0].is_nan());
    assert!(product(0).plan(&costs, 1).times.iter().all(|ms| ms.is_finite()));
    assert!(product(0).plan(&Costs::new(&[]).unwrap(), 7).times.iter().all(|ms| ms.is_nan()));
}

#[test]
fn work_of_a_delta_is_that_of_its_products() {
    use lokahi::adapter::{KronFactor, Loha, Lokr, Method};
    let mut noise = Noise::new(5);
    let mut matrix = |rows, cols| noise.matrix(rows, cols);
    assert_eq!(Lora::new(matrix(3, 20), matrix(10, 3)).unwrap().work(), 3 * 30);
    let loha = Loha::new(matrix(10, 2), matrix(2, 20), matrix(10, 2), matrix(2, 20)).unwrap();
    assert_eq!(loha.work(), (4 + 2) * 30);
    // [2, 4] and [5, 5]: S is 4 rows of 5 times 5, then 2 rows of 4 rows of 5.
    let w1 = || KronFactor::Full(Noise::new(1).matrix(2, 4));
    let whole = Lokr::new(w1(), KronFactor::Full(matrix(5, 5))).unwrap();
    assert_eq!(whole.work(), 4 * 5 * 5 + 2 * 4 * 5);
    let low = KronFactor::LowRank { a: matrix(5, 3), b: matrix(3, 5) };
    assert_eq!(Lokr::new(w1(), low).unwrap().work(), 4 * 3 * 5 + 2 * 4 * 3 + 2 * 5 * 3);
}

/// Errors name what was expected.
#[test]
fn wrong_inputs_are_named() {
    let error = product(0).run(Form::Base, &[1.0; 65]).err().unwrap().to_string();
    assert!(error.contains("whole rows of 64") && error.contains("65"), "{error}");
    let error = product(0).time(Form::Base, 0, 1).err().unwrap().to_string();
    assert!(error.contains("rows"), "{error}");
    let mut noise = Noise::new(2);
    let lora = Lora::new(noise.matrix(4, 64), noise.matrix(41, 4)).unwrap();
    let deltas = vec![Delta::new(Factors::Lora(lora), 4, 4.0, 1.0)];
    let source = Source { weight: noise.tensor(40, 64), deltas };
    let error = Product::new(Cpu::default(), &source).err().unwrap().to_string();
    assert!(error.contains("41") && error.contains("40"), "{error}");
}
