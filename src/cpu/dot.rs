//! Inner products: the loops that the time of the CPU backend goes into. Sums are kept in several
//! lanes, so that loops vectorise and adds do not wait for each other.

use crate::tensor::{BLOCK, Block, F4, LANES, Q4_1, Q8_0, finite_f16_to_f32};

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
    let mut sum = F4::splat(0.0);
    for (block, x) in row.iter().zip(x.as_chunks().0) {
        let d = finite_f16_to_f32(block.scales()[0]);
        sum = sum.add_product(F4::splat(d), dot_32(block.quants(), x));
    }
    sum.sum()
}

/// A row of blocks times `x`; `totals` are the sums of `x` over each block, which the minima
/// multiply.
pub(super) fn dot_q4_1(row: &[Q4_1], x: &[f32], totals: &[f32]) -> f32 {
    let mut sum = F4::splat(0.0);
    let mut minima = 0.0;
    for ((block, x), total) in row.iter().zip(x.as_chunks().0).zip(totals) {
        let [d, m] = block.scales().map(finite_f16_to_f32);
        sum = sum.add_product(F4::splat(d), dot_32(block.quants(), x));
        minima += m * total;
    }
    sum.sum() + minima
}

/// Four partial sums of `q x`; two chains of adds, so that one need not wait for the other.
fn dot_32(q: [[F4; 4]; 2], x: &[f32; BLOCK]) -> F4 {
    let x = x.as_chunks::<LANES>().0;
    let [mut a, mut b] = [F4::splat(0.0); 2];
    for k in 0..4 {
        a = a.add_product(q[0][k], F4::from_array(x[k]));
        b = b.add_product(q[1][k], F4::from_array(x[4 + k]));
    }
    a.add_product(F4::splat(1.0), b)
}

/// `y += c x`.
pub(super) fn add_scaled(y: &mut [f32], c: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += c * x;
    }
}
