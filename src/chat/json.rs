//! JSON in its written form: looking at a value without turning it into another, and joining strings unread.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// A value as it is written.
pub type Raw<'a> = &'a str;

/// What lies between the quotes, if the value is a string.
pub fn inner(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"')
}

/// Whether a value says nothing: `null`.
pub fn is_null(raw: &str) -> bool {
    raw == "null"
}

/// Whether a value says something: no `null`, no `""`.
pub fn says(raw: &str) -> bool {
    !matches!(raw, "null" | "\"\"")
}

/// Whether a value, whatever its kind, tells nothing where something was told before.
pub fn is_empty(raw: &str) -> bool {
    matches!(raw, "null" | "\"\"" | "{}" | "[]")
}

/// A whole number, also where it is written as a string.
pub fn whole<N: std::str::FromStr>(raw: &str) -> Option<N> {
    inner(raw).unwrap_or(raw).parse().ok()
}

/// Append the text that `inner` (the part between the quotes) stands for. Halves of surrogate pairs become U+FFFD.
pub fn unescape(inner: &str, out: &mut String) {
    // A word: to look at it takes less than to begin a search.
    if inner.len() < 16 && !inner.bytes().any(|byte| byte == b'\\') {
        return out.push_str(inner);
    }
    let mut rest = inner;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let code = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        rest = rest.get(at + 2..).unwrap_or_default();
        match code {
            b'n' => out.push('\n'),
            b't' => out.push('\t'),
            b'r' => out.push('\r'),
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'u' => {
                let unit = hex4(rest);
                rest = rest.get(4..).unwrap_or_default();
                let low = rest.strip_prefix("\\u").and_then(hex4);
                match (unit, low) {
                    (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
                        rest = rest.get(6..).unwrap_or_default();
                        let scalar = 0x10000 + ((u32::from(high) - 0xD800) << 10) + (u32::from(low) - 0xDC00);
                        out.push(char::from_u32(scalar).unwrap_or('\u{FFFD}'));
                    }
                    (unit, _) => out.push(unit.and_then(|unit| char::from_u32(unit.into())).unwrap_or('\u{FFFD}')),
                }
            }
            other => out.push(char::from(other)), // " \ /
        }
    }
    out.push_str(rest);
}

fn hex4(text: impl AsRef<str>) -> Option<u16> {
    u16::from_str_radix(text.as_ref().get(..4)?, 16).ok()
}

/// The text of a string value; `None` for any other value.
pub fn text(raw: &str) -> Option<Cow<'_, str>> {
    inner(raw).map(plain)
}

/// The text that the inside of a string stands for.
pub fn plain(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    unescape(inner, &mut out);
    Cow::Owned(out)
}

/// Append a text as a JSON string, with its quotes.
pub fn write_text(out: &mut String, text: &str) {
    out.push('"');
    write_inner(out, text);
    out.push('"');
}

/// Append a text as the inside of a JSON string.
pub fn write_inner(out: &mut String, text: &str) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: Option<&str> = match byte {
            b'"' => Some("\\\""),
            b'\\' => Some("\\\\"),
            b'\n' => Some("\\n"),
            b'\r' => Some("\\r"),
            b'\t' => Some("\\t"),
            0..=0x1f => None,
            _ => continue,
        };
        out.push_str(&text[from..at]);
        match escape {
            Some(escape) => out.push_str(escape),
            None => out.push_str(&format!("\\u{byte:04x}")),
        }
        from = at + 1;
    }
    out.push_str(&text[from..]);
}

/// Why a text is not what it should be, in serde_json's words.
pub fn why_not(text: &str) -> serde_json::Error {
    match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => error,
        Ok(_) => serde::de::Error::custom("another kind of value was expected"),
    }
}

/// Whether a text is one JSON value and nothing more.
pub fn is_valid(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(inner: &str) -> String {
        let mut out = String::new();
        unescape(inner, &mut out);
        out
    }

    #[test]
    fn escapes_become_text() {
        assert_eq!(unescaped(r#"a\n\t\"\\\/\u00fc\b\f\r"#), "a\n\t\"\\/ü\u{8}\u{c}\r");
        assert_eq!(unescaped(r"\ud83c\udf0d"), "🌍");
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced_and_two_halves_joined_unread_are_whole() {
        assert_eq!(unescaped(r"x\ud83c"), "x\u{FFFD}");
        assert_eq!(unescaped(r"\udf0dx"), "\u{FFFD}x");
        assert_eq!(unescaped(r"\ud83c\n"), "\u{FFFD}\n");
        assert_eq!(unescaped(&[r"\ud83c", r"\udf0d"].concat()), "🌍");
    }

    #[test]
    fn text_written_and_read_is_the_same() {
        for text in ["", "plain", "quo\"te \\ back", "line\nfeed\t\u{1}", "ü🌍"] {
            let mut written = String::new();
            write_text(&mut written, text);
            assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
            assert_eq!(super::text(&written).unwrap(), text);
        }
    }
}
