//! LoHa: `W[i, j] += scale * (w1_a w1_b)[i, j] * (w2_a w2_b)[i, j]`.

use super::{Target, dot::add_scaled};
use crate::adapter::Loha;

/// `weight` `[.., target.width]`.
pub(super) fn loha_merge(f: &Loha, target: Target, weight: &mut [f32]) {
    let mut first = vec![0.0; f.w1_b().cols()];
    let mut second = first.clone();
    let rows = weight.chunks_exact_mut(target.width).skip(target.first_row);
    for (i, row) in rows.take(f.w1_a().rows()).enumerate() {
        first.fill(0.0);
        second.fill(0.0);
        for k in 0..f.w1_a().cols() {
            add_scaled(&mut first, target.scale * f.w1_a().row(i)[k], f.w1_b().row(k));
            add_scaled(&mut second, f.w2_a().row(i)[k], f.w2_b().row(k));
        }
        for ((w, a), b) in row.iter_mut().zip(&first).zip(&second) {
            *w += a * b;
        }
    }
}
