//! Inner products and sums of rows: the loops that the time of the CPU backend goes into, beside
//! quantised products. Sums are kept in several lanes, so that adds do not wait for each other, and
//! what is read once serves several sums.

use std::array::from_fn;

use crate::tensor::{F4, LANES};

/// Rows that are taken at a time.
pub(super) const AT_ONCE: usize = 4;

/// `sum a[j] b[j]`.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_widened(a, b, |v| v)
}

/// `sum widen(a[j]) b[j]`.
#[inline(always)]
pub(super) fn dot_widened<T: Copy>(a: &[T], b: &[f32], widen: impl Fn(T) -> f32) -> f32 {
    let mut sums = [F4::splat(0.0); 4];
    let (a16, a_rest) = a.as_chunks::<16>();
    let (b16, b_rest) = b.as_chunks::<16>();
    for (a, b) in a16.iter().zip(b16) {
        let (a, b) = (a.as_chunks::<LANES>().0, b.as_chunks().0);
        sums = from_fn(|k| {
            sums[k].add_product(F4::from_array(a[k].map(&widen)), F4::from_array(b[k]))
        });
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| widen(*a) * b).sum();
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

    /// `y += scale * sum c[i] row i`.
    pub fn add_to(self, y: &mut [f32], scale: f32, c: &[f32]) {
        self.add_strips::<1, 4>(y, [y.len(), y.len()], scale, [c]);
    }

    /// The same for each row of `y`, which has so many columns and lies so far behind the last,
    /// and a row of `c` for each: what is read of these rows serves several of `y`.
    pub fn add_to_each(
        self,
        y: &mut [f32],
        [columns, stride]: [usize; 2],
        scale: f32,
        c: Rows<'_>,
        len: usize,
    ) {
        for (i, y) in y.chunks_mut(AT_ONCE * stride).enumerate() {
            let row = |k| c.row(AT_ONCE * i + k, len);
            if y.len() > (AT_ONCE - 1) * stride {
                self.add_strips::<AT_ONCE, 2>(y, [columns, stride], scale, from_fn(row));
            } else {
                for (k, y) in y.chunks_mut(stride).enumerate() {
                    self.add_to(&mut y[..columns], scale, row(k));
                }
            }
        }
    }

    /// [`Self::add_to`] for so many rows of `y`, by strips of `N` vectors, of one, and of a number.
    #[inline(always)]
    fn add_strips<const R: usize, const N: usize>(
        self,
        y: &mut [f32],
        [columns, stride]: [usize; 2],
        scale: f32,
        c: [&[f32]; R],
    ) {
        let mut column = 0;
        while column + N * LANES <= columns {
            self.add_columns::<R, N>(y, stride, column, scale, c);
            column += N * LANES;
        }
        while column + LANES <= columns {
            self.add_columns::<R, 1>(y, stride, column, scale, c);
            column += LANES;
        }
        for column in column..columns {
            for (r, c) in c.iter().enumerate() {
                let products =
                    c.iter().enumerate().map(|(k, c)| c * self.numbers[k * self.stride + column]);
                y[r * stride + column] += scale * products.sum::<f32>();
            }
        }
    }

    /// The same on `N` vectors from a column on: their sums stay in registers.
    #[inline(always)]
    fn add_columns<const R: usize, const N: usize>(
        self,
        y: &mut [f32],
        stride: usize,
        column: usize,
        scale: f32,
        c: [&[f32]; R],
    ) {
        let mut sums = [[F4::splat(0.0); N]; R];
        for k in 0..c[0].len() {
            let row = self.row(k, column + N * LANES)[column..].as_chunks().0;
            let row: [F4; N] = from_fn(|n| F4::from_array(row[n]));
            for r in 0..R {
                let c = F4::splat(c[r][k]);
                sums[r] = from_fn(|n| sums[r][n].add_product(c, row[n]));
            }
        }
        for (r, sums) in sums.into_iter().enumerate() {
            let y = y[r * stride + column..].as_chunks_mut().0;
            for (y, sum) in y.iter_mut().zip(sums) {
                *y = F4::from_array(*y).add_product(F4::splat(scale), sum).to_array();
            }
        }
    }
}

/// Slices of equal length as whole vectors, and what is left of each.
pub(super) fn split<const N: usize>(slices: [&[f32]; N]) -> ([&[[f32; LANES]]; N], [&[f32]; N]) {
    let len = slices[0].len() / LANES;
    let chunks = slices.map(|slice| slice.as_chunks::<LANES>());
    (chunks.map(|(whole, _)| &whole[..len]), chunks.map(|(_, rest)| rest))
}
