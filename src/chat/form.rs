//! Which form the body of an answer has. What the server sends decides, not what was asked: the content type says which
//! form it is if the first bytes agree; otherwise they decide: `{` is JSON, a field name or `:` a stream. Blank lines and
//! comments before either are keep-alives, read once and not kept.

const FIELDS: [&[u8]; 5] = [b"data", b"event", b"id", b"retry", b"error"];
/// No field that anybody knows has a longer name: it is known by then what begins here.
const NAME_MOST: usize = 32;

/// What `Content-Type` promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promise {
    /// `text/event-stream`.
    Stream,
    /// A JSON type.
    Json,
    /// Nothing that is known.
    Nothing,
}

impl Promise {
    /// Of a `Content-Type` value.
    pub fn of(content_type: Option<&str>) -> Self {
        let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "text/event-stream" => Promise::Stream,
            "application/json" | "text/json" => Promise::Json,
            other if other.ends_with("+json") => Promise::Json,
            _ => Promise::Nothing,
        }
    }
}

/// What came before it was known which form it has.
#[derive(Default)]
pub(super) struct Beginning {
    /// What came, less the keep-alives before it.
    pub seen: Vec<u8>,
    begun: bool, // there can be no byte order mark any more
    comment: u64,
}

/// What begins.
pub(super) enum Decision {
    Wait,
    Json,
    Stream,
    Neither,
}

impl Beginning {
    /// How many bytes a line has that has not ended.
    pub fn line(&self) -> u64 {
        self.comment + self.seen.len() as u64
    }

    /// Whether it may become an answer, if more came.
    pub fn may_be_answer(&self) -> bool {
        let word = self.seen.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
        word.is_empty() || begins_field(word)
    }

    /// Which form begins here. Takes keep-alives off the front, also those that have not ended.
    pub fn decide(&mut self, promise: Promise) -> Decision {
        const BOM: &[u8] = b"\xef\xbb\xbf";
        let seen = &mut self.seen;
        if !self.begun {
            if seen.len() < BOM.len() && BOM.starts_with(seen) {
                return Decision::Wait;
            }
            if seen.starts_with(BOM) {
                seen.drain(..BOM.len());
            }
            self.begun = true;
        }
        let mut at = 0;
        let first = loop {
            if self.comment > 0 {
                let end = memchr::memchr2(b'\n', b'\r', &seen[at..]);
                let length = end.unwrap_or(seen.len() - at);
                at += length;
                self.comment = if end.is_some() { 0 } else { self.comment + length as u64 };
            }
            at += seen[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            match seen.get(at) {
                Some(b':') => self.comment = 1,
                other => break other.copied(),
            }
        };
        seen.drain(..at); // once, whatever the number of keep-alives
        match first {
            None => return Decision::Wait,
            Some(b'{' | b'[') => return Decision::Json,
            Some(_) => {}
        }
        let word = &seen[..seen.len().min(NAME_MOST)];
        let end = word.iter().position(|byte| matches!(byte, b':' | b'\r' | b'\n'));
        let name = &word[..end.unwrap_or(word.len())];
        let lenient = promise == Promise::Stream
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        match end {
            Some(_) if FIELDS.contains(&name) || lenient => Decision::Stream,
            None if lenient && name.len() == NAME_MOST => Decision::Stream,
            None if begins_field(name) || lenient => Decision::Wait,
            _ => Decision::Neither,
        }
    }
}

fn begins_field(word: &[u8]) -> bool {
    FIELDS.iter().any(|field| field.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_say_what_it_is_is_not_kept() {
        let mut comment = Beginning::default();
        for piece in std::iter::once(&b":aaaaaaaaa"[..]).chain([&b"aaaaaaaaaa"[..]; 99]) {
            comment.seen.extend_from_slice(piece);
            assert!(matches!(comment.decide(Promise::Nothing), Decision::Wait) && comment.seen.is_empty());
        }
        assert!((1000..=1001).contains(&comment.line()), "{}", comment.line());
        let mut name = Beginning::default();
        name.seen.extend_from_slice(&[b'a'; NAME_MOST - 1]);
        assert!(matches!(name.decide(Promise::Stream), Decision::Wait));
        name.seen.push(b'a');
        assert!(matches!(name.decide(Promise::Stream), Decision::Stream), "its reader has the limits");
    }
}
