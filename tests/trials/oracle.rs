//! What each kernel computes, written as plainly as possible in f64. The adapters' own oracle is
//! `lokahi::adapter`.

use lokahi::backend::Heads;

/// `y[t] = W x[t]`: `w` `[out, in]`, `x` `[rows, in]`.
pub fn linear(w: &[f64], x: &[f64], inputs: usize) -> Vec<f64> {
    let row = |x: &[f64], w: &[f64]| -> f64 { x.iter().zip(w).map(|(x, w)| x * w).sum() };
    x.chunks(inputs).flat_map(|x| w.chunks(inputs).map(move |w| row(x, w))).collect()
}

/// How far `linear` comes out where each number of `x` is rounded to a 16-bit integer times the
/// scale of its `block`: the standard deviation of each output. An error lies anywhere within half a
/// unit, so its variance is a twelfth of a unit squared.
pub fn deviations_16(w: &[f64], x: &[f64], inputs: usize, block: usize) -> Vec<f64> {
    let squared = |numbers: &[f64]| numbers.iter().map(|v| v * v).sum::<f64>();
    let unit = |x: &[f64]| x.iter().fold(0.0f64, |m, v| m.max(v.abs())) / 32767.0;
    let of_row = |x: &[f64], w: &[f64]| {
        let blocks = x.chunks(block).zip(w.chunks(block));
        blocks.map(|(x, w)| unit(x).powi(2) / 12.0 * squared(w)).sum::<f64>().sqrt()
    };
    x.chunks(inputs).flat_map(|x| w.chunks(inputs).map(move |w| of_row(x, w))).collect()
}

pub fn rms_norm(x: &[f64], weight: &[f64], epsilon: f64) -> Vec<f64> {
    let width = weight.len();
    let mut out = Vec::new();
    for x in x.chunks(width) {
        let mean = x.iter().map(|v| v * v).sum::<f64>() / width as f64;
        out.extend(x.iter().zip(weight).map(|(v, w)| v / (mean + epsilon).sqrt() * w));
    }
    out
}

/// Normed queries and keys, plain values: `weight` `[2, size]`.
pub fn head_norm(qkv: &[f64], heads: Heads, weight: &[f64], epsilon: f64) -> Vec<f64> {
    let mut out = Vec::new();
    for row in qkv.chunks(heads.qkv()) {
        let (q, rest) = row.split_at(heads.query * heads.size);
        let (k, v) = rest.split_at(heads.key_value * heads.size);
        out.extend(rms_norm(q, &weight[..heads.size], epsilon));
        out.extend(rms_norm(k, &weight[heads.size..], epsilon));
        out.extend(v);
    }
    out
}

/// Rotated queries and keys, plain values: `[rows, heads.qkv()]` in and out.
pub fn rope(qkv: &[f64], heads: Heads, table: &[f64], start: usize) -> Vec<f64> {
    let half = heads.size / 2;
    let mut out = qkv.to_vec();
    for (t, row) in out.chunks_mut(heads.qkv()).enumerate() {
        for head in 0..heads.query + heads.key_value {
            for d in 0..half {
                let (low, high) = (head * heads.size + d, head * heads.size + d + half);
                let turn = 2 * ((start + t) * half + d);
                let (cos, sin) = (table[turn], table[turn + 1]);
                let (a, b) = (row[low], row[high]);
                row[low] = a * cos - b * sin;
                row[high] = a * sin + b * cos;
            }
        }
    }
    out
}

pub fn attention(
    qkv: &[f64],
    heads: Heads,
    keys: &[f64],
    values: &[f64],
    start: usize,
    window: Option<usize>,
) -> Vec<f64> {
    let Heads { query, key_value, size } = heads;
    let mut out = Vec::new();
    for (t, row) in qkv.chunks(heads.qkv()).enumerate() {
        for h in 0..query {
            let of = |cache: &[f64], j: usize, d: usize| {
                cache[(j * key_value + h / (query / key_value)) * size + d]
            };
            let now = start + t;
            let from = window.map_or(0, |window| (now + 1).saturating_sub(window));
            let scores: Vec<f64> = (from..=now)
                .map(|j| (0..size).map(|d| row[h * size + d] * of(keys, j, d)).sum::<f64>())
                .map(|score| score / (size as f64).sqrt())
                .collect();
            let top = scores.iter().copied().fold(f64::MIN, f64::max);
            let shares: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
            let total: f64 = shares.iter().sum();
            for d in 0..size {
                let sum: f64 = (from..).zip(&shares).map(|(j, s)| s * of(values, j, d)).sum();
                out.push(sum / total);
            }
        }
    }
    out
}

pub fn silu_mul(gate_up: &[f64], width: usize) -> Vec<f64> {
    let silu = |g: f64| g / (1.0 + (-g).exp());
    let each =
        |row: &[f64]| -> Vec<f64> { (0..width).map(|i| silu(row[i]) * row[width + i]).collect() };
    gate_up.chunks(2 * width).flat_map(each).collect()
}
