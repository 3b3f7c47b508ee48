//! Inner products: the loops that the time of the CPU backend goes into. Sums are kept in several
//! lanes, so that loops vectorise and adds do not wait for each other.

/// `sum a[j] b[j]`.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_widened(a, b, |v| v)
}

/// `sum widen(a[j]) b[j]`.
pub(super) fn dot_widened<T: Copy>(a: &[T], b: &[f32], widen: impl Fn(T) -> f32) -> f32 {
    let mut sums = [0.0f32; 16];
    let (a16, a_rest) = a.as_chunks::<16>();
    let (b16, b_rest) = b.as_chunks::<16>();
    for (a, b) in a16.iter().zip(b16) {
        for k in 0..16 {
            sums[k] += widen(a[k]) * b[k];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| widen(*a) * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// `y += c x`.
pub(super) fn add_scaled(y: &mut [f32], c: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += c * x;
    }
}
