//! Combinations against sums of dense `dW`, PEFT's numbers and public bug reports.

use lokahi::{
    adapter::{
        Adapter, Axis, Delta, Factors, Layer, Lora, Magnitude, MajoritySign, Warning, cat, combine,
        linear, ties,
    },
    analysis::{LokrRecipe, Recipe, combine_svd},
    tensor::{Data, Matrix, Tensor},
};
use nalgebra::DMatrix;

use crate::analysis::{build, delta, rng, whole};

fn matrix<const R: usize, const C: usize>(rows: [[f32; C]; R]) -> Matrix {
    Matrix::new(R, C, rows.concat()).unwrap()
}

fn lora(a: Matrix, b: Matrix, scale: f32) -> Delta {
    delta(Factors::Lora(Lora::new(a, b).unwrap()), scale)
}

fn random(shape: [usize; 2], r: usize, scale: f32, seed: u64) -> Delta {
    delta(build(shape, &Recipe::Lora { r }, &mut rng(seed)), scale)
}

/// The sum of all weights times `dW`.
fn sum(deltas: &[(&Delta, f64)]) -> DMatrix<f64> {
    deltas.iter().map(|(delta, weight)| whole(delta) * *weight).sum()
}

#[track_caller]
fn near(got: &DMatrix<f64>, wanted: &DMatrix<f64>) {
    assert!((got - wanted).amax() <= 1e-6 * wanted.amax(), "got {got}, wanted {wanted}");
}

#[track_caller]
fn equal(got: &Delta, wanted: &[f64]) {
    let got = got.materialise();
    assert_eq!(got.len(), wanted.len());
    for (got, wanted) in got.iter().zip(wanted) {
        assert!((got - wanted).abs() < 1e-6 * wanted.abs().max(4.0), "got {got}, wanted {wanted}");
    }
}

/// Two rank-one deltas whose cross terms show.
fn crossing() -> [Delta; 2] {
    [
        lora(matrix([[1., 0.]]), matrix([[1.], [0.]]), 1.0),
        lora(matrix([[0., 1.]]), matrix([[0.], [1.]]), 1.0),
    ]
}

// ---- one weight ----

#[test]
fn linear_has_pefts_cross_terms_and_cat_has_none() {
    let [first, second] = &crossing();
    let deltas = [(first, 4.0), (second, 1.0)];
    equal(&linear(&deltas).unwrap(), &[4., 2., 2., 1.]);
    equal(&cat(&deltas).unwrap(), &[4., 0., 0., 1.]);
    equal(&combine_svd(&deltas, 2).unwrap().delta, &[4., 0., 0., 1.]);
    equal(&combine_svd(&deltas, 1).unwrap().delta, &[4., 0., 0., 0.]);
}

#[test]
fn a_negative_weight_keeps_its_sign() {
    // peft#2796, sd-scripts#839.
    let [first, second] = &crossing();
    for how in [cat, linear, |d: &[(&Delta, f64)]| Ok(combine_svd(d, 2)?.delta)] {
        equal(&how(&[(first, -1.0)]).unwrap(), &[-1., 0., 0., 0.]);
        let opposite = lora(matrix([[1., 0.]]), matrix([[1.], [0.]]), -2.0);
        equal(&how(&[(&opposite, -1.0)]).unwrap(), &[2., 0., 0., 0.]);
    }
    equal(&cat(&[(first, -1.0), (second, 2.0)]).unwrap(), &[-1., 0., 0., 2.]);
    equal(&combine_svd(&[(first, -1.0), (second, 2.0)], 2).unwrap().delta, &[-1., 0., 0., 2.]);
    // A with the sign: -A1 + A2 over B1 + B2.
    equal(&linear(&[(first, -1.0), (second, 1.0)]).unwrap(), &[-1., 1., -1., 1.]);
}

#[test]
fn each_scale_counts_once() {
    // peft#3111: s = 2 and w = 1 are 2 B A, not 4 B A.
    let one = lora(matrix([[1., 2.]]), matrix([[1.], [3.]]), 2.0);
    let zero = lora(matrix([[1., 1.]]), matrix([[0.], [0.]]), 5.0);
    for deltas in [vec![(&one, 1.0)], vec![(&one, 1.0), (&zero, 1.0)]] {
        equal(&combine_svd(&deltas, 1).unwrap().delta, &[2., 4., 6., 12.]);
        equal(&cat(&deltas).unwrap(), &[2., 4., 6., 12.]);
    }
    // peft#3449: rslora scales by alpha / sqrt(r); the sum has rank 8 and must not be scaled again.
    let alpha = 4.0f32;
    let rs = |seed| Delta { alpha, ..random([7, 9], 4, alpha / 4f32.sqrt(), seed) };
    let (first, second) = (rs(1), rs(2));
    let deltas = [(&first, 1.0), (&second, 0.5)];
    for got in [cat(&deltas).unwrap(), combine_svd(&deltas, 7).unwrap().delta] {
        near(&whole(&got), &sum(&deltas));
        assert_eq!((got.scale, got.alpha), (1.0, got.rank as f32));
    }
}

#[test]
fn different_ranks_and_scales_add_up() {
    // kohya_ss#128, #772.
    let (first, second) = (random([11, 8], 4, 0.25, 3), random([11, 8], 8, -3.0, 4));
    let third = random([11, 8], 1, 100.0, 5);
    let deltas = [(&first, 0.7), (&second, -0.3), (&third, 0.0)];
    let got = cat(&deltas).unwrap();
    assert_eq!(got.rank, 13);
    near(&whole(&got), &sum(&deltas));
    let error = linear(&deltas).unwrap_err();
    assert!(error.code() == "Unsupported" && error.to_string().contains("[4, 8, 1]"), "{error}");
}

/// Run in PEFT 0.21.2: `get_delta_weight` after `add_weighted_adapter`, weights 0.5, -1.5 and 2.
#[test]
fn the_numbers_of_pefts_weighted_adapter() {
    let number = |seed: usize, i: usize| ((seed * 7 + i) * 37 % 23) as f32 / 4.0 - 2.75;
    let parts: Vec<Delta> = [1.5, 1.0, 0.5]
        .into_iter()
        .enumerate()
        .map(|(seed, scale)| {
            let a = Matrix::from_fn(2, 4, |i, j| number(seed, 4 * i + j));
            lora(a, Matrix::from_fn(3, 2, |i, j| number(seed + 10, 2 * i + j)), scale)
        })
        .collect();
    let deltas = [(&parts[0], 0.5), (&parts[1], -1.5), (&parts[2], 2.0)];
    equal(
        &linear(&deltas).unwrap(),
        &[
            -0.642538, -5.858439, -0.510572, 5.324839, 5.140148, 5.493143, -16.393988, -5.160923,
            3.919199, 10.907043, -9.174332, -10.014482,
        ],
    );
    equal(
        &ties(&deltas, 0.625, MajoritySign::Total).unwrap(),
        &[
            -1.963851, -4.781251, 8.11099, 5.320434, 2.848262, 1.639826, -12.553635, -2.78125,
            2.787154, -0.662912, -12.622595, -0.607955,
        ],
    );
    equal(
        &ties(&deltas, 0.75, MajoritySign::Frequency).unwrap(),
        &[
            -0.257741, -8.298989, 2.486636, 5.388496, 0.568013, -5.77933, 0.24802, 5.482781,
            2.117935, 5.042847, -5.403845, 1.265694,
        ],
    );
    let exact = [
        6.578125, 0.390625, -7.59375, 14.25, -3.265625, 13.9375, -13.0625, 0.546875, -6.28125,
        1.96875, -2.0, -12.4375,
    ];
    equal(&cat(&deltas).unwrap(), &exact);
    equal(&combine_svd(&deltas, 3).unwrap().delta, &exact);
}

#[test]
fn ties_as_peft_elects_and_averages() {
    // A holds the four numbers of each adapter, B is (2, 1), of which the larger half is kept.
    let b = || matrix([[2.], [1.]]);
    let first = lora(matrix([[1., -2., 3., 0.1]]), b(), 1.0);
    let second = lora(matrix([[-1., 4., 0., 0.2]]), b(), 1.0);
    let deltas = [(&first, 1.0), (&second, 1.0)];
    let got = ties(&deltas, 0.5, MajoritySign::Total).unwrap();
    equal(&got, &[-2., 8., 6., 0., 0., 0., 0., 0.]);
    // All kept: 0.1 and 0.2 agree; 1 and -1 sum to zero, which counts as positive.
    let got = ties(&deltas, 1.0, MajoritySign::Total).unwrap();
    equal(&got, &[2., 8., 6., 0.3, 1., 4., 3., 0.15]);
    // By count, -2 and 4 are a tie, and so positive; with a third below zero they are not.
    let third = lora(matrix([[0., -1., 0., 0.]]), b(), 1.0);
    let three = [(&first, 1.0), (&second, 1.0), (&third, 1.0)];
    let total = ties(&three, 1.0, MajoritySign::Total).unwrap().materialise();
    let frequency = ties(&three, 1.0, MajoritySign::Frequency).unwrap().materialise();
    assert_eq!((total[1], frequency[1]), (8.0, -3.0));
    for density in [-0.1, 1.1, f64::NAN] {
        let refused = ties(&deltas, density, MajoritySign::Total).unwrap_err();
        assert_eq!(refused.code(), "BadArgument");
    }
}

#[test]
fn biases_add_up_and_layers_stay() {
    // PEFT's svd fails where the kernel has one or three dimensions (peft#3769).
    for kernel in [vec![9], vec![3, 1, 3]] {
        let mut conv = random([4, 18], 2, 2.0, 6);
        conv.layer = Layer::Conv { kernel: kernel.clone() };
        let got = combine_svd(&[(&conv, 2.0), (&conv, 1.0)], 4).unwrap().delta;
        assert_eq!(got.weight_shape(), [&[4, 2], kernel.as_slice()].concat());
        near(&whole(&got), &sum(&[(&conv, 3.0)]));
    }
    let mut first = random([4, 18], 2, 2.0, 6);
    first.layer = Layer::Conv { kernel: vec![3, 3] };
    let mut second = first.clone();
    first.bias = Some(vec![1.0, 0.0, -1.0, 0.5]);
    let deltas = |w: f64| [(&first, w), (&second, 1.0)];
    for got in [cat(&deltas(-0.5)).unwrap(), combine_svd(&deltas(-0.5), 4).unwrap().delta] {
        assert_eq!(got.bias, Some(vec![-1.0, 0.0, 1.0, -0.5]));
        assert_eq!(got.weight_shape(), [4, 2, 3, 3]);
        near(&whole(&got), &sum(&deltas(-0.5)));
    }
    second.layer = Layer::Conv { kernel: vec![9] };
    for error in [
        cat(&[(&first, 1.0), (&second, 1.0)]).unwrap_err(),
        combine_svd(&[(&first, 1.0), (&random([4, 17], 2, 1.0, 7), 1.0)], 2).unwrap_err(),
    ] {
        assert_eq!(error.code(), "ShapeMismatch", "{error}");
    }
}

#[test]
fn what_cannot_be_combined_is_named() {
    let plain = random([6, 6], 2, 1.0, 8);
    let mut dora = plain.clone();
    dora.magnitude = Some(Magnitude { values: vec![1.0; 6], axis: Axis::Out });
    let loha = delta(build([6, 6], &Recipe::Loha { r: 2 }, &mut rng(9)), 1.0);
    let lokr = delta(build([6, 6], &Recipe::Lokr(LokrRecipe::new(2)), &mut rng(9)), 1.0);
    for (other, name) in [(&dora, "DoRA"), (&loha, "LoHa"), (&lokr, "LoKr")] {
        let deltas = [(&plain, 1.0), (other, 1.0)];
        let total = |d: &[(&Delta, f64)]| ties(d, 0.5, MajoritySign::Total);
        for refused in [cat(&deltas), linear(&deltas), total(&deltas)] {
            let error = refused.unwrap_err();
            assert!(error.code() == "Unsupported" && error.to_string().contains(name), "{error}");
        }
    }
    assert_eq!(combine_svd(&[(&plain, 1.0), (&dora, 1.0)], 2).unwrap_err().code(), "Unsupported");
    assert_eq!(combine_svd(&[(&plain, 1.0)], 0).unwrap_err().code(), "BadArgument");
    assert_eq!(cat(&[]).unwrap_err().code(), "BadArgument");
    assert_eq!(combine_svd(&[], 1).unwrap_err().code(), "BadArgument");
    for weight in [f64::NAN, f64::INFINITY, 1e300] {
        for error in [
            cat(&[(&plain, weight), (&plain, 1.0)]).unwrap_err(),
            cat(&[(&plain, weight)]).unwrap_err(),
            combine_svd(&[(&plain, 1.0), (&plain, weight)], 2).unwrap_err(),
        ] {
            assert_eq!(error.code(), "NotFinite", "{error}");
        }
    }
}

#[test]
fn the_best_of_each_rank_for_a_sum_of_all_methods() {
    let peft =
        |r, decompose_both| Recipe::Lokr(LokrRecipe { decompose_both, ..LokrRecipe::new(r) });
    // Few directions against the sides, so through the factors; many, so through the whole.
    for (shape, recipes) in [
        ([72, 80], [Recipe::Lora { r: 3 }, Recipe::Loha { r: 2 }, peft(1, true)]),
        ([72, 80], [Recipe::Lora { r: 3 }, Recipe::Loha { r: 4 }, peft(1, false)]),
        ([24, 30], [Recipe::Lora { r: 5 }, Recipe::Loha { r: 3 }, peft(4, false)]),
        ([9, 100], [Recipe::Lora { r: 12 }, Recipe::Loha { r: 1 }, peft(20, false)]),
    ] {
        let mut rng = rng(10);
        let parts = recipes.map(|recipe| delta(build(shape, &recipe, &mut rng), -1.5));
        let deltas = [(&parts[0], 0.5), (&parts[1], -2.0), (&parts[2], 1.0)];
        let wanted = sum(&deltas);
        let mut sigma: Vec<f64> = wanted.singular_values().iter().copied().collect();
        sigma.sort_by(|a, b| b.total_cmp(a));
        for rank in [1, 4, 100] {
            let got = combine_svd(&deltas, rank).unwrap();
            let left_out = sigma.iter().skip(rank).map(|s| s * s).sum::<f64>().sqrt();
            let error = (&wanted - whole(&got.delta)).norm();
            assert!(
                (error - left_out).abs() <= 1e-6 * wanted.norm(),
                "{shape:?} {rank}: {error} {left_out}"
            );
            assert!((got.frobenius_norm / wanted.norm() - 1.0).abs() < 1e-9);
            let retained = 1.0 - (left_out / wanted.norm()).powi(2);
            assert!((got.retained_energy - retained).abs() < 1e-9, "{shape:?} {rank}");
        }
    }
}

#[test]
fn one_delta_alone_keeps_its_method_in_cat() {
    let loha = delta(build([6, 7], &Recipe::Loha { r: 2 }, &mut rng(11)), 0.5);
    let got = cat(&[(&loha, -3.0)]).unwrap();
    assert_eq!((&got.factors, got.scale), (&loha.factors, -1.5));
    let mut dora = random([6, 7], 2, 1.0, 12);
    dora.magnitude = Some(Magnitude { values: vec![1.0; 6], axis: Axis::Out });
    assert_eq!(cat(&[(&dora, 1.0)]).unwrap(), dora);
    assert_eq!(cat(&[(&dora, 0.5)]).unwrap_err().code(), "Unsupported");
}

// ---- whole adapters ----

fn adapter(deltas: &[(&str, &Delta)], saved: &[&str]) -> Adapter {
    let tensor = Tensor::new(vec![1], Data::F32(vec![7.0])).unwrap();
    Adapter {
        deltas: deltas.iter().map(|&(name, d)| (name.to_owned(), d.clone())).collect(),
        replaced: saved.iter().map(|&name| (name.to_owned(), tensor.clone())).collect(),
        warnings: vec![Warning { code: "W", module: String::new(), message: String::new() }],
        ..Adapter::default()
    }
}

#[test]
fn adapters_combine_module_by_module() {
    let [q1, q2, v, k] = [13, 14, 15, 16].map(|seed| random([5, 6], 2, 1.5, seed));
    let first = adapter(&[("q", &q1), ("v", &v)], &["head.weight"]);
    let second = adapter(&[("q", &q2), ("k", &k)], &["norm.weight"]);
    let both = [(&first, 0.5), (&second, -2.0)];
    let got = combine(&both, cat).unwrap();
    assert_eq!(got.deltas.keys().collect::<Vec<_>>(), ["k", "q", "v"]);
    near(&whole(&got.deltas["q"]), &sum(&[(&q1, 0.5), (&q2, -2.0)]));
    near(&whole(&got.deltas["v"]), &sum(&[(&v, 0.5)]));
    near(&whole(&got.deltas["k"]), &sum(&[(&k, -2.0)]));
    assert_eq!(got.replaced.keys().collect::<Vec<_>>(), ["head.weight", "norm.weight"]);
    assert_eq!(got.warnings.len(), 2);

    let svd = combine(&both, |deltas| Ok(combine_svd(deltas, 3)?.delta)).unwrap();
    assert_eq!(svd.deltas["q"].rank, 3);
    assert_eq!(svd.deltas["v"].rank, 2);
    near(&whole(&svd.deltas["k"]), &sum(&[(&k, -2.0)]));

    let third = adapter(&[("q", &q1)], &["head.weight"]);
    let error = combine(&[(&first, 1.0), (&third, 1.0)], cat).unwrap_err();
    assert!(error.code() == "Unsupported" && error.to_string().contains("head.weight"), "{error}");
    let other = adapter(&[("q", &random([5, 7], 2, 1.0, 17))], &[]);
    let error = combine(&[(&first, 1.0), (&other, 1.0)], cat).unwrap_err();
    assert!(error.code() == "ShapeMismatch" && error.to_string().contains("module q"), "{error}");
}
