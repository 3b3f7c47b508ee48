//! LoHa: `y[t, i] += scale * w1_a[i]^T Z[t] w2_a[i]`.

use super::{Target, dot::dot};
use crate::adapter::Loha;

/// `z` `[rows, r, r]`, `y` `[rows, target.width]`.
pub(super) fn loha_up(f: &Loha, z: &[f32], target: Target, y: &mut [f32]) {
    let (outputs, rank) = (f.w1_a().rows(), f.w1_a().cols());
    for (z, y) in z.chunks_exact(rank * rank).zip(y.chunks_exact_mut(target.width)) {
        for (i, y) in y[target.first_row..][..outputs].iter_mut().enumerate() {
            let right = f.w2_a().row(i);
            let codes = z.chunks_exact(rank).zip(f.w1_a().row(i));
            *y += target.scale * codes.map(|(z, left)| left * dot(z, right)).sum::<f32>();
        }
    }
}
