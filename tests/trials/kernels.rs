//! One trial a kernel. Sizes are not multiples of any tile; outputs start as NaN, so that a number
//! that was not written is seen.

use half::{bf16, f16};
use lokahi::{
    adapter::{Delta, Factors, KronFactor, Loha, Lokr, Lora},
    backend::{Added, Backend, Heads, Span},
    cpu::Cpu,
    tensor::{BLOCK, DType, Data, Matrix, Tensor, read_blocks, read_q4_0},
};
use rand_core::{Rng, SeedableRng};

use super::{
    compare::{EXACT, POINTWISE, Tolerance, assert_close, noisy, of_largest, sum, widen},
    name, oracle,
};

/// Seeded numbers in [-1, 1).
pub struct Noise(rand_pcg::Pcg32);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(rand_pcg::Pcg32::seed_from_u64(seed))
    }

    pub fn numbers(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.0.next_u32() as f32 / 2f32.powi(31) - 1.0).collect()
    }

    pub fn matrix(&mut self, rows: usize, cols: usize) -> Matrix {
        Matrix::new(rows, cols, self.numbers(rows * cols)).unwrap()
    }

    pub fn tensor(&mut self, rows: usize, cols: usize) -> Tensor {
        Tensor::new(vec![rows, cols], Data::F32(self.numbers(rows * cols))).unwrap()
    }

    /// Noise in each dtype that a weight of such rows may have.
    pub fn tensors(&mut self, rows: usize, cols: usize) -> Vec<Tensor> {
        let numbers = self.numbers(rows * cols);
        let f16 = numbers.iter().map(|&v| f16::from_f32(v).to_bits()).collect();
        let bf16 = numbers.iter().map(|&v| bf16::from_f32(v).to_bits()).collect();
        let mut kinds = vec![Data::F32(numbers), Data::F16(f16), Data::BF16(bf16)];
        if cols.is_multiple_of(BLOCK) {
            let blocks = rows * cols / BLOCK;
            kinds.push(Data::Q8_0(read_blocks(&self.blocks(blocks, &[0.01], 32))));
            kinds.push(Data::Q4_1(read_blocks(&self.blocks(blocks, &[0.2, -1.5], 16))));
            kinds.push(Data::Q4_1(read_q4_0(&self.blocks(blocks, &[0.2], 16))));
        }
        kinds.into_iter().map(|data| Tensor::new(vec![rows, cols], data).unwrap()).collect()
    }

    /// Blocks as in a file: f16 scales, each up to twice as large as given, then any bytes.
    fn blocks(&mut self, count: usize, scales: &[f32], bytes: usize) -> Vec<u8> {
        let mut file = Vec::new();
        for _ in 0..count {
            for (scale, noise) in scales.iter().zip(self.numbers(scales.len())) {
                file.extend(f16::from_f32(scale * (1.0 + noise)).to_bits().to_le_bytes());
            }
            file.extend((0..bytes).map(|_| self.0.next_u32() as u8));
        }
        file
    }
}

fn nan<B: Backend>(backend: &mut B, len: usize) -> B::Buffer {
    backend.upload(&vec![f32::NAN; len]).unwrap()
}

async fn read<B: Backend>(backend: &mut B, buffer: &B::Buffer, len: usize) -> Vec<f32> {
    backend.read(buffer, 0, len).await.unwrap()
}

/// Deltas on one weight, each of its own adapter.
pub struct Loaded<B: Backend> {
    deltas: B::Deltas,
    strengths: B::Buffer,
    active: Vec<bool>,
    width: usize,
}

impl<B: Backend> Loaded<B> {
    /// First output row and delta of each; one row of strengths for all tokens, or one each.
    pub fn new(backend: &mut B, deltas: &[(usize, &Delta)], strengths: &[f32]) -> Self {
        let mut all = B::Deltas::default();
        for (adapter, delta) in deltas.iter().enumerate() {
            all = backend.load(&all, adapter, &[*delta]).unwrap();
        }
        // One row too many, in front.
        let table = [&vec![f32::NAN; deltas.len()], strengths].concat();
        let width = if strengths.len() == deltas.len() { 0 } else { deltas.len() };
        let strengths = backend.upload(if width == 0 { strengths } else { &table }).unwrap();
        Self { deltas: all, strengths, active: vec![true; deltas.len()], width }
    }

    pub fn added(&self) -> Added<'_, B> {
        let Self { deltas, strengths, active, width } = self;
        let first = usize::from(*width > 0);
        Added { deltas, strengths, active, first, width: *width, merged: false }
    }
}

pub async fn add_norm<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(1);
    for (width, first, rows) in [(1, 0, 1), (22, 1, 3), (130, 0, 2), (1000, 2, 4)] {
        let (x, y) = (noise.numbers((first + rows) * width), noise.numbers((first + rows) * width));
        let weight = noise.numbers(width);
        let [mut x_buffer, y_buffer, weight_buffer] =
            [&x, &y, &weight].map(|v| backend.upload(v).unwrap());
        let mut out = nan(backend, rows * width);
        let (to, y_in, of) = (&mut x_buffer, &y_buffer, first..first + rows);
        backend.add_norm(to, y_in, None, of, &weight_buffer, width, 1e-5, &mut out);
        let mut sums = widen(&x);
        for (x, y) in sums[first * width..].iter_mut().zip(&y[first * width..]) {
            *x += f64::from(*y);
        }
        let what = format!("{} add_norm {width}", name::<B>());
        let got = read(backend, &x_buffer, x.len()).await;
        assert_close(&format!("{what}: stream"), &got, &sums, POINTWISE);
        let want = oracle::rms_norm(&sums[first * width..], &widen(&weight), 1e-5);
        let got = read(backend, &out, rows * width).await;
        assert_close(&what, &got, &want, POINTWISE);
    }
}

pub async fn argmax<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(2);
    for width in [1, 5, 64, 1001] {
        let rows = 3;
        let mut x = noise.numbers(rows * width);
        // Equal largest numbers: the first one counts.
        x[width + width / 2] = 2.0;
        x[width + width - 1] = 2.0;
        // All negative and equal.
        x[2 * width..].fill(-7.5);
        let buffer = backend.upload(&x).unwrap();
        let mut out = nan(backend, rows);
        backend.argmax(&buffer, rows, width, &mut out);
        let first = |row: &[f32]| {
            let top = row.iter().copied().fold(f32::MIN, f32::max);
            row.iter().position(|&v| v == top).unwrap() as f64
        };
        let want: Vec<_> = x.chunks(width).map(first).collect();
        let got = read(backend, &out, rows).await;
        assert_close(&format!("{} argmax {width}", name::<B>()), &got, &want, EXACT);
    }
}

pub async fn attention<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(3);
    for (query, key_value, size, start, first, rows, window) in [
        (1, 1, 2, 0, 0, 1, None),
        (4, 2, 6, 0, 2, 5, None),
        (6, 2, 10, 61, 0, 9, None),
        (2, 1, 66, 130, 1, 2, None),
        (3, 3, 256, 3, 0, 1, None),
        (4, 2, 6, 0, 0, 9, Some(1)),
        (2, 1, 8, 2, 3, 9, Some(5)),
        (2, 2, 10, 130, 0, 9, Some(67)),
    ] {
        let heads = Heads { query, key_value, size };
        let context = start + rows + 3;
        let span = Span { rows: first..first + rows, start };
        let mut qkv: Vec<_> =
            noise.numbers((first + rows) * heads.qkv()).iter().map(|v| 4.0 * v).collect();
        // Rows of another text.
        qkv[..first * heads.qkv()].fill(f32::NAN);
        let mut keys = noise.numbers(context * key_value * size);
        let mut values = noise.numbers(context * key_value * size);
        // What lies behind the text must not be read.
        keys[(start + rows) * key_value * size..].fill(f32::NAN);
        values[(start + rows) * key_value * size..].fill(f32::NAN);
        let [before, len] = [first, first + rows].map(|rows| rows * query * size);
        let mut out = nan(backend, len);
        let buffers = [&qkv, &keys, &values].map(|v| backend.upload(v).unwrap());
        let [q, k, v] = &buffers;
        backend.attention(q, heads, k, v, &span, window, &mut out);
        let (keys, values) = (widen(&keys), widen(&values));
        let qkv = widen(&qkv[first * heads.qkv()..]);
        let want = oracle::attention(&qkv, heads, &keys, &values, start, window);
        let got = read(backend, &out, len).await;
        let what = format!("{} attention {heads:?} {window:?}", name::<B>());
        assert_close(&what, &got[before..], &want, sum(size));
        assert!(got[..before].iter().all(|v| v.is_nan()), "{what}: rows of another text");
    }
}

/// Without deltas: the numbers of a weight.
pub async fn merge<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    for (rows, cols) in [(5, 7), (5, 96)] {
        for tensor in Noise::new(4).tensors(rows, cols) {
            let weight = backend.weight(&[&tensor]).unwrap();
            let got = backend.read_weight(&weight).await.unwrap();
            let what = format!("{} merge {:?}", name::<B>(), tensor.dtype());
            assert_close(&what, &got, &widen(&tensor.to_f32()), numbers_of(&tensor));
        }
    }
}

/// How exactly a GPU has the numbers of a weight: it may round `q d + m` in its own way.
fn numbers_of(tensor: &Tensor) -> Tolerance {
    if tensor.dtype() == DType::Q4_1 { POINTWISE } else { EXACT }
}

pub async fn embed<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    for width in [6, 64] {
        for tensor in Noise::new(5).tensors(19, width) {
            let table = backend.weight(&[&tensor]).unwrap();
            let ids = [18, 0, 3, 3];
            let mut out = nan(backend, ids.len() * width);
            backend.embed(&table, &ids, &mut out).unwrap();
            let numbers = widen(&tensor.to_f32());
            let row = |&id: &u32| numbers[id as usize * width..][..width].to_vec();
            let want: Vec<_> = ids.iter().flat_map(row).collect();
            let got = read(backend, &out, ids.len() * width).await;
            let what = format!("{} embed {:?}", name::<B>(), tensor.dtype());
            assert_close(&what, &got, &want, numbers_of(&tensor));
        }
    }
}

pub async fn head_norm<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(19);
    for (query, key_value, size, rows) in [(1, 1, 2, 1), (4, 2, 16, 3), (3, 1, 130, 2)] {
        let heads = Heads { query, key_value, size };
        let qkv = noise.numbers(rows * heads.qkv());
        let weight = noise.numbers(2 * size);
        let mut buffer = backend.upload(&qkv).unwrap();
        let uploaded = backend.upload(&weight).unwrap();
        backend.head_norm(&mut buffer, None, heads, rows, &uploaded, 1e-5);
        let want = oracle::head_norm(&widen(&qkv), heads, &widen(&weight), 1e-5);
        let got = read(backend, &buffer, qkv.len()).await;
        assert_close(&format!("{} head_norm {heads:?}", name::<B>()), &got, &want, POINTWISE);
    }
}

pub async fn linear<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(6);
    for (outputs, inputs, rows) in
        [(1, 1, 2), (7, 5, 2), (65, 130, 5), (96, 64, 4), (13, 1023, 9), (6, 32, 3), (67, 608, 7)]
    {
        product(backend, &mut noise, outputs, inputs, rows).await;
    }
}

pub async fn linear_one<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(18);
    for (outputs, inputs) in [(1, 1), (7, 5), (65, 130), (3, 1023), (1, 32), (66, 96), (129, 1056)]
    {
        product(backend, &mut noise, outputs, inputs, 1).await;
    }
}

async fn product<B: Backend>(
    backend: &mut B,
    noise: &mut Noise,
    outputs: usize,
    inputs: usize,
    rows: usize,
) {
    for tensor in noise.tensors(outputs, inputs) {
        let weight = backend.weight(&[&tensor]).unwrap();
        let x = noise.numbers(rows * inputs);
        let buffer = backend.upload(&x).unwrap();
        let bias = noise.numbers(outputs);
        let uploaded = backend.upload(&bias).unwrap();
        let (w, wide) = (widen(&tensor.to_f32()), widen(&x));
        let mut want = oracle::linear(&w, &wide, inputs);
        let dtype = tensor.dtype();
        // Where a weight is of blocks, the CPU backend rounds what meets them.
        let deviations = match dtype.block() {
            block if block > 1 && name::<B>() == name::<Cpu>() => {
                oracle::deviations_16(&w, &wide, inputs, block)
            }
            _ => vec![0.0; want.len()],
        };
        for biased in [false, true] {
            let mut y = nan(backend, rows * outputs);
            let given = biased.then_some(&uploaded);
            backend.linears(&weight, given, None, &buffer, rows, &mut y).unwrap();
            if biased {
                want.iter_mut().zip(bias.iter().cycle()).for_each(|(y, b)| *y += f64::from(*b));
            }
            let got = read(backend, &y, rows * outputs).await;
            let what = format!("{} {outputs}x{inputs} {dtype:?}, {rows} rows", name::<B>());
            assert_eq!(got.len(), want.len(), "{what}");
            for (i, deviation) in deviations.iter().enumerate() {
                let one = i..i + 1;
                let what = format!("{what}: output {i}");
                assert_close(&what, &got[one.clone()], &want[one], noisy(sum(inputs), *deviation));
            }
        }
    }
}

/// Projections of one input in one weight: in their common dtype, or in f32.
pub async fn stacked_weights<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(19);
    let (mut top, mut bottom) = (noise.tensors(3, 64), noise.tensors(5, 64));
    // One of another dtype.
    let (floats, blocks) = (noise.tensor(2, 64), noise.tensors(4, 64).remove(3));
    top.extend([floats.clone(), blocks.clone()]);
    bottom.extend([blocks, floats]);
    for (first, second) in top.iter().zip(&bottom) {
        let before = backend.memory().bytes;
        let weight = backend.weight(&[first, second]).unwrap();
        let bytes = (backend.memory().bytes - before) as usize;
        if first.dtype() == second.dtype() {
            let stored = first.data().bytes().len() + second.data().bytes().len();
            assert_eq!(bytes, stored.next_multiple_of(4), "{}: {:?}", name::<B>(), first.dtype());
        }
        let got = backend.read_weight(&weight).await.unwrap();
        let want = widen(&[first.to_f32(), second.to_f32()].concat());
        assert_close(&format!("{} stacked weight", name::<B>()), &got, &want, POINTWISE);
    }
}

fn lora(noise: &mut Noise, outputs: usize, inputs: usize, rank: usize) -> Factors {
    let (a, b) = (noise.matrix(rank, inputs), noise.matrix(outputs, rank));
    Factors::Lora(Lora::new(a, b).unwrap())
}

fn loha(noise: &mut Noise, outputs: usize, inputs: usize, rank: usize) -> Factors {
    let mut half = || (noise.matrix(outputs, rank), noise.matrix(rank, inputs));
    let ((w1_a, w1_b), (w2_a, w2_b)) = (half(), half());
    Factors::Loha(Loha::new(w1_a, w1_b, w2_a, w2_b).unwrap())
}

fn lokr(noise: &mut Noise, w1: [usize; 3], w2: [usize; 3]) -> Factors {
    let mut factor = |[rows, cols, rank]: [usize; 3]| match rank {
        0 => KronFactor::Full(noise.matrix(rows, cols)),
        _ => KronFactor::LowRank { a: noise.matrix(rows, rank), b: noise.matrix(rank, cols) },
    };
    let (w1, w2) = (factor(w1), factor(w2));
    Factors::Lokr(Lokr::new(w1, w2).unwrap())
}

fn loras(noise: &mut Noise) -> Vec<Factors> {
    let sizes = [(1, 1, 1), (7, 5, 2), (66, 35, 3), (40, 129, 17), (3, 4, 9), (34, 96, 4)];
    sizes.map(|(outputs, inputs, rank)| lora(noise, outputs, inputs, rank)).into()
}

fn lohas(noise: &mut Noise) -> Vec<Factors> {
    let sizes = [(1, 1, 1), (7, 5, 2), (66, 35, 3), (40, 129, 9), (34, 96, 4)];
    sizes.map(|(outputs, inputs, rank)| loha(noise, outputs, inputs, rank)).into()
}

fn lokrs(noise: &mut Noise) -> Vec<Factors> {
    // `[ol, im, r or 0]`, `[ok, in_n, r or 0]`.
    let shapes = [
        ([1, 1, 0], [1, 1, 0]),
        ([3, 2, 0], [5, 7, 0]),
        ([4, 6, 0], [9, 11, 3]),
        ([6, 5, 2], [7, 13, 2]),
        ([5, 3, 1], [2, 8, 0]),
        ([1, 1, 0], [29, 23, 4]),
        ([2, 8, 0], [5, 12, 3]),
    ];
    shapes.map(|(w1, w2)| lokr(noise, w1, w2)).into()
}

/// What a delta adds to the products of some tokens, from `first_row` of `width` outputs on.
fn add_to(y: &mut [f64], width: usize, x: &[f64], (first_row, delta): (usize, &Delta), by: &[f32]) {
    let inputs = delta.method().shape()[1];
    for ((y, x), strength) in y.chunks_mut(width).zip(x.chunks(inputs)).zip(by) {
        let bias = delta.bias.iter().flatten().map(|b| f64::from(delta.scale * b));
        let bias = bias.chain(std::iter::repeat(0.0));
        for ((y, d), bias) in y[first_row..].iter_mut().zip(delta.apply(x)).zip(bias) {
            *y += f64::from(*strength) * (d + bias);
        }
    }
}

/// A delta on some rows of a wider weight, on one token and on several.
async fn down_up<B: Backend>(backend: &mut B, noise: &mut Noise, factors: Factors) {
    let delta = Delta::new(factors, 1, 1.0, 0.75);
    let [outputs, inputs] = delta.method().shape();
    let (first_row, strength) = (3, -1.25f32);
    let width = first_row + outputs + 2;
    let tensor = noise.tensor(width, inputs);
    let weight = backend.weight(&[&tensor]).unwrap();
    for rows in [1, 6] {
        let x = noise.numbers(rows * inputs);
        let buffer = backend.upload(&x).unwrap();
        let mut y = nan(backend, rows * width);
        // One token, or all but the first and the last.
        let mut strengths = vec![strength; rows];
        if rows > 1 {
            (strengths[0], strengths[rows - 1]) = (0.0, 0.0);
        }
        let loaded = Loaded::new(backend, &[(first_row, &delta)], &strengths);
        let added = loaded.added();
        backend.linears(&weight, None, Some(added), &buffer, rows, &mut y).unwrap();
        backend.up(added, rows, width, &mut y);
        let mut want = oracle::linear(&widen(&tensor.to_f32()), &widen(&x), inputs);
        add_to(&mut want, width, &widen(&x), (first_row, &delta), &strengths);
        let got = read(backend, &y, rows * width).await;
        let what = format!("{} {} {outputs}x{inputs}", name::<B>(), delta.factors.name());
        // A code is itself a sum, and an output a sum of codes.
        let terms = inputs + delta.method().code_len();
        assert_close(&what, &got, &want, sum(terms));
    }
}

async fn merged<B: Backend>(backend: &mut B, noise: &mut Noise, factors: Factors) {
    let delta = Delta::new(factors, 1, 1.0, 0.75);
    let [outputs, inputs] = delta.method().shape();
    let (first_row, strength) = (2, 0.5f32);
    let rows = first_row + outputs + 1;
    let loaded = Loaded::new(backend, &[(first_row, &delta)], &[strength]);
    for tensor in noise.tensors(rows, inputs) {
        let weight = backend.weight(&[&tensor]).unwrap();
        let merged = backend.merge(&weight, loaded.added()).unwrap();
        let mut want = widen(&tensor.to_f32());
        let changed = &mut want[first_row * inputs..][..outputs * inputs];
        for (w, d) in changed.iter_mut().zip(delta.materialise()) {
            *w += f64::from(strength) * d;
        }
        let got = backend.read_weight(&merged).await.unwrap();
        let what = format!("{} merged {}", name::<B>(), delta.factors.name());
        assert_close(&what, &got, &want, sum(delta.method().code_len()));
        let base = backend.read_weight(&weight).await.unwrap();
        assert_close(
            &format!("{what}: base"),
            &base,
            &widen(&tensor.to_f32()),
            numbers_of(&tensor),
        );
    }
}

pub async fn lora_down_up<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(7);
    for factors in loras(&mut noise) {
        down_up(backend, &mut noise, factors).await;
    }
}

pub async fn lora_merge<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(8);
    for factors in loras(&mut noise) {
        merged(backend, &mut noise, factors).await;
    }
}

pub async fn loha_down_up<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(9);
    for factors in lohas(&mut noise) {
        down_up(backend, &mut noise, factors).await;
    }
}

pub async fn loha_merge<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(10);
    for factors in lohas(&mut noise) {
        merged(backend, &mut noise, factors).await;
    }
}

pub async fn lokr_down_up<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(11);
    for factors in lokrs(&mut noise) {
        down_up(backend, &mut noise, factors).await;
    }
}

pub async fn lokr_merge<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(12);
    for factors in lokrs(&mut noise) {
        merged(backend, &mut noise, factors).await;
    }
}

/// A product `[rows, outputs]` with a delta of each method on a part of the outputs, two of them
/// with biases, and strengths that differ from token to token.
struct Mixed<B: Backend> {
    loaded: Loaded<B>,
    weight: B::Weight,
    bias: B::Buffer,
    x: B::Buffer,
    rows: usize,
    /// With everything added.
    want: Vec<f64>,
    /// With the biases only.
    biases: Vec<f64>,
    tolerance: Tolerance,
}

impl<B: Backend> Mixed<B> {
    fn new(backend: &mut B, noise: &mut Noise, outputs: usize, rows: usize) -> Self {
        let inputs = 30;
        let factors = [
            (0, lora(noise, outputs - 1, inputs, 2)),
            (1, loha(noise, outputs - 1, inputs, 3)),
            (0, lokr(noise, [outputs / 2, 5, 0], [2, 6, 2])),
        ];
        let mut deltas = factors.map(|(first, f)| (first, Delta::new(f, 1, 1.0, 0.5)));
        for (_, delta) in &mut deltas[..2] {
            delta.bias = Some(noise.numbers(outputs - 1));
        }
        let deltas: Vec<_> = deltas.iter().map(|(first, delta)| (*first, delta)).collect();
        let mut strengths = noise.numbers(3 * rows);
        strengths.iter_mut().step_by(4).for_each(|strength| *strength = 0.0);
        let (tensor, bias) = (noise.tensor(outputs, inputs), noise.numbers(outputs));
        let x = noise.numbers(rows * inputs);
        let wide = widen(&x);
        let mut want = oracle::linear(&widen(&tensor.to_f32()), &wide, inputs);
        want.iter_mut().zip(bias.iter().cycle()).for_each(|(y, b)| *y += f64::from(*b));
        let mut biases = want.clone();
        for (adapter, delta) in deltas.iter().enumerate() {
            let by: Vec<_> = strengths.iter().skip(adapter).step_by(3).copied().collect();
            add_to(&mut want, outputs, &wide, *delta, &by);
            add_to(&mut biases, outputs, &vec![0.0; wide.len()], *delta, &by);
        }
        Self {
            loaded: Loaded::new(backend, &deltas, &strengths),
            weight: backend.weight(&[&tensor]).unwrap(),
            bias: backend.upload(&bias).unwrap(),
            x: backend.upload(&x).unwrap(),
            rows,
            want,
            biases,
            tolerance: sum(4 * inputs),
        }
    }

    /// As [`Backend::linears`] leaves it.
    fn product(&self, backend: &mut B, added: Added<'_, B>) -> B::Buffer {
        let mut y = nan(backend, self.want.len());
        let bias = Some(&self.bias);
        backend.linears(&self.weight, bias, Some(added), &self.x, self.rows, &mut y).unwrap();
        y
    }
}

pub async fn up<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(13);
    for (outputs, rows) in [(4, 1), (12, 3), (130, 7)] {
        let mixed = Mixed::new(backend, &mut noise, outputs, rows);
        for (merged, want) in [(false, &mixed.want), (true, &mixed.biases)] {
            let added = Added { merged, ..mixed.loaded.added() };
            let mut y = mixed.product(backend, added);
            backend.up(added, rows, outputs, &mut y);
            let got = read(backend, &y, rows * outputs).await;
            let what = format!("{} up {outputs}, merged: {merged}", name::<B>());
            assert_close(&what, &got, want, mixed.tolerance);
        }
    }
}

/// More active deltas than a kernel's list holds, of which some are off for a token.
pub async fn many_deltas<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(23);
    let (outputs, inputs, rows) = (6, 20, 3);
    let tensor = noise.tensor(outputs, inputs);
    let weight = backend.weight(&[&tensor]).unwrap();
    let x = noise.numbers(rows * inputs);
    let buffer = backend.upload(&x).unwrap();
    for count in [16, 17, 40] {
        let factor = |_| lora(&mut noise, outputs - 1, inputs, 2);
        let deltas: Vec<_> = (0..count).map(factor).map(|f| Delta::new(f, 2, 1.0, 0.5)).collect();
        let all: Vec<_> = deltas.iter().enumerate().map(|(k, delta)| (k % 2, delta)).collect();
        let mut strengths = noise.numbers(count * rows);
        strengths.iter_mut().step_by(5).for_each(|strength| *strength = 0.0);
        let mut want = oracle::linear(&widen(&tensor.to_f32()), &widen(&x), inputs);
        for (adapter, delta) in all.iter().enumerate() {
            let by: Vec<_> = strengths.iter().skip(adapter).step_by(count).copied().collect();
            add_to(&mut want, outputs, &widen(&x), *delta, &by);
        }
        let loaded = Loaded::new(backend, &all, &strengths);
        let mut y = nan(backend, rows * outputs);
        backend.linears(&weight, None, Some(loaded.added()), &buffer, rows, &mut y).unwrap();
        backend.up(loaded.added(), rows, outputs, &mut y);
        let got = read(backend, &y, rows * outputs).await;
        assert_close(&format!("{} {count} deltas", name::<B>()), &got, &want, sum(count * inputs));
    }
}

/// What the deltas of a product add is added by the kernel that reads it.
pub async fn readers_of_products<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(22);
    let (rows, width) = (4, 14);
    let what = |kernel: &str| format!("{} {kernel} of a product with deltas", name::<B>());

    let mixed = Mixed::new(backend, &mut noise, 2 * width, rows);
    let y = mixed.product(backend, mixed.loaded.added());
    let mut out = nan(backend, rows * width);
    backend.silu_mul(&y, Some(mixed.loaded.added()), rows, width, &mut out);
    let got = read(backend, &out, rows * width).await;
    let want = oracle::silu_mul(&mixed.want, width);
    assert_close(&what("silu_mul"), &got, &want, of_largest(1e-5, &want));

    let mixed = Mixed::new(backend, &mut noise, width, rows);
    let (x, weight) = (noise.numbers(rows * width), noise.numbers(width));
    let [mut stream, weights] = [&x, &weight].map(|v| backend.upload(v).unwrap());
    let y = mixed.product(backend, mixed.loaded.added());
    let (first, added) = (1, Some(mixed.loaded.added()));
    let mut out = nan(backend, (rows - first) * width);
    let (to, rest) = (&mut stream, rows - first);
    backend.add_norm(to, &y, added, first..rows, &weights, width, 1e-5, &mut out);
    let sums: Vec<_> = mixed.want.iter().zip(&x).map(|(y, x)| y + f64::from(*x)).collect();
    let got = read(backend, &stream, rows * width).await;
    let from = first * width;
    assert_close(&what("add"), &got[from..], &sums[from..], mixed.tolerance);
    assert_eq!(got[..from], x[..from], "{}: other rows", what("add"));
    let want = oracle::rms_norm(&sums[from..], &widen(&weight), 1e-5);
    let got = read(backend, &out, rest * width).await;
    assert_close(&what("add_norm"), &got, &want, of_largest(1e-5, &want));

    let heads = Heads { query: 3, key_value: 2, size: 6 };
    let mixed = Mixed::new(backend, &mut noise, heads.qkv(), rows);
    let weight = noise.numbers(2 * heads.size);
    let uploaded = backend.upload(&weight).unwrap();
    let mut y = mixed.product(backend, mixed.loaded.added());
    backend.head_norm(&mut y, Some(mixed.loaded.added()), heads, rows, &uploaded, 1e-5);
    let want = oracle::head_norm(&mixed.want, heads, &widen(&weight), 1e-5);
    let got = read(backend, &y, want.len()).await;
    assert_close(&what("head_norm"), &got, &want, of_largest(1e-5, &want));

    // Two texts, one after the other.
    let table = noise.numbers((rows + 1) * heads.size);
    let turns = backend.upload(&table).unwrap();
    let cache = (rows + 1) * heads.key_value * heads.size;
    let mut y = mixed.product(backend, mixed.loaded.added());
    let (q, k) = (heads.query * heads.size, (heads.query + heads.key_value) * heads.size);
    for span in [Span { rows: 0..1, start: 0 }, Span { rows: 1..rows, start: 1 }] {
        let (mut keys, mut values) = (nan(backend, cache), nan(backend, cache));
        let added = Some(mixed.loaded.added());
        backend.rope(&mut y, added, heads, &turns, &span, &mut keys, &mut values);
        let product = &mixed.want[span.rows.start * heads.qkv()..span.rows.end * heads.qkv()];
        let want = oracle::rope(product, heads, &widen(&table), span.start);
        let got = read(backend, &y, rows * heads.qkv()).await;
        let caches = [&keys, &values];
        let mut numbers = Vec::new();
        for cache_buffer in caches {
            numbers.push(read(backend, cache_buffer, cache).await);
        }
        for (t, want) in want.chunks(heads.qkv()).enumerate() {
            let row = &got[(span.rows.start + t) * heads.qkv()..][..q];
            assert_close(&what("rope"), row, &want[..q], mixed.tolerance);
            let at = (span.start + t) * (k - q);
            let [keys, values] = [0, 1].map(|which| &numbers[which][at..][..k - q]);
            assert_close(&what("rope, keys"), keys, &want[q..k], mixed.tolerance);
            assert_close(&what("rope, values"), values, &want[k..], mixed.tolerance);
        }
    }
}

/// All three methods on one weight, merged; and deltas that stay when an adapter goes.
pub async fn mixed_deltas<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(13);
    let (outputs, inputs) = (12, 30);
    let factors = [
        lora(&mut noise, outputs, inputs, 2),
        loha(&mut noise, outputs, inputs, 3),
        lokr(&mut noise, [3, 5, 0], [4, 6, 2]),
    ];
    let deltas = factors.map(|factors| Delta::new(factors, 1, 1.0, 0.5));
    let strengths = [1.0, -0.5, 2.0f32];
    let tensor = noise.tensor(outputs, inputs);
    let weight = backend.weight(&[&tensor]).unwrap();
    let all: Vec<_> = deltas.iter().map(|delta| (0, delta)).collect();
    for gone in [None, Some(0), Some(1), Some(2)] {
        let mut loaded = Loaded::new(backend, &all, &strengths);
        if let Some(gone) = gone {
            backend.unload(&mut loaded.deltas, gone).unwrap();
            // Twice is no harm.
            backend.unload(&mut loaded.deltas, gone).unwrap();
        }
        let mut want = widen(&tensor.to_f32());
        let kept = deltas.iter().zip(strengths).enumerate().filter(|(at, _)| Some(*at) != gone);
        for (_, (delta, strength)) in kept {
            for (w, d) in want.iter_mut().zip(delta.materialise()) {
                *w += f64::from(strength) * d;
            }
        }
        let merged = backend.merge(&weight, loaded.added()).unwrap();
        let got = backend.read_weight(&merged).await.unwrap();
        assert_close(&format!("{} without {gone:?}", name::<B>()), &got, &want, sum(2 * inputs));
    }
}

pub async fn rms_norm<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(14);
    for (width, first, rows) in [(1, 0, 1), (22, 1, 3), (130, 0, 2), (1000, 2, 4)] {
        let x = noise.numbers((first + rows) * width);
        let weight = noise.numbers(width);
        let buffers = [&x, &weight].map(|v| backend.upload(v).unwrap());
        let mut out = nan(backend, rows * width);
        backend.rms_norm(&buffers[0], first..first + rows, &buffers[1], width, 1e-5, &mut out);
        let want = oracle::rms_norm(&widen(&x[first * width..]), &widen(&weight), 1e-5);
        let got = read(backend, &out, rows * width).await;
        assert_close(&format!("{} rms_norm {width}", name::<B>()), &got, &want, POINTWISE);
    }
}

pub async fn rope<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(15);
    for (query, key_value, size, start, first, rows) in
        [(1, 1, 2, 0, 0, 1), (4, 2, 6, 0, 2, 5), (6, 3, 34, 7, 0, 3)]
    {
        let heads = Heads { query, key_value, size };
        let context = start + rows + 1;
        let span = Span { rows: first..first + rows, start };
        let table = noise.numbers(context * size);
        let qkv = noise.numbers((first + rows) * heads.qkv());
        let width = key_value * size;
        let mut buffer = backend.upload(&qkv).unwrap();
        let table_buffer = backend.upload(&table).unwrap();
        let mut keys = nan(backend, context * width);
        let mut values = nan(backend, context * width);
        backend.rope(&mut buffer, None, heads, &table_buffer, &span, &mut keys, &mut values);
        let of_text = first * heads.qkv();
        let want = oracle::rope(&widen(&qkv[of_text..]), heads, &widen(&table), start);
        let what = format!("{} rope {heads:?}", name::<B>());
        let (got, keys, values) = (
            read(backend, &buffer, qkv.len()).await,
            read(backend, &keys, context * width).await,
            read(backend, &values, context * width).await,
        );
        assert_eq!(got[..of_text], qkv[..of_text], "{what}: rows of another text");
        let got = &got[of_text..];
        for (t, want) in want.chunks(heads.qkv()).enumerate() {
            let [q, k] = [query * size, (query + key_value) * size];
            let row = &got[t * heads.qkv()..][..q];
            assert_close(&what, row, &want[..q], POINTWISE);
            let at = (start + t) * width;
            assert_close(&format!("{what}: keys"), &keys[at..][..width], &want[q..k], POINTWISE);
            assert_close(&format!("{what}: values"), &values[at..][..width], &want[k..], EXACT);
        }
        // Nothing else in the caches was touched.
        for cache in [keys, values] {
            assert!(cache[..start * width].iter().all(|v| v.is_nan()), "{what}");
            assert!(cache[(start + rows) * width..].iter().all(|v| v.is_nan()), "{what}");
        }
    }
}

pub async fn silu_mul<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let mut noise = Noise::new(16);
    for (width, rows) in [(1, 1), (33, 3), (320, 2)] {
        let mut gate_up = noise.numbers(2 * rows * width);
        // Where a careless exponential overflows.
        gate_up[0] = -300.0;
        gate_up[width - 1] = if width > 1 { 300.0 } else { -300.0 };
        let buffer = backend.upload(&gate_up).unwrap();
        let mut out = nan(backend, rows * width);
        backend.silu_mul(&buffer, None, rows, width, &mut out);
        let want = oracle::silu_mul(&widen(&gate_up), width);
        let got = read(backend, &out, rows * width).await;
        assert_close(&format!("{} silu_mul {width}", name::<B>()), &got, &want, POINTWISE);
    }
}

/// More workgroups than one dimension of a dispatch holds (65535 of 64).
pub async fn wide_dispatch<B: Backend>(mut backend: B) {
    let backend = &mut backend;
    let (outputs, rows) = (2101, 2000);
    let mut noise = Noise::new(17);
    let delta = Delta::new(lora(&mut noise, outputs, 1, 1), 1, 1.0, 1.0);
    let zeros = Tensor::new(vec![outputs, 1], Data::F32(vec![0.0; outputs])).unwrap();
    let weight = backend.weight(&[&zeros]).unwrap();
    let x = noise.numbers(rows);
    let buffer = backend.upload(&x).unwrap();
    let loaded = Loaded::new(backend, &[(0, &delta)], &[1.0]);
    let mut y = nan(backend, rows * outputs);
    backend.linears(&weight, None, Some(loaded.added()), &buffer, rows, &mut y).unwrap();
    backend.up(loaded.added(), rows, outputs, &mut y);
    let want: Vec<_> = widen(&x).chunks(1).flat_map(|x| delta.apply(x)).collect();
    let got = read(backend, &y, rows * outputs).await;
    assert_close(&format!("{} wide dispatch", name::<B>()), &got, &want, sum(1));
}
