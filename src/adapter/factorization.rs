//! How LoKr splits a dimension into two (PEFT `tuners/lokr/layer.py:factorization`, LyCORIS
//! `functional/general.py:factorization`). Files are read by their shapes, never by this rule; it
//! is for making adapters and for counting.

/// Whose rule: they differ in the order of the two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// A factor that divides the dimension comes first, even when it is the larger.
    Peft,
    /// The smaller number always comes first.
    Lycoris,
}

/// Splits `dim` into two numbers whose product it is, as near to each other as `factor` allows;
/// `factor` -1 means no limit.
#[must_use]
pub fn factorize(dim: usize, factor: i64, convention: Convention) -> (usize, usize) {
    let sort = |a: usize, b: usize| if a <= b { (a, b) } else { (b, a) };
    if let Ok(f) = usize::try_from(factor)
        && f > 0
        && dim.is_multiple_of(f)
    {
        return match convention {
            Convention::Peft => (f, dim / f),
            Convention::Lycoris => sort(f, dim / f),
        };
    }
    let unlimited = match convention {
        Convention::Peft => factor == -1,
        Convention::Lycoris => factor < 0,
    };
    let limit = if unlimited { dim } else { usize::try_from(factor).unwrap_or(0) };
    // The largest divisor that is at most `limit` and does not pass the square root, or the first
    // one past it where the walk meets none between.
    let (mut m, mut n) = (1, dim);
    while m < n {
        let Some(next) = (m + 1..=dim).find(|d| dim.is_multiple_of(*d)) else { break };
        if next > limit {
            break;
        }
        (m, n) = (next, dim / next);
    }
    sort(m, n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Convention::{Lycoris, Peft};

    type Row<const N: usize> = (usize, [(usize, usize); N]);

    /// What PEFT returns. LyCORIS returns the same two numbers, the smaller first.
    fn check<const N: usize>(factors: [i64; N], rows: &[Row<N>]) {
        for &(dim, pairs) in rows {
            for (factor, (a, b)) in factors.into_iter().zip(pairs) {
                assert_eq!(factorize(dim, factor, Peft), (a, b), "PEFT {dim}, {factor}");
                let sorted = (a.min(b), a.max(b));
                assert_eq!(factorize(dim, factor, Lycoris), sorted, "LyCORIS {dim}, {factor}");
            }
        }
    }

    #[test]
    fn as_peft_and_lycoris_split() {
        check(
            [-1, 4, 8, 16],
            &[
                (2, [(1, 2), (1, 2), (1, 2), (1, 2)]),
                (12, [(3, 4), (4, 3), (3, 4), (3, 4)]),
                (127, [(1, 127), (1, 127), (1, 127), (1, 127)]),
                (128, [(8, 16), (4, 32), (8, 16), (16, 8)]),
                (250, [(10, 25), (2, 125), (5, 50), (10, 25)]),
                (320, [(16, 20), (4, 80), (8, 40), (16, 20)]),
                (360, [(18, 20), (4, 90), (8, 45), (15, 24)]),
                (384, [(16, 24), (4, 96), (8, 48), (16, 24)]),
                (512, [(16, 32), (4, 128), (8, 64), (16, 32)]),
                (576, [(24, 24), (4, 144), (8, 72), (16, 36)]),
                (640, [(20, 32), (4, 160), (8, 80), (16, 40)]),
                (768, [(24, 32), (4, 192), (8, 96), (16, 48)]),
                (1024, [(32, 32), (4, 256), (8, 128), (16, 64)]),
                (1152, [(32, 36), (4, 288), (8, 144), (16, 72)]),
            ],
        );
        check(
            [32, 64],
            &[
                (127, [(1, 127), (1, 127)]),
                (128, [(32, 4), (64, 2)]),
                (250, [(10, 25), (10, 25)]),
                (320, [(32, 10), (64, 5)]),
                (360, [(18, 20), (18, 20)]),
                (384, [(32, 12), (64, 6)]),
                (512, [(32, 16), (64, 8)]),
                (576, [(32, 18), (64, 9)]),
                (640, [(32, 20), (64, 10)]),
                (768, [(32, 24), (64, 12)]),
                (1024, [(32, 32), (64, 16)]),
                (1152, [(32, 36), (64, 18)]),
            ],
        );
        check(
            [-1, 8, 16],
            &[
                (1280, [(32, 40), (8, 160), (16, 80)]),
                (1536, [(32, 48), (8, 192), (16, 96)]),
                (2048, [(32, 64), (8, 256), (16, 128)]),
                (2304, [(48, 48), (8, 288), (16, 144)]),
                (2560, [(40, 64), (8, 320), (16, 160)]),
                (3072, [(48, 64), (8, 384), (16, 192)]),
                (4096, [(64, 64), (8, 512), (16, 256)]),
                (8192, [(64, 128), (8, 1024), (16, 512)]),
                (11_008, [(86, 128), (8, 1376), (16, 688)]),
                (14_336, [(112, 128), (8, 1792), (16, 896)]),
                (18_944, [(128, 148), (8, 2368), (16, 1184)]),
                (32_000, [(160, 200), (8, 4000), (16, 2000)]),
                (50_257, [(29, 1733), (1, 50_257), (1, 50_257)]),
                (151_936, [(128, 1187), (8, 18_992), (16, 9496)]),
            ],
        );
    }

    #[test]
    fn zero_and_negative_factors() {
        for dim in [2, 12, 127, 250, 360, 768] {
            for convention in [Peft, Lycoris] {
                assert_eq!(factorize(dim, 0, convention), (1, dim));
            }
            assert_eq!(factorize(dim, -2, Peft), (1, dim), "PEFT knows -1 alone");
            assert_eq!(factorize(dim, -2, Lycoris), factorize(dim, -1, Lycoris), "no limit");
        }
    }

    #[test]
    fn the_two_numbers_always_give_the_dimension() {
        for dim in 1..=600 {
            for factor in -3..=40 {
                for convention in [Peft, Lycoris] {
                    let (a, b) = factorize(dim, factor, convention);
                    assert_eq!(a * b, dim, "{dim}, {factor}, {convention:?}");
                    assert!(convention == Peft || a <= b, "{dim}, {factor}: {a}, {b}");
                }
            }
        }
    }
}
