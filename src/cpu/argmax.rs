//! Index of the largest number of each row, the first where several are equal.

pub(super) fn argmax(x: &[f32], width: usize, out: &mut [f32]) {
    for (row, out) in x.chunks_exact(width).zip(out) {
        let mut best = 0;
        for (j, &v) in row.iter().enumerate() {
            if v > row[best] {
                best = j;
            }
        }
        // Exact up to 2^24, as in the shader.
        *out = best as f32;
    }
}
