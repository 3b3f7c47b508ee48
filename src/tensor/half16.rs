//! 16-bit floats to f32.

/// The value of one IEEE binary16 number. Exact; keeps infinities and NaN.
#[must_use]
pub fn f16_to_f32(bits: u16) -> f32 {
    half::f16::from_bits(bits).to_f32()
}

/// The value of one bfloat16 number. Exact.
#[must_use]
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The value of one finite binary16 number. Exact for normal and subnormal numbers; infinities and
/// NaN must have been refused before (see [`super::Tensor::check_finite`]).
///
/// The exponent is rebased by a multiplication, so that loops have no branch and vectorise.
#[must_use]
pub fn finite_f16_to_f32(bits: u16) -> f32 {
    // 2^112: the difference of the two exponent biases (127 - 15).
    let rebase = f32::from_bits((112 + 127) << 23);
    let h = u32::from(bits);
    let magnitude = f32::from_bits((h & 0x7fff) << 13) * rebase;
    f32::from_bits(magnitude.to_bits() | (h & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widening_is_exact_for_every_finite_number() {
        let all = (0..=u16::MAX).filter(|h| h & 0x7c00 != 0x7c00);
        for h in all {
            assert_eq!(finite_f16_to_f32(h).to_bits(), f16_to_f32(h).to_bits(), "{h:#06x}");
        }
        let all = (0..=u16::MAX).filter(|h| h & 0x7f80 != 0x7f80);
        for h in all {
            let want = half::bf16::from_bits(h).to_f32();
            assert_eq!(bf16_to_f32(h).to_bits(), want.to_bits(), "{h:#06x}");
        }
    }
}
