//! `rank_pattern` and `alpha_pattern` (PEFT `utils/other.py:get_pattern_key`).

use regex_lite::{Regex, RegexBuilder};

use crate::Result;
use crate::format::json::Object;

/// Values by regular expression, in the order of the file.
#[derive(Debug)]
pub(super) struct Patterns<T> {
    list: Vec<(String, Key, T)>,
}

/// What a key matches: as PEFT joins it, `(.*\.)?(key)$` from the start of a name.
#[derive(Debug)]
enum Key {
    /// Letters and dots, a dot for any letter. Files of a rank for each module have nothing else, and
    /// thousands of them.
    Plain,
    Regex(Regex),
}

impl<T: Copy> Patterns<T> {
    pub(super) fn parse(json: &Object, value: impl Fn(&str) -> Result<T>) -> Result<Self> {
        let one = |key: &str| {
            let pattern = match is_plain(key) {
                true => Key::Plain,
                false => Key::Regex(
                    compile(key)
                        .map_err(|e| json.bad(key, format!("a regular expression as key ({e})")))?,
                ),
            };
            Ok((key.to_owned(), pattern, value(key)?))
        };
        Ok(Self { list: json.fields().map(|(key, _)| one(key)).collect::<Result<_>>()? })
    }

    /// The value of the first key that matches; a key that is the whole name counts too, since its
    /// dots and brackets may mean something else as a regular expression.
    pub(super) fn get(&self, module: &str) -> Option<T> {
        let hit = |key: &str, pattern: &Key| match pattern {
            Key::Plain => plain(key, module),
            Key::Regex(regex) => matches(regex, module),
        };
        let matching = self.list.iter().find(|(key, pattern, _)| hit(key, pattern));
        matching.or_else(|| self.list.iter().find(|(key, ..)| key == module)).map(|(.., v)| *v)
    }
}

fn compile(key: &str) -> std::result::Result<Regex, regex_lite::Error> {
    // Joined as in PEFT: a key may hold half a group. Ten bytes of counts may ask for megabytes.
    let mut regex = RegexBuilder::new(&format!(r"(.*\.)?({key})$"));
    regex.size_limit(4096 + 256 * key.len()).build()
}

/// Python's `re.match`: from the start of the name.
fn matches(regex: &Regex, module: &str) -> bool {
    regex.find(module).is_some_and(|found| found.start() == 0)
}

fn is_plain(key: &str) -> bool {
    let key = key.strip_prefix('^').unwrap_or(key);
    key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// What the regular expression of a plain key says.
fn plain(key: &str, module: &str) -> bool {
    let bare = key.strip_prefix('^');
    let mut path = module.chars().rev();
    let mut key_end = bare.unwrap_or(key).chars().rev();
    key_end.all(|k| path.next().is_some_and(|c| c == k || k == '.'))
        && match path.next() {
            None => true,
            Some(c) => c == '.' && bare.is_none(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_keys_match_like_their_regular_expressions() {
        let keys =
            ["q", "^q", "l.q", "^l.q", "", "^", ".", "l", ".q", "..", "l-q", "l.0.q", "^..q"];
        let modules =
            ["q", "l.q", "l.l.q", "lq", "l", "l.0.q", "l\u{e9}q", ".q", "q.", "", "l-q", "xl.q"];
        for key in keys {
            assert!(is_plain(key), "{key}");
            let regex = compile(key).unwrap();
            for module in modules {
                assert_eq!(plain(key, module), matches(&regex, module), "{key} {module}");
            }
        }
        assert!(!is_plain("l.*") && !is_plain("q|k") && !is_plain("q^"));
    }
}
