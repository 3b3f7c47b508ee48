//! One product by itself: every form against the oracle, and the products that a device is measured
//! with.

use lokahi::{
    adapter::{Delta, Factors, KronFactor, Loha, Lokr, Lora},
    backend::Backend,
    model::{Form, Probe, Product, Source},
};

use super::{
    compare::{assert_close, of_largest, widen},
    kernels::Noise,
    name, oracle,
};

/// Every method on a weight of every dtype, in every form and in changing order.
pub async fn forms_of_a_product<B: Backend>(mut backend: B) {
    let mut noise = Noise::new(31);
    let [out, inputs] = [36, 64];
    let mut matrix = |rows, cols| noise.matrix(rows, cols);
    let methods = [
        Factors::Lora(Lora::new(matrix(3, inputs), matrix(out, 3)).unwrap()),
        Factors::Loha({
            let [a, b] = [matrix(out, 2), matrix(2, inputs)];
            Loha::new(a, b, matrix(out, 2), matrix(2, inputs)).unwrap()
        }),
        Factors::Lokr({
            let whole = KronFactor::Full(matrix(9, 16));
            Lokr::new(KronFactor::Full(matrix(4, 4)), whole).unwrap()
        }),
        Factors::Lokr({
            let w2 = KronFactor::LowRank { a: matrix(9, 2), b: matrix(2, 16) };
            Lokr::new(KronFactor::Full(matrix(4, 4)), w2).unwrap()
        }),
    ];
    for weight in noise.tensors(out, inputs) {
        for factors in &methods {
            let delta = Delta::new(factors.clone(), 2, 1.0, 0.5);
            let base = widen(&weight.to_f32());
            let merged: Vec<_> = base.iter().zip(delta.materialise()).map(|(w, d)| w + d).collect();
            let source = Source { weight: weight.clone(), deltas: vec![delta] };
            let mut product = Product::new(backend, &source).unwrap();
            for (form, rows) in [
                (Form::Merged, 1),
                (Form::Base, 1),
                (Form::Structured, 5),
                (Form::Merged, 5),
                (Form::Structured, 1),
            ] {
                let x = noise.numbers(rows * inputs);
                let got = product.run(form, &x).unwrap().await.unwrap();
                let w = if form == Form::Base { &base } else { &merged };
                let want = oracle::linear(w, &widen(&x), inputs);
                let (dtype, method) = (weight.dtype(), factors.name());
                let what = format!("{} {dtype:?} {method} {form:?}, {rows} rows", name::<B>());
                // A quantised base rounds what meets it.
                let share = if dtype.block() > 1 { 1e-4 } else { 1e-5 };
                assert_close(&what, &got, &want, of_largest(share, &want));
            }
            backend = product.into_backend();
        }
    }
}

/// They run in every form, and give finite numbers.
pub async fn probes_run<B: Backend>(mut backend: B) {
    for probe in Probe::ALL {
        let source = probe.source().unwrap();
        let mut product = Product::new(backend, &source).unwrap();
        let [_, inputs] = *source.weight.shape() else { panic!("{probe:?}: not a matrix") };
        let merged = (!source.deltas.is_empty()).then_some(Form::Merged);
        for form in [Form::Base, Form::Structured].into_iter().chain(merged) {
            let what = format!("{} {probe:?} {form:?}", name::<B>());
            let y = product.run(form, &vec![0.5; 2 * inputs]).unwrap().await.unwrap();
            let equal = y.iter().all(|v| v.is_finite() && (v - y[0]).abs() < 1e-3 * y[0].abs());
            assert!(equal && y[0] != 0.0, "{what}: {:?}", &y[..4]);
            let first = product.time(form, 2, 3).unwrap().await.unwrap();
            assert_eq!(first, &y[..1], "{what}");
        }
        backend = product.into_backend();
    }
}
