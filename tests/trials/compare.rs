//! When are numbers equal: one table for all tests.

/// Tolerance of one comparison: `absolute + relative * |wanted|`.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    pub absolute: f64,
    pub relative: f64,
}

/// No arithmetic: the very number.
pub const EXACT: Tolerance = Tolerance { absolute: 0.0, relative: 0.0 };

/// A few roundings, an exponential or a root of the GPU's precision.
pub const POINTWISE: Tolerance = Tolerance { absolute: 2e-6, relative: 2e-5 };

/// An f32 sum of `terms` products of numbers of size about one.
pub fn sum(terms: usize) -> Tolerance {
    let absolute = 4e-7 * (terms as f64).max(8.0);
    Tolerance { absolute, relative: 1e-5 }
}

/// A sum whose terms carry errors of their own, and the standard deviation that these have together:
/// no more than one sum in 500 million is six of them off.
pub fn noisy(sum: Tolerance, deviation: f64) -> Tolerance {
    Tolerance { absolute: sum.absolute + 6.0 * deviation, ..sum }
}

/// A share of the largest magnitude that is expected.
pub fn of_largest(share: f64, want: &[f64]) -> Tolerance {
    let largest = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    Tolerance { absolute: share * largest, relative: 0.0 }
}

/// The first number that is out of tolerance, in words.
pub fn difference(got: &[f32], want: &[f64], tolerance: Tolerance) -> Option<String> {
    if got.len() != want.len() {
        return Some(format!("{} numbers, expected {}", got.len(), want.len()));
    }
    got.iter().zip(want).enumerate().find_map(|(i, (&g, &w))| {
        let allowed = tolerance.absolute + tolerance.relative * w.abs();
        let off = (f64::from(g) - w).abs();
        // NaN compares false: it is close to nothing.
        let close = off <= allowed;
        (!close).then(|| format!("element {i}: got {g}, expected {w}, allowed {allowed:e}"))
    })
}

/// Panics with the place and the first difference.
#[track_caller]
pub fn assert_close(what: &str, got: &[f32], want: &[f64], tolerance: Tolerance) {
    if let Some(difference) = difference(got, want, tolerance) {
        panic!("{what}: {difference}");
    }
}

pub fn widen(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&v| f64::from(v)).collect()
}
