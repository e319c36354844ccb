//! One attempt: send, read the head, and say how it ended. The answer itself is read in `answer`.

use std::io::Read;
use std::time::Duration;

use ureq::http::header::LOCATION;

use super::reading::{Ended, READ_FIRST, Reading};
use super::{Call, Failed, Level, Outcome, Phase, retry};
use crate::chat::body::Final;
use crate::chat::refusal;
use crate::failure::Failure;
use crate::fault;
use crate::provider;
use crate::status::Status;
use crate::text::{excerpt, into_lossy, text_end};
use crate::wire::{Answer, Outgoing, Reason, Slot, Step, WireError};

/// Of the body of a refusal so much is kept.
const REFUSAL_MOST: usize = 1 << 20;
/// Secrets are masked before anything is cut, so that none is cut in half: so much more is read for that.
pub(super) const LONGEST_SECRET: usize = 64 * 1024;
/// The body of a refusal says why, and is no reason to wait for long: after so much silence what has come is all,
const PATIENCE: Duration = Duration::from_secs(5);
/// and after so long in any case.
const LONGEST: Duration = Duration::from_secs(30);
/// Of a server's words so much is shown.
const MESSAGE_MOST: usize = 2000;
/// Of a redirect's target so much is shown.
const TARGET_MOST: usize = 300;

/// What sending has led to.
pub enum Opened {
    /// An answer of success, whose body is still to be read.
    Answer(Box<Reading>),
    /// The end of the attempt.
    Ended(Box<Ended>),
}

impl Opened {
    fn over(outcome: Outcome) -> Self {
        Opened::Ended(Box::new(Ended { outcome, tail: None }))
    }
}

impl Call<'_> {
    /// Send, and read the head of the answer. If the connection came from the pool and was dead, it is sent a second
    /// time on a new one, unseen.
    pub fn open(&mut self) -> Opened {
        let before = self.report.attempts.len();
        match self.attempt(false) {
            Opened::Ended(ended) if ended.outcome.as_ref().is_err_and(|failed| failed.stale) => {}
            opened => return opened,
        }
        self.report.attempts.truncate(before);
        self.log(Level::Debug, || {
            format!("request {}: the idle connection was dead, sent again on a new one", self.job.id)
        });
        self.attempt(true)
    }

    /// `fresh`: on a new connection.
    fn attempt(&mut self, fresh: bool) -> Opened {
        fault::point("attempt", self.job.id);
        self.http_status = 0;
        (self.report.head, self.events, self.kept, self.report.closed) = (None, None, None, None);
        self.job.deadlines.enter(Phase::Connect, self.now());
        if self.job.stop.reason().is_some() {
            return Opened::over(Err(self.stopped(None))); // nothing was tried
        }
        let deadlines = self.job.deadlines.clone();
        let on_step = Box::new(move |step| match step {
            Step::Connected => deadlines.enter(Phase::FirstEvent, deadlines.now()),
            Step::Waits => deadlines.waits(),
        });
        let slot = Slot::new(self.job.stop.clone(), self.around.endpoint.peer.clone(), on_step);
        let authorization = self.around.authorization.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        let headers = provider::headers(&self.job.settings, authorization, self.job.facts.streams);
        let outgoing = Outgoing {
            uri: self.around.endpoint.uri.clone(),
            headers,
            body: &self.job.body,
            max_head_bytes: self.job.settings.limits.max_head_bytes,
            fresh,
        };
        self.log(Level::Debug, || {
            format!("request {}: POST {}, {} bytes", self.job.id, self.report.endpoint, self.job.body.len())
        });
        let answer = self.around.wire.send(outgoing, &slot);
        self.report.times = slot.times();
        self.stage = slot.stage();
        let outcome = match answer {
            Err(error) => Err(self.unanswered(error)),
            Ok(mut answer) => {
                self.report.head = Some(self.elapsed());
                self.http_status = answer.status;
                self.report.headers = std::mem::take(&mut answer.headers);
                match answer.status {
                    204 | 205 => {
                        self.strange(&slot, format!("answered with status {}: no content", answer.status), None)
                    }
                    200..=299 => return Opened::Answer(Box::new(self.begin_reading(answer, slot))),
                    300..=399 => self.redirected(&slot),
                    400..=599 => self.read_refusal(answer, &slot),
                    other => {
                        let why = format!("answered with status {other}, which is no end of a request");
                        self.strange(&slot, why, None)
                    }
                }
            }
        };
        self.attempted(&outcome, &slot);
        Opened::over(outcome)
    }

    /// The attempt is over: write down what it was.
    pub(super) fn attempted(&mut self, outcome: &Outcome, slot: &Slot) {
        self.report.bytes_sent += slot.bytes_sent();
        self.report.bytes_received += slot.bytes_received();
        let status = outcome.as_ref().map_or_else(|failed| failed.failure.status, |_| Status::Ok);
        self.record(status, slot.was_reused());
    }

    fn unanswered(&self, error: WireError) -> Box<Failed> {
        if self.job.stop.reason().is_some() {
            return self.stopped(None);
        }
        let WireError { status, message, retryable, stale } = error;
        Box::new(Failed { by_table: retryable, stale, ..Failed::new(Failure::new(status, message)) })
    }

    fn redirected(&self, slot: &Slot) -> Outcome {
        let target = self.report.headers.get(LOCATION);
        let target = target.map_or("nowhere".into(), |value| String::from_utf8_lossy(value.as_bytes()));
        let target = excerpt(&self.mask(without_user_info(&target)), TARGET_MOST);
        let why = format!(
            "redirects to {target} (status {}), and redirects are never followed: set base_url to where the server really is",
            self.http_status
        );
        self.strange(slot, why, None)
    }

    pub(super) fn strange(&self, slot: &Slot, why: String, partial: Option<Final>) -> Outcome {
        let failure = Failure::new(Status::Protocol, format!("{} {why}", slot.peer()));
        Err(Box::new(Failed { partial, ..Failed::new(failure) }))
    }

    /// A refused status. That its body breaks off or goes on for ever changes nothing.
    fn read_refusal(&mut self, answer: Answer, slot: &Slot) -> Outcome {
        let mut body = answer.body;
        let (mut bytes, mut buffer) = (Vec::new(), vec![0u8; READ_FIRST]);
        let mut is_whole = false;
        let longest = self.now() + LONGEST;
        self.job.deadlines.enter_refusal(self.now() + PATIENCE);
        while bytes.len() < REFUSAL_MOST + LONGEST_SECRET && !is_whole {
            match body.read(&mut buffer) {
                Ok(0) => is_whole = true,
                Ok(count) => {
                    bytes.extend_from_slice(&buffer[..count]);
                    self.job.deadlines.enter(Phase::Idle, self.now());
                    self.job.deadlines.enter_refusal(longest.min(self.now() + PATIENCE));
                }
                Err(_) => break,
            }
        }
        let stop = self.job.stop.reason();
        if !matches!(stop, None | Some(Reason::Enough)) {
            return Err(self.stopped(None));
        }
        Err(self.refused(into_lossy(bytes), is_whole && stop.is_none(), slot, None))
    }

    /// A refusal by status, or inside an answer. It is understood as it came, and then masked.
    pub(super) fn refused(&self, mut body: String, is_whole: bool, slot: &Slot, partial: Option<Final>) -> Box<Failed> {
        let http_status = self.http_status;
        let in_answer = http_status < 400;
        let most = text_end(&body, REFUSAL_MOST + LONGEST_SECRET);
        let is_whole = is_whole && most == body.len();
        body.truncate(most);
        let refusal = refusal::understand(if in_answer { 0 } else { http_status }, &body);
        let mask = |text| if is_whole { self.mask(text) } else { self.mask_cut(text) };
        let mut body = mask(body);
        body.truncate(text_end(&body, REFUSAL_MOST));
        let advice = advice(refusal.status);
        let read_wish = || retry::Wish::read(&self.report.headers, self.job.deadlines.clock().time_of_day());
        let how = if in_answer {
            "gave an error inside its answer".to_owned()
        } else {
            format!("refused with status {http_status}")
        };
        let message = excerpt(&mask(refusal.message), MESSAGE_MOST);
        let message = format!("{} {how}: {message}{advice}", slot.peer());
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
            wish: self.kept.as_ref().map_or_else(read_wish, |kept| kept.wish),
            ..Failed::new(failure)
        })
    }
}

/// Content decided that the request itself must change.
fn is_the_hosts(status: Status) -> bool {
    matches!(status, Status::ContextLength | Status::ContentFiltered | Status::QuotaExceeded)
}

/// A URL without what stands before the `@` of its host.
fn without_user_info(url: &str) -> String {
    let start = url.find("//").map_or(0, |at| at + 2);
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
