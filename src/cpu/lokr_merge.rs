//! LoKr: `W[(u, v), (c, q)] += scale * w1[u, c] * w2[v, q]`.

use super::{Lokr, Target, dot::add_scaled};

/// `weight` `[.., target.width]`.
pub(super) fn lokr_merge(f: &Lokr, target: Target, weight: &mut [f32]) {
    let (outer, inner, cols) = (f.w1.rows(), f.w2_rows(), f.w2.cols());
    let mut whole = vec![0.0; cols];
    for v in 0..inner {
        let right = match &f.w2_a {
            None => f.w2.row(v),
            Some(w2_a) => {
                whole.fill(0.0);
                for (k, a) in w2_a.row(v).iter().enumerate() {
                    add_scaled(&mut whole, *a, f.w2.row(k));
                }
                &whole
            }
        };
        for u in 0..outer {
            let row = (target.first_row + u * inner + v) * target.width;
            let blocks = weight[row..][..target.width].chunks_exact_mut(cols);
            for (block, left) in blocks.zip(f.w1.row(u)) {
                add_scaled(block, target.scale * left, right);
            }
        }
    }
}
