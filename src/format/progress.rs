//! Headers that are read from the first bytes of a file.

/// What a parser makes of the first bytes of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress<T> {
    /// The header was whole.
    Done(T),
    /// The header goes on: it takes at least so many of the first bytes. Each call begins anew, so
    /// it is better to bring more, such as twice the bytes before.
    More(u64),
}
