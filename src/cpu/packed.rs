//! Quantised weights as the products read them: eight rows of `W` side by side, so that one
//! instruction serves four of them.

use std::array::from_fn;

use crate::tensor::{BLOCK, Block, F4, I4, I8};

/// Rows of `W` in a tile.
pub(super) const ROWS: usize = 8;

/// A block of each of eight rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile<P> {
    /// Scale and minimum of each row: the low and the high half of a word, f16.
    pub scales: [[u32; 4]; 2],
    /// The integers, by pair of columns.
    pub pairs: [P; BLOCK / 2],
}

/// The integers of two columns of a tile.
pub(super) trait Pair: Copy {
    /// From the integer of each row and column.
    fn pack(q: impl Fn(usize, usize) -> i8) -> Self;

    /// By half of the rows: the two numbers of a row lie together.
    fn unpack(&self) -> [I8; 2];

    /// What products multiply in their place, where that is made faster.
    #[inline(always)]
    fn factors(&self) -> [I8; 2] {
        self.unpack()
    }

    /// Sums of products with the integers, from those with [`Pair::factors`].
    #[inline(always)]
    fn sums(sums: [I4; 2]) -> [I4; 2] {
        sums
    }
}

/// Of Q4_1: the low half bytes are the first four rows, the high ones the others.
pub(super) type Nibbles = [u8; 8];

/// Of Q8_0, by half of the rows.
pub(super) type Bytes = [[i8; 8]; 2];

impl Pair for Nibbles {
    fn pack(q: impl Fn(usize, usize) -> i8) -> Self {
        from_fn(|k| (q(k / 2, k % 2) | q(4 + k / 2, k % 2) << 4) as u8)
    }

    #[inline(always)]
    fn unpack(&self) -> [I8; 2] {
        let bytes = I8::unsigned(*self);
        [bytes.low(), bytes.high()]
    }

    /// The second half is 16 times the integers, and what the first half is.
    #[inline(always)]
    fn factors(&self) -> [I8; 2] {
        let bytes = I8::unsigned(*self);
        [bytes.low(), bytes]
    }

    #[inline(always)]
    fn sums([low, all]: [I4; 2]) -> [I4; 2] {
        [low, all.sixteenth_without(low)]
    }
}

impl Pair for Bytes {
    fn pack(q: impl Fn(usize, usize) -> i8) -> Self {
        from_fn(|half| from_fn(|k| q(4 * half + k / 2, k % 2)))
    }

    #[inline(always)]
    fn unpack(&self) -> [I8; 2] {
        self.map(I8::signed)
    }
}

/// Rows of so many blocks; the last tiles are filled up with zeros.
pub(super) fn pack<B: Block, P: Pair>(blocks: &[B], width: usize) -> Vec<Tile<P>> {
    let mut tiles = Vec::with_capacity(blocks.len().div_ceil(ROWS * width) * width);
    for rows in blocks.chunks(ROWS * width) {
        for column in 0..width {
            let block = |row| rows.get(row * width + column).copied().unwrap_or(B::zeroed());
            tiles.push(Tile::new(from_fn(block)));
        }
    }
    tiles
}

impl<P: Pair> Tile<P> {
    fn new<B: Block>(blocks: [B; ROWS]) -> Self {
        let quants = blocks.map(|block| block.quants());
        let scales = blocks.map(|block| {
            let [d, m] = block.scales().map(u32::from);
            d | m << 16
        });
        Self {
            scales: from_fn(|half| from_fn(|row| scales[4 * half + row])),
            pairs: from_fn(|pair| P::pack(|row, column| quants[row][2 * pair + column])),
        }
    }

    /// The numbers of each row.
    pub fn numbers(&self) -> [[f32; BLOCK]; ROWS] {
        let mut out = [[0.0; BLOCK]; ROWS];
        for half in 0..2 {
            let [d, m] = F4::halves(self.scales[half]).map(F4::to_array);
            // Two numbers of each of two rows.
            let twice = |v: [f32; 4], two: usize| {
                let [a, b] = [v[2 * two], v[2 * two + 1]];
                F4::from_array([a, a, b, b])
            };
            for (pair, q) in self.pairs.iter().enumerate() {
                for (two, q) in q.unpack()[half].to_f4().into_iter().enumerate() {
                    let numbers = twice(m, two).add_product(q, twice(d, two)).to_array();
                    let row = 4 * half + 2 * two;
                    out[row][2 * pair..][..2].copy_from_slice(&numbers[..2]);
                    out[row + 1][2 * pair..][..2].copy_from_slice(&numbers[2..]);
                }
            }
        }
        out
    }
}

/// All numbers of a matrix of so many rows and columns, into `out` `[rows, columns]`.
pub(super) fn unpack<P: Pair>(tiles: &[Tile<P>], columns: usize, out: &mut [f32]) {
    let rows = out.chunks_mut(ROWS * columns);
    for (tiles, rows) in tiles.chunks_exact(columns / BLOCK).zip(rows) {
        for (b, tile) in tiles.iter().enumerate() {
            for (row, numbers) in rows.chunks_exact_mut(columns).zip(tile.numbers()) {
                row[b * BLOCK..][..BLOCK].copy_from_slice(&numbers);
            }
        }
    }
}

/// The numbers of row `i`, into `out` `[columns]`.
pub(super) fn unpack_row<P: Pair>(tiles: &[Tile<P>], i: usize, out: &mut [f32]) {
    let width = out.len() / BLOCK;
    let tiles = &tiles[i / ROWS * width..][..width];
    for (tile, out) in tiles.iter().zip(out.as_chunks_mut().0) {
        *out = tile.numbers()[i % ROWS];
    }
}
