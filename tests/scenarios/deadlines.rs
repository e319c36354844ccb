//! Nothing hangs for ever: which deadline ends what, and what does not count as progress.
//!
//! The clock is the test's (`support/time.rs`), so that deadlines are as long as they really are and nobody waits.
//! What has passed by that clock stands in the report: no deadline may strike before its time.

use std::time::Duration;

use helio::abi::*;
use serde_json::{Value, json};

use crate::only_in;
use crate::support::black_hole::BlackHole;
use crate::support::c::{Client, config_of, merged};
use crate::support::chat::{ASK, ASK_STREAM, DONE, completion, finish, hello, say};
use crate::support::conn::{Conn, Framing};
use crate::support::outcome::Outcome;
use crate::support::server::Server;
use crate::support::sync::Gate;
use crate::support::time::Time;

pub const SECOND: Duration = Duration::from_secs(1);
const CONNECT_S: u32 = 10;
pub const FIRST_EVENT_S: u32 = 600;
pub const IDLE_S: u32 = 120;
/// There is none by default.
pub const TOTAL_S: u32 = 300;

pub const PAUSE: Duration = Duration::from_millis(1);

/// It ended by this deadline, not before its time, and says so.
#[track_caller]
pub fn timed_out(outcome: &Outcome, which: &str, seconds: u32) {
    let error = outcome.fails(HELIO_ERR_TIMEOUT);
    assert_eq!(error.code(), which, "{error:#?}");
    if which == "connect" {
        error.says(&["while"]); // it says what it was waiting for
    }
    error.says(&[which, &format!("within {seconds}000 ms"), "had passed"]);
    let report = error.report();
    assert_eq!((&report["timeout"], &report["timeout_ms"]), (&json!(which), &json!(seconds * 1000)));
    let passed = report["us"]["total"].as_u64().unwrap();
    assert!(passed >= u64::from(seconds) * 1_000_000, "{which} struck too early: {report}");
}

/// Only this deadline, with this value.
pub fn only(which: &str, seconds: u32) -> Value {
    let mut timeouts = json!({"connect_ms": null, "first_event_ms": null, "idle_ms": null, "total_ms": null});
    timeouts[format!("{which}_ms")] = json!(seconds * 1000);
    json!({"timeouts": timeouts})
}

/// Asks a server that never ends its answer properly, while time flies, and expects this deadline to end the call.
/// Only one attempt may be made.
#[track_caller]
pub fn ends(which: &str, seconds: u32, body: &str, script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Outcome {
    let server = Server::new(move |_, conn| script(conn));
    let client = Client::with(&server, only(which, seconds));
    let flight = Time::of(client.handle()).fly();
    let outcome = client.ask(body);
    drop(flight);
    timed_out(&outcome, which, seconds);
    assert_eq!((server.requests().len(), outcome.attempts().len()), (1, 1), "a {which} deadline is not retried");
    outcome
}

// ---- connect ----

#[track_caller]
fn connect_ends(config: &Value, attempts: usize) {
    let patch = json!({"timeouts": {"connect_ms": CONNECT_S * 1000}, "retry": {"max_retries": attempts - 1}});
    let client = Client::new(&merged(config.clone(), &patch));
    let flight = Time::of(client.handle()).fly();
    let outcome = client.ask(ASK);
    drop(flight);
    timed_out(&outcome, "connect", CONNECT_S);
    let passed = outcome.report()["us"]["total"].as_u64().unwrap();
    assert!(passed >= attempts as u64 * u64::from(CONNECT_S) * 1_000_000, "{attempts} attempts took {passed} us");
    assert_eq!((outcome.attempts().len(), outcome.done().http_status), (attempts, 0));
}

#[test]
fn connecting_to_nobody_ends_and_is_tried_again() {
    let hole = BlackHole::open();
    connect_ends(&config_of(&hole.url()), 2);
}

#[test]
fn a_tls_handshake_that_stalls_is_a_connect_timeout() {
    let server = Server::raw(Conn::stall);
    connect_ends(&config_of(&format!("https://127.0.0.1:{}/v1", server.port())), 1);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_proxy_that_stalls_at_any_step_is_a_connect_timeout() {
    for scheme in ["http", "https", "socks5", "socks5h"] {
        let server = Server::raw(Conn::stall);
        let mut config = config_of("http://127.0.0.1:9/v1");
        config["proxy"] = json!(format!("{scheme}://127.0.0.1:{}", server.port()));
        connect_ends(&config, 1);
    }
    let half_an_answer: [&[u8]; 3] = [b"HTTP/1.1 200 Conn", b"\x05\x00", b"\x05"];
    for (scheme, said) in ["http", "socks5h", "socks5h"].into_iter().zip(half_an_answer) {
        let server = Server::raw(move |conn| {
            conn.skip(3);
            conn.send(said);
            conn.stall();
        });
        let mut config = config_of("http://127.0.0.1:9/v1");
        config["proxy"] = json!(format!("{scheme}://127.0.0.1:{}", server.port()));
        connect_ends(&config, 1);
    }
    let hole = BlackHole::open();
    let mut config = config_of("http://127.0.0.1:9/v1");
    config["proxy"] = json!(hole.url().trim_end_matches("/v1"));
    connect_ends(&config, 2);
}

// ---- first_event ----

#[test]
fn a_server_that_never_answers_ends() {
    ends("first_event", FIRST_EVENT_S, ASK, Conn::stall);
    ends("first_event", FIRST_EVENT_S, ASK_STREAM, Conn::stall);
}

#[test]
fn half_a_head_is_no_beginning() {
    ends("first_event", FIRST_EVENT_S, ASK, |conn| {
        conn.send("HTTP/1.1 200 OK\r\ncontent-ty");
        conn.stall();
    });
}

#[test]
fn a_head_alone_is_no_beginning() {
    ends("first_event", FIRST_EVENT_S, ASK_STREAM, |conn| {
        conn.stream_head();
        conn.stall();
    });
    ends("first_event", FIRST_EVENT_S, ASK, |conn| {
        conn.head(200, &[("content-type", "application/json")], Framing::Length(100));
        conn.stall();
    });
}

#[test]
fn keep_alives_are_no_beginning() {
    for keep_alive in [": ping\n\n", "data: \n\n", "\n", "data: : keepalive\n\n"] {
        let outcome = ends("first_event", FIRST_EVENT_S, ASK_STREAM, move |conn| {
            conn.stream_head();
            conn.body_until_left(keep_alive, PAUSE);
        });
        assert_eq!(outcome.events.len(), 1, "{keep_alive:?}");
    }
}

#[test]
fn a_body_that_nobody_takes_ends() {
    for which in ["first_event", "total"] {
        let server = Server::raw(Conn::stall_unread);
        let client = Client::with(&server, only(which, TOTAL_S));
        let body = json!({"messages": [{"role": "user", "content": "x".repeat(20_000_000)}]}).to_string();
        let flight = Time::of(client.handle()).fly();
        let outcome = client.ask(body);
        drop(flight);
        timed_out(&outcome, which, TOTAL_S);
    }
}

// ---- idle ----

#[test]
fn a_stream_that_falls_silent_ends_with_what_it_said() {
    let outcome = ends("idle", IDLE_S, ASK_STREAM, |conn| {
        conn.stream_head();
        conn.body(say("Hello"));
        conn.stall();
    });
    assert_eq!(outcome.content(), "Hello");
    assert_eq!(outcome.answer()["choices"][0]["finish_reason"], Value::Null);
    assert_eq!(outcome.done().http_status, 200);
}

#[test]
fn comments_do_not_break_the_silence() {
    for keep_alive in [": ping\n\n", "data: \n\n", "\n", "data: : keepalive\n\n"] {
        let outcome = ends("idle", IDLE_S, ASK_STREAM, move |conn| {
            conn.stream_head();
            conn.body(say("Hello"));
            conn.body_until_left(keep_alive, PAUSE);
        });
        assert_eq!(outcome.content(), "Hello");
    }
}

#[test]
fn half_an_event_does_not_break_the_silence() {
    ends("idle", IDLE_S, ASK_STREAM, |conn| {
        conn.stream_head();
        conn.body(say("Hello") + "data: {\"x\":\"");
        conn.body_until_left("y", PAUSE);
    });
}

#[test]
fn a_json_body_that_falls_silent_ends() {
    ends("idle", IDLE_S, ASK, |conn| {
        conn.head(200, &[("content-type", "application/json")], Framing::Length(100));
        conn.body("{\"choices\":[");
        conn.stall();
    });
}

/// A server that lets this much time pass before each part of its answers.
fn slow(time: &Time, pause: Duration) -> Server {
    let time = time.clone();
    Server::new(move |request, conn| {
        time.pass(pause);
        if request.json()["stream"] == true {
            conn.stream_head();
            for event in hello() {
                conn.body(event);
                conn.wait_until_read();
                time.pass(pause);
            }
            conn.end();
        } else {
            let body = completion("Hello");
            conn.head(200, &[("content-type", "application/json")], Framing::Length(body.len()));
            for piece in body.as_bytes().chunks(body.len().div_ceil(12)) {
                conn.body(piece);
                conn.wait_until_read();
                time.pass(pause);
            }
        }
    })
}

#[test]
fn slow_progress_is_progress() {
    // All pauses together are longer than the deadline, but no two are: the client may have read what came before a
    // pause and not yet looked at the clock when the next begins.
    let time = Time::default();
    let server = slow(&time, SECOND * (IDLE_S / 2 - 1));
    let client = Client::of(&server);
    time.set_to(client.handle());
    for body in [ASK, ASK_STREAM] {
        let outcome = client.ask(body);
        outcome.ok();
        assert!(outcome.report()["us"]["total"].as_u64().unwrap() > u64::from(IDLE_S) * 2_000_000);
    }
}

#[test]
fn idle_rests_while_the_host_is_what_is_slow() {
    only_in!([Complete, Thread], "elsewhere events wait for the host; delivery.rs has the same with a full queue");
    let (returned, time) = (Gate::new(), Time::default());
    let server = {
        let returned = returned.clone();
        Server::new(move |_, conn| {
            conn.stream_head();
            conn.body(say("Hel"));
            returned.wait();
            conn.body(say("lo") + &finish("stop") + DONE);
            conn.end();
        })
    };
    let client = Client::of(&server);
    time.set_to(client.handle());
    let call = client.call(ASK_STREAM).on_event(|event| {
        if event.is_chunk() && !returned.is_open() {
            time.pass(SECOND * (IDLE_S * 10));
            returned.open();
        }
        0
    });
    let outcome = call.run();
    outcome.ok();
    assert_eq!(outcome.content(), "Hello");
}
