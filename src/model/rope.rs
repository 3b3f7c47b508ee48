//! The angles of rotary positions.

use crate::format::LlamaConfig;

/// `[context, head_dim / 2, 2]`: cosine and sine of `position / theta^(2 d / head_dim)`.
///
/// Angles are rounded to f32 where transformers rounds them (`modeling_rope_utils.py`), so that
/// long texts agree; cosine and sine are taken in f64, since a GPU's own lose digits at large
/// angles.
pub(super) fn table(config: &LlamaConfig, context: usize) -> Vec<f32> {
    let half = config.head_dim / 2;
    let frequency = |d: usize| -> f32 {
        let exponent = 2.0 * d as f64 / config.head_dim as f64;
        (1.0 / config.rope_theta.powf(exponent)) as f32
    };
    let frequencies: Vec<f32> = (0..half).map(frequency).collect();
    let mut table = Vec::with_capacity(context * config.head_dim);
    for position in 0..context {
        for frequency in &frequencies {
            let angle = f64::from(position as f32 * frequency);
            table.extend([angle.cos() as f32, angle.sin() as f32]);
        }
    }
    table
}
