//! The body of an answer: what comes out of it, read by read, in whichever of its two forms it is.

use super::assemble::{Assembly, Words};
use super::completion::{self, Whole};
pub use super::form::Promise;
use super::form::{Beginning, Decision};
pub use super::stream::{Fault, Final, Step};
use super::stream::{Stream, Told};
use crate::text::{ZString, into_lossy};

/// How large things may become.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// A line or an event.
    pub event_bytes: u64,
    /// The whole body, decoded.
    pub response_bytes: u64,
}

/// What the body adds up to when no more comes.
pub enum Verdict {
    /// A whole completion.
    Complete(Final),
    /// Something is missing.
    Truncated,
    /// Not one byte.
    Empty,
    /// No answer of ours.
    Fault(Fault),
}

/// Reads one body.
pub struct Body {
    promise: Promise,
    limits: BodyLimits,
    wants_words: bool,
    total: u64,
    form: Form,
}

enum Form {
    Unknown(Beginning),
    Json(Vec<u8>),
    Stream(Box<Stream>),
}

impl Body {
    /// A body of which nothing has come. `wants_words`: decode what chunks and completion say.
    pub fn new(promise: Promise, limits: BodyLimits, wants_words: bool) -> Self {
        Body { promise, limits, wants_words, total: 0, form: Form::Unknown(Beginning::default()) }
    }

    /// Take what is needed off the front of `input` and say what came of it. Call it again until it wants more.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Step, Fault> {
        self.total += input.len() as u64;
        let before = input.len();
        if self.total > self.limits.response_bytes {
            return Err(Fault::TooLarge("max_response_bytes"));
        }
        if let Form::Unknown(beginning) = &mut self.form {
            beginning.seen.reserve(input.len() + 1); // a whole answer, and the NUL behind it
            beginning.seen.extend_from_slice(input);
            *input = &[];
            match beginning.decide(self.promise) {
                Decision::Wait if beginning.line() > self.limits.event_bytes => {
                    return Err(Fault::TooLarge("max_event_bytes"));
                }
                Decision::Wait => return Ok(Step::More),
                Decision::Neither => return Err(neither(&beginning.seen)),
                Decision::Json => self.form = Form::Json(std::mem::take(&mut beginning.seen)),
                Decision::Stream => {
                    let limit = usize::try_from(self.limits.event_bytes).unwrap_or(usize::MAX);
                    self.form = Form::Stream(Box::new(Stream::new(limit, std::mem::take(&mut beginning.seen))));
                }
            }
        }
        let step = match &mut self.form {
            Form::Json(body) => {
                body.extend_from_slice(input);
                *input = &[];
                Ok(Step::More)
            }
            Form::Stream(stream) => stream.next(input, self.wants_words),
            Form::Unknown(_) => Ok(Step::More),
        };
        // What is handed back unread is counted when it is read.
        self.total -= input.len().min(before) as u64;
        step
    }

    /// No more bytes come: what the last of them still hold. Call it until it says `More`.
    pub fn rest(&mut self) -> Result<Step, Fault> {
        match &mut self.form {
            Form::Stream(stream) => stream.rest(self.wants_words),
            _ => Ok(Step::More),
        }
    }

    /// What all of it adds up to, when no more comes.
    pub fn verdict(&mut self) -> Verdict {
        match &mut self.form {
            Form::Unknown(_) if self.total == 0 => Verdict::Empty,
            Form::Unknown(beginning) if beginning.may_be_answer() => Verdict::Truncated,
            Form::Unknown(beginning) => Verdict::Fault(neither(&beginning.seen)),
            Form::Stream(stream) => {
                if stream.told().assembly.is_finished() {
                    Verdict::Complete(stream.take_final())
                } else {
                    Verdict::Truncated
                }
            }
            Form::Json(body) => judge(into_lossy(std::mem::take(body)), self.wants_words),
        }
    }

    /// What had come of a failed answer, once a chunk with a choice was parsed.
    pub fn partial(&mut self) -> Option<Final> {
        match &mut self.form {
            Form::Stream(stream) if stream.told().assembly.has_choices() => Some(stream.take_final()),
            _ => None,
        }
    }

    /// Use this buffer for the next event, if there is none.
    pub fn lend(&mut self, spare: &mut Vec<u8>) {
        if let Form::Stream(stream) = &mut self.form {
            stream.lend(spare);
        }
    }

    /// Give back memory that holds nothing until more bytes come; a buffer into `spare`.
    pub fn relax(&mut self, spare: &mut Vec<u8>) {
        if let Form::Stream(stream) = &mut self.form {
            stream.relax(spare);
        }
    }

    /// The chunk that was read last.
    pub fn chunk(&self) -> Option<&ZString> {
        self.told().map(|told| &told.chunk)
    }

    /// What choice 0 of that chunk says.
    pub fn words(&self) -> Option<&Words> {
        self.told().map(|told| &told.words)
    }

    /// Whether not one byte came.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// How many chunks came.
    pub fn chunks(&self) -> u64 {
        self.told().map_or(0, |told| told.chunks)
    }

    /// Whether `[DONE]` was seen.
    pub fn terminated(&self) -> bool {
        self.told().is_some_and(|told| told.is_terminated)
    }

    /// How many choices have been seen, if all of them have ended.
    pub fn finished_choices(&self) -> Option<usize> {
        self.told().map(|told| &told.assembly).filter(|assembly| assembly.is_finished()).map(Assembly::choices)
    }

    /// Whether bytes alone are progress: in JSON they are, in a stream only events are.
    pub fn counts_bytes(&self) -> bool {
        match &self.form {
            Form::Json(_) => true,
            Form::Unknown(_) => self.promise == Promise::Json,
            Form::Stream(_) => false,
        }
    }

    /// Whether a JSON answer is a whole completion though its framing was broken off.
    pub fn is_whole_json(&self) -> bool {
        matches!(&self.form, Form::Json(body) if std::str::from_utf8(body).is_ok_and(completion::is_finished))
    }

    fn told(&self) -> Option<&Told> {
        match &self.form {
            Form::Stream(stream) => Some(stream.told()),
            _ => None,
        }
    }
}

/// A JSON body that has ended.
fn judge(body: String, wants_words: bool) -> Verdict {
    match completion::read(&body, wants_words) {
        Whole::Completion { length, words, model, usage } => {
            let mut body = body;
            body.truncate(length);
            Verdict::Complete(Final { data: body.into(), words, model, usage })
        }
        Whole::Refused => Verdict::Fault(Fault::Refused(body)),
        Whole::Unfinished => Verdict::Truncated,
        Whole::Strange(why) => Verdict::Fault(Fault::Strange(why, body)),
    }
}

fn neither(seen: &[u8]) -> Fault {
    let text = String::from_utf8_lossy(seen).trim().to_owned();
    Fault::Strange("it is neither an event stream nor JSON".to_owned(), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::chunk::Chunk;

    const LIMITS: BodyLimits = BodyLimits { event_bytes: 1000, response_bytes: 10_000 };

    /// Texts of the chunks, and the verdict or fault in a word.
    fn read(promise: Promise, pieces: &[&[u8]]) -> (Vec<String>, String) {
        let (mut body, mut texts) = (Body::new(promise, LIMITS, true), Vec::new());
        let word = |fault: Fault| match fault {
            Fault::Refused(_) => "refused".to_owned(),
            Fault::Strange(..) => "strange".to_owned(),
            Fault::TooLarge(which) => which.to_owned(),
        };
        for piece in pieces {
            let mut input = *piece;
            loop {
                match body.next(&mut input) {
                    Ok(Step::Chunk) => texts.push(body.words().unwrap().text.as_str().to_owned()),
                    Ok(Step::Terminated) => break,
                    Ok(Step::More) => break,
                    Err(fault) => return (texts, word(fault)),
                }
            }
        }
        while body.rest() == Ok(Step::Chunk) {
            texts.push(body.words().unwrap().text.as_str().to_owned());
        }
        let verdict = match body.verdict() {
            Verdict::Complete(end) => format!("complete {}", end.words.text.as_str()),
            Verdict::Truncated => "truncated".to_owned(),
            Verdict::Empty => "empty".to_owned(),
            Verdict::Fault(fault) => word(fault),
        };
        (texts, verdict)
    }

    fn event(text: &str, finish: &str) -> String {
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{finish}}}]}}\n\n")
    }

    #[test]
    fn every_split_of_a_stream_and_of_json_gives_the_same() {
        let stream = format!("\u{feff}\n: hi\n\n{}{}data: [DONE]\n\n", event("a", "null"), event("ü", "\"stop\""));
        let json = "\u{feff} \n: keep-alive\n\n {\"choices\":[{\"message\":{\"content\":\"aü\"},\"finish_reason\":\"stop\"}]}\n";
        for promise in [Promise::Stream, Promise::Json, Promise::Nothing] {
            for (text, chunks) in [(stream.as_str(), 2), (json, 0)] {
                for cut in 0..text.len() {
                    let (head, tail) = text.as_bytes().split_at(cut);
                    let (texts, end) = read(promise, &[head, tail]);
                    assert_eq!((texts.len(), end.as_str()), (chunks, "complete aü"), "{promise:?} cut at {cut}");
                }
                let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
                assert_eq!(read(promise, &single).1, "complete aü");
            }
        }
    }

    #[test]
    fn chunks_alike_and_chunks_apart_add_up_as_if_each_was_read() {
        let deltas = [
            r#"{"role":"assistant","content":""}"#,
            r#"{"content":"a"}"#,
            r#"{"content":"b\n"}"#,
            r#"{"content":"\ud83c"}"#,
            r#"{"content":"\udf0d"}"#,
            r#"{"content":"c","x":"1"}"#,
            r#"{"content":"d","x":"1"}"#,
            r#"{"content":"d","x":"1"}"#,
            r#"{"content":[{"type":"text","text":"e"}]}"#,
            r#"{"content":"f"}"#,
            r#"{"content":"g"}"#,
            r#"{"content":null}"#,
            r#"{"content":null,"reasoning":"h"}"#,
            r#"{"content":null,"reasoning":"i"}"#,
            r#"{"content":null,"reasoning":"j"}"#,
            r#"{"content":"","reasoning_content":"k"}"#,
            r#"{"content":"","reasoning_content":"l"}"#,
        ];
        let chunks: Vec<String> =
            deltas
                .iter()
                .flat_map(|delta| {
                    [0, 1].map(|index| {
                        format!(
                            r#"{{"choices":[{{"index":{index},"delta":{delta}}}],"n":{index},"obfuscation":"{}"}}"#,
                            delta.len()
                        )
                    })
                })
                .chain([0, 1].map(|index| {
                    format!(r#" {{"choices":[{{"index":{index},"delta":{{}},"finish_reason":"stop"}}]}}"#)
                }))
                .collect();
        for order in [chunks.clone(), chunks.iter().rev().cloned().collect(), [chunks.clone(), chunks].concat()] {
            let mut expected = Assembly::default();
            order.iter().for_each(|chunk| expected.add(&Chunk::read(chunk).unwrap(), None));
            let mut whole = String::new();
            expected.write(&mut whole, String::new);
            let stream: String = order.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
            let mut body = Body::new(Promise::Stream, BodyLimits { event_bytes: 1000, response_bytes: 100_000 }, true);
            let mut input = stream.as_bytes();
            while body.next(&mut input) == Ok(Step::Chunk) {}
            let Verdict::Complete(told) = body.verdict() else { panic!("not complete") };
            assert_eq!(told.data.as_str(), whole);
        }
    }

    #[test]
    fn finish_reason_decides_and_nothing_else() {
        let end = |text: &str| read(Promise::Stream, &[text.as_bytes()]).1;
        let open = event("a", "null");
        assert_eq!(end(&format!("{open}data: [DONE]\n\n")), "truncated");
        assert_eq!(end(&open), "truncated");
        assert_eq!(end(&event("a", "\"\"")), "truncated");
        assert_eq!(end(&event("a", "\"eos\"")), "complete a");
        assert_eq!(end(&event("a", "7")), "complete a");
        assert_eq!(end(&event("a", "\"error\"")), "refused");
        assert_eq!(end("data: [DONE]\n\n"), "truncated");
        assert_eq!(end(": nothing\n\n"), "truncated");
        assert_eq!(end(""), "empty");
        assert_eq!(end("\n \n"), "truncated");
    }

    #[test]
    fn a_terminator_may_lack_its_blank_line_and_that_before_it() {
        let finished = event("a", "\"stop\"");
        for tail in ["data: [DONE]", "data: [DONE]\n", "data:[DONE] \n\n", "data: [DONE]\r\n"] {
            assert_eq!(read(Promise::Stream, &[finished.as_bytes(), tail.as_bytes()]).1, "complete a", "{tail:?}");
        }
        let joined = format!("{}\ndata: [DONE]\n\n", finished.trim_end());
        assert_eq!(read(Promise::Stream, &[joined.as_bytes()]), (vec!["a".to_owned()], "complete a".to_owned()));
        assert_eq!(read(Promise::Stream, &[finished.trim_end().as_bytes()]).1, "complete a");
        assert_eq!(read(Promise::Stream, &[&finished.trim_end().as_bytes()[..30]]).1, "truncated");
    }

    #[test]
    fn keep_alives_in_data_are_passed_over_and_nonsense_is_not() {
        let end =
            |data: &str| read(Promise::Stream, &[format!("data: {data}\n\n{}", event("a", "\"stop\"")).as_bytes()]).1;
        for ignored in ["", " ", "\"\"", ": keepalive"] {
            assert_eq!(end(ignored), "complete a", "{ignored:?}");
        }
        for strange in ["Error: crashed", "{\"id\":", "17", "[1]", "true"] {
            assert_eq!(end(strange), "strange", "{strange:?}");
        }
        for refused in ["{\"error\":{\"code\":503}}", "{\"error\":\"no\"}"] {
            assert_eq!(end(refused), "refused", "{refused:?}");
        }
        assert_eq!(end("{\"error\":null}"), "complete a");
    }

    #[test]
    fn pages_and_words_are_neither_form() {
        for text in ["<!DOCTYPE html>", "Not Found", "Error: no", "0123", "data less"] {
            for promise in [Promise::Json, Promise::Nothing] {
                assert_eq!(read(promise, &[text.as_bytes()]).1, "strange", "{text}");
            }
        }
        assert_eq!(read(Promise::Stream, &[b"<html>"]).1, "strange");
        assert_eq!(read(Promise::Stream, &[b"x-unknown: 1\n", event("a", "1").as_bytes()]).1, "complete a");
        assert_eq!(read(Promise::Nothing, &[b"dat"]).1, "truncated");
    }

    #[test]
    fn limits_are_named() {
        assert_eq!(read(Promise::Stream, &[b"data: ", &[b'x'; 1100]]).1, "max_event_bytes");
        assert_eq!(read(Promise::Nothing, &[b": ", &[b'x'; 1100]]).1, "max_event_bytes");
        assert_eq!(read(Promise::Json, &[b"{", &[b' '; 9999]]).1, "truncated");
        assert_eq!(read(Promise::Json, &[b"{", &[b' '; 10_000]]).1, "max_response_bytes");
        let comments = ": x\n\n".repeat(2100);
        assert_eq!(read(Promise::Stream, &[comments.as_bytes()]).1, "max_response_bytes");
    }
}
