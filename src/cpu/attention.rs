//! Causal attention over the caches with grouped queries.

use super::{dot::Rows, exp::exp};
use crate::backend::Heads;

/// `qkv` `[rows, heads.qkv()]`; `keys`, `values` `[context, key_value * size]`; `out` `[rows, query
/// * size]`. A token sees at most `window` positions.
pub(super) fn attention<'a>(
    qkv: &[f32],
    heads: Heads,
    keys: &'a [f32],
    values: &'a [f32],
    start: usize,
    window: Option<usize>,
    out: &mut [f32],
) {
    let Heads { query, key_value, size } = heads;
    let width = key_value * size;
    let scale = 1.0 / (size as f32).sqrt();
    let mut scores = Vec::new();
    for (t, row) in qkv.chunks_exact(heads.qkv()).enumerate() {
        let length = start + t + 1;
        let seen = window.map_or(0, |window| length.saturating_sub(window))..length;
        for h in 0..query {
            let q = &row[h * size..][..size];
            let first = seen.start * width + h / (query / key_value) * size;
            let head = |cache: &'a [f32]| Rows { numbers: &cache[first..], stride: width };
            scores.resize(seen.len(), 0.0);
            head(keys).dots(q, &mut scores);
            let top = scores.iter().copied().fold(f32::MIN, f32::max);
            for score in &mut scores {
                *score = exp((*score - top) * scale);
            }
            let total: f32 = scores.iter().sum();
            let gathered = &mut out[(t * query + h) * size..][..size];
            gathered.fill(0.0);
            head(values).add_to(gathered, 1.0 / total, &scores);
        }
    }
}
