//! One attempt: send, read the head, read the body, and say how it ended.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};

use super::report::write_headers;
use super::{Call, Failed, Level, Phase, TARGET, retry};
use crate::chat::body::{Body, BodyLimits, Fault, Final, Promise, Step, Verdict};
use crate::chat::refusal;
use crate::deliver::EventKind;
use crate::failure::Failure;
use crate::provider;
use crate::status::Status;
use crate::text::{ZString, excerpt, lossy, text_end};
use crate::wire::{Answer, End as Ending, Outgoing, Reason, Slot, Socket, WireError};

/// The buffer of a read grows from here to there, once a read fills it.
const READ_FIRST: usize = 4 * 1024;
const READ_MOST: usize = 32 * 1024;
/// Of the body of a refusal so much is kept.
const REFUSAL_MOST: usize = 1 << 20;
/// Secrets are masked before anything is cut, so that none is cut in half: so much more is read for that.
const LONGEST_SECRET: usize = 64 * 1024;
/// Of bytes that could not be understood so much is shown.
const EXCERPT: usize = 400;
const TARGET_MOST: usize = 300;
/// What may follow a finished answer (usage, the terminator) is waited for so long.
const SETTLE: Duration = Duration::from_secs(5);
/// Behind `[DONE]` so many bytes are read for the end of the body.
const DRAIN_MOST: usize = 64 * 1024;

type Outcome = Result<Final, Box<Failed>>;

/// What is left of a connection behind a terminated stream: the end of the body may still be on its way.
pub struct Tail {
    body: ureq::BodyReader<'static>,
    socket: Option<Arc<Socket>>,
}

impl Tail {
    /// Read the end of the body, without waiting: the connection then goes back to the pool. It comes back here if
    /// the end has not come yet, and is closed if it will not.
    pub fn drain(mut self) -> Option<Self> {
        self.socket.as_ref()?.set_nonblocking(true);
        let mut buffer = [0u8; 1024];
        let mut left = DRAIN_MOST;
        while left > 0 {
            match self.body.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => left = left.saturating_sub(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(self),
                Err(_) => return None,
            }
        }
        None
    }
}

/// How the reading of a body stopped.
enum Stopped {
    /// The framing says that it is whole.
    Ended,
    /// `[DONE]`.
    Terminated,
    /// The connection broke off.
    Broken,
    /// The framing or the packing is wrong.
    Garbled(String),
    /// What it says cannot be used.
    Fault(Fault),
    /// The call was stopped.
    Halted,
}

impl Call<'_, '_> {
    /// Send once and read what comes. `fresh`: on a new connection.
    pub(super) fn attempt(&mut self, fresh: bool) -> (Outcome, Option<Tail>) {
        self.http_status = 0;
        self.job.deadlines.enter(Phase::Connect, Instant::now());
        if self.job.stop.reason().is_some() {
            let stopped = self.stopped(None);
            self.record(stopped.failure.status, false);
            return (Err(stopped), None);
        }
        let deadlines = self.job.deadlines.clone();
        let on_connected = Box::new(move || deadlines.enter(Phase::FirstEvent, Instant::now()));
        let slot = Slot::new(self.job.stop.clone(), self.around.endpoint.peer.clone(), on_connected);
        let api_key = (self.around.api_key)();
        let headers = match provider::headers(&self.job.settings, api_key.as_deref(), self.job.facts.streams) {
            Ok(headers) => headers,
            Err(failure) => return (Err(Box::new(Failed::new(failure))), None),
        };
        let outgoing = Outgoing {
            uri: self.around.endpoint.uri.clone(),
            headers,
            body: self.job.body,
            max_head_bytes: self.job.settings.limits.max_head_bytes,
            fresh,
        };
        self.around.log.write(Level::Debug, TARGET, || {
            format!("request {}: POST {}, {} bytes", self.job.id, self.report.endpoint, self.job.body.len())
        });
        let answer = self.around.wire.send(outgoing, &slot);
        self.report.times = slot.times();
        let (outcome, tail) = match answer {
            Err(error) => (Err(self.unanswered(error)), None),
            Ok(answer) => {
                self.report.head = Some(self.job.started.elapsed());
                self.read(answer, &slot)
            }
        };
        self.report.bytes_sent += slot.bytes_sent();
        self.report.bytes_received += slot.bytes_received();
        let status = outcome.as_ref().map_or_else(|failed| failed.failure.status, |_| Status::Ok);
        self.record(status, slot.was_reused());
        (outcome, tail)
    }

    fn unanswered(&self, error: WireError) -> Box<Failed> {
        if self.job.stop.reason().is_some() {
            return self.stopped(None);
        }
        let WireError { status, message, retryable, stale } = error;
        Box::new(Failed { by_table: retryable, stale, ..Failed::new(Failure::new(status, message)) })
    }

    fn read(&mut self, mut answer: Answer, slot: &Slot) -> (Outcome, Option<Tail>) {
        self.http_status = answer.status;
        self.report.headers = std::mem::take(&mut answer.headers);
        match answer.status {
            204 | 205 => {
                (self.strange(slot, format!("answered with status {}: no content", answer.status), None), None)
            }
            200..=299 => self.read_answer(answer, slot),
            300..=399 => {
                let target = self.report.headers.get(LOCATION);
                let target = target.map_or("nowhere".into(), |value| String::from_utf8_lossy(value.as_bytes()));
                let target = excerpt(&self.mask(without_user_info(&target)), TARGET_MOST);
                let why = format!(
                    "redirects to {target} (status {}), and redirects are never followed: set base_url to where the server really is",
                    answer.status
                );
                (self.strange(slot, why, None), None)
            }
            400..=599 => (self.read_refusal(answer, slot), None),
            other => {
                (self.strange(slot, format!("answered with status {other}, which is no end of a request"), None), None)
            }
        }
    }

    fn strange(&self, slot: &Slot, why: String, partial: Option<Final>) -> Outcome {
        let failure = Failure::new(Status::Protocol, format!("{} {why}", slot.peer()));
        Err(Box::new(Failed { partial, ..Failed::new(failure) }))
    }

    /// A refused status. That its body breaks off or goes on for ever changes nothing.
    fn read_refusal(&mut self, answer: Answer, slot: &Slot) -> Outcome {
        let mut body = answer.body;
        let (mut bytes, mut buffer) = (Vec::new(), vec![0u8; READ_FIRST]);
        while bytes.len() < REFUSAL_MOST + LONGEST_SECRET {
            match body.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    bytes.extend_from_slice(&buffer[..count]);
                    self.job.deadlines.enter(Phase::Idle, Instant::now());
                }
            }
        }
        if self.job.stop.reason().is_some() {
            return Err(self.stopped(None));
        }
        Err(self.refused(lossy(bytes), slot, None))
    }

    /// A refusal by status, or inside an answer (whose 200 then stands for 500).
    fn refused(&self, body: String, slot: &Slot, partial: Option<Final>) -> Box<Failed> {
        let http_status = self.http_status;
        let in_answer = http_status < 400;
        let mut body = self.mask(body);
        body.truncate(text_end(&body, REFUSAL_MOST));
        let refusal = refusal::understand(if in_answer { 500 } else { http_status }, &body);
        let advice = advice(refusal.status);
        let how = if in_answer {
            "gave an error inside its answer".to_owned()
        } else {
            format!("refused with status {http_status}")
        };
        let message = format!("{} {how}: {}{advice}", slot.peer(), refusal.message);
        let failure = Failure {
            code: refusal.code,
            kind: refusal.kind,
            body: Some(body).filter(|body| !body.is_empty()),
            ..Failure::new(refusal.status, message)
        };
        Box::new(Failed {
            partial,
            by_table: refusal::is_retried(refusal.stands_for) && !is_the_hosts(refusal.status),
            is_final: refusal.is_final,
            wish: retry::Wish::read(&self.report.headers, SystemTime::now()),
            ..Failed::new(failure)
        })
    }

    /// A status of success: the answer itself.
    fn read_answer(&mut self, answer: Answer, slot: &Slot) -> (Outcome, Option<Tail>) {
        let Answer { body: mut reader, socket, .. } = answer;
        let limits = &self.job.settings.limits;
        let limits = BodyLimits { event_bytes: limits.max_event_bytes, response_bytes: limits.max_response_bytes };
        let promise = Promise::of(self.report.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()));
        let mut body = Body::new(promise, limits, self.job.receiver.is_some());
        let mut stopped = self.pump(&mut reader, &mut body);
        if matches!(stopped, Stopped::Ended) && slot.end() == Some(Ending::Broken) {
            stopped = Stopped::Broken; // a reset where only closing ends the body
        }
        if let Stopped::Ended | Stopped::Broken = stopped
            && let Some(last) = self.pump_rest(&mut body)
        {
            stopped = last;
        }
        self.report.terminator = body.terminated();
        self.report.events = body.chunks();
        let tail = matches!(stopped, Stopped::Terminated).then_some(Tail { body: reader, socket });
        let outcome = self.judge(stopped, body, slot);
        match outcome {
            // A JSON answer has shown nothing yet.
            Ok(told) if self.report.events == 0 && !self.respond() => (Err(self.stopped(Some(told))), None),
            outcome => (outcome, tail),
        }
    }

    /// Read, and show what comes, until something ends it.
    fn pump(&mut self, reader: &mut ureq::BodyReader<'static>, body: &mut Body) -> Stopped {
        let mut buffer = vec![0u8; READ_FIRST];
        loop {
            let result = reader.read(&mut buffer);
            if self.job.stop.reason().is_some() {
                return Stopped::Halted;
            }
            let (count, last) = match result {
                Ok(0) => return Stopped::Ended,
                Ok(count) => (count, None),
                // ureq drops what it had decoded of this read before it met the fault; it lies in the buffer, which
                // was all NUL, and neither JSON nor an event stream has a NUL in it.
                Err(error) => (memchr::memchr(0, &buffer).unwrap_or(buffer.len()), Some(broken(error))),
            };
            let arrived = Instant::now();
            if let Some(stopped) = self.take(body, &buffer[..count], arrived) {
                return stopped;
            }
            if let Some(last) = last {
                return last;
            }
            buffer[..count].fill(0);
            if count == buffer.len() && count < READ_MOST {
                buffer.resize(READ_MOST, 0);
            }
            if body.counts_bytes() {
                self.progress(arrived);
                self.job.deadlines.enter(Phase::Idle, arrived);
            }
        }
    }

    /// Take in what was read, and show what came of it. What ended the answer, if something did.
    fn take(&mut self, body: &mut Body, mut input: &[u8], arrived: Instant) -> Option<Stopped> {
        loop {
            match body.next(&mut input) {
                Ok(Step::More) => return None,
                Ok(Step::Terminated) => return Some(Stopped::Terminated),
                Ok(Step::Chunk) if !self.show_chunk(body, arrived) => return Some(Stopped::Halted),
                Ok(Step::Chunk) => {}
                Err(fault) => return Some(Stopped::Fault(fault)),
            }
        }
    }

    fn pump_rest(&mut self, body: &mut Body) -> Option<Stopped> {
        loop {
            match body.rest() {
                Ok(Step::More | Step::Terminated) => return None,
                Ok(Step::Chunk) if !self.show_chunk(body, Instant::now()) => {
                    return Some(Stopped::Halted);
                }
                Ok(Step::Chunk) => {}
                Err(fault) => return Some(Stopped::Fault(fault)),
            }
        }
    }

    fn progress(&mut self, arrived: Instant) {
        let now = arrived.duration_since(self.job.started);
        self.report.first_event.get_or_insert(now);
        self.report.last_event = Some(now);
    }

    /// Show the chunk that was just read, and wait for the next from now on.
    fn show_chunk(&mut self, body: &Body, arrived: Instant) -> bool {
        self.progress(arrived);
        let go_on = match (body.chunk(), body.words()) {
            (Some(chunk), Some(words)) => {
                self.respond() && self.show(EventKind::Chunk, chunk, &words.text, &words.reasoning)
            }
            _ => true,
        };
        let now = if self.job.receiver.is_some() { Instant::now() } else { arrived };
        let idle = self.job.settings.timeouts.idle;
        match body.finished_choices() {
            None => {
                self.finished = None;
                self.job.deadlines.enter(Phase::Idle, now);
            }
            // A choice that was asked for and has not begun may still come, after a pause like any other.
            Some(seen) if seen < self.job.facts.choices => {
                self.job.deadlines.enter(idle.map_or(Phase::Idle, Phase::Settle), now);
            }
            // From the finish on, whatever else comes.
            Some(_) => {
                let since = *self.finished.get_or_insert(now);
                self.job.deadlines.enter(Phase::Settle(idle.map_or(SETTLE, |idle| idle.min(SETTLE))), since);
            }
        }
        go_on
    }

    /// RESPONSE, once. From here on this attempt is the last.
    fn respond(&mut self) -> bool {
        if std::mem::replace(&mut self.committed, true) || self.job.receiver.is_none() {
            return true;
        }
        let mut data = format!("{{\"status\":{},\"headers\":", self.http_status);
        write_headers(&mut data, &self.report.headers, |_, value| Some(value));
        data.push('}');
        self.show(EventKind::Response, &ZString::from(data), "", "")
    }

    /// How it ended: the first row of the contract's table that fits.
    fn judge(&mut self, stopped: Stopped, mut body: Body, slot: &Slot) -> Outcome {
        let settled = self.job.stop.reason() == Some(Reason::Settled);
        if matches!(stopped, Stopped::Halted) && !settled {
            return Err(self.stopped(body.partial()));
        }
        if let Stopped::Fault(Fault::TooLarge(key)) = stopped {
            let limits = &self.job.settings.limits;
            let limit = if key == "max_event_bytes" { limits.max_event_bytes } else { limits.max_response_bytes };
            let message = format!(
                "{} sent more than limits.{key} ({limit} bytes) allows: raise it if such answers are wanted",
                slot.peer()
            );
            return Err(Box::new(Failed {
                partial: body.partial(),
                ..Failed::new(Failure::new(Status::TooLarge, message))
            }));
        }
        if body.finished_choices().is_some() {
            // Every choice has ended: whatever followed changes nothing.
            if let Verdict::Complete(told) = body.verdict() {
                return Ok(told);
            }
        }
        match stopped {
            Stopped::Fault(Fault::Refused(text)) => {
                let partial = body.partial();
                Err(self.refused(text, slot, partial))
            }
            Stopped::Broken | Stopped::Garbled(_) if body.is_whole_json() => match body.verdict() {
                Verdict::Complete(told) => Ok(told),
                _ => self.cut_off(body, slot),
            },
            Stopped::Fault(Fault::Strange(why, bytes)) => self.not_understood(why, bytes, slot, body.partial()),
            Stopped::Garbled(why) => self.strange(slot, format!("sent a body that is broken: {why}"), body.partial()),
            Stopped::Broken => self.cut_off(body, slot),
            _ => match body.verdict() {
                Verdict::Complete(told) => Ok(told),
                Verdict::Truncated => self.cut_off(body, slot),
                Verdict::Empty => {
                    self.strange(slot, format!("answered with status {} and an empty body", self.http_status), None)
                }
                Verdict::Fault(Fault::Refused(text)) => Err(self.refused(text, slot, None)),
                Verdict::Fault(Fault::Strange(why, bytes)) => self.not_understood(why, bytes, slot, None),
                Verdict::Fault(Fault::TooLarge(key)) => self.strange(slot, format!("passed limits.{key}"), None),
            },
        }
    }

    fn cut_off(&self, mut body: Body, slot: &Slot) -> Outcome {
        if body.is_empty() {
            return self.strange(slot, "broke the connection off before the first byte of its answer".to_owned(), None);
        }
        let how = if body.terminated() {
            "ended its answer before every choice was finished"
        } else {
            "broke off in the middle of its answer"
        };
        let message = format!("{} {how}: what had come is kept, but it is not complete", slot.peer());
        Err(Box::new(Failed { partial: body.partial(), ..Failed::new(Failure::new(Status::Truncated, message)) }))
    }

    /// `bytes` are those in question.
    fn not_understood(&self, why: String, bytes: String, slot: &Slot, partial: Option<Final>) -> Outcome {
        let bytes = excerpt(&self.mask(bytes), EXCERPT);
        let packed = self
            .report
            .headers
            .get(CONTENT_ENCODING)
            .map(|coding| format!(" (its Content-Encoding {coding:?} is not one that helio reads)"))
            .unwrap_or_default();
        let message = format!("{} sent an answer that is no chat completion: {why}{packed}: {bytes}", slot.peer());
        let failure =
            Failure { body: Some(bytes).filter(|bytes| !bytes.is_empty()), ..Failure::new(Status::Protocol, message) };
        Err(Box::new(Failed { partial, ..Failed::new(failure) }))
    }
}

/// Content decided that the request itself must change.
fn is_the_hosts(status: Status) -> bool {
    matches!(status, Status::ContextLength | Status::ContentFiltered | Status::QuotaExceeded)
}

/// What a reader's error says of the body.
fn broken(error: io::Error) -> Stopped {
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) else {
        return Stopped::Broken;
    };
    match inner {
        ureq::Error::Decompress(_, cause)
            if cause.kind() != io::ErrorKind::UnexpectedEof && !is_network(cause.kind()) =>
        {
            Stopped::Garbled(format!("its gzip packing is wrong ({cause})"))
        }
        ureq::Error::Protocol(cause) => Stopped::Garbled(format!("its chunked framing is wrong ({cause})")),
        ureq::Error::Other(cause) => Stopped::Garbled(cause.to_string()),
        _ => Stopped::Broken,
    }
}

fn is_network(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe)
}

/// A URL without what stands before the `@` of its host.
fn without_user_info(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}{}", &url[..start], &url[start + at + 1..]),
        None => url.to_owned(),
    }
}

/// What to do about a refusal; begins with ": " if there is something to say.
fn advice(status: Status) -> &'static str {
    match status {
        Status::Authentication => ": check the API key (\"api_key\" in the config, HELIO_API_KEY or HELICONE_API_KEY)",
        Status::Permission => ": the key may not do this, ask for another or choose another model",
        Status::NotFound => ": check base_url and the model's name",
        Status::RateLimited => ": wait and try again",
        Status::QuotaExceeded => ": credits or quota are used up, add more with the provider",
        Status::ContextLength => ": shorten the messages or choose a model with a larger context",
        Status::ContentFiltered => ": a content filter refused it, change the messages",
        Status::Overloaded => ": try again later",
        _ => "",
    }
}
