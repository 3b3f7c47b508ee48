//! Causal attention over the caches with grouped queries.

use super::dot::{add_scaled, dot};
use crate::backend::Heads;

/// `qkv` `[rows, heads.qkv()]`; `keys`, `values` `[context, key_value * size]`; `out` `[rows, query
/// * size]`. A token sees at most `window` positions.
pub(super) fn attention(
    qkv: &[f32],
    heads: Heads,
    keys: &[f32],
    values: &[f32],
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
            let column = h / (query / key_value) * size;
            let head = |cache, j: usize| -> &[f32] {
                let cache: &[f32] = cache;
                &cache[j * width + column..][..size]
            };
            scores.clear();
            scores.extend(seen.clone().map(|j| dot(q, head(keys, j)) * scale));
            let top = scores.iter().copied().fold(f32::MIN, f32::max);
            let mut total = 0.0;
            for score in &mut scores {
                *score = (*score - top).exp();
                total += *score;
            }
            let gathered = &mut out[(t * query + h) * size..][..size];
            gathered.fill(0.0);
            for (j, share) in seen.clone().zip(&scores) {
                add_scaled(gathered, share / total, head(values, j));
            }
        }
    }
}
