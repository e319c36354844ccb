//! Most chunks of a stream are the one before with another word in it. Such a chunk is recognised by comparing bytes,
//! which costs a small part of reading it: everything but the content was told before, and telling it again changes
//! nothing.

use super::chunk::Chunk;
use super::json;
use super::scan;

/// Where the content lies in a chunk that says nothing else new.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// The choice that speaks.
    pub choice: u64,
    before: usize,
    behind: usize,
}

impl Pattern {
    /// The pattern of a chunk that was read from `text`: one choice, not ended, whose delta holds a content and
    /// otherwise nothing that comes in pieces.
    pub fn of(text: &str, chunk: &Chunk<'_>) -> Option<Self> {
        let [choice] = chunk.choices.as_slice() else { return None };
        let says = |raw: Option<&str>| raw.is_some_and(json::says);
        if chunk.error.is_some() || choice.whole || says(choice.finish) || says(choice.logprobs) {
            return None;
        }
        let (mut content, mut only) = (None, true);
        json::members(choice.delta?, |name, value| match name {
            "content" if content.is_none() => content = json::inner(value),
            "role" => {}
            _ => only &= json::is_null(value),
        })?;
        let content = content.filter(|_| only)?;
        let before = content.as_ptr() as usize - text.as_ptr() as usize;
        Some(Pattern { choice: choice.index, before, behind: text.len() - before - content.len() })
    }

    /// The content of `next`, as it is written, if `next` is `last` (whose pattern this is) in everything else.
    pub fn content<'a>(&self, last: &str, next: &'a str) -> Option<&'a str> {
        let (last, bytes) = (last.as_bytes(), next.as_bytes());
        let end = bytes.len().checked_sub(self.behind).filter(|end| *end >= self.before)?;
        let same = bytes[..self.before] == last[..self.before] && bytes[end..] == last[last.len() - self.behind..];
        next.get(self.before..end).filter(|inner| same && scan::is_inside_of_a_string(inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Option<Pattern> {
        Pattern::of(text, &Chunk::read(text).unwrap())
    }

    fn chunk(delta: &str, rest: &str) -> String {
        format!(r#"{{"id":"x","choices":[{{"index":1,"delta":{delta}{rest}}}],"usage":null}}"#)
    }

    #[test]
    fn a_chunk_that_differs_in_its_content_is_recognised() {
        let last = chunk(r#"{"content":"a","refusal":null}"#, r#","finish_reason":null"#);
        let pattern = pattern(&last).unwrap();
        assert_eq!(pattern.choice, 1);
        for content in ["", "b", "a", r"\n\u00fc\\", "ü🌍", r#"\""#] {
            let next = chunk(&format!(r#"{{"content":"{content}","refusal":null}}"#), r#","finish_reason":null"#);
            assert_eq!(pattern.content(&last, &next), Some(content));
        }
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
            longer,
            String::new(),
        ];
        for next in others {
            assert_eq!(pattern.content(&last, &next), None, "{next}");
        }
    }

    #[test]
    fn what_comes_in_pieces_or_ends_is_no_pattern() {
        for (delta, rest) in [
            (r#"{"content":"a","reasoning":"b"}"#, ""),
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
