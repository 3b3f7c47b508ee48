//! Resizing, measures and findings against dense SVDs and spectra worked out by hand.

use std::time::{Duration, Instant};

use lokahi::{
    adapter::{Axis, Delta, Factors, Layer, Loha, Lora, Magnitude},
    analysis::{
        Finding, FindingKind, Recipe, Rule, directions, findings, measure, rank_by, resize,
        singular_values, tensor_findings,
    },
    tensor::{Data, Matrix, Tensor},
};

use crate::analysis::{build, delta, dense, random, rng, whole, zoo};

/// Root of the sum of squares.
fn norm(sigma: &[f64]) -> f64 {
    sigma.iter().map(|s| s * s).sum::<f64>().sqrt()
}

/// A LoRA whose `dW` is diagonal with these numbers.
fn diagonal(numbers: &[f32]) -> Delta {
    let n = numbers.len();
    let a = Matrix::from_fn(n, n, |i, j| if i == j { 1.0 } else { 0.0 });
    let b = Matrix::from_fn(n, n, |i, j| if i == j { numbers[i] } else { 0.0 });
    delta(Factors::Lora(Lora::new(a, b).unwrap()), 1.0)
}

// ---- rules ----

#[test]
fn each_rule_as_kohya_computes_it() {
    let sigma = [4.0, 2.0, 2.0, 1.0];
    // Squares 16, 4, 4, 1 of 25; sums 4, 6, 8, 9.
    let table = [
        (Rule::Rank(3), 3),
        (Rule::Rank(9), 4),
        (Rule::Energy(0.64), 1),
        (Rule::Energy(0.65), 2),
        (Rule::Energy(0.8), 2),
        (Rule::Energy(0.96), 3),
        (Rule::Energy(1.0), 4),
        // Equal to sigma_1 / q is out.
        (Rule::SvRatio(1.0), 1),
        (Rule::SvRatio(2.0), 1),
        (Rule::SvRatio(2.01), 3),
        (Rule::SvRatio(4.0), 3),
        (Rule::SvRatio(1e9), 4),
        (Rule::SvFro(0.79), 1),
        (Rule::SvFro(0.81), 2),
        (Rule::SvFro(1.0), 4),
        (Rule::SvCumulative(4.0 / 9.0), 1),
        (Rule::SvCumulative(0.45), 2),
        (Rule::SvCumulative(6.0 / 9.0), 2),
        (Rule::SvCumulative(0.67), 3),
        (Rule::SvCumulative(1.0), 4),
    ];
    for (rule, wanted) in table {
        for size in [1e-150, 1.0, 1e150] {
            let sigma = sigma.map(|s| s * size);
            assert_eq!(rank_by(&sigma, rule, None).unwrap(), wanted, "{rule:?} {size:e}");
            assert_eq!(rank_by(&sigma, rule, Some(2)).unwrap(), wanted.min(2), "{rule:?} capped");
        }
        assert_eq!(rank_by(&[0.0; 4], rule, Some(1)).unwrap(), 1, "{rule:?} of zeros");
    }
    // One that a wrong rule would pass: the ratio of sums of squares is not that of sums.
    assert_ne!(rank_by(&sigma, Rule::Energy(0.45), None), rank_by(&sigma, Rule::SvFro(0.9), None));
}

#[test]
fn rules_that_mean_nothing_are_refused() {
    for rule in [
        Rule::Rank(0),
        Rule::Energy(0.0),
        Rule::Energy(1.01),
        Rule::Energy(f64::NAN),
        Rule::SvRatio(0.5),
        Rule::SvRatio(f64::INFINITY),
        Rule::SvRatio(f64::NAN),
        Rule::SvFro(-1.0),
        Rule::SvCumulative(0.0),
    ] {
        let refused = resize(&diagonal(&[2.0, 1.0]), rule, None).unwrap_err();
        assert_eq!(refused.code(), "BadArgument", "{rule:?}: {refused}");
    }
    let refused = resize(&diagonal(&[1.0]), Rule::Energy(0.5), Some(0)).unwrap_err();
    assert_eq!(refused.code(), "BadArgument");
}

// ---- resizing ----

#[test]
fn nothing_of_the_same_rank_is_nearer() {
    for (name, delta) in zoo() {
        let (dw, sigma) = (whole(&delta), dense(&delta));
        let bound = delta.method().rank_bound();
        for rank in [1, bound.div_ceil(2), bound, bound + 3] {
            let resized = resize(&delta, Rule::Rank(rank), None).unwrap();
            let kept = rank.min(bound);
            let got = &resized.delta;
            assert_eq!((resized.rank, got.rank, got.alpha), (kept, kept, kept as f32), "{name}");
            assert_eq!((got.scale, got.factors.name()), (1.0, "LoRA"), "{name}");
            assert_eq!((&got.layer, got.method().shape()), (&delta.layer, delta.method().shape()));
            let left_out = norm(&sigma[kept.min(sigma.len())..]);
            let error = (&dw - whole(got)).norm();
            // The factors are rounded to f32.
            let noise = 1e-6 * norm(&sigma);
            assert!((error - left_out).abs() <= noise, "{name} {rank}: {error:e} {left_out:e}");
            let retained = 1.0 - (left_out / norm(&sigma)).powi(2);
            assert!((resized.retained_energy - retained).abs() < 1e-12, "{name} {rank}");
            let dropped = sigma.get(kept).copied().unwrap_or(0.0);
            assert!((resized.largest_dropped - dropped).abs() <= 1e-9 * sigma[0], "{name} {rank}");
            assert!((resized.frobenius_norm / dw.norm() - 1.0).abs() < 1e-9, "{name}");
            assert!((resized.spectral_norm / sigma[0] - 1.0).abs() < 1e-9, "{name}");
        }
    }
}

#[test]
fn a_diagonal_keeps_its_largest_numbers() {
    let delta = diagonal(&[1.0, -5.0, 3.0, 0.5]);
    let resized = resize(&delta, Rule::SvRatio(2.0), Some(32)).unwrap();
    assert_eq!(resized.rank, 2);
    let got = resized.delta.materialise();
    for (i, (got, wanted)) in
        got.iter().zip([0., 0., 0., 0., 0., -5., 0., 0., 0., 0., 3.]).enumerate()
    {
        assert!((got - wanted).abs() < 1e-5, "[{i}] {got}");
    }
    assert_eq!(resized.largest_dropped, 1.0);
    assert!((resized.retained_energy - 34.0 / 35.25).abs() < 1e-12);
    // Both factors carry the root.
    let Factors::Lora(lora) = &resized.delta.factors else { panic!("{:?}", resized.delta) };
    let row = |m: &Matrix| m.row(0).iter().map(|v| v * v).sum::<f32>();
    assert!((row(lora.a()) - 5.0).abs() < 1e-5);
    assert!((row(&lora.b().transposed()) - 5.0).abs() < 1e-5);
}

#[test]
fn one_row_and_one_column_have_one_direction() {
    let mut rng = rng(20);
    for shape in [[1, 9], [9, 1], [1, 1]] {
        for recipe in [Recipe::Lora { r: 4 }, Recipe::Loha { r: 2 }] {
            let delta = delta(build(shape, &recipe, &mut rng), 0.5);
            for rule in [Rule::Rank(4), Rule::Energy(1.0), Rule::SvRatio(10.0)] {
                let resized = resize(&delta, rule, Some(4)).unwrap();
                assert_eq!(resized.rank, 1, "{shape:?} {rule:?}");
                let error = (whole(&delta) - whole(&resized.delta)).norm();
                assert!(error <= 1e-6 * resized.frobenius_norm, "{shape:?} {rule:?}");
            }
        }
    }
}

#[test]
fn a_new_adapter_becomes_one_direction_of_zeros() {
    let mut rng = rng(21);
    let zero = |rows, cols| Matrix::from_fn(rows, cols, |_, _| 0.0);
    let mut some = |rows, cols| random(&mut rng, [rows, cols]);
    let lora = Lora::new(some(4, 9), zero(13, 4)).unwrap();
    let small = Loha::new(some(30, 2), some(2, 20), some(30, 2), zero(2, 20)).unwrap();
    let large = Loha::new(some(90, 9), some(9, 80), some(90, 9), zero(9, 80)).unwrap();
    for factors in [Factors::Lora(lora), Factors::Loha(small), Factors::Loha(large)] {
        let resized = resize(&delta(factors, 2.0), Rule::Energy(0.9), None).unwrap();
        let got = (resized.rank, resized.retained_energy, resized.largest_dropped);
        assert_eq!(got, (1, 1.0, 0.0));
        assert!(resized.delta.materialise().iter().all(|&v| v == 0.0));
    }
}

#[test]
fn convolution_bias_and_magnitude() {
    let mut lora = delta(build([8, 18], &Recipe::Lora { r: 4 }, &mut rng(22)), 3.0);
    lora.layer = Layer::Conv { kernel: vec![3, 3] };
    lora.bias = Some(vec![0.5; 8]);
    let resized = resize(&lora, Rule::Rank(2), None).unwrap();
    assert_eq!(resized.delta.weight_shape(), [8, 2, 3, 3]);
    assert_eq!(resized.delta.bias, Some(vec![1.5; 8]));

    lora.bias = None;
    lora.magnitude = Some(Magnitude { values: vec![1.0; 8], axis: Axis::Out });
    let refused = resize(&lora, Rule::Rank(2), None).unwrap_err();
    assert!(refused.code() == "Unsupported" && refused.to_string().contains("DoRA"), "{refused}");
    let whole = resize(&lora, Rule::Rank(4), None).unwrap();
    assert_eq!(whole.delta.magnitude, lora.magnitude);
}

#[test]
fn numbers_that_leave_f32_are_refused() {
    let huge = |rows, cols| Matrix::from_fn(rows, cols, |_, _| 1e38);
    let loha = Loha::new(huge(5, 2), huge(2, 4), huge(5, 2), huge(2, 4)).unwrap();
    let refused = resize(&delta(Factors::Loha(loha), 1.0), Rule::Rank(1), None).unwrap_err();
    assert_eq!(refused.code(), "NotFinite", "{refused}");
}

// ---- measures ----

#[test]
fn measures_of_a_diagonal() {
    let mut delta = diagonal(&[4.0, 2.0, 2.0, 1.0]);
    delta.alpha = 2.0;
    let got = measure(&delta, None).unwrap();
    assert_eq!((got.sigma.len(), got.alpha_per_rank), (4, 0.5));
    assert_eq!((got.ranks.bound, got.ranks.numerical), (4, 4));
    let near = |got: f64, wanted: f64| assert!((got - wanted).abs() < 1e-12, "{got} {wanted}");
    near(got.frobenius_norm, 5.0);
    near(got.spectral_norm, 4.0);
    near(got.ranks.stable, 25.0 / 16.0);
    for (got, wanted) in got.energy.iter().zip([0.64, 0.8, 0.96, 1.0]) {
        near(*got, wanted);
    }
}

// ---- findings ----

fn of(findings: &[Finding]) -> Vec<(&str, &str, usize, usize)> {
    findings.iter().map(|f| (f.kind.code(), f.tensor.as_str(), f.count, f.first)).collect()
}

#[test]
fn findings_name_tensor_count_and_place() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let tensor = |data: &[f32]| Tensor::new(vec![data.len(), 1], Data::F32(data.into())).unwrap();
    let half = Tensor::new(vec![1, 3], Data::F16(vec![0x3c00, 0x7c00, 0xfe00])).unwrap();
    let (broken, zero, good) =
        (tensor(&[1.0, nan, inf, nan, -inf]), tensor(&[0.0, -0.0]), tensor(&[0.0, 1.0]));
    let got = tensor_findings(&[
        ("q.lora_A.weight", &broken),
        ("q.lora_B.weight", &zero),
        ("k.lora_up.weight", &good),
        ("k.lora_down.weight", &zero),
        ("v.hada_w2_a", &half),
        ("k.alpha", &zero),
        ("k.lora_B.bias", &zero),
        ("k.lora_magnitude_vector", &zero),
    ]);
    assert_eq!(
        of(&got),
        [
            ("NotANumber", "q.lora_A.weight", 2, 1),
            ("Infinite", "q.lora_A.weight", 2, 2),
            ("NeverTrained", "q.lora_B.weight", 2, 0),
            ("ZeroFactor", "k.lora_down.weight", 2, 0),
            ("NotANumber", "v.hada_w2_a", 1, 2),
            ("Infinite", "v.hada_w2_a", 1, 1),
        ]
    );
    // Every name under which training starts from zero.
    for name in [
        "lora_B.weight",
        "lora_embedding_A",
        "lora_up.weight",
        "to_q_lora.up.weight",
        "hada_w2_a",
        "hada_w2_b",
        "lokr_w1",
        "lokr_w1_a",
        "lokr_w2",
        "lokr_w2_b",
    ] {
        let name = format!("m.{name}");
        assert_eq!(tensor_findings(&[(&name, &zero)])[0].kind, FindingKind::NeverTrained, "{name}");
    }
}

#[test]
fn findings_of_deltas_know_how_training_starts() {
    for (name, delta) in zoo() {
        assert_eq!(findings(&delta), [], "{name}");
    }
    let (zero, some) = (Matrix::from_fn(4, 4, |_, _| 0.0), random(&mut rng(23), [4, 4]));
    let lora = |a: &Matrix, b: &Matrix| {
        delta(Factors::Lora(Lora::new(a.clone(), b.clone()).unwrap()), 1.0)
    };
    let never = ("NeverTrained", "lora_B.weight", 16, 0);
    assert_eq!(of(&findings(&lora(&some, &zero))), [never]);
    assert_eq!(of(&findings(&lora(&zero, &some))), [("ZeroFactor", "lora_A.weight", 16, 0)]);
    let mut embedding = lora(&zero, &some);
    embedding.layer = Layer::Embedding;
    assert_eq!(of(&findings(&embedding)), [("NeverTrained", "lora_embedding_A", 16, 0)]);
    let mut silent = lora(&some, &some);
    silent.scale = 0.0;
    silent.bias = Some(vec![0.0, f32::NAN]);
    let wanted = [("NotANumber", "lora_B.bias", 1, 1), ("ZeroScale", "scale", 1, 0)];
    assert_eq!(of(&findings(&silent)), wanted);
}

// ---- speed ----

/// The 700 attention and feed-forward weights of SDXL's UNet: 10 blocks 640 wide, 60 blocks 1280
/// wide, with a context of 2048.
fn sdxl() -> impl Iterator<Item = [usize; 2]> {
    [(640, 10), (1280, 60)].into_iter().flat_map(|(width, blocks)| {
        let block = [
            [width, width],
            [width, width],
            [width, width],
            [width, width],
            [width, width],
            [width, width],
            [width, 2048],
            [width, 2048],
            [8 * width, width],
            [width, 4 * width],
        ];
        (0..blocks).flat_map(move |_| block)
    })
}

/// `cargo test --release --test native sdxl -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn time_an_adapter_of_sdxl() {
    let mut rng = rng(24);
    let mut spent = [Duration::ZERO; 3];
    let mut time = |slot: usize, work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        spent[slot] += start.elapsed();
    };
    let mut modules = 0;
    for shape in sdxl() {
        let delta = delta(build(shape, &Recipe::Lora { r: 32 }, &mut rng), 0.5);
        time(0, &mut || assert_eq!(singular_values(&delta).unwrap().len(), 32));
        time(1, &mut || assert_eq!(resize(&delta, Rule::Rank(8), None).unwrap().rank, 8));
        time(2, &mut || assert_eq!(directions(&delta, 32).unwrap().count(), 32));
        modules += 1;
    }
    assert_eq!(modules, 700);
    println!("LoRA of rank 32 on 700 weights of SDXL, one core:");
    for (what, spent) in ["spectra", "resize to 8", "all directions"].iter().zip(spent) {
        println!("  {what:<16}{:6.2} s", spent.as_secs_f64());
    }
}

/// `cargo test --release --test native single_weights -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn time_single_weights() {
    let mut rng = rng(25);
    let peft = |r| Recipe::Lokr(lokahi::analysis::LokrRecipe::new(r));
    for (shape, recipe) in [
        ([1280, 1280], Recipe::Lora { r: 128 }),
        ([640, 640], Recipe::Loha { r: 16 }),
        ([768, 768], Recipe::Loha { r: 28 }),
        ([1280, 1280], Recipe::Loha { r: 32 }),
        ([10240, 1280], Recipe::Loha { r: 32 }),
        ([1280, 1280], peft(16)),
        ([4096, 4096], peft(64)),
    ] {
        let delta = delta(build(shape, &recipe, &mut rng), 0.5);
        let start = Instant::now();
        singular_values(&delta).unwrap();
        let spectrum = start.elapsed().as_secs_f64();
        resize(&delta, Rule::Rank(8), None).unwrap();
        let resized = start.elapsed().as_secs_f64() - spectrum;
        println!("{shape:?} {recipe:?}: spectrum {spectrum:.3} s, resize to 8 {resized:.3} s");
    }
}
