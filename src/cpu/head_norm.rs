//! Root mean square norm of every query and key head, in place.

use super::rms_norm::inverse_rms;
use crate::backend::Heads;

/// `qkv` `[rows, heads.qkv()]`; `weight` `[2, size]`: for queries, then for keys.
pub(super) fn head_norm(qkv: &mut [f32], heads: Heads, weight: &[f32], epsilon: f32) {
    let Heads { query, key_value, size } = heads;
    let (for_query, for_key) = weight.split_at(size);
    for row in qkv.chunks_exact_mut(heads.qkv()) {
        let normed = row.chunks_exact_mut(size).take(query + key_value);
        for (h, head) in normed.enumerate() {
            let inverse = inverse_rms(head, epsilon);
            let weight = if h < query { for_query } else { for_key };
            for (x, w) in head.iter_mut().zip(weight) {
                *x *= inverse * w;
            }
        }
    }
}
