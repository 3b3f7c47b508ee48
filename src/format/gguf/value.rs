//! The values of the metadata: one element or an array of them, of thirteen types.

use super::cursor::{Cursor, Step};
use crate::format::look::short;

/// Arrays of arrays of arrays: no file needs more.
const MAX_DEPTH: usize = 4;

/// The code of arrays.
const ARRAY: u32 = 9;

/// Elements of one type; a number behind a variant is its code in the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Elements {
    /// 0
    U8(Vec<u8>),
    /// 1
    I8(Vec<i8>),
    /// 2
    U16(Vec<u16>),
    /// 3
    I16(Vec<i16>),
    /// 4
    U32(Vec<u32>),
    /// 5
    I32(Vec<i32>),
    /// 6
    F32(Vec<f32>),
    /// 7, one byte of 0 or 1 each
    Bool(Vec<bool>),
    /// 8, UTF-8 behind its length
    Text(Vec<String>),
    /// 9, each with its own type and length
    Array(Vec<Elements>),
    /// 10
    U64(Vec<u64>),
    /// 11
    I64(Vec<i64>),
    /// 12
    F64(Vec<f64>),
}

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// The elements; exactly one where this is no array.
    elements: Elements,
    is_array: bool,
}

/// The same expression for the elements of every type.
macro_rules! with_each {
    ($elements:expr, $v:ident => $result:expr) => {
        match $elements {
            Elements::U8($v) => $result,
            Elements::I8($v) => $result,
            Elements::U16($v) => $result,
            Elements::I16($v) => $result,
            Elements::U32($v) => $result,
            Elements::I32($v) => $result,
            Elements::F32($v) => $result,
            Elements::Bool($v) => $result,
            Elements::Text($v) => $result,
            Elements::Array($v) => $result,
            Elements::U64($v) => $result,
            Elements::I64($v) => $result,
            Elements::F64($v) => $result,
        }
    };
}

impl Elements {
    /// How many elements.
    #[must_use]
    pub fn len(&self) -> usize {
        with_each!(self, v => v.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whole numbers of any type, where all of them fit.
    pub(super) fn u32s(&self) -> Option<Vec<u32>> {
        fn all<T: Copy + TryInto<u32>>(v: &[T]) -> Option<Vec<u32>> {
            v.iter().map(|&x| x.try_into().ok()).collect()
        }
        match self {
            Self::U8(v) => all(v),
            Self::I8(v) => all(v),
            Self::U16(v) => all(v),
            Self::I16(v) => all(v),
            Self::U32(v) => all(v),
            Self::I32(v) => all(v),
            Self::U64(v) => all(v),
            Self::I64(v) => all(v),
            _ => None,
        }
    }

    /// Floats of either width, where all of them are finite as f32.
    pub(super) fn f32s(&self) -> Option<Vec<f32>> {
        let floats: Vec<f32> = match self {
            Self::F32(v) => v.clone(),
            Self::F64(v) => v.iter().map(|&x| x as f32).collect(),
            _ => return None,
        };
        floats.iter().all(|x| x.is_finite()).then_some(floats)
    }

    fn code(&self) -> u32 {
        match self {
            Self::U8(_) => 0,
            Self::I8(_) => 1,
            Self::U16(_) => 2,
            Self::I16(_) => 3,
            Self::U32(_) => 4,
            Self::I32(_) => 5,
            Self::F32(_) => 6,
            Self::Bool(_) => 7,
            Self::Text(_) => 8,
            Self::Array(_) => ARRAY,
            Self::U64(_) => 10,
            Self::I64(_) => 11,
            Self::F64(_) => 12,
        }
    }

    /// `len` elements of type `code`, inside of `depth` arrays.
    fn read(cursor: &mut Cursor<'_>, code: u32, len: u64, depth: usize) -> Step<Self> {
        Ok(match code {
            0 => Self::U8(cursor.numbers(len, u8::from_le_bytes)?),
            1 => Self::I8(cursor.numbers(len, i8::from_le_bytes)?),
            2 => Self::U16(cursor.numbers(len, u16::from_le_bytes)?),
            3 => Self::I16(cursor.numbers(len, i16::from_le_bytes)?),
            4 => Self::U32(cursor.numbers(len, u32::from_le_bytes)?),
            5 => Self::I32(cursor.numbers(len, i32::from_le_bytes)?),
            6 => Self::F32(cursor.numbers(len, f32::from_le_bytes)?),
            7 => {
                let bytes = cursor.numbers(len, u8::from_le_bytes)?;
                if let Some(other) = bytes.iter().find(|b| **b > 1) {
                    return Err(cursor.bad(&format!("a truth value of {other}")));
                }
                Self::Bool(bytes.iter().map(|b| *b == 1).collect())
            }
            8 => {
                cursor.expect_room(len, 8)?;
                Self::Text((0..len).map(|_| cursor.text()).collect::<Step<_>>()?)
            }
            ARRAY if depth == MAX_DEPTH => {
                return Err(cursor.bad(&format!("arrays inside of more than {MAX_DEPTH} arrays")));
            }
            ARRAY => {
                cursor.expect_room(len, 12)?;
                let array = |_| Self::read_array(cursor, depth + 1);
                Self::Array((0..len).map(array).collect::<Step<_>>()?)
            }
            10 => Self::U64(cursor.numbers(len, u64::from_le_bytes)?),
            11 => Self::I64(cursor.numbers(len, i64::from_le_bytes)?),
            12 => Self::F64(cursor.numbers(len, f64::from_le_bytes)?),
            other => return Err(cursor.bad(&format!("a value of the unknown type {other}"))),
        })
    }

    /// Type, length and elements of one array.
    fn read_array(cursor: &mut Cursor<'_>, depth: usize) -> Step<Self> {
        let (code, len) = (cursor.u32()?, cursor.u64()?);
        Self::read(cursor, code, len, depth)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::U8(v) => out.extend(v),
            Self::I8(v) => write_numbers(v, i8::to_le_bytes, out),
            Self::U16(v) => write_numbers(v, u16::to_le_bytes, out),
            Self::I16(v) => write_numbers(v, i16::to_le_bytes, out),
            Self::U32(v) => write_numbers(v, u32::to_le_bytes, out),
            Self::I32(v) => write_numbers(v, i32::to_le_bytes, out),
            Self::F32(v) => write_numbers(v, f32::to_le_bytes, out),
            Self::Bool(v) => out.extend(v.iter().map(|&x| u8::from(x))),
            Self::Text(v) => v.iter().for_each(|text| write_text(text, out)),
            Self::Array(v) => v.iter().for_each(|array| array.write_array(out)),
            Self::U64(v) => write_numbers(v, u64::to_le_bytes, out),
            Self::I64(v) => write_numbers(v, i64::to_le_bytes, out),
            Self::F64(v) => write_numbers(v, f64::to_le_bytes, out),
        }
    }

    fn write_array(&self, out: &mut Vec<u8>) {
        out.extend(self.code().to_le_bytes());
        out.extend((self.len() as u64).to_le_bytes());
        self.write(out);
    }
}

impl Value {
    /// The elements of an array.
    #[must_use]
    pub fn array(&self) -> Option<&Elements> {
        Some(&self.elements).filter(|_| self.is_array)
    }

    /// The one element, where this is no array.
    #[must_use]
    pub fn scalar(&self) -> Option<&Elements> {
        Some(&self.elements).filter(|_| !self.is_array)
    }

    /// Type and value.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Step<Self> {
        Ok(match cursor.u32()? {
            ARRAY => Self::from(Elements::read_array(cursor, 1)?),
            code => Self { elements: Elements::read(cursor, code, 1, 0)?, is_array: false },
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if self.is_array {
            out.extend(ARRAY.to_le_bytes());
            self.elements.write_array(out);
        } else {
            out.extend(self.elements.code().to_le_bytes());
            self.elements.write(out);
        }
    }

    /// As an error message shows it.
    pub(super) fn show(&self) -> String {
        match self.array() {
            Some(elements) => format!("an array of {}", elements.len()),
            None => {
                let debug = |v: &dyn std::fmt::Debug| short(&format!("{v:?}"), 60);
                with_each!(&self.elements, v => v.iter().map(|x| debug(x)).collect())
            }
        }
    }
}

/// An array.
impl From<Elements> for Value {
    fn from(elements: Elements) -> Self {
        Self { elements, is_array: true }
    }
}

macro_rules! from_scalar {
    ($($variant:ident($type:ty)),*) => {$(
        /// One element.
        impl From<$type> for Value {
            fn from(x: $type) -> Self {
                Self { elements: Elements::$variant(vec![x.into()]), is_array: false }
            }
        }
    )*};
}
from_scalar!(
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Text(&str),
    U64(u64),
    I64(i64),
    F64(f64)
);

fn write_numbers<const N: usize, T: Copy>(v: &[T], bytes: fn(T) -> [u8; N], out: &mut Vec<u8>) {
    out.extend(v.iter().flat_map(|&x| bytes(x)));
}

/// A text behind its length in bytes.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}
