//! helio_poll and helio_next_event: what they deliver, how long they wait, and where they may be called.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use helio::abi::*;

use crate::support::c::{CALL_BOUND, Client, Handle};
use crate::support::chat::{ASK, ASK_STREAM, DONE, completion, finish, hello, say};
use crate::support::copied;
use crate::support::delivery::{A_WHILE, Mode, until};
use crate::support::outcome::Event;
use crate::support::server::Server;
use crate::support::sync::{Gate, Watch, lock, pass};

/// Takes one event of PULL.
fn next(handle: Handle, timeout_ms: u32) -> Option<Event> {
    let (status, event) = handle.next_event(timeout_ms);
    assert_eq!(status, HELIO_OK);
    if event.is_null() {
        return None;
    }
    // SAFETY: a valid event that is ours until it is released.
    unsafe {
        let copy = copied::event(&*event);
        helio_event_release(event);
        Some(copy)
    }
}

fn greeting() -> Server {
    Server::new(|_, conn| conn.stream(hello()))
}

// ---- how many ----

#[test]
fn poll_runs_at_most_so_many_callbacks_as_it_is_told() {
    let server = greeting();
    let client = Client::of(&server);
    let handle = client.handle();
    let running = [(); 2].map(|()| client.call(ASK_STREAM).mode(Mode::Poll).submit());
    handle.until_pending(14);
    let seen = || running.iter().map(|one| one.events().len()).sum::<usize>();
    for (most, delivered, left) in [(1, 1, 13), (2, 2, 11), (5, 5, 6), (100, 6, 0), (1, 0, 0), (0, 0, 0)] {
        assert_eq!(handle.poll(0, most), (HELIO_OK, delivered));
        assert_eq!((handle.pending(), seen()), (left, 14 - left));
    }
    for one in running {
        one.outcome().ok();
    }
}

#[test]
fn poll_of_all_runs_what_was_pending_when_it_began() {
    let go_on = Gate::new();
    let server = {
        let go_on = go_on.clone();
        Server::new(move |_, conn| {
            conn.stream_head();
            conn.body(say("a"));
            go_on.wait();
            conn.body(say("b") + &finish("stop") + DONE);
            conn.end();
        })
    };
    let client = Client::of(&server);
    let handle = client.handle();
    let call = client.call(ASK_STREAM).mode(Mode::Poll).on_event(|event| {
        if event.is_response() {
            go_on.open();
            handle.until_pending(4); // a, b, the finish, DONE
        }
        0
    });
    let running = call.submit();
    handle.until_pending(2);
    assert_eq!(handle.poll(0, 0), (HELIO_OK, 2));
    assert_eq!(handle.pending(), 3);
    assert_eq!(handle.poll(0, 0), (HELIO_OK, 3));
    assert_eq!(running.outcome().content(), "ab");
}

#[test]
fn a_callback_that_submits_does_not_keep_its_poll_going() {
    let server = Server::new(|_, conn| conn.json(200, completion("Hello")));
    let client = Client::of(&server);
    let handle = client.handle();
    let (client, more) = (&client, Mutex::new(Vec::new()));
    let submit_another = |event: &Event| {
        if event.is_done() {
            lock(&more).push(client.call(ASK).mode(Mode::Poll).submit());
            until("its answer is there", || handle.pending() == 2);
        }
        0
    };
    let first = client.call(ASK).mode(Mode::Poll).on_event(submit_another).submit();
    handle.until_pending(2);
    assert_eq!(handle.poll(0, 0), (HELIO_OK, 2));
    assert_eq!(handle.pending(), 2);
    first.outcome().ok();
    let second = lock(&more).pop().unwrap();
    second.wait().ok();
}

#[test]
fn poll_takes_poll_events_only_and_next_event_those_of_pull() {
    let server = Server::new(|_, conn| conn.json(200, completion("Hello")));
    let client = Client::of(&server);
    let handle = client.handle();
    let pull = client.call(ASK).mode(Mode::Pull).submit();
    handle.until_pending(2);
    assert_eq!(handle.poll(20, 0), (HELIO_OK, 0));
    let poll = client.call(ASK).mode(Mode::Poll).submit();
    handle.until_pending(4);
    assert_eq!(handle.poll(0, 0), (HELIO_OK, 2));
    assert_eq!(handle.pending(), 2);
    poll.outcome().ok();
    let poll = client.call(ASK).mode(Mode::Poll).submit();
    handle.until_pending(4);
    let kinds = [(); 3].map(|()| next(handle, 0).map(|event| (event.kind, event.request)));
    assert_eq!(kinds, [Some((HELIO_EVENT_RESPONSE, pull.id)), Some((HELIO_EVENT_DONE, pull.id)), None]);
    assert!(next(handle, 20).is_none());
    assert_eq!(handle.pending(), 2);
    poll.wait().ok();
}

// ---- waiting ----

#[test]
fn nothing_in_time_is_ok_and_not_before_its_time() {
    let server = Server::new(|_, conn| conn.stall());
    let client = Client::of(&server);
    let handle = client.handle();
    let running = Mode::QUEUED.map(|mode| client.call(ASK).mode(mode).submit());
    for timeout_ms in [0, 1, 120] {
        let begin = Instant::now();
        assert_eq!(handle.poll(timeout_ms, 0), (HELIO_OK, 0));
        let between = Instant::now();
        assert!(next(handle, timeout_ms).is_none());
        let least = Duration::from_millis(timeout_ms.into());
        assert!(between - begin >= least && between.elapsed() >= least, "{timeout_ms} ms");
    }
    assert_eq!(handle.cancel_all(), HELIO_OK);
    for one in running {
        one.wait().fails(HELIO_ERR_CANCELLED);
    }
}

#[test]
fn who_waits_is_woken_by_the_event() {
    let gate = Gate::new();
    let server = {
        let gate = gate.clone();
        Server::new(move |request, conn| {
            gate.wait_for(request.number + 1);
            conn.json(200, completion("Hello"));
        })
    };
    let client = Client::of(&server);
    let handle = client.handle();
    for mode in Mode::QUEUED {
        let running = client.call(ASK).mode(mode).submit();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                pass();
                gate.open();
            });
            let _watch = Watch::over("waiting for an event for ever", CALL_BOUND);
            if mode == Mode::Poll {
                let (status, delivered) = handle.poll(HELIO_WAIT_FOREVER, 0);
                assert!(status == HELIO_OK && delivered >= 1, "{delivered}");
            } else {
                assert!(next(handle, HELIO_WAIT_FOREVER).is_some_and(|event| event.request == running.id));
                assert!(next(handle, HELIO_WAIT_FOREVER).is_some_and(|event| event.is_done()));
            }
        });
        if mode == Mode::Poll {
            running.wait().ok();
        }
    }
}

// ---- from callbacks ----

#[test]
fn from_a_callback_what_waits_is_reentrant_and_the_rest_is_not() {
    let server = greeting();
    let another = Server::new(|_, conn| conn.json(200, completion("another")));
    for mode in [Mode::Poll, Mode::Thread] {
        let (client, other) = (Client::of(&server), Client::of(&another));
        let handle = client.handle();
        let call = client.call(ASK_STREAM).mode(mode).on_event(|_| {
            assert_eq!(handle.poll(HELIO_WAIT_FOREVER, 0), (HELIO_ERR_REENTRANT, 0));
            assert_eq!(handle.next_event(HELIO_WAIT_FOREVER), (HELIO_ERR_REENTRANT, std::ptr::null()));
            assert_eq!(handle.destroy(HELIO_WAIT_FOREVER), HELIO_ERR_REENTRANT);
            client.call(ASK).mode(Mode::Complete).run().refused(HELIO_ERR_REENTRANT);
            assert_ne!((handle.reserve(), handle.wait_handle()), (0, -1));
            assert_eq!((handle.wakeup(), handle.cancel(0), handle.prewarm()), (HELIO_OK, HELIO_OK, HELIO_OK));
            assert_eq!(handle.stats()["in_flight"].as_u64().map(|running| running < 2), Some(true));
            for mode in [Mode::Complete, Mode::Poll, Mode::Pull, Mode::Thread] {
                assert_eq!(other.call(ASK).mode(mode).run().content(), "another", "another client may be asked");
            }
            0
        });
        call.submit().wait().ok();
        // Outside it is as before.
        assert_eq!(handle.wakeup(), HELIO_OK);
        assert_eq!(handle.poll(HELIO_WAIT_FOREVER, 0), (HELIO_OK, 0));
    }
}

#[test]
fn a_callback_may_submit() {
    let server = greeting();
    for mode in [Mode::Poll, Mode::Thread] {
        let client = Client::of(&server);
        let (client, more) = (&client, Mutex::new(Vec::new()));
        // A THREAD request that is made on a thread of the library may be served there.
        let ways = if mode == Mode::Poll { &Mode::SUBMITTED[..] } else { &Mode::QUEUED };
        let call = client.call(ASK_STREAM).mode(mode).on_event(|event| {
            if event.is_response() || event.is_done() {
                lock(&more).extend(ways.iter().map(|mode| client.call(ASK_STREAM).mode(*mode).submit()));
            }
            0
        });
        call.submit().wait().ok();
        let more = std::mem::take(&mut *lock(&more));
        assert_eq!(more.len(), 2 * ways.len());
        for one in more {
            assert_eq!(one.wait().content(), "Hello");
        }
    }
}

// ---- taking ----

#[test]
fn events_are_taken_one_by_one() {
    let server = greeting();
    let client = Client::of(&server);
    let handle = client.handle();
    let running = client.call(ASK_STREAM).mode(Mode::Pull).submit();
    handle.until_pending(7);
    // Without a place for it nothing is taken.
    // SAFETY: the client is alive, and NULL is refused.
    let status = unsafe { helio_next_event(handle.0, HELIO_WAIT_FOREVER, std::ptr::null_mut()) };
    assert_eq!((status, handle.pending()), (HELIO_ERR_INVALID_ARGUMENT, 7));
    for left in (0..7).rev() {
        assert_eq!(handle.take(Mode::Pull, 1), 1);
        assert_eq!((handle.pending(), running.events().len()), (left, 7 - left));
    }
    assert_eq!(running.outcome().content(), "Hello");
    // SAFETY: NULL is fine.
    unsafe { helio_event_release(std::ptr::null()) };
}

#[test]
fn a_taken_event_outlives_its_client() {
    let server = greeting();
    let client = Client::of(&server);
    let handle = client.handle();
    client.call(ASK_STREAM).mode(Mode::Pull).submit();
    let failing = client.call(ASK).overrides(&serde_json::json!({"timeouts": {"total_ms": 1}}));
    failing.mode(Mode::Pull).submit();
    let mut taken = Vec::new();
    until("both have ended", || {
        let (status, event) = handle.next_event(A_WHILE.as_millis() as u32);
        assert_eq!(status, HELIO_OK);
        taken.extend((!event.is_null()).then_some(event));
        // SAFETY: taken events, not released yet.
        taken.iter().filter(|event| unsafe { (***event).kind == HELIO_EVENT_DONE }).count() == 2
    });
    // SAFETY: as above.
    let copy = |event: &*const helio_event| format!("{:?}", unsafe { copied::event(&**event) });
    let before: Vec<_> = taken.iter().map(copy).collect();
    drop(client);
    assert_eq!(taken.iter().map(copy).collect::<Vec<_>>(), before);
    for event in taken {
        // SAFETY: each once.
        unsafe { helio_event_release(event) };
    }
}

// ---- several threads ----

const STREAMS: usize = 12;
const WORDS: usize = 60;

/// Streams numbers.
fn counting() -> Server {
    Server::new(|_, conn| {
        let words = (0..WORDS).map(|number| say(&format!("{number} ")));
        conn.stream(words.chain([finish("stop") + DONE]));
    })
}

fn numbers() -> String {
    (0..WORDS).map(|number| format!("{number} ")).collect()
}

#[test]
fn threads_that_poll_see_each_event_once_and_in_order() {
    let server = counting();
    let client = Client::of(&server);
    let handle = client.handle();
    let overlap = |_: &Event| {
        std::thread::yield_now();
        0
    };
    let running: Vec<_> =
        (0..STREAMS).map(|_| client.call(ASK_STREAM).mode(Mode::Poll).on_event(overlap).submit()).collect();
    let delivered = std::thread::scope(|scope| {
        let running = &running;
        let poll = move |most| {
            let mut delivered = 0;
            until("all have ended", || {
                let (status, count) = handle.poll(5, most);
                assert_eq!(status, HELIO_OK);
                delivered += count as usize;
                running.iter().all(|one| one.is_done())
            });
            delivered
        };
        let threads = [0, 1, 3, 0].map(|most| scope.spawn(move || poll(most)));
        threads.map(|thread| thread.join().unwrap()).iter().sum::<usize>()
    });
    assert_eq!(delivered, STREAMS * (WORDS + 3), "RESPONSE, the words, the finish, DONE");
    for one in running {
        let outcome = one.outcome();
        let said: String =
            outcome.events.iter().filter(|event| event.is_chunk()).filter_map(|e| e.text.clone()).collect();
        assert_eq!((said, outcome.content()), (numbers(), numbers()));
    }
}

#[test]
fn threads_that_take_events_get_each_once() {
    let server = counting();
    let client = Client::of(&server);
    let handle = client.handle();
    let ids: Vec<_> = (0..STREAMS).map(|_| client.call(ASK_STREAM).mode(Mode::Pull).submit().id).collect();
    let (ended, taken) = (AtomicUsize::new(0), Mutex::new(BTreeMap::<u64, Vec<String>>::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut last = BTreeMap::new();
                until("all have ended", || {
                    let event = next(handle, 5);
                    if let Some(text) = event.as_ref().filter(|event| event.is_chunk()).and_then(|e| e.text.clone()) {
                        let event = event.as_ref().unwrap();
                        let number: usize = text.trim().parse().unwrap();
                        let before = last.insert(event.request, number);
                        assert!(before.is_none_or(|before| before < number), "{number} after {before:?}");
                        lock(&taken).entry(event.request).or_default().push(text);
                    }
                    if event.is_some_and(|event| event.is_done()) {
                        ended.fetch_add(1, Ordering::SeqCst);
                    }
                    ended.load(Ordering::SeqCst) == STREAMS
                });
            });
        }
    });
    let mut taken = taken.into_inner().unwrap();
    for id in ids {
        let mut texts = taken.remove(&id).unwrap();
        texts.sort_by_key(|text| text.trim().parse::<usize>().unwrap());
        assert_eq!(texts.concat(), numbers());
    }
    assert_eq!(handle.pending(), 0);
}
