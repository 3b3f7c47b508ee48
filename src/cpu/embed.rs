//! `out[t] = table[ids[t]]`.

use super::Weight;

pub(super) fn embed(table: &Weight, ids: &[u32], out: &mut [f32]) {
    let mut scratch = vec![0.0; table.inputs];
    for (&id, out) in ids.iter().zip(out.chunks_exact_mut(table.inputs)) {
        out.copy_from_slice(table.row(id as usize, &mut scratch));
    }
}
