//! Text for C: UTF-8 with a NUL behind it that the length does not count, and small helpers for text.

use std::borrow::Cow;

/// A string that is followed by a NUL byte wherever its pointer goes.
#[derive(Clone, Debug, Default)]
pub struct ZString {
    bytes: String, // ends in NUL, or is empty: no text, no memory
}

impl From<String> for ZString {
    fn from(mut text: String) -> Self {
        text.push('\0');
        ZString { bytes: text }
    }
}

impl ZString {
    /// A copy of a text, no larger than it must be.
    pub fn of(text: &str) -> Self {
        let mut copy = ZString::default();
        copy.set(text);
        copy
    }

    /// The text, without its NUL.
    pub fn as_str(&self) -> &str {
        &self.bytes[..self.len()]
    }

    /// Bytes of the text, the NUL not counted.
    pub fn len(&self) -> usize {
        self.bytes.len().saturating_sub(1)
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// This, if there is text.
    pub fn non_empty(&self) -> Option<&Self> {
        (!self.is_empty()).then_some(self)
    }

    /// For C: `len()` bytes and a NUL.
    pub fn as_ptr(&self) -> *const std::ffi::c_char {
        if self.bytes.is_empty() { c"".as_ptr() } else { self.bytes.as_ptr().cast() }
    }

    /// Replace the text by this one; the buffer is kept, if it is large enough.
    pub fn set(&mut self, text: &str) {
        self.set_from(0, text);
    }

    /// Replace by this what comes from `at` on.
    pub fn set_from(&mut self, at: usize, text: &str) {
        self.bytes.truncate(at);
        self.bytes.reserve_exact(text.len() + 1);
        self.bytes.push_str(text);
        self.bytes.push('\0');
    }

    /// Behind the text goes what `write` appends.
    pub fn append(&mut self, write: impl FnOnce(&mut String)) {
        self.bytes.pop();
        write(&mut self.bytes);
        self.bytes.push('\0');
    }

    /// No text any more; the buffer is kept.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Bytes as text; what is not UTF-8 becomes U+FFFD, as the event-stream standard says.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    // The check by itself is much faster.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The same of bytes that are given away.
pub fn into_lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|broken| lossy(broken.as_bytes()).into_owned())
}

/// At most `limit` bytes of the text, cut at a character and marked where it was cut.
pub fn excerpt(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    format!("{}…", &text[..text_end(text, limit)])
}

/// Where to cut a text so that no more than `limit` bytes are left and no character is cut.
pub fn text_end(text: &str, limit: usize) -> usize {
    (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0)
}

/// The candidate that is most like `word`, if one is like it at all.
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let best = candidates.iter().min_by_key(|candidate| distance(word, candidate))?;
    (distance(word, best) <= best.len().max(word.len()).div_ceil(2)).then_some(best)
}

/// Edits (insert, delete, replace) between two short words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zstring_ends_in_nul_that_its_length_does_not_count() {
        let mut text = ZString::from("häh".to_owned());
        assert_eq!((text.len(), text.as_str(), text.bytes.as_bytes()[4]), (4, "häh", 0));
        text.set("over");
        text.set_from(0, "oth");
        text.set_from(3, "er");
        assert_eq!(text.as_str(), "other");
        text.append(|buffer| buffer.push_str(" one"));
        assert_eq!((text.as_str(), text.bytes.as_bytes()[9]), ("other one", 0));
        text.clear();
        for mut empty in [text, ZString::default()] {
            // SAFETY: it points to text that ends in a NUL.
            assert_eq!(unsafe { std::ffi::CStr::from_ptr(empty.as_ptr()) }, c"");
            assert_eq!((empty.is_empty(), empty.as_str()), (true, ""));
            empty.append(|buffer| buffer.push('a'));
            assert_eq!((empty.as_str(), empty.bytes.as_bytes()[1]), ("a", 0));
        }
    }

    #[test]
    fn the_nearest_name_is_found_and_a_stranger_is_not() {
        let keys = ["timeouts", "retry", "base_url", "max_in_flight"];
        assert_eq!(nearest("timeout", &keys), Some("timeouts"));
        assert_eq!(nearest("bas_url", &keys), Some("base_url"));
        assert_eq!(nearest("max_inflight", &keys), Some("max_in_flight"));
        assert_eq!(nearest("zzzzzzzzzzzzzzz", &keys), None);
    }

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        assert_eq!(excerpt("äöü", 3), "ä…");
        assert_eq!(excerpt("abc", 3), "abc");
    }

    #[test]
    fn broken_utf8_becomes_replacement_characters() {
        for (bytes, text) in [(&b"a\xffb"[..], "a\u{FFFD}b"), (b"ab", "ab")] {
            assert_eq!((&*lossy(bytes), into_lossy(bytes.to_vec()).as_str()), (text, text));
        }
    }
}
