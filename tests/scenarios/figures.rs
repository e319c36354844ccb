//! What a client says of itself, and connections that are opened ahead.

use std::net::TcpListener;

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::black_hole::BlackHole;
use crate::support::c::{Client, config_of, merged};
use crate::support::certs::{Leaf, ours};
use crate::support::chat::{ASK, ASK_STREAM, DONE, completion, finish, say};
use crate::support::conn::chunk;
use crate::support::delivery::{Mode, until};
use crate::support::outcome::Outcome;
use crate::support::server::Server;
use crate::support::sync::Gate;

const EVERY: [Mode; 4] = [Mode::Complete, Mode::Poll, Mode::Pull, Mode::Thread];

// ---- figures ----

#[test]
fn the_figures_of_a_client_that_did_nothing_are_zero() {
    let server = Server::raw(|_| panic!("nothing should have been sent"));
    let client = Client::of(&server);
    let zero = json!({
        "in_flight": 0, "queued": 0, "pending_events": 0, "connections": {"open": 0, "idle": 0}, "threads": 0,
        "stuck_lookups": 0, "started": 0, "succeeded": 0, "failed": 0, "cancelled": 0, "retries": 0,
    });
    assert_eq!(client.handle().stats(), zero);
    for mode in EVERY {
        client.call("[]").mode(mode).run().refused(HELIO_ERR_INVALID_JSON);
    }
    assert_eq!(client.handle().stats(), zero, "what is refused never started");
}

#[test]
fn every_request_that_started_is_counted_once_at_its_end() {
    for mode in EVERY {
        let server = Server::new(|request, conn| match request.number {
            0 | 3 => conn.json(200, completion("Hello")),
            1 => conn.answer(400, &[], "no"),
            2 | 4 => conn.answer(503, &[], "later"),
            5 => conn.answer(200, &[("content-type", "application/json")], "{\"choices\":[]}"),
            _ => conn.stall(),
        });
        let client = Client::with(&server, json!({"retry": {"max_retries": 1}}));
        let run = || client.call(ASK).mode(mode).run().status;
        assert_eq!(run(), HELIO_OK);
        assert_eq!(run(), HELIO_ERR_BAD_REQUEST);
        assert_eq!(run(), HELIO_OK, "at the second attempt");
        assert_ne!(run(), HELIO_OK, "503, and then no completion");
        let (server, handle, id) = (&server, client.handle(), client.reserve());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                server.wait_for_requests(7);
                assert_eq!(handle.cancel(id), HELIO_OK);
            });
            client.call(ASK).id(id).mode(mode).run().fails(HELIO_ERR_CANCELLED);
        });
        handle.until_stats("in_flight", 0);
        let stats = handle.stats();
        let figure = |name: &str| stats[name].as_u64().unwrap();
        let ends = [figure("succeeded"), figure("failed"), figure("cancelled")];
        assert_eq!((figure("started"), ends), (5, [2, 2, 1]), "{mode:?}");
        assert_eq!((figure("retries"), figure("queued"), figure("pending_events")), (2, 0, 0));
    }
}

#[test]
fn what_is_under_way_shows_in_the_figures() {
    let gate = Gate::new();
    let server = {
        let gate = gate.clone();
        Server::new(move |_, conn| {
            conn.stream_head();
            conn.body(say("Hel"));
            gate.wait();
            // In one piece: an end of the body that lags behind [DONE] is read by the next request, and none comes.
            let last = say("lo") + &finish("stop") + DONE;
            conn.send([chunk(last.as_bytes()), b"0\r\n\r\n".to_vec()].concat());
        })
    };
    let client = Client::with(&server, json!({"limits": {"max_in_flight": 3}}));
    let handle = client.handle();
    let running: Vec<_> =
        Mode::SUBMITTED.iter().cycle().take(5).map(|mode| client.call(ASK_STREAM).mode(*mode).submit()).collect();
    handle.until_pending(4);
    server.wait_for_requests(3);
    let stats = handle.stats();
    assert_eq!((&stats["in_flight"], &stats["queued"], &stats["started"]), (&json!(3), &json!(2), &json!(5)));
    assert_eq!(stats["connections"], json!({"open": 3, "idle": 0}));
    assert_eq!((&stats["pending_events"], &stats["succeeded"]), (&json!(4), &json!(0)));
    assert!(stats["threads"].as_u64().unwrap() >= 2, "{stats}");
    gate.open();
    for one in running {
        one.wait().ok();
    }
    until("all connections rest", || {
        let connections = &handle.stats()["connections"];
        connections["open"] == connections["idle"] && connections["open"].as_u64() >= Some(3)
    });
}

#[test]
fn a_connection_that_was_dropped_is_counted_no_more() {
    for mode in Mode::SUBMITTED {
        let server = Server::new(|_, conn| conn.stall());
        let client = Client::of(&server);
        let running = client.call(ASK).mode(mode).submit();
        server.wait_for_requests(1);
        client.handle().until_stats("connections/open", 1);
        client.cancel(running.id);
        running.wait().fails(HELIO_ERR_CANCELLED);
        client.handle().until_stats("connections/open", 0);
        assert_eq!(client.handle().stats()["connections"]["idle"], 0);
    }
}

// ---- prewarm ----

/// Opens a connection ahead, and waits until it is there.
fn prewarmed(client: &Client, count: u64) {
    assert_eq!(client.handle().prewarm(), HELIO_OK);
    client.handle().until_stats("connections/idle", count);
}

/// It went over a connection that was there.
#[track_caller]
fn needed_no_connection(outcome: &Outcome) {
    outcome.ok();
    let report = outcome.report();
    for part in ["dns", "connect", "tls"] {
        assert!(report["us"][part].as_u64().unwrap_or(0) == 0, "{part} in {report}");
    }
    assert_eq!((report["attempts"].as_array().unwrap().len(), &report["attempts"][0]["reused"]), (1, &json!(true)));
}

#[test]
fn the_first_request_finds_the_connection_that_was_opened_ahead() {
    for mode in EVERY {
        let server = Server::new(|_, conn| conn.json(200, completion("Hello")));
        let client = Client::of(&server);
        prewarmed(&client, 1);
        until("the server knows of it", || server.connections() == 1);
        assert_eq!(server.requests().len(), 0, "nothing is sent");
        assert_eq!(client.handle().stats()["started"], 0, "it is no request");
        for _ in 0..2 {
            needed_no_connection(&client.call(ASK).mode(mode).run());
            client.handle().until_stats("connections/idle", 1);
        }
        assert_eq!(server.connections(), 1);
    }
}

#[test]
fn the_same_over_tls() {
    for mode in EVERY {
        let server = Server::secure(ours().server(Leaf::Good), |_, conn| conn.json(200, completion("Hello")));
        let client = Client::of(&server);
        prewarmed(&client, 1);
        // The server's session tickets come behind the handshake.
        crate::support::sync::pass();
        needed_no_connection(&client.call(ASK).mode(mode).run());
        assert_eq!(server.connections(), 1);
    }
}

#[test]
fn several_can_be_opened_ahead() {
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
    for count in 1..4 {
        prewarmed(&client, count);
    }
    let running = Mode::SUBMITTED.map(|mode| client.call(ASK).mode(mode).submit());
    for one in running {
        needed_no_connection(&one.wait());
    }
    assert_eq!(server.connections(), 3);
}

#[test]
fn one_that_died_meanwhile_is_replaced_unseen() {
    for mode in EVERY {
        let (die, dead) = (Gate::new(), Gate::new());
        let server = {
            let (die, dead) = (die.clone(), dead.clone());
            Server::raw(move |conn| {
                if conn.number == 0 {
                    die.wait();
                    conn.reset();
                    return dead.open();
                }
                while conn.read_request().is_some() {
                    conn.json(200, completion("Hello"));
                }
            })
        };
        let client = Client::with(&server, json!({"retry": {"max_retries": 0}}));
        prewarmed(&client, 1);
        die.open();
        dead.wait();
        let outcome = client.call(ASK).mode(mode).run();
        outcome.ok();
        assert_eq!((outcome.events.len(), outcome.content().as_str()), (2, "Hello"));
        assert_eq!(server.connections(), 2);
    }
}

#[test]
fn one_that_cannot_be_opened_is_only_logged() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hole = BlackHole::open();
    let patch = json!({"retry": {"max_retries": 0}, "timeouts": {"connect_ms": 150}});
    let cases = [(format!("http://{nobody}/v1"), HELIO_ERR_CONNECT), (hole.url(), HELIO_ERR_TIMEOUT)];
    for (url, status) in cases {
        let client = Client::new(&merged(config_of(&url), &patch));
        assert_eq!(client.handle().prewarm(), HELIO_OK);
        until("it is logged", || client.logs().iter().any(|line| line.starts_with("2 ") && line.contains("ahead")));
        for mode in Mode::SUBMITTED {
            client.call(ASK).mode(mode).run().fails(status);
        }
        let stats = client.handle().stats();
        assert_eq!((&stats["started"], &stats["failed"]), (&json!(3), &json!(3)));
    }
}

#[test]
fn an_end_does_not_wait_for_what_is_opened_ahead() {
    let hole = BlackHole::open();
    let config = merged(config_of(&hole.url()), &json!({"timeouts": {"connect_ms": 300_000}}));
    for how in 0..4 {
        let client = Client::new(&config);
        let handle = client.handle();
        for _ in 0..3 {
            assert_eq!(handle.prewarm(), HELIO_OK);
        }
        if how % 2 == 1 {
            crate::support::sync::pass();
        }
        assert_eq!(handle.cancel_all(), HELIO_OK);
        if how < 2 {
            assert_eq!(handle.shutdown(), HELIO_OK);
            assert_eq!(handle.prewarm(), HELIO_ERR_SHUT_DOWN);
            assert_eq!(handle.poll(HELIO_WAIT_FOREVER, 0), (HELIO_ERR_SHUT_DOWN, 0));
        }
        drop(client); // destroys it, with less patience than connect_ms
    }
}

#[test]
fn what_is_opened_ahead_takes_no_place() {
    let server = Server::new(|_, conn| conn.json(200, completion("Hello")));
    let client = Client::with(&server, json!({"limits": {"max_in_flight": 1, "max_queued": 0, "max_threads": 1}}));
    for _ in 0..10 {
        assert_eq!(client.handle().prewarm(), HELIO_OK);
    }
    let outcome = client.call(ASK).mode(Mode::Poll).run();
    outcome.ok();
    assert_eq!(client.handle().stats()["started"], Value::from(1));
}
