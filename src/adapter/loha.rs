//! LoHa: `dW = scale * (w1_a w1_b) * (w2_a w2_b)`, multiplied cell by cell (FedPara, Hyeon-Woo et
//! al. 2021, arXiv 2108.06098; LyCORIS `functional/loha.py`; PEFT `tuners/loha/layer.py`).
//!
//! The code of a row is the `r x r` matrix `Z = w1_b diag(x) w2_b^T`; output `i` is the quadratic
//! form `w1_a_i^T Z w2_a_i`. So the Hadamard product runs without ever being formed.

use super::{Method, Tucker, expect_not_empty, expect_shape, row_product};
use crate::{Result, tensor::Matrix};

/// `w1_a` `[out, r]`, `w1_b` `[r, in]`, and the same for the second product.
#[derive(Debug, Clone, PartialEq)]
pub struct Loha {
    w1_a: Matrix,
    w1_b: Matrix,
    w2_a: Matrix,
    w2_b: Matrix,
    tucker: Option<[Tucker; 2]>,
}

impl Loha {
    /// From `hada_w1_a` `[out, r]`, `hada_w1_b` `[r, in]`, `hada_w2_a` `[out, r]`, `hada_w2_b`
    /// `[r, in]`.
    pub fn new(w1_a: Matrix, w1_b: Matrix, w2_a: Matrix, w2_b: Matrix) -> Result<Self> {
        let (out, inputs, rank) = (w1_a.rows(), w1_b.cols(), w1_a.cols());
        expect_not_empty("hada_w1_a", w1_a.shape())?;
        expect_not_empty("hada_w1_b", w1_b.shape())?;
        expect_shape("hada_w1_b", [rank, inputs], w1_b.shape())?;
        expect_shape("hada_w2_a", [out, rank], w2_a.shape())?;
        expect_shape("hada_w2_b", [rank, inputs], w2_b.shape())?;
        Ok(Self { w1_a, w1_b, w2_a, w2_b, tucker: None })
    }

    /// The Tucker form of a convolution: `hada_t1` with `hada_w1_b`, `hada_t2` with `hada_w2_b`,
    /// and the outer factors `[out, r]` (files store them transposed).
    pub fn tucker([first, second]: [Tucker; 2], w1_a: Matrix, w2_a: Matrix) -> Result<Self> {
        let flat = Self::new(w1_a, first.flat()?, w2_a, second.flat()?)?;
        Ok(Self { tucker: Some([first, second]), ..flat })
    }

    /// The Tucker forms that `w1_b` and `w2_b` were made of.
    #[must_use]
    pub fn cores(&self) -> Option<&[Tucker; 2]> {
        self.tucker.as_ref()
    }

    /// `hada_w1_a` `[out, r]`.
    #[must_use]
    pub fn w1_a(&self) -> &Matrix {
        &self.w1_a
    }

    /// `hada_w1_b` `[r, in]`.
    #[must_use]
    pub fn w1_b(&self) -> &Matrix {
        &self.w1_b
    }

    /// `hada_w2_a` `[out, r]`.
    #[must_use]
    pub fn w2_a(&self) -> &Matrix {
        &self.w2_a
    }

    /// `hada_w2_b` `[r, in]`.
    #[must_use]
    pub fn w2_b(&self) -> &Matrix {
        &self.w2_b
    }
}

impl Loha {
    fn r(&self) -> usize {
        self.w1_a.cols()
    }
}

impl Method for Loha {
    fn shape(&self) -> [usize; 2] {
        [self.w1_a.rows(), self.w1_b.cols()]
    }

    fn rank(&self) -> Option<usize> {
        Some(self.r())
    }

    fn tensors(&self) -> Vec<(&'static str, Vec<usize>)> {
        let (w1_a, w2_a) = (self.w1_a.shape().to_vec(), self.w2_a.shape().to_vec());
        match &self.tucker {
            None => vec![
                ("hada_w1_a", w1_a),
                ("hada_w1_b", self.w1_b.shape().to_vec()),
                ("hada_w2_a", w2_a),
                ("hada_w2_b", self.w2_b.shape().to_vec()),
            ],
            Some([first, second]) => vec![
                ("hada_t1", first.core_shape()),
                ("hada_w1_a", w1_a),
                ("hada_w1_b", first.b().shape().to_vec()),
                ("hada_t2", second.core_shape()),
                ("hada_w2_a", w2_a),
                ("hada_w2_b", second.b().shape().to_vec()),
            ],
        }
    }

    /// `r^2`, since a cell-wise product of rank-one matrices has rank one (FedPara, proposition 1).
    fn rank_bound(&self) -> usize {
        let [out, inputs] = self.shape();
        self.r().saturating_mul(self.r()).min(out).min(inputs)
    }

    fn code_len(&self) -> usize {
        self.r() * self.r()
    }

    fn work(&self) -> usize {
        let [out, inputs] = self.shape();
        self.r() * (self.r() + 1) * (out + inputs)
    }

    fn down(&self, x: &[f64]) -> Vec<f64> {
        let rank = self.r();
        let mut z = vec![0.0; rank * rank];
        for a in 0..rank {
            for b in 0..rank {
                z[a * rank + b] =
                    (0..x.len()).map(|j| self.w1_b.at(a, j) * x[j] * self.w2_b.at(b, j)).sum();
            }
        }
        z
    }

    fn up(&self, z: &[f64]) -> Vec<f64> {
        let rank = self.r();
        let output = |i: usize| -> f64 {
            (0..rank)
                .map(|a| {
                    let row: f64 = (0..rank).map(|b| z[a * rank + b] * self.w2_a.at(i, b)).sum();
                    self.w1_a.at(i, a) * row
                })
                .sum()
        };
        (0..self.w1_a.rows()).map(output).collect()
    }

    fn row(&self, i: usize, row: &mut [f64]) {
        let mut second = vec![0.0; row.len()];
        row_product((0..self.r()).map(|k| self.w1_a.at(i, k)), &self.w1_b, row);
        row_product((0..self.r()).map(|k| self.w2_a.at(i, k)), &self.w2_b, &mut second);
        for (v, w) in row.iter_mut().zip(second) {
            *v *= w;
        }
    }
}
