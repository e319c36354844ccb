//! Faults of our own: a request panics at a named point inside the library, and only it pays.
//!
//! The panics are put in on purpose (`helio::fault`), and what they print belongs to a run that went well.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use flate2::{Compression, write::GzEncoder};
use helio::abi::*;
use helio::fault;
use serde_json::json;

use crate::only_in;
use crate::support::ask::answering;
use crate::support::c::Client;
use crate::support::call::Call;
use crate::support::chat::{ASK, ASK_STREAM, completion, hello, say};
use crate::support::conn::Conn;
use crate::support::delivery::Mode;
use crate::support::outcome::{Event, Outcome};
use crate::support::server::Server;
use crate::support::sync::Gate;

const WAYS: [Mode; 4] = [Mode::Complete, Mode::Poll, Mode::Pull, Mode::Thread];

/// One place and one thread: what is not given back is missed at once.
fn narrow(server: &Server) -> Client {
    Client::with(server, json!({"limits": {"max_in_flight": 1, "max_threads": 1}}))
}

/// A request that panics when it comes to this point.
fn panics_at(client: &Client, mode: Mode, point: &'static str, body: &str) -> Outcome {
    let id = client.reserve();
    fault::arm(point, id);
    client.call(body).mode(mode).id(id).run()
}

#[track_caller]
fn is_a_fault(outcome: &Outcome, mode: Mode) {
    assert_eq!(outcome.status, HELIO_ERR_INTERNAL, "{mode:?}: {outcome:#?}");
    let failure = outcome.fails(HELIO_ERR_INTERNAL);
    assert!(failure.message.len() > 15, "{mode:?}: {failure:?}");
    assert_eq!(failure.retry_after_ms, -1, "{mode:?}: {failure:?}");
    assert_eq!(outcome.report()["status"], "INTERNAL", "{mode:?}");
    assert_eq!(outcome.events.iter().filter(|event| event.is_done()).count(), 1, "{mode:?}: {outcome:#?}");
}

fn gzip(data: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_panic_before_anything_is_sent_is_an_internal_error() {
    only_in!([Complete], "each way is tried here");
    for mode in WAYS {
        let server = answering();
        let client = narrow(&server);
        let outcome = panics_at(&client, mode, "attempt", ASK);
        is_a_fault(&outcome, mode);
        assert_eq!(outcome.events.len(), 1, "{mode:?}");
        assert_eq!(server.requests().len(), 0, "{mode:?}");
        assert_eq!(client.call(ASK).mode(mode).run().content(), "Hello");
    }
}

#[test]
fn a_panic_within_any_answer_is_an_internal_error() {
    only_in!([Complete], "each way is tried here");
    let answers: [fn(&mut Conn); 4] = [
        |conn| conn.stream(hello()),
        |conn| conn.json(200, completion("Hello")),
        |conn| {
            let headers = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
            conn.answer(200, &headers, gzip(&hello().concat()));
        },
        |conn| {
            let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
            conn.answer(200, &headers, gzip(&completion("Hello")));
        },
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        for mode in WAYS {
            let server = Server::new(move |_, conn| answer(conn));
            let client = narrow(&server);
            let outcome = panics_at(&client, mode, "body", ASK_STREAM);
            is_a_fault(&outcome, mode);
            assert_eq!(server.requests().len(), 1, "{mode:?}, answer {number}: nothing is sent again");
            assert_eq!(client.call(ASK_STREAM).mode(mode).run().content(), "Hello", "{mode:?}, answer {number}");
        }
    }
}

#[test]
fn what_came_before_a_panic_is_shown_and_kept() {
    only_in!([Complete], "each way is tried here");
    for mode in WAYS {
        let server = Server::new(|_, conn| {
            conn.stream_head();
            conn.body(say("first"));
            std::thread::sleep(Duration::from_millis(20)); // so that it comes by itself
            conn.body_until_left(&say(" more"), Duration::from_millis(1));
            conn.cut();
        });
        let client = narrow(&server);
        let hook = |event: &Event| {
            // What comes behind it may be read before the panic, or not.
            if event.text.as_deref() == Some(" more") {
                fault::arm("body", event.request);
            }
            0
        };
        let outcome = client.call(ASK_STREAM).mode(mode).on_event(hook).run();
        is_a_fault(&outcome, mode);
        let first = outcome.chunks().first().map(|chunk| chunk.text.as_deref());
        assert_eq!(first, Some(Some("first")), "{mode:?}");
        assert!(outcome.content().starts_with("first more"), "{mode:?}: what had arrived");
        let shown: String = outcome.chunks().iter().filter_map(|chunk| chunk.text.as_deref()).collect();
        assert_eq!(outcome.content(), shown, "{mode:?}: what was shown is what is kept");
    }
}

#[test]
fn a_panic_gives_back_its_place_and_its_thread() {
    only_in!([Complete], "each way is tried here");
    let server = Server::new(|_, conn| conn.stream(hello()));
    for mode in WAYS {
        let client = narrow(&server);
        for round in 0..20 {
            let point = ["attempt", "body"][round % 2];
            is_a_fault(&panics_at(&client, mode, point, ASK_STREAM), mode);
        }
        assert_eq!(client.call(ASK_STREAM).mode(mode).run().content(), "Hello", "{mode:?}");
        let stats = client.handle().stats();
        for (name, wanted) in [("in_flight", 0), ("queued", 0), ("pending_events", 0), ("failed", 20), ("succeeded", 1)]
        {
            assert_eq!(stats[name], wanted, "{mode:?}: {name} in {stats}");
        }
        assert!(stats["threads"].as_u64().unwrap() <= 2, "{mode:?}: one of them is the reactor: {stats}");
    }
}

#[test]
fn who_waits_behind_a_panic_gets_its_place() {
    only_in!([Complete], "each way is tried here");
    for mode in Mode::SUBMITTED {
        let server = answering();
        let client = narrow(&server);
        let ids: Vec<u64> = (0..6).map(|_| client.reserve()).collect();
        ids.iter().step_by(2).for_each(|id| fault::arm("attempt", *id));
        let running: Vec<_> = ids.iter().map(|id| client.call(ASK).mode(mode).id(*id).submit()).collect();
        for (number, running) in running.into_iter().enumerate() {
            match running.wait() {
                outcome if number % 2 == 0 => is_a_fault(&outcome, mode),
                outcome => assert_eq!(outcome.content(), "Hello", "{mode:?}"),
            }
        }
    }
}

#[test]
fn a_stream_beside_a_panic_goes_on() {
    only_in!([Complete], "each way is tried here");
    for mode in Mode::SUBMITTED {
        for point in ["attempt", "body"] {
            let go_on = Gate::new();
            let server = {
                let go_on: Arc<Gate> = go_on.clone();
                Server::new(move |request, conn| {
                    conn.stream_head();
                    let mut events = hello().into_iter();
                    conn.body(events.next().unwrap());
                    if request.number == 0 {
                        go_on.wait();
                    }
                    events.for_each(|event| conn.body(event));
                    conn.end();
                })
            };
            let client = Client::of(&server);
            let beside = client.call(ASK_STREAM).mode(mode).submit();
            server.wait_for_requests(1);
            for other in WAYS {
                // Two who take PULL events would take each other's.
                if other != mode {
                    is_a_fault(&panics_at(&client, other, point, ASK_STREAM), other);
                }
            }
            go_on.open();
            let outcome = beside.wait();
            outcome.ok();
            assert_eq!(outcome.content(), "Hello", "{mode:?} beside a panic at {point:?}");
        }
    }
}

#[test]
fn the_connection_of_a_panic_is_dropped_and_no_other() {
    only_in!([Complete], "each way is tried here");
    for mode in WAYS {
        let server = Server::new(|request, conn| match request.number {
            1 => {
                conn.stream_head();
                conn.body(say("half"));
                conn.stall(); // fails the test if the client stays
            }
            // Its end is there with its last byte: the connection is free at once.
            _ => conn.json(200, completion("Hello")),
        });
        let client = narrow(&server);
        client.call(ASK).mode(mode).run().ok();
        is_a_fault(&panics_at(&client, mode, "body", ASK_STREAM), mode);
        client.call(ASK).mode(mode).run().ok();
        client.call(ASK).mode(mode).run().ok();
        assert_eq!((server.connections(), server.requests().len()), (2, 4), "{mode:?}");
    }
}

#[test]
fn destroy_shows_the_end_of_a_panic_that_nobody_has_polled() {
    only_in!([Complete], "each way is tried here");
    for mode in [Mode::Poll, Mode::Thread] {
        let server = answering();
        let client = narrow(&server).into_handle();
        let id = client.reserve();
        fault::arm("attempt", id);
        let running = Call::new(client, &[], ASK.as_bytes()).mode(mode).id(id).submit();
        assert_eq!(running.id, id);
        while client.stats()["failed"] != 1 {
            std::thread::yield_now();
        }
        assert_eq!(client.destroy(30_000), HELIO_OK);
        assert!(running.is_done(), "{mode:?}: destroy has returned");
        is_a_fault(&running.outcome(), mode);
    }
}
