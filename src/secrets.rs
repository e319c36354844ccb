//! What must never be read anywhere, and how it is masked.
//!
//! Servers send back what they were sent, and seldom as they got it: in JSON, where any character may be escaped, in
//! URLs, in pages. So a secret is looked for character by character, each in any of its forms. What cannot be told from
//! chance is left: words of less than four characters.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const MASK: &str = "***";
/// Words shorter than this are not masked: they would blot out ordinary text and are no secret worth the name.
const SHORTEST: usize = 4;
/// No form of a character is longer: `\ud83c\udf0d`, behind some more backslashes.
const LONGEST_FORM: usize = 20;

/// The secrets of one client. Everything that leaves in a message, body, report or log line goes through [`Secrets::mask`].
#[derive(Default, Clone)]
pub struct Secrets {
    words: Vec<String>, // longest first, so that a part never spoils the whole
}

/// What stands at a place of a text.
#[derive(PartialEq, Eq, Debug)]
enum Found {
    /// The word, in so many bytes.
    Whole(usize),
    /// So many characters of the word; there the text ends.
    Cut(usize),
    No,
}

impl Secrets {
    /// Remember a secret; of a header value like `Bearer abc` also the part behind the scheme, and the password in one
    /// like `Basic dTpw`.
    pub fn add(&mut self, value: &str) {
        let value = value.trim();
        self.add_word(value);
        if let Some((scheme, rest)) = value.split_once(' ') {
            self.add_word(rest.trim());
            let decoded = STANDARD.decode(rest.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"));
            if let Some(login) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) {
                self.add_word(login.split_once(':').map_or(login.as_str(), |(_, password)| password));
            }
        }
    }

    /// Remember each cookie of several.
    pub fn add_cookies(&mut self, value: &str) {
        for cookie in value.split(';') {
            self.add_word(cookie.split_once('=').map_or(cookie, |(_, value)| value).trim());
        }
    }

    fn add_word(&mut self, word: &str) {
        if word.len() >= SHORTEST && !self.words.iter().any(|known| known == word) {
            self.words.push(word.to_owned());
            self.words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        }
    }

    /// The text without any secret in it.
    pub fn mask(&self, text: String) -> String {
        self.mask_with(&Secrets::default(), text)
    }

    /// The text without any secret of both in it.
    pub fn mask_with(&self, others: &Secrets, text: String) -> String {
        self.with(others).into_iter().fold(text, masked)
    }

    /// The same for a text that was cut off, perhaps within a secret: the beginning of one at its end goes, too.
    pub fn mask_cut_with(&self, others: &Secrets, text: String) -> String {
        let mut text = self.mask_with(others, text);
        let cuts = self.with(others).into_iter().filter_map(|word| beginning_at_end(&text, word)).min();
        if let Some(at) = cuts {
            text.truncate(at);
            text.push_str(MASK);
        }
        text
    }

    /// All words of both, longest first.
    fn with<'a>(&'a self, others: &'a Secrets) -> Vec<&'a str> {
        let mut words: Vec<_> = self.words.iter().chain(&others.words).map(String::as_str).collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.words.len())
    }
}

fn masked(text: String, word: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut kept, mut at) = (String::new(), 0, 0);
    while let Some(found) = next_start(&bytes[at..], word) {
        at += found;
        match look(&text[at..], word) {
            Found::Whole(length) => {
                out.push_str(&text[kept..at]);
                out.push_str(MASK);
                at += length;
                kept = at;
            }
            _ => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
    if kept == 0 {
        return text;
    }
    out.push_str(&text[kept..]);
    out
}

/// Where the word may begin.
fn next_start(bytes: &[u8], word: &str) -> Option<usize> {
    let first = word.as_bytes()[0].to_ascii_lowercase();
    bytes.iter().position(|byte| byte.to_ascii_lowercase() == first || matches!(byte, b'\\' | b'%' | b'&'))
}

/// Where a beginning of the word stands at the end of the text.
fn beginning_at_end(text: &str, word: &str) -> Option<usize> {
    let from = text.len().saturating_sub(word.chars().count() * LONGEST_FORM);
    let begins = |at: &usize| text.is_char_boundary(*at) && next_start(&text.as_bytes()[*at..], word) == Some(0);
    (from..text.len())
        .filter(begins)
        .find(|at| matches!(look(&text[*at..], word), Found::Cut(count) if count >= SHORTEST))
}

/// What stands at the beginning of the text.
fn look(text: &str, word: &str) -> Found {
    let mut rest = text;
    for (count, (at, wanted)) in word.char_indices().enumerate() {
        if rest.is_empty() {
            return Found::Cut(count);
        }
        // Names of fields are small letters, and what is written into them.
        let plain = rest.starts_with(|found: char| found.eq_ignore_ascii_case(&wanted)).then_some(wanted.len_utf8());
        let packed = packed_form(rest, wanted);
        if let (Some(_), Some(packed)) = (plain, packed) {
            // An `&amp;` may be one character or five.
            let taken = text.len() - rest.len() + packed;
            match look(&rest[packed..], &word[at + wanted.len_utf8()..]) {
                Found::Whole(length) => return Found::Whole(taken + length),
                Found::Cut(more) => return Found::Cut(count + 1 + more),
                Found::No => {}
            }
        }
        match plain.or(packed) {
            Some(length) => rest = &rest[length..],
            None if rest.len() < LONGEST_FORM && rest.starts_with(['\\', '%', '&']) => return Found::Cut(count),
            None => return Found::No,
        }
    }
    Found::Whole(text.len() - rest.len())
}

/// The length of the form, other than itself, in which the text begins with this character.
fn packed_form(text: &str, wanted: char) -> Option<usize> {
    match text.as_bytes()[0] {
        b'\\' if wanted == '\\' => {
            // Doubled as often as the text was packed; one more belongs to what follows.
            let run = text.len() - text.trim_start_matches('\\').len();
            Some(run - run % 2).filter(|length| *length > 0)
        }
        b'\\' => json_form(text, wanted),
        b'%' => percent_form(text, wanted),
        b'&' => html_form(text, wanted),
        _ => None,
    }
}

/// `\/`, `\n`, `\u0026`, a pair of those; JSON within JSON has more backslashes.
fn json_form(text: &str, wanted: char) -> Option<usize> {
    let mut units = [0u16; 2];
    let mut rest = text;
    for (place, unit) in wanted.encode_utf16(&mut units).iter().enumerate() {
        let behind = rest.trim_start_matches('\\');
        if behind.len() == rest.len() {
            return None;
        }
        let letter = behind.chars().next()?;
        rest = match letter {
            'u' if u16::from_str_radix(behind.get(1..5)?, 16).ok()? == *unit => &behind[5..],
            'n' | 't' | 'r' | 'b' | 'f' if place == 0 && control(letter) == wanted => &behind[1..],
            _ if place == 0 && letter == wanted && letter.is_ascii_punctuation() => &behind[1..],
            _ => return None,
        };
    }
    Some(text.len() - rest.len())
}

fn control(letter: char) -> char {
    match letter {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        _ => '\u{c}',
    }
}

/// `%2B`, once or, as `%252B`, more often.
fn percent_form(text: &str, wanted: char) -> Option<usize> {
    let mut bytes = [0u8; 4];
    let mut rest = text;
    for byte in wanted.encode_utf8(&mut bytes).bytes() {
        rest = rest.strip_prefix('%')?;
        while let Some(again) = rest.strip_prefix("25").filter(|_| byte != b'%') {
            rest = again;
        }
        if u8::from_str_radix(rest.get(..2)?, 16).ok()? != byte {
            return None;
        }
        rest = &rest[2..];
    }
    Some(text.len() - rest.len())
}

/// `&amp;`, `&#38;`, `&#x26;`.
fn html_form(text: &str, wanted: char) -> Option<usize> {
    let end = text.bytes().take(LONGEST_FORM).position(|byte| byte == b';')?;
    let name = &text[1..end];
    let code = match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => digits.parse().ok(),
        },
        None => [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\'')]
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, character)| *character as u32),
    };
    (code? == wanted as u32).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(words: &[&str]) -> Secrets {
        let mut secrets = Secrets::default();
        words.iter().for_each(|word| secrets.add(word));
        secrets
    }

    #[test]
    fn a_secret_and_the_part_behind_its_scheme_are_masked() {
        let secrets = secrets(&["Bearer sk-123456", "k"]);
        assert_eq!(secrets.mask("got Bearer sk-123456 and sk-123456".into()), "got *** and ***");
        assert_eq!(secrets.mask("kk".into()), "kk", "too short");
        assert_eq!(secrets.mask("sk-12345, sk-sk-123456!".into()), "sk-12345, sk-***!");
        assert_eq!(secrets.mask("SK-123456".into()), "***");
    }

    #[test]
    fn a_secret_within_another_does_not_spoil_it() {
        let (one, other) = (secrets(&["test"]), secrets(&["sk-test-1234"]));
        for mask in
            [one.mask_with(&other, "sk-test-1234 test".into()), other.mask_with(&one, "sk-test-1234 test".into())]
        {
            assert_eq!(mask, "*** ***");
        }
    }

    #[test]
    fn cookies_and_passwords_are_secrets_alone() {
        let mut secrets = secrets(&["Basic dXNlcjpodW50ZXIy"]);
        secrets.add_cookies("session=9c0d11aa; theme=dark; lonely");
        assert_eq!(secrets.mask("hunter2 9c0d11aa dark lonely user".into()), "*** *** *** *** user");
    }

    #[test]
    fn a_secret_is_masked_in_every_form_that_servers_give_it() {
        let secrets = secrets(&["a/b\"c&d+e<ö\\🌍%"]);
        for form in [
            "a/b\"c&d+e<ö\\🌍%",
            r#"a\/b\"c&d+e<ö\\🌍%"#,
            r#"a/b\u0022c\u0026d\u002Be\u003cö\\🌍%"#,
            r#"\u0061/b\"c&d\u002be<\u00f6\\\ud83c\udf0d%"#,
            r#"a\\/b\\\"c\\u0026d+e<\\u00f6\\\\🌍%"#,
            "a%2Fb%22c%26d%2Be%3C%C3%B6\\%f0%9f%8c%8d%",
            "a%252Fb%2522c%2526d%2be%3c%c3%b6\\🌍%",
            "a/b&quot;c&amp;d&#43;e&lt;&#xF6;\\&#127757;%",
        ] {
            assert_eq!(secrets.mask(format!("<{form}>{form}")), "<***>***", "{form}");
        }
        for other in ["a/b\"c&d+e<ö\\🌍", r#"a\/b\nc&d+e<ö\\🌍%"#, "a%2Gb", "%", "\\", "&amp", "a%"] {
            assert_eq!(secrets.mask(other.into()), other);
        }
    }

    #[test]
    fn the_beginning_of_a_secret_goes_where_a_text_was_cut() {
        let secrets = secrets(&["sk-helio+key"]);
        for (text, cut) in [
            ("key: sk-helio", "key: ***"),
            ("key: sk-helio+key and sk-h", "key: *** and ***"),
            ("key: sk-helio\\u00", "key: ***"),
            ("key: sk-", "key: sk-"),
            ("key: sk-helio is cut", "key: sk-helio is cut"),
        ] {
            assert_eq!(secrets.mask_cut_with(&Secrets::default(), text.into()), cut);
        }
    }
}
