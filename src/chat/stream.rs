//! The stream form of a body: events into chunks, and chunks into a completion.

use super::assemble::{Assembly, Words};
use super::chunk::{CHOICES_MOST, Chunk};
use super::json;
use super::repeat::{Following, Pattern};
use crate::sse::{Events, Kind, TooLarge};
use crate::text::{ZString, lossy};

/// What came out of the bytes so far.
#[derive(PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing yet: more bytes are needed.
    More,
    /// A chunk: see [`Body::chunk`] and [`Body::words`].
    Chunk,
    /// `[DONE]`.
    Terminated,
}

/// Why the answer cannot be had.
#[derive(PartialEq, Eq, Debug)]
pub enum Fault {
    /// The server says so inside its answer: the body of its error.
    Refused(String),
    /// It is not what the protocol says: why, and the bytes in question.
    Strange(String, String),
    /// A limit was passed: its name in the config.
    TooLarge(&'static str),
}

/// The end of an answer, or what had come of it.
pub struct Final {
    /// One `chat.completion`.
    pub data: ZString,
    /// What its choice 0 says.
    pub words: Words,
    /// The model, as it is written.
    pub model: Option<String>,
    /// The usage, as it is written.
    pub usage: Option<String>,
}

/// The events of one body, read by read.
pub(super) struct Stream {
    events: Events,
    unread: Vec<u8>, // the bytes that decided the form, from `unread_from` on
    unread_from: usize,
    told: Told,
}

impl Stream {
    /// No event may be larger than `limit` bytes; `unread` are those that have come already.
    pub fn new(limit: usize, unread: Vec<u8>) -> Self {
        Stream { events: Events::new(limit), unread, unread_from: 0, told: Told::default() }
    }

    /// What the events told so far.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// Take what is needed off the front of `input`, and say what came of it.
    pub fn next(&mut self, input: &mut &[u8], wants_words: bool) -> Result<Step, Fault> {
        if !self.unread.is_empty() {
            // The bytes that decided the form come first; `input` is empty then.
            let unread = std::mem::take(&mut self.unread);
            let mut rest = &unread[self.unread_from..];
            let step = self.read(&mut rest, wants_words);
            if !rest.is_empty() {
                self.unread_from = unread.len() - rest.len();
                self.unread = unread;
            }
            return step;
        }
        self.read(input, wants_words)
    }

    /// Use this buffer for the next event, if there is none.
    pub fn lend(&mut self, spare: &mut Vec<u8>) {
        self.events.lend(spare);
    }

    /// Give back memory that holds nothing until more bytes come; a buffer into `spare`.
    pub fn relax(&mut self, spare: &mut Vec<u8>) {
        self.events.relax(spare);
    }

    fn read(&mut self, input: &mut &[u8], wants_words: bool) -> Result<Step, Fault> {
        while !self.told.is_terminated {
            let found = self.events.next(input).map_err(|TooLarge| Fault::TooLarge("max_event_bytes"))?;
            let Some((kind, data)) = found else {
                return Ok(Step::More);
            };
            if let Some(step) = self.told.take_event(kind, data, wants_words)? {
                return Ok(step);
            }
        }
        *input = &[];
        Ok(Step::Terminated)
    }

    /// The event that was not ended by a blank line: taken if it is whole, for what is cut short is no JSON.
    pub fn rest(&mut self, wants_words: bool) -> Result<Step, Fault> {
        if self.told.is_terminated {
            return Ok(Step::More);
        }
        let Some((kind, data)) = self.events.rest() else {
            return Ok(Step::More);
        };
        let text = lossy(data);
        let is_whole = text.trim_end().ends_with("[DONE]") || Chunk::read(text.trim()).is_some();
        if !is_whole {
            return Ok(Step::More);
        }
        Ok(self.told.take_event(kind, data, wants_words)?.unwrap_or(Step::More))
    }

    /// What the chunks add up to, as the end of the answer.
    pub fn take_final(&mut self) -> Final {
        let assembly = &self.told.assembly;
        let mut data = String::new();
        assembly.write(&mut data, new_call_id);
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (model, usage) = (owned(assembly.model()), owned(assembly.usage()));
        Final { data: data.into(), words: assembly.words(), model, usage }
    }
}

/// What the events of a stream have told: chunk after chunk, and what they add up to.
#[derive(Default)]
pub(super) struct Told {
    /// The chunk that was read last.
    pub chunk: ZString,
    /// What choice 0 of that chunk says.
    pub words: Words,
    /// What the chunks add up to so far.
    pub assembly: Assembly,
    /// How many chunks came.
    pub chunks: u64,
    /// Whether `[DONE]` was seen.
    pub is_terminated: bool,
    pattern: Option<Pattern>, // of the last chunk
}

impl Told {
    /// One event; what the host should hear of it.
    fn take_event(&mut self, kind: Kind, data: &[u8], wants_words: bool) -> Result<Option<Step>, Fault> {
        if kind == Kind::Message && self.follow(data, wants_words) {
            self.chunks += 1;
            return Ok(Some(Step::Chunk));
        }
        let text = lossy(data);
        let text = self.strip_done(&text);
        let meant = text.trim();
        if meant.is_empty() || meant == "\"\"" || meant.starts_with(':') {
            return Ok(self.is_terminated.then_some(Step::Terminated));
        }
        if kind == Kind::Error {
            return Err(Fault::Refused(meant.to_owned()));
        }
        self.take_chunk(kind, meant, wants_words)?;
        if meant.len() != text.len() {
            self.pattern = None;
        }
        self.chunks += 1;
        self.chunk.set(text);
        Ok(Some(Step::Chunk))
    }

    /// Add a chunk that differs from the one before only in its word. `false`: it is none of those.
    fn follow(&mut self, data: &[u8], wants_words: bool) -> bool {
        let Some(pattern) = &mut self.pattern else { return false };
        let Some(following) = pattern.follow(self.chunk.as_str(), data) else { return false };
        let Following { same, rest, word, padding } = following;
        let voice = (pattern.choice, pattern.voice);
        self.assembly.add_said(voice, word, padding, wants_words.then_some(&mut self.words));
        self.chunk.set_from(same, rest);
        true
    }

    /// An event without `[DONE]`. A server may have forgotten the blank line before it.
    fn strip_done<'a>(&mut self, text: &'a str) -> &'a str {
        let meant = text.trim();
        let before = if meant == "[DONE]" { Some("") } else { text.trim_end().strip_suffix("\n[DONE]") };
        self.is_terminated |= before.is_some();
        before.unwrap_or(text)
    }

    fn take_chunk(&mut self, kind: Kind, text: &str, wants_words: bool) -> Result<(), Fault> {
        let chunk = Chunk::read(text).ok_or_else(|| {
            let why = if json::is_valid(text) { "an event is no JSON object" } else { "an event is no JSON" };
            Fault::Strange(why.to_owned(), text.to_owned())
        })?;
        if chunk.error.is_some() {
            return Err(Fault::Refused(text.to_owned()));
        }
        if kind == Kind::Bare {
            let why = "JSON stands in the stream outside of an event";
            return Err(Fault::Strange(why.to_owned(), text.to_owned()));
        }
        self.assembly.add(&chunk, wants_words.then_some(&mut self.words));
        self.pattern = Pattern::of(text, &chunk);
        if self.assembly.has_too_many_choices() {
            return Err(Fault::Strange(format!("it has more than {CHOICES_MOST} choices"), String::new()));
        }
        match chunk.gave_up() {
            true => Err(Fault::Refused(text.to_owned())),
            false => Ok(()),
        }
    }
}

/// An id for a tool call that the server gave none: unlike every other.
fn new_call_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("call_{:016x}", RandomState::new().hash_one(std::time::Instant::now()))
}
