//! A whole answer in one JSON object: what it is, and what the library must know of it. Its bytes are not touched.

use super::assemble::{Assembly, Words};
use super::chunk::{self, CHOICES_MOST, Chunk};
use super::json;
use super::scan::{self, Scanner};

/// What one JSON answer turned out to be.
pub enum Whole {
    /// A completion.
    Completion {
        /// Its bytes; what lies behind them is none of it.
        length: usize,
        /// What its choice 0 says.
        words: Words,
        /// The model, as it is written.
        model: Option<String>,
        /// The usage, as it is written.
        usage: Option<String>,
    },
    /// An error, told with a status of success.
    Refused,
    /// Not all of it is there.
    Unfinished,
    /// Something else; why.
    Strange(String),
}

/// Look at the body of a JSON answer. `wants_words`: decode what it says.
pub fn read(body: &str, wants_words: bool) -> Whole {
    let (mut scanner, mut chunk) = (Scanner::new(body), Chunk::default());
    let is_object = chunk.fill(&mut scanner).is_some();
    let length = scanner.position();
    if !is_object {
        return not_an_object(body);
    }
    let is_finished = is_finished_chunk(&chunk);
    if chunk.gave_up() || (chunk.error.is_some() && !is_finished) {
        return Whole::Refused;
    }
    // Behind a finished answer whatever follows changes nothing.
    let is_all = scanner.is_at_end();
    if !is_all && !is_finished {
        return not_an_object(body);
    }
    let length = if is_all { body.len() } else { length };
    if !chunk.lists_choices {
        return Whole::Strange("it is JSON but no chat completion: it has no choices".to_owned());
    }
    if chunk.choices.is_empty() {
        return Whole::Unfinished;
    }
    if chunk.choices.len() > CHOICES_MOST {
        return Whole::Strange(format!("it has more than {CHOICES_MOST} choices"));
    }
    let mut assembly = Assembly::default();
    let words = if wants_words {
        assembly.add(&chunk, None);
        assembly.words()
    } else {
        Words::default()
    };
    let told = |name: &str| chunk.others.iter().find(|(key, _)| *key == name).map(|(_, raw)| (*raw).to_owned());
    Whole::Completion { length, words, model: told("model"), usage: told("usage") }
}

/// A list of errors (Gemini) is a refusal; the rest is no answer, or not all of it.
fn not_an_object(body: &str) -> Whole {
    let error = json::why_not(body);
    let mut has_error = false;
    let is_refusal = |element| Chunk::read(element).is_some_and(|chunk| chunk.error.is_some());
    scan::elements(body, |element| has_error |= is_refusal(element));
    match has_error {
        true => Whole::Refused,
        false if error.is_eof() => Whole::Unfinished,
        false => Whole::Strange(format!("it is no JSON object ({error})")),
    }
}

/// Whether every choice of the completion has ended.
pub fn is_finished(body: &str) -> bool {
    let mut chunk = Chunk::default();
    chunk.fill(&mut Scanner::new(body)).is_some() && is_finished_chunk(&chunk)
}

fn is_finished_chunk(chunk: &Chunk<'_>) -> bool {
    !chunk.choices.is_empty() && chunk.choices.iter().all(|choice| choice.finish.is_some_and(chunk::ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let kind = |body: &str| match read(body, true) {
            Whole::Completion { words, .. } => words.text.as_str().to_owned(),
            Whole::Refused => "refused".into(),
            Whole::Unfinished => "unfinished".into(),
            Whole::Strange(_) => "strange".into(),
        };
        assert_eq!(kind(r#"{"choices":[{"message":{"content":"hi"},"finish_reason":null}]}"#), "hi");
        assert_eq!(
            kind(r#"{"choices":[{"index":1,"message":{"content":"no"}},{"index":0,"message":{"content":"yes"}}]}"#),
            "yes"
        );
        assert_eq!(kind(r#"{"choices":[]}"#), "unfinished");
        assert_eq!(
            kind(r#"{"choices":[{"message":{"content":"hi"},"finish_reason":null}],"error":{"code":1}}"#),
            "refused"
        );
        assert_eq!(
            kind(r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"error":{"code":1}}"#),
            "hi"
        );
        let finished = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
        assert_eq!(kind(&format!("{finished}\ndata: [DONE]")), "hi");
        assert_eq!(kind(&finished.replace("\"stop\"", "null").replace(']', "] x")), "strange");
        assert_eq!(kind(r#"{"choices":null,"error":{"message":"x"}}"#), "refused");
        assert_eq!(kind(r#"{"choices":[{"message":{},"finish_reason":"error"}]}"#), "refused");
        assert_eq!(kind(r#"[{"error":{"code":400}}]"#), "refused");
        assert_eq!(kind("{\"error\":{\"message\":\"x\"}}\n\ndata: [DONE]\n\n"), "refused");
        assert_eq!(kind(r#"{"choices":[{"message""#), "unfinished");
        for body in [r#"{"ok":true}"#, "[1]", "{} x", "{'a':1}"] {
            assert_eq!(kind(body), "strange", "{body}");
        }
    }
}
