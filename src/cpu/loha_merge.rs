//! LoHa: `W[i, j] += scale * (w1_a w1_b)[i, j] * (w2_a w2_b)[i, j]`.

use super::{
    Target,
    factors::{Loha, rows},
};

/// `weight` `[.., target.width]`.
pub(super) fn loha_merge(f: &Loha, target: Target, weight: &mut [f32]) {
    let mut halves = [(&f.w1_a, &f.w1_b, target.scale), (&f.w2_a, &f.w2_b, 1.0)]
        .map(|(a, b, scale)| (a, b, scale, vec![0.0; a.rows()], vec![0.0; b.cols()]));
    let changed = weight.chunks_exact_mut(target.width).skip(target.first_row);
    for (i, row) in changed.take(f.w1_a.cols()).enumerate() {
        for (a, b, scale, left, product) in &mut halves {
            for (k, left) in left.iter_mut().enumerate() {
                *left = a.row(k)[i];
            }
            product.fill(0.0);
            rows(b).add_to(product, *scale, left);
        }
        for ((w, a), b) in row.iter_mut().zip(&halves[0].4).zip(&halves[1].4) {
            *w += a * b;
        }
    }
}
