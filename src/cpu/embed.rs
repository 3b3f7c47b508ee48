//! `out[t] = table[ids[t]]`.

use super::{Stored, Weight, packed::unpack_row};

pub(super) fn embed(table: &Weight, ids: &[u32], out: &mut [f32]) {
    let width = table.inputs;
    for (&id, out) in ids.iter().zip(out.chunks_exact_mut(width)) {
        let id = id as usize;
        match &table.stored {
            Stored::F32(eights) => table.strips(eights).column(id, out),
            Stored::F16(eights) => table.strips(eights).column(id, out),
            Stored::BF16(eights) => table.strips(eights).column(id, out),
            Stored::Q8_0(tiles) => unpack_row(tiles, id, out),
            Stored::Q4_1(tiles) => unpack_row(tiles, id, out),
        }
    }
}
