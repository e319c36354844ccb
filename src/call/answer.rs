//! The answer of an attempt: read, shown as it comes, and judged at its end.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::attempt::Outcome;
use super::report::write_headers;
use super::{Call, Failed, Phase};
use crate::chat::body::{Body, BodyLimits, Fault, Final, Promise, Step, Verdict};
use crate::deliver::EventKind;
use crate::failure::Failure;
use crate::status::Status;
use crate::text::{ZString, excerpt};
use crate::wire::{Answer, End as Ending, Reason, Slot, Socket};

/// The buffer of a read grows from here to there, once a read fills it.
pub(super) const READ_FIRST: usize = 4 * 1024;
const READ_MOST: usize = 32 * 1024;
/// What may follow a finished answer (usage, the terminator) is waited for so long.
const SETTLE: Duration = Duration::from_secs(5);
/// Behind `[DONE]` so many bytes are read for the end of the body.
const DRAIN_MOST: usize = 64 * 1024;
/// Of bytes that could not be understood so much is shown.
const EXCERPT: usize = 400;

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
    /// A status of success: the answer itself.
    pub(super) fn read_answer(&mut self, answer: Answer, slot: &Slot) -> (Outcome, Option<Tail>) {
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
        let partial = body.partial();
        let kept =
            if partial.is_some() { "what had come is kept, but it is not complete" } else { "nothing of it had come" };
        let failure = Failure::new(Status::Truncated, format!("{} {how}: {kept}", slot.peer()));
        Err(Box::new(Failed { partial, ..Failed::new(failure) }))
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
