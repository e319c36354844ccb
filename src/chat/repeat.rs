//! Most chunks of a stream are the one before with another word in it. Such a chunk is recognised by comparing bytes,
//! which costs a small part of reading it: everything but the word was told before, and telling it again changes
//! nothing. (OpenAI also sends random padding that hides the length of the word.)

use std::ops::Range;

use super::chunk::Chunk;
use super::json;
use super::scan::{self, PADDING};

/// In these members of a delta a choice speaks.
const VOICES: [&str; 3] = ["content", "reasoning_content", "reasoning"];

/// Where the word lies in a chunk that says nothing else new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The choice that speaks.
    pub choice: u64,
    /// The member in which it does.
    pub voice: &'static str,
    said: Range<usize>,
    padding: Option<Range<usize>>,
}

/// What a chunk says that is the one before in everything else.
#[derive(Debug, PartialEq, Eq)]
pub struct Following<'a> {
    /// So many bytes of it are those of the one before.
    pub same: usize,
    /// All behind them.
    pub rest: &'a str,
    /// The word, as it is written.
    pub word: &'a str,
    /// The padding, as it is written.
    pub padding: Option<&'a str>,
}

impl Pattern {
    /// The pattern of a chunk that was read from `text`: one choice, not ended, that speaks in one member of its delta
    /// and otherwise says nothing that comes in pieces.
    pub fn of(text: &str, chunk: &Chunk<'_>) -> Option<Self> {
        let [choice] = chunk.choices.as_slice() else { return None };
        let says = |raw: Option<&str>| raw.is_some_and(json::says);
        if chunk.error.is_some() || choice.whole || says(choice.finish) || says(choice.logprobs) {
            return None;
        }
        let (mut said, mut only) = (None, true);
        scan::members(choice.delta?, |name, value| {
            let voice = VOICES.into_iter().find(|voice| *voice == name);
            match voice.zip(json::inner(value)) {
                Some(word) if said.is_none_or(|(_, known): (_, &str)| known.is_empty()) => said = Some(word),
                Some((_, word)) => only &= word.is_empty(),
                None => only &= name == "role" || json::is_null(value),
            }
        })?;
        let place = |part: &str| {
            let start = part.as_ptr() as usize - text.as_ptr() as usize;
            start..start + part.len()
        };
        let (voice, word) = said.filter(|_| only)?;
        let said = place(word);
        let padding = chunk.others.iter().find(|(name, _)| *name == PADDING).and_then(|(_, value)| json::inner(value));
        let padding = padding.map(place).filter(|padding| padding.start > said.end);
        Some(Pattern { choice: choice.index, voice, said, padding })
    }

    /// What `next` says, if it is `last` (whose pattern this is) in everything else. The pattern is that of `next` then.
    /// Only what follows the same beginning need be checked to be UTF-8.
    pub fn follow<'a>(&mut self, last: &str, next: &'a [u8]) -> Option<Following<'a>> {
        let mut follow = Follow { last: last.as_bytes(), next, from: 0, at: 0 };
        let said = follow.hole(&self.said)?;
        let padding = match &self.padding {
            Some(padding) => Some(follow.hole(padding)?),
            None => None,
        };
        follow.same_until(last.len())?;
        if follow.at != next.len() {
            return None;
        }
        let same = said.start;
        let rest = std::str::from_utf8(&next[same..]).ok()?;
        let text = |range: &Range<usize>| rest.get(range.start - same..range.end - same);
        let found = Following { same, rest, word: text(&said)?, padding: padding.as_ref().and_then(text) };
        (self.said, self.padding) = (said, padding);
        Some(found)
    }
}

/// A walk through two chunks at once.
struct Follow<'a, 'b> {
    last: &'b [u8],
    next: &'a [u8],
    from: usize, // in last
    at: usize,   // in next
}

impl Follow<'_, '_> {
    /// Both are the same up to this place in the last one.
    fn same_until(&mut self, place: usize) -> Option<()> {
        let same = self.last.get(self.from..place)?;
        if !self.next[self.at..].starts_with(same) {
            return None;
        }
        self.at += same.len();
        self.from = place;
        Some(())
    }

    /// Both are the same up to the inside of a string, which may be another one.
    fn hole(&mut self, hole: &Range<usize>) -> Option<Range<usize>> {
        self.same_until(hole.start)?;
        let start = self.at;
        self.at = scan::end_of_string(self.next, start)?;
        self.from = hole.end;
        Some(start..self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Option<Pattern> {
        Pattern::of(text, &Chunk::read(text).unwrap())
    }

    /// The word and the padding of a chunk that follows; checked to be all that is new in it.
    fn follow<'a>(pattern: &mut Pattern, last: &str, next: &'a str) -> Option<(&'a str, Option<&'a str>)> {
        let Following { same, rest, word, padding } = pattern.follow(last, next.as_bytes())?;
        assert_eq!(format!("{}{rest}", &last[..same]), next);
        Some((word, padding))
    }

    fn chunk(delta: &str, rest: &str) -> String {
        format!(r#"{{"id":"x","choices":[{{"index":1,"delta":{delta}{rest}}}],"usage":null}}"#)
    }

    #[test]
    fn a_chunk_that_differs_in_its_content_is_recognised_again_and_again() {
        let text =
            |content: &str| chunk(&format!(r#"{{"content":"{content}","refusal":null}}"#), r#","finish_reason":null"#);
        let mut last = text("a");
        let mut pattern = pattern(&last).unwrap();
        assert_eq!(pattern.choice, 1);
        for content in ["", "b", "a", r"\n\u00fc\\", "ü🌍", r#"\""#] {
            let next = text(content);
            assert_eq!(follow(&mut pattern, &last, &next), Some((content, None)));
            assert_eq!(Some(&pattern), self::pattern(&next).as_ref());
            last = next;
        }
    }

    #[test]
    fn padding_may_differ_too() {
        let text = |content: &str, padding: &str| {
            format!(r#"{{"choices":[{{"delta":{{"content":"{content}"}}}}],"obfuscation":"{padding}","x":1}}"#)
        };
        let mut last = text("a", "123");
        let mut pattern = pattern(&last).unwrap();
        for (content, padding) in [("bb", "4"), ("", ""), ("c", "567")] {
            let next = text(content, padding);
            assert_eq!(follow(&mut pattern, &last, &next), Some((content, Some(padding))));
            last = next;
        }
        assert_eq!(follow(&mut pattern, &last, &text("c", "567").replace('1', "2")), None);
    }

    #[test]
    fn reasoning_is_followed_as_well() {
        for delta in [
            r#"{"content":null,"reasoning":"a"}"#,
            r#"{"content":"","reasoning":"a"}"#,
            r#"{"reasoning":"a","content":""}"#,
        ] {
            let last = chunk(delta, "");
            let mut pattern = pattern(&last).unwrap();
            assert_eq!(pattern.voice, "reasoning");
            assert_eq!(follow(&mut pattern, &last, &last.replace("\"a\"", "\"b\"")), Some(("b", None)));
        }
        assert_eq!(pattern(&chunk(r#"{"content":"","reasoning":""}"#, "")).unwrap().voice, "reasoning");
    }

    #[test]
    fn a_chunk_that_differs_elsewhere_is_not() {
        let last = chunk(r#"{"content":"a"}"#, "");
        let pattern = pattern(&last).unwrap();
        let longer = format!("{last} ");
        let others = [
            chunk(r#"{"content":"b"}"#, r#","finish_reason":"stop""#),
            chunk(r#"{"content":"b","reasoning":"c"}"#, ""),
            chunk(r#"{"content":null}"#, ""),
            chunk("{\"content\":\"b\u{1}\"}", ""),
            chunk(r#"{"content":"b\"}"#, ""),
            last.replace("\"x\"", "\"y\""),
            last[..last.len() / 2].to_owned(),
            last[..last.len() - 1].to_owned(),
            longer,
            String::new(),
        ];
        for next in others {
            assert_eq!(follow(&mut pattern.clone(), &last, &next), None, "{next}");
        }
        let broken = [&last.as_bytes()[..pattern.said.start], b"\xff", &last.as_bytes()[pattern.said.end..]].concat();
        assert_eq!(pattern.clone().follow(&last, &broken), None, "no UTF-8");
    }

    #[test]
    fn what_comes_in_pieces_or_ends_is_no_pattern() {
        for (delta, rest) in [
            (r#"{"content":"a","reasoning":"b"}"#, ""),
            (r#"{"content":"a","content":"b"}"#, ""),
            (r#"{"content":"a","tool_calls":[]}"#, ""),
            (r#"{"content":[{"type":"text","text":"a"}]}"#, ""),
            (r#"{"content":null}"#, ""),
            ("{}", ""),
            (r#"{"content":"a"}"#, r#","finish_reason":"stop""#),
            (r#"{"content":"a"}"#, r#","logprobs":{"content":[]}"#),
        ] {
            assert!(pattern(&chunk(delta, rest)).is_none(), "{delta}{rest}");
        }
        assert!(pattern(r#"{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}"#).is_none());
        assert!(pattern(r#"{"choices":[]}"#).is_none());
    }
}
