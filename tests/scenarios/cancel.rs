//! Ending a call early, from everywhere and in every phase, and the ends of a client.

use std::time::Duration;

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::black_hole::BlackHole;
use crate::support::c::{Client, config_of, status_name};
use crate::support::chat::{ASK, ASK_STREAM, completion, finish, hello, say};
use crate::support::conn::{Conn, Framing};
use crate::support::outcome::Outcome;
use crate::support::server::Server;
use crate::support::sync::{Gate, pass};

/// Asks, and cancels from another thread as soon as `ready` returns.
#[track_caller]
fn cancelled_when(client: &Client, body: &str, ready: impl FnOnce() + Send) -> Outcome {
    let (id, handle) = (client.reserve(), client.handle());
    let outcome = std::thread::scope(|scope| {
        scope.spawn(move || {
            ready();
            assert_eq!(handle.cancel(id), HELIO_OK);
        });
        client.call(body).id(id).run()
    });
    outcome.fails(HELIO_ERR_CANCELLED);
    outcome
}

/// The same against a server that opens the gate in the phase in question and then stalls. That the client's
/// connection is dropped at once is what lets the script end.
#[track_caller]
fn cancelled_in(body: &str, script: impl Fn(&mut Conn, &Gate) + Send + Sync + 'static) -> Outcome {
    let (gate, gone) = (Gate::new(), Gate::new());
    let server = {
        let (gate, gone) = (gate.clone(), gone.clone());
        Server::raw(move |conn| {
            script(conn, &gate);
            assert!(!conn.stopping(), "the connection outlived its call");
            gone.open();
        })
    };
    let client = Client::of(&server);
    let outcome = cancelled_when(&client, body, move || gate.wait());
    // The client is still alive: it was the cancel that dropped the connection.
    gone.wait();
    assert_eq!(server.connections(), 1, "a cancelled call is not tried again");
    assert!(outcome.done().is_done(), "a cancelled call has its DONE");
    outcome
}

// ---- phases ----

#[test]
fn cancel_while_connecting() {
    let hole = BlackHole::open();
    let client = Client::new(&config_of(&hole.url()));
    let outcome = cancelled_when(&client, ASK, pass);
    assert_eq!(outcome.data, None);
}

#[test]
fn cancel_while_looking_up_a_name() {
    let client = Client::new(&config_of("http://slow-name.invalid/v1"));
    let id = client.reserve();
    let handle = client.handle();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(move || handle.cancel(id));
        client.call(ASK).id(id).run()
    });
    // The look-up may be over first, or the cancel may come before the call.
    let possible = [HELIO_ERR_CANCELLED, HELIO_ERR_DNS];
    assert!(possible.contains(&outcome.status), "{}", status_name(outcome.status));
}

#[test]
fn cancel_within_the_tls_handshake() {
    let gate = Gate::new();
    let server = {
        let gate = gate.clone();
        Server::raw(move |conn| {
            conn.skip(1);
            gate.open();
            conn.stall();
        })
    };
    let client = Client::new(&config_of(&format!("https://127.0.0.1:{}/v1", server.port())));
    cancelled_when(&client, ASK, || gate.wait());
}

#[test]
fn cancel_while_the_body_goes_out() {
    let body = json!({"messages": [{"role": "user", "content": "x".repeat(20_000_000)}]}).to_string();
    let (begun, cancelled) = (Gate::new(), Gate::new());
    let server = {
        let (begun, cancelled) = (begun.clone(), cancelled.clone());
        let whole = body.len();
        Server::raw(move |conn| {
            conn.skip(1000);
            begun.open();
            // The sockets are full by now. What lies in them may still come, the rest may not.
            cancelled.wait();
            assert!(conn.drain() < whole, "the whole body was sent");
        })
    };
    let client = Client::of(&server);
    let (id, handle) = (client.reserve(), client.handle());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            begun.wait();
            assert_eq!(handle.cancel(id), HELIO_OK);
            cancelled.open();
        });
        client.call(&body).id(id).run().fails(HELIO_ERR_CANCELLED);
    });
}

#[test]
fn cancel_while_waiting_for_the_head() {
    let outcome = cancelled_in(ASK, |conn, gate| {
        conn.read_request();
        gate.open();
        conn.stall();
    });
    assert_eq!((outcome.data.as_deref(), outcome.events.len()), (None, 1));
}

#[test]
fn cancel_within_the_head() {
    cancelled_in(ASK_STREAM, |conn, gate| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\ncontent-ty");
        conn.wait_until_read();
        gate.open();
        conn.stall();
    });
}

#[test]
fn cancel_before_the_first_event() {
    cancelled_in(ASK_STREAM, |conn, gate| {
        conn.read_request();
        conn.stream_head();
        conn.wait_until_read();
        gate.open();
        conn.stall();
    });
}

#[test]
fn cancel_within_a_stream_keeps_what_had_come() {
    let outcome = cancelled_in(ASK_STREAM, |conn, gate| {
        conn.read_request();
        conn.stream_head();
        conn.body(say("Hello"));
        conn.wait_until_read();
        gate.open();
        conn.stall();
    });
    // The chunk may have been on its way when the cancel came.
    if outcome.data.is_some() {
        assert_eq!(outcome.content(), "Hello");
        assert_eq!(outcome.answer()["choices"][0]["finish_reason"], Value::Null);
    }
}

#[test]
fn cancel_within_a_json_body() {
    cancelled_in(ASK, |conn, gate| {
        conn.read_request();
        conn.head(200, &[("content-type", "application/json")], Framing::Length(1000));
        conn.body("{\"choices\":[");
        conn.wait_until_read();
        gate.open();
        conn.stall();
    });
}

#[test]
fn cancel_while_waiting_for_the_end_after_a_finish() {
    cancelled_in(ASK_STREAM, |conn, gate| {
        conn.read_request();
        conn.stream_head();
        conn.body(say("Hello") + &finish("stop"));
        conn.wait_until_read();
        gate.open();
        conn.stall();
    });
}

#[test]
fn cancel_while_backing_off() {
    let server = Server::new(|_, conn| conn.answer(429, &[("retry-after", "50")], ""));
    let client = Client::of(&server);
    let outcome = cancelled_when(&client, ASK, || {
        server.wait_for_requests(1);
        pass();
    });
    assert_eq!(server.requests().len(), 1);
    assert_eq!(outcome.events.len(), 1);
}

#[test]
fn cancel_while_waiting_for_ones_turn() {
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
        cancelled_when(&client, ASK, pass);
        released.open();
        first.join().unwrap().ok();
    });
    assert_eq!(server.requests().len(), 1, "the second was never sent");
}

// ---- from callbacks ----

/// A server that says four words at once and then nothing: how the answer ends is still open.
fn unfinished() -> Server {
    Server::new(|_, conn| {
        conn.stream_head();
        conn.body([say("a"), say("b"), say("c"), say("d")].concat());
        conn.stall();
    })
}

#[test]
fn a_callback_that_returns_non_zero_cancels_and_sees_no_further_chunk() {
    for (stop_at, chunks) in [(0, 0), (1, 1), (2, 2)] {
        for answer in [1, -1, i32::MIN] {
            let server = unfinished();
            let client = Client::of(&server);
            let mut seen = 0;
            let call = client.call(ASK_STREAM).on_event(move |event| {
                seen += 1;
                if !event.is_done() && seen > stop_at { answer } else { 0 }
            });
            let outcome = call.run();
            outcome.fails(HELIO_ERR_CANCELLED);
            assert_eq!(outcome.chunks().len(), chunks, "stopped at event {stop_at} with {answer}");
        }
    }
}

#[test]
fn a_callback_that_cancels_its_own_call_sees_no_further_chunk() {
    let server = unfinished();
    let client = Client::of(&server);
    let handle = client.handle();
    let call = client.call(ASK_STREAM).on_event(move |event| {
        assert_eq!(handle.cancel(event.request), HELIO_OK);
        0
    });
    let outcome = call.run();
    outcome.fails(HELIO_ERR_CANCELLED);
    assert!(outcome.chunks().is_empty());
}

#[test]
fn a_callback_that_cancels_drops_the_connection() {
    let gone = Gate::new();
    let server = {
        let gone = gone.clone();
        Server::new(move |_, conn| {
            conn.stream_head();
            conn.body(say("Hello"));
            conn.stall();
            gone.open();
        })
    };
    let client = Client::of(&server);
    let outcome = client.call(ASK_STREAM).on_event(|event| i32::from(event.is_chunk())).run();
    outcome.fails(HELIO_ERR_CANCELLED);
    assert_eq!(outcome.content(), "Hello");
    gone.wait();
}

#[test]
fn what_the_done_callback_returns_is_ignored() {
    let server = Server::new(|_, conn| conn.stream(hello()));
    let client = Client::of(&server);
    let handle = client.handle();
    let call = client.call(ASK_STREAM).on_event(move |event| {
        if event.is_done() {
            assert_eq!(handle.cancel(event.request), HELIO_OK);
        }
        i32::from(event.is_done())
    });
    call.run().ok();
}

#[test]
fn after_a_cancel_from_another_thread_at_most_the_chunk_in_delivery_is_seen() {
    let server = unfinished();
    let client = Client::of(&server);
    let (id, handle) = (client.reserve(), client.handle());
    let call = client.call(ASK_STREAM).id(id).on_event(move |event| {
        if event.is_chunk() {
            let cancelled = std::thread::spawn(move || handle.cancel(id)).join().unwrap();
            assert_eq!(cancelled, HELIO_OK);
        }
        0
    });
    let outcome = call.run();
    outcome.fails(HELIO_ERR_CANCELLED);
    assert_eq!(outcome.chunks().len(), 1);
}

// ---- before and after ----

#[test]
fn cancel_before_complete_yields_no_event() {
    let server = Server::new(|_, conn| conn.json(200, completion("Hello")));
    let client = Client::of(&server);
    let id = client.reserve();
    assert_eq!(client.cancel(id), HELIO_OK);
    client.call(ASK).id(id).run().refused(HELIO_ERR_CANCELLED);
    // The id is used up.
    client.call(ASK).id(id).run().refused(HELIO_ERR_INVALID_ARGUMENT);
    assert_eq!(server.connections(), 0, "nothing was sent");
    client.ask(ASK).ok();
}

#[test]
fn cancel_takes_any_id_at_any_time() {
    let server = Server::new(|_, conn| conn.json(200, completion("Hello")));
    let client = Client::of(&server);
    for id in [0, 1, u64::MAX, 1 << 40] {
        assert_eq!(client.cancel(id), HELIO_OK, "id {id}");
    }
    let id = client.reserve();
    client.call(ASK).id(id).run().ok();
    for _ in 0..3 {
        assert_eq!(client.cancel(id), HELIO_OK, "after DONE");
    }
    client.ask(ASK).ok();
}

#[test]
fn cancel_of_an_id_never_issued_does_not_reach_into_the_future() {
    let server = Server::new(|_, conn| conn.json(200, completion("Hello")));
    let client = Client::of(&server);
    let next = client.reserve() + 1;
    for id in next..next + 20 {
        assert_eq!(client.cancel(id), HELIO_OK);
    }
    for _ in 0..5 {
        client.ask(ASK).ok();
    }
}

#[test]
fn cancel_all_ends_everything_that_runs_and_nothing_that_follows() {
    let server = Server::new(
        |request, conn| {
            if request.number < 4 { conn.stall() } else { conn.json(200, completion("Hello")) }
        },
    );
    let client = Client::of(&server);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| client.ask(ASK))).collect();
        server.wait_for_requests(4);
        assert_eq!(client.handle().cancel_all(), HELIO_OK);
        for call in calls {
            call.join().unwrap().fails(HELIO_ERR_CANCELLED);
        }
    });
    assert_eq!(client.handle().cancel_all(), HELIO_OK, "with nothing to cancel");
    client.ask(ASK).ok();
}

#[test]
fn a_cancel_at_any_moment_gives_one_outcome() {
    let server = Server::new(|_, conn| conn.stream(hello()));
    let client = Client::of(&server);
    let mut ended = [0, 0];
    for turn in 0..300_u32 {
        let (id, handle) = (client.reserve(), client.handle());
        let outcome = std::thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..turn * 20 {
                    std::hint::spin_loop();
                }
                assert_eq!(handle.cancel(id), HELIO_OK);
            });
            client.call(ASK_STREAM).id(id).may_be_cancelled().run()
        });
        match outcome.status {
            HELIO_OK => ended[0] += 1,
            HELIO_ERR_CANCELLED => ended[1] += 1,
            other => panic!("{} in turn {turn}: {outcome:#?}", status_name(other)),
        }
    }
    assert_eq!(ended.iter().sum::<i32>(), 300);
}

#[test]
fn a_cancelled_connection_is_never_used_again() {
    let server = Server::new(|request, conn| {
        if request.number == 0 {
            conn.stream_head();
            conn.body(say("old"));
            conn.body_until_left(&say("old"), Duration::from_millis(1));
        } else {
            conn.json(200, completion("new"));
        }
    });
    let client = Client::of(&server);
    client.call(ASK_STREAM).on_event(|_| 1).run().fails(HELIO_ERR_CANCELLED);
    let outcome = client.ask(ASK);
    outcome.ok();
    assert_eq!((outcome.content().as_str(), server.connections()), ("new", 2));
}
