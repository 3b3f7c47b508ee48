//! LoRA: `dW = scale * B A` (Hu et al. 2021, arXiv 2106.09685; PEFT `tuners/lora/layer.py`).

use super::{Method, dot, expect_not_empty, expect_shape, product};
use crate::{Result, tensor::Matrix};

/// `A` `[r, in]` and `B` `[out, r]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lora {
    a: Matrix,
    b: Matrix,
}

impl Lora {
    /// From `lora_A` `[r, in]` and `lora_B` `[out, r]`.
    pub fn new(a: Matrix, b: Matrix) -> Result<Self> {
        expect_not_empty("lora_A", a.shape())?;
        expect_not_empty("lora_B", b.shape())?;
        expect_shape("lora_B", [b.rows(), a.rows()], b.shape())?;
        Ok(Self { a, b })
    }

    /// `lora_A` `[r, in]`.
    #[must_use]
    pub fn a(&self) -> &Matrix {
        &self.a
    }

    /// `lora_B` `[out, r]`.
    #[must_use]
    pub fn b(&self) -> &Matrix {
        &self.b
    }
}

impl Lora {
    fn r(&self) -> usize {
        self.a.rows()
    }
}

impl Method for Lora {
    fn shape(&self) -> [usize; 2] {
        [self.b.rows(), self.a.cols()]
    }

    fn rank(&self) -> Option<usize> {
        Some(self.r())
    }

    fn tensors(&self) -> Vec<(&'static str, [usize; 2])> {
        vec![("lora_A.weight", self.a.shape()), ("lora_B.weight", self.b.shape())]
    }

    fn rank_bound(&self) -> usize {
        let [out, inputs] = self.shape();
        self.r().min(out).min(inputs)
    }

    fn code_len(&self) -> usize {
        self.r()
    }

    fn down(&self, x: &[f64]) -> Vec<f64> {
        (0..self.r()).map(|k| dot(self.a.row(k), x)).collect()
    }

    fn up(&self, z: &[f64]) -> Vec<f64> {
        (0..self.b.rows()).map(|i| dot(self.b.row(i), z)).collect()
    }

    fn materialise(&self) -> Vec<f64> {
        product(&self.b, &self.a)
    }
}
