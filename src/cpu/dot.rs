//! Inner products and sums of rows: the loops that the time of the CPU backend goes into, beside
//! quantised products. Sums are kept in several lanes, so that adds do not wait for each other, and
//! what is read once serves several sums.

use std::array::from_fn;

use crate::tensor::{F4, LANES};

/// Rows that [`Rows::dots`] takes at a time.
const AT_ONCE: usize = 4;

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
    fn row(&self, i: usize, width: usize) -> &'a [f32] {
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
        let (wide, rest) = y.as_chunks_mut::<16>();
        let (narrow, last) = rest.as_chunks_mut::<LANES>();
        let first = 16 * wide.len();
        for (i, y) in wide.iter_mut().enumerate() {
            self.add_columns(bytemuck::cast_mut::<_, [[f32; LANES]; 4]>(y), 16 * i, scale, c);
        }
        for (i, y) in narrow.iter_mut().enumerate() {
            self.add_columns(std::array::from_mut(y), first + LANES * i, scale, c);
        }
        for (i, y) in last.iter_mut().enumerate() {
            let column = first + LANES * narrow.len() + i;
            let sum: f32 =
                c.iter().enumerate().map(|(k, c)| c * self.numbers[k * self.stride + column]).sum();
            *y += scale * sum;
        }
    }

    /// The same on so many columns from one on: their sums stay in registers.
    #[inline(always)]
    fn add_columns<const N: usize>(
        self,
        y: &mut [[f32; LANES]; N],
        column: usize,
        scale: f32,
        c: &[f32],
    ) {
        let mut sums = [F4::splat(0.0); N];
        for (k, c) in c.iter().enumerate() {
            let c = F4::splat(*c);
            let row = self.row(k, column + N * LANES)[column..].as_chunks().0;
            sums = from_fn(|n| sums[n].add_product(c, F4::from_array(row[n])));
        }
        for (y, sum) in y.iter_mut().zip(sums) {
            *y = F4::from_array(*y).add_product(F4::splat(scale), sum).to_array();
        }
    }
}
