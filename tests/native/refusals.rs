//! Bad calls have a named error and change nothing.
