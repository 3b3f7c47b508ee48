//! Rotary positions in the halves form: `q` is rotated in place; `k` is rotated and `v` copied into
//! the caches.

use crate::backend::Heads;

/// `qkv` `[rows, heads.qkv()]`; `table` `[context, size / 2, 2]`: cosine, sine; caches `[context,
/// key_value * size]`.
pub(super) fn rope(
    qkv: &mut [f32],
    heads: Heads,
    table: &[f32],
    start: usize,
    keys: &mut [f32],
    values: &mut [f32],
) {
    let Heads { query, key_value, size } = heads;
    let width = key_value * size;
    for (t, row) in qkv.chunks_exact_mut(heads.qkv()).enumerate() {
        let position = start + t;
        let turns = &table[position * size..][..size];
        let (rotated, v) = row.split_at_mut((query + key_value) * size);
        for head in rotated.chunks_exact_mut(size) {
            let (low, high) = head.split_at_mut(size / 2);
            for ((a, b), turn) in low.iter_mut().zip(high).zip(turns.chunks_exact(2)) {
                (*a, *b) = (*a * turn[0] - *b * turn[1], *b * turn[0] + *a * turn[1]);
            }
        }
        keys[position * width..][..width].copy_from_slice(&rotated[query * size..]);
        values[position * width..][..width].copy_from_slice(v);
    }
}
