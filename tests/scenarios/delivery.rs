//! Events that wait for a host: a full queue holds the server up, and nobody and nothing else.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use helio::abi::*;
use serde_json::{Value, json};

use crate::support::c::Client;
use crate::support::chat::{ASK, ASK_STREAM, DONE, completion, delta, finish, hello, say, usage};
use crate::support::conn::{Conn, Framing};
use crate::support::delivery::{Mode, until};
use crate::support::outcome::Outcome;
use crate::support::server::Server;
use crate::support::sync::Gate;
use crate::support::time::Time;

const HOUR: Duration = Duration::from_secs(3600);

fn limits(events: usize, bytes: usize) -> Value {
    json!({"limits": {"queue_events": events, "queue_bytes": bytes}})
}

/// Far beyond what sockets hold.
const LINES: usize = 300;
const LINE: usize = 60_000;

/// Streams 18 MB to who asks for a stream, and counts how much of it went out; others are answered at once.
fn flood(sent: Arc<AtomicUsize>) -> Server {
    Server::new(move |request, conn| {
        if request.json()["stream"] != true {
            return conn.json(200, completion("Hello"));
        }
        conn.stream_head();
        for number in 0..LINES {
            conn.body(say(&format!("{number:0>LINE$}")));
            sent.fetch_add(1, Ordering::SeqCst);
        }
        conn.body(finish("stop") + DONE);
        conn.end();
    })
}

/// Waits until the server gets rid of nothing more.
fn until_held_up(sent: &AtomicUsize) {
    let mut last = usize::MAX;
    until("the server is held up", || {
        let now = sent.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(150));
        now > 0 && std::mem::replace(&mut last, now) == now
    });
    let sent = sent.load(Ordering::SeqCst);
    assert!(sent < LINES, "all of it was read ahead of the host");
}

/// The flood came whole and in order.
#[track_caller]
fn is_whole(outcome: &Outcome) {
    outcome.ok();
    let mut numbers = 0;
    for chunk in outcome.chunks().iter().filter(|chunk| chunk.text.is_some()) {
        assert_eq!(chunk.text.as_ref().unwrap().parse(), Ok(numbers));
        numbers += 1;
    }
    assert_eq!((numbers, outcome.content().len()), (LINES, LINES * LINE));
}

// ---- holding the server up ----

#[test]
fn a_full_queue_holds_the_server_up_and_no_other_request() {
    for (mode, limits) in [(Mode::Poll, limits(4, 1 << 30)), (Mode::Pull, limits(1000, 400_000))] {
        let sent = Arc::<AtomicUsize>::default();
        let server = flood(sent.clone());
        let client = Client::of(&server);
        let running = client.call(ASK_STREAM).overrides(&limits).mode(mode).submit();
        until_held_up(&sent);
        let pending = client.handle().pending();
        assert!((2..=5).contains(&pending), "{pending} events wait with {limits}");
        for other in [Mode::Complete, Mode::Thread] {
            client.call(ASK).mode(other).run().ok();
        }
        assert_eq!(client.handle().pending(), pending, "nobody took any of it");
        is_whole(&running.wait());
    }
}

#[test]
fn a_thread_callback_that_does_not_return_holds_the_server_up_and_no_other_request() {
    let (sent, leave) = (Arc::<AtomicUsize>::default(), Gate::new());
    let server = flood(sent.clone());
    let client = Client::of(&server);
    let call = client.call(ASK_STREAM).mode(Mode::Thread).on_event(|event| {
        if event.is_response() {
            leave.wait();
        }
        0
    });
    let running = call.submit();
    until_held_up(&sent);
    for other in [Mode::Complete, Mode::Poll, Mode::Pull, Mode::Thread] {
        client.call(ASK).mode(other).run().ok();
    }
    leave.open();
    is_whole(&running.wait());
}

#[test]
fn a_host_that_takes_one_event_at_a_time_sees_all_in_order() {
    let server = Server::new(|_, conn| {
        conn.stream_head();
        let all: String = (0..1500).map(|number| say(&format!("{number},"))).collect();
        conn.body(all + &finish("stop") + DONE);
        conn.end();
    });
    for mode in Mode::QUEUED {
        for limits in [limits(1, 1 << 20), limits(7, 1 << 20), limits(1000, 1), limits(1000, 3000)] {
            let client = Client::of(&server);
            let running = client.call(ASK_STREAM).overrides(&limits).mode(mode).submit();
            until("DONE", || {
                while client.handle().take(mode, 1) > 0 {}
                running.is_done()
            });
            let outcome = running.outcome();
            outcome.ok();
            let all: String = (0..1500).map(|number| format!("{number},")).collect();
            assert_eq!((outcome.content(), outcome.chunks().len()), (all, 1501), "{mode:?} {limits}");
        }
    }
}

#[test]
fn an_event_larger_than_the_queue_passes_alone() {
    let server = Server::new(|_, conn| {
        conn.stream([say("a"), say(&"b".repeat(300_000)), say("c"), say(&"d".repeat(300_000)), finish("stop")]);
    });
    for mode in Mode::QUEUED {
        let client = Client::with(&server, limits(1000, 1000));
        let running = client.call(ASK_STREAM).mode(mode).submit();
        // RESPONSE and the first chunk are small.
        client.handle().until_pending(2);
        let outcome = running.wait();
        outcome.ok();
        assert_eq!(outcome.content().len(), 600_002);
    }
}

fn gzipped(stream: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(stream.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn an_event_that_waits_for_room_delays_no_other_request() {
    const HEADERS: [(&str, &str); 2] = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
    for (mode, is_gzip, size) in [
        (Mode::Poll, false, 5_900),
        (Mode::Pull, false, 5_900),
        (Mode::Poll, false, 50_000),
        (Mode::Poll, true, 5_900),
        (Mode::Pull, true, 50_000),
    ] {
        let server = Server::new(move |request, conn| {
            if request.json()["stream"] != true {
                return conn.json(200, completion("Hello"));
            }
            let stream = [say("a"), say(&"b".repeat(size)), finish("stop"), DONE.to_string()].concat();
            let (headers, body) =
                if is_gzip { (&HEADERS[..], gzipped(&stream)) } else { (&HEADERS[..1], stream.into_bytes()) };
            conn.head(200, headers, Framing::Chunked);
            conn.body(body);
            conn.end();
        });
        let client = Client::of(&server);
        // Less than half full, and yet without room for what comes next.
        let running = client.call(ASK_STREAM).overrides(&limits(1000, 12_000)).mode(mode).submit();
        client.handle().until_pending(2);
        for turn in 0..5 {
            for other in [Mode::Complete, Mode::Thread] {
                client.call(ASK).mode(other).run().ok();
            }
            assert_eq!(client.handle().pending(), 2, "turn {turn}");
        }
        let outcome = running.wait();
        outcome.ok();
        assert_eq!(outcome.content().len(), size + 1);
    }
}

// ---- the clock ----

/// A whole answer of many events, sent at once.
fn at_once(conn: &mut Conn) {
    let words: String = (0..20).map(|_| say("x")).collect();
    conn.stream([words + &hello().concat()]);
}

/// What the reactor was at is done: it has found no room for the next event of a stream that it reads. A connection that
/// is opened needs it, too.
fn until_the_reactor_has_turned(client: &Client) {
    assert_eq!(client.handle().prewarm(), HELIO_OK);
    client.handle().until_stats("connections/idle", 1);
}

#[test]
fn idle_rests_while_nobody_makes_room() {
    let server = Server::new(|_, conn| at_once(conn));
    for mode in Mode::QUEUED {
        let client = Client::of(&server);
        let running = client.call(ASK_STREAM).overrides(&limits(3, 1 << 20)).mode(mode).submit();
        client.handle().until_pending(3);
        until_the_reactor_has_turned(&client);
        Time::of(client.handle()).pass(HOUR);
        let outcome = running.wait();
        outcome.ok();
        assert_eq!(outcome.content(), "x".repeat(20) + "Hello");
    }
}

#[test]
fn idle_counts_again_when_there_is_room() {
    let server = Server::new(|_, conn| {
        conn.stream_head();
        conn.body(say("a") + &say("b") + &say("c"));
        conn.stall();
    });
    for mode in Mode::QUEUED {
        let client = Client::of(&server);
        let running = client.call(ASK_STREAM).overrides(&limits(2, 1 << 20)).mode(mode).submit();
        client.handle().until_pending(2);
        let _flight = Time::of(client.handle()).fly();
        let outcome = running.wait();
        assert_eq!(outcome.fails(HELIO_ERR_TIMEOUT).code(), "idle");
        assert_eq!(outcome.content(), "abc");
    }
}

#[test]
fn the_total_does_not_rest_while_nobody_makes_room() {
    let gone = Gate::new();
    let server = {
        let gone = gone.clone();
        Server::new(move |_, conn| {
            conn.stream_head();
            conn.body((0..20).map(|_| say("x")).collect::<String>());
            conn.stall();
            gone.open();
        })
    };
    for (turn, mode) in Mode::QUEUED.into_iter().enumerate() {
        let client = Client::with(&server, json!({"timeouts": {"total_ms": 3_600_000}}));
        let running = client.call(ASK_STREAM).overrides(&limits(3, 1 << 20)).mode(mode).submit();
        client.handle().until_pending(3);
        Time::of(client.handle()).pass(HOUR);
        // Nobody has received anything, and the connection is dropped all the same.
        gone.wait_for(turn + 1);
        client.handle().until_pending(4);
        let outcome = running.wait();
        assert_eq!(outcome.fails(HELIO_ERR_TIMEOUT).code(), "total");
        assert_eq!(outcome.report()["timeout"], "total");
        assert_eq!(outcome.chunks().len(), 2, "what waited is not lost");
    }
}

#[test]
fn what_follows_the_finish_waits_for_the_host_and_not_for_the_clock() {
    for mode in Mode::QUEUED {
        let seen = Gate::new();
        let server = {
            let seen = seen.clone();
            Server::new(move |_, conn| {
                conn.stream_head();
                conn.body(say("Hello") + &finish("stop") + &delta(json!({})));
                seen.wait();
                conn.body(usage() + DONE);
                conn.end();
            })
        };
        let client = Client::of(&server);
        let call = client.call(ASK_STREAM).overrides(&limits(3, 1 << 20)).mode(mode).on_event(|event| {
            // This one found no room, behind the finish.
            if event.is_chunk() && event.json()["choices"][0] == json!({"index": 0, "delta": {}, "finish_reason": null})
            {
                seen.open();
            }
            0
        });
        let running = call.submit();
        client.handle().until_pending(3);
        until_the_reactor_has_turned(&client);
        Time::of(client.handle()).pass(HOUR);
        let outcome = running.wait();
        assert_eq!(outcome.ok()["usage"]["total_tokens"], 5, "{mode:?}");
        assert_eq!(outcome.report()["terminator"], true);
    }
}

// ---- places ----

#[test]
fn an_answer_that_nobody_takes_gives_its_place_back() {
    for is_stream in [false, true] {
        let server = Server::new(
            move |_, conn| {
                if is_stream { conn.stream(hello()) } else { conn.json(200, completion("Hello")) }
            },
        );
        for mode in Mode::QUEUED {
            let client = Client::with(&server, json!({"limits": {"max_in_flight": 1, "max_threads": 1}}));
            // A JSON answer has no CHUNK that could want room.
            let narrow = if is_stream { limits(10, 1 << 20) } else { limits(1, 1) };
            let before = server.requests().len();
            let running: Vec<_> = (0..4).map(|_| client.call(ASK).overrides(&narrow).mode(mode).submit()).collect();
            server.wait_for_requests(before + 4);
            client.handle().until_pending(if is_stream { 4 * 7 } else { 4 * 2 });
            client.handle().until_stats("in_flight", 0);
            assert_eq!(client.handle().stats()["succeeded"], 4);
            for one in running {
                assert_eq!(one.wait().content(), "Hello");
            }
        }
    }
}
