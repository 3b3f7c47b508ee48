//! LoKr: `S[t] = x[t] w2_b^T` (low-rank `w2`) or `x[t] w2^T` (whole `w2`), `x[t]` read as `[im,
//! in_n]`.

use super::{dot::Rows, factors::Lokr};

/// `x` `[rows, im, in_n]`, `z` `[rows, code_len]`: each `[im, width]` by strips.
pub(super) fn lokr_down(f: &Lokr, x: &[f32], z: &mut [f32]) {
    z.fill(0.0);
    let segments = f.w1.cols();
    for (x, z) in x.chunks_exact(segments * f.segment).zip(z.chunks_exact_mut(f.code_len())) {
        let x = Rows { numbers: x, stride: f.segment };
        f.w2().add_to_strips(z.as_chunks_mut().0, segments, 1.0, x);
    }
}
