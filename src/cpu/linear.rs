//! `y[t] = W x[t]` for several tokens.

use std::array::from_fn;

use super::dot::split;
use crate::tensor::{Data, F4};

/// Rows of `W` and tokens whose products are summed at the same time: what is read once serves
/// several sums, and the sums stay in registers.
const ROWS: usize = 2;
const TOKENS: usize = 4;

/// `x` `[rows, in]`, `y` `[rows, out]`. A row of `W` is widened once for all tokens.
pub(super) fn linear(weight: &Data, [outputs, inputs]: [usize; 2], x: &[f32], y: &mut [f32]) {
    let last_row = outputs.saturating_sub(1);
    let last_token = (x.len() / inputs).saturating_sub(1);
    let mut widened = vec![0.0; ROWS * inputs];
    for i in (0..outputs).step_by(ROWS) {
        // The last tile may be short: it computes its last row, and its last token, again.
        let rows: [usize; ROWS] = from_fn(|r| (i + r).min(last_row));
        for (row, out) in rows.iter().zip(widened.chunks_exact_mut(inputs)) {
            weight.widen(row * inputs..(row + 1) * inputs, out);
        }
        let w = from_fn(|r| &widened[r * inputs..][..inputs]);
        for t in (0..=last_token).step_by(TOKENS) {
            let tokens: [usize; TOKENS] = from_fn(|k| (t + k).min(last_token));
            let sums = tile(w, tokens.map(|t| &x[t * inputs..][..inputs]));
            for (row, sums) in rows.iter().zip(sums) {
                for (token, sum) in tokens.iter().zip(sums) {
                    y[token * outputs + row] = sum;
                }
            }
        }
    }
}

/// The products of each of the rows `w` with each of the tokens `x`.
fn tile(w: [&[f32]; ROWS], x: [&[f32]; TOKENS]) -> [[f32; TOKENS]; ROWS] {
    let mut sums = [[F4::splat(0.0); TOKENS]; ROWS];
    let (w, w_rest) = split(w);
    let (x, x_rest) = split(x);
    for j in 0..w[0].len() {
        let w = w.map(|w| F4::from_array(w[j]));
        for t in 0..TOKENS {
            let x = F4::from_array(x[t][j]);
            for r in 0..ROWS {
                sums[r][t] = sums[r][t].add_product(w[r], x);
            }
        }
    }
    let rest = |w: &[f32], x: &[f32]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
    from_fn(|r| from_fn(|t| sums[r][t].sum() + rest(w_rest[r], x_rest[t])))
}
