//! Four f32 at a time. In wasm each call is one SIMD128 instruction: left to itself, the compiler
//! finds these vectors in plain loops over f32, but not where bytes are widened or where several
//! sums run side by side. Elsewhere four numbers stand side by side, and it may find them.

pub(crate) use lanes::F4;
pub(super) use lanes::{nibbles, signed_bytes};

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
        f32x4_add, f32x4_convert_i32x4, f32x4_mul, f32x4_splat, i16x8_extend_high_i8x16,
        i16x8_extend_high_u8x16, i16x8_extend_low_i8x16, i16x8_extend_low_u8x16,
        i32x4_extend_high_i16x8, i32x4_extend_low_i16x8, u8x16_shr, u8x16_splat, v128, v128_and,
    };

    /// Four f32.
    #[derive(Clone, Copy)]
    pub struct F4(v128);

    impl F4 {
        pub fn splat(v: f32) -> Self {
            Self(f32x4_splat(v))
        }

        pub fn from_array(v: [f32; 4]) -> Self {
            Self(bytemuck::cast(v))
        }

        pub fn to_array(self) -> [f32; 4] {
            bytemuck::cast(self.0)
        }

        /// `self + a b`.
        pub fn add_product(self, a: Self, b: Self) -> Self {
            Self(f32x4_add(self.0, f32x4_mul(a.0, b.0)))
        }
    }

    /// Sixteen signed bytes.
    pub fn signed_bytes(bytes: [i8; 16]) -> [F4; 4] {
        let bytes = bytemuck::cast(bytes);
        widen(i16x8_extend_low_i8x16(bytes), i16x8_extend_high_i8x16(bytes))
    }

    /// The low and the high halves of sixteen bytes.
    pub fn nibbles(bytes: [u8; 16]) -> [[F4; 4]; 2] {
        let bytes = bytemuck::cast(bytes);
        [v128_and(bytes, u8x16_splat(15)), u8x16_shr(bytes, 4)]
            .map(|q| widen(i16x8_extend_low_u8x16(q), i16x8_extend_high_u8x16(q)))
    }

    fn widen(low: v128, high: v128) -> [F4; 4] {
        [
            i32x4_extend_low_i16x8(low),
            i32x4_extend_high_i16x8(low),
            i32x4_extend_low_i16x8(high),
            i32x4_extend_high_i16x8(high),
        ]
        .map(|q| F4(f32x4_convert_i32x4(q)))
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod lanes {
    use std::array::from_fn;

    /// Four f32.
    #[derive(Clone, Copy)]
    pub struct F4([f32; 4]);

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

        /// `self + a b`.
        pub fn add_product(self, a: Self, b: Self) -> Self {
            Self(from_fn(|k| self.0[k] + a.0[k] * b.0[k]))
        }
    }

    /// Sixteen signed bytes.
    pub fn signed_bytes(bytes: [i8; 16]) -> [F4; 4] {
        from_fn(|j| F4(from_fn(|k| f32::from(bytes[4 * j + k]))))
    }

    /// The low and the high halves of sixteen bytes.
    pub fn nibbles(bytes: [u8; 16]) -> [[F4; 4]; 2] {
        let widen = |half: [u8; 16]| from_fn(|j| F4(from_fn(|k| f32::from(half[4 * j + k]))));
        [widen(bytes.map(|b| b & 15)), widen(bytes.map(|b| b >> 4))]
    }
}
