//! LoKr: `y[t, (u, v)] += scale * w2_a[v] . (w1 S[t])[u]`, or `(w1 S[t])[u, v]` for a whole `w2`.

use super::{
    Lokr, Target,
    dot::{add_scaled, dot},
};

/// `z` `[rows, im, width]`, `y` `[rows, target.width]`.
pub(super) fn lokr_up(f: &Lokr, z: &[f32], target: Target, y: &mut [f32]) {
    let (outer, inner) = (f.w1.rows(), f.w2_rows());
    let mut mixed = vec![0.0; f.width()];
    let codes = z.chunks_exact(f.w1.cols() * f.width());
    for (z, y) in codes.zip(y.chunks_exact_mut(target.width)) {
        let y = &mut y[target.first_row..][..outer * inner];
        for (u, y) in y.chunks_exact_mut(inner).enumerate() {
            mixed.fill(0.0);
            for (w, z) in f.w1.row(u).iter().zip(z.chunks_exact(f.width())) {
                add_scaled(&mut mixed, target.scale * w, z);
            }
            match &f.w2_a {
                None => add_scaled(y, 1.0, &mixed),
                Some(w2_a) => {
                    for (v, y) in y.iter_mut().enumerate() {
                        *y += dot(w2_a.row(v), &mixed);
                    }
                }
            }
        }
    }
}
