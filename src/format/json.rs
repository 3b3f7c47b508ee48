//! JSON objects of settings, read strictly: a doubled key, a wrong type or a number out of range is
//! an error that names the field.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::look::{impostor, short};
use crate::{Error, Result};

/// A JSON object and the name of the file it came from. Keys keep the order of the file.
pub(super) struct Object {
    file: String,
    path: String,
    map: Map<String, Value>,
}

impl Object {
    /// Reads a file that holds one JSON object.
    pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let bad = |got: String| Error::BadFile {
            file: file.to_owned(),
            expected: "a JSON object".into(),
            got,
        };
        if let Some(got) = impostor(bytes) {
            return Err(bad(got.to_owned()));
        }
        if bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(bad("JSON behind a byte order mark; save it as UTF-8 without one".into()));
        }
        match serde_json::from_slice::<Strict>(bytes) {
            Err(error) => Err(bad(explain(bytes, &error))),
            Ok(Strict(Value::Object(map))) => {
                Ok(Self { file: file.to_owned(), path: String::new(), map })
            }
            Ok(Strict(other)) => Err(bad(show(&other))),
        }
    }

    /// Name of the file.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// The object itself.
    pub(super) fn into_map(self) -> Map<String, Value> {
        self.map
    }

    /// All fields, in the order of the file.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.map.iter().map(|(k, v)| (k.as_str(), v))
    }

    /// The value of `field`; `None` where it is absent or null.
    pub(super) fn get(&self, field: &str) -> Option<&Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    /// Whether `field` is there, null or not.
    pub(super) fn has(&self, field: &str) -> bool {
        self.map.contains_key(field)
    }

    /// Whether `field` holds anything but null, false, an empty list, object or text.
    pub(super) fn is_on(&self, field: &str) -> bool {
        self.get(field).is_some_and(|value| !is_off(value))
    }

    /// A [`Error::BadConfig`] at `field`.
    pub(super) fn bad(&self, field: &str, expected: impl Into<String>) -> Error {
        Error::BadConfig {
            file: self.file.clone(),
            field: format!("{}{field}", self.path),
            expected: expected.into(),
            got: self.map.get(field).map_or_else(|| "nothing".to_owned(), show),
        }
    }

    /// A whole number between `min` and `max`.
    pub(super) fn count(&self, field: &str, min: usize, max: usize) -> Result<Option<usize>> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let number = value.as_u64().and_then(|n| usize::try_from(n).ok());
        match number.filter(|n| (min..=max).contains(n)) {
            Some(n) => Ok(Some(n)),
            None => Err(self.bad(field, format!("a whole number from {min} to {max}"))),
        }
    }

    /// [`Object::count`] of a field that must be there.
    pub(super) fn need_count(&self, field: &str, min: usize, max: usize) -> Result<usize> {
        self.count(field, min, max)?
            .ok_or_else(|| self.bad(field, format!("a whole number from {min} to {max}")))
    }

    /// A number whose f32 is finite too.
    pub(super) fn number(&self, field: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match value.as_f64().filter(|x| (*x as f32).is_finite()) {
            Some(x) => Ok(Some(x)),
            None => Err(self.bad(field, "a finite number")),
        }
    }

    /// A truth value; `default` where absent.
    pub(super) fn flag(&self, field: &str, default: bool) -> Result<bool> {
        match self.get(field) {
            None => Ok(default),
            Some(Value::Bool(b)) => Ok(*b),
            Some(_) => Err(self.bad(field, "true or false")),
        }
    }

    /// A text.
    pub(super) fn text(&self, field: &str) -> Result<Option<&str>> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::String(s)) => Ok(Some(s)),
            Some(_) => Err(self.bad(field, "a text")),
        }
    }

    /// An object inside this one; empty where absent.
    pub(super) fn object(&self, field: &str) -> Result<Self> {
        let map = match self.get(field) {
            None => Map::new(),
            Some(Value::Object(map)) => map.clone(),
            Some(_) => return Err(self.bad(field, "an object")),
        };
        Ok(Self { file: self.file.clone(), path: format!("{}{field}.", self.path), map })
    }
}

/// A value as an error message shows it.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::String(s) => format!("{:?}", short(s, 60)),
        Value::Array(list) if list.len() > 8 => format!("a list of {}", list.len()),
        other => short(&other.to_string(), 60),
    }
}

/// Whether a setting with this value does nothing.
pub(super) fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        _ => false,
    }
}

/// What is wrong with the JSON, with the text around the place. Python writes `NaN` and `Infinity`,
/// which JSON does not have.
fn explain(bytes: &[u8], error: &serde_json::Error) -> String {
    let line = bytes.split(|&b| b == b'\n').nth(error.line().saturating_sub(1)).unwrap_or(&[]);
    let at = error.column().saturating_sub(1).min(line.len());
    let near = line.get(at.saturating_sub(40)..(at + 20).min(line.len())).unwrap_or(&[]);
    let near = String::from_utf8_lossy(near.trim_ascii()).into_owned();
    let token = ["NaN", "Infinity"].iter().find(|token| {
        // The parser stops at, or just behind, the first letter of the token.
        let from = at.saturating_sub(1);
        line.get(from..).is_some_and(|rest| {
            rest.starts_with(token.as_bytes())
                || rest.get(1..).is_some_and(|r| r.starts_with(token.as_bytes()))
        })
    });
    match token {
        Some(token) => {
            format!("the token {token}, which is not JSON, at line {} near `{near}`", error.line())
        }
        None => format!("{error}, near `{near}`"),
    }
}

/// A JSON value without doubled keys: where a key comes twice, readers disagree on which one holds.
pub(super) struct Strict(pub(super) Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> std::result::Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_u64<E>(self, v: u64) -> std::result::Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_i64<E>(self, v: i64) -> std::result::Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, v: f64) -> std::result::Result<Value, E> {
        Number::from_f64(v).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, v: &str) -> std::result::Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(value)) = seq.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> std::result::Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Strict(value))) = access.next_entry::<String, Strict>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("key {:?} comes twice", short(&key, 60))));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
