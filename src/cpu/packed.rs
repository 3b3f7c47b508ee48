//! Quantised weights as the products read them: eight rows of `W` side by side, so that one
//! instruction serves four of them.

use std::array::from_fn;

use crate::tensor::{BLOCK, Block, F4, I8};

/// Rows of `W` in a tile.
pub(super) const ROWS: usize = 8;

/// Columns of a [`Group`].
pub(super) const COLUMNS: usize = 4;

/// A block of each of eight rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile<G> {
    /// Scale and minimum of each row: the low and the high half of a word, f16.
    pub scales: [[u32; 4]; 2],
    /// The integers.
    pub groups: [G; BLOCK / COLUMNS],
}

/// The integers of four columns of a tile.
pub(super) trait Group: Copy {
    /// From the integer of each row and column.
    fn pack(q: impl Fn(usize, usize) -> i8) -> Self;

    /// By pair of columns, then by half of the rows: the two numbers of a row lie together.
    fn unpack(&self) -> [[I8; 2]; 2];
}

/// Of Q4_1: a word holds the halves of the rows of the first pair, then of the second.
pub(super) type Nibbles = [u16; 8];

/// Of Q8_0, by pair of columns: a word holds the halves of the rows.
pub(super) type Bytes = [[u16; 8]; 2];

impl Group for Nibbles {
    fn pack(q: impl Fn(usize, usize) -> i8) -> Self {
        from_fn(|k| {
            let nibble = |n: usize| u16::from(q(k / 2 + n % 2 * 4, k % 2 + n / 2 * 2) as u8 & 15);
            (0..4).fold(0, |word, n| word | nibble(n) << (4 * n))
        })
    }

    #[inline(always)]
    fn unpack(&self) -> [[I8; 2]; 2] {
        let [a, b, c, d] = I8::nibbles(*self);
        [[a, b], [c, d]]
    }
}

impl Group for Bytes {
    fn pack(q: impl Fn(usize, usize) -> i8) -> Self {
        let byte = |row, column| q(row, column) as u8;
        from_fn(|pair| {
            from_fn(|k| {
                let (row, column) = (k / 2, k % 2 + 2 * pair);
                u16::from_le_bytes([byte(row, column), byte(row + 4, column)])
            })
        })
    }

    #[inline(always)]
    fn unpack(&self) -> [[I8; 2]; 2] {
        self.map(I8::bytes)
    }
}

/// Rows of so many blocks; the last tiles are filled up with zeros.
pub(super) fn pack<B: Block, G: Group>(blocks: &[B], width: usize) -> Vec<Tile<G>> {
    let mut tiles = Vec::with_capacity(blocks.len().div_ceil(ROWS * width) * width);
    for rows in blocks.chunks(ROWS * width) {
        for column in 0..width {
            let block = |row| rows.get(row * width + column).copied().unwrap_or(B::zeroed());
            tiles.push(Tile::new(from_fn(block)));
        }
    }
    tiles
}

impl<G: Group> Tile<G> {
    fn new<B: Block>(blocks: [B; ROWS]) -> Self {
        let quants = blocks.map(|block| block.quants());
        let scales = blocks.map(|block| {
            let [d, m] = block.scales().map(u32::from);
            d | m << 16
        });
        Self {
            scales: from_fn(|half| from_fn(|row| scales[4 * half + row])),
            groups: from_fn(|g| G::pack(|row, column| quants[row][COLUMNS * g + column])),
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
            for (g, group) in self.groups.iter().enumerate() {
                for (pair, q) in group.unpack().iter().enumerate() {
                    for (two, q) in q[half].to_f4().into_iter().enumerate() {
                        let numbers = twice(m, two).add_product(q, twice(d, two)).to_array();
                        let row = 4 * half + 2 * two;
                        let column = COLUMNS * g + 2 * pair;
                        out[row][column..][..2].copy_from_slice(&numbers[..2]);
                        out[row + 1][column..][..2].copy_from_slice(&numbers[2..]);
                    }
                }
            }
        }
        out
    }
}

/// All numbers of a matrix of so many rows and columns, into `out` `[rows, columns]`.
pub(super) fn unpack<G: Group>(tiles: &[Tile<G>], columns: usize, out: &mut [f32]) {
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
pub(super) fn unpack_row<G: Group>(tiles: &[Tile<G>], i: usize, out: &mut [f32]) {
    let width = out.len() / BLOCK;
    let tiles = &tiles[i / ROWS * width..][..width];
    for (tile, out) in tiles.iter().zip(out.as_chunks_mut().0) {
        *out = tile.numbers()[i % ROWS];
    }
}
