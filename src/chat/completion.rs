//! A whole answer in one JSON object: what it is, and what the library must know of it. Its bytes are not touched.

use super::assemble::{Assembly, Words};
use super::chunk::{self, Chunk};
use super::json;
use super::scan::Scanner;

/// What one JSON answer turned out to be.
pub enum Whole {
    /// A completion.
    Completion {
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
    let Some(chunk) = Chunk::read(body) else {
        let error = json::why_not(body);
        return if error.is_eof() { Whole::Unfinished } else { not_an_object(body, &error) };
    };
    if chunk.error.is_some() || chunk.gave_up() {
        return Whole::Refused;
    }
    if !chunk.lists_choices {
        return Whole::Strange("it is JSON but no chat completion: it has no choices".to_owned());
    }
    let mut assembly = Assembly::default();
    let words = if wants_words {
        assembly.add(&chunk, None);
        assembly.words()
    } else {
        Words::default()
    };
    let told = |name: &str| chunk.others.iter().find(|(key, _)| *key == name).map(|(_, raw)| (*raw).to_owned());
    Whole::Completion { words, model: told("model"), usage: told("usage") }
}

/// A list of errors (Gemini) is a refusal, and so is an error with something behind it; the rest is no answer.
fn not_an_object(body: &str, error: &serde_json::Error) -> Whole {
    let is_refusal = |chunk: Option<Chunk<'_>>| chunk.is_some_and(|chunk| chunk.error.is_some());
    let mut first = Chunk::default();
    let mut has_error = first.fill(&mut Scanner::new(body)).is_some() && first.error.is_some();
    json::elements(body, |element| has_error |= is_refusal(Chunk::read(element)));
    if has_error { Whole::Refused } else { Whole::Strange(format!("it is no JSON object ({error})")) }
}

/// Whether every choice of the completion has ended.
pub fn is_finished(body: &str) -> bool {
    Chunk::read(body).is_some_and(|chunk| {
        !chunk.choices.is_empty()
            && chunk.choices.iter().all(|choice| choice.finish.is_some_and(|raw| chunk::ends(raw)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let kind = |body: &str| match read(body, true) {
            Whole::Completion { words, .. } => words.text,
            Whole::Refused => "refused".into(),
            Whole::Unfinished => "unfinished".into(),
            Whole::Strange(_) => "strange".into(),
        };
        assert_eq!(kind(r#"{"choices":[{"message":{"content":"hi"},"finish_reason":null}]}"#), "hi");
        assert_eq!(
            kind(r#"{"choices":[{"index":1,"message":{"content":"no"}},{"index":0,"message":{"content":"yes"}}]}"#),
            "yes"
        );
        assert_eq!(kind(r#"{"choices":[]}"#), "");
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
