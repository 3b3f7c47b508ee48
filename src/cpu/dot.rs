//! Inner products and sums of rows. Sums are kept in several lanes, so that adds do not wait for
//! each other, and what is read once serves several sums.

use std::array::from_fn;

use crate::tensor::{F4, LANES};

/// Rows that are taken at a time.
const AT_ONCE: usize = 4;

/// `sum a[j] b[j]`.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [F4::splat(0.0); 4];
    let (a16, a_rest) = a.as_chunks::<16>();
    let (b16, b_rest) = b.as_chunks::<16>();
    for (a, b) in a16.iter().zip(b16) {
        let (a, b) = (a.as_chunks::<LANES>().0, b.as_chunks().0);
        sums = from_fn(|k| sums[k].add_product(F4::from_array(a[k]), F4::from_array(b[k])));
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    let [a, b, c, d] = sums;
    a.plus(b).plus(c.plus(d)).sum() + rest
}

/// `y += c x`.
pub(super) fn add_scaled(y: &mut [f32], c: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += c * x;
    }
}

/// Rows of numbers, each so far behind the last.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub numbers: &'a [f32],
    pub stride: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    pub fn row(&self, i: usize, width: usize) -> &'a [f32] {
        &self.numbers[i * self.stride..][..width]
    }

    /// `out[i] = row i . x`.
    pub fn dots(self, x: &[f32], out: &mut [f32]) {
        let (four, rest) = out.as_chunks_mut::<AT_ONCE>();
        let (x4, x_rest) = x.as_chunks::<LANES>();
        for (i, out) in four.iter_mut().enumerate() {
            let rows: [_; AT_ONCE] = from_fn(|k| self.row(AT_ONCE * i + k, x.len()).as_chunks());
            let rows4 = rows.map(|(whole, _)| &whole[..x4.len()]);
            let mut sums = [F4::splat(0.0); AT_ONCE];
            for (j, x) in x4.iter().enumerate() {
                let x = F4::from_array(*x);
                sums = from_fn(|k| sums[k].add_product(F4::from_array(rows4[k][j]), x));
            }
            for k in 0..AT_ONCE {
                let rest = rows[k].1.iter().zip(x_rest);
                out[k] = sums[k].sum() + rest.map(|(a, b)| a * b).sum::<f32>();
            }
        }
        for (i, out) in rest.iter_mut().enumerate() {
            *out = dot(self.row(AT_ONCE * four.len() + i, x.len()), x);
        }
    }

    /// `y += scale * sum c[i] row i`, by strips of four vectors, of one, and of a number.
    pub fn add_to(self, y: &mut [f32], scale: f32, c: &[f32]) {
        let (wide, rest) = y.as_chunks_mut::<{ 4 * LANES }>();
        for (s, y) in wide.iter_mut().enumerate() {
            self.add_columns::<4>(y, 4 * LANES * s, scale, c);
        }
        let first = 4 * LANES * wide.len();
        let (four, rest) = rest.as_chunks_mut::<LANES>();
        for (s, y) in four.iter_mut().enumerate() {
            self.add_columns::<1>(y, first + LANES * s, scale, c);
        }
        let first = first + LANES * four.len();
        for (column, y) in (first..).zip(rest) {
            let products = c.iter().enumerate().map(|(k, c)| c * self.row(k, column + 1)[column]);
            *y += scale * products.sum::<f32>();
        }
    }

    /// The same on `N` vectors from a column on: their sums stay in registers.
    #[inline(always)]
    fn add_columns<const N: usize>(self, y: &mut [f32], column: usize, scale: f32, c: &[f32]) {
        let mut sums = [F4::splat(0.0); N];
        for (k, c) in c.iter().enumerate() {
            let row = self.row(k, column + N * LANES)[column..].as_chunks().0;
            let c = F4::splat(*c);
            sums = from_fn(|n| sums[n].add_product(c, F4::from_array(row[n])));
        }
        for (y, sum) in y.as_chunks_mut().0.iter_mut().zip(sums) {
            *y = F4::from_array(*y).add_product(F4::splat(scale), sum).to_array();
        }
    }
}

/// Slices of equal length as whole vectors, and what is left of each.
pub(super) fn split<const N: usize>(slices: [&[f32]; N]) -> ([&[[f32; LANES]]; N], [&[f32]; N]) {
    let len = slices[0].len() / LANES;
    let chunks = slices.map(|slice| slice.as_chunks::<LANES>());
    (chunks.map(|(whole, _)| &whole[..len]), chunks.map(|(_, rest)| rest))
}
