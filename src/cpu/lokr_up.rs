//! LoKr: `y[t, (u, v)] += scale * w2_a[v] . (w1 S[t])[u]`, or `(w1 S[t])[u, v]` for a whole `w2`.

use super::{
    Target,
    dot::Rows,
    factors::{Lokr, rows},
    strips::Strips,
};

/// `z` `[rows, code_len]`, `y` `[rows, target.width]`.
pub(super) fn lokr_up(f: &Lokr, z: &[f32], target: Target, y: &mut [f32]) {
    let (outer, segments) = (f.w1.rows(), f.w1.cols());
    let mut mixed = vec![0.0; f.w2_a().map_or(0, |_| outer * f.width)];
    for (z, y) in z.chunks_exact(f.code_len()).zip(y.chunks_mut(target.width)) {
        let z = Strips { eights: z.as_chunks().0, rows: segments };
        let y = &mut y[target.first_row..][..outer * f.inner];
        match f.w2_a() {
            None => z.add_to(y, [f.inner; 2], target.scale, rows(&f.w1)),
            Some(w2_a) => {
                mixed.fill(0.0);
                z.add_to(&mut mixed, [f.width; 2], target.scale, rows(&f.w1));
                w2_a.add_to(y, [f.inner; 2], 1.0, Rows { numbers: &mixed, stride: f.width });
            }
        }
    }
}
