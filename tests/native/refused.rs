//! A refusal must be of the right kind, and its message must name the place.

use lokahi::{Error, Result};

#[track_caller]
pub fn refused<T>(result: Result<T>, code: &str, names: &[&str]) -> Error {
    let Err(error) = result else { panic!("this was read without an error") };
    let text = error.to_string();
    assert_eq!(error.code(), code, "{text}");
    for name in names {
        assert!(text.contains(name), "no {name:?} in: {text}");
    }
    error
}
