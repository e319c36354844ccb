//! Cancelling what was submitted: in every phase, in every way, and what the host still sees of it.

use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use helio::abi::*;
use serde_json::json;

use crate::support::black_hole::BlackHole;
use crate::support::c::{Client, config_of};
use crate::support::call::Running;
use crate::support::chat::{ASK, ASK_STREAM, completion, hello, say};
use crate::support::conn::{Conn, Framing};
use crate::support::delivery::Mode;
use crate::support::outcome::Outcome;
use crate::support::server::Server;
use crate::support::sync::{Gate, pass};

/// Cancels a request that runs, and waits for its end.
#[track_caller]
fn cancelled(client: &Client, running: Running) -> Outcome {
    assert_eq!(client.cancel(running.id), HELIO_OK);
    let outcome = running.wait();
    outcome.fails(HELIO_ERR_CANCELLED);
    outcome
}

/// Submits in each way to a server that opens the gate in the phase in question and then stalls, and cancels there.
/// That the connection is dropped at once, with nobody receiving, is what lets the script end.
#[track_caller]
fn cancelled_in(body: &str, script: impl Fn(&mut Conn, &Gate) + Send + Sync + 'static) -> Vec<Outcome> {
    let (ready, gone) = (Gate::new(), Gate::new());
    let server = {
        let (ready, gone) = (ready.clone(), gone.clone());
        Server::raw(move |conn| {
            script(conn, &ready);
            assert!(!conn.stopping(), "the connection outlived its request");
            gone.open();
        })
    };
    let ask = |(turn, mode): (usize, Mode)| {
        let client = Client::of(&server);
        let running = client.call(body).mode(mode).submit();
        ready.wait_for(turn + 1);
        assert_eq!(client.cancel(running.id), HELIO_OK);
        gone.wait_for(turn + 1);
        let outcome = running.wait();
        outcome.fails(HELIO_ERR_CANCELLED);
        assert_eq!(server.connections(), turn + 1, "what was cancelled is not tried again");
        outcome
    };
    Mode::SUBMITTED.into_iter().enumerate().map(ask).collect()
}

// ---- phases ----

#[test]
fn while_it_waits_for_a_place() {
    for mode in Mode::SUBMITTED {
        let server = Server::new(|_, conn| conn.stall());
        let client = Client::with(&server, json!({"limits": {"max_in_flight": 1}}));
        let first = client.call(ASK).mode(mode).submit();
        server.wait_for_requests(1);
        let outcome = cancelled(&client, client.call(ASK).mode(mode).submit());
        assert_eq!((outcome.events.len(), outcome.data, server.requests().len()), (1, None, 1));
        cancelled(&client, first);
        client.handle().until_stats("in_flight", 0);
        assert_eq!(client.handle().stats()["queued"], 0);
    }
}

#[test]
fn while_it_connects() {
    let hole = BlackHole::open();
    for mode in Mode::SUBMITTED {
        let client = Client::new(&config_of(&hole.url()));
        let running = client.call(ASK).mode(mode).submit();
        pass();
        let outcome = cancelled(&client, running);
        assert_eq!((outcome.events.len(), outcome.data), (1, None));
    }
}

#[test]
fn as_soon_as_it_was_submitted() {
    let server = Server::new(|_, conn| conn.stall());
    for mode in Mode::SUBMITTED {
        let client = Client::of(&server);
        for _ in 0..50 {
            cancelled(&client, client.call(ASK).mode(mode).submit());
        }
        let stats = client.handle().stats();
        assert_eq!((&stats["started"], &stats["cancelled"]), (&json!(50), &json!(50)));
    }
}

#[test]
fn within_the_tls_handshake() {
    let ready = Gate::new();
    let server = {
        let ready = ready.clone();
        Server::raw(move |conn| {
            conn.skip(1);
            ready.open();
            conn.stall();
        })
    };
    for (turn, mode) in Mode::SUBMITTED.into_iter().enumerate() {
        let client = Client::new(&config_of(&format!("https://127.0.0.1:{}/v1", server.port())));
        let running = client.call(ASK).mode(mode).submit();
        ready.wait_for(turn + 1);
        cancelled(&client, running);
    }
}

#[test]
fn while_it_waits_for_the_head() {
    let outcomes = cancelled_in(ASK_STREAM, |conn, ready| {
        conn.read_request();
        ready.open();
        conn.stall();
    });
    assert!(outcomes.iter().all(|outcome| outcome.events.len() == 1 && outcome.data.is_none()));
}

#[test]
fn before_the_first_event() {
    let outcomes = cancelled_in(ASK_STREAM, |conn, ready| {
        conn.read_request();
        conn.stream_head();
        conn.wait_until_read();
        ready.open();
        conn.stall();
    });
    assert!(outcomes.iter().all(|outcome| outcome.events.len() == 1));
}

#[test]
fn within_a_stream() {
    cancelled_in(ASK_STREAM, |conn, ready| {
        conn.read_request();
        conn.stream_head();
        conn.body(say("Hello"));
        conn.wait_until_read();
        ready.open();
        conn.stall();
    });
}

#[test]
fn within_a_zipped_stream() {
    cancelled_in(ASK_STREAM, |conn, ready| {
        conn.read_request();
        conn.head(200, &[("content-type", "text/event-stream"), ("content-encoding", "gzip")], Framing::Chunked);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(say("Hello").as_bytes()).unwrap();
        encoder.flush().unwrap();
        conn.body(encoder.get_ref());
        conn.wait_until_read();
        ready.open();
        conn.stall();
    });
}

#[test]
fn within_a_json_answer() {
    cancelled_in(ASK, |conn, ready| {
        conn.read_request();
        conn.head(200, &[("content-type", "application/json")], Framing::Length(1000));
        conn.body("{\"choices\":[");
        conn.wait_until_read();
        ready.open();
        conn.stall();
    });
}

#[test]
fn while_it_backs_off() {
    for mode in Mode::SUBMITTED {
        let server = Server::new(|_, conn| conn.answer(429, &[("retry-after", "50")], ""));
        let client = Client::of(&server);
        let running = client.call(ASK).mode(mode).submit();
        client.handle().until_stats("retries", 1);
        let outcome = cancelled(&client, running);
        assert_eq!((outcome.events.len(), server.requests().len()), (1, 1));
    }
}

/// A server that says so many words at once and then nothing, and opens the gate when the client has left.
fn unfinished(words: usize, gone: &Arc<Gate>) -> Server {
    let gone = gone.clone();
    Server::new(move |_, conn| {
        conn.stream_head();
        conn.body(say("a").repeat(words));
        conn.stall();
        gone.open();
    })
}

#[test]
fn while_its_queue_is_full() {
    for mode in Mode::QUEUED {
        let gone = Gate::new();
        let server = unfinished(100, &gone);
        let client = Client::with(&server, json!({"limits": {"queue_events": 10}}));
        let running = client.call(ASK_STREAM).mode(mode).submit();
        client.handle().until_pending(10);
        let handle = client.handle();
        assert_eq!(handle.cancel(running.id), HELIO_OK);
        gone.wait();
        handle.until_pending(2);
        let outcome = running.wait();
        outcome.fails(HELIO_ERR_CANCELLED);
        assert_eq!(outcome.events.len(), 2, "RESPONSE and DONE");
        assert!(outcome.content().starts_with("aaaaaaaaa"), "what had come is not lost: {}", outcome.content());
    }
}

// ---- what the host still sees ----

#[test]
fn chunks_that_wait_are_dropped_at_once() {
    for mode in Mode::QUEUED {
        let gone = Gate::new();
        let server = unfinished(6, &gone);
        let client = Client::of(&server);
        let (first, second) =
            (client.call(ASK_STREAM).mode(mode).submit(), client.call(ASK_STREAM).mode(mode).submit());
        client.handle().until_pending(14);
        assert_eq!(client.cancel(first.id), HELIO_OK);
        let pending = client.handle().pending();
        assert!((8..=9).contains(&pending), "{pending} events: RESPONSE, perhaps DONE, and all of the other's");
        client.handle().until_pending(9);
        assert_eq!(client.handle().take(mode, 0), 9);
        let outcome = first.outcome();
        outcome.fails(HELIO_ERR_CANCELLED);
        assert_eq!((outcome.chunks().len(), outcome.content().as_str()), (0, "aaaaaa"));
        assert_eq!(cancelled(&client, second).chunks().len(), 6, "the other lost nothing");
    }
}

#[test]
fn after_a_cancel_no_chunk_follows_even_if_the_end_was_decided() {
    let server = Server::new(|_, conn| conn.stream(hello()));
    for mode in Mode::QUEUED {
        for seen in 0..6 {
            let client = Client::of(&server);
            let running = client.call(ASK_STREAM).mode(mode).may_be_cancelled().submit();
            client.handle().until_pending(7);
            assert_eq!(client.handle().take(mode, seen), if seen == 0 { 7 } else { seen });
            assert_eq!(client.cancel(running.id), HELIO_OK);
            let outcome = running.wait();
            assert_eq!(
                (outcome.ok()["usage"]["total_tokens"].as_i64(), outcome.content().as_str()),
                (Some(5), "Hello")
            );
            let chunks = if seen == 0 { 5 } else { seen - 1 };
            assert_eq!(outcome.chunks().len(), chunks, "{mode:?} after {seen} events");
        }
    }
}

#[test]
fn a_callback_that_returns_non_zero_sees_only_done() {
    for mode in [Mode::Poll, Mode::Thread] {
        for (stop_at, answer) in [(0, 1), (1, -1), (3, i32::MAX)] {
            let gone = Gate::new();
            let server = unfinished(6, &gone);
            let client = Client::of(&server);
            let mut seen = 0;
            let call = client.call(ASK_STREAM).mode(mode).on_event(move |event| {
                seen += 1;
                if !event.is_done() && seen > stop_at { answer } else { 0 }
            });
            let outcome = call.submit().wait();
            outcome.fails(HELIO_ERR_CANCELLED);
            assert_eq!(outcome.chunks().len(), stop_at);
            gone.wait();
        }
    }
}

#[test]
fn a_poll_callback_that_returns_non_zero_sees_no_chunk_of_a_whole_answer() {
    let server = Server::new(|_, conn| conn.stream(hello()));
    let client = Client::of(&server);
    let call =
        client.call(ASK_STREAM).mode(Mode::Poll).may_be_cancelled().on_event(|event| i32::from(event.is_chunk()));
    let running = call.submit();
    client.handle().until_pending(7);
    // All in one poll.
    assert_eq!(client.handle().poll(0, 0), (HELIO_OK, 3));
    let outcome = running.outcome();
    outcome.ok();
    assert_eq!((outcome.chunks().len(), outcome.content().as_str()), (1, "Hello"));
    assert_eq!((client.handle().pending(), client.handle().poll(0, 0)), (0, (HELIO_OK, 0)));
}

#[test]
fn a_callback_may_cancel_another_request() {
    let gone = Gate::new();
    let server = unfinished(6, &gone);
    for mode in [Mode::Poll, Mode::Thread] {
        let client = Client::of(&server);
        let other = client.call(ASK_STREAM).mode(mode).submit();
        let (id, handle) = (other.id, client.handle());
        let call = client.call(ASK_STREAM).mode(mode).on_event(move |event| {
            if event.is_chunk() {
                assert_eq!(handle.cancel(id), HELIO_OK);
            }
            0
        });
        let running = call.submit();
        other.wait().fails(HELIO_ERR_CANCELLED);
        cancelled(&client, running);
    }
}

// ---- all of them ----

#[test]
fn cancel_all_ends_what_runs_and_what_waits_and_nothing_that_follows() {
    let server = Server::new(|request, conn| match request.number {
        0..4 => {
            conn.stream_head();
            conn.body(say("Hello"));
            conn.stall();
        }
        _ => conn.json(200, completion("Hello")),
    });
    let client = Client::with(&server, json!({"limits": {"max_in_flight": 4}}));
    let id = client.reserve();
    let running: Vec<_> =
        (0..12).map(|number| client.call(ASK_STREAM).mode(Mode::SUBMITTED[number % 3]).submit()).collect();
    server.wait_for_requests(4);
    assert_eq!(client.handle().cancel_all(), HELIO_OK);
    for one in running {
        one.wait().fails(HELIO_ERR_CANCELLED);
    }
    assert_eq!(server.requests().len(), 4);
    assert_eq!(client.handle().cancel_all(), HELIO_OK, "with nothing to cancel");
    client.call(ASK).id(id).mode(Mode::Pull).run().ok();
    assert_eq!(client.handle().stats()["cancelled"], 12);
}

#[test]
fn cancel_all_drops_the_chunks_that_wait() {
    let gone = Gate::new();
    let server = unfinished(6, &gone);
    let client = Client::of(&server);
    let running = Mode::QUEUED.map(|mode| client.call(ASK_STREAM).mode(mode).submit());
    client.handle().until_pending(14);
    assert_eq!(client.handle().cancel_all(), HELIO_OK);
    gone.wait_for(2);
    for one in running {
        assert_eq!(one.wait().chunks().len(), 0);
    }
}
