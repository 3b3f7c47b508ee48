//! LoKr: `y[t, (u, v)] += scale * w2_a[v] . (w1 S[t])[u]`, or `(w1 S[t])[u, v]` for a whole `w2`.

use super::{
    Target,
    dot::Rows,
    factors::{Lokr, rows},
};

/// `z` `[rows, im, width]`, `y` `[rows, target.width]`.
pub(super) fn lokr_up(f: &Lokr, z: &[f32], target: Target, y: &mut [f32]) {
    let (outer, inner, width) = (f.w1.rows(), f.w2_rows(), f.width());
    let segments = f.w1.cols();
    let mut mixed = vec![0.0; outer * width];
    for (z, y) in z.chunks_exact(segments * width).zip(y.chunks_mut(target.width)) {
        let z = Rows { numbers: z, stride: width };
        let y = &mut y[target.first_row..][..outer * inner];
        match &f.w2_a {
            None => z.add_to_each(y, [inner, inner], target.scale, rows(&f.w1), segments),
            Some(w2_a) => {
                mixed.fill(0.0);
                z.add_to_each(&mut mixed, [width, width], target.scale, rows(&f.w1), segments);
                let mixed = Rows { numbers: &mixed, stride: width };
                rows(w2_a).add_to_each(y, [inner, inner], 1.0, mixed, width);
            }
        }
    }
}
