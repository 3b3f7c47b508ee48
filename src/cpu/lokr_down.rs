//! LoKr: `S[t] = x[t] w2_b^T` (low-rank `w2`) or `x[t] w2^T` (whole `w2`), `x[t]` read as `[im,
//! in_n]`.

use super::factors::{Lokr, rows};

/// `x` `[rows, im, in_n]`, `z` `[rows, im, width]`.
pub(super) fn lokr_down(f: &Lokr, x: &[f32], z: &mut [f32]) {
    z.fill(0.0);
    for (z, segment) in z.chunks_exact_mut(f.width()).zip(x.chunks_exact(f.w2.rows())) {
        rows(&f.w2).add_to(z, 1.0, segment);
    }
}
