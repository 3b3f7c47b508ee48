//! LoHa: `Z[t] = w1_b diag(x[t]) w2_b^T`.

use std::array::from_fn;

use super::{
    dot::{Rows, split},
    factors::Loha,
    strips::{STRIP, Strips, transposed},
};
use crate::tensor::F4;

/// Rows of each factor whose codes are summed at the same time.
const ROWS: usize = 2;

/// Rows of `x` from which on LoHa runs as a LoRA of rank r^2, whose factors are made for it: then
/// `Z` is a plain product.
pub(super) const SEVERAL: usize = 32;

/// `x` `[rows, in]`, `z` `[rows, r, r]`.
pub(super) fn loha_down(f: &Loha, x: &[f32], z: &mut [f32]) {
    let (rank, inputs) = (f.w1_b.rows(), f.w1_b.cols());
    if x.len() >= SEVERAL * inputs {
        // Every pair of rows, multiplied, is a row of an `A` of rank r^2.
        let mut products = Vec::with_capacity(rank * rank * inputs);
        for ab in 0..rank * rank {
            let (left, right) = (f.w1_b.row(ab / rank), f.w2_b.row(ab % rank));
            products.extend(left.iter().zip(right).map(|(left, right)| left * right));
        }
        let a: Vec<[f32; STRIP]> = transposed(&products, inputs);
        z.fill(0.0);
        let x = Rows { numbers: x, stride: inputs };
        return Strips { eights: &a, rows: inputs }.add_to(z, [rank * rank; 2], 1.0, x);
    }
    for (z, x) in z.chunks_exact_mut(rank * rank).zip(x.chunks_exact(inputs)) {
        for a in (0..rank).step_by(ROWS) {
            for b in (0..rank).step_by(ROWS) {
                // The last tile may be short: it computes its last row again.
                let [lefts, rights] = [a, b].map(|i| from_fn(|k| (i + k).min(rank - 1)));
                let sums = tile(lefts.map(|a| f.w1_b.row(a)), rights.map(|b| f.w2_b.row(b)), x);
                for (a, sums) in lefts.into_iter().zip(sums) {
                    for (b, sum) in rights.into_iter().zip(sums) {
                        z[a * rank + b] = sum;
                    }
                }
            }
        }
    }
}

/// `sum left[j] x[j] right[j]` of each pair of rows.
fn tile(left: [&[f32]; ROWS], right: [&[f32]; ROWS], x: &[f32]) -> [[f32; ROWS]; ROWS] {
    let mut sums = [[F4::splat(0.0); ROWS]; ROWS];
    let (left, left_rest) = split(left);
    let (right, right_rest) = split(right);
    let ([x], [x_rest]) = split([x]);
    for (j, x) in x.iter().enumerate() {
        let x = F4::from_array(*x);
        let weighted = left.map(|row| F4::from_array(row[j]).times(x));
        let right = right.map(|row| F4::from_array(row[j]));
        sums = from_fn(|a| from_fn(|b| sums[a][b].add_product(weighted[a], right[b])));
    }
    let rest = |left: &[f32], right: &[f32]| {
        x_rest.iter().zip(left).zip(right).map(|((x, left), right)| left * x * right).sum::<f32>()
    };
    from_fn(|a| from_fn(|b| sums[a][b].sum() + rest(left_rest[a], right_rest[b])))
}
