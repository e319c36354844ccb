//! One request from its start to its end: attempts, deadlines, retries, cancelling, the report.
//!
//! A [`Call`] runs on the thread that it is given. It asks the provider what to send, lets the wire carry it, and
//! the chat room say what came back; it alone decides whether to try again, and how it all ended.

mod answer;
mod attempt;
mod deadline;
mod report;
mod request;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use answer::Tail;
pub use deadline::{Deadlines, Keeper, Phase};
pub use request::{Facts, check, utf8};

use crate::chat::assemble::Words;
use crate::chat::body::Final;
use crate::config::{Endpoint, Settings};
use crate::deliver::{Event, EventKind, Receiver, inside};
use crate::failure::Failure;
use crate::log::{Level, Log};
use crate::status::Status;
use crate::text::ZString;
use crate::wire::{Deadline, Reason, Stop, Wire};
use report::{Attempt, Report};

const TARGET: &str = "helio::call";

/// What a call finds around it: its client's things.
pub struct Surroundings<'a> {
    /// The connections.
    pub wire: &'a Wire,
    /// The internal runtime.
    pub runtime: tokio::runtime::Handle,
    /// Where requests go.
    pub endpoint: &'a Endpoint,
    /// The key that counts now.
    pub api_key: &'a dyn Fn() -> Option<String>,
    /// The client's log.
    pub log: &'a Log,
    /// The client's number, to know its callbacks by.
    pub client: usize,
}

/// What is to be done.
pub struct Job<'a> {
    /// The request's id.
    pub id: u64,
    /// The bytes to send.
    pub body: &'a [u8],
    /// What is known of them.
    pub facts: Facts,
    /// What holds for this request.
    pub settings: Arc<Settings>,
    /// The brake.
    pub stop: Arc<Stop>,
    /// The clock.
    pub deadlines: Arc<Deadlines>,
    /// When the call began.
    pub started: Instant,
    /// How long it waited to be admitted.
    pub queued: Duration,
    /// Who sees its events.
    pub receiver: Option<&'a mut dyn Receiver>,
}

/// How a call ended.
pub struct End {
    /// The outcome.
    pub status: Status,
    /// What the server sent; 0 before a response.
    pub http_status: u16,
    /// One `chat.completion`, or what had come of it.
    pub data: Option<ZString>,
    /// What its choice 0 says.
    pub words: Words,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// The evidence, if anybody can see it.
    pub report: Option<String>,
    tail: Option<Tail>,
}

impl End {
    /// A call that ended before it had begun, or whose end was lost.
    pub fn failed(failure: Failure) -> Self {
        End {
            status: failure.status,
            http_status: 0,
            data: None,
            words: Words::default(),
            report: failure.report.clone(),
            failure: Some(failure),
            tail: None,
        }
    }

    /// A call whose end a fault of ours has swallowed.
    pub fn lost(failure: Failure, request: u64, total: Duration) -> Self {
        let report = Report { request, ..Report::default() };
        let report = report.write(failure.status, None, total, |text| text);
        End::failed(Failure { report: Some(report), ..failure })
    }

    /// Show the end to the host. The only way in which a DONE is ever made.
    pub fn show(&self, id: u64, client: usize, receiver: &mut dyn Receiver) {
        let event = Event {
            kind: EventKind::Done,
            request: id,
            data: self.data.as_ref(),
            text: &self.words.text,
            reasoning: &self.words.reasoning,
            status: self.status,
            http_status: self.http_status,
            failure: self.failure.as_ref(),
            report: self.report.as_deref(),
        };
        inside(client, || receiver.receive(&event));
    }

    /// Take what may still follow the answer, so that its connection can be used again. What has not come yet is
    /// given back.
    pub fn drain(&mut self) -> Option<Tail> {
        self.tail.take()?.drain()
    }
}

/// A request under way.
pub struct Call<'a, 'r> {
    around: Surroundings<'a>,
    job: Job<'r>,
    report: Report,
    http_status: u16, // of this attempt; 0 before a response
    committed: bool,
    finished: Option<Instant>, // since when every choice has ended
}

impl<'a, 'r> Call<'a, 'r> {
    /// Nothing happens before [`Call::run`].
    pub fn new(around: Surroundings<'a>, job: Job<'r>) -> Self {
        let report = Report {
            request: job.id,
            client_request_id: job.settings.request_id.clone(),
            endpoint: around.endpoint.text.clone(),
            queued: job.queued,
            ..Report::default()
        };
        Call { around, job, report, http_status: 0, committed: false, finished: None }
    }

    /// Try until there is an answer or no sense in trying. The end is not shown yet.
    pub fn run(mut self) -> End {
        let mut number = 0;
        let (outcome, tail) = loop {
            let (outcome, tail) = self.attempt_and_replay();
            let next = match &outcome {
                Ok(_) => break (outcome, tail),
                Err(failed) => self.next_after(failed, number),
            };
            match next {
                retry::Next::Again(wait_ms) if self.wait(wait_ms) => number += 1,
                retry::Next::Again(_) => break (Err(self.stopped(None)), None),
                retry::Next::Never(wait_ms) => {
                    break (outcome.map_err(|failed| with_retry_after(failed, wait_ms)), tail);
                }
            }
        };
        self.end(outcome, tail)
    }

    /// One attempt, and a second one unseen if its connection came from the pool and was dead.
    fn attempt_and_replay(&mut self) -> (Result<Final, Box<Failed>>, Option<Tail>) {
        let before = self.report.attempts.len();
        let first = self.attempt(false);
        if !first.0.as_ref().is_err_and(|failed| failed.stale) {
            return first;
        }
        self.report.attempts.truncate(before);
        self.around.log.write(Level::Debug, TARGET, || {
            format!("request {}: the idle connection was dead, sent again on a new one", self.job.id)
        });
        self.attempt(true)
    }

    fn next_after(&mut self, failed: &Failed, number: u64) -> retry::Next {
        if self.committed {
            return retry::Next::Never(None);
        }
        let left_ms = self.job.deadlines.left(Instant::now()).map(|left| left.as_millis() as u64);
        let facts = retry::Failed {
            by_table: failed.by_table,
            is_final: failed.is_final,
            wish: failed.wish,
            attempt: number,
            left_ms,
        };
        retry::decide(&self.job.settings.retry, &facts, retry::chance())
    }

    /// Wait before the next attempt. `false`: the call was stopped.
    fn wait(&mut self, wait_ms: u64) -> bool {
        if let Some(last) = self.report.attempts.last_mut() {
            last.wait_ms = Some(wait_ms);
            let status = last.status;
            self.around.log.write(Level::Info, TARGET, || {
                format!("request {}: {status}, next attempt in {wait_ms} ms", self.job.id)
            });
        }
        self.job.deadlines.rest();
        if !self.job.stop.take_back_connect() {
            return false;
        }
        let stop = &self.job.stop;
        self.around.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = stop.pulled() => false,
                _ = tokio::time::sleep(Duration::from_millis(wait_ms)) => true,
            }
        })
    }

    fn end(mut self, outcome: Result<Final, Box<Failed>>, tail: Option<Tail>) -> End {
        self.job.deadlines.end();
        let http_status = self.report.attempts.last().map_or(0, |attempt| attempt.http_status);
        let (status, told, failure) = match outcome {
            Ok(told) => (Status::Ok, Some(told), None),
            Err(failed) => (failed.failure.status, failed.partial, Some(failed.failure)),
        };
        let (data, words) = match told {
            Some(told) => {
                (self.report.model, self.report.usage) = (told.model, told.usage);
                (Some(told.data), told.words)
            }
            None => (None, Words::default()),
        };
        let total = self.job.started.elapsed();
        self.around.log.write(Level::Debug, TARGET, || {
            format!("request {}: {status} after {} ms", self.job.id, total.as_millis())
        });
        let is_seen = self.job.receiver.is_some() || failure.is_some();
        let timeout = match (status, self.job.stop.reason()) {
            (Status::Timeout, Some(Reason::Deadline(deadline))) => Some(deadline),
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
        End { status, http_status, data, words, failure, report, tail }
    }

    /// The text without any secret of the client or of this request.
    fn mask(&self, text: String) -> String {
        self.around.log.mask(self.job.settings.secrets.mask(text))
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

    fn timed_out(&self, deadline: Deadline) -> Failure {
        let peer = &self.around.endpoint.peer;
        let timeouts = &self.job.settings.timeouts;
        let (what, limit) = match deadline {
            Deadline::Connect => (format!("no connection to {peer}"), timeouts.connect),
            Deadline::FirstEvent => (format!("{peer} sent no first event"), timeouts.first_event),
            Deadline::Idle => (format!("{peer} fell silent in its answer: nothing"), timeouts.idle),
            Deadline::Total => ("the whole request was not done".to_owned(), timeouts.total),
        };
        let name = deadline.name();
        let limit = limit.unwrap_or_default().as_millis();
        let elapsed = self.job.started.elapsed().as_millis();
        let message = format!(
            "{what} within {limit} ms (timeouts.{name}_ms); {elapsed} ms had passed: raise it if the server is only slow"
        );
        Failure { code: Some(name.to_owned()), ..Failure::new(Status::Timeout, message) }
    }

    /// Show an event that is not the last. `false`: the host wants no more, or the call was stopped meanwhile.
    fn show(&mut self, kind: EventKind, data: &ZString, text: &str, reasoning: &str) -> bool {
        let Some(receiver) = self.job.receiver.as_deref_mut() else {
            return self.job.stop.reason().is_none();
        };
        let request = self.job.id;
        let event = Event {
            kind,
            request,
            data: Some(data),
            text,
            reasoning,
            status: Status::Ok,
            http_status: self.http_status,
            failure: None,
            report: None,
        };
        // The clock rests while the host is what is slow.
        self.job.deadlines.rest();
        if !inside(self.around.client, || receiver.receive(&event)) {
            self.job.stop.pull(Reason::Cancelled);
        }
        self.job.stop.reason().is_none()
    }

    fn record(&mut self, status: Status, reused: bool) {
        let http_status = self.http_status;
        self.report.attempts.push(Attempt { http_status, status, reused, wait_ms: None });
    }
}

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
