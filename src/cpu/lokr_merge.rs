//! LoKr: `W[(u, v), (c, q)] += scale * w1[u, c] * w2[v, q]`.

use super::{
    Target,
    dot::add_scaled,
    factors::{Lokr, rows},
};

/// `weight` `[.., target.width]`.
pub(super) fn lokr_merge(f: &Lokr, target: Target, weight: &mut [f32]) {
    let (outer, inner) = (f.w1.rows(), f.w2_rows());
    let mut left = vec![0.0; f.width()];
    let mut right = vec![0.0; f.w2.rows()];
    for v in 0..inner {
        match &f.w2_a {
            None => right.iter_mut().enumerate().for_each(|(q, r)| *r = f.w2.row(q)[v]),
            Some(w2_a) => {
                left.iter_mut().enumerate().for_each(|(k, left)| *left = w2_a.row(k)[v]);
                rows(&f.w2).dots(&left, &mut right);
            }
        }
        for u in 0..outer {
            let row = (target.first_row + u * inner + v) * target.width;
            let blocks = weight[row..][..target.width].chunks_exact_mut(right.len());
            for (block, left) in blocks.zip(f.w1.row(u)) {
                add_scaled(block, target.scale * left, &right);
            }
        }
    }
}
