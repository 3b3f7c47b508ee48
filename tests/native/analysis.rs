//! Counts, spectra and ranks against dense singular values, hand-worked numbers and published ones.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

use lokahi::{
    Error,
    adapter::{Convention, Delta, Factors, KronFactor, KronOrder, Layer, Loha, Lokr, Lora, Tucker},
    analysis::{
        Directions, LokrRecipe, Recipe, count, default_threshold, directions, energy_share,
        entropy_rank, frobenius_norm, numerical_rank, ranks, singular_values, spectral_norm,
        stable_rank,
    },
    tensor::Matrix,
};
use nalgebra::DMatrix;
use rand_core::Rng;
use rand_pcg::Pcg32;

// ---- building ----

/// Uniform in -1..1.
pub fn random(rng: &mut Pcg32, [rows, cols]: [usize; 2]) -> Matrix {
    Matrix::from_fn(rows, cols, |_, _| (f64::from(rng.next_u32()) / 2f64.powi(31) - 1.0) as f32)
}

pub fn rng(seed: u64) -> Pcg32 {
    Pcg32::new(seed, 0x0a02_bdbf_7bb3_c0a7)
}

pub fn delta(factors: Factors, scale: f32) -> Delta {
    let rank = factors.method().rank().unwrap_or(1);
    Delta::new(factors, rank, scale * rank as f32, scale)
}

/// Random factors of the shapes that `count` promises, found by their PEFT names.
pub fn build(shape: [usize; 2], recipe: &Recipe, rng: &mut Pcg32) -> Factors {
    let tensors = count(shape, recipe).unwrap().tensors;
    let mut get =
        |name: &str| tensors.iter().find(|t| t.name == name).map(|t| random(&mut *rng, t.shape));
    match recipe {
        Recipe::Lora { .. } => Factors::Lora(
            Lora::new(get("lora_A.weight").unwrap(), get("lora_B.weight").unwrap()).unwrap(),
        ),
        Recipe::Loha { .. } => {
            let [w1_a, w1_b, w2_a, w2_b] =
                ["hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"].map(|n| get(n).unwrap());
            Factors::Loha(Loha::new(w1_a, w1_b, w2_a, w2_b).unwrap())
        }
        Recipe::Lokr(_) => {
            let mut factor = |name: &str| match get(name) {
                Some(w) => KronFactor::Full(w),
                None => KronFactor::LowRank {
                    a: get(&format!("{name}_a")).unwrap(),
                    b: get(&format!("{name}_b")).unwrap(),
                },
            };
            let (w1, w2) = (factor("lokr_w1"), factor("lokr_w2"));
            Factors::Lokr(Lokr::new(w1, w2).unwrap())
        }
    }
}

fn full(rng: &mut Pcg32, shape: [usize; 2]) -> KronFactor {
    KronFactor::Full(random(rng, shape))
}

fn low(rng: &mut Pcg32, [rows, cols]: [usize; 2], r: usize) -> KronFactor {
    KronFactor::LowRank { a: random(rng, [rows, r]), b: random(rng, [r, cols]) }
}

fn peft(r: usize, decompose_factor: i64, decompose_both: bool) -> Recipe {
    Recipe::Lokr(LokrRecipe { decompose_factor, decompose_both, ..LokrRecipe::new(r) })
}

fn lycoris_full(decompose_factor: i64) -> Recipe {
    Recipe::Lokr(LokrRecipe {
        decompose_factor,
        full_matrix: true,
        convention: Convention::Lycoris,
        ..LokrRecipe::new(1)
    })
}

/// Every method and variant, on awkward sizes.
pub fn zoo() -> Vec<(String, Delta)> {
    let mut rng = rng(1);
    let mut zoo = Vec::new();
    // [out, in], r: odd sizes, one row, one column, r at and above the smaller side.
    for (shape, r) in [
        ([13, 9], 1),
        ([13, 9], 4),
        ([9, 13], 9),
        ([7, 31], 11),
        ([31, 7], 40),
        ([1, 5], 3),
        ([5, 1], 2),
        ([1, 1], 1),
        ([97, 64], 16),
    ] {
        zoo.push((format!("LoRA {shape:?} r{r}"), build(shape, &Recipe::Lora { r }, &mut rng)));
    }
    // r^2 below, at and above min(out, in).
    for (shape, r) in [
        ([23, 17], 1),
        ([23, 17], 2),
        ([17, 23], 4),
        ([13, 9], 3),
        ([10, 41], 3),
        ([41, 7], 3),
        ([6, 5], 8),
        ([1, 9], 2),
        ([50, 67], 7),
    ] {
        zoo.push((format!("LoHa {shape:?} r{r}"), build(shape, &Recipe::Loha { r }, &mut rng)));
    }
    for (shape, recipe) in [
        ([24, 30], peft(1, -1, false)),
        ([24, 30], peft(4, -1, false)),
        ([36, 49], peft(2, -1, true)),
        ([12, 128], peft(2, 4, true)),
        ([13, 17], peft(3, -1, false)),
        ([13, 17], peft(3, -1, true)),
        ([13, 24], peft(20, -1, false)),
        ([30, 42], lycoris_full(-1)),
    ] {
        zoo.push((format!("LoKr {shape:?} {recipe:?}"), build(shape, &recipe, &mut rng)));
    }
    // Every pair of whole and low-rank factors, the inner dimension above the sides too.
    for r in [1, 2, 7] {
        for (left, right) in [([3, 5], [7, 4]), ([5, 2], [3, 6]), ([1, 1], [11, 3])] {
            let pairs = [
                (full(&mut rng, left), full(&mut rng, right)),
                (full(&mut rng, left), low(&mut rng, right, r)),
                (low(&mut rng, left, r), full(&mut rng, right)),
                (low(&mut rng, left, r), low(&mut rng, right, r)),
            ];
            for (k, (w1, w2)) in pairs.into_iter().enumerate() {
                let f = Factors::Lokr(Lokr::new(w1, w2).unwrap());
                zoo.push((format!("LoKr {left:?} {right:?} r{r} pair {k}"), f));
            }
        }
    }
    // Convolutions: Tucker forms, and PEFT's order of a Conv1d.
    let core = |rng: &mut Pcg32, r: usize, inputs: usize, kernel: usize| {
        Tucker::new(random(rng, [r, r * kernel]), random(rng, [r, inputs]), kernel).unwrap()
    };
    let lora = Lora::tucker(core(&mut rng, 3, 5, 4), random(&mut rng, [11, 3])).unwrap();
    zoo.push(("LoRA Tucker".into(), Factors::Lora(lora)));
    for r in [2, 5] {
        let cores = [core(&mut rng, r, 6, 4), core(&mut rng, r, 6, 4)];
        let (w1_a, w2_a) = (random(&mut rng, [17, r]), random(&mut rng, [17, r]));
        let loha = Loha::tucker(cores, w1_a, w2_a).unwrap();
        zoo.push((format!("LoHa Tucker r{r}"), Factors::Loha(loha)));
    }
    let tucker = core(&mut rng, 2, 4, 9);
    let lokr = Lokr::tucker(full(&mut rng, [3, 2]), tucker, random(&mut rng, [5, 2])).unwrap();
    zoo.push(("LoKr Tucker".into(), Factors::Lokr(lokr)));
    let lokr = Lokr::new(full(&mut rng, [3, 2]), full(&mut rng, [4, 15])).unwrap();
    let lokr = lokr.with_order(KronOrder::PeftConv1d { kernel: 3 }).unwrap();
    zoo.push(("LoKr in PEFT's order".into(), Factors::Lokr(lokr)));
    // Large enough for the Gram matrix.
    for (shape, recipe) in [
        ([130, 90], Recipe::Loha { r: 9 }),
        ([70, 160], Recipe::Loha { r: 8 }),
        ([120, 150], Recipe::Lora { r: 80 }),
        ([150, 70], Recipe::Lora { r: 100 }),
        ([700, 140], lycoris_full(2)),
    ] {
        zoo.push((format!("{shape:?} {recipe:?}"), build(shape, &recipe, &mut rng)));
    }
    let mut zoo: Vec<_> = zoo.into_iter().map(|(name, f)| (name, delta(f, -0.75))).collect();
    let mut embedding = delta(build([9, 40], &Recipe::Lora { r: 3 }, &mut rng), 2.0);
    embedding.layer = Layer::Embedding;
    zoo.push(("embedding".into(), embedding));
    zoo
}

// ---- comparing ----

/// `dW` `[out, in]`.
pub fn whole(delta: &Delta) -> DMatrix<f64> {
    let [out, inputs] = delta.method().shape();
    DMatrix::from_row_slice(out, inputs, &delta.materialise())
}

/// Singular values of the whole of `dW`, descending, `min(out, in)` of them.
pub fn dense(delta: &Delta) -> Vec<f64> {
    let mut sigma: Vec<f64> = whole(delta).singular_values().iter().copied().collect();
    sigma.sort_by(|a, b| b.total_cmp(a));
    sigma
}

/// Whether two descending spectra agree within `1e-9 sigma_1`; what one leaves out is zero.
fn agree(got: &[f64], wanted: &[f64]) -> bool {
    let at = |s: &[f64], i: usize| s.get(i).copied().unwrap_or(0.0);
    let tolerance = 1e-9 * at(wanted, 0);
    let n = got.len().max(wanted.len());
    got.is_sorted_by(|a, b| a >= b)
        && (0..n).all(|i| (at(got, i) - at(wanted, i)).abs() <= tolerance)
}

fn close(got: f64, wanted: f64) {
    assert!((got - wanted).abs() <= 1e-12 * wanted.abs(), "got {got}, wanted {wanted}");
}

#[test]
fn the_comparison_can_fail() {
    let wanted = [3.0, 2.0, 1e-3];
    assert!(agree(&wanted, &wanted));
    assert!(agree(&[3.0, 2.0, 1e-3, 0.0], &wanted), "listed zeros do not matter");
    assert!(!agree(&[3.0, 2.0], &wanted), "a value left out");
    assert!(!agree(&[3.0, 2.0, 1e-3, 1e-8], &wanted), "a value too many");
    assert!(!agree(&[2.0, 3.0, 1e-3], &wanted), "order");
    assert!(!agree(&[3.0, 2.000_000_01, 1e-3], &wanted), "a hair off");
    assert!(!agree(&[f64::NAN, 2.0, 1e-3], &wanted), "NaN");
    assert!(!agree(&[0.75 * 3.0, 1.5, 0.75e-3], &wanted), "the scale forgotten");
}

// ---- spectra ----

#[test]
fn spectra_through_the_factors_are_those_of_dw() {
    for (name, delta) in zoo() {
        let sigma = singular_values(&delta).unwrap();
        let wanted = dense(&delta);
        assert!(agree(&sigma, &wanted), "{name}: got {sigma:?}, wanted {wanted:?}");
        assert_eq!(sigma.len(), delta.method().rank_bound(), "{name}");
        // A check that shares no code with any SVD.
        let energy: f64 = delta.materialise().iter().map(|v| v * v).sum();
        assert!((frobenius_norm(&sigma) / energy.sqrt() - 1.0).abs() < 1e-12, "{name}");
    }
}

#[test]
fn a_spectrum_known_by_hand() {
    // Columns of a Hadamard matrix of n are orthogonal and sqrt(n) long.
    let hadamard =
        |i: usize, j: usize| if (i & j).count_ones().is_multiple_of(2) { 1.0f32 } else { -1.0 };
    let weights = [0.5, 3.0, 2.0];
    let b = Matrix::from_fn(8, 3, |i, k| hadamard(i, k) * weights[k]);
    let a = Matrix::from_fn(3, 16, hadamard);
    let lora = Factors::Lora(Lora::new(a, b).unwrap());
    let root = 128f64.sqrt();
    let wanted = [3.0, 2.0, 0.5].map(|w| 2.0 * w * root);
    assert!(agree(&singular_values(&delta(lora, -2.0)).unwrap(), &wanted));

    let w1 = KronFactor::Full(Matrix::from_fn(2, 2, hadamard));
    let w2 =
        KronFactor::Full(Matrix::from_fn(2, 3, |i, j| if i == j { 1.0 + i as f32 } else { 0.0 }));
    let lokr = Factors::Lokr(Lokr::new(w1, w2).unwrap());
    let root = 2f64.sqrt();
    assert!(agree(
        &singular_values(&delta(lokr, 1.0)).unwrap(),
        &[2.0 * root, 2.0 * root, root, root]
    ));
}

#[test]
fn zero_factors_and_zero_scale_have_rank_zero() {
    let zero = |[rows, cols]: [usize; 2]| Matrix::from_fn(rows, cols, |_, _| 0.0);
    let mut rng = rng(2);
    let some = |rng: &mut Pcg32, shape| random(rng, shape);
    let new_adapters = [
        // As PEFT initialises them: one factor zero.
        Factors::Lora(Lora::new(some(&mut rng, [4, 9]), zero([13, 4])).unwrap()),
        Factors::Loha(
            Loha::new(
                some(&mut rng, [23, 2]),
                some(&mut rng, [2, 17]),
                some(&mut rng, [23, 2]),
                zero([2, 17]),
            )
            .unwrap(),
        ),
        Factors::Loha(
            Loha::new(
                some(&mut rng, [5, 4]),
                some(&mut rng, [4, 7]),
                some(&mut rng, [5, 4]),
                zero([4, 7]),
            )
            .unwrap(),
        ),
        Factors::Lokr(Lokr::new(KronFactor::Full(zero([3, 4])), low(&mut rng, [5, 6], 2)).unwrap()),
    ];
    let unused = build([13, 9], &Recipe::Lora { r: 4 }, &mut rng);
    let deltas = new_adapters.map(|f| delta(f, 2.0)).into_iter().chain([delta(unused, 0.0)]);
    for delta in deltas {
        let sigma = singular_values(&delta).unwrap();
        assert!(sigma.iter().all(|&s| s == 0.0), "{sigma:?}");
        let ranks = ranks(&delta, None).unwrap();
        assert_eq!((ranks.numerical, ranks.stable, ranks.entropy), (0, 0.0, 0.0));
        assert!(ranks.bound > 0);
        assert_eq!(energy_share(&sigma, 3), 0.0);
        assert_eq!((frobenius_norm(&sigma), spectral_norm(&sigma)), (0.0, 0.0));
    }
}

#[test]
fn a_factor_with_repeated_or_zero_columns_loses_rank() {
    let mut rng = rng(3);
    let (a, b) = (random(&mut rng, [6, 20]), random(&mut rng, [15, 6]));
    // Columns 3 and 4 of B are twice column 0, column 5 is zero: three directions are left.
    let b = Matrix::from_fn(15, 6, |i, k| match k {
        3 | 4 => 2.0 * b.row(i)[0],
        5 => 0.0,
        _ => b.row(i)[k],
    });
    let delta = delta(Factors::Lora(Lora::new(a, b).unwrap()), 0.5);
    assert!(agree(&singular_values(&delta).unwrap(), &dense(&delta)));
    let ranks = ranks(&delta, None).unwrap();
    assert_eq!((ranks.bound, ranks.numerical), (6, 3));
}

#[test]
fn extreme_numbers_stay_finite() {
    for size in [1e-30f32, 1e30] {
        let mut rng = rng(4);
        let mut sized = |shape| {
            let m = random(&mut rng, shape);
            Matrix::from_fn(shape[0], shape[1], |i, j| m.row(i)[j] * size)
        };
        let loha = Loha::new(sized([9, 2]), sized([2, 7]), sized([9, 2]), sized([2, 7])).unwrap();
        let delta = delta(Factors::Loha(loha), 1e30);
        let sigma = singular_values(&delta).unwrap();
        assert!(agree(&sigma, &dense(&delta)), "{sigma:?}");
        let ranks = ranks(&delta, None).unwrap();
        assert_eq!(ranks.numerical, 4);
        assert!(ranks.stable >= 1.0 && ranks.stable <= 4.0, "{ranks:?}");
        assert!(frobenius_norm(&sigma).is_finite());
    }
}

#[test]
fn what_is_not_finite_is_refused() {
    let mut rng = rng(5);
    let good = build([5, 4], &Recipe::Lora { r: 2 }, &mut rng);
    for scale in [f32::NAN, f32::INFINITY] {
        let refused = singular_values(&delta(good.clone(), scale));
        assert!(matches!(&refused, Err(Error::NotFinite { what, .. }) if what == "scale"));
    }
    let a = Matrix::from_fn(2, 4, |i, j| if (i, j) == (1, 2) { f32::NAN } else { 1.0 });
    let lora = Lora::new(a, random(&mut rng, [5, 2])).unwrap();
    let refused = singular_values(&delta(Factors::Lora(lora), 1.0));
    assert!(
        matches!(&refused, Err(Error::NotFinite { what, index: 6, .. }) if what == "lora_A"),
        "{refused:?}"
    );
    for threshold in [f64::NAN, -1.0, f64::INFINITY] {
        let refused = ranks(&delta(good.clone(), 1.0), Some(threshold));
        assert!(matches!(&refused, Err(Error::BadArgument { .. })), "{refused:?}");
    }
}

// ---- directions ----

/// The sum of the first `k` directions.
fn sum(directions: &Directions, k: usize) -> DMatrix<f64> {
    let [out, inputs] = directions.shape;
    let mut sum = DMatrix::zeros(out, inputs);
    for i in 0..k {
        let u = DMatrix::from_column_slice(out, 1, directions.u(i));
        sum += directions.sigma[i] * u * DMatrix::from_row_slice(1, inputs, directions.v(i));
    }
    sum
}

/// How far `k` vectors `[k, n]` are from orthonormal.
fn skew(vectors: &[f64], k: usize) -> f64 {
    let m = DMatrix::from_column_slice(vectors.len() / k, k, vectors);
    (m.transpose() * &m - DMatrix::identity(k, k)).amax()
}

#[test]
fn directions_make_dw_and_none_are_better() {
    for (name, delta) in zoo() {
        let (dw, wanted) = (whole(&delta), dense(&delta));
        let bound = delta.method().rank_bound();
        let all = directions(&delta, usize::MAX).unwrap();
        assert_eq!((all.count(), all.sigma.len()), (bound, bound), "{name}");
        assert!(agree(&all.sigma, &wanted), "{name}: got {:?}, wanted {wanted:?}", all.sigma);
        let error = (sum(&all, bound) - &dw).norm();
        assert!(error <= 1e-8 * wanted[0], "{name}: {error:e}");
        for vectors in [&all.u, &all.v] {
            assert!(skew(vectors, bound) < 1e-12, "{name}: {:e}", skew(vectors, bound));
        }
        for k in [0, 1, bound / 2] {
            let few = directions(&delta, k).unwrap();
            assert_eq!(few.count(), k, "{name}");
            assert!(agree(&few.sigma, &wanted), "{name}");
            // Eckart and Young: what is left out is the root of the squares of the other values.
            let left_out = wanted[k..].iter().map(|s| s * s).sum::<f64>().sqrt();
            let error = (&dw - sum(&few, k)).norm();
            assert!((error - left_out).abs() <= 1e-9 * wanted[0], "{name} {k}: {error} {left_out}");
        }
    }
}

#[test]
fn nearly_dependent_factors_keep_their_small_directions() {
    let mut rng = rng(8);
    for size in [1e-20f32, 1.0, 1e18] {
        for gap in [1e-3f32, 1e-6] {
            let (a, b) = (random(&mut rng, [6, 50]), random(&mut rng, [40, 6]));
            // Columns of B differ from the first by `gap`.
            let near = |i: usize, k: usize| {
                let first = b.row(i)[0];
                size * if k == 0 { first } else { first + gap * b.row(i)[k] }
            };
            let b = Matrix::from_fn(40, 6, near);
            let a = Matrix::from_fn(6, 50, |i, j| size * a.row(i)[j]);
            let delta = delta(Factors::Lora(Lora::new(a, b).unwrap()), 0.5);
            let (got, wanted) = (directions(&delta, 6).unwrap(), dense(&delta));
            for (i, (&got, &wanted_i)) in got.sigma.iter().zip(&wanted).enumerate() {
                assert!(
                    (got - wanted_i).abs() <= 1e-14 * wanted[0],
                    "{size:e} {gap:e} {i}: {got:e} {wanted_i:e}"
                );
            }
            assert!(got.sigma[5] > 1e-9 * got.sigma[0]);
            assert!(skew(&got.u, 6).max(skew(&got.v, 6)) < 1e-13);
            assert!((sum(&got, 6) - whole(&delta)).norm() <= 1e-13 * wanted[0]);
        }
    }
}

#[test]
fn a_large_matrix_of_low_rank_keeps_its_rank() {
    // A LoHa that is formed whole, of rank 13 instead of 169: `w1` is a matrix of ones.
    let mut rng = rng(9);
    let w1_b = Matrix::from_fn(13, 160, |_, _| 1.0);
    let w1_a = Matrix::from_fn(400, 13, |_, k| if k == 0 { 1.0 } else { 0.0 });
    let (w2_a, w2_b) = (random(&mut rng, [400, 13]), random(&mut rng, [13, 160]));
    let loha = Loha::new(w1_a, w1_b, w2_a, w2_b).unwrap();
    let delta = delta(Factors::Loha(loha), 3.0);
    let got = directions(&delta, 40).unwrap();
    for sigma in [&got.sigma, &singular_values(&delta).unwrap()] {
        assert!(sigma[13] <= 1e-7 * sigma[0], "{:e}", sigma[13] / sigma[0]);
        assert_eq!(numerical_rank(sigma, default_threshold([400, 160])), 13);
    }
    assert!(skew(&got.u, 40).max(skew(&got.v, 40)) < 1e-12);
    assert!((sum(&got, 13) - whole(&delta)).norm() <= 1e-12 * got.sigma[0]);
}

#[test]
fn what_is_too_large_is_refused_at_once() {
    let ones = |rows, cols| Matrix::from_fn(rows, cols, |_, _| 1.0);
    let side = 4096;
    let loha = |out, inputs, r| {
        Loha::new(ones(out, r), ones(r, inputs), ones(out, r), ones(r, inputs)).unwrap()
    };
    for factors in [
        Factors::Loha(loha(side, side, 64)),
        Factors::Loha(loha(side, 1 << 20, 64)),
        Factors::Lora(Lora::new(ones(side, side), ones(side, side)).unwrap()),
    ] {
        let refused = singular_values(&delta(factors, 1.0)).unwrap_err();
        assert_eq!(refused.code(), "Unsupported", "{refused}");
    }
    // All 2^16 directions would need 64 GiB.
    let lokr = Lokr::new(
        KronFactor::Full(Matrix::from_fn(256, 256, |i, j| f32::from(u8::from(i == j)))),
        KronFactor::Full(Matrix::from_fn(256, 256, |i, j| f32::from(u8::from(i == j)))),
    );
    let delta = delta(Factors::Lokr(lokr.unwrap()), 1.0);
    assert_eq!(singular_values(&delta).unwrap().len(), 65_536);
    assert_eq!(directions(&delta, 2).unwrap().count(), 2);
    assert_eq!(directions(&delta, usize::MAX).unwrap_err().code(), "Unsupported");
}

// ---- ranks ----

#[test]
fn random_factors_reach_their_rank_bound() {
    let mut rng = rng(6);
    for r in 1..=4 {
        for shape in [[37, 29], [16, 64]] {
            let loha = delta(build(shape, &Recipe::Loha { r }, &mut rng), 1.5);
            let lora = delta(build(shape, &Recipe::Lora { r }, &mut rng), 1.5);
            assert_eq!(ranks(&loha, None).unwrap().numerical, r * r, "LoHa {shape:?} r{r}");
            assert_eq!(ranks(&lora, None).unwrap().numerical, r, "LoRA {shape:?} r{r}");
        }
    }
    // 2 * 3: rank(w1) is 2, rank(w2) is 3.
    let lokr = Lokr::new(full(&mut rng, [2, 5]), low(&mut rng, [7, 6], 3)).unwrap();
    let ranks = ranks(&delta(Factors::Lokr(lokr), 1.0), None).unwrap();
    assert_eq!((ranks.bound, ranks.numerical), (6, 6));
}

#[test]
fn no_measured_rank_passes_the_bound() {
    for (name, delta) in zoo() {
        for threshold in [None, Some(0.0), Some(0.1)] {
            let r = ranks(&delta, threshold).unwrap();
            let bound = r.bound as f64 * (1.0 + 1e-12);
            assert!(r.numerical <= r.bound, "{name}: {r:?}");
            assert!(r.stable >= 1.0 && r.stable <= bound, "{name}: {r:?}");
            // The stable rank is the exponential of the min-entropy, so it comes first.
            assert!(r.entropy >= r.stable * (1.0 - 1e-12) && r.entropy <= bound, "{name}: {r:?}");
        }
    }
}

#[test]
fn ranks_of_spectra_worked_by_hand() {
    close(stable_rank(&[2.0, 1.0]), 1.25);
    // p = 0.8, 0.2.
    close(entropy_rank(&[2.0, 1.0]), 1.25f64.powf(0.8) * 5f64.powf(0.2));
    close(energy_share(&[2.0, 1.0], 1), 0.8);
    close(frobenius_norm(&[2.0, 1.0]), 5f64.sqrt());
    close(spectral_norm(&[2.0, 1.0]), 2.0);
    for size in [1e-200, 1.0, 1e200] {
        let equal = [size; 5];
        close(stable_rank(&equal), 5.0);
        close(entropy_rank(&equal), 5.0);
        close(energy_share(&equal, 2), 0.4);
        close(frobenius_norm(&equal), size * 5f64.sqrt());
        assert_eq!(numerical_rank(&equal, 1e-3), 5);
    }
    assert_eq!((entropy_rank(&[7.0]), stable_rank(&[7.0])), (1.0, 1.0));
    assert_eq!((energy_share(&[7.0, 1.0], 0), energy_share(&[7.0, 1.0], 9)), (0.0, 1.0));
    assert_eq!((entropy_rank(&[]), stable_rank(&[]), numerical_rank(&[], 0.0)), (0.0, 0.0, 0));
    assert_eq!(numerical_rank(&[1.0, 0.1, 0.01], 0.1), 1, "greater than, not equal");
    assert_eq!(numerical_rank(&[1.0, 0.1, 0.01], 0.05), 2);
    assert_eq!(default_threshold([768, 1024]), 1024.0 / 8_388_608.0);
}

// ---- counts ----

#[test]
fn counts_and_bounds_of_the_worked_examples() {
    // [out, in], recipe, numbers, largest rank.
    let worked = [
        ([768, 768], Recipe::Lora { r: 8 }, 12_288, 8),
        ([768, 768], Recipe::Loha { r: 8 }, 24_576, 64),
        ([768, 768], peft(8, -1, false), 1_088, 192),
        ([768, 768], peft(8, 8, false), 1_600, 64),
        ([768, 768], lycoris_full(-1), 1_600, 768),
        ([1024, 1024], Recipe::Lora { r: 8 }, 16_384, 8),
        ([1024, 1024], Recipe::Loha { r: 8 }, 32_768, 64),
        ([1024, 1024], peft(8, -1, false), 1_536, 256),
        ([1024, 1024], peft(8, -1, true), 1_024, 64),
        ([1024, 1024], lycoris_full(-1), 2_048, 1_024),
        ([4096, 4096], lycoris_full(-1), 8_192, 4_096),
        ([11_008, 4096], Recipe::Lora { r: 8 }, 120_832, 8),
        ([11_008, 4096], peft(8, -1, false), 7_040, 512),
        ([256, 256], peft(8, -1, false), 512, 256),
        ([256, 256], Recipe::Lora { r: 8 }, 4_096, 8),
        // A prime side cannot be split: LoKr's rank is then r.
        ([127, 127], peft(8, -1, false), 1 + 8 * 254, 8),
        // Bounds are capped by the smaller side.
        ([4, 100], Recipe::Loha { r: 3 }, 624, 4),
        ([4, 100], Recipe::Lora { r: 9 }, 936, 4),
        // Past 32 bits, as a slider on a large vocabulary can ask.
        ([151_936, 8192], Recipe::Lora { r: 100_000 }, 16_012_800_000, 8192),
    ];
    for (shape, recipe, parameters, bound) in worked {
        let counted = count(shape, &recipe).unwrap();
        assert_eq!(counted.parameters(), parameters, "{shape:?} {recipe:?}");
        assert_eq!(counted.rank_bound, bound, "{shape:?} {recipe:?}");
    }
}

#[test]
fn counts_of_pefts_method_comparison() {
    // Llama 3.2 3B: q_proj and v_proj in 28 layers.
    let total = |recipe: Recipe| {
        let of = |shape| count(shape, &recipe).unwrap().parameters();
        28 * (of([3072, 3072]) + of([1024, 3072]))
    };
    assert_eq!(total(Recipe::Lora { r: 32 }), 9_175_040);
    assert_eq!(total(Recipe::Loha { r: 32 }), 18_350_080);
    assert_eq!(total(peft(32, 4, false)), 2_294_656);
}

#[test]
fn lokr_thresholds_compare_with_half_in_real_numbers() {
    let names = |shape, recipe| -> Vec<&str> {
        count(shape, &recipe).unwrap().tensors.iter().map(|t| t.name).collect()
    };
    let (w1, w2) = (["lokr_w1"], ["lokr_w2"]);
    let (w1_ab, w2_ab) = (["lokr_w1_a", "lokr_w1_b"], ["lokr_w2_a", "lokr_w2_b"]);
    // 49 = 7 * 7: half is 3.5. 64 = 8 * 8: half is 4. 3 is below both, 4 below neither.
    for shape in [[49, 49], [64, 64]] {
        assert_eq!(names(shape, peft(3, -1, false)), [&w1[..], &w2_ab].concat());
        assert_eq!(names(shape, peft(4, -1, false)), [&w1[..], &w2].concat());
        assert_eq!(names(shape, peft(3, -1, true)), [&w1_ab[..], &w2_ab].concat());
        assert_eq!(names(shape, peft(4, -1, true)), [&w1[..], &w2].concat());
    }
    // The larger side decides, and each factor for itself: w1 is [4, 3], w2 [3, 32] (PEFT, 4).
    assert_eq!(names([12, 128], peft(2, 4, true)), [&w1[..], &w2_ab].concat());
    assert_eq!(names([12, 128], peft(1, 4, true)), [&w1_ab[..], &w2_ab].concat());
    let whole =
        Recipe::Lokr(LokrRecipe { decompose_both: true, full_matrix: true, ..LokrRecipe::new(1) });
    assert_eq!(names([64, 64], whole), [&w1[..], &w2].concat());
}

#[test]
fn the_convention_changes_the_split() {
    let with = |convention| {
        let recipe = LokrRecipe { decompose_factor: 64, convention, ..LokrRecipe::new(2) };
        count([768, 768], &Recipe::Lokr(recipe)).unwrap()
    };
    // PEFT: w1 [64, 64], w2 [12, 12]. LyCORIS: w1 [12, 12], w2 [64, 64].
    assert_eq!(with(Convention::Peft).parameters(), 64 * 64 + 2 * 24);
    assert_eq!(with(Convention::Lycoris).parameters(), 12 * 12 + 2 * 128);
}

#[test]
fn real_factors_hold_what_the_shapes_promise() {
    let mut rng = rng(7);
    let mut recipes: Vec<Recipe> = Vec::new();
    for r in 1..=9 {
        recipes.extend([Recipe::Lora { r }, Recipe::Loha { r }, lycoris_full(r as i64)]);
        for factor in [-1, 2, 4, 8] {
            recipes.extend([peft(r, factor, false), peft(r, factor, true)]);
        }
    }
    for shape in [[12, 128], [13, 17], [49, 36], [1, 6], [64, 2]] {
        for recipe in &recipes {
            let counted = count(shape, recipe).unwrap();
            let factors = build(shape, recipe, &mut rng);
            let method = factors.method();
            assert_eq!(method.shape(), shape, "{recipe:?}");
            assert_eq!(method.parameters() as u64, counted.parameters(), "{shape:?} {recipe:?}");
            assert_eq!(method.rank_bound(), counted.rank_bound, "{shape:?} {recipe:?}");
        }
    }
}

#[test]
fn counts_refuse_zero() {
    for (shape, r) in [([0, 4], 1), ([4, 0], 1), ([4, 4], 0)] {
        for recipe in [Recipe::Lora { r }, Recipe::Loha { r }, peft(r, -1, false)] {
            assert!(matches!(count(shape, &recipe), Err(Error::BadArgument { .. })));
        }
    }
}

#[test]
fn fedpara_proposition_2_by_trial() {
    // Reaching rank R^2 with inner dimensions r1, r2 costs (r1 + r2)(out + in) numbers, least at
    // r1 = r2 = R and nowhere else.
    let shape = [97, 64];
    let sides = 97 + 64u64;
    for target in 1..=8u64 {
        let pairs = (1..=target * target).flat_map(|a| (1..=target * target).map(move |b| (a, b)));
        let enough: Vec<_> = pairs.filter(|(a, b)| a * b >= target * target).collect();
        let least = enough.iter().map(|(a, b)| a + b).min().unwrap();
        let best: Vec<_> = enough.into_iter().filter(|(a, b)| a + b == least).collect();
        assert_eq!(best, [(target, target)]);
        let counted = count(shape, &Recipe::Loha { r: target as usize }).unwrap();
        assert_eq!(counted.parameters(), least * sides);
        assert_eq!(counted.rank_bound as u64, (target * target).min(64));
    }
}

#[test]
fn parts_of_a_fused_projection_are_found() {
    // sd-scripts#2204: up (6, 3) block-diagonal, down (3, 2), alpha 1.
    let up = |touch: f32| {
        let data = vec![1., 0., 0., 2., 0., 0., 0., 3., 0., 0., 4., 0., 0., 0., 5., touch, 0., 6.];
        Matrix::new(6, 3, data).unwrap()
    };
    let fused = |touch| {
        let a = Matrix::new(3, 2, vec![1.0; 6]).unwrap();
        let factors = Factors::Lora(Lora::new(a, up(touch)).unwrap());
        // Alpha over rank, as written.
        lokahi::analysis::findings(&Delta::new(factors, 3, 1.0, 1.0 / 3.0))
    };
    let [finding] = fused(0.0).try_into().unwrap();
    assert_eq!((finding.kind.code(), finding.count), ("FusedParts", 3));
    assert_eq!(fused(1.0), []);
}
