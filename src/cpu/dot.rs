//! Inner products: the loops that the time of the CPU backend goes into. Sums are kept in several
//! lanes, so that loops vectorise and adds do not wait for each other.

use crate::tensor::{BLOCK, Block, Q4_1, Q8_0, finite_f16_to_f32};

/// Lanes of a sum over the numbers of a block: two vectors of SIMD128.
const LANES: usize = 8;

/// `sum a[j] b[j]`.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_widened(a, b, |v| v)
}

/// `sum widen(a[j]) b[j]`.
pub(super) fn dot_widened<T: Copy>(a: &[T], b: &[f32], widen: impl Fn(T) -> f32) -> f32 {
    let mut sums = [0.0f32; 16];
    let (a16, a_rest) = a.as_chunks::<16>();
    let (b16, b_rest) = b.as_chunks::<16>();
    for (a, b) in a16.iter().zip(b16) {
        for k in 0..16 {
            sums[k] += widen(a[k]) * b[k];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| widen(*a) * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// A row of blocks times `x`. The scale of a block multiplies its sum, not its numbers.
pub(super) fn dot_q8_0(row: &[Q8_0], x: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    for (block, x) in row.iter().zip(x.as_chunks::<BLOCK>().0) {
        let mut sum = [0.0; LANES];
        for (q, x) in block.q().as_chunks::<LANES>().0.iter().zip(x.as_chunks::<LANES>().0) {
            for k in 0..LANES {
                sum[k] += f32::from(q[k]) * x[k];
            }
        }
        let d = finite_f16_to_f32(block.scales()[0]);
        for k in 0..LANES {
            sums[k] += d * sum[k];
        }
    }
    sums.iter().sum()
}

/// A row of blocks times `x`; `totals` are the sums of `x` over each block, which the minima
/// multiply.
pub(super) fn dot_q4_1(row: &[Q4_1], x: &[f32], totals: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let mut minima = 0.0;
    for ((block, x), total) in row.iter().zip(x.as_chunks::<BLOCK>().0).zip(totals) {
        let mut sum = [0.0; LANES];
        let (low, high) = x.split_at(BLOCK / 2);
        let pairs = block.q().as_chunks::<LANES>().0.iter();
        let x = low.as_chunks::<LANES>().0.iter().zip(high.as_chunks::<LANES>().0);
        for (pair, (low, high)) in pairs.zip(x) {
            for k in 0..LANES {
                sum[k] += f32::from(pair[k] & 15) * low[k];
                sum[k] += f32::from(pair[k] >> 4) * high[k];
            }
        }
        let [d, m] = block.scales().map(finite_f16_to_f32);
        for k in 0..LANES {
            sums[k] += d * sum[k];
        }
        minima += m * total;
    }
    sums.iter().sum::<f32>() + minima
}

/// `y += c x`.
pub(super) fn add_scaled(y: &mut [f32], c: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += c * x;
    }
}
