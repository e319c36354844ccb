//! One request from its start to its end: attempts, deadlines, retries, cancelling, the report.
//!
//! A [`Call`] does its work on whatever thread it is told to, in steps between which it can be moved: an attempt up to
//! the head of the answer ([`Call::open`]), the answer read by read ([`Call::read_on`]), and what follows from its end
//! ([`Call::after`]). It asks the provider what to send, lets the wire carry it, and the chat room say what came back;
//! it alone decides whether to try again, and how it all ended. Who runs which step where is the client's affair.

mod answer;
mod attempt;
mod deadline;
mod end;
mod limiter;
mod reading;
mod report;
mod request;
mod retry;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use ureq::http::HeaderValue;

pub use attempt::Opened;
pub use deadline::{Deadlines, Keeper, Phase};
pub use end::{Completer, End, Ticket};
pub use limiter::Limiter;
pub use reading::{Ended, Pause, ReadBuffer, Reading, Tail};
pub use request::{Facts, read, utf8};

use crate::chat::assemble::Words;
use crate::chat::body::Final;
use crate::check;
use crate::config::{Endpoint, Settings};
use crate::deliver::{Event, EventKind, Shown};
use crate::failure::Failure;
use crate::log::{Level, Log};
use crate::status::Status;
use crate::text::ZString;
use crate::wire::{Deadline, Reason, Stop, Wire};
use report::{Attempt, Report};

const TARGET: &str = "helio::call";

/// What a call finds around it: its client's things.
pub struct Surroundings {
    /// The connections.
    pub wire: Wire,
    /// The internal runtime.
    pub runtime: Handle,
    /// Where requests go.
    pub endpoint: Endpoint,
    /// The key that counts now, as it is sent.
    pub authorization: Arc<RwLock<Option<HeaderValue>>>,
    /// The client's log.
    pub log: Log,
    /// Second and later attempts so far.
    pub retries: AtomicU64,
    /// The client's own rate limit.
    pub limiter: Option<Arc<Limiter>>,
}

/// What is to be done.
pub struct Job<'a> {
    /// The request's id.
    pub id: u64,
    /// The bytes to send; they go when nothing can be sent again.
    pub body: Cow<'a, [u8]>,
    /// What is known of them.
    pub facts: Facts,
    /// Whether a refusal as wrong is explained by what the endpoint would not take of it.
    pub explains: bool,
    /// What holds for this request.
    pub settings: Arc<Settings>,
    /// The brake.
    pub stop: Arc<Stop>,
    /// The clock.
    pub deadlines: Arc<Deadlines>,
    /// When the call began.
    pub started: Instant,
}

/// A request under way.
pub struct Call<'a> {
    around: Arc<Surroundings>,
    job: Job<'a>,
    completer: Completer<'a>,
    report: Report,
    http_status: u16,                   // of this attempt; 0 before a response
    events: Option<(Instant, Instant)>, // when the first one of this attempt came, and the last
    kept: Option<reading::Kept>,
    stage: Option<String>, // on the way to the last connection
    is_admitted: bool,
    committed: bool,
    finished: Option<Instant>, // since when every choice has ended
}

/// What follows from the end of an attempt.
pub enum Next {
    /// Another one, after so many milliseconds.
    Again(u64),
    /// The end of the call.
    Over(Box<End>),
}

impl<'a> Call<'a> {
    /// Nothing happens before its first step.
    pub fn new(around: Arc<Surroundings>, job: Job<'a>, completer: Completer<'a>) -> Self {
        let report = Report {
            request: job.id,
            client_request_id: job.settings.request_id.clone(),
            endpoint: around.endpoint.text.clone(),
            ..Report::default()
        };
        let (stage, is_admitted, committed) = (None, false, false);
        Call {
            around,
            job,
            completer,
            report,
            http_status: 0,
            events: None,
            kept: None,
            stage,
            is_admitted,
            committed,
            finished: None,
        }
    }

    fn log(&self, level: Level, message: impl FnOnce() -> String) {
        self.around.log.write(level, TARGET, || self.mask(message()));
    }

    fn now(&self) -> Instant {
        self.job.deadlines.now()
    }

    fn elapsed(&self) -> Duration {
        self.now() - self.job.started
    }

    /// The brake.
    pub fn stop(&self) -> &Arc<Stop> {
        &self.job.stop
    }

    /// It may run from now on, until its end is decided: then the permit is dropped.
    pub fn admitted(&mut self, permit: Box<dyn Send>) {
        self.report.queued = self.elapsed();
        self.is_admitted = true;
        self.completer.hold(permit);
    }

    /// Whether the rest of this answer can be read without a thread.
    pub fn can_read_elsewhere(&self, reading: &Reading) -> bool {
        self.completer.outlet().is_queue() && reading.is_movable()
    }

    /// All of it on this thread. Only the showing of the end is left.
    pub fn run(&mut self) -> End {
        loop {
            let ended = match self.open() {
                Opened::Answer(reading) => self.read_here(reading),
                Opened::Ended(ended) => ended,
            };
            match self.after(ended) {
                Next::Over(end) => return *end,
                Next::Again(wait_ms) => {
                    let runtime = self.around.runtime.clone();
                    if !runtime.block_on(self.back_off(wait_ms)) {
                        return self.end_stopped();
                    }
                }
            }
        }
    }

    /// Show the end to the host. Gives back the rest of a connection whose answer has not ended yet; one that has is free
    /// before the host can ask for the next.
    pub fn complete(self, end: &mut End) -> Option<Tail> {
        let tail = end.drain();
        self.completer.complete(end);
        tail
    }

    /// What becomes of the call after this attempt.
    pub fn after(&mut self, ended: Box<Ended>) -> Next {
        let Ended { outcome, tail } = *ended;
        let failed = match outcome {
            Ok(told) => return Next::Over(Box::new(self.end(Ok(told), tail))),
            Err(failed) => failed,
        };
        match self.next_after(&failed) {
            retry::Next::Again(wait_ms) => Next::Again(wait_ms),
            retry::Next::Never(wait_ms) => Next::Over(Box::new(self.end(Err(with_retry_after(failed, wait_ms)), tail))),
        }
    }

    /// The end of a call that was stopped while it waited for something.
    pub fn end_stopped(&mut self) -> End {
        let failed = self.stopped(None);
        self.end(Err(failed), None)
    }

    /// The end of a call that a panic of ours, or the system, has ended.
    pub fn end_failed(&self, failure: Failure) -> End {
        let failure = Failure { message: self.mask(failure.message), ..failure };
        End::lost(failure, self.job.id, self.elapsed())
    }

    fn next_after(&mut self, failed: &Failed) -> retry::Next {
        if self.committed {
            return retry::Next::Never(None);
        }
        let left_ms = self.job.deadlines.left(self.now()).map(|left| left.as_millis() as u64);
        let facts = retry::Failed {
            by_table: failed.by_table,
            is_final: failed.is_final,
            wish: failed.wish,
            attempt: (self.report.attempts.len() as u64).saturating_sub(1),
            left_ms,
        };
        retry::decide(&self.job.settings.retry, &facts, self.job.deadlines.clock().chance())
    }

    /// Wait before the next attempt. `false`: the call was stopped.
    pub async fn back_off(&mut self, wait_ms: u64) -> bool {
        if let Some(last) = self.report.attempts.last_mut() {
            last.wait_ms = Some(wait_ms);
            let status = last.status;
            self.log(Level::Info, || format!("request {}: {status}, next attempt in {wait_ms} ms", self.job.id));
        }
        self.job.deadlines.rest();
        if !self.job.stop.take_back() {
            return false;
        }
        let clock = self.job.deadlines.clock();
        let over = clock.now() + Duration::from_millis(wait_ms);
        self.around.retries.fetch_add(1, Ordering::Relaxed);
        self.around.limiter.iter().for_each(|limiter| limiter.spend_attempt());
        tokio::select! {
            biased;
            _ = self.job.stop.pulled() => false,
            () = clock.sleep_until(over) => true,
        }
    }

    /// Wait until the host has made room for events, or the call is stopped.
    pub async fn room(&mut self) {
        let (completer, stop) = (&mut self.completer, &self.job.stop);
        tokio::select! {
            biased;
            _ = stop.pulled() => {}
            () = poll_fn(|context| completer.poll_room(context)) => {}
        }
    }

    fn end(&mut self, outcome: Outcome, tail: Option<Tail>) -> End {
        self.job.deadlines.end();
        if !self.is_admitted {
            self.report.queued = self.elapsed();
        }
        let http_status = self.report.attempts.last().map_or(0, |attempt| attempt.http_status);
        let (status, told, failure) = match outcome {
            Ok(told) => (Status::Ok, Some(told), None),
            Err(failed) => (failed.failure.status, failed.partial, Some(self.explained(failed.failure))),
        };
        let (data, words) = match told {
            Some(told) => {
                (self.report.model, self.report.usage) = (told.model, told.usage);
                (Some(told.data), told.words)
            }
            None => (None, Words::default()),
        };
        if let (Some(limiter), Some(usage)) = (&self.around.limiter, &self.report.usage) {
            limiter.spend_usage(usage);
        }
        let since_start = |at: Instant| at - self.job.started;
        self.report.first_event = self.events.map(|(first, _)| since_start(first));
        self.report.last_event = self.events.map(|(_, last)| since_start(last));
        let total = self.elapsed();
        self.log(Level::Debug, || format!("request {}: {status} after {} ms", self.job.id, total.as_millis()));
        let is_seen = self.completer.outlet().is_seen() || failure.is_some();
        let timeout = match (status, self.job.stop.reason()) {
            (Status::Timeout, Some(Reason::Deadline(deadline))) => Some((deadline, self.limit(deadline))),
            _ => None,
        };
        let mask = |text| self.mask(text);
        let report = is_seen.then(|| self.report.write(status, timeout, total, mask));
        let failure = failure.map(|failure| Failure {
            http_status,
            message: mask(failure.message),
            code: failure.code.map(mask),
            kind: failure.kind.map(mask),
            body: failure.body.map(mask),
            report: report.clone(),
            ..failure
        });
        End { status, http_status, data, words, failure, report: report.map(ZString::from), tail }
    }

    /// The server calls the request wrong: why that may be, if we can tell.
    fn explained(&self, failure: Failure) -> Failure {
        // Where nothing can be sent again the body is gone.
        if !self.job.explains || failure.status != Status::BadRequest || self.job.body.is_empty() {
            return failure;
        }
        let findings = utf8(&self.job.body, "request body").map(check::findings).unwrap_or_default();
        if findings.is_empty() {
            return failure;
        }
        let message =
            format!("{}. What the endpoint would not take of the request: {}", failure.message, findings.join("; "));
        Failure { message, ..failure }
    }

    /// The text without any secret of the client or of this request.
    fn mask(&self, text: String) -> String {
        self.around.log.mask_with(&self.job.settings.secrets, text)
    }

    /// The same for a text that was cut off.
    fn mask_cut(&self, text: String) -> String {
        self.around.log.mask_cut_with(&self.job.settings.secrets, text)
    }

    /// The failure of a call that was stopped.
    fn stopped(&self, partial: Option<Final>) -> Box<Failed> {
        let failure = match self.job.stop.reason() {
            Some(Reason::ShutDown) => {
                Failure::new(Status::ShutDown, "the client was shut down before the answer was complete")
            }
            Some(Reason::Deadline(deadline)) => self.timed_out(deadline),
            _ => Failure::new(Status::Cancelled, "the request was cancelled"),
        };
        let by_table = self.job.stop.reason() == Some(Reason::Deadline(Deadline::Connect));
        Box::new(Failed { by_table, partial, ..Failed::new(failure) })
    }

    fn limit(&self, deadline: Deadline) -> Duration {
        let timeouts = &self.job.settings.timeouts;
        let limit = match deadline {
            Deadline::Connect => timeouts.connect,
            Deadline::FirstEvent => timeouts.first_event,
            Deadline::Idle => timeouts.idle,
            Deadline::Total => timeouts.total,
        };
        limit.unwrap_or_default()
    }

    fn timed_out(&self, deadline: Deadline) -> Failure {
        let peer = &self.around.endpoint.peer;
        let what = match deadline {
            Deadline::Connect => format!("no connection to {peer}"),
            Deadline::FirstEvent => format!("{peer} sent no first event"),
            Deadline::Idle => format!("{peer} fell silent in its answer: nothing"),
            Deadline::Total => "the whole request was not done".to_owned(),
        };
        let name = deadline.name();
        let limit = self.limit(deadline).as_millis();
        let elapsed = self.elapsed().as_millis();
        let stage = self.stage.as_ref().filter(|_| deadline == Deadline::Connect);
        let stage = stage.map(|stage| format!(" while {stage}")).unwrap_or_default();
        let message = format!(
            "{what} within {limit} ms (timeouts.{name}_ms){stage}; {elapsed} ms had passed: raise it if the server is only slow"
        );
        Failure { code: Some(name.to_owned()), ..Failure::new(Status::Timeout, message) }
    }

    /// Show an event that is not the last.
    fn show(&mut self, kind: EventKind, data: &ZString, words: Option<&Words>) -> Shown {
        if !self.completer.outlet().is_seen() {
            return if self.job.stop.reason().is_some() { Shown::Refused } else { Shown::Seen };
        }
        let event = Event {
            kind,
            request: self.job.id,
            data: Some(data),
            text: words.and_then(|words| words.text.non_empty()),
            reasoning: words.and_then(|words| words.reasoning.non_empty()),
            status: Status::Ok,
            http_status: self.http_status,
            failure: None,
            report: None,
        };
        // The clock rests while the host is what is slow.
        self.job.deadlines.rest();
        let shown = self.completer.show(&event);
        if shown == Shown::Refused {
            self.job.stop.pull(Reason::Cancelled);
        }
        if self.job.stop.reason().is_some() { Shown::Refused } else { shown }
    }

    fn record(&mut self, status: Status, reused: bool) {
        let http_status = self.http_status;
        self.report.attempts.push(Attempt { http_status, status, reused, wait_ms: None });
    }
}

type Outcome = Result<Final, Box<Failed>>;

/// A failed attempt.
struct Failed {
    failure: Failure,
    partial: Option<Final>,
    by_table: bool,
    is_final: bool,
    wish: retry::Wish,
    stale: bool,
}

impl Failed {
    fn new(failure: Failure) -> Self {
        Failed { failure, partial: None, by_table: false, is_final: false, wish: retry::Wish::default(), stale: false }
    }
}

fn with_retry_after(mut failed: Box<Failed>, wait_ms: Option<u64>) -> Box<Failed> {
    failed.failure.retry_after_ms = wait_ms;
    failed
}
