//! LoRA: `dW = scale * B A` (Hu et al. 2021, arXiv 2106.09685; PEFT `tuners/lora/layer.py`).

use super::{Method, Tucker, dot, expect_not_empty, expect_shape, row_product};
use crate::{Result, tensor::Matrix};

/// `A` `[r, in]` and `B` `[out, r]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lora {
    a: Matrix,
    b: Matrix,
    tucker: Option<Tucker>,
}

impl Lora {
    /// From `lora_A` `[r, in]` and `lora_B` `[out, r]`.
    pub fn new(a: Matrix, b: Matrix) -> Result<Self> {
        expect_not_empty("lora_A", a.shape())?;
        expect_not_empty("lora_B", b.shape())?;
        expect_shape("lora_B", [b.rows(), a.rows()], b.shape())?;
        Ok(Self { a, b, tucker: None })
    }

    /// LoCon's Tucker form: `lora_mid` and `lora_down` in the place of `A`, `lora_up` `[out, r]`.
    pub fn tucker(tucker: Tucker, up: Matrix) -> Result<Self> {
        Ok(Self { tucker: Some(tucker.clone()), ..Self::new(tucker.flat()?, up)? })
    }

    /// The Tucker form that `A` was made of.
    #[must_use]
    pub fn core(&self) -> Option<&Tucker> {
        self.tucker.as_ref()
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

    fn tensors(&self) -> Vec<(&'static str, Vec<usize>)> {
        let b = ("lora_B.weight", self.b.shape().to_vec());
        match &self.tucker {
            None => vec![("lora_A.weight", self.a.shape().to_vec()), b],
            Some(tucker) => vec![
                ("lora_A.weight", tucker.b().shape().to_vec()),
                ("lora_mid.weight", tucker.core_shape()),
                b,
            ],
        }
    }

    fn rank_bound(&self) -> usize {
        let [out, inputs] = self.shape();
        self.r().min(out).min(inputs)
    }

    fn code_len(&self) -> usize {
        self.r()
    }

    fn work(&self) -> usize {
        let [out, inputs] = self.shape();
        self.r() * (out + inputs)
    }

    fn down(&self, x: &[f64]) -> Vec<f64> {
        (0..self.r()).map(|k| dot(self.a.row(k), x)).collect()
    }

    fn up(&self, z: &[f64]) -> Vec<f64> {
        (0..self.b.rows()).map(|i| dot(self.b.row(i), z)).collect()
    }

    fn row(&self, i: usize, row: &mut [f64]) {
        row_product((0..self.r()).map(|k| self.b.at(i, k)), &self.a, row);
    }
}
