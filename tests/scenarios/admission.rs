//! Who may run, who waits, and who is turned away; and who holds a thread meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::c::Client;
use crate::support::chat::{ASK, ASK_STREAM, DONE, completion, finish, hello, say};
use crate::support::delivery::{Mode, until};
use crate::support::server::Server;
use crate::support::sync::{Gate, pass};

/// A request that can be told from others.
fn ask(name: usize) -> String {
    json!({"messages": [{"role": "user", "content": name.to_string()}], "n": 1, "name": name}).to_string()
}

/// A server that answers when the gate is open, in JSON.
fn closed(gate: &Arc<Gate>) -> Server {
    let gate = gate.clone();
    Server::new(move |_, conn| {
        gate.wait();
        conn.json(200, completion("Hello"));
    })
}

fn one_at_a_time() -> Value {
    json!({"limits": {"max_in_flight": 1}})
}

// ---- places ----

#[test]
fn no_more_run_at_a_time_than_are_allowed() {
    let (entered, gate) = (Gate::new(), Gate::new());
    let (now, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let server = {
        let (entered, gate, now, most) = (entered.clone(), gate.clone(), now.clone(), most.clone());
        Server::new(move |_, conn| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            entered.open();
            gate.wait();
            now.fetch_sub(1, Ordering::SeqCst);
            conn.stream(hello());
        })
    };
    let client = Client::with(&server, json!({"limits": {"max_in_flight": 2}}));
    let submit = |number: usize| client.call(ASK_STREAM).mode(Mode::SUBMITTED[number % 3]).submit();
    let running: Vec<_> = (0..9).map(submit).collect();
    entered.wait_for(2);
    let stats = client.handle().stats();
    assert_eq!((&stats["in_flight"], &stats["queued"], &stats["started"]), (&json!(2), &json!(7), &json!(9)));
    assert_eq!(server.requests().len(), 2);
    gate.open();
    for one in running {
        one.wait().ok();
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert_eq!(server.requests().len(), 9);
}

#[test]
fn first_come_is_first_served_in_whatever_way_they_ask() {
    let gate = Gate::new();
    let server = closed(&gate);
    let client = Client::with(&server, one_at_a_time());
    let ways = [Mode::Thread, Mode::Complete, Mode::Poll, Mode::Pull, Mode::Complete, Mode::Pull, Mode::Thread];
    std::thread::scope(|scope| {
        let (mut running, mut blocked) = (Vec::new(), Vec::new());
        for (number, mode) in ways.into_iter().chain(Mode::SUBMITTED).enumerate() {
            let client = &client;
            match mode {
                Mode::Complete => blocked.push(scope.spawn(move || client.call(ask(number)).mode(mode).run())),
                _ => running.push(client.call(ask(number)).mode(mode).submit()),
            }
            client.handle().until_stats("queued", number as u64);
        }
        gate.open();
        for one in running {
            one.wait().ok();
        }
        for one in blocked {
            one.join().unwrap().ok();
        }
    });
    let order: Vec<_> = server.requests().iter().map(|request| request.json()["name"].as_u64().unwrap()).collect();
    assert_eq!(order, (0..10).collect::<Vec<_>>());
}

#[test]
fn who_is_turned_away_is_told_when_to_come_again() {
    for mode in Mode::SUBMITTED {
        let server = Server::new(|_, conn| conn.stall());
        let limits = json!({"limits": {"max_in_flight": 1, "max_queued": 1}, "retry": {"base_ms": 700}});
        let client = Client::with(&server, limits);
        let running = [(); 2].map(|()| client.call(ASK).mode(mode).submit());
        let id = client.reserve();
        for _ in 0..2 {
            let outcome = client.call(ASK).id(id).mode(mode).submit().outcome();
            let error = outcome.refused(HELIO_ERR_BUSY).says(&["max_in_flight", "max_queued"]);
            assert_eq!(error.retry_after_ms, 700);
        }
        client.call(ASK).mode(Mode::Complete).run().refused(HELIO_ERR_BUSY);
        let [first, second] = running;
        // One that waited and is gone has left its place.
        assert_eq!(client.cancel(second.id), HELIO_OK);
        second.wait().fails(HELIO_ERR_CANCELLED);
        let third = client.call(ASK).id(id).mode(mode).submit();
        assert_eq!(third.id, id, "the id was not used up");
        assert_eq!(client.handle().cancel_all(), HELIO_OK);
        for one in [first, third] {
            one.wait().fails(HELIO_ERR_CANCELLED);
        }
        assert_eq!(client.handle().stats()["started"], 3, "who was turned away never started");
    }
}

#[test]
fn who_waits_for_a_place_can_be_cancelled_and_has_a_deadline() {
    for mode in Mode::SUBMITTED {
        let gate = Gate::new();
        let server = closed(&gate);
        let client = Client::with(&server, one_at_a_time());
        let first = client.call(ASK).mode(mode).submit();
        server.wait_for_requests(1);
        let cancelled = client.call(ASK).mode(mode).submit();
        let late = client.call(ASK).overrides(&json!({"timeouts": {"total_ms": 150}})).mode(mode).submit();
        let last = client.call(ASK).mode(mode).submit();
        assert_eq!(client.cancel(cancelled.id), HELIO_OK);
        assert_eq!(cancelled.wait().fails(HELIO_ERR_CANCELLED).http_status, 0);
        assert_eq!(late.wait().fails(HELIO_ERR_TIMEOUT).code(), "total");
        assert_eq!(server.requests().len(), 1);
        gate.open();
        first.wait().ok();
        last.wait().ok();
        assert_eq!(server.requests().len(), 2, "those two were never sent");
    }
}

// ---- threads ----

#[test]
fn a_stream_that_is_queued_gives_its_thread_back_after_its_head() {
    for mode in Mode::QUEUED {
        let all = Gate::new();
        let server = {
            let all = all.clone();
            Server::new(move |_, conn| {
                conn.stream_head();
                conn.body(say("Hel"));
                all.open();
                all.wait_for(4); // all of them are under way at the same time
                conn.body(say("lo") + &finish("stop") + DONE);
                conn.end();
            })
        };
        let client = Client::with(&server, json!({"limits": {"max_threads": 1}}));
        let running = [(); 4].map(|()| client.call(ASK_STREAM).mode(mode).submit());
        for one in running {
            assert_eq!(one.wait().content(), "Hello");
        }
        let threads = client.handle().stats()["threads"].as_u64().unwrap();
        assert!(threads <= 2, "{threads} threads, the reactor's and one");
    }
}

#[test]
fn a_thread_request_holds_its_thread_until_its_end() {
    let (begun, go_on) = (Gate::new(), Gate::new());
    let server = {
        let (begun, go_on) = (begun.clone(), go_on.clone());
        Server::new(move |request, conn| {
            conn.stream_head();
            conn.body(say("Hel"));
            if request.number == 0 {
                begun.open();
                go_on.wait();
            }
            conn.body(say("lo") + &finish("stop") + DONE);
            conn.end();
        })
    };
    let client = Client::with(&server, json!({"limits": {"max_threads": 1}}));
    let first = client.call(ASK_STREAM).mode(Mode::Thread).submit();
    begun.wait();
    let others = Mode::SUBMITTED.map(|mode| client.call(ASK_STREAM).mode(mode).submit());
    pass();
    assert_eq!(server.requests().len(), 1, "the only thread is taken");
    assert_eq!(client.handle().stats()["in_flight"], 4);
    // Who blocks needs none.
    client.call(ASK).mode(Mode::Complete).run().ok();
    assert!(!first.is_done());
    go_on.open();
    for one in [first].into_iter().chain(others) {
        assert_eq!(one.wait().content(), "Hello");
    }
}

#[test]
fn who_waits_for_a_thread_can_be_cancelled_and_has_a_deadline() {
    for mode in Mode::SUBMITTED {
        let (begun, leave) = (Gate::new(), Gate::new());
        let server = Server::new(|_, conn| conn.stream(hello()));
        let client = Client::with(&server, json!({"limits": {"max_threads": 1}}));
        let call = client.call(ASK_STREAM).mode(Mode::Thread).on_event(|event| {
            if event.is_response() {
                begun.open();
                leave.wait();
            }
            0
        });
        let first = call.submit();
        begun.wait();
        let cancelled = client.call(ASK).mode(mode).submit();
        let late = client.call(ASK).overrides(&json!({"timeouts": {"total_ms": 150}})).mode(mode).submit();
        assert_eq!(client.cancel(cancelled.id), HELIO_OK);
        cancelled.wait().fails(HELIO_ERR_CANCELLED);
        assert_eq!(late.wait().fails(HELIO_ERR_TIMEOUT).code(), "total");
        assert_eq!(server.requests().len(), 1);
        leave.open();
        first.wait().ok();
    }
}

#[test]
fn the_end_of_a_cancelled_request_does_not_wait_for_callbacks_of_others() {
    let (entered, leave) = (Gate::new(), Gate::new());
    let server = Server::new(|_, conn| conn.stream(hello()));
    let client = Client::with(&server, json!({"limits": {"max_threads": 2}}));
    let stuck = [(); 2].map(|()| {
        let call = client.call(ASK_STREAM).mode(Mode::Thread).on_event(|event| {
            if event.is_response() {
                entered.open();
                leave.wait();
            }
            0
        });
        call.submit()
    });
    entered.wait_for(2);
    let waiting = [(); 6].map(|()| client.call(ASK_STREAM).mode(Mode::Thread).submit());
    for one in &waiting {
        assert_eq!(client.cancel(one.id), HELIO_OK);
    }
    for one in waiting {
        one.wait().fails(HELIO_ERR_CANCELLED);
    }
    assert!(!leave.is_open() && stuck.iter().all(|one| !one.is_done()));
    leave.open();
    for one in stuck {
        one.wait().ok();
    }
}

#[test]
fn who_backs_off_or_waits_for_a_place_holds_no_thread() {
    for mode in Mode::SUBMITTED {
        let server = Server::new(|request, conn| match request.number {
            0 => conn.answer(503, &[("retry-after", "50")], ""),
            1..4 => conn.stream(hello()),
            _ => conn.stall(),
        });
        let client = Client::with(&server, json!({"limits": {"max_threads": 1, "max_in_flight": 2}}));
        let first = client.call(ASK).mode(mode).submit();
        client.handle().until_stats("retries", 1);
        for other in Mode::SUBMITTED {
            client.call(ASK_STREAM).mode(other).run().ok();
        }
        assert!(!first.is_done());
        client.handle().cancel(first.id);
        first.wait().fails(HELIO_ERR_CANCELLED);
    }
}

#[test]
fn a_flood_of_every_way_through_one_thread_and_one_place_ends_well() {
    let server =
        Server::new(
            |request, conn| {
                if request.number % 2 == 0 { conn.stream(hello()) } else { conn.json(200, completion("Hello")) }
            },
        );
    for limits in [json!({"max_threads": 1}), json!({"max_threads": 1, "max_in_flight": 1}), json!({"max_threads": 3})]
    {
        let client = Client::with(&server, json!({"limits": limits}));
        let running: Vec<_> =
            (0..60).map(|number| client.call(ASK).mode(Mode::SUBMITTED[number % 3]).submit()).collect();
        for one in running {
            assert_eq!(one.wait().content(), "Hello");
        }
        until("all places are free", || {
            let stats = client.handle().stats();
            stats["in_flight"] == 0 && stats["queued"] == 0 && stats["succeeded"] == 60
        });
    }
}
