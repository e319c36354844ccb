//! The answer of an attempt: read, shown as it comes, and judged at its end.

use std::borrow::Cow;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::attempt::LONGEST_SECRET;
use super::reading::{Arrival, Ended, Kept, Pause, ReadBuffer, Reading, Stopped, Tail};
use super::report::write_headers;
use super::{Call, Failed, Outcome, Phase, retry};
use crate::chat::body::{Body, BodyLimits, Fault, Final, Promise, Step, Verdict};
use crate::deliver::{EventKind, Shown};
use crate::failure::Failure;
use crate::fault;
use crate::status::Status;
use crate::text::{ZString, excerpt, text_end};
use crate::wire::{Answer, End as Ending, Reason, Slot};

/// Who has read so often lets others have their turn.
const READS_A_TURN: usize = 64;
/// What may follow a finished answer (usage, the terminator) is waited for so long.
const SETTLE: Duration = Duration::from_secs(5);
/// The data of most RESPONSEs is shorter.
const RESPONSE_MOSTLY: usize = 1024;
/// Of bytes that could not be understood so much is shown.
const EXCERPT: usize = 400;

impl Call<'_> {
    /// A status of success: the answer itself.
    pub(super) fn begin_reading(&mut self, answer: Answer, slot: Arc<Slot>) -> Reading {
        let Answer { body: reader, socket, .. } = answer;
        let limits = &self.job.settings.limits;
        let limits = BodyLimits { event_bytes: limits.max_event_bytes, response_bytes: limits.max_response_bytes };
        let promise = Promise::of(self.report.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()));
        let body = Body::new(promise, limits, self.completer.outlet().is_seen());
        let is_plain_stream = promise == Promise::Stream && !slot.is_packed();
        let (left, unshown, full_since, last) = (Vec::new(), false, None, None);
        Reading { reader, body, slot, socket, is_plain_stream, left, unshown, full_since, last }
    }

    /// Read all of it on this thread.
    pub fn read_here(&mut self, mut reading: Box<Reading>) -> Box<Ended> {
        let mut buffer = ReadBuffer::default();
        loop {
            match self.read_on(&mut reading, &mut buffer) {
                Pause::Over(stopped) => return self.close(*reading, stopped),
                Pause::Full => {
                    let runtime = self.around.runtime.clone();
                    runtime.block_on(self.room());
                }
                Pause::Turn => {}
                // Somebody has read it without waiting before.
                Pause::Empty => reading.wait_from_now_on(),
            }
        }
    }

    /// Go on reading, and show what comes, as far as that can be done without waiting for the host (or, if its
    /// connection is watched, for the server).
    pub fn read_on(&mut self, reading: &mut Reading, buffer: &mut ReadBuffer) -> Pause {
        let read = catch_unwind(AssertUnwindSafe(|| self.read_some(reading, buffer)));
        // A fault of ours ends the answer, too: what had come is kept.
        read.unwrap_or_else(|panic| {
            buffer.clear_all();
            Pause::Over(Stopped::Panicked(crate::failure::of_panic(&*panic)))
        })
    }

    fn read_some(&mut self, reading: &mut Reading, buffer: &mut ReadBuffer) -> Pause {
        fault::point("body", self.job.id);
        let left = std::mem::take(&mut reading.left);
        if let Some(since) = reading.full_since.take() {
            self.host_was_slow(self.now() - since);
        }
        reading.body.lend(&mut buffer.spare);
        let mut arrival = Arrival { answered: reading.slot.answered(), at: self.now() };
        let mut pause = self.take(reading, &left, arrival.at);
        for _ in 0..READS_A_TURN {
            if let Some(pause) = pause {
                return pause;
            }
            if reading.last.is_some() {
                return self.take_rest(reading);
            }
            pause = self.read_once(reading, buffer, &mut arrival);
        }
        pause.unwrap_or(Pause::Turn)
    }

    fn read_once(&mut self, reading: &mut Reading, buffer: &mut ReadBuffer, last: &mut Arrival) -> Option<Pause> {
        let room = buffer.room();
        let result = reading.reader.read(room);
        if self.job.stop.reason().is_some() {
            buffer.clear_all();
            return Some(Pause::Over(Stopped::Halted));
        }
        let count = match result {
            Ok(0) => {
                reading.last = Some(Stopped::Ended);
                return None;
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                reading.body.relax(&mut buffer.spare);
                return Some(Pause::Empty);
            }
            // ureq drops what it had decoded of this read before it met the fault; it lies in the buffer, which
            // was all NUL, and neither JSON nor an event stream has a NUL in it.
            Err(error) => {
                reading.last = Some(broken(error));
                memchr::memchr(0, room).unwrap_or(room.len())
            }
        };
        let answered = reading.slot.answered();
        if answered != last.answered {
            *last = Arrival { answered, at: self.now() };
        }
        let arrived = last.at;
        let pause = self.take(reading, buffer.filled(count), arrived);
        match reading.last {
            None => buffer.clear(count),
            Some(_) => buffer.clear_all(),
        }
        if reading.body.counts_bytes() && pause.is_none() && reading.last.is_none() {
            self.progress(arrived);
            self.job.deadlines.enter(Phase::Idle, arrived);
        }
        pause
    }

    /// Take in what was read, and show what comes of it: first the chunk for which there was no room before.
    fn take(&mut self, reading: &mut Reading, mut input: &[u8], arrived: Instant) -> Option<Pause> {
        loop {
            if !reading.unshown {
                match reading.body.next(&mut input) {
                    Ok(Step::More) => return None,
                    Ok(Step::Terminated) => return Some(Pause::Over(Stopped::Terminated)),
                    Ok(Step::Chunk) => self.progress(arrived),
                    Err(fault) => return Some(Pause::Over(Stopped::Fault(fault))),
                }
            }
            if let Some(pause) = self.show_next(reading, arrived) {
                reading.left = input.to_vec();
                return Some(pause);
            }
        }
    }

    /// No more bytes come: show what the last of them still hold.
    fn take_rest(&mut self, reading: &mut Reading) -> Pause {
        if let Some(Stopped::Ended | Stopped::Broken) = reading.last {
            loop {
                match reading.body.rest() {
                    Ok(Step::More | Step::Terminated) => break,
                    Ok(Step::Chunk) => self.progress(self.now()),
                    Err(fault) => return Pause::Over(Stopped::Fault(fault)),
                }
                if let Some(pause) = self.show_next(reading, self.now()) {
                    return pause;
                }
            }
        }
        Pause::Over(reading.last.take().unwrap_or(Stopped::Ended))
    }

    /// Show the chunk that was read last. `None`: go on.
    fn show_next(&mut self, reading: &mut Reading, arrived: Instant) -> Option<Pause> {
        let before = self.finished.map(|_| self.now());
        let shown = self.show_chunk(&reading.body, arrived);
        if let Some(before) = before.filter(|_| self.completer.outlet().runs_host_code()) {
            self.host_was_slow(self.now() - before);
        }
        reading.unshown = shown == Shown::Full;
        reading.full_since = reading.unshown.then(|| self.now());
        match shown {
            Shown::Seen => None,
            Shown::Full => Some(Pause::Full),
            Shown::Refused => Some(Pause::Over(Stopped::Halted)),
        }
    }

    /// Time that is not the server's does not count against what may follow a finished answer.
    fn host_was_slow(&mut self, time: Duration) {
        self.finished = self.finished.map(|since| since + time);
    }

    /// Reading has stopped: what the attempt has come to.
    pub fn close(&mut self, reading: Reading, stopped: Stopped) -> Box<Ended> {
        let Reading { reader, body, slot, socket, .. } = reading;
        let is_reset = matches!(stopped, Stopped::Ended) && slot.end() == Some(Ending::Broken);
        let stopped = if is_reset { Stopped::Broken } else { stopped }; // where only closing ends the body
        self.report.terminator = body.terminated();
        self.report.events = body.chunks();
        let tail = matches!(stopped, Stopped::Terminated).then_some(Tail { body: reader, socket });
        let outcome = self.judge(stopped, body, &slot);
        let (outcome, tail) = match outcome {
            // A JSON answer has shown nothing yet.
            Ok(told) if self.report.events == 0 && self.respond() == Shown::Refused => {
                (Err(self.stopped(Some(told))), None)
            }
            outcome => (outcome, tail),
        };
        self.attempted(&outcome, &slot);
        Box::new(Ended { outcome, tail })
    }

    fn progress(&mut self, arrived: Instant) {
        self.events.get_or_insert((arrived, arrived)).1 = arrived;
    }

    /// Show the chunk that was just read, and wait for the next from now on.
    fn show_chunk(&mut self, body: &Body, arrived: Instant) -> Shown {
        let shown = match (body.chunk(), body.words()) {
            (Some(chunk), Some(words)) => match self.respond() {
                Shown::Seen => self.show(EventKind::Chunk, chunk, Some(words)),
                other => other,
            },
            _ => Shown::Seen,
        };
        if shown == Shown::Full {
            return shown; // the clock rests on
        }
        let Some(seen) = body.finished_choices() else {
            self.finished = None;
            self.job.deadlines.owe_idle();
            return shown;
        };
        let now = if self.completer.outlet().runs_host_code() { self.now() } else { arrived };
        let idle = self.job.settings.timeouts.idle;
        if seen < self.job.facts.choices {
            // A choice that was asked for and has not begun may still come, after a pause like any other.
            self.job.deadlines.enter(idle.map_or(Phase::Idle, Phase::Settle), now);
        } else {
            // From the finish on, whatever else comes.
            let since = *self.finished.get_or_insert(now);
            self.job.deadlines.enter(Phase::Settle(idle.map_or(SETTLE, |idle| idle.min(SETTLE))), since);
        }
        shown
    }

    /// RESPONSE, once. From here on this attempt is the last.
    fn respond(&mut self) -> Shown {
        if std::mem::replace(&mut self.committed, true) {
            return Shown::Seen;
        }
        if !self.completer.outlet().is_seen() {
            return Shown::Seen;
        }
        let data = self.kept.take().map_or_else(|| self.response(), |kept| kept.response);
        if self.completer.outlet().is_queue() {
            self.job.body = Cow::Borrowed(&[]); // it will not be sent again
        }
        self.show(EventKind::Response, &data, None)
    }

    /// The data of a RESPONSE.
    fn response(&self) -> ZString {
        let mut data = String::with_capacity(RESPONSE_MOSTLY);
        data.push_str(&format!("{{\"status\":{},\"headers\":", self.http_status));
        write_headers(&mut data, &self.report.headers, |name, value| Some((name.into(), value)));
        data.push('}');
        ZString::of(&data)
    }

    /// Before an answer waits without a thread, beside thousands of others perhaps: of its head only that is kept what
    /// will be needed.
    pub fn settle_down(&mut self) {
        let wish = retry::Wish::read(&self.report.headers, self.job.deadlines.clock().time_of_day());
        self.kept = Some(Kept { response: self.response(), wish });
        self.report.close_headers(|text| self.around.log.mask_with(&self.job.settings.secrets, text));
    }

    /// How it ended: the first row of the contract's table that fits.
    fn judge(&mut self, stopped: Stopped, mut body: Body, slot: &Slot) -> Outcome {
        let settled = self.job.stop.reason() == Some(Reason::Settled);
        if matches!(stopped, Stopped::Halted) && !settled {
            return Err(self.stopped(body.partial()));
        }
        if let Stopped::Panicked(failure) = stopped {
            return Err(Box::new(Failed { partial: body.partial(), ..Failed::new(failure) }));
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
                Err(self.refused(text, true, slot, partial))
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
                Verdict::Fault(Fault::Refused(text)) => Err(self.refused(text, true, slot, None)),
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
    fn not_understood(&self, why: String, mut bytes: String, slot: &Slot, partial: Option<Final>) -> Outcome {
        bytes.truncate(text_end(&bytes, EXCERPT + LONGEST_SECRET));
        let bytes = excerpt(&self.mask_cut(bytes), EXCERPT);
        let packed = self
            .report
            .headers
            .get(CONTENT_ENCODING)
            .map(|coding| String::from_utf8_lossy(coding.as_bytes()))
            .map(|coding| format!(" (its Content-Encoding {coding} is not one that helio reads)"))
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
