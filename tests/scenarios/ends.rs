//! The ends of a client: shutdown and destroy, with calls in progress, from threads and from callbacks.

use helio::abi::*;
use serde_json::json;

use crate::only_in;
use crate::support::black_hole::BlackHole;
use crate::support::c::{Client, config_of, status_name};
use crate::support::call::Call;
use crate::support::chat::{ASK, ASK_STREAM, DONE, completion, finish, hello, say};
use crate::support::delivery::Mode;
use crate::support::server::Server;
use crate::support::sync::{Gate, pass};

#[test]
fn shutdown_ends_what_runs_and_refuses_what_follows() {
    let server = Server::new(|_, conn| conn.stall());
    let client = Client::of(&server);
    let reserved = client.reserve();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| client.ask(ASK));
        server.wait_for_requests(1);
        assert_eq!(client.handle().shutdown(), HELIO_OK);
        let outcome = running.join().unwrap();
        outcome.fails(HELIO_ERR_SHUT_DOWN);
        assert!(outcome.done().is_done());
    });
    client.ask(ASK).refused(HELIO_ERR_SHUT_DOWN);
    client.call(ASK).id(reserved).run().refused(HELIO_ERR_SHUT_DOWN);
    assert_eq!(client.reserve(), 0);
    assert_eq!(client.handle().shutdown(), HELIO_OK, "again");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn shutdown_within_a_callback_ends_the_call() {
    let server = Server::new(|_, conn| {
        conn.stream_head();
        conn.body([say("a"), say("b")].concat());
        conn.stall();
    });
    let client = Client::of(&server);
    let handle = client.handle();
    let call = client.call(ASK_STREAM).on_event(move |event| {
        if !event.is_done() {
            assert_eq!(handle.shutdown(), HELIO_OK);
        }
        0
    });
    let outcome = call.run();
    outcome.fails(HELIO_ERR_SHUT_DOWN);
    assert!(outcome.chunks().is_empty());
}

#[test]
fn destroy_wakes_a_blocked_complete() {
    only_in!([Complete, Thread], "who receives calls functions of the client, and must stop before it is destroyed");
    let server = Server::new(|_, conn| conn.stall());
    let handle = Client::of(&server).into_handle();
    std::thread::scope(|scope| {
        let running = scope.spawn(move || handle.ask(ASK));
        server.wait_for_requests(1);
        assert_eq!(handle.destroy(30_000), HELIO_OK);
        running.join().unwrap().fails(HELIO_ERR_SHUT_DOWN);
    });
}

#[test]
fn destroy_wakes_a_call_that_backs_off() {
    only_in!([Complete, Thread], "who receives calls functions of the client, and must stop before it is destroyed");
    let server = Server::new(|_, conn| conn.answer(429, &[("retry-after", "50")], ""));
    let handle = Client::of(&server).into_handle();
    std::thread::scope(|scope| {
        let running = scope.spawn(move || handle.ask(ASK));
        server.wait_for_requests(1);
        pass();
        assert_eq!(handle.destroy(30_000), HELIO_OK);
        running.join().unwrap().fails(HELIO_ERR_SHUT_DOWN);
    });
}

#[test]
fn shutdown_wakes_calls_that_connect_and_that_wait_for_their_turn() {
    let hole = BlackHole::open();
    let mut config = config_of(&hole.url());
    config["limits"] = json!({"max_in_flight": 1});
    let client = Client::new(&config);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..3).map(|_| scope.spawn(|| client.ask(ASK))).collect();
        pass();
        assert_eq!(client.handle().shutdown(), HELIO_OK);
        for call in calls {
            call.join().unwrap().fails(HELIO_ERR_SHUT_DOWN);
        }
    });
}

#[test]
fn destroy_gives_up_on_a_stuck_callback_and_can_be_called_again() {
    only_in!([Complete, Thread], "who receives calls functions of the client, and must stop before it is destroyed");
    let (entered, leave) = (Gate::new(), Gate::new());
    let server = Server::new(|_, conn| conn.stream(hello()));
    let client = Client::of(&server);
    std::thread::scope(|scope| {
        let running = {
            let (client, entered, leave) = (&client, entered.clone(), leave.clone());
            scope.spawn(move || {
                let call = client.call(ASK_STREAM).on_event(move |event| {
                    if event.is_response() {
                        entered.open();
                        leave.wait();
                    }
                    0
                });
                call.run()
            })
        };
        entered.wait();
        for timeout_ms in [0, 50] {
            assert_eq!(client.handle().destroy(timeout_ms), HELIO_ERR_TIMEOUT);
        }
        // Nothing was freed: the client still answers.
        assert_eq!(client.reserve(), 0);
        leave.open();
        running.join().unwrap().fails(HELIO_ERR_SHUT_DOWN);
    });
}

#[test]
fn from_a_callback_destroy_and_complete_are_reentrant() {
    only_in!([Complete, Poll, Thread], "PULL has no callbacks");
    let server = Server::new(|_, conn| conn.stream(hello()));
    let other_server = Server::new(|_, conn| conn.json(200, completion("another")));
    let (client, other) = (Client::of(&server), Client::of(&other_server));
    let handle = client.handle();
    let call = client.call(ASK_STREAM).on_event(|event| {
        assert_eq!(handle.destroy(0), HELIO_ERR_REENTRANT, "{event:?}");
        Call::new(handle, &[], ASK.as_bytes()).mode(Mode::Complete).run().refused(HELIO_ERR_REENTRANT);
        assert_eq!(handle.poll(0, 0), (HELIO_ERR_REENTRANT, 0));
        assert_eq!(handle.next_event(0), (HELIO_ERR_REENTRANT, std::ptr::null()));
        assert_ne!(handle.reserve(), 0);
        assert_eq!(other.ask(ASK).content(), "another", "another client may be asked");
        0
    });
    let outcome = call.run();
    outcome.ok();
    assert_eq!(server.requests().len(), 1);
    client.ask(ASK_STREAM).ok();
}

#[test]
fn a_client_of_many_threads_is_destroyed_whole() {
    only_in!([Complete, Thread], "who receives calls functions of the client, and must stop before it is destroyed");
    let server = Server::new(|request, conn| match request.number % 3 {
        0 => conn.stall(),
        1 => conn.stream([say("a") + &finish("stop") + DONE]),
        _ => conn.json(200, completion("b")),
    });
    let handle = Client::of(&server).into_handle();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..12).map(|_| scope.spawn(move || handle.ask(ASK))).collect();
        server.wait_for_requests(12);
        assert_eq!(handle.destroy(30_000), HELIO_OK);
        for call in calls {
            let status = call.join().unwrap().status;
            assert!([HELIO_OK, HELIO_ERR_SHUT_DOWN].contains(&status), "{}", status_name(status));
        }
    });
    assert_eq!(server.requests().len(), 12);
}
