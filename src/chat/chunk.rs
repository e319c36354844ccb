//! One chunk of a stream, read in one pass and borrowed: which members it has, as they are written.
//!
//! What a member should be and is not (choices that are no array, an index that is no number) is passed over:
//! a strict reader breaks on half of the servers there are.

use smallvec::SmallVec;

use super::json::{self, Raw};
use super::scan::Scanner;

/// Members that have no place of their own: names as they are written, and values.
pub type Others<'a, const N: usize> = SmallVec<[(&'a str, Raw<'a>); N]>;

/// No server gives more choices; OpenAI's limit is 128.
pub(super) const CHOICES_MOST: usize = 1024;

/// A chunk's own members.
#[derive(Default)]
pub struct Chunk<'a> {
    /// The choices.
    pub choices: SmallVec<[Choice<'a>; 1]>,
    /// Whether there is a list of choices at all.
    pub lists_choices: bool,
    /// The error, unless it says nothing.
    pub error: Option<Raw<'a>>,
    /// All other members.
    pub others: Others<'a, 8>,
}

/// One choice of a chunk.
#[derive(Default)]
pub struct Choice<'a> {
    /// Its index; its place in the chunk where the server gives none.
    pub index: u64,
    /// Its delta; `message` where a server sends whole messages.
    pub delta: Option<Raw<'a>>,
    /// Whether the delta was called `message`.
    pub whole: bool,
    /// `finish_reason`, as it is written.
    pub finish: Option<Raw<'a>>,
    /// `logprobs`, as it is written.
    pub logprobs: Option<Raw<'a>>,
    /// All other members.
    pub others: Others<'a, 2>,
}

impl<'a> Chunk<'a> {
    /// Read a chunk that is all of a text. `None`: it is no JSON object.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut chunk = Chunk::default();
        let mut scanner = Scanner::new(text);
        chunk.fill(&mut scanner)?;
        scanner.is_at_end().then_some(chunk)
    }

    /// Read a chunk that stands at the beginning of what is left.
    pub fn fill(&mut self, scanner: &mut Scanner<'a>) -> Option<()> {
        scanner.object(|name, scanner| {
            match name {
                "choices" if scanner.peek() == b'[' => {
                    self.lists_choices = true;
                    scanner.array(|scanner| Choice::read(scanner, &mut self.choices))?;
                }
                "choices" => {
                    scanner.value()?;
                }
                "error" => self.error = Some(scanner.value()?).filter(|error| is_error(error)),
                _ => self.others.push((name, scanner.value()?)),
            }
            Some(())
        })
    }

    /// Whether the server gave up on a choice.
    pub fn gave_up(&self) -> bool {
        self.choices.iter().any(|choice| choice.finish == Some("\"error\""))
    }
}

impl<'a> Choice<'a> {
    fn read(scanner: &mut Scanner<'a>, choices: &mut SmallVec<[Choice<'a>; 1]>) -> Option<()> {
        if scanner.peek() != b'{' || choices.len() > CHOICES_MOST {
            return scanner.value().map(|_| ());
        }
        choices.push(Choice { index: choices.len() as u64, ..Choice::default() });
        let choice = choices.last_mut()?;
        scanner.object(|name, scanner| {
            let value = scanner.value()?;
            match name {
                "index" => choice.index = json::whole(value).unwrap_or(choice.index),
                "delta" if !json::is_null(value) => {
                    choice.delta = Some(value);
                    choice.whole = false;
                }
                "message" if choice.delta.is_none() && !json::is_null(value) => {
                    choice.delta = Some(value);
                    choice.whole = true;
                }
                "delta" | "message" => {}
                "finish_reason" => choice.finish = Some(value),
                "logprobs" => choice.logprobs = Some(value),
                _ => choice.others.push((name, value)),
            }
            Some(())
        })
    }
}

/// Whether an `error` member is one: `null`, `false`, `""`, `{}` and `[]` say that there is none.
pub fn is_error(raw: &str) -> bool {
    !json::is_empty(raw) && raw != "false"
}

/// Whether a `finish_reason` ends a choice: absent, null, `""` and `"error"` do not, any other value does.
pub fn ends(finish: &str) -> bool {
    json::says(finish) && finish != "\"error\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_members_have_their_place_and_the_others_are_kept() {
        let text = r#"{"id":"x","choices":[{"index":1,"delta":{"content":"a"},"finish_reason":null,"score":1e400}],"usage":null,"error":null}"#;
        let chunk = Chunk::read(text).unwrap();
        assert_eq!(chunk.others.iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["id", "usage"]);
        assert!(chunk.error.is_none());
        assert!(chunk.lists_choices);
        let choice = &chunk.choices[0];
        assert_eq!((choice.index, choice.delta), (1, Some(r#"{"content":"a"}"#)));
        assert_eq!(choice.others[0], ("score", "1e400"));
    }

    #[test]
    fn what_is_of_the_wrong_kind_is_passed_over() {
        for choices in ["null", "{}", "17", "1e400", "\"x\"", "true", "[null, 3, [], \"x\"]", "{\"a\":{\"b\":[1]}}"] {
            let text = format!("{{\"choices\":{choices},\"id\":\"x\"}}");
            let chunk = Chunk::read(&text).unwrap_or_else(|| panic!("{choices}"));
            assert!(chunk.choices.is_empty() && chunk.others.len() == 1, "{choices}");
        }
        let odd = Chunk::read(r#"{"choices":[{"index":"one"},{"index":"7"},{"index":null}]}"#).unwrap();
        assert_eq!(odd.choices.iter().map(|choice| choice.index).collect::<Vec<_>>(), [0, 7, 2]);
        for broken in ["", "[1]", "17", "{", "{}x", "{\"a\":\u{0}}"] {
            assert!(Chunk::read(broken).is_none(), "{broken:?}");
        }
    }
}
