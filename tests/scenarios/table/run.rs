//! The one runner: plays a row without retries and with them, and compares what the host sees.

use std::panic::resume_unwind;

use helio::abi::*;
use serde_json::{Value, json};

use super::row::{Again, Host, Kept, Row};
use super::stage::{AT_LAST, Stage};
use crate::support::c::{Client, merged, status_name};
use crate::support::delivery::until;
use crate::support::outcome::Outcome;
use crate::support::sync::pass;

/// Plays this row, and panics where it does not hold. Both runs at once: most of their time they wait.
pub fn play(row: &Row) {
    std::thread::scope(|scope| {
        let once = scope.spawn(|| {
            if !row.needs_retries {
                play_with(row, 0);
            }
        });
        play_with(row, 2);
        once.join().unwrap_or_else(|panic| resume_unwind(panic));
    });
}

/// Says which run it was that failed.
struct Named<'a>(&'a Row, usize);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the row {:?} does not hold with max_retries {}", self.0.happens, self.1);
        }
    }
}

fn play_with(row: &Row, retries: usize) {
    let _named = Named(row, retries);
    let passes = retries > 0 && row.again == Again::Yes;
    let stage = Stage::set(row, passes);
    let config = json!({"retry": {"max_retries": retries, "base_ms": 1, "max_ms": 5}});
    let client = stage.client(&merged(config, &row.config));
    let outcome = ask(row, &client, &stage);
    if row.is_refused {
        outcome.refused(row.status).says(row.says);
    } else {
        check_end(row, &outcome, retries);
        check_attempts(row, &outcome, retries);
    }
    check_tries(row, &stage, retries);
}

fn ask(row: &Row, client: &Client, stage: &Stage) -> Outcome {
    match &row.host {
        Host::Waits => client.ask(&row.body),
        Host::Acts(acts) => acts(client, stage),
        Host::Returns(kind) => client.call(&row.body).on_event(|event| i32::from(event.kind == *kind)).run(),
        Host::Stops(stop) => {
            let (id, handle) = (client.reserve(), client.handle());
            let gate = stage.tries().map(|_| stage.gate.clone());
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    match gate {
                        Some(gate) => gate.wait(),
                        // Nobody can tell that the call has got to where nobody is; but it says when it sets out.
                        None => {
                            until("it sets out", || client.logs().iter().any(|line| line.contains("POST ")));
                            pass();
                        }
                    }
                    assert_eq!(stop(handle, id), HELIO_OK);
                });
                client.call(&row.body).id(id).run()
            })
        }
    }
}

/// Another attempt went well.
fn is_healed(row: &Row, retries: usize) -> bool {
    retries > 0 && matches!(row.again, Again::Yes | Again::AfterReplay) || row.again == Again::Replayed
}

fn check_end(row: &Row, outcome: &Outcome, retries: usize) {
    if is_healed(row, retries) {
        outcome.ok();
        assert_eq!(outcome.content(), AT_LAST, "of the failed attempt nothing may be seen: {outcome:#?}");
        return;
    }
    if row.status == HELIO_OK {
        outcome.ok();
    } else {
        let error = outcome.fails(row.status).says(row.says);
        if let Some(code) = row.code {
            assert_eq!(error.code(), code, "the code: {error:#?}");
        }
        let deadline = row.code.filter(|_| row.status == HELIO_ERR_TIMEOUT);
        error.says(deadline.as_slice());
        assert_eq!(error.report()["timeout"].as_str(), deadline, "the deadline in the report: {error:#?}");
        match (row.delay_ms, row.again) {
            (Some(delay), _) => assert_eq!(error.retry_after_ms, delay, "the wait: {error:#?}"),
            (None, Again::No) => assert_eq!(error.retry_after_ms, -1, "another try makes no sense: {error:#?}"),
            (None, Again::IfTemporary) => {}
            (None, _) => assert!(error.retry_after_ms >= 0, "another try makes sense: {error:#?}"),
        }
    }
    let seen = outcome.done().http_status;
    assert!(is_http_status(row, seen.into()), "the HTTP status {seen}: {outcome:#?}");
    check_kept(row.kept, outcome);
}

/// Who stops a call from another thread may be faster than the head that is being read.
fn is_http_status(row: &Row, seen: i64) -> bool {
    seen == i64::from(row.http_status) || seen == 0 && matches!(row.host, Host::Stops(_))
}

fn check_kept(kept: Kept, outcome: &Outcome) {
    let (text, is_finished) = match kept {
        Kept::Nothing | Kept::Shown => {
            assert_eq!(outcome.data, None, "nothing is kept");
            assert_eq!(outcome.events.len() > 1, kept == Kept::Shown, "what was seen before DONE: {outcome:#?}");
            return;
        }
        Kept::Part(text) => (text, false),
        Kept::Finished(text) => (text, true),
    };
    let answer = outcome.answer();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(outcome.content(), text, "what had come");
    let choices = answer["choices"].as_array().expect("choices");
    let all_finished = choices.iter().all(|choice| choice["finish_reason"].is_string());
    assert_eq!(all_finished, is_finished, "the finish reasons: {answer}");
}

fn check_attempts(row: &Row, outcome: &Outcome, retries: usize) {
    let attempts = outcome.attempts();
    let most = 1 + retries;
    let expected = match row.again {
        _ if row.attempts.is_some() => row.attempts.unwrap_or_default(),
        Again::Yes | Again::AfterReplay => most.min(2),
        Again::InVain => most,
        Again::IfTemporary if attempts.len() > 1 => most,
        Again::No | Again::IfTemporary | Again::Replayed => 1,
    };
    assert_eq!(attempts.len(), expected, "attempts: {attempts:#?}");
    if let Some(first) = attempts.first().filter(|_| row.again != Again::Replayed && row.attempts.is_none()) {
        let name = status_name(row.status).trim_start_matches("HELIO_").trim_start_matches("ERR_");
        assert_eq!(first["status"], name, "the first: {attempts:#?}");
        let http_status = first["http_status"].as_i64().expect("a number");
        assert!(is_http_status(row, http_status), "the first: {attempts:#?}");
        assert_eq!(first["reused"], row.is_reused && row.again != Again::AfterReplay, "{first}");
    }
    if let (Some(delay), true) = (row.delay_ms, is_healed(row, retries)) {
        assert_eq!(attempts[0]["wait_ms"], Value::from(delay), "the server's wish: {attempts:#?}");
    }
}

/// Nothing is sent twice but what the row says.
fn check_tries(row: &Row, stage: &Stage, retries: usize) {
    let expected = match row.again {
        _ if row.tries.is_some() => row.tries.unwrap_or_default(),
        Again::No | Again::IfTemporary => 1,
        Again::Yes => 1 + usize::from(retries > 0),
        Again::InVain => 1 + retries,
        Again::Replayed => 2,
        Again::AfterReplay => 2 + usize::from(retries > 0),
    };
    if let Some(tries) = stage.tries() {
        assert_eq!(tries, expected, "what the server saw");
    }
}
