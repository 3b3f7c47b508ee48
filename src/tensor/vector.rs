//! A few numbers at a time. In wasm each call is one SIMD128 instruction or a few: left to itself,
//! the compiler finds these vectors in plain loops over f32, but not where bytes are widened or
//! where several sums run side by side. Elsewhere the numbers stand side by side, and it may find
//! them.

pub(crate) use lanes::{F4, I4, I8};

/// Four f32.
pub(crate) const LANES: usize = 4;

impl F4 {
    /// The sum of all four.
    pub fn sum(self) -> f32 {
        let [a, b, c, d] = self.to_array();
        (a + b) + (c + d)
    }
}

#[cfg(target_arch = "wasm32")]
mod lanes {
    use core::arch::wasm32::{
        f32x4_add, f32x4_convert_i32x4, f32x4_mul, f32x4_splat, i16x8_extend_low_i8x16, i32x4_add,
        i32x4_dot_i16x8, i32x4_extend_high_i16x8, i32x4_extend_low_i16x8, i32x4_shl, i32x4_shr,
        i32x4_splat, i32x4_sub, i64x2, u16x8_extend_low_u8x16, u16x8_shr, u16x8_splat, u32x4_splat,
        v128, v128_and,
    };

    /// Four f32.
    #[derive(Clone, Copy)]
    pub struct F4(v128);

    /// Four i32.
    #[derive(Clone, Copy)]
    pub struct I4(v128);

    /// Eight i16.
    #[derive(Clone, Copy)]
    pub struct I8(v128);

    impl F4 {
        #[inline(always)]
        pub fn splat(v: f32) -> Self {
            Self(f32x4_splat(v))
        }

        #[inline(always)]
        pub fn from_array(v: [f32; 4]) -> Self {
            Self(bytemuck::cast(v))
        }

        #[inline(always)]
        pub fn to_array(self) -> [f32; 4] {
            bytemuck::cast(self.0)
        }

        /// The finite f16 numbers in the low and in the high halves of the words, as
        /// [`finite_f16_to_f32`](super::super::finite_f16_to_f32) has them.
        #[inline(always)]
        pub fn halves(words: [u32; 4]) -> [Self; 2] {
            let words = bytemuck::cast(words);
            // The shift repeats the sign in the bits that the smaller exponent leaves free.
            [i32x4_shl(words, 16), words].map(|high| {
                let bits = v128_and(i32x4_shr(high, 3), u32x4_splat(0x8fff_e000));
                Self(f32x4_mul(bits, f32x4_splat(f32::from_bits((112 + 127) << 23))))
            })
        }

        /// `self + b`.
        #[inline(always)]
        pub fn plus(self, b: Self) -> Self {
            Self(f32x4_add(self.0, b.0))
        }

        /// `self b`.
        #[inline(always)]
        pub fn times(self, b: Self) -> Self {
            Self(f32x4_mul(self.0, b.0))
        }

        /// `self + a b`.
        #[inline(always)]
        pub fn add_product(self, a: Self, b: Self) -> Self {
            Self(f32x4_add(self.0, f32x4_mul(a.0, b.0)))
        }
    }

    impl I4 {
        #[inline(always)]
        pub fn zero() -> Self {
            Self(i32x4_splat(0))
        }

        /// `self[i] + a[2 i] b[2 i] + a[2 i + 1] b[2 i + 1]`.
        #[inline(always)]
        pub fn add_products(self, a: I8, b: I8) -> Self {
            Self(i32x4_add(self.0, i32x4_dot_i16x8(a.0, b.0)))
        }

        /// `(self - b) / 16`, where that is whole.
        #[inline(always)]
        pub fn sixteenth_without(self, b: Self) -> Self {
            Self(i32x4_shr(i32x4_sub(self.0, b.0), 4))
        }

        #[inline(always)]
        pub fn to_f4(self) -> F4 {
            F4(f32x4_convert_i32x4(self.0))
        }
    }

    impl I8 {
        /// The same two numbers four times.
        #[inline(always)]
        pub fn pairs(pair: [i16; 2]) -> Self {
            Self(i32x4_splat(bytemuck::cast(pair)))
        }

        /// The bytes.
        #[inline(always)]
        pub fn unsigned(bytes: [u8; 8]) -> Self {
            Self(u16x8_extend_low_u8x16(i64x2(bytemuck::cast(bytes), 0)))
        }

        /// Their low four bits.
        #[inline(always)]
        pub fn low(self) -> Self {
            Self(v128_and(self.0, u16x8_splat(15)))
        }

        /// All but these.
        #[inline(always)]
        pub fn high(self) -> Self {
            Self(u16x8_shr(self.0, 4))
        }

        /// The signed bytes.
        #[inline(always)]
        pub fn signed(bytes: [i8; 8]) -> Self {
            Self(i16x8_extend_low_i8x16(i64x2(bytemuck::cast(bytes), 0)))
        }

        #[inline(always)]
        pub fn to_f4(self) -> [F4; 2] {
            [i32x4_extend_low_i16x8(self.0), i32x4_extend_high_i16x8(self.0)]
                .map(|v| F4(f32x4_convert_i32x4(v)))
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod lanes {
    use std::array::from_fn;

    use super::super::finite_f16_to_f32;

    /// Four f32.
    #[derive(Clone, Copy)]
    pub struct F4([f32; 4]);

    /// Four i32.
    #[derive(Clone, Copy)]
    pub struct I4([i32; 4]);

    /// Eight i16.
    #[derive(Clone, Copy)]
    pub struct I8([i16; 8]);

    impl F4 {
        pub fn splat(v: f32) -> Self {
            Self([v; 4])
        }

        pub fn from_array(v: [f32; 4]) -> Self {
            Self(v)
        }

        pub fn to_array(self) -> [f32; 4] {
            self.0
        }

        /// The finite f16 numbers in the low and in the high halves of the words.
        pub fn halves(words: [u32; 4]) -> [Self; 2] {
            [0, 16].map(|shift| Self(words.map(|word| finite_f16_to_f32((word >> shift) as u16))))
        }

        /// `self + b`.
        pub fn plus(self, b: Self) -> Self {
            Self(from_fn(|k| self.0[k] + b.0[k]))
        }

        /// `self b`.
        pub fn times(self, b: Self) -> Self {
            Self(from_fn(|k| self.0[k] * b.0[k]))
        }

        /// `self + a b`.
        pub fn add_product(self, a: Self, b: Self) -> Self {
            Self(from_fn(|k| self.0[k] + a.0[k] * b.0[k]))
        }
    }

    impl I4 {
        pub fn zero() -> Self {
            Self([0; 4])
        }

        /// `self[i] + a[2 i] b[2 i] + a[2 i + 1] b[2 i + 1]`.
        pub fn add_products(self, a: I8, b: I8) -> Self {
            let product = |k: usize| i32::from(a.0[k]) * i32::from(b.0[k]);
            Self(from_fn(|i| self.0[i] + (product(2 * i) + product(2 * i + 1))))
        }

        /// `(self - b) / 16`, where that is whole.
        pub fn sixteenth_without(self, b: Self) -> Self {
            Self(from_fn(|i| (self.0[i] - b.0[i]) >> 4))
        }

        pub fn to_f4(self) -> F4 {
            F4(self.0.map(|v| v as f32))
        }
    }

    impl I8 {
        /// The same two numbers four times.
        pub fn pairs([a, b]: [i16; 2]) -> Self {
            Self([a, b, a, b, a, b, a, b])
        }

        /// The bytes.
        pub fn unsigned(bytes: [u8; 8]) -> Self {
            Self(bytes.map(i16::from))
        }

        /// Their low four bits.
        pub fn low(self) -> Self {
            Self(self.0.map(|v| v & 15))
        }

        /// All but these.
        pub fn high(self) -> Self {
            Self(self.0.map(|v| v >> 4))
        }

        /// The signed bytes.
        pub fn signed(bytes: [i8; 8]) -> Self {
            Self(bytes.map(i16::from))
        }

        pub fn to_f4(self) -> [F4; 2] {
            [0, 4].map(|first| F4(from_fn(|k| f32::from(self.0[first + k]))))
        }
    }
}
