//! `e^x` without a branch or a call, so that loops over it vectorise.

use std::f32::consts::LOG2_E;

/// `e^x` within 3e-7 of it, for `x` up to 88; smaller than `e^-87` it does not become. The polynomial is
/// that of Cephes' `expf`.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Far above, f32 has only whole numbers: the sum is rounded to them, and its lower bits are `n`.
    const WHOLE: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * LOG2_E + WHOLE;
    let n = shifted - WHOLE;
    // ln 2 in two parts: the first has few bits, and its product with `n` is exact.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + c;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    (p * (r * r) + r + 1.0) * power
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn within_three_ten_millionths() {
        for i in -87_000..=88_000 {
            let x = i as f32 / 1000.0;
            let want = f64::from(x).exp();
            assert!((f64::from(exp(x)) / want - 1.0).abs() < 3e-7, "{x}: {} {want}", exp(x));
        }
        assert!(exp(-1e30) < 1e-37 && exp(1e30) > 1e38 && exp(f32::NAN).is_nan());
    }
}
