//! LoKr: `dW = scale * (w1 kron w2)` (KronA, Edalati et al. 2022, arXiv 2212.10650; LyCORIS
//! `functional/lokr.py`; PEFT `tuners/lokr/layer.py`). Either factor may itself be low-rank.
//!
//! `dW[u * ok + p, v * in_n + q] = scale * w1[u, v] * w2[p, q]`. A row `x` is read as a matrix
//! `[im, in_n]`; the code is `S = x w2_b^T` (or `x w2^T`), and `w1` mixes its rows in `up`.

use super::{Method, Tucker, dot, expect_not_empty, expect_shape, row_product};
use crate::{Error, Result, tensor::Matrix};

/// One factor of a Kronecker product.
#[derive(Debug, Clone, PartialEq)]
pub enum KronFactor {
    /// The whole matrix.
    Full(Matrix),
    /// `a b` with `a` `[rows, r]` and `b` `[r, cols]`.
    LowRank {
        /// `[rows, r]`.
        a: Matrix,
        /// `[r, cols]`.
        b: Matrix,
    },
}

impl KronFactor {
    /// `[rows, cols]` of the factor.
    #[must_use]
    pub fn shape(&self) -> [usize; 2] {
        match self {
            Self::Full(w) => w.shape(),
            Self::LowRank { a, b } => [a.rows(), b.cols()],
        }
    }

    /// `r` of a low-rank factor.
    #[must_use]
    pub fn low_rank(&self) -> Option<usize> {
        match self {
            Self::Full(_) => None,
            Self::LowRank { a, .. } => Some(a.cols()),
        }
    }

    /// The stored parts: `[name]`, or `[name_a, name_b]`.
    fn tensors(&self, names: [&'static str; 3]) -> Vec<(&'static str, Vec<usize>)> {
        match self {
            Self::Full(w) => vec![(names[0], w.shape().to_vec())],
            Self::LowRank { a, b } => {
                vec![(names[1], a.shape().to_vec()), (names[2], b.shape().to_vec())]
            }
        }
    }

    /// The largest rank it can have.
    #[must_use]
    pub fn rank_bound(&self) -> usize {
        let [rows, cols] = self.shape();
        self.low_rank().unwrap_or(rows).min(rows).min(cols)
    }

    /// Element `[i, j]` of the whole matrix.
    fn at(&self, i: usize, j: usize) -> f64 {
        match self {
            Self::Full(w) => w.at(i, j),
            Self::LowRank { a, b } => (0..a.cols()).map(|k| a.at(i, k) * b.at(k, j)).sum(),
        }
    }

    /// Writes row `i` of the whole matrix.
    fn row(&self, i: usize, row: &mut [f64]) {
        match self {
            Self::Full(w) => {
                row.iter_mut().zip(w.row(i)).for_each(|(y, &v)| *y = f64::from(v));
            }
            Self::LowRank { a, b } => row_product((0..a.cols()).map(|k| a.at(i, k)), b, row),
        }
    }

    /// The whole matrix, row-major.
    #[must_use]
    pub fn materialise(&self) -> Vec<f64> {
        let [rows, cols] = self.shape();
        let mut whole = vec![0.0; rows * cols];
        whole.chunks_exact_mut(cols).enumerate().for_each(|(i, row)| self.row(i, row));
        whole
    }

    fn check(&self, name: &str) -> Result<()> {
        match self {
            Self::Full(w) => expect_not_empty(name, w.shape()),
            Self::LowRank { a, b } => {
                expect_not_empty(&format!("{name}_a"), a.shape())?;
                expect_not_empty(&format!("{name}_b"), b.shape())?;
                expect_shape(&format!("{name}_b"), [a.cols(), b.cols()], b.shape())
            }
        }
    }
}

/// How the cells of the product lie in `dW`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KronOrder {
    /// As the formula says.
    Plain,
    /// As PEFT up to 0.21 lays a whole `w2` `[ok, in_n, kernel]` of a Conv1d: the three-dimensional
    /// product `[ok, ol * in_n, im * kernel]`, read as `[out, in, kernel]` without reordering. So
    /// output `(u, p)` of the formula stands at `(p, u)` and input `(v, q, k)` at `(q, v, k)`; ranks
    /// and spectrum stay. The weights were trained under it: it is right for PEFT folders.
    PeftConv1d {
        /// Length of the kernel.
        kernel: usize,
    },
}

/// `w1` `[ol, im]` and `w2` `[ok, in_n]`, with `out = ol * ok` and `in = im * in_n`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lokr {
    w1: KronFactor,
    w2: KronFactor,
    tucker: Option<Tucker>,
    order: KronOrder,
}

impl Lokr {
    /// From `lokr_w1` (or `lokr_w1_a`, `lokr_w1_b`) and `lokr_w2` (or `lokr_w2_a`, `lokr_w2_b`).
    /// Both low-rank factors have one rank.
    pub fn new(w1: KronFactor, w2: KronFactor) -> Result<Self> {
        w1.check("lokr_w1")?;
        w2.check("lokr_w2")?;
        if let (Some(r1), KronFactor::LowRank { a, .. }) = (w1.low_rank(), &w2) {
            expect_shape("lokr_w2_a", [a.rows(), r1], a.shape())?;
        }
        Ok(Self { w1, w2, tucker: None, order: KronOrder::Plain })
    }

    /// The Tucker form of a convolution: `lokr_t2` with `lokr_w2_b`, and `w2_a` `[ok, r]` (files
    /// store it transposed).
    pub fn tucker(w1: KronFactor, tucker: Tucker, w2_a: Matrix) -> Result<Self> {
        let w2 = KronFactor::LowRank { a: w2_a, b: tucker.flat()? };
        Ok(Self { tucker: Some(tucker), ..Self::new(w1, w2)? })
    }

    /// The same factors with their product laid out in another order.
    pub fn with_order(self, order: KronOrder) -> Result<Self> {
        if let KronOrder::PeftConv1d { kernel } = order
            && (kernel == 0 || !self.w2.shape()[1].is_multiple_of(kernel))
        {
            return Err(Error::argument("kernel", "a divisor of the columns of w2", kernel));
        }
        Ok(Self { order, ..self })
    }

    /// How the product is laid out.
    #[must_use]
    pub fn order(&self) -> KronOrder {
        self.order
    }

    /// Where row `u` of `w1` and row `p` of `w2` meet among the outputs.
    pub(crate) fn output(&self, u: usize, p: usize) -> usize {
        match self.order {
            KronOrder::Plain => u * self.w2.shape()[0] + p,
            KronOrder::PeftConv1d { .. } => p * self.w1.shape()[0] + u,
        }
    }

    /// Where column `v` of `w1` and column `q` of `w2` meet among the inputs.
    pub(crate) fn input(&self, v: usize, q: usize) -> usize {
        match self.order {
            KronOrder::Plain => v * self.w2.shape()[1] + q,
            KronOrder::PeftConv1d { kernel } => {
                (q / kernel * self.w1.shape()[1] + v) * kernel + q % kernel
            }
        }
    }

    /// The Tucker form that the second factor's `b` was made of.
    #[must_use]
    pub fn core(&self) -> Option<&Tucker> {
        self.tucker.as_ref()
    }

    /// The first factor `[ol, im]`.
    #[must_use]
    pub fn w1(&self) -> &KronFactor {
        &self.w1
    }

    /// The second factor `[ok, in_n]`.
    #[must_use]
    pub fn w2(&self) -> &KronFactor {
        &self.w2
    }

    /// The factors as the backends run them: `w1` `[ol, im]` always whole (it is small, and mixing
    /// codes by the product is cheaper than by its parts), `w2_a` `[ok, r]` where `w2` is
    /// low-rank, and `w2_b` `[r, in_n]` or the whole `w2` `[ok, in_n]`.
    pub fn running_factors(&self) -> Result<(Matrix, Option<&Matrix>, &Matrix)> {
        let [ol, im] = self.w1.shape();
        let w1 = self.w1.materialise().into_iter().map(|v| v as f32).collect();
        let w1 = Matrix::new(ol, im, w1)?;
        Ok(match &self.w2 {
            KronFactor::Full(w) => (w1, None, w),
            KronFactor::LowRank { a, b } => (w1, Some(a), b),
        })
    }
}

impl Method for Lokr {
    fn shape(&self) -> [usize; 2] {
        let ([ol, im], [ok, in_n]) = (self.w1.shape(), self.w2.shape());
        [ol * ok, im * in_n]
    }

    fn rank(&self) -> Option<usize> {
        self.w2.low_rank().or(self.w1.low_rank())
    }

    fn tensors(&self) -> Vec<(&'static str, Vec<usize>)> {
        let mut tensors = self.w1.tensors(["lokr_w1", "lokr_w1_a", "lokr_w1_b"]);
        tensors.extend(self.w2.tensors(["lokr_w2", "lokr_w2_a", "lokr_w2_b"]));
        if let (Some(tucker), Some(b)) = (&self.tucker, tensors.last_mut()) {
            b.1 = tucker.b().shape().to_vec();
            tensors.push(("lokr_t2", tucker.core_shape()));
        }
        tensors
    }

    /// `rank(w1) * rank(w2)`: a Kronecker product multiplies ranks.
    fn rank_bound(&self) -> usize {
        self.w1.rank_bound() * self.w2.rank_bound()
    }

    fn code_len(&self) -> usize {
        let [ok, _] = self.w2.shape();
        self.w1.shape()[1] * self.w2.low_rank().unwrap_or(ok)
    }

    fn work(&self) -> usize {
        let ([out, inputs], [ol, _]) = (self.shape(), self.w1.shape());
        let width = self.w2.low_rank().unwrap_or(self.w2.shape()[0]);
        let up = if self.w2.low_rank().is_some() { out * width } else { 0 };
        inputs * width + ol * self.code_len() + up
    }

    fn down(&self, x: &[f64]) -> Vec<f64> {
        let rows = match &self.w2 {
            KronFactor::Full(w) => w,
            KronFactor::LowRank { b, .. } => b,
        };
        let mut z = Vec::with_capacity(self.code_len());
        for v in 0..self.w1.shape()[1] {
            let part: Vec<f64> = (0..rows.cols()).map(|q| x[self.input(v, q)]).collect();
            z.extend((0..rows.rows()).map(|k| dot(rows.row(k), &part)));
        }
        z
    }

    fn up(&self, z: &[f64]) -> Vec<f64> {
        let [ol, im] = self.w1.shape();
        let w1 = self.w1.materialise();
        let width = z.len() / im;
        let mut y = vec![0.0; self.shape()[0]];
        for u in 0..ol {
            let mixed: Vec<f64> = (0..width)
                .map(|k| (0..im).map(|v| w1[u * im + v] * z[v * width + k]).sum())
                .collect();
            for p in 0..self.w2.shape()[0] {
                y[self.output(u, p)] = match &self.w2 {
                    KronFactor::Full(_) => mixed[p],
                    KronFactor::LowRank { a, .. } => dot(a.row(p), &mixed),
                };
            }
        }
        y
    }

    fn row(&self, i: usize, row: &mut [f64]) {
        let ([ol, im], [ok, in_n]) = (self.w1.shape(), self.w2.shape());
        let (u, p) = match self.order {
            KronOrder::Plain => (i / ok, i % ok),
            KronOrder::PeftConv1d { .. } => (i % ol, i / ol),
        };
        let mut right = vec![0.0; in_n];
        self.w2.row(p, &mut right);
        for v in 0..im {
            let left = self.w1.at(u, v);
            right.iter().enumerate().for_each(|(q, w)| row[self.input(v, q)] = left * w);
        }
    }
}
