//! The uniform structs of the shaders. Each mirrors the WGSL struct of the same name, field by
//! field; a test compares the layouts.

use bytemuck::{Pod, Zeroable};

/// A uniform struct and the offsets of its fields, for the layout test.
pub trait Params: Pod {
    /// Name of the WGSL struct.
    const NAME: &'static str;
    /// Field names with their offsets in bytes.
    const FIELDS: &'static [(&'static str, usize)];
}

macro_rules! params {
    ($(#[$doc:meta] $name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {
        $(
            #[$doc]
            #[derive(Debug, Clone, Copy, Pod, Zeroable)]
            #[repr(C)]
            #[allow(missing_docs, reason = "the fields are described in the shader")]
            pub struct $name { $(pub $field: $kind),* }

            impl Params for $name {
                const NAME: &'static str = stringify!($name);
                const FIELDS: &'static [(&'static str, usize)] =
                    &[$((stringify!($field), std::mem::offset_of!($name, $field))),*];
            }
        )*

        /// Name and fields of every uniform struct.
        pub const ALL: &[(&str, &[(&str, usize)])] = &[$(($name::NAME, $name::FIELDS)),*];
    };
}

params! {
    /// `x += y`.
    Add { len: u32 }
    /// Index of the largest number of a row.
    Argmax { rows: u32, width: u32 }
    /// Causal attention over the caches.
    Attention {
        first: u32,
        rows: u32,
        start: u32,
        window: u32,
        query: u32,
        key_value: u32,
        size: u32,
        scale: f32,
    }
    /// Something added to every token.
    Bias { first_token: u32, rows: u32, len: u32, first_row: u32, y_width: u32, scale: f32 }
    /// What the kernels of every method know of a delta.
    Delta {
        rows: u32,
        first: u32,
        inputs: u32,
        outputs: u32,
        rank: u32,
        w1_rows: u32,
        w1_cols: u32,
        w2_rows: u32,
        w2_cols: u32,
        first_row: u32,
        y_width: u32,
        scale: f32,
    }
    /// The numbers of a weight as f32.
    Dequantise { len: u32, from_at: u32, to_at: u32 }
    /// Rows of a table.
    Embed { rows: u32, width: u32, stride: u32, first_id: u32, piece: u32 }
    /// Root mean square norm of query and key heads.
    HeadNorm { rows: u32, query: u32, key_value: u32, size: u32, epsilon: f32 }
    /// Matrix product.
    Linear { rows: u32, inputs: u32, outputs: u32, stride: u32, first: u32, y_width: u32 }
    /// Root mean square norm.
    RmsNorm { first: u32, rows: u32, width: u32, epsilon: f32 }
    /// Rotary positions and the write into the caches.
    Rope { first: u32, rows: u32, start: u32, query: u32, key_value: u32, size: u32 }
    /// `silu(gate) * up`.
    SiluMul { rows: u32, width: u32 }
}
