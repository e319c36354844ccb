//! What must never be read anywhere, and how it is masked.
//!
//! Servers send back what they were sent, and seldom as they got it: in JSON, in URLs, in pages, or one within the other.
//! So a text is looked at as it is and unpacked in each of these ways, a few times over; what is found in any of these
//! views is masked where it stands in the text. What cannot be told from chance is left: words of less than four bytes.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::text::text_end;

const MASK: &str = "***";
/// Words shorter than this are not masked: they would blot out ordinary text and are no secret worth the name.
const SHORTEST: usize = 4;
/// So often is a text unpacked.
const DEEPEST: usize = 3;

/// The secrets of one client. Everything that leaves in a message, body, report or log line goes through [`Secrets::mask`].
#[derive(Default, Clone)]
pub struct Secrets {
    words: Vec<String>, // in small letters: names of fields are, and what is written into them
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
        let word = word.to_ascii_lowercase();
        if word.len() >= SHORTEST && !self.words.contains(&word) {
            self.words.push(word);
        }
    }

    /// The text without any secret in it.
    pub fn mask(&self, text: String) -> String {
        self.mask_with(&Secrets::default(), text)
    }

    /// The text without any secret of both in it.
    pub fn mask_with(&self, others: &Secrets, text: String) -> String {
        self.masked(others, text, false)
    }

    /// The same for a text that was cut off, perhaps within a secret: the beginning of one at its end goes, too.
    pub fn mask_cut_with(&self, others: &Secrets, text: String) -> String {
        self.masked(others, text, true)
    }

    fn masked(&self, others: &Secrets, text: String, is_cut: bool) -> String {
        let words: Vec<&str> = self.words.iter().chain(&others.words).map(String::as_str).collect();
        let Some(shortest) = words.iter().map(|word| if is_cut { SHORTEST } else { word.len() }).min() else {
            return text;
        };
        if text.len() < shortest {
            return text;
        }
        let mut found = Vec::new();
        look(&View::of(&text), &words, false, 0, &mut found);
        if is_cut {
            let longest = words.iter().map(|word| word.len()).max().unwrap_or_default();
            found.extend(cut_at(&text, longest, &words).map(|at| at..text.len()));
        }
        replaced(text, found)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.words.len())
    }
}

/// The text with a mask over each of these ranges; those that overlap are one.
fn replaced(text: String, mut ranges: Vec<Range<usize>>) -> String {
    if ranges.is_empty() {
        return text;
    }
    ranges.sort_by_key(|range| range.start);
    let (mut out, mut kept) = (String::with_capacity(text.len()), 0);
    for range in ranges {
        if range.start >= kept {
            out.push_str(&text[kept..range.start]);
            out.push_str(MASK);
        }
        kept = kept.max(range.end);
    }
    out.push_str(&text[kept..]);
    out
}

/// A text unpacked, and where each of its bytes comes from.
struct View {
    text: String,        // in small letters
    origins: Vec<usize>, // one more than bytes: the last is the end. Empty: each byte stands where it stood
}

impl View {
    fn of(text: &str) -> Self {
        View { text: text.to_ascii_lowercase(), origins: Vec::new() }
    }

    fn origin(&self, at: usize) -> usize {
        if self.origins.is_empty() { at } else { self.origins[at] }
    }

    /// Unpack: `form` reads one character that is packed, and says how many bytes that takes. `None`: nothing is.
    fn unpacked(&self, form: Form) -> Option<View> {
        let bytes = self.text.as_bytes();
        let first = memchr::memchr(form.begins_with, bytes)?;
        let mut next =
            View { text: self.text[..first].to_owned(), origins: (0..first).map(|at| self.origin(at)).collect() };
        let (mut at, mut is_packed) = (first, false);
        while at < bytes.len() {
            let found = if bytes[at] == form.begins_with { (form.read)(&self.text[at..]) } else { None };
            is_packed |= found.is_some();
            let plain = || self.text[at..].chars().next().map(|character| (character, character.len_utf8()));
            let Some((character, length)) = found.or_else(plain) else { break };
            next.text.push(character.to_ascii_lowercase());
            next.origins.resize(next.text.len(), self.origin(at));
            at += length;
        }
        next.origins.push(self.origin(bytes.len()));
        is_packed.then_some(next)
    }
}

/// A way in which characters are packed.
#[derive(Clone, Copy)]
struct Form {
    begins_with: u8,
    read: fn(&str) -> Option<(char, usize)>,
}

const FORMS: [Form; 3] = [
    Form { begins_with: b'\\', read: json_form },
    Form { begins_with: b'%', read: percent_form },
    Form { begins_with: b'&', read: html_form },
];

/// Look for the words in this view and in those that come out of it; say where they stand in the text.
fn look(view: &View, words: &[&str], is_cut: bool, depth: usize, found: &mut Vec<Range<usize>>) {
    let text = view.text.as_bytes();
    for word in words {
        let places = memchr::memmem::find_iter(text, word.as_bytes());
        found.extend(places.map(|at| view.origin(at)..view.origin(at + word.len())));
        if let Some(at) = beginning_at_end(text, word.as_bytes()).filter(|_| is_cut) {
            found.push(view.origin(at)..view.origin(text.len()));
        }
    }
    if depth < DEEPEST {
        for next in FORMS.iter().filter_map(|form| view.unpacked(*form)) {
            look(&next, words, is_cut, depth + 1, found);
        }
    }
}

/// Where the longest beginning of the word stands that ends the text.
fn beginning_at_end(text: &[u8], word: &[u8]) -> Option<usize> {
    let from = text.len().saturating_sub(word.len() - 1);
    let to = text.len().saturating_sub(SHORTEST - 1);
    (from..to).find(|at| text[*at] == word[0] && word.starts_with(&text[*at..]))
}

/// Where the beginning of a word stands that was cut off with the text, perhaps within a form of a character.
fn cut_at(text: &str, longest: usize, words: &[&str]) -> Option<usize> {
    const LONGEST_FORM: usize = 12;
    let from = text_end(text, text.len().saturating_sub((longest + 1) * LONGEST_FORM));
    let tail = &text[from..];
    let last = text_end(tail, tail.len().saturating_sub(LONGEST_FORM));
    let forms = tail[last..].match_indices(['\\', '%', '&']).map(|(at, _)| last + at);
    let mut found = Vec::new();
    for end in forms.chain([tail.len()]) {
        let mut here = Vec::new();
        look(&View::of(&tail[..end]), words, true, 0, &mut here);
        found.extend(here.into_iter().filter(|range| range.end == end).map(|range| from + range.start));
    }
    found.into_iter().min()
}

/// `\/`, `\n`, `\u0026`, or two of those for one character.
fn json_form(text: &str) -> Option<(char, usize)> {
    let letter = text[1..].chars().next()?;
    let plain = match letter {
        'u' => return unicode_form(text),
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        '"' | '\\' | '/' => letter,
        _ => return None,
    };
    Some((plain, 2))
}

fn unicode_form(text: &str) -> Option<(char, usize)> {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    let units = [Some(unit(text)?), text.get(6..).and_then(unit)];
    let decoded = char::decode_utf16(units.into_iter().flatten()).next()?.ok()?;
    Some((decoded, 6 * decoded.len_utf16()))
}

/// `%2B`, or several of those for one character.
fn percent_form(text: &str) -> Option<(char, usize)> {
    let byte = |place: usize| {
        let digits = text.get(3 * place..)?.strip_prefix('%')?.get(..2)?;
        u8::from_str_radix(digits, 16).ok()
    };
    let bytes: Vec<u8> = (0..4).map_while(byte).collect();
    (1..=bytes.len()).find_map(|count| {
        let character = std::str::from_utf8(&bytes[..count]).ok()?.chars().next()?;
        Some((character, 3 * count))
    })
}

/// `&amp;`, `&#38;`, `&#x26;`.
fn html_form(text: &str) -> Option<(char, usize)> {
    const LONGEST: usize = 12;
    let end = text.bytes().take(LONGEST).position(|byte| byte == b';')?;
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
    Some((char::from_u32(code?)?, end + 1))
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

    #[test]
    fn forms_that_look_like_the_secret_itself_hide_nothing() {
        for (secret, sent) in [
            ("hunter%25two%25", "hunter%25two%25"),
            ("hunter%25two%25", "hunter%2525two%2525"),
            (r"pa\\ssword", r"pa\\\\ssword"),
            (r"ends\\", r"ends\\"),
            ("ends&amp;", "ends&amp;"),
            ("100%hunter", "100%2525hunter"),
            ("a&b\"hunter", r"a\u0026amp;b\u0026quot;hunter"),
            ("x%41y&", r"x%41y\u0026"),
        ] {
            assert_eq!(secrets(&[secret]).mask(format!("({sent}) {sent}")), "(***) ***", "{secret} sent as {sent}");
        }
        let cut = secrets(&["&%;\\u\";u\"5&5"]).mask_cut_with(&Secrets::default(), "got &%;\\u\";u\"5&amp".into());
        assert_eq!(cut, "got ***");
    }

    #[test]
    fn a_text_that_is_all_escapes_takes_no_longer_than_its_length() {
        let secrets = secrets(&[r"pa\\ssword", "100%hunter", "a&b\"hunter", "a".repeat(4000).as_str()]);
        for piece in ["\\", "%25", "&amp;", "\\u0026", "a", " "] {
            let text = piece.repeat((1 << 20) / piece.len());
            assert!(secrets.mask_cut_with(&Secrets::default(), text).len() <= 1 << 20); // quadratic it would take minutes
        }
    }
}
