//! The factors of one delta as the kernels read them: where outputs are sums of rows, a factor lies
//! transposed, so that its rows are as long as the outputs are many.

use super::{
    dot::Rows,
    strips::{BF16, STRIP, Strips, strips_len, transposed},
};
use crate::{Result, adapter::Factors, tensor::Matrix};

#[derive(Debug)]
pub(super) enum CpuFactors {
    Lora(Lora),
    Loha(Loha),
    Lokr(Lokr),
}

/// A matrix by strips of eight columns.
type Eights = Vec<[f32; STRIP]>;

/// `y += B A x`. A token reads every factor of LoRA once, so that they take time as they take
/// memory.
#[derive(Debug)]
pub(super) struct Lora {
    pub factors: LoraFactors,
    pub rank: usize,
    /// `[out, in]`.
    pub shape: [usize; 2],
}

#[derive(Debug)]
pub(super) enum LoraFactors {
    F32 {
        /// `[r, in]`.
        a: Matrix,
        /// `B`, transposed: `[r, out]`, by strips.
        b: Eights,
    },
    /// Numbers of a file in BF16, as they are there.
    BF16 {
        /// `A`, transposed: `[in, r]`, by strips.
        a: Vec<BF16>,
        /// `B`, transposed: `[r, out]`, by strips.
        b: Vec<BF16>,
    },
}

#[derive(Debug)]
pub(super) struct Loha {
    /// Transposed: `[r, out]`.
    pub w1_a: Matrix,
    /// `[r, in]`.
    pub w1_b: Matrix,
    /// Transposed: `[r, out]`.
    pub w2_a: Matrix,
    /// `[r, in]`.
    pub w2_b: Matrix,
}

/// LoKr with `w1` whole: it is small, and mixing codes by its product is cheaper than by its parts.
#[derive(Debug)]
pub(super) struct Lokr {
    /// `[ol, im]`.
    pub w1: Matrix,
    /// `w2_a` where `w2` is low-rank, transposed: `[r, ok]`, by strips.
    w2_a: Option<Eights>,
    /// `w2_b`, or the whole `w2`, transposed: `[in_n, r]`, `[in_n, ok]`, by strips.
    w2: Eights,
    /// `in_n`.
    pub segment: usize,
    /// Columns of `w2`: `r` or `ok`.
    pub width: usize,
    /// `ok`.
    pub inner: usize,
}

impl CpuFactors {
    pub fn new(factors: &Factors) -> Result<Self> {
        Ok(match factors {
            Factors::Lora(f) => Self::Lora(Lora::new(f.a(), f.b())),
            Factors::Loha(f) => Self::Loha(Loha {
                w1_a: f.w1_a().transposed(),
                w1_b: f.w1_b().clone(),
                w2_a: f.w2_a().transposed(),
                w2_b: f.w2_b().clone(),
            }),
            Factors::Lokr(f) => {
                let (w1, w2_a, w2) = f.running_factors()?;
                Self::Lokr(Lokr {
                    segment: w2.cols(),
                    width: w2.rows(),
                    inner: w2_a.unwrap_or(w2).rows(),
                    w1,
                    w2_a: w2_a.map(strips),
                    w2: strips(w2),
                })
            }
        })
    }

    /// Numbers of the code of one row.
    pub fn code_len(&self) -> usize {
        match self {
            Self::Lora(f) => f.rank,
            Self::Loha(f) => f.w1_b.rows() * f.w2_b.rows(),
            Self::Lokr(f) => f.code_len(),
        }
    }

    /// The memory that they take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Lora(f) => match &f.factors {
                LoraFactors::F32 { a, b } => size_of_val(a.data()) + size_of_val(&b[..]),
                LoraFactors::BF16 { a, b } => size_of_val(&a[..]) + size_of_val(&b[..]),
            },
            Self::Loha(f) => 2 * (size_of_val(f.w1_a.data()) + size_of_val(f.w1_b.data())),
            Self::Lokr(f) => {
                let w2_a = f.w2_a.as_ref().map_or(0, |w2_a| size_of_val(&w2_a[..]));
                size_of_val(f.w1.data()) + w2_a + size_of_val(&f.w2[..])
            }
        }
    }
}

impl Lora {
    fn new(a: &Matrix, b: &Matrix) -> Self {
        let rank = a.rows();
        // Strips of a lower rank would be mostly zeros.
        let bf16 = |m: &Matrix| (rank >= STRIP).then(|| bf16(m)).flatten();
        let factors = match bf16(a).zip(bf16(b)) {
            Some((a, b)) => LoraFactors::BF16 { a, b },
            None => LoraFactors::F32 { a: a.clone(), b: strips(b) },
        };
        Self { factors, rank, shape: [b.rows(), a.cols()] }
    }
}

impl Lokr {
    pub fn w2(&self) -> Strips<'_> {
        Strips { eights: &self.w2, rows: self.segment }
    }

    pub fn w2_a(&self) -> Option<Strips<'_>> {
        self.w2_a.as_ref().map(|eights| Strips { eights, rows: self.width })
    }

    /// Numbers of the code of a row: `S` `[im, width]`, by strips.
    pub fn code_len(&self) -> usize {
        STRIP * strips_len(self.w1.cols(), self.width)
    }
}

/// A matrix, transposed, by strips.
fn strips(matrix: &Matrix) -> Eights {
    transposed(matrix.data(), matrix.cols())
}

/// The same in BF16, where that holds every number.
fn bf16(matrix: &Matrix) -> Option<Vec<BF16>> {
    let half = |v: &f32| (v.to_bits() & 0xffff == 0).then_some((v.to_bits() >> 16) as u16);
    let numbers: Option<Vec<u16>> = matrix.data().iter().map(half).collect();
    numbers.map(|numbers| transposed(&numbers, matrix.cols()))
}

/// The rows of a matrix.
pub(super) fn rows(matrix: &Matrix) -> Rows<'_> {
    Rows { numbers: matrix.data(), stride: matrix.cols() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Target, lora_down::lora_down, lora_merge::lora_merge, lora_up::lora_up};

    /// Numbers that BF16 holds, of both signs.
    fn matrix(rows: usize, cols: usize) -> Matrix {
        Matrix::from_fn(rows, cols, |i, j| ((i * 31 + j * 17) % 101) as f32 / 32.0 - 1.5)
    }

    #[test]
    fn lora_of_a_file_in_bf16_runs_as_in_f32_and_takes_half() {
        let (outputs, inputs, rank) = (21, 13, 9);
        let (a, b) = (matrix(rank, inputs), matrix(outputs, rank));
        let half = Lora::new(&a, &b);
        let wide = LoraFactors::F32 { a: a.clone(), b: strips(&b) };
        let wide = Lora { factors: wide, rank, shape: [outputs, inputs] };
        assert!(matches!(half.factors, LoraFactors::BF16 { .. }));
        for rows in [1, 2, 4, 5] {
            let x = matrix(rows, inputs);
            let run = |f: &Lora| {
                let mut z = vec![f32::NAN; rows * rank];
                lora_down(f, x.data(), &mut z);
                let target = Target { scale: 0.5, first_row: 3, width: outputs + 5 };
                let mut y = vec![1.0; rows * target.width];
                lora_up(f, &z, target, &mut y);
                (z, y)
            };
            assert_eq!(run(&half), run(&wide), "{rows} rows");
        }
        let merged = |f: &Lora| {
            let target = Target { scale: 0.5, first_row: 1, width: inputs };
            let mut weight = vec![1.0; (outputs + 2) * inputs];
            lora_merge(f, target, &mut weight);
            weight
        };
        assert_eq!(merged(&half), merged(&wide));
        let bytes = |f| CpuFactors::Lora(f).bytes();
        assert_eq!(bytes(half), 2 * (inputs * 16 + rank * 24));
        assert_eq!(bytes(wide), 4 * (inputs * rank + rank * 24));
    }

    #[test]
    fn one_number_that_bf16_rounds_keeps_all_in_f32() {
        let mut a = matrix(8, 8);
        assert!(matches!(Lora::new(&a, &a).factors, LoraFactors::BF16 { .. }));
        assert!(matches!(Lora::new(&matrix(7, 8), &matrix(8, 7)).factors, LoraFactors::F32 { .. }));
        a = Matrix::from_fn(8, 8, |i, j| if (i, j) == (7, 7) { 0.1 } else { a.data()[8 * i + j] });
        assert!(matches!(Lora::new(&a, &a).factors, LoraFactors::F32 { .. }));
    }
}
