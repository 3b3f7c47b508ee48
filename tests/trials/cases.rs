//! Adapters that PEFT saved, with the deltas, merged weights and products that PEFT computed.

use lokahi::{
    adapter::Delta,
    backend::Backend,
    format::{Tensors, peft},
    tensor::{Data, Tensor},
};

use super::{
    compare::{assert_close, of_largest, widen},
    fixtures::{CASES, Case, files},
    kernels::Loaded,
    name, oracle,
};

/// Every case: `delta`, `merged` and the unmerged product of every module, within 1e-5 of the
/// largest magnitude.
pub async fn deltas_merged_weights_and_products<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    for case in CASES {
        let adapter = peft::read(&files(case.adapter)).unwrap();
        let base = Tensors::parse("base.safetensors", case.base).unwrap();
        let expected = Tensors::parse("expected.safetensors", case.expected).unwrap();
        let deltas = expected.names().iter().filter(|name| name.ends_with(".delta")).count();
        assert_eq!(adapter.deltas.len(), deltas, "{}: modules", case.name);
        for (module, delta) in &adapter.deltas {
            run(backend, case, module, delta, &base, &expected).await;
        }
    }
}

async fn run<B: Backend>(
    backend: &mut B,
    case: &Case,
    module: &str,
    delta: &Delta,
    base: &Tensors<'_>,
    expected: &Tensors<'_>,
) {
    let what = |kind| format!("{} {} {module} {kind}", name::<B>(), case.name);
    let wanted = |kind| widen(&expected.get(&format!("{module}.{kind}")).unwrap().to_f32());
    let weight = base.get(&format!("{module}.weight")).unwrap();
    let &[outputs, inputs] = weight.shape() else { panic!("{module}: not a matrix") };
    let zeros = Tensor::new(vec![outputs, inputs], Data::F32(vec![0.0; outputs * inputs])).unwrap();
    let loaded = Loaded::new(backend, &[(0, delta)], &[1.0]);
    let added = loaded.added();
    for (kind, ground) in [("delta", &zeros), ("merged", &weight)] {
        let ground = backend.weight(&[ground]).unwrap();
        let merged = backend.merge(&ground, added).unwrap();
        let got = backend.read_weight(&merged).await.unwrap();
        let want = wanted(kind);
        assert_close(&what(kind), &got, &want, of_largest(1e-5, &want));
    }
    // The net's own input where it fits, else its numbers as far as they reach: any input will do.
    let numbers = expected.get("input").unwrap().to_f32();
    let rows = 3;
    let x: Vec<f32> = numbers.iter().cycle().take(rows * inputs).copied().collect();
    let weight = backend.weight(&[&weight]).unwrap();
    let buffer = backend.upload(&x).unwrap();
    let mut y = backend.upload(&vec![f32::NAN; rows * outputs]).unwrap();
    backend.linears(&weight, None, Some(added), &buffer, rows, &mut y).unwrap();
    backend.up(added, rows, outputs, &mut y);
    let got = backend.read(&y, 0, rows * outputs).await.unwrap();
    let want = oracle::linear(&wanted("merged"), &widen(&x), inputs);
    assert_close(&what("product"), &got, &want, of_largest(1e-5, &want));
}
