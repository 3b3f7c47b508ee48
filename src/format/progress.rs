//! Headers that are read from the first bytes of a file.

use crate::{Error, Result};

/// What a parser makes of the first bytes of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress<T> {
    /// The header was whole.
    Done(T),
    /// The header goes on: it takes at least so many of the first bytes. Each call begins anew, so
    /// it is better to bring more, such as twice the bytes before.
    More(u64),
}

impl<T> Progress<T> {
    /// How many of the first bytes it takes at least, where there were too few.
    #[must_use]
    pub fn wanted(&self) -> Option<u64> {
        match self {
            Self::Done(_) => None,
            Self::More(wanted) => Some(*wanted),
        }
    }

    /// The header of a file that is in memory whole, of the name `file` for errors. One that goes on
    /// is an error of its parser already.
    pub(super) fn whole(self, file: &str) -> Result<T> {
        match self {
            Self::Done(header) => Ok(header),
            Self::More(wanted) => Err(Error::BadFile {
                file: file.to_owned(),
                expected: format!("a header of {wanted} bytes"),
                got: "fewer".into(),
            }),
        }
    }

    /// The header, or an error where it goes on.
    pub fn done(&self) -> Result<&T> {
        match self {
            Self::Done(header) => Ok(header),
            Self::More(wanted) => {
                Err(Error::argument("prefix", format!("{wanted} bytes"), "fewer"))
            }
        }
    }
}
