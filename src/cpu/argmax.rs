//! Index of the largest number of each row, the first where several are equal.

/// Numbers that are compared with the largest so far before they are looked at one by one.
const AT_ONCE: usize = 64;

pub(super) fn argmax(x: &[f32], width: usize, out: &mut [f32]) {
    for (row, out) in x.chunks_exact(width).zip(out) {
        let mut best = 0;
        for (numbers, first) in row.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE)) {
            let top = row[best];
            // Without a way out, this loop takes four numbers an instruction; that one is larger
            // becomes rare soon.
            if numbers.iter().fold(false, |any, v| any | (*v > top)) {
                for (j, v) in (first..).zip(numbers) {
                    if *v > row[best] {
                        best = j;
                    }
                }
            }
        }
        // Exact up to 2^24, as in the shader.
        *out = best as f32;
    }
}
