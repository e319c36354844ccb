//! The deadline of a whole call: over queueing, the way there, attempts, the waits between them, the answer and a slow
//! host.

use helio::abi::*;
use serde_json::json;

use super::deadlines::{FIRST_EVENT_S, PAUSE, SECOND, TOTAL_S, ends, only, timed_out};
use crate::only_in;
use crate::support::black_hole::BlackHole;
use crate::support::c::{Client, config_of, merged};
use crate::support::chat::{ASK, ASK_STREAM, completion, finish, say};
use crate::support::conn::{Conn, Framing};
use crate::support::server::Server;
use crate::support::sync::Gate;
use crate::support::time::Time;

#[test]
fn the_total_ends_a_call_in_every_phase() {
    ends("total", TOTAL_S, ASK, Conn::stall);
    ends("total", TOTAL_S, ASK, |conn| {
        conn.head(200, &[("content-type", "application/json")], Framing::Chunked);
        conn.body("{\"choices\":[");
        conn.body_until_left(" ", PAUSE);
    });
    let outcome = ends("total", TOTAL_S, ASK_STREAM, |conn| {
        conn.stream_head();
        conn.body_until_left(&say("x"), PAUSE);
    });
    assert!(outcome.content().starts_with('x'));
    ends("total", TOTAL_S, ASK_STREAM, |conn| {
        conn.stream_head();
        conn.body_until_left(": ping\n\n", PAUSE);
    });
}

#[test]
fn the_total_ends_a_call_on_its_way_there() {
    let hole = BlackHole::open();
    let (silent, proxy) = (Server::raw(Conn::stall), Server::raw(Conn::stall));
    let mut through = config_of("http://127.0.0.1:9/v1");
    through["proxy"] = json!(proxy.origin());
    for config in [config_of(&hole.url()), config_of(&silent.url().replace("http", "https")), through] {
        let client = Client::new(&merged(config, &only("total", TOTAL_S)));
        let flight = Time::of(client.handle()).fly();
        let outcome = client.ask(ASK);
        drop(flight);
        timed_out(&outcome, "total", TOTAL_S);
        assert_eq!(outcome.done().http_status, 0);
    }
}

#[test]
fn the_total_counts_over_all_attempts() {
    let server = Server::new(|request, conn| if request.number < 2 { conn.answer(503, &[], "") } else { conn.stall() });
    let waits = json!({"retry": {"base_ms": 100_000, "max_ms": 100_000}});
    let client = Client::with(&server, merged(only("total", TOTAL_S), &waits));
    let flight = Time::of(client.handle()).fly();
    let outcome = client.ask(ASK);
    drop(flight);
    timed_out(&outcome, "total", TOTAL_S);
    assert_eq!(outcome.attempts().len(), 3);
    assert!(outcome.attempts()[1]["wait_ms"].as_u64() >= Some(75_000), "{:?}", outcome.attempts());
}

#[test]
fn the_total_still_counts_after_the_finish() {
    let (time, finished) = (Time::default(), Gate::new());
    let server = {
        let (time, finished) = (time.clone(), finished.clone());
        Server::new(move |_, conn| {
            conn.stream_head();
            time.pass(SECOND * (TOTAL_S - 2));
            conn.body(say("Hello") + &finish("stop"));
            finished.wait();
            time.pass(SECOND * 3); // less than what may follow a finish is waited for
            conn.stall();
        })
    };
    let client = Client::with(&server, only("total", TOTAL_S));
    time.set_to(client.handle());
    let call = client.call(ASK_STREAM).on_event(|event| {
        if event.is_chunk() && event.text.is_none() {
            finished.open();
        }
        0
    });
    timed_out(&call.run(), "total", TOTAL_S);
}

#[test]
fn the_total_includes_a_slow_host() {
    only_in!([Complete, Thread], "elsewhere events wait for the host; delivery.rs has the same with a full queue");
    let left = Gate::new();
    let server = {
        let left = left.clone();
        Server::new(move |_, conn| {
            conn.stream_head();
            conn.body(say("Hello"));
            conn.stall();
            left.open();
        })
    };
    let client = Client::with(&server, only("total", TOTAL_S));
    let time = Time::of(client.handle());
    let call = client.call(ASK_STREAM).on_event(|event| {
        if event.is_response() {
            time.pass(SECOND * TOTAL_S);
            left.wait(); // it strikes while the host's code runs
        }
        0
    });
    timed_out(&call.run(), "total", TOTAL_S);
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
    let no_deadline = merged(only("total", 1), &json!({"timeouts": {"total_ms": null}}));
    let client = Client::with(&server, merged(no_deadline, &json!({"limits": {"max_in_flight": 1}})));
    let time = Time::of(client.handle());
    std::thread::scope(|scope| {
        let first = scope.spawn(|| client.ask(ASK));
        taken.wait();
        let flight = time.fly();
        let second = client.call(ASK).overrides(&only("total", TOTAL_S)).run();
        drop(flight);
        timed_out(&second, "total", TOTAL_S);
        assert!(second.attempts().is_empty(), "{:?}", second.attempts());
        released.open();
        first.join().unwrap().ok();
    });
    assert_eq!(server.requests().len(), 1, "the second was never sent");
}

#[test]
fn a_wait_that_the_total_has_no_room_for_is_not_begun() {
    let server = Server::new(|_, conn| conn.answer(429, &[("retry-after", "30")], "{\"error\":\"Slow down\"}"));
    let client = Client::with(&server, json!({"timeouts": {"total_ms": 20_000}}));
    let outcome = client.ask(ASK);
    let error = outcome.fails(HELIO_ERR_RATE_LIMITED);
    assert_eq!(error.retry_after_ms, 30_000);
    assert!(outcome.report()["us"]["total"].as_u64().unwrap() < 20_000_000, "it waited all the same");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_deadline_can_be_taken_away_for_one_call() {
    let (begun, go_on) = (Gate::new(), Gate::new());
    let server = {
        let (begun, go_on) = (begun.clone(), go_on.clone());
        Server::new(move |_, conn| {
            begun.open();
            go_on.wait();
            conn.json(200, completion("Hello"));
        })
    };
    let client = Client::with(&server, only("first_event", FIRST_EVENT_S));
    let time = Time::of(client.handle());
    let none = json!({"timeouts": {"first_event_ms": null}});
    std::thread::scope(|scope| {
        let without = scope.spawn(|| client.call(ASK).overrides(&none).run());
        begun.wait();
        let flight = time.fly();
        timed_out(&client.ask(ASK), "first_event", FIRST_EVENT_S);
        drop(flight);
        go_on.open();
        without.join().unwrap().ok();
    });
}
