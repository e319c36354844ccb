//! Nothing hangs for ever: which deadline ends what, and what does not count as progress.
//!
//! Lower bounds are promises and asserted; upper bounds only tell that a call ended at all.

use std::time::{Duration, Instant};

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

const MS_20: Duration = Duration::from_millis(20);

#[track_caller]
fn timed_out(outcome: &Outcome, which: &str) {
    let error = outcome.fails(HELIO_ERR_TIMEOUT);
    assert_eq!(error.code(), which, "{error:#?}");
    assert_eq!(error.report()["timeout"], which);
    error.says(&[which]);
}

/// Asks a server that never ends its answer properly, and expects this deadline to end the call, not before
/// its time. Only one attempt may be made.
#[track_caller]
fn ends(which: &str, ms: u64, body: &str, script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Outcome {
    let server = Server::new(move |_, conn| script(conn));
    let client = Client::with(&server, json!({"timeouts": {format!("{which}_ms"): ms}}));
    let begin = Instant::now();
    let outcome = client.ask(body);
    assert!(begin.elapsed() >= Duration::from_millis(ms), "{which} struck too early: {:?}", begin.elapsed());
    timed_out(&outcome, which);
    assert_eq!((server.requests().len(), outcome.attempts().len()), (1, 1), "a {which} deadline is not retried");
    outcome
}

// ---- connect ----

#[test]
fn connecting_to_nobody_ends_and_is_tried_again() {
    let hole = BlackHole::open();
    let patch = json!({"timeouts": {"connect_ms": 200}, "retry": {"max_retries": 1}});
    let client = Client::new(&merged(config_of(&hole.url()), &patch));
    let begin = Instant::now();
    let outcome = client.ask(ASK);
    timed_out(&outcome, "connect");
    assert!(begin.elapsed() >= Duration::from_millis(400), "two attempts of 200 ms took {:?}", begin.elapsed());
    assert_eq!((outcome.attempts().len(), outcome.done().http_status), (2, 0));
}

#[test]
fn a_tls_handshake_that_stalls_is_a_connect_timeout() {
    let server = Server::raw(Conn::stall);
    let config = config_of(&format!("https://127.0.0.1:{}/v1", server.port()));
    let patch = json!({"timeouts": {"connect_ms": 200}, "retry": {"max_retries": 0}});
    let outcome = Client::new(&merged(config, &patch)).ask(ASK);
    timed_out(&outcome, "connect");
    assert_eq!(server.connections(), 1);
}

// ---- first_event ----

#[test]
fn a_server_that_never_answers_ends() {
    ends("first_event", 200, ASK, Conn::stall);
    ends("first_event", 200, ASK_STREAM, Conn::stall);
}

#[test]
fn half_a_head_is_no_beginning() {
    ends("first_event", 200, ASK, |conn| {
        conn.send("HTTP/1.1 200 OK\r\ncontent-ty");
        conn.stall();
    });
}

#[test]
fn a_head_alone_is_no_beginning() {
    ends("first_event", 200, ASK_STREAM, |conn| {
        conn.stream_head();
        conn.stall();
    });
    ends("first_event", 200, ASK, |conn| {
        conn.head(200, &[("content-type", "application/json")], Framing::Length(100));
        conn.stall();
    });
}

#[test]
fn keep_alives_are_no_beginning() {
    for keep_alive in [": ping\n\n", "data: \n\n", "\n", "data: : keepalive\n\n"] {
        let outcome = ends("first_event", 300, ASK_STREAM, move |conn| {
            conn.stream_head();
            conn.body_until_left(keep_alive, MS_20);
        });
        assert_eq!(outcome.events.len(), 1, "{keep_alive:?}");
    }
}

#[test]
fn a_body_that_nobody_takes_ends() {
    let server = Server::raw(Conn::stall_unread);
    let client = Client::with(&server, json!({"timeouts": {"first_event_ms": 300}}));
    let body = json!({"messages": [{"role": "user", "content": "x".repeat(20_000_000)}]}).to_string();
    timed_out(&client.ask(body), "first_event");
}

// ---- idle ----

#[test]
fn a_stream_that_falls_silent_ends_with_what_it_said() {
    let outcome = ends("idle", 200, ASK_STREAM, |conn| {
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
        let outcome = ends("idle", 300, ASK_STREAM, move |conn| {
            conn.stream_head();
            conn.body(say("Hello"));
            conn.body_until_left(keep_alive, MS_20);
        });
        assert_eq!(outcome.content(), "Hello");
    }
}

#[test]
fn half_an_event_does_not_break_the_silence() {
    ends("idle", 300, ASK_STREAM, |conn| {
        conn.stream_head();
        conn.body(say("Hello") + "data: {\"x\":\"");
        conn.body_until_left("y", MS_20);
    });
}

#[test]
fn a_json_body_that_falls_silent_ends() {
    ends("idle", 200, ASK, |conn| {
        conn.head(200, &[("content-type", "application/json")], Framing::Length(100));
        conn.body("{\"choices\":[");
        conn.stall();
    });
}

#[test]
fn slow_progress_is_progress() {
    // Each pause is far shorter than the deadline, all together are longer.
    let server = Server::new(|request, conn| {
        if request.json()["stream"] == true {
            conn.stream_head();
            for _ in 0..12 {
                conn.body(say("x"));
                std::thread::sleep(Duration::from_millis(100));
            }
            conn.body(finish("stop") + DONE);
            conn.end();
        } else {
            let body = completion("Hello");
            conn.head(200, &[("content-type", "application/json")], Framing::Length(body.len()));
            for piece in body.as_bytes().chunks(body.len().div_ceil(12)) {
                conn.body(piece);
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    });
    let client = Client::with(&server, json!({"timeouts": {"idle_ms": 1000, "first_event_ms": 1000}}));
    client.ask(ASK_STREAM).ok();
    client.ask(ASK).ok();
}

#[test]
fn idle_rests_while_the_host_is_what_is_slow() {
    only_in!([Complete, Thread], "elsewhere events wait for the host; delivery.rs has the same with a full queue");
    let returned = Gate::new();
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
    let client = Client::with(&server, json!({"timeouts": {"idle_ms": 400}}));
    let call = client.call(ASK_STREAM).on_event(|event| {
        if event.is_chunk() && !returned.is_open() {
            std::thread::sleep(Duration::from_millis(900));
            returned.open();
        }
        0
    });
    let outcome = call.run();
    outcome.ok();
    assert_eq!(outcome.content(), "Hello");
}

// ---- total ----

#[test]
fn the_total_ends_a_call_in_every_phase() {
    ends("total", 300, ASK, Conn::stall);
    ends("total", 300, ASK, |conn| {
        conn.head(200, &[("content-type", "application/json")], Framing::Chunked);
        conn.body("{\"choices\":[");
        conn.body_until_left(" ", MS_20);
    });
    let outcome = ends("total", 300, ASK_STREAM, |conn| {
        conn.stream_head();
        conn.body_until_left(&say("x"), MS_20);
    });
    assert!(outcome.content().starts_with('x'));
    ends("total", 300, ASK_STREAM, |conn| {
        conn.stream_head();
        conn.body_until_left(": ping\n\n", MS_20);
    });
}

#[test]
fn the_total_counts_over_all_attempts() {
    let server = Server::new(|request, conn| if request.number < 2 { conn.answer(503, &[], "") } else { conn.stall() });
    let client = Client::with(&server, json!({"timeouts": {"total_ms": 400}}));
    let begin = Instant::now();
    let outcome = client.ask(ASK);
    timed_out(&outcome, "total");
    assert!(begin.elapsed() >= Duration::from_millis(400));
    assert_eq!(outcome.attempts().len(), 3);
}

#[test]
fn the_total_still_counts_after_the_finish() {
    ends("total", 300, ASK_STREAM, |conn| {
        conn.stream_head();
        conn.body(say("Hello") + &finish("stop"));
        conn.stall();
    });
}

#[test]
fn the_total_includes_a_slow_host() {
    only_in!([Complete, Thread], "elsewhere events wait for the host; delivery.rs has the same with a full queue");
    let server = Server::new(|_, conn| conn.stream(hello()));
    let client = Client::with(&server, json!({"timeouts": {"total_ms": 200}}));
    let call = client.call(ASK_STREAM).on_event(|event| {
        if event.is_response() {
            std::thread::sleep(Duration::from_millis(500));
        }
        0
    });
    timed_out(&call.run(), "total");
}

#[test]
fn the_total_includes_waiting_for_ones_turn() {
    let (taken, released) = (Gate::new(), Gate::new());
    let server = {
        let (taken, released) = (taken.clone(), released.clone());
        Server::new(move |_, conn| {
            taken.open();
            released.wait();
            conn.json(200, completion("Hello"));
        })
    };
    let client = Client::with(&server, json!({"limits": {"max_in_flight": 1}}));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| client.ask(ASK));
        taken.wait();
        let second = client.call(ASK).overrides(&json!({"timeouts": {"total_ms": 200}})).run();
        timed_out(&second, "total");
        released.open();
        first.join().unwrap().ok();
    });
    assert_eq!(server.requests().len(), 1, "the second was never sent");
}

#[test]
fn a_wait_that_the_total_has_no_room_for_is_not_begun() {
    let server = Server::new(|_, conn| conn.answer(429, &[("retry-after", "30")], "{\"error\":\"Slow down\"}"));
    let client = Client::with(&server, json!({"timeouts": {"total_ms": 20_000}}));
    let begin = Instant::now();
    let outcome = client.ask(ASK);
    let error = outcome.fails(HELIO_ERR_RATE_LIMITED);
    assert_eq!(error.retry_after_ms, 30_000);
    assert!(begin.elapsed() < Duration::from_secs(20), "it waited all the same");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_deadline_can_be_taken_away_for_one_call() {
    let server = Server::new(|_, conn| {
        std::thread::sleep(Duration::from_millis(600));
        conn.json(200, completion("Hello"));
    });
    let client = Client::with(&server, json!({"timeouts": {"first_event_ms": 200, "total_ms": 300}}));
    let none = json!({"timeouts": {"first_event_ms": null, "total_ms": null}});
    client.call(ASK).overrides(&none).run().ok();
    client.ask(ASK).fails(HELIO_ERR_TIMEOUT);
}
