//! Quantised numbers: blocks of 32 that share a scale, as llama.cpp stores them (ggml,
//! `ggml-quants.c`). Here a block is whole u32 words, little-endian, so that a GPU reads it as it
//! is; its first word is two f16 numbers, the scale `d` and the minimum `m`.

use bytemuck::{Pod, Zeroable};

use super::half16::f16_to_f32;

/// Numbers in a block.
pub const BLOCK: usize = 32;

/// A block of numbers `q d + m`.
pub trait Block: Pod {
    /// Bytes of a block in a file.
    const FILE_BYTES: usize;
    /// From the bytes of a block in a file: `FILE_BYTES` of them.
    fn read(bytes: &[u8]) -> Self;
    /// Appends the bytes of a block in a file.
    fn write(&self, out: &mut Vec<u8>);
    /// Bits of the f16 numbers `d` and `m`.
    fn scales(&self) -> [u16; 2];
    /// The integers `q`.
    fn quants(&self) -> [i8; BLOCK];

    /// The numbers: exact but for one rounding to f32 of each sum `q d + m`.
    fn numbers(&self) -> [f32; BLOCK] {
        let [d, m] = self.scales().map(f16_to_f32);
        self.quants().map(|q| f32::from(q) * d + m)
    }
}

/// 32 signed bytes and a scale; no minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Q8_0 {
    d: u16,
    /// Zero, which is also the bits of a minimum of zero.
    m: u16,
    q: [i8; BLOCK],
}

/// 32 numbers from 0 to 15, a scale and a minimum: byte `j` holds number `j` in its low half and
/// number `j + 16` in its high half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Q4_1 {
    d: u16,
    m: u16,
    q: [u8; BLOCK / 2],
}

fn half_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

impl Block for Q8_0 {
    const FILE_BYTES: usize = 34;

    fn read(bytes: &[u8]) -> Self {
        let mut block = Self { d: half_at(bytes, 0), ..Self::zeroed() };
        block.q.copy_from_slice(bytemuck::cast_slice(&bytes[2..34]));
        block
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.d.to_le_bytes());
        out.extend(self.q.map(|q| q as u8));
    }

    fn scales(&self) -> [u16; 2] {
        [self.d, self.m]
    }

    fn quants(&self) -> [i8; BLOCK] {
        self.q
    }
}

impl Block for Q4_1 {
    const FILE_BYTES: usize = 20;

    fn read(bytes: &[u8]) -> Self {
        let mut block = Self { d: half_at(bytes, 0), m: half_at(bytes, 2), ..Self::zeroed() };
        block.q.copy_from_slice(&bytes[4..20]);
        block
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.d.to_le_bytes());
        out.extend(self.m.to_le_bytes());
        out.extend(self.q);
    }

    fn scales(&self) -> [u16; 2] {
        [self.d, self.m]
    }

    fn quants(&self) -> [i8; BLOCK] {
        bytemuck::cast([self.q.map(|pair| pair & 15), self.q.map(|pair| pair >> 4)])
    }
}

/// Blocks from the bytes of a file; what does not fill a whole block at the end is left out.
#[must_use]
pub fn read_blocks<B: Block>(bytes: &[u8]) -> Vec<B> {
    bytes.chunks_exact(B::FILE_BYTES).map(B::read).collect()
}

/// Q4_0 blocks of a file (18 bytes: `d`, then pairs as in Q4_1, each number `(q - 8) d`) as Q4_1
/// with `m = -8 d`: the same numbers to the bit, but that a `d` beyond 8188 gives an infinite `m`.
#[must_use]
pub fn read_q4_0(bytes: &[u8]) -> Vec<Q4_1> {
    let block = |bytes: &[u8]| {
        let d = half_at(bytes, 0);
        let m = half::f16::from_f32(-8.0 * f16_to_f32(d)).to_bits();
        let mut block = Q4_1 { d, m, ..Q4_1::zeroed() };
        block.q.copy_from_slice(&bytes[2..18]);
        block
    };
    bytes.chunks_exact(18).map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f16(v: f32) -> [u8; 2] {
        half::f16::from_f32(v).to_bits().to_le_bytes()
    }

    /// Pairs with number `j` = `j` in the low half and `15 - j` in the high half.
    fn pairs() -> Vec<u8> {
        (0..16).map(|j| j | (15 - j) << 4).collect()
    }

    fn numbers<B: Block>(blocks: &[B]) -> Vec<f32> {
        blocks.iter().flat_map(Block::numbers).collect()
    }

    #[test]
    fn q8_0_as_ggml_reads_it() {
        let mut file = f16(0.5).to_vec();
        file.extend((0..32).map(|j| (j * 8 - 128) as i8 as u8));
        file.extend(f16(-3.0));
        file.extend([0x7f, 0x80].repeat(16));
        file.extend([1, 2, 3]);
        let blocks = read_blocks::<Q8_0>(&file);
        let mut want: Vec<f32> = (0..32).map(|j| (j * 8 - 128) as f32 * 0.5).collect();
        want.extend([-381.0, 384.0].repeat(16));
        assert_eq!(numbers(&blocks), want);
        let mut back = Vec::new();
        blocks.iter().for_each(|block| block.write(&mut back));
        assert_eq!(back, file[..68]);
    }

    #[test]
    fn q4_1_as_ggml_reads_it() {
        let file = [f16(0.25).as_slice(), &f16(-1.5), &pairs()].concat();
        let blocks = read_blocks::<Q4_1>(&file);
        let low = (0..16).map(|j| j as f32 * 0.25 - 1.5);
        let want: Vec<f32> = low.clone().chain(low.rev()).collect();
        assert_eq!(numbers(&blocks), want);
        let mut back = Vec::new();
        blocks[0].write(&mut back);
        assert_eq!(back, file);
    }

    #[test]
    fn q4_0_is_q4_1_to_the_bit() {
        for d in [0x2e66, 0x0001, 0x83ff, 0xefff, 0x0000] {
            let file = [u16::to_le_bytes(d).as_slice(), &pairs()].concat();
            let low = (0..16).map(|j| (j as f32 - 8.0) * f16_to_f32(d));
            let want: Vec<f32> = low.clone().chain(low.rev()).collect();
            assert_eq!(numbers(&read_q4_0(&file)), want, "{d:#x}");
        }
    }
}
