//! `x += y`.

pub(super) fn add(x: &mut [f32], y: &[f32]) {
    super::dot::add_scaled(x, 1.0, y);
}
