//! The angles of rotary positions.

use std::f64::consts::TAU;

use crate::format::{ModelConfig, RopeScaling};

/// `[context, head_dim / 2, 2]`: cosine and sine of `position * frequency`.
///
/// Angles are rounded to f32 where transformers rounds them (`modeling_rope_utils.py`), so that
/// long texts agree; cosine and sine are taken in f64, since a GPU's own lose digits at large
/// angles.
pub(super) fn table(config: &ModelConfig, context: usize) -> Vec<f32> {
    let frequencies = frequencies(config);
    let mut table = Vec::with_capacity(context * config.head_dim);
    for position in 0..context {
        for frequency in &frequencies {
            let angle = f64::from(position as f32 * frequency);
            table.extend([angle.cos() as f32, angle.sin() as f32]);
        }
    }
    table
}

/// `[head_dim / 2]`: `1 / theta^(2 d / head_dim)`, scaled.
fn frequencies(config: &ModelConfig) -> Vec<f32> {
    let plain = |d: usize| {
        let exponent = 2.0 * d as f64 / config.head_dim as f64;
        f64::from((1.0 / config.rope_theta.powf(exponent)) as f32)
    };
    let scaled = |d: usize| match &config.rope_scaling {
        RopeScaling::None => plain(d),
        RopeScaling::Linear { factor } => plain(d) / factor,
        RopeScaling::Divisors(divisors) => plain(d) / f64::from(divisors[d]),
        RopeScaling::Llama3 {
            factor,
            low_freq_factor: low,
            high_freq_factor: high,
            original_max_position_embeddings: original,
        } => {
            // 0 below `low` turns in the original context, 1 above `high`, a line between them.
            let turns = *original as f64 * plain(d) / TAU;
            let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
            plain(d) * (kept + (1.0 - kept) / factor)
        }
    };
    (0..config.head_dim / 2).map(|d| scaled(d) as f32).collect()
}
