//! Chunks into one completion, as if the server had not streamed. Strings are joined as they are written and read
//! once at the end; numbers keep their digits; what is unknown is kept at its place.

use super::chunk::{self, CHOICES_MOST, Choice, Chunk};
use super::content::{Content, details_text};
use super::json::{self, Raw};
use super::logprobs::Logprobs;
use super::merge::{Latest, Pieces, write_key, write_member};
use super::scan;
use super::tools::{FunctionCall, ToolCalls};
use crate::text::ZString;

/// What a host sees of one chunk beside its bytes: text and reasoning of choice 0.
#[derive(Default)]
pub struct Words {
    /// The content.
    pub text: ZString,
    /// The reasoning, whichever of its names the server uses; never two of them.
    pub reasoning: ZString,
}

impl Words {
    fn clear(&mut self) {
        self.text.clear();
        self.reasoning.clear();
    }
}

/// A completion that grows.
#[derive(Default)]
pub struct Assembly {
    id: String, // as they are written, these four; empty: not told yet
    model: String,
    created: String,
    usage: String,
    choices: Vec<Growing>,
    others: Latest,
}

#[derive(Default)]
struct Growing {
    index: u64,
    role: String,
    content: Content,
    pieces: Pieces,
    tool_calls: Option<Box<ToolCalls>>,
    function_call: FunctionCall,
    logprobs: Logprobs,
    finish: Option<String>,
    others: Latest,
    has_delta: bool,
    voice: Option<usize>, // the name in VOICES under which its reasoning was heard first
}

/// The names of reasoning. A server may tell the same under several; who began under one is heard under no other.
const VOICES: [&str; 3] = ["reasoning_content", "reasoning", "reasoning_details"];

impl Assembly {
    /// Add a chunk. `words` is what its choice 0 says; without it nothing is decoded.
    pub fn add(&mut self, chunk: &Chunk<'_>, mut words: Option<&mut Words>) {
        if let Some(words) = words.as_deref_mut() {
            words.clear();
        }
        for (key, raw) in &chunk.others {
            match *key {
                "id" => first(&mut self.id, raw),
                "model" => first(&mut self.model, raw),
                "created" => self.add_created(raw),
                "usage" => last_object(&mut self.usage, raw),
                "object" => {}
                _ => self.others.tell(key, raw),
            }
        }
        for choice in &chunk.choices {
            let heard = words.as_deref_mut().filter(|_| choice.index == 0);
            self.growing(choice.index).add(choice, heard);
        }
    }

    /// Add a chunk in which one choice says this, as it is written, in this member, with this padding, and no more.
    pub fn add_said(
        &mut self,
        (choice, voice): (u64, &str),
        inner: &str,
        padding: Option<&str>,
        mut words: Option<&mut Words>,
    ) {
        if let Some(words) = words.as_deref_mut() {
            words.clear();
        }
        self.growing(choice).add_said(voice, inner, words.filter(|_| choice == 0));
        if let Some(padding) = padding {
            self.others.tell_text(scan::PADDING, padding);
        }
    }

    /// Whether any choice was seen.
    pub fn has_choices(&self) -> bool {
        !self.choices.is_empty()
    }

    /// How many choices were seen.
    pub fn choices(&self) -> usize {
        self.choices.len()
    }

    /// Whether there are choices and every one has ended.
    pub fn is_finished(&self) -> bool {
        self.has_choices() && self.choices.iter().all(|choice| choice.finish.is_some())
    }

    /// The model that answers, as it is written.
    pub fn model(&self) -> Option<&str> {
        Some(self.model.as_str()).filter(|model| !model.is_empty())
    }

    /// The usage, as it is written.
    pub fn usage(&self) -> Option<&str> {
        Some(self.usage.as_str()).filter(|usage| !usage.is_empty())
    }

    /// All that choice 0 said.
    pub fn words(&self) -> Words {
        let mut words = Words::default();
        if let Some(choice) = self.choices.iter().find(|choice| choice.index == 0) {
            words.text.append(|text| choice.content.read(text));
            let named = VOICES.iter().filter_map(|name| choice.pieces.text(name));
            let reasoning = named.into_iter().find(|text| !text.is_empty());
            let details = || choice.pieces.tree("reasoning_details").map(|tree| details_text(&tree.to_string()));
            words.reasoning = reasoning.or_else(details).map(ZString::from).unwrap_or_default();
        }
        words
    }

    /// One `chat.completion`. An unfinished choice has `finish_reason: null`. `new_id` names calls that have no id.
    pub fn write(&self, out: &mut String, mut new_id: impl FnMut() -> String) {
        let or = |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
        out.push_str("{\"id\":");
        out.push_str(&or(&self.id, "\"\""));
        write_member(out, "object", "\"chat.completion\"");
        write_member(out, "created", &or(&self.created, "0"));
        write_member(out, "model", &or(&self.model, "\"\""));
        write_key(out, "choices");
        out.push('[');
        let mut choices: Vec<&Growing> = self.choices.iter().collect();
        choices.sort_by_key(|choice| choice.index);
        for (place, choice) in choices.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            choice.write(out, &mut new_id);
        }
        out.push(']');
        if !self.usage.is_empty() {
            write_member(out, "usage", &self.usage);
        }
        self.others.write(out);
        out.push('}');
    }

    /// Whether it has more choices than any answer can have.
    pub fn has_too_many_choices(&self) -> bool {
        self.choices.len() > CHOICES_MOST
    }

    fn growing(&mut self, index: u64) -> &mut Growing {
        let place = self.choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            // Nearly always it is the only one, and streams are many.
            self.choices.reserve_exact(usize::from(self.choices.is_empty()));
            self.choices.push(Growing { index, ..Growing::default() });
            self.choices.len() - 1
        });
        &mut self.choices[place]
    }

    /// A whole number of seconds, however it is written.
    fn add_created(&mut self, raw: &str) {
        if !self.created.is_empty() {
            return;
        }
        let number = json::inner(raw).unwrap_or(raw);
        let mut whole = number.split('.').next().unwrap_or_default();
        let written; // lives as long as `whole`
        if number.contains(['e', 'E']) {
            written = number.parse::<f64>().unwrap_or_default().trunc().to_string();
            whole = &written;
        }
        if whole != "0" && (1..16).contains(&whole.len()) && whole.bytes().all(|byte| byte.is_ascii_digit()) {
            self.created.push_str(whole);
        }
    }
}

/// The first string that says something counts. A number becomes one.
fn first(known: &mut String, raw: &str) {
    if !known.is_empty() || !json::says(raw) {
        return;
    }
    match raw.as_bytes().first() {
        Some(b'"') => known.push_str(raw),
        Some(b'-' | b'0'..=b'9') => json::write_text(known, raw),
        _ => {}
    }
}

/// The last object that says something counts: usage is cumulative.
fn last_object(known: &mut String, raw: &str) {
    let mut says = false;
    if scan::members(raw, |_, value| says |= !json::is_null(value)).is_some() && says {
        known.clear();
        known.push_str(raw);
    }
}

impl Growing {
    fn add(&mut self, choice: &Choice<'_>, words: Option<&mut Words>) {
        let delta = choice.delta.filter(|_| !(choice.whole && self.has_delta));
        if let Some(delta) = delta {
            self.add_delta(delta, words);
        }
        if let Some(finish) = choice.finish.filter(|raw| chunk::ends(raw)) {
            let known = self.finish.get_or_insert_default();
            known.clear();
            known.push_str(finish);
        }
        if let Some(logprobs) = choice.logprobs {
            self.logprobs.add(logprobs);
        }
        choice.others.iter().for_each(|(key, value)| self.others.tell(key, value));
    }

    fn add_delta(&mut self, delta: Raw<'_>, mut words: Option<&mut Words>) {
        let mut reasoning = [""; 3];
        let read = scan::members(delta, |key, raw| match key {
            "content" => self.content.add(raw, words.as_deref_mut().map(|words| &mut words.text)),
            "role" => {
                if self.role.is_empty() {
                    self.role.push_str(json::inner(raw).unwrap_or_default());
                }
            }
            "tool_calls" => self.tool_calls.get_or_insert_default().add(raw),
            "function_call" => self.function_call.add(raw),
            _ => {
                if let Some(voice) = VOICES.iter().position(|voice| *voice == key) {
                    reasoning[voice] = raw;
                }
                self.pieces.add(key, raw);
            }
        });
        self.has_delta |= read.is_some();
        let Some(words) = words else { return };
        for (voice, raw) in reasoning.into_iter().enumerate().filter(|(_, raw)| !raw.is_empty()) {
            let details; // lives as long as what is heard of it
            let inner = match json::inner(raw) {
                Some(inner) => inner,
                None => {
                    details = escaped(&details_text(raw));
                    &details
                }
            };
            self.hear(voice, inner, words);
        }
    }

    /// One member of a delta says this.
    fn add_said(&mut self, voice: &str, inner: &str, words: Option<&mut Words>) {
        match VOICES.iter().position(|known| *known == voice) {
            None => {
                if let Some(words) = words {
                    words.text.append(|text| json::unescape(inner, text));
                }
                self.content.add_inner(inner);
            }
            Some(place) => {
                if let Some(words) = words {
                    self.hear(place, inner, words);
                }
                self.pieces.add_inner(voice, inner);
            }
        }
    }

    /// Reasoning under one of its names; who began under one is heard under no other.
    fn hear(&mut self, voice: usize, inner: &str, words: &mut Words) {
        if !inner.is_empty() && *self.voice.get_or_insert(voice) == voice {
            words.reasoning.append(|text| json::unescape(inner, text));
        }
    }

    fn write(&self, out: &mut String, new_id: &mut impl FnMut() -> String) {
        let role = if self.role.is_empty() { "assistant" } else { &self.role };
        out.push_str(&format!("{{\"index\":{},\"message\":{{\"role\":\"{role}\",\"content\":", self.index));
        self.content.write(out);
        self.pieces.write(out);
        if let Some(calls) = self.tool_calls.as_ref().filter(|calls| !calls.is_empty()) {
            write_key(out, "tool_calls");
            calls.write(out, |_| new_id());
        }
        self.function_call.write(out);
        out.push('}');
        write_key(out, "logprobs");
        self.logprobs.write(out);
        write_member(out, "finish_reason", self.finish.as_deref().unwrap_or("null"));
        self.others.write(out);
        out.push('}');
    }
}

fn escaped(text: &str) -> String {
    let mut inner = String::new();
    json::write_inner(&mut inner, text);
    inner
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn assembled(chunks: &[&str]) -> (Value, Words) {
        let mut assembly = Assembly::default();
        for chunk in chunks {
            assembly.add(&Chunk::read(chunk).unwrap(), None);
        }
        let mut out = String::new();
        assembly.write(&mut out, || "new".to_owned());
        (serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}")), assembly.words())
    }

    #[test]
    fn a_lean_stream_gives_a_whole_completion() {
        let (whole, words) = assembled(&[
            r#"{"choices":[{"delta":{"content":"a"}}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
        ]);
        let expected = serde_json::json!({"id":"","object":"chat.completion","created":0,"model":"","choices":[
            {"index":0,"message":{"role":"assistant","content":"a"},"logprobs":null,"finish_reason":"stop"}]});
        assert_eq!((whole, words.text.as_str()), (expected, "a"));
    }

    #[test]
    fn the_first_chunk_that_says_nothing_spoils_nothing() {
        let (whole, _) = assembled(&[
            r#"{"id":"","model":"","created":0,"choices":[],"prompt_filter_results":[1]}"#,
            r#"{"id":"x","model":"m","created":1700000000.25,"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}"#,
            r#"{"id":"y","model":null,"created":"17","choices":[],"usage":{"total_tokens":3}}"#,
            r#"{"choices":[],"usage":{}}"#,
        ]);
        assert_eq!((&whole["id"], &whole["model"], &whole["created"]), (&"x".into(), &"m".into(), &1700000000.into()));
        assert_eq!((&whole["usage"]["total_tokens"], &whole["prompt_filter_results"][0]), (&3.into(), &1.into()));
        assert_eq!(whole["choices"][0]["message"]["content"], Value::Null);
    }

    #[test]
    fn text_and_parts_are_joined_in_order() {
        let delta = |content: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"content":{content}}}}}]}}"#);
        let chunks =
            [r#"[{"type":"thinking","thinking":[]}]"#, r#"[{"type":"text","text":"forty-"}]"#, r#""two""#, "null"]
                .map(delta);
        let (whole, words) = assembled(&chunks.each_ref().map(String::as_str));
        let parts = serde_json::json!([{"type":"thinking","thinking":[]},{"type":"text","text":"forty-two"}]);
        assert_eq!((&whole["choices"][0]["message"]["content"], words.text.as_str()), (&parts, "forty-two"));
    }

    #[test]
    fn half_an_emoji_in_each_of_two_chunks_is_one_emoji() {
        let chunks =
            [r#"{"choices":[{"delta":{"content":"\ud83c"}}]}"#, r#"{"choices":[{"delta":{"content":"\udf0d"}}]}"#];
        assert_eq!(assembled(&chunks).1.text.as_str(), "🌍");
    }

    #[test]
    fn logprobs_lists_grow() {
        let delta = |list: &str| {
            format!(r#"{{"choices":[{{"index":0,"delta":{{}},"logprobs":{{"content":{list},"refusal":null}}}}]}}"#)
        };
        let chunks = ["[]", r#"[{"token":"a"}]"#, r#"[ {"token":"b"}, {"token":"c"} ]"#].map(delta);
        let (whole, _) = assembled(&chunks.each_ref().map(String::as_str));
        assert_eq!(
            whole["choices"][0]["logprobs"],
            serde_json::json!({"content":[{"token":"a"},{"token":"b"},{"token":"c"}],"refusal":null})
        );
    }

    #[test]
    fn only_one_of_the_names_of_reasoning_is_heard() {
        let chunk = r#"{"choices":[{"delta":{"reasoning":"a","reasoning_content":"a","reasoning_details":[{"type":"reasoning.text","text":"a"}]}}]}"#;
        let mut words = Words::default();
        let mut assembly = Assembly::default();
        assembly.add(&Chunk::read(chunk).unwrap(), Some(&mut words));
        assert_eq!((words.reasoning.as_str(), assembly.words().reasoning.as_str()), ("a", "a"));
    }
}
