//! LoHa: `y[t, i] += scale * w1_a[i]^T Z[t] w2_a[i]`.

use super::{
    Target,
    factors::{Loha, rows},
};

/// `z` `[rows, r, r]`, `y` `[rows, target.width]`.
pub(super) fn loha_up(f: &Loha, z: &[f32], target: Target, y: &mut [f32]) {
    let (rank, outputs) = (f.w1_a.rows(), f.w1_a.cols());
    let mut right = vec![0.0; outputs];
    for (z, y) in z.chunks_exact(rank * rank).zip(y.chunks_exact_mut(target.width)) {
        let y = &mut y[target.first_row..][..outputs];
        for (a, z) in z.chunks_exact(rank).enumerate() {
            right.fill(0.0);
            rows(&f.w2_a).add_to(&mut right, target.scale, z);
            for ((y, left), right) in y.iter_mut().zip(f.w1_a.row(a)).zip(&right) {
                *y += left * right;
            }
        }
    }
}
