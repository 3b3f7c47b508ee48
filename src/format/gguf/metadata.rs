//! The metadata of a file: typed values by key (`general.architecture`).

use std::collections::BTreeMap;

use super::value::{Elements, Value};
use crate::{Error, Result};

/// Far beyond the pages of any machine; keeps sums with it away from the end of 32 bits.
const MAX_ALIGNMENT: u32 = 1 << 20;

/// Keys and values of one file. A getter gives `None` where the key is absent, and an error that
/// names the key where the value is of another type.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    file: String,
    values: BTreeMap<String, Value>,
}

impl Metadata {
    /// No values; `file` is the name for errors.
    #[must_use]
    pub fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), values: BTreeMap::new() }
    }

    /// Name of the file, for errors.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Sets a value; returns the one that was there.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        self.values.insert(key.into(), value.into())
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// All keys and values, sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// All keys and values as texts, to show.
    #[must_use]
    pub fn shown(&self) -> BTreeMap<String, String> {
        let text = |value: &Value| match value.scalar() {
            Some(Elements::Text(texts)) => texts.concat(),
            _ => value.show(),
        };
        let mut shown = BTreeMap::new();
        shown.extend(self.iter().map(|(key, value)| (key.to_owned(), text(value))));
        shown
    }

    /// A whole number, of any type of the file that holds it: writers differ.
    pub fn u32(&self, key: &str) -> Result<Option<u32>> {
        self.scalar(key, "a whole number of 32 bits", |e| e.u32s()?.first().copied())
    }

    /// A finite float.
    pub fn f32(&self, key: &str) -> Result<Option<f32>> {
        self.scalar(key, "a finite float", |e| e.f32s()?.first().copied())
    }

    /// A truth value.
    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        self.scalar(key, "true or false", |e| match e {
            Elements::Bool(v) => v.first().copied(),
            _ => None,
        })
    }

    /// A text.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.scalar(key, "a text", |e| match e {
            Elements::Text(v) => v.first().map(String::as_str),
            _ => None,
        })
    }

    /// An array of whole numbers, of any type of the file that holds them.
    pub fn u32s(&self, key: &str) -> Result<Option<Vec<u32>>> {
        self.array(key, "an array of whole numbers of 32 bits", Elements::u32s)
    }

    /// An array of finite floats.
    pub fn f32s(&self, key: &str) -> Result<Option<Vec<f32>>> {
        self.array(key, "an array of finite floats", Elements::f32s)
    }

    /// An array of texts.
    pub fn texts(&self, key: &str) -> Result<Option<&[String]>> {
        self.array(key, "an array of texts", |e| match e {
            Elements::Text(v) => Some(v.as_slice()),
            _ => None,
        })
    }

    /// The value of a getter, where it must be there: `need("llama.block_count", Metadata::u32)`.
    pub fn need<'a, T>(
        &'a self,
        key: &str,
        get: impl FnOnce(&'a Self, &str) -> Result<Option<T>>,
    ) -> Result<T> {
        get(self, key)?.ok_or_else(|| self.bad(key, "a value"))
    }

    /// An error about the value of a key.
    #[must_use]
    pub fn bad(&self, key: &str, expected: impl Into<String>) -> Error {
        Error::BadConfig {
            file: self.file.clone(),
            field: key.to_owned(),
            expected: expected.into(),
            got: self.values.get(key).map_or_else(|| "nothing".to_owned(), Value::show),
        }
    }

    fn scalar<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        get: impl FnOnce(&'a Elements) -> Option<T>,
    ) -> Result<Option<T>> {
        self.get(key, expected, |value| value.scalar().and_then(get))
    }

    fn array<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        get: impl FnOnce(&'a Elements) -> Option<T>,
    ) -> Result<Option<T>> {
        self.get(key, expected, |value| value.array().and_then(get))
    }

    fn get<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        get: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.values.get(key) else { return Ok(None) };
        get(value).map(Some).ok_or_else(|| self.bad(key, expected))
    }

    /// Every tensor begins at a multiple of this many bytes: 32 where the file does not say.
    pub(super) fn alignment(&self) -> Result<u32> {
        let key = "general.alignment";
        let alignment = self.u32(key)?.unwrap_or(32);
        if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
            return Err(self.bad(key, format!("a power of two up to {MAX_ALIGNMENT}")));
        }
        Ok(alignment)
    }
}
