//! LoKr: `W[(u, v), (c, q)] += scale * w1[u, c] * w2[v, q]`.

use super::{Target, dot::add_scaled, factors::Lokr};

/// `weight` `[.., target.width]`.
pub(super) fn lokr_merge(f: &Lokr, target: Target, weight: &mut [f32]) {
    let mut right = vec![0.0; f.segment];
    for v in 0..f.inner {
        for (q, right) in right.iter_mut().enumerate() {
            *right = match f.w2_a() {
                None => f.w2().get(q, v),
                Some(w2_a) => (0..f.width).map(|k| w2_a.get(k, v) * f.w2().get(q, k)).sum(),
            };
        }
        for u in 0..f.w1.rows() {
            let row = (target.first_row + u * f.inner + v) * target.width;
            let blocks = weight[row..][..target.width].chunks_exact_mut(right.len());
            for (block, left) in blocks.zip(f.w1.row(u)) {
                add_scaled(block, target.scale * left, &right);
            }
        }
    }
}
