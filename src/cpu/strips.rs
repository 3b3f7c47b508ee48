//! A matrix by strips of eight columns: what the innermost loop of a product reads lies in a row,
//! each sum has a place of its own in a vector, and the loop needs no checks.

use std::array::from_fn;

use super::dot::Rows;
use crate::tensor::{F4, LANES};

/// Columns of a strip.
pub(super) const STRIP: usize = 2 * LANES;

/// Rows of the left factor whose sums stay in registers.
const AT_ONCE: usize = 4;

/// Eight numbers of a row, as they are stored.
pub(super) trait Eight: Copy {
    /// One of them.
    type Number: Copy + Default;

    /// From the number of each column.
    fn pack(numbers: [Self::Number; STRIP]) -> Self;

    fn unpack(&self) -> [F4; 2];

    /// A strip in f32, into `out` where it is not: so that several rows need not
    /// unpack it again.
    fn widened<'a>(strip: &'a [Self], out: &'a mut Vec<[f32; STRIP]>) -> &'a [[f32; STRIP]] {
        out.clear();
        out.extend(strip.iter().map(Self::numbers));
        out
    }

    /// Their numbers in f32.
    fn numbers(&self) -> [f32; STRIP] {
        bytemuck::cast(self.unpack().map(F4::to_array))
    }
}

impl Eight for [f32; STRIP] {
    type Number = f32;

    fn pack(numbers: [f32; STRIP]) -> Self {
        numbers
    }

    #[inline(always)]
    fn unpack(&self) -> [F4; 2] {
        let fours = self.as_chunks::<LANES>().0;
        [F4::from_array(fours[0]), F4::from_array(fours[1])]
    }

    fn widened<'a>(strip: &'a [Self], _: &'a mut Vec<Self>) -> &'a [Self] {
        strip
    }
}

/// Finite f16 numbers: a word holds the numbers of a column and of the fourth behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct F16([u32; LANES]);

/// The same of bf16.
#[derive(Debug, Clone, Copy)]
pub(super) struct BF16([u32; LANES]);

fn words(numbers: [u16; STRIP]) -> [u32; LANES] {
    from_fn(|k| u32::from(numbers[k]) | u32::from(numbers[LANES + k]) << 16)
}

impl Eight for F16 {
    type Number = u16;

    fn pack(numbers: [u16; STRIP]) -> Self {
        Self(words(numbers))
    }

    #[inline(always)]
    fn unpack(&self) -> [F4; 2] {
        F4::halves(self.0)
    }
}

impl Eight for BF16 {
    type Number = u16;

    fn pack(numbers: [u16; STRIP]) -> Self {
        Self(words(numbers))
    }

    #[inline(always)]
    fn unpack(&self) -> [F4; 2] {
        [self.0.map(|word| word << 16), self.0.map(|word| word & 0xffff_0000)]
            .map(|words| F4::from_array(words.map(f32::from_bits)))
    }
}

/// `[cols / STRIP, rows, STRIP]`; the last strip is filled up with zeros.
#[derive(Clone, Copy)]
pub(super) struct Strips<'a, E = [f32; STRIP]> {
    pub eights: &'a [E],
    pub rows: usize,
}

/// Eights of such a matrix.
pub(super) fn strips_len(rows: usize, cols: usize) -> usize {
    rows * cols.div_ceil(STRIP)
}

/// The transpose of a matrix whose rows are so long, by strips.
// By itself, as the copies for F16 and BF16 are the same and become one.
#[inline(never)]
pub(super) fn transposed<E: Eight>(numbers: &[E::Number], width: usize) -> Vec<E> {
    let width = width.max(1);
    let mut eights = Vec::with_capacity(strips_len(width, numbers.len() / width));
    let none = vec![E::Number::default(); width];
    for rows in numbers.chunks(STRIP * width) {
        let mut rows = rows.chunks_exact(width);
        let rows: [_; STRIP] = from_fn(|_| rows.next().unwrap_or(&none));
        eights.extend((0..width).map(|j| E::pack(rows.map(|row| row[j]))));
    }
    eights
}

impl<'a, E: Eight> Strips<'a, E> {
    /// `[rows, STRIP]` each.
    pub fn each(self) -> impl Iterator<Item = &'a [E]> {
        self.eights.chunks_exact(self.rows)
    }

    /// Number `[i, j]`.
    pub fn get(self, i: usize, j: usize) -> f32 {
        self.eights[j / STRIP * self.rows + i].numbers()[j % STRIP]
    }

    /// Column `j`, into `out` `[rows]`.
    pub fn column(self, j: usize, out: &mut [f32]) {
        for (i, out) in out.iter_mut().enumerate() {
            *out = self.get(i, j);
        }
    }

    /// All columns, into `out` `[columns, rows]`.
    pub fn columns(self, out: &mut [f32]) {
        for (strip, out) in self.each().zip(out.chunks_mut(STRIP * self.rows)) {
            for (i, eight) in strip.iter().enumerate() {
                for (out, number) in out[i..].iter_mut().step_by(self.rows).zip(eight.numbers()) {
                    *out = number;
                }
            }
        }
    }
}

impl<E: Eight> Strips<'_, E> {
    /// `y[i] += scale * c[i] M`: rows of `c` are as long as the rows of this matrix are many; rows of `y`
    /// have so many columns and lie so far apart.
    // Copies of it would make the wasm larger and nothing faster.
    #[inline(never)]
    pub fn add_to(self, y: &mut [f32], [columns, stride]: [usize; 2], scale: f32, c: Rows<'_>) {
        let one = y.len() <= stride;
        let mut widened = Vec::new();
        for (strip, first) in self.each().zip((0..).step_by(STRIP)) {
            let (y, columns) = (&mut y[first..], columns - first);
            if one {
                add_sums(y, columns, scale, one_row(strip, c.row(0, strip.len())));
            } else {
                Strips::add_strip(E::widened(strip, &mut widened), y, [columns, stride], scale, c);
            }
        }
    }
}

impl Strips<'_> {
    /// [`add_rows`], once for every dtype.
    #[inline(never)]
    fn add_strip(
        strip: &[[f32; STRIP]],
        y: &mut [f32],
        shape: [usize; 2],
        scale: f32,
        c: Rows<'_>,
    ) {
        add_rows(strip, y, shape, scale, c);
    }

    /// The same, with `y` by strips of so many rows.
    pub fn add_to_strips(self, y: &mut [[f32; STRIP]], rows: usize, scale: f32, c: Rows<'_>) {
        for (strip, y) in self.each().zip(y.chunks_exact_mut(rows)) {
            add_rows(strip, y.as_flattened_mut(), [STRIP; 2], scale, c);
        }
    }
}

/// `y[i] += scale * sum c[i, k] strip[k]`: so many columns of `y`, at most a strip's, whose rows lie so
/// far apart.
#[inline(always)]
fn add_rows(
    strip: &[[f32; STRIP]],
    y: &mut [f32],
    [columns, stride]: [usize; 2],
    scale: f32,
    c: Rows<'_>,
) {
    let rows = y.len().div_ceil(stride);
    for (y, i) in y.chunks_mut(AT_ONCE * stride).zip((0..).step_by(AT_ONCE)) {
        // The last rows may be fewer than are summed: the last is summed again.
        let c = from_fn(|k| c.row((i + k).min(rows - 1), strip.len()));
        for (y, sums) in y.chunks_mut(stride).zip(several_rows(strip, c)) {
            add_sums(y, columns, scale, sums);
        }
    }
}

/// `y += scale * sums`, for so many columns.
#[inline(always)]
fn add_sums(y: &mut [f32], columns: usize, scale: f32, sums: [F4; 2]) {
    if let Some(y) = y.first_chunk_mut::<STRIP>().filter(|_| columns >= STRIP) {
        for (y, sum) in y.as_chunks_mut().0.iter_mut().zip(sums) {
            *y = F4::from_array(*y).add_product(F4::splat(scale), sum).to_array();
        }
    } else {
        let sums: [f32; STRIP] = bytemuck::cast(sums.map(F4::to_array));
        for (y, sum) in y.iter_mut().zip(sums).take(columns) {
            *y += scale * sum;
        }
    }
}

/// `sum c[k] strip[k]`. Each sum is kept in four parts, so that adds do not wait for each other.
#[inline(always)]
fn one_row<E: Eight>(strip: &[E], c: &[f32]) -> [F4; 2] {
    let mut parts = [[F4::splat(0.0); 2]; 4];
    let (strip4, strip_rest) = strip.as_chunks::<4>();
    let (c4, c_rest) = c.as_chunks::<4>();
    for (w, c) in strip4.iter().zip(c4) {
        parts = from_fn(|k| add(parts[k], c[k], w[k].unpack()));
    }
    for (w, c) in strip_rest.iter().zip(c_rest) {
        parts[0] = add(parts[0], *c, w.unpack());
    }
    let [a, b, c, d] = parts;
    from_fn(|n| a[n].plus(b[n]).plus(c[n].plus(d[n])))
}

/// `sum c[k] strip[k]` for each of so many rows.
#[inline(always)]
fn several_rows(strip: &[[f32; STRIP]], c: [&[f32]; AT_ONCE]) -> [[F4; 2]; AT_ONCE] {
    let mut sums = [[F4::splat(0.0); 2]; AT_ONCE];
    let [c0, c1, c2, c3] = c.map(|c| c.iter());
    for ((((w, c0), c1), c2), c3) in strip.iter().zip(c0).zip(c1).zip(c2).zip(c3) {
        let w = w.unpack();
        for (sums, c) in sums.iter_mut().zip([c0, c1, c2, c3]) {
            *sums = add(*sums, *c, w);
        }
    }
    sums
}

/// `sums + c w`.
#[inline(always)]
fn add(sums: [F4; 2], c: f32, w: [F4; 2]) -> [F4; 2] {
    let c = F4::splat(c);
    from_fn(|n| sums[n].add_product(c, w[n]))
}
