//! LoKr: `y[t, (u, v)] += scale * w2_a[v] . (w1 S[t])[u]`, or `(w1 S[t])[u, v]` for a whole `w2`.

use super::{
    Target,
    dot::Rows,
    factors::{Lokr, rows},
};

/// `z` `[rows, im, width]`, `y` `[rows, target.width]`.
pub(super) fn lokr_up(f: &Lokr, z: &[f32], target: Target, y: &mut [f32]) {
    let (outer, inner, width) = (f.w1.rows(), f.w2_rows(), f.width());
    let mut mixed = vec![0.0; width];
    let codes = z.chunks_exact(f.w1.cols() * width);
    for (z, y) in codes.zip(y.chunks_exact_mut(target.width)) {
        let z = Rows { numbers: z, stride: width };
        let y = &mut y[target.first_row..][..outer * inner];
        for (u, y) in y.chunks_exact_mut(inner).enumerate() {
            match &f.w2_a {
                None => z.add_to(y, target.scale, f.w1.row(u)),
                Some(w2_a) => {
                    mixed.fill(0.0);
                    z.add_to(&mut mixed, target.scale, f.w1.row(u));
                    rows(w2_a).add_to(y, 1.0, &mixed);
                }
            }
        }
    }
}
