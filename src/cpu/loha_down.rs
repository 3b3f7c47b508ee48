//! LoHa: `Z[t] = w1_b diag(x[t]) w2_b^T`.

use super::factors::{Loha, rows};

/// `x` `[rows, in]`, `z` `[rows, r, r]`.
pub(super) fn loha_down(f: &Loha, x: &[f32], z: &mut [f32]) {
    let (rank, inputs) = (f.w1_b.rows(), f.w1_b.cols());
    let mut weighted = vec![0.0; inputs];
    for (z, x) in z.chunks_exact_mut(rank * rank).zip(x.chunks_exact(inputs)) {
        for (a, z) in z.chunks_exact_mut(rank).enumerate() {
            for ((w, b), x) in weighted.iter_mut().zip(f.w1_b.row(a)).zip(x) {
                *w = b * x;
            }
            rows(&f.w2_b).dots(&weighted, z);
        }
    }
}
