//! A dense f32 matrix, row-major: the factors of an adapter.

use crate::{Error, Result};

/// `[rows, cols]` f32 numbers, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    data: Vec<f32>,
}

impl Matrix {
    /// A matrix of `rows * cols` numbers.
    pub fn new(rows: usize, cols: usize, data: Vec<f32>) -> Result<Self> {
        if rows.checked_mul(cols) != Some(data.len()) {
            return Err(Error::shape("matrix data", &[rows, cols], &[data.len()]));
        }
        Ok(Self { rows, cols, data })
    }

    /// A matrix of that shape without numbers: what the header of a file tells. Its elements may not
    /// be asked for.
    #[must_use]
    pub(crate) fn hollow(rows: usize, cols: usize) -> Self {
        Self { rows, cols, data: Vec::new() }
    }

    /// Whether the numbers are left out.
    pub(crate) fn is_hollow(&self) -> bool {
        self.data.is_empty() && self.rows > 0 && self.cols > 0
    }

    /// The matrix whose element `[i, j]` is `f(i, j)`.
    pub fn from_fn(rows: usize, cols: usize, mut f: impl FnMut(usize, usize) -> f32) -> Self {
        let data = (0..rows).flat_map(|i| (0..cols).map(move |j| (i, j))).map(|(i, j)| f(i, j));
        Self { rows, cols, data: data.collect() }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// `[rows, cols]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.cols]
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// All elements, row-major.
    #[must_use]
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// Row `i`.
    #[must_use]
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// The transpose, `[cols, rows]`.
    #[must_use]
    pub fn transposed(&self) -> Self {
        if self.is_hollow() {
            return Self::hollow(self.cols, self.rows);
        }
        Self::from_fn(self.cols, self.rows, |i, j| self.data[j * self.cols + i])
    }

    /// Element `[i, j]`, widened to f64: the arithmetic of the definitions is f64.
    #[must_use]
    pub fn at(&self, i: usize, j: usize) -> f64 {
        f64::from(self.data[i * self.cols + j])
    }
}
