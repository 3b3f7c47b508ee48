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
