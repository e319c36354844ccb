//! Connections that are kept, connections that die, and what is sent again.

use std::time::{Duration, Instant, SystemTime};

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::c::{Client, config_of, merged, status_name};
use crate::support::chat::{ASK, ASK_STREAM, completion, event, finish, hello, say};
use crate::support::conn::{Conn, Framing, head};
use crate::support::outcome::Outcome;
use crate::support::request::Request;
use crate::support::server::Server;
use crate::support::sync::Gate;

const NO_RETRY: &str = r#"{"retry":{"max_retries":0}}"#;

fn once(server: &Server) -> Client {
    Client::with(server, serde_json::from_str(NO_RETRY).unwrap())
}

fn places(server: &Server) -> Vec<(usize, usize)> {
    server.requests().iter().map(|request| (request.connection, request.place)).collect()
}

// ---- reuse ----

#[test]
fn one_connection_serves_call_after_call() {
    let server = Server::new(|request, conn| match request.number % 4 {
        0 => conn.json(200, completion("Hello")),
        1 => conn.stream(hello()),
        2 => conn.answer(404, &[], "no"),
        _ => {
            conn.head(200, &[("content-type", "application/json")], Framing::Chunked);
            conn.body(completion("Hello"));
            conn.send("0\r\nx-trailer: 1\r\n\r\n");
        }
    });
    let client = Client::of(&server);
    for number in 0..12 {
        let outcome = client.ask(ASK);
        assert_eq!(outcome.status == HELIO_OK, number % 4 != 2);
        assert_eq!(outcome.attempts()[0]["reused"], number > 0, "call {number}");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn calls_at_the_same_time_have_connections_of_their_own() {
    let all = Gate::new();
    let server = {
        let all = all.clone();
        Server::new(move |_, conn| {
            all.open();
            all.wait_for(3);
            conn.json(200, completion("Hello"));
        })
    };
    let client = Client::of(&server);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..3).map(|_| scope.spawn(|| client.ask(ASK))).collect();
        for call in calls {
            call.join().unwrap().ok();
        }
    });
    assert_eq!(server.connections(), 3);
    client.ask(ASK).ok();
    assert_eq!(server.connections(), 3);
}

#[test]
fn connection_close_is_obeyed() {
    let scripts: [fn(&mut Conn); 3] = [
        |conn| conn.answer(200, &[("connection", "close")], completion("Hello")),
        |conn| conn.answer(200, &[("Connection", "Close, x")], completion("Hello")),
        |conn| {
            let body = completion("Hello");
            conn.send(format!("HTTP/1.0 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        },
    ];
    for script in scripts {
        let server = Server::new(move |_, conn| script(conn));
        let client = Client::of(&server);
        client.ask(ASK).ok();
        client.ask(ASK).ok();
        assert_eq!(places(&server), [(0, 0), (1, 0)]);
    }
}

#[test]
fn what_follows_an_answer_is_never_taken_for_the_next() {
    let server = Server::new(|request, conn| {
        // In one send: what came after a later request could be its answer, and nobody could tell.
        let answers = [completion(&format!("answer {}", request.number)), completion("forged")];
        conn.send(answers.map(|body| head(200, &[], Framing::Length(body.len())) + &body).concat());
    });
    let client = Client::of(&server);
    for number in 0..3 {
        assert_eq!(client.ask(ASK).content(), format!("answer {number}"));
    }
}

#[test]
fn an_answer_that_comes_while_nobody_asks_is_thrown_away() {
    let (asked, sent) = (Gate::new(), Gate::new());
    let server = {
        let (asked, sent) = (asked.clone(), sent.clone());
        Server::new(move |request, conn| {
            conn.json(200, completion(&format!("answer {}", request.number)));
            if request.number == 0 {
                // As proxies do before they close an idle connection.
                asked.wait();
                conn.send("HTTP/1.1 408 Request Time-out\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                conn.cut();
                sent.open();
            }
        })
    };
    let client = once(&server);
    assert_eq!(client.ask(ASK).content(), "answer 0");
    asked.open();
    sent.wait();
    assert_eq!(client.ask(ASK).content(), "answer 1");
    assert_eq!(server.connections(), 2);
}

#[test]
fn an_idle_connection_that_the_server_closed_costs_nothing() {
    for end in [Conn::cut, Conn::reset] {
        let server = Server::new(move |_, conn| {
            conn.json(200, completion("Hello"));
            conn.wait_until_read();
            end(conn);
        });
        let client = once(&server);
        for _ in 0..5 {
            let outcome = client.ask(ASK);
            outcome.ok();
            assert_eq!(outcome.events.len(), 2);
        }
        assert_eq!(server.requests().len(), server.connections(), "each connection saw one request");
    }
}

#[test]
fn an_unfinished_answer_leaves_no_connection_behind() {
    for limits in [json!({"max_response_bytes": 200}), json!({})] {
        let server = Server::new(|request, conn| {
            if request.number == 0 {
                conn.stream_head();
                conn.body(say(&"old".repeat(100)));
                conn.body(event("garbage"));
                conn.wait_gone(Duration::from_secs(20));
            } else {
                conn.json(200, completion("new"));
            }
        });
        let client = Client::of(&server);
        let first = client.call(ASK_STREAM).overrides(&json!({"limits": limits})).run();
        assert!([HELIO_ERR_TOO_LARGE, HELIO_ERR_PROTOCOL].contains(&first.status));
        assert_eq!(client.ask(ASK).content(), "new");
        assert_eq!(server.connections(), 2);
    }
}

// ---- the replay ----

/// A server whose first connection answers once and dies at the second request, in this way.
fn dying(death: fn(&mut Conn)) -> Server {
    Server::new(move |request: &Request, conn| {
        if (request.connection, request.place) == (0, 1) {
            death(conn);
        } else {
            conn.json(200, completion("Hello"));
        }
    })
}

#[test]
fn a_reused_connection_that_dies_before_an_answer_is_replayed_unseen() {
    for death in [Conn::cut, Conn::reset] {
        let server = dying(death);
        let client = once(&server);
        client.ask(ASK).ok();
        let outcome = client.ask(ASK);
        outcome.ok();
        assert_eq!(outcome.events.len(), 2, "RESPONSE and DONE");
        assert_eq!(places(&server), [(0, 0), (0, 1), (1, 0)]);
        let requests = server.requests();
        assert_eq!((requests[1].text(), &requests[1].headers), (requests[2].text(), &requests[2].headers));
    }
}

#[test]
fn the_replay_happens_once() {
    let server =
        Server::new(|request, conn| if request.number == 0 { conn.json(200, completion("Hello")) } else { conn.cut() });
    let client = once(&server);
    client.ask(ASK).ok();
    client.ask(ASK).fails(HELIO_ERR_NETWORK);
    assert_eq!(places(&server), [(0, 0), (0, 1), (1, 0)]);
}

#[test]
fn the_replay_does_not_try_one_stale_connection_after_the_other() {
    let all = Gate::new();
    let server = {
        let all = all.clone();
        Server::new(move |request, conn| {
            if request.place > 0 {
                return conn.reset();
            }
            all.open();
            all.wait_for(4);
            conn.json(200, completion("Hello"));
        })
    };
    let client = once(&server);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| client.ask(ASK).ok());
        }
    });
    let outcome = client.ask(ASK);
    outcome.ok();
    assert_eq!(server.requests().len(), 6, "four, one on a stale connection, one replay");
    assert_eq!(server.connections(), 5, "the replay has a connection of its own");
}

#[test]
fn the_replay_does_not_count_as_a_retry() {
    let server = Server::new(|request, conn| match request.number {
        0 => conn.json(200, completion("Hello")),
        1 => conn.cut(),
        2 => conn.answer(503, &[], ""),
        _ => conn.json(200, completion("at last")),
    });
    let client = Client::with(&server, json!({"retry": {"max_retries": 1}}));
    client.ask(ASK).ok();
    let outcome = client.ask(ASK);
    outcome.ok();
    assert_eq!((outcome.content().as_str(), server.requests().len()), ("at last", 4));
}

#[test]
fn a_connection_that_dies_after_the_first_byte_is_not_replayed() {
    let server = dying(|conn| {
        conn.send("HTTP/1.1 2");
        conn.wait_until_read();
        conn.cut();
    });
    let client = once(&server);
    client.ask(ASK).ok();
    client.ask(ASK).fails(HELIO_ERR_NETWORK);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_fresh_connection_that_dies_is_a_network_error() {
    for death in [Conn::cut, Conn::reset] {
        let server = Server::new(move |_, conn| death(conn));
        once(&server).ask(ASK).fails(HELIO_ERR_NETWORK);
        assert_eq!(server.requests().len(), 1);
    }
}

// ---- retries ----

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

/// How long the second of two attempts was put off, at least, when the first was refused with these headers.
#[track_caller]
fn waited(config: Value, headers: Vec<(&'static str, String)>) -> Duration {
    let server = Server::new(move |request, conn| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if request.number == 0 { conn.answer(429, &headers, "") } else { conn.json(200, completion("at last")) }
    });
    let client = Client::with(&server, config);
    let begin = Instant::now();
    client.ask(ASK).ok();
    assert_eq!(server.requests().len(), 2);
    begin.elapsed()
}

#[test]
fn the_server_says_how_long_to_wait() {
    let long = json!({"retry": {"base_ms": 30_000, "max_ms": 30_000}});
    let begin = Instant::now();
    assert!(waited(long.clone(), vec![("retry-after-ms", "150".into())]) >= Duration::from_millis(150));
    assert!(waited(long.clone(), vec![("retry-after", "1".into())]) >= Duration::from_secs(1));
    assert!(waited(long.clone(), vec![("retry-after", "0".into())]) < Duration::from_secs(20));
    let both = vec![("retry-after", "25".into()), ("retry-after-ms", "100".into())];
    assert!(waited(long.clone(), both) < Duration::from_secs(20), "milliseconds go first");
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
    // A date has whole seconds: of the two, at least one is left.
    assert!(waited(long, vec![("retry-after", date)]) >= Duration::from_millis(900));
    assert!(begin.elapsed() < Duration::from_secs(29), "our own wait was not used");
}

#[test]
fn our_own_wait_grows_and_is_kept() {
    let server = Server::new(|_, conn| conn.answer(503, &[], ""));
    let client =
        Client::with(&server, json!({"retry": {"max_retries": 3, "base_ms": 100, "max_ms": 200, "jitter": 0}}));
    let begin = Instant::now();
    let outcome = client.ask(ASK);
    assert!(begin.elapsed() >= Duration::from_millis(500), "100 + 200 + 200 ms");
    let waits: Vec<_> = outcome.attempts().iter().map(|attempt| attempt["wait_ms"].as_u64().unwrap_or(0)).collect();
    assert_eq!(waits, [100, 200, 200, 0]);
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
