//! The bytes of a file that are at hand: all of it, or pieces that were fetched one by one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// Pieces of a file by the place of their first byte.
#[derive(Debug, Clone, Default)]
pub struct Parts<'a> {
    pieces: BTreeMap<u64, Cow<'a, [u8]>>,
}

impl<'a> Parts<'a> {
    /// No bytes: what a header alone tells.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A file that is in memory whole.
    #[must_use]
    pub fn whole(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { pieces: BTreeMap::from([(0, bytes.into())]) }
    }

    /// Adds the bytes that lie at `start`.
    pub fn insert(&mut self, start: u64, bytes: impl Into<Cow<'a, [u8]>>) {
        self.pieces.insert(start, bytes.into());
    }

    /// The bytes of a range, where one piece holds them all.
    #[must_use]
    pub fn get(&self, range: &Range<u64>) -> Option<&[u8]> {
        if range.is_empty() {
            return Some(&[]);
        }
        // Mostly the last piece that begins before it; a longer one may begin earlier.
        self.pieces.range(..=range.start).rev().find_map(|(start, piece)| {
            let at = |place: u64| usize::try_from(place - start).ok();
            piece.get(at(range.start)?..at(range.end)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_found_in_the_piece_that_holds_it_whole() {
        let mut parts = Parts::new();
        assert_eq!(parts.get(&(3..3)), Some(&[][..]));
        assert_eq!(parts.get(&(0..1)), None);
        parts.insert(10, vec![1, 2, 3]);
        parts.insert(1 << 40, vec![4]);
        assert_eq!(parts.get(&(11..13)), Some(&[2, 3][..]));
        assert_eq!(parts.get(&(9..11)), None);
        assert_eq!(parts.get(&(12..14)), None);
        assert_eq!(parts.get(&((1 << 40)..(1 << 40) + 1)), Some(&[4][..]));
        parts.insert(11, vec![2]);
        assert_eq!(parts.get(&(11..13)), Some(&[2, 3][..]));
        assert_eq!(Parts::whole(vec![7, 8]).get(&(0..2)), Some(&[7, 8][..]));
    }
}
