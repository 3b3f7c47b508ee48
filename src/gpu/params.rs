//! The structs that the shaders read. Each mirrors the WGSL struct of the same name, field by
//! field; a test compares the layouts.

use bytemuck::{Pod, Zeroable};

/// A struct and the offsets of its fields, for the layout test.
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

        /// Name and fields of every struct.
        pub const ALL: &[(&str, &[(&str, usize)])] = &[$(($name::NAME, $name::FIELDS)),*];
    };
}

params! {
    /// Something added to the stream, and its root mean square norm.
    AddNorm { added: [u32; 20], first: u32, rows: u32, width: u32, epsilon: f32 }
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
    /// A delta on a weight: an element of a storage buffer.
    Delta {
        method: u32,
        outputs: u32,
        rank: u32,
        w1_rows: u32,
        w1_cols: u32,
        w2_rows: u32,
        w2_cols: u32,
        first_row: u32,
        adapter: u32,
        factors: u32,
        down_len: u32,
        row_len: u32,
        left_len: u32,
        right_len: u32,
        bias: u32,
        code_len: u32,
        scale: f32,
    }
    /// Rows of a table.
    Embed { rows: u32, width: u32, stride: u32, first_id: u32, piece: u32 }
    /// Root mean square norm of query and key heads.
    HeadNorm { added: [u32; 20], rows: u32, query: u32, key_value: u32, size: u32, epsilon: f32 }
    /// Matrix product.
    Linear {
        added: [u32; 20],
        rows: u32,
        inputs: u32,
        outputs: u32,
        stride: u32,
        first: u32,
        y_width: u32,
        bias: u32,
    }
    /// The numbers of a weight with its deltas as f32.
    Merge {
        added: [u32; 20],
        len: u32,
        row_len: u32,
        from_at: u32,
        to_at: u32,
        first_row: u32,
    }
    /// Root mean square norm.
    RmsNorm { first: u32, rows: u32, width: u32, epsilon: f32 }
    /// Rotary positions and the write into the caches.
    Rope { added: [u32; 20], first: u32, rows: u32, start: u32, query: u32, key_value: u32, size: u32 }
    /// `silu(gate) * up`.
    SiluMul { added: [u32; 20], rows: u32, width: u32 }
    /// What deltas add to a product.
    Up { added: [u32; 20], rows: u32, width: u32 }
}
