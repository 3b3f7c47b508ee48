//! LoKr: `dW = scale * (w1 kron w2)` (KronA, Edalati et al. 2022, arXiv 2212.10650; LyCORIS
//! `functional/lokr.py`; PEFT `tuners/lokr/layer.py`). Either factor may itself be low-rank.
//!
//! `dW[u * ok + p, v * in_n + q] = scale * w1[u, v] * w2[p, q]`. A row `x` is read as a matrix
//! `[im, in_n]`; the code is `S = x w2_b^T` (or `x w2^T`), and `w1` mixes its rows in `up`.

use super::{Method, dot, expect_not_empty, expect_shape, product};
use crate::{Result, tensor::Matrix};

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
    fn tensors(&self, names: [&'static str; 3]) -> Vec<(&'static str, [usize; 2])> {
        match self {
            Self::Full(w) => vec![(names[0], w.shape())],
            Self::LowRank { a, b } => vec![(names[1], a.shape()), (names[2], b.shape())],
        }
    }

    /// The largest rank it can have.
    #[must_use]
    pub fn rank_bound(&self) -> usize {
        let [rows, cols] = self.shape();
        self.low_rank().unwrap_or(rows).min(rows).min(cols)
    }

    /// The whole matrix, row-major.
    #[must_use]
    pub fn materialise(&self) -> Vec<f64> {
        match self {
            Self::Full(w) => w.data().iter().map(|&v| f64::from(v)).collect(),
            Self::LowRank { a, b } => product(a, b),
        }
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

/// `w1` `[ol, im]` and `w2` `[ok, in_n]`, with `out = ol * ok` and `in = im * in_n`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lokr {
    w1: KronFactor,
    w2: KronFactor,
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
        Ok(Self { w1, w2 })
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

    fn tensors(&self) -> Vec<(&'static str, [usize; 2])> {
        let mut tensors = self.w1.tensors(["lokr_w1", "lokr_w1_a", "lokr_w1_b"]);
        tensors.extend(self.w2.tensors(["lokr_w2", "lokr_w2_a", "lokr_w2_b"]));
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

    fn down(&self, x: &[f64]) -> Vec<f64> {
        let rows = match &self.w2 {
            KronFactor::Full(w) => w,
            KronFactor::LowRank { b, .. } => b,
        };
        let segments = x.chunks_exact(rows.cols());
        segments.flat_map(|segment| (0..rows.rows()).map(|k| dot(rows.row(k), segment))).collect()
    }

    fn up(&self, z: &[f64]) -> Vec<f64> {
        let [ol, im] = self.w1.shape();
        let w1 = self.w1.materialise();
        let width = z.len() / im;
        let mut y = Vec::with_capacity(self.shape()[0]);
        for u in 0..ol {
            let mixed: Vec<f64> = (0..width)
                .map(|k| (0..im).map(|v| w1[u * im + v] * z[v * width + k]).sum())
                .collect();
            match &self.w2 {
                KronFactor::Full(_) => y.extend(mixed),
                KronFactor::LowRank { a, .. } => {
                    y.extend((0..a.rows()).map(|p| dot(a.row(p), &mixed)));
                }
            }
        }
        y
    }

    fn materialise(&self) -> Vec<f64> {
        let ([_, im], [ok, in_n]) = (self.w1.shape(), self.w2.shape());
        let (w1, w2) = (self.w1.materialise(), self.w2.materialise());
        let [out, inputs] = self.shape();
        let mut dw = Vec::with_capacity(out * inputs);
        for i in 0..out {
            for v in 0..im {
                let left = w1[i / ok * im + v];
                dw.extend(w2[i % ok * in_n..][..in_n].iter().map(|right| left * right));
            }
        }
        dw
    }
}
