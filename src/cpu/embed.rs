//! `out[t] = table[ids[t]]`.

use super::Weight;

pub(super) fn embed(table: &Weight, ids: &[u32], out: &mut [f32]) {
    for (&id, out) in ids.iter().zip(out.chunks_exact_mut(table.inputs)) {
        table.row(id as usize, out);
    }
}
