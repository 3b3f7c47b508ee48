//! Products of random numbers, for whoever wants to try or time one without files.

use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use super::Source;
use crate::{
    Error, Result,
    adapter::{Convention, Delta, Factors, KronFactor, Loha, Lokr, Lora, factorize},
    format::{gguf::GgmlType, numbers::from_le_bytes},
    tensor::{DType, Matrix, Tensor},
};

/// A delta of random factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RandomDelta {
    /// LoRA of this rank.
    Lora {
        /// `r`.
        rank: usize,
    },
    /// LoHa of this rank.
    Loha {
        /// `r`.
        rank: usize,
    },
    /// LoKr, with whole factors where PEFT makes them whole.
    Lokr {
        /// `r`.
        rank: usize,
        /// PEFT's `decompose_factor`.
        factor: i64,
    },
}

/// The most numbers of a weight: 1 GiB of them in F32.
const LARGEST: usize = 1 << 28;

impl Source {
    /// A weight `[out, in]` of this dtype, and a delta with a scale of 1, from a seed. Numbers of `W x`
    /// and `dW x` are about as large as those of `x`.
    pub fn random(
        shape: [usize; 2],
        dtype: DType,
        delta: Option<RandomDelta>,
        seed: u64,
    ) -> Result<Self> {
        let [out, inputs] = shape;
        if out.checked_mul(inputs).is_none_or(|len| len == 0 || len > LARGEST) {
            let expected = format!("two whole numbers, 1 to {LARGEST} numbers in all");
            return Err(Error::argument("shape", expected, format!("{shape:?}")));
        }
        if !inputs.is_multiple_of(dtype.block()) {
            let expected = format!("a multiple of {} columns in {}", dtype.block(), dtype.name());
            return Err(Error::argument("shape", expected, inputs));
        }
        let mut random = Random(Pcg32::seed_from_u64(seed));
        let weight = random.weight(shape, dtype)?;
        let deltas = delta.map(|delta| random.delta(shape, delta)).transpose()?;
        Ok(Self { weight, deltas: deltas.into_iter().collect() })
    }

    /// What the product gives for `x` `[rows, in]`, in f64, by the whole `W + scale * dW`: `y` `[rows,
    /// out]`, with the deltas or without.
    #[must_use]
    pub fn expected(&self, x: &[f32], with_deltas: bool) -> Vec<f64> {
        let [out, inputs] = *self.weight.shape() else { return Vec::new() };
        let mut y = vec![0.0; x.len() / inputs * out];
        let mut change = vec![0.0; inputs];
        for (i, row) in self.weight.to_f32().chunks_exact(inputs).enumerate() {
            let mut row: Vec<_> = row.iter().copied().map(f64::from).collect();
            for delta in self.deltas.iter().filter(|_| with_deltas) {
                delta.method().row(i, &mut change);
                for (w, change) in row.iter_mut().zip(&change) {
                    *w += f64::from(delta.scale) * change;
                }
            }
            for (x, y) in x.chunks_exact(inputs).zip(y.chunks_exact_mut(out)) {
                y[i] = row.iter().zip(x).map(|(w, x)| w * f64::from(*x)).sum();
            }
        }
        y
    }
}

struct Random(Pcg32);

impl Random {
    /// Uniform, with this variance.
    fn number(&mut self, variance: f64) -> f32 {
        let unit = f64::from(self.0.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0;
        (unit * (3.0 * variance).sqrt()) as f32
    }

    fn matrix(&mut self, rows: usize, cols: usize, variance: f64) -> Matrix {
        Matrix::from_fn(rows, cols, |_, _| self.number(variance))
    }

    fn weight(&mut self, shape: [usize; 2], dtype: DType) -> Result<Tensor> {
        let len = shape[0] * shape[1];
        let variance = 1.0 / shape[1] as f64;
        if dtype.block() == 1 {
            let mut tensor = Tensor::zeros(shape.to_vec(), dtype);
            for index in 0..len {
                tensor.put(index, self.number(variance).into(), "a random weight")?;
            }
            return Ok(tensor);
        }
        // Random integers, between the same two numbers in every block.
        let (numbers, bytes) = GgmlType::from(dtype).block();
        let most = (3.0 * variance).sqrt();
        let half = |v: f64| half::f16::from_f64(v).to_le_bytes();
        let head = match dtype {
            DType::Q4_1 => [half(most / 7.5), half(-most)].concat(),
            _ => half(most / 127.0).to_vec(),
        };
        let mut all = Vec::with_capacity(len / numbers as usize * bytes as usize);
        for _ in 0..len / numbers as usize {
            all.extend(&head);
            all.extend((head.len()..bytes as usize).map(|_| (self.0.next_u32() >> 24) as u8));
        }
        Tensor::new(shape.to_vec(), from_le_bytes(dtype, &all))
    }

    fn delta(&mut self, [out, inputs]: [usize; 2], delta: RandomDelta) -> Result<Delta> {
        let (RandomDelta::Lora { rank }
        | RandomDelta::Loha { rank }
        | RandomDelta::Lokr { rank, .. }) = delta;
        // More is of no use, and a slip of the hand must not ask for all memory.
        if rank == 0 || rank > out.max(inputs) {
            let expected = format!("a whole number from 1 to {}", out.max(inputs));
            return Err(Error::argument("rank", expected, rank));
        }
        // Numbers of dW get a variance of 1 / in, as those of W.
        let [r, columns] = [rank, inputs].map(|n| n as f64);
        let factors = match delta {
            RandomDelta::Lora { .. } => Factors::Lora(Lora::new(
                self.matrix(rank, inputs, 1.0 / columns),
                self.matrix(out, rank, 1.0 / r),
            )?),
            RandomDelta::Loha { .. } => {
                let mut half = || {
                    (
                        self.matrix(out, rank, 1.0 / r),
                        self.matrix(rank, inputs, columns.sqrt().recip()),
                    )
                };
                let ((w1_a, w1_b), (w2_a, w2_b)) = (half(), half());
                Factors::Loha(Loha::new(w1_a, w1_b, w2_a, w2_b)?)
            }
            RandomDelta::Lokr { factor, .. } => {
                let [(ol, ok), (im, in_n)] =
                    [out, inputs].map(|dim| factorize(dim, factor, Convention::Peft));
                let w1 = KronFactor::Full(self.matrix(ol, im, 1.0 / im as f64));
                // PEFT takes it whole from half of its longer side on.
                let w2 = if 2 * rank < ok.max(in_n) {
                    let a = self.matrix(ok, rank, 1.0 / r);
                    KronFactor::LowRank { a, b: self.matrix(rank, in_n, 1.0 / in_n as f64) }
                } else {
                    KronFactor::Full(self.matrix(ok, in_n, 1.0 / in_n as f64))
                };
                Factors::Lokr(Lokr::new(w1, w2)?)
            }
        };
        Ok(Delta::new(factors, rank, rank as f32, 1.0))
    }
}
