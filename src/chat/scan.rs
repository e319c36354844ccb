//! Reading JSON in one pass, without making values of it: every byte of a stream goes through here.
//!
//! The text is checked by the whole grammar of RFC 8259 and handed out as it is written. Nothing is allocated for
//! what is shallow, and depth costs no stack. serde_json does the same in three to four times the instructions, most
//! of them for values that nobody wants; the tests hold this reader against it.

use smallvec::SmallVec;

/// A place in a text. Methods answer `None` when what stands there is no JSON.
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// At the beginning of a text.
    pub fn new(text: &'a str) -> Self {
        Scanner { text, at: 0 }
    }

    /// How many bytes are behind.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next byte that is no blank; 0 at the end.
    #[inline]
    pub fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(byte) => return *byte,
                None => return 0,
            }
        }
    }

    /// Whether nothing but blanks follows.
    pub fn is_at_end(&mut self) -> bool {
        self.peek();
        self.at == self.text.len()
    }

    /// Any value, as it is written.
    pub fn value(&mut self) -> Option<&'a str> {
        let first = self.peek();
        let start = self.at;
        match first {
            b'{' | b'[' => self.skip_container()?,
            _ => self.skip_scalar(first)?,
        }
        self.text.get(start..self.at)
    }

    /// An object: `visit` gets each name as it is written, and must read the value behind it. (A name that the
    /// library knows comes without escapes, however it is written.)
    #[inline]
    pub fn object(&mut self, mut visit: impl FnMut(&'a str, &mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.peek() == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let name = self.name()?;
            visit(name, self)?;
            if !self.goes_on(b'}')? {
                return Some(());
            }
        }
    }

    /// An array: `visit` must read one element.
    #[inline]
    pub fn array(&mut self, mut visit: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        if self.peek() == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            visit(self)?;
            if !self.goes_on(b']')? {
                return Some(());
            }
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek() == byte).then(|| self.at += 1)
    }

    /// Behind an element: another one, or the end.
    #[inline]
    fn goes_on(&mut self, closer: u8) -> Option<bool> {
        let byte = self.peek();
        self.at += 1;
        match byte {
            b',' => Some(true),
            _ if byte == closer => Some(false),
            _ => None,
        }
    }

    /// A name and the colon behind it.
    #[inline]
    fn name(&mut self) -> Option<&'a str> {
        let name = self.string()?;
        self.expect(b':')?;
        Some(if name.contains('\\') { known_name(name) } else { name })
    }

    /// A string's inside, as it is written.
    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        let end = end_of_string(self.text.as_bytes(), start)?;
        self.at = end + 1;
        self.text.get(start..end)
    }

    fn skip_scalar(&mut self, first: u8) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let length = match first {
            b'"' => return self.string().map(|_| ()),
            b'-' | b'0'..=b'9' => number(rest)?,
            b't' if rest.starts_with(b"true") => 4,
            b'f' if rest.starts_with(b"false") => 5,
            b'n' if rest.starts_with(b"null") => 4,
            _ => return None,
        };
        self.at += length;
        Some(())
    }

    /// An object or array of any depth.
    fn skip_container(&mut self) -> Option<()> {
        let mut open: SmallVec<[u8; 32]> = SmallVec::new(); // what closes each of those that are open
        loop {
            let first = self.peek();
            match first {
                b'{' | b'[' => {
                    self.at += 1;
                    let closer = if first == b'{' { b'}' } else { b']' };
                    if self.peek() == closer {
                        self.at += 1;
                    } else {
                        open.push(closer);
                        if closer == b'}' {
                            self.string()?;
                            self.expect(b':')?;
                        }
                        continue;
                    }
                }
                _ => self.skip_scalar(first)?,
            }
            // A value is behind us.
            loop {
                let Some(closer) = open.last().copied() else { return Some(()) };
                if self.goes_on(closer)? {
                    if closer == b'}' {
                        self.string()?;
                        self.expect(b':')?;
                    }
                    break;
                }
                open.pop();
            }
        }
    }
}

/// What a vector or two hold.
const BLOCK: usize = 32;

/// Where the escape that begins at `at` ends.
fn escape_until(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' if bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => Some(at + 6),
        _ => None,
    }
}

/// The place from `at` on of the first byte that is not plain: a quote, a backslash, a control character, or the end.
/// Eight bytes at a time; a text that is longer than most is passed over in blocks, which a compiler puts into vectors.
#[inline]
fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut long = at + BLOCK;
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*eight);
        // The high bit of a byte is set if the byte is below the limit, which is 1 for what was made zero: unless it was
        // set before, as it never is in what is looked for. A byte behind a hit may be set wrongly, so only the first
        // counts.
        let quote = (word ^ (ONES * 0x22)).wrapping_sub(ONES);
        let backslash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
        let control = word.wrapping_sub(ONES * 0x20);
        let found = (quote | backslash | control) & !word & HIGHS;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
        if at == long {
            at += plain_blocks(&bytes[at..]);
            long = usize::MAX;
        }
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}

/// So many bytes lie in blocks that are plain throughout.
#[inline(never)]
fn plain_blocks(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let is_plain =
        |block: &&[u8; BLOCK]| !block.iter().fold(false, |odd, byte| odd | matches!(byte, b'"' | b'\\' | 0..0x20));
    blocks.iter().take_while(is_plain).count() * BLOCK
}

/// The place of the quote that ends the string whose inside begins at `at`.
#[inline]
pub fn end_of_string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = plain_until(bytes, at);
        match *bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at = escape_until(bytes, at)?,
            _ => return None, // a control character
        }
    }
}

/// OpenAI's padding, which hides how long a word is.
pub const PADDING: &str = "obfuscation";

/// The names that the library looks for.
const KNOWN: [&str; 31] = [
    "id",
    "object",
    "model",
    "created",
    "usage",
    "choices",
    "error",
    "index",
    "delta",
    "message",
    "finish_reason",
    "logprobs",
    "role",
    "content",
    "tool_calls",
    "function_call",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "type",
    "function",
    "custom",
    "name",
    "arguments",
    "input",
    "text",
    "thinking",
    "summary",
    "stream",
    "n",
    PADDING,
];

/// A name that is written with escapes: the known one that it stands for, else as it is written.
#[cold]
fn known_name(inner: &str) -> &str {
    let mut name = String::new();
    super::json::unescape(inner, &mut name);
    KNOWN.into_iter().find(|known| *known == name).unwrap_or(inner)
}

/// The length of the number that stands here.
fn number(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(bytes[0] == b'-');
    match digits(at) {
        0 => return None,
        count if count > 1 && bytes[at] == b'0' => return None,
        count => at += count,
    }
    if bytes.get(at) == Some(&b'.') {
        let count = digits(at + 1);
        if count == 0 {
            return None;
        }
        at += 1 + count;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        match digits(at.min(bytes.len())) {
            0 => return None,
            count => at += count,
        }
    }
    Some(at)
}

/// Show each member of the object that `text` is, its value as it is written. `None`: it is no object, or no JSON.
#[inline]
pub fn members<'a>(text: &'a str, mut visit: impl FnMut(&'a str, &'a str)) -> Option<()> {
    let mut scanner = Scanner::new(text);
    scanner.object(|name, scanner| {
        visit(name, scanner.value()?);
        Some(())
    })?;
    scanner.is_at_end().then_some(())
}

/// Show each element of the array that `text` is, as it is written. `None`: it is no array, or no JSON.
pub fn elements<'a>(text: &'a str, mut visit: impl FnMut(&'a str)) -> Option<()> {
    Scanner::new(text).array(|scanner| {
        visit(scanner.value()?);
        Some(())
    })
}

/// The value of one member of an object.
pub fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut found = None;
    members(object, |key, value| {
        if key == name {
            found = Some(value);
        }
    })?;
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.value().is_some() && scanner.is_at_end()
    }

    const WHOLE: [&str; 7] = [
        r#" {"a" : [1, -0.5e+10, 0, 1E5, {"b":{}}, [], [[]]] , "ü\n\u00fc\"":"x\ty", "c":null} "#,
        r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"Hello, wörld 🌍 \\ \/"},"finish_reason":null}]}"#,
        "[true,false,null,\"\",\"12345678\\\"9\",123456789012345678901234567890]",
        "\"a string that is longer than eight bytes and plain\"",
        "\"a string that is so long that it is passed over in blocks, of which it fills more than three: 32, 64, 96, 128, ü\"",
        "-12.25e-3",
        "{}",
    ];

    #[test]
    fn it_accepts_what_serde_json_accepts_and_nothing_else() {
        // Every whole text, each of its beginnings, and each with one byte taken out or replaced.
        let replacements = [
            '"', '\\', '{', '}', '[', ']', ',', ':', '0', '-', '.', 'e', 'u', 'n', ' ', '\n', '\u{1f}', '\u{0}', 'x',
            'ü',
        ];
        let mut tried = 0;
        let mut check = |text: &str| {
            tried += 1;
            assert_eq!(accepts(text), super::super::json::is_valid(text), "{text:?}");
        };
        for whole in WHOLE {
            check(whole);
            for (at, character) in whole.char_indices() {
                let (head, tail) = (&whole[..at], &whole[at + character.len_utf8()..]);
                check(head);
                check(&format!("{head}{tail}"));
                for other in replacements {
                    check(&format!("{head}{other}{tail}"));
                    check(&format!("{head}{other}{character}{tail}"));
                }
            }
        }
        assert!(tried > 10_000);
    }

    #[test]
    fn values_come_as_they_are_written_and_depth_costs_no_stack() {
        let deep = format!(r#"{{"deep":{}{},"n": 1e400 ,"\u006e":2}}"#, "[".repeat(200_000), "]".repeat(200_000));
        let mut seen = Vec::new();
        let read = Scanner::new(&deep).object(|name, scanner| {
            seen.push((name, scanner.value()?.len()));
            Some(())
        });
        assert_eq!(read, Some(()));
        assert_eq!(seen, [("deep", 400_000), ("n", 5), ("n", 1)]);
    }

    #[test]
    fn elements_are_read_one_by_one() {
        let mut seen = Vec::new();
        let read = Scanner::new("[ 1, \"a\" ,{}]").array(|scanner| {
            seen.push(scanner.value()?);
            Some(())
        });
        assert_eq!(read, Some(()));
        assert_eq!(seen, ["1", "\"a\"", "{}"]);
        assert!(Scanner::new("[1,]").array(|scanner| scanner.value().map(drop)).is_none());
    }

    #[test]
    fn members_are_shown_as_they_are_written() {
        let mut seen = Vec::new();
        members("{\"n\":1e400, \"s\" : \"\\n\" }", |key, value| seen.push((key, value))).unwrap();
        assert_eq!(seen, [("n", "1e400"), ("s", "\"\\n\"")]);
        assert!(members("[1]", |_, _| ()).is_none());
        assert!(members("{} x", |_, _| ()).is_none());
        assert_eq!(member("{\"a\":1,\"b\":2.50}", "b"), Some("2.50"));
    }
}
