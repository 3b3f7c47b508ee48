//! A folder in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::look::short;
use crate::{Error, Result};

/// Names and bytes of the files of one folder, borrowed or owned.
#[derive(Debug, Clone, Default)]
pub struct Files<'a> {
    files: BTreeMap<String, Cow<'a, [u8]>>,
}

impl<'a> Files<'a> {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, or replaces the one of that name.
    pub fn insert(&mut self, name: impl Into<String>, bytes: impl Into<Cow<'a, [u8]>>) {
        self.files.insert(name.into(), bytes.into());
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The name as given and the bytes of `file`. Names may carry folders
    /// (`adapter/adapter_config.json`): without an exact match, the one file of that base name.
    pub fn get(&self, file: &str) -> Result<(&str, &[u8])> {
        if let Some((name, bytes)) = self.files.get_key_value(file) {
            return Ok((name, bytes));
        }
        let base = |name: &str| name.rsplit(['/', '\\']).next() == Some(file);
        let mut matches = self.files.iter().filter(|(name, _)| base(name));
        match (matches.next(), matches.next()) {
            (Some((name, bytes)), None) => Ok((name, bytes)),
            (Some((a, _)), Some((b, _))) => {
                Err(Error::argument("files", format!("one {file}"), format!("{a} and {b}")))
            }
            (None, _) => Err(Error::MissingFile { file: file.to_owned(), found: self.found() }),
        }
    }

    /// Whether [`Files::get`] finds at least one such file.
    pub(super) fn has(&self, file: &str) -> bool {
        !matches!(self.get(file), Err(Error::MissingFile { .. }))
    }

    /// The one file whose name ends like this.
    pub(super) fn only(&self, ending: &str) -> Result<(&str, &[u8])> {
        let mut matches = self.files.iter().filter(|(name, _)| name.ends_with(ending));
        match (matches.next(), matches.next()) {
            (Some((name, bytes)), None) => Ok((name, bytes)),
            (Some((a, _)), Some((b, _))) => {
                Err(Error::argument("files", format!("one *{ending}"), format!("{a} and {b}")))
            }
            (None, _) => {
                Err(Error::MissingFile { file: format!("*{ending}"), found: self.found() })
            }
        }
    }

    fn found(&self) -> String {
        if self.files.is_empty() {
            return "no files".to_owned();
        }
        short(&self.names().collect::<Vec<_>>().join(", "), 400)
    }
}

impl<'a, N: Into<String>, B: Into<Cow<'a, [u8]>>> FromIterator<(N, B)> for Files<'a> {
    fn from_iter<I: IntoIterator<Item = (N, B)>>(files: I) -> Self {
        let mut folder = Self::new();
        files.into_iter().for_each(|(name, bytes)| folder.insert(name, bytes));
        folder
    }
}
