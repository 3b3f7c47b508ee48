//! LoKr: `S[t] = x[t] w2_b^T` (low-rank `w2`) or `x[t] w2^T` (whole `w2`), `x[t]` read as `[im,
//! in_n]`.

use super::{
    dot::Rows,
    factors::{Lokr, rows},
};

/// `x` `[rows, im, in_n]`, `z` `[rows, im, width]`.
pub(super) fn lokr_down(f: &Lokr, x: &[f32], z: &mut [f32]) {
    z.fill(0.0);
    let (segment, width) = (f.w2.rows(), f.width());
    let x = Rows { numbers: x, stride: segment };
    rows(&f.w2).add_to_each(z, [width, width], 1.0, x, segment);
}
