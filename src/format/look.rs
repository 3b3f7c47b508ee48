//! What bytes are, when they are not what they should be.

/// The usual impostors, by their first bytes: what a failed download leaves behind. `None` where
/// nothing is recognised.
pub(super) fn impostor(bytes: &[u8]) -> Option<&'static str> {
    if bytes.is_empty() {
        return Some("an empty file");
    }
    if bytes.starts_with(b"GGUF") {
        return Some("a GGUF file");
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Some("a zip archive (a PyTorch `.bin` is one)");
    }
    // Only text is left. A page may begin with a byte order mark and blank lines.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let starts =
        |with: &[u8]| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if starts(b"version https://git-lfs") {
        return Some("a Git LFS pointer, not the file it points to");
    }
    if starts(b"<!doctype") || starts(b"<html") || starts(b"<head") {
        return Some("a web page (HTML)");
    }
    if starts(b"<?xml") {
        return Some("an XML document");
    }
    None
}

/// At most `max` characters of a text from a file, for an error message.
pub(super) fn short(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}
