//! What is tried again, how often, and after what wait.

use std::time::{Duration, SystemTime};

use helio::abi::*;
use serde_json::json;

use crate::support::c::{Client, config_of, merged, status_name};
use crate::support::chat::{ASK, completion, event, finish, say};
use crate::support::conn::{Conn, Framing};
use crate::support::outcome::Outcome;
use crate::support::server::Server;
use crate::support::time::Time;

/// Answers every request but the last of `attempts` with `script`.
fn succeeding_at(attempts: usize, script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Server {
    Server::new(
        move |request, conn| {
            if request.number + 1 < attempts { script(conn) } else { conn.json(200, completion("at last")) }
        },
    )
}

#[track_caller]
fn retried(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Outcome {
    let server = succeeding_at(3, script);
    let outcome = Client::of(&server).ask(ASK);
    outcome.ok();
    assert_eq!((outcome.content().as_str(), server.requests().len()), ("at last", 3));
    assert_eq!(outcome.events.len(), 2, "the failed attempts were not seen");
    assert!(server.requests().iter().all(|request| request.text() == ASK));
    outcome
}

#[track_caller]
fn not_retried(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Outcome {
    let server = succeeding_at(2, script);
    let outcome = Client::of(&server).ask(ASK);
    let (name, count) = (status_name(outcome.status), server.requests().len());
    assert!(outcome.status != HELIO_OK && count == 1, "{name} after {count} requests: {outcome:#?}");
    outcome
}

#[test]
fn what_may_pass_is_tried_again() {
    for http_status in [408, 409, 429, 500, 502, 503, 504, 520, 529] {
        let outcome = retried(move |conn| conn.answer(http_status, &[], ""));
        let attempts = outcome.attempts();
        assert_eq!(attempts.len(), 3, "{http_status}");
        assert_eq!((&attempts[0]["http_status"], &attempts[2]["http_status"]), (&json!(http_status), &json!(200)));
        assert!(attempts[0]["wait_ms"].is_u64(), "{attempts:?}");
        assert_eq!(attempts[0]["status"], outcome_name(http_status), "{attempts:?}");
    }
    retried(Conn::cut);
    retried(Conn::reset);
    retried(|conn| {
        conn.send("HTTP/1.1 200 OK\r\ncontent-");
        conn.cut();
    });
}

fn outcome_name(http_status: u16) -> &'static str {
    match http_status {
        429 => "RATE_LIMITED",
        503 | 529 => "OVERLOADED",
        _ => "SERVER",
    }
}

#[test]
fn what_will_not_pass_is_not_tried_again() {
    for http_status in [300, 400, 401, 402, 403, 404, 405, 410, 413, 422] {
        not_retried(move |conn| conn.answer(http_status, &[], ""));
    }
    not_retried(|conn| conn.answer(204, &[], ""));
    not_retried(|conn| conn.answer(200, &[], "<html>"));
    not_retried(|conn| conn.answer(200, &[], ""));
    not_retried(|conn| {
        conn.send("nonsense\r\n\r\n");
        conn.cut();
    });
    not_retried(|conn| conn.stream([say("Hello")]));
    not_retried(|conn| {
        conn.stream_head();
        conn.body(say("Hello"));
        conn.wait_until_read();
        conn.reset();
    });
    not_retried(|conn| {
        conn.head(200, &[("content-type", "application/json")], Framing::Length(100));
        conn.body("{");
        conn.cut();
    });
}

#[test]
fn a_refusal_as_the_first_event_is_tried_again_like_its_status() {
    for refusal in [
        event(json!({"error": {"message": "Busy", "code": 503}})),
        event(json!({"error": {"message": "Busy"}})),
        event(json!({"error": {"message": "Busy", "code": 429}})),
        "event: error\ndata: {\"message\":\"Busy\"}\n\n".to_string(),
        finish("error"),
    ] {
        retried(move |conn| conn.stream([": comment\n\n", &refusal]));
    }
    retried(|conn| conn.json(200, "{\"error\":{\"message\":\"Busy\",\"code\":503}}"));
    not_retried(|conn| conn.stream([event(json!({"error": {"message": "No", "code": 400}}))]));
    not_retried(|conn| conn.stream([say("Hello"), event(json!({"error": {"message": "Busy", "code": 503}}))]));
}

#[test]
fn the_server_may_say_what_to_do() {
    retried(|conn| conn.answer(400, &[("x-should-retry", "true")], ""));
    not_retried(|conn| conn.answer(500, &[("x-should-retry", "false")], ""));
    not_retried(|conn| conn.answer(429, &[("x-should-retry", "false")], ""));
}

#[test]
fn some_refusals_are_final_whatever_the_server_says() {
    const RETRY: [(&str, &str); 1] = [("x-should-retry", "true")];
    not_retried(|conn| conn.answer(401, &RETRY, ""));
    not_retried(|conn| conn.answer(402, &RETRY, ""));
    not_retried(|conn| conn.answer(429, &RETRY, r#"{"error":{"code":"insufficient_quota","message":"No credit"}}"#));
    // What a gateway wraps though the provider called the request wrong.
    for status in [400, 404, 422] {
        let body = json!({"success": false, "error": {"code": "request_failed", "message": "All attempts failed",
            "details": [{"type": "request_failed", "message": "no such model", "statusCode": status}]}});
        not_retried(move |conn| conn.answer(500, &RETRY, body.to_string()));
    }
}

#[test]
fn retries_end() {
    for (max_retries, requests) in [(0, 1), (1, 2), (2, 3), (5, 6)] {
        let server = Server::new(|_, conn| conn.answer(503, &[], "{\"error\":\"Busy\"}"));
        let outcome = Client::with(&server, json!({"retry": {"max_retries": max_retries}})).ask(ASK);
        outcome.fails(HELIO_ERR_OVERLOADED).says(&["Busy"]);
        assert_eq!((server.requests().len(), outcome.attempts().len()), (requests, requests));
    }
    let server = Server::new(|_, conn| conn.answer(503, &[], ""));
    let default = Client::new(&merged(config_of(&server.url()), &json!({"retry": {"max_retries": null}})));
    default.ask(ASK).fails(HELIO_ERR_OVERLOADED);
    assert_eq!(server.requests().len(), 3, "two retries by default");
}

#[test]
fn a_closed_port_is_tried_again_and_a_bad_certificate_is_not() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let outcome = Client::new(&config_of(&format!("http://127.0.0.1:{port}"))).ask(ASK);
    outcome.fails(HELIO_ERR_CONNECT);
    let attempts = outcome.attempts();
    assert_eq!(attempts.len(), 3);
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt["status"] == "CONNECT" && attempt["http_status"].as_i64().unwrap_or(0) == 0)
    );
}

/// How long the second of two attempts was put off when the first was refused with these headers, in milliseconds.
/// Time flies meanwhile.
#[track_caller]
fn waited(headers: Vec<(&'static str, String)>) -> u64 {
    let server = Server::new(move |request, conn| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if request.number == 0 { conn.answer(429, &headers, "") } else { conn.json(200, completion("at last")) }
    });
    let far = json!({"retry": {"base_ms": 30_000, "max_ms": 30_000, "jitter": 0, "max_server_delay_ms": 7_200_000}});
    let client = Client::with(&server, merged(far, &json!({"timeouts": {"connect_ms": null}})));
    let flight = Time::of(client.handle()).fly();
    let outcome = client.ask(ASK);
    drop(flight);
    outcome.ok();
    assert_eq!(server.requests().len(), 2);
    let wait_ms = outcome.attempts()[0]["wait_ms"].as_u64().unwrap();
    assert!(outcome.report()["us"]["total"].as_u64().unwrap() >= wait_ms * 1000, "it was not waited for");
    wait_ms
}

#[test]
fn the_server_says_how_long_to_wait() {
    assert_eq!(waited(vec![("retry-after-ms", "150".into())]), 150);
    assert_eq!(waited(vec![("retry-after", "100".into())]), 100_000);
    let both = vec![("retry-after", "25".into()), ("retry-after-ms", "100".into())];
    assert_eq!(waited(both), 100, "milliseconds go first");
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    // Some of the hour has passed when the answer comes.
    assert!((3_000_000..3_600_000).contains(&waited(vec![("retry-after", date)])));
    assert_eq!(waited(vec![("retry-after", "soon".into())]), 30_000, "ours");
}

#[test]
fn our_own_wait_grows_and_is_kept() {
    let server = Server::new(|_, conn| conn.answer(503, &[], ""));
    let retry = json!({"max_retries": 3, "base_ms": 100_000, "max_ms": 200_000, "jitter": 0});
    let client = Client::with(&server, json!({"retry": retry, "timeouts": {"connect_ms": null}}));
    let flight = Time::of(client.handle()).fly();
    let outcome = client.ask(ASK);
    drop(flight);
    assert!(outcome.report()["us"]["total"].as_u64().unwrap() >= 500_000_000);
    let waits: Vec<_> = outcome.attempts().iter().map(|attempt| attempt["wait_ms"].as_u64().unwrap_or(0)).collect();
    assert_eq!(waits, [100_000, 200_000, 200_000, 0]);
}

#[test]
fn jitter_only_shortens() {
    let server = Server::new(|_, conn| conn.answer(503, &[], ""));
    let client =
        Client::with(&server, json!({"retry": {"max_retries": 8, "base_ms": 40, "max_ms": 40, "jitter": 0.5}}));
    for attempt in &client.ask(ASK).attempts()[..8] {
        let wait = attempt["wait_ms"].as_u64().unwrap();
        assert!((20..=40).contains(&wait), "{wait} ms");
    }
}

#[test]
fn a_server_that_wants_too_long_a_wait_ends_the_call() {
    let server = Server::new(|_, conn| conn.answer(429, &[("retry-after", "3600")], "{\"error\":\"Come back later\"}"));
    let outcome = Client::of(&server).ask(ASK);
    let error = outcome.fails(HELIO_ERR_RATE_LIMITED);
    assert_eq!((error.retry_after_ms, server.requests().len()), (3_600_000, 1));
    let patient = json!({"retry": {"max_server_delay_ms": 50}});
    let server = Server::new(|_, conn| conn.answer(503, &[("retry-after-ms", "60")], ""));
    assert_eq!(Client::with(&server, patient).ask(ASK).fails(HELIO_ERR_OVERLOADED).retry_after_ms, 60);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn every_attempt_says_where_it_went() {
    let server = succeeding_at(2, Conn::cut);
    let outcome = Client::of(&server).ask(ASK);
    outcome.ok();
    for attempt in outcome.attempts() {
        let endpoint = attempt["endpoint"].as_str().unwrap_or_else(|| panic!("{attempt}"));
        assert!(endpoint.contains(&server.port().to_string()), "{endpoint}");
    }
    assert_eq!(outcome.attempts()[0]["status"], "NETWORK");
}
