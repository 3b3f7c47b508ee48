//! `y[t] = W x[t]`.

use super::{Weight, dot::dot};

/// `x` `[rows, in]`, `y` `[rows, out]`. A row of `W` is widened once for all tokens.
pub(super) fn linear(weight: &Weight, x: &[f32], y: &mut [f32]) {
    let mut scratch = vec![0.0; weight.inputs];
    for i in 0..weight.outputs {
        let row = weight.row(i, &mut scratch);
        for (t, x) in x.chunks_exact(weight.inputs).enumerate() {
            y[t * weight.outputs + i] = dot(row, x);
        }
    }
}
