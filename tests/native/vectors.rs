//! Small adapters worked out by hand, and run in PEFT 0.21: every number is exact.

use lokahi::adapter::{
    Axis, Delta, Factors, KronFactor, KronOrder, Layer, Loha, Lokr, Lora, Magnitude, Tucker, merge,
};
use lokahi::tensor::{DType, Data, Matrix, Tensor};

fn matrix<const R: usize, const C: usize>(rows: [[f32; C]; R]) -> Matrix {
    Matrix::new(R, C, rows.concat()).unwrap()
}

fn weight(shape: &[usize], numbers: &[f32]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::F32(numbers.to_vec())).unwrap()
}

fn lora(a: Matrix, b: Matrix, scale: f32) -> Delta {
    let rank = a.rows();
    Delta::new(Factors::Lora(Lora::new(a, b).unwrap()), rank, scale * rank as f32, scale)
}

#[track_caller]
fn equal(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= 1e-6 * w.abs().max(1.0), "[{i}]: got {g}, want {w}");
    }
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.to_f32().into_iter().map(f64::from).collect()
}

#[test]
fn lora_linear_conv1d_and_rslora() {
    let delta =
        |scale| lora(matrix([[1., 2., 3.], [4., 5., 6.]]), matrix([[1., 0.], [2., -1.]]), scale);
    equal(&delta(0.5).materialise(), &[0.5, 1., 1.5, -1., -0.5, 0.]);
    // GPT-2's Conv1D stores the transpose.
    let merged = delta(0.5).merge(&weight(&[3, 2], &[0.; 6]), 1.0, false).unwrap();
    equal(&numbers(&merged), &[0.5, -1., 1., -0.5, 1.5, 0.]);
    let root = 0.5f32.sqrt();
    let want = [1., 2., 3., -2., -1., 0.].map(|v| v * 0.5f64.sqrt());
    equal(&delta(root).materialise(), &want);
}

#[test]
fn a_square_conv1d_is_told_by_the_base_alone() {
    let delta = lora(matrix([[1., 2.]]), matrix([[1.], [0.]]), 1.0);
    let base = weight(&[2, 2], &[0.; 4]);
    equal(&numbers(&delta.merge(&base, 1.0, false).unwrap()), &[1., 2., 0., 0.]);
    equal(&numbers(&delta.merge(&base, 1.0, true).unwrap()), &[1., 0., 2., 0.]);
}

#[test]
fn lora_embedding() {
    let mut delta = lora(matrix([[1., 0., -1.]]), matrix([[2.], [3.]]), 2.0);
    delta.layer = Layer::Embedding;
    let merged = delta.merge(&weight(&[3, 2], &[0.; 6]), 1.0, false).unwrap();
    equal(&numbers(&merged), &[4., 6., 0., 0., -4., -6.]);
    let wrong = delta.merge(&weight(&[2, 3], &[0.; 6]), 1.0, false).unwrap_err();
    assert!(wrong.to_string().contains("[3, 2]"), "{wrong}");
}

#[test]
fn loha_linear() {
    let loha = Loha::new(
        matrix([[1., 2.], [3., 4.]]),
        matrix([[1., 0., 2.], [0., 1., 1.]]),
        matrix([[1., 1.], [0., 2.]]),
        matrix([[2., 1., 0.], [1., 0., 3.]]),
    );
    let delta = Delta::new(Factors::Loha(loha.unwrap()), 2, 2.0, 1.0);
    equal(&delta.materialise(), &[3., 2., 12., 6., 0., 60.]);
}

#[test]
fn loha_tucker_reads_the_first_index_of_the_core_as_out() {
    // t[i][j][k] as rows i of columns (j, k).
    let t1 = matrix([[1., 2., 3., 4.], [5., 6., 7., 8.]]);
    let t2 = matrix([[1., 0., 0., 1.], [1., 1., 0., 2.]]);
    let first = Tucker::new(t1, matrix([[1., 0., 1.], [2., 1., 0.]]), 2).unwrap();
    let second = Tucker::new(t2, matrix([[1., 1., 0.], [0., 1., 1.]]), 2).unwrap();
    let w1_a = matrix([[1., 2.], [0., 1.]]).transposed();
    let w2_a = matrix([[1., 0.], [1., 1.]]).transposed();
    let loha = Loha::tucker([first, second], w1_a, w2_a).unwrap();
    let delta = Delta::new(Factors::Loha(loha), 2, 2.0, 1.0);
    // Cells [p][q][k]: W1 = [[7, 10], [3, 4], [1, 2]], [[33, 42], [13, 16], [7, 10]].
    let want = [14., 10., 6., 16., 0., 6., 33., 42., 13., 48., 0., 20.];
    equal(&delta.materialise(), &want);
}

#[test]
fn lokr_low_rank() {
    let w2 = KronFactor::LowRank { a: matrix([[1.], [2.], [0.]]), b: matrix([[1., -1.]]) };
    let lokr = Lokr::new(KronFactor::Full(matrix([[1., 2.], [3., -1.]])), w2).unwrap();
    let delta = Delta::new(Factors::Lokr(lokr), 1, 2.0, 2.0);
    let want = [
        [2., -2., 4., -4.],
        [4., -4., 8., -8.],
        [0.; 4],
        [6., -6., -2., 2.],
        [12., -12., -4., 4.],
        [0.; 4],
    ];
    equal(&delta.materialise(), &want.concat());
}

#[test]
fn dora_on_both_axes() {
    let base = weight(&[2, 2], &[3., 4., 0., 5.]);
    // W + dW = [[3, 4], [0, 3]]: square on purpose.
    let mut delta = lora(matrix([[0., 1.]]), matrix([[0.], [-2.]]), 1.0);
    let mut merged = |axis, strength| {
        delta.magnitude = Some(Magnitude { values: vec![10., 6.], axis });
        numbers(&delta.merge(&base, strength, false).unwrap())
    };
    equal(&merged(Axis::Out, 1.0), &[6., 8., 0., 6.]);
    equal(&merged(Axis::In, 1.0), &[10., 4.8, 0., 3.6]);
    // Half way is half way from the base; nothing is the base to the bit.
    equal(&merged(Axis::Out, 0.5), &[4.5, 6., 0., 5.5]);
    assert_eq!(merged(Axis::Out, 0.0), [3., 4., 0., 5.]);
}

#[test]
fn dora_leaves_a_row_of_zeros() {
    let base = weight(&[2, 2], &[0., 0., 3., 4.]);
    let mut delta = lora(matrix([[1., 1.]]), matrix([[0.], [0.]]), 1.0);
    delta.magnitude = Some(Magnitude { values: vec![0., 10.], axis: Axis::Out });
    let merged = delta.merge(&base, 1.0, false).unwrap();
    equal(&numbers(&merged), &[0., 0., 6., 8.]);
}

#[test]
fn lora_conv1d() {
    // A[r][i][k] as rows r of columns (i, k).
    let a = matrix([[1., 2., 0., 1.], [1., 0., 3., 1.]]);
    let mut delta = lora(a, matrix([[1., 0.], [2., 1.]]), 0.5);
    delta.layer = Layer::Conv { kernel: vec![2] };
    assert_eq!(delta.weight_shape(), [2, 2, 2]);
    let merged = delta.merge(&weight(&[2, 2, 2], &[0.; 8]), 1.0, false).unwrap();
    equal(&numbers(&merged), &[0.5, 1., 0., 0.5, 1.5, 2., 1.5, 1.5]);
}

#[test]
fn lokr_conv1d_in_both_orders() {
    let w1 = KronFactor::Full(matrix([[1., 2.], [3., 4.]]));
    let w2 = KronFactor::Full(matrix([[10., 1.], [100., 5.]]));
    let lokr = Lokr::new(w1, w2).unwrap();
    let plain =
        [[10., 1., 20., 2.], [100., 5., 200., 10.], [30., 3., 40., 4.], [300., 15., 400., 20.]];
    let delta = |lokr| Delta::new(Factors::Lokr(lokr), 1, 1.0, 1.0);
    equal(&delta(lokr.clone()).materialise(), &plain.concat());
    let peft = delta(lokr.with_order(KronOrder::PeftConv1d { kernel: 2 }).unwrap());
    let want = [plain[0], plain[2], plain[1], plain[3]].concat();
    equal(&peft.materialise(), &want);
    let x = [1., -2., 0.5, 3.];
    let dot = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
    equal(&peft.apply(&x), &want.chunks(4).map(dot).collect::<Vec<_>>());
}

#[test]
fn the_order_of_peft_is_the_three_dimensional_product_read_through() {
    let (ol, im, ok, width, kernel) = (2, 3, 5, 2, 4);
    let number = |seed: usize| ((seed * 37 + 11) % 23) as f32 - 11.0;
    let w1 = Matrix::from_fn(ol, im, |i, j| number(i * im + j));
    let w2 = Matrix::from_fn(ok, width * kernel, |i, j| number(100 + i * width * kernel + j));
    // torch.kron of [1, ol, im] and [ok, width, kernel], row-major.
    let mut want = Vec::new();
    for p in 0..ok {
        for (u, q) in (0..ol).flat_map(|u| (0..width).map(move |q| (u, q))) {
            for (v, k) in (0..im).flat_map(|v| (0..kernel).map(move |k| (v, k))) {
                want.push(w1.at(u, v) * w2.at(p, q * kernel + k));
            }
        }
    }
    let lokr = Lokr::new(KronFactor::Full(w1), KronFactor::Full(w2)).unwrap();
    let peft = lokr.clone().with_order(KronOrder::PeftConv1d { kernel }).unwrap();
    let [plain, peft] = [lokr, peft].map(|lokr| Delta::new(Factors::Lokr(lokr), 1, 1.0, 1.0));
    equal(&peft.materialise(), &want);
    assert_ne!(plain.materialise(), want);
    let x: Vec<f64> = (0..im * width * kernel).map(|j| f64::from(number(j))).collect();
    let dot = |row: &[f64]| row.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>();
    equal(&peft.apply(&x), &want.chunks(x.len()).map(dot).collect::<Vec<_>>());
}

#[test]
fn hostile_core_claims_gigabytes() {
    // A hundred thousand numbers each, ten thousand million multiplied out.
    let long = |rows, cols| Matrix::new(rows, cols, vec![1.0; rows * cols]).unwrap();
    let error = Tucker::new(long(100_000, 1), long(1, 100_000), 1).unwrap_err();
    assert_eq!(error.code(), "ShapeMismatch");
    assert!(error.to_string().contains("100000"), "{error}");
    // A kernel that only a wrapped product of lengths would fit.
    for kernel in [0, 2, 65_536] {
        let error = Tucker::new(long(1, 65_536), long(65_537, 1), kernel).unwrap_err();
        assert!(error.to_string().contains("65537"), "{error}");
    }
}

#[test]
fn deltas_of_one_weight_do_not_see_each_other() {
    let base = weight(&[2, 2], &[3., 4., 0., 5.]);
    let mut dora = lora(matrix([[0., 1.]]), matrix([[0.], [-2.]]), 1.0);
    dora.magnitude = Some(Magnitude { values: vec![10., 6.], axis: Axis::Out });
    let plain = lora(matrix([[1., 0.]]), matrix([[1.], [2.]]), 1.0);
    // Half of [3, 4; 0, 1] from the DoRA, twice [1, 0; 2, 0] from the other.
    let want = [3. + 1.5 + 2., 4. + 2., 4., 5. + 0.5];
    for deltas in [[(&dora, 0.5), (&plain, 2.0)], [(&plain, 2.0), (&dora, 0.5)]] {
        equal(&numbers(&merge(&base, &deltas, false).unwrap()), &want);
    }
    let other = lora(matrix([[1., 0., 0.]]), matrix([[1.]]), 1.0);
    let error = merge(&base, &[(&plain, 1.0), (&other, 1.0)], false).unwrap_err();
    assert_eq!(error.code(), "ShapeMismatch");
}

#[test]
fn a_merge_rounds_once_and_refuses_overflow() {
    let half = |v: f32| half::f16::from_f32(v).to_bits();
    let base = Tensor::new(vec![1, 2], Data::F16(vec![half(1.0), half(60_000.0)])).unwrap();
    let delta = |d: f32| lora(matrix([[d, 0.]]), matrix([[1.]]), 1.0);
    let merged = delta(0.1).merge(&base, 1.0, false).unwrap();
    assert_eq!(merged.dtype(), DType::F16);
    assert_eq!(merged.data(), &Data::F16(vec![half(1.1), half(60_000.0)]));
    let over = lora(matrix([[0., 10_000.]]), matrix([[1.]]), 1.0).merge(&base, 1.0, false);
    let error = over.unwrap_err();
    assert_eq!(error.code(), "NotFinite");
    assert!(error.to_string().contains("element 1"), "{error}");
}
