//! The ends of a client that has submitted: every DONE is seen, in its way, and nothing is left.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use helio::abi::*;
use serde_json::json;

use super::process::there_is_no_library_thread;
use crate::support::alone::alone;
use crate::support::c::{CALL_BOUND, Client, Handle};
use crate::support::call::Call;
use crate::support::chat::{ASK, ASK_STREAM, completion, hello, say};
use crate::support::copied;
use crate::support::delivery::{Mode, until};
use crate::support::outcome::Event;
use crate::support::server::Server;
use crate::support::sync::{Gate, Watch, pass};
use crate::this_test;

const FOREVER: u32 = HELIO_WAIT_FOREVER;

/// For clients that the test ends itself.
fn call(handle: Handle, mode: Mode) -> Call<'static> {
    Call::new(handle, &[], ASK_STREAM.as_bytes()).mode(mode)
}

/// A server that says one word and then nothing, and opens the gate when a client has left.
fn unfinished(gone: &Arc<Gate>) -> Server {
    let gone = gone.clone();
    Server::new(move |_, conn| {
        conn.stream_head();
        conn.body(say("Hello"));
        conn.stall();
        gone.open();
    })
}

/// Takes one event of PULL, waiting for it for ever.
fn next(handle: Handle) -> Result<Event, helio_status> {
    let (status, event) = handle.next_event(FOREVER);
    if event.is_null() {
        return Err(status);
    }
    // SAFETY: a valid event that is ours until it is released.
    unsafe {
        let copy = copied::event(&*event);
        helio_event_release(event);
        Ok(copy)
    }
}

// ---- shutdown ----

#[test]
fn a_polling_loop_sees_every_done_and_then_the_shutdown() {
    let gone = Gate::new();
    let server = unfinished(&gone);
    let client = Client::of(&server);
    let handle = client.handle();
    let running = [(); 4].map(|()| client.call(ASK_STREAM).mode(Mode::Poll).submit());
    std::thread::scope(|scope| {
        let looping = scope.spawn(move || {
            let _watch = Watch::over("a polling loop", CALL_BOUND);
            while handle.poll(FOREVER, 1).0 == HELIO_OK {}
        });
        server.wait_for_requests(4);
        assert_eq!(handle.shutdown(), HELIO_OK);
        looping.join().unwrap();
    });
    for one in running {
        assert!(one.is_done(), "SHUT_DOWN came before a DONE");
        one.outcome().fails(HELIO_ERR_SHUT_DOWN);
    }
    gone.wait_for(4);
    assert_eq!(handle.poll(FOREVER, 0), (HELIO_ERR_SHUT_DOWN, 0));
    assert_eq!(next(handle).unwrap_err(), HELIO_ERR_SHUT_DOWN);
}

#[test]
fn a_loop_that_takes_events_sees_every_done_and_then_the_shutdown() {
    let gone = Gate::new();
    let server = unfinished(&gone);
    let client = Client::of(&server);
    let handle = client.handle();
    let ids: BTreeSet<_> = (0..4).map(|_| client.call(ASK_STREAM).mode(Mode::Pull).submit().id).collect();
    std::thread::scope(|scope| {
        let looping = scope.spawn(move || {
            let _watch = Watch::over("a loop that takes events", CALL_BOUND);
            let mut ended = Vec::new();
            loop {
                match next(handle) {
                    Ok(event) if event.is_done() => ended.push((event.request, event.status)),
                    Ok(_) => {}
                    Err(status) => return (ended, status),
                }
            }
        });
        server.wait_for_requests(4);
        assert_eq!(handle.shutdown(), HELIO_OK);
        let (ended, last) = looping.join().unwrap();
        assert_eq!(last, HELIO_ERR_SHUT_DOWN);
        assert!(ended.iter().all(|(_, status)| *status == HELIO_ERR_SHUT_DOWN), "{ended:?}");
        assert_eq!((ended.iter().map(|(id, _)| *id).collect(), ended.len()), (ids, 4));
    });
    gone.wait_for(4);
    assert_eq!(handle.poll(FOREVER, 0), (HELIO_ERR_SHUT_DOWN, 0));
}

#[test]
fn an_answer_that_was_complete_before_the_shutdown_stays_one() {
    let server = Server::new(|_, conn| conn.stream(hello()));
    for mode in Mode::QUEUED {
        let client = Client::of(&server);
        let running = client.call(ASK_STREAM).mode(mode).may_be_cancelled().submit();
        client.handle().until_pending(7);
        assert_eq!(client.handle().shutdown(), HELIO_OK);
        assert_eq!(running.wait().content(), "Hello");
        client.call(ASK).mode(mode).submit().outcome().refused(HELIO_ERR_SHUT_DOWN);
    }
}

// ---- destroy ----

#[test]
fn destroy_shows_each_poll_done_on_its_thread() {
    let gone = Gate::new();
    let server = unfinished(&gone);
    let handle = Client::of(&server).into_handle();
    let here = std::thread::current().id();
    let shown = AtomicUsize::new(0);
    let running = [(); 3].map(|()| {
        let shown = &shown;
        let call = call(handle, Mode::Poll).on_event(move |event| {
            assert_eq!(std::thread::current().id(), here);
            // What a callback may do, it may do here, too.
            assert_eq!((handle.cancel(event.request), handle.cancel_all()), (HELIO_OK, HELIO_OK));
            assert_eq!((handle.reserve(), handle.pending() < 8), (0, true));
            assert_eq!(handle.poll(0, 0), (HELIO_ERR_REENTRANT, 0));
            assert_eq!(handle.destroy(0), HELIO_ERR_REENTRANT);
            shown.fetch_add(usize::from(event.is_done()), Ordering::SeqCst);
            0
        });
        call.submit()
    });
    handle.until_pending(6);
    assert_eq!(handle.destroy(30_000), HELIO_OK);
    assert_eq!(shown.load(Ordering::SeqCst), 3);
    for one in running {
        one.outcome().fails(HELIO_ERR_SHUT_DOWN);
    }
    gone.wait_for(3);
}

#[test]
fn destroy_shows_a_whole_answer_that_waited() {
    let server = Server::new(|_, conn| conn.json(200, completion("Hello")));
    let handle = Client::of(&server).into_handle();
    let running = call(handle, Mode::Poll).submit();
    handle.until_pending(2);
    assert_eq!(handle.destroy(30_000), HELIO_OK);
    assert_eq!(running.outcome().content(), "Hello");
}

#[test]
fn destroy_drops_what_nobody_took() {
    let gone = Gate::new();
    let server = unfinished(&gone);
    let handle = Client::of(&server).into_handle();
    let running = [(); 3].map(|()| call(handle, Mode::Pull).submit());
    handle.until_pending(6);
    assert_eq!(handle.destroy(30_000), HELIO_OK);
    gone.wait_for(3);
    assert!(running.iter().all(|one| one.events().is_empty()));
}

#[test]
fn destroy_wakes_those_who_wait_for_events_and_waits_for_callbacks() {
    let (entered, leave, ended) = (Gate::new(), Gate::new(), Gate::new());
    let server = Server::new(|_, conn| conn.stream(hello()));
    let handle = Client::of(&server).into_handle();
    let stuck = {
        let (entered, leave) = (entered.clone(), leave.clone());
        let call = call(handle, Mode::Thread).on_event(move |event| {
            if event.is_response() {
                entered.open();
                leave.wait();
            }
            0
        });
        call.submit()
    };
    entered.wait();
    // The callback keeps the client alive: these may begin whenever they do.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let _watch = Watch::over("helio_poll while the client is destroyed", CALL_BOUND);
                assert_eq!(handle.poll(FOREVER, 0), (HELIO_ERR_SHUT_DOWN, 0));
                ended.open();
            });
            scope.spawn(|| {
                let _watch = Watch::over("helio_next_event while the client is destroyed", CALL_BOUND);
                assert_eq!(next(handle).unwrap_err(), HELIO_ERR_SHUT_DOWN);
                ended.open();
            });
        }
        pass();
        for timeout_ms in [0, 50] {
            assert_eq!(handle.destroy(timeout_ms), HELIO_ERR_TIMEOUT);
        }
        ended.wait_for(4);
    });
    assert!(!stuck.is_done());
    assert_eq!(handle.reserve(), 0, "nothing was freed");
    leave.open();
    assert_eq!(handle.destroy(30_000), HELIO_OK);
    stuck.outcome().fails(HELIO_ERR_SHUT_DOWN);
}

#[test]
fn destroy_in_vain_shows_nothing_twice() {
    let (entered, leave) = (Gate::new(), Gate::new());
    let server = Server::new(|_, conn| conn.stream(hello()));
    let handle = Client::of(&server).into_handle();
    let hook = |event: &Event| {
        if event.is_response() {
            entered.open();
            leave.wait();
        }
        0
    };
    let stuck = call(handle, Mode::Thread).on_event(hook).submit();
    let waiting = [(); 3].map(|()| call(handle, Mode::Poll).may_be_cancelled().submit());
    entered.wait();
    handle.until_pending(21);
    assert_eq!(handle.destroy(20), HELIO_ERR_TIMEOUT);
    leave.open();
    assert_eq!(handle.destroy(30_000), HELIO_OK);
    for one in waiting {
        assert_eq!(one.outcome().content(), "Hello");
    }
    stuck.outcome().fails(HELIO_ERR_SHUT_DOWN);
}

#[test]
fn no_thread_is_left_after_destroy_however_it_was_asked() {
    alone(this_test!(), &[], || {
        let server = Server::new(|request, conn| match request.number % 3 {
            0 => conn.json(200, completion("Hello")),
            1 => conn.stream(hello()),
            _ => conn.stall(),
        });
        for turn in 0..200 {
            let handle = Client::of(&server).into_handle();
            let running = [0, 1, 2, turn].map(|way| (way % 3, call(handle, Mode::SUBMITTED[way % 3]).submit()));
            if turn % 2 == 0 {
                until("one has ended", || handle.pending() > 0 || running.iter().any(|(_, one)| one.is_done()));
            }
            assert_eq!(handle.destroy(30_000), HELIO_OK);
            there_is_no_library_thread();
            for (way, one) in running {
                assert_eq!(one.is_done(), Mode::SUBMITTED[way] != Mode::Pull);
                if one.is_done() {
                    let status = one.outcome().status;
                    assert!([HELIO_OK, HELIO_ERR_SHUT_DOWN].contains(&status), "{status}");
                }
            }
        }
    });
}

// ---- release ----

#[test]
fn release_ends_everything_and_shows_only_the_ends_of_thread() {
    alone(this_test!(), &[], || {
        let gone = Gate::new();
        let server = unfinished(&gone);
        let handle = Client::of(&server).into_handle();
        let running = [0, 1, 2, 0, 1, 2].map(|way| call(handle, Mode::SUBMITTED[way]).submit());
        server.wait_for_requests(6);
        handle.until_pending(8);
        handle.release();
        gone.wait_for(6);
        for (way, one) in running.into_iter().enumerate() {
            if Mode::SUBMITTED[way % 3] == Mode::Thread {
                one.wait().fails(HELIO_ERR_SHUT_DOWN);
            } else {
                assert!(one.events().is_empty(), "{:?}", one.events());
            }
        }
        there_is_no_library_thread();
    });
}

#[test]
fn release_while_requests_wait_shows_the_ends_of_thread() {
    alone(this_test!(), &[], || {
        for limits in [json!({"max_in_flight": 1}), json!({"max_threads": 1})] {
            let gone = Gate::new();
            let server = unfinished(&gone);
            let handle = Client::with(&server, json!({"limits": limits})).into_handle();
            let running = [(); 5].map(|()| call(handle, Mode::Thread).submit());
            server.wait_for_requests(1);
            handle.release();
            for one in running {
                one.wait().fails(HELIO_ERR_SHUT_DOWN);
            }
            gone.wait();
            there_is_no_library_thread();
        }
    });
}

#[test]
fn release_is_legal_in_a_callback() {
    alone(this_test!(), &[], || {
        for mode in [Mode::Poll, Mode::Thread] {
            for at in [HELIO_EVENT_RESPONSE, HELIO_EVENT_CHUNK, HELIO_EVENT_DONE] {
                let server = Server::new(|_, conn| conn.stream(hello()));
                let handle = Client::of(&server).into_handle();
                let released = Gate::new();
                let call = call(handle, mode).may_be_cancelled().on_event(|event| {
                    if event.kind == at && !released.is_open() {
                        handle.release();
                        released.open();
                    }
                    0
                });
                let running = call.submit();
                if mode == Mode::Poll {
                    while !released.is_open() {
                        let (status, _) = handle.poll(1, 1);
                        assert_eq!(status == HELIO_OK, !released.is_open());
                    }
                    assert_eq!(running.is_done(), at == HELIO_EVENT_DONE);
                    there_is_no_library_thread();
                    assert_eq!(running.is_done(), at == HELIO_EVENT_DONE, "undelivered POLL events go");
                } else {
                    let outcome = running.wait();
                    let status = outcome.status;
                    assert!([HELIO_OK, HELIO_ERR_SHUT_DOWN].contains(&status), "{status}");
                    there_is_no_library_thread();
                }
            }
        }
    });
}
