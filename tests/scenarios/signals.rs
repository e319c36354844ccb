//! How a host learns that something is pending: the count, the handle, the notification; and how it is woken.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::c::{CALL_BOUND, Client, Handle, config_for, merged};
use crate::support::chat::{ASK, ASK_STREAM, DONE, completion, finish, hello, say};
use crate::support::copied;
use crate::support::delivery::{Mode, Wired, until};
use crate::support::outcome::Event;
use crate::support::server::Server;
use crate::support::sync::{BOUND, Gate, Watch, lock, pass};

const FOREVER: u32 = HELIO_WAIT_FOREVER;

fn answering() -> Server {
    Server::new(|_, conn| conn.json(200, completion("Hello")))
}

// ---- the count and the handle ----

#[test]
fn the_handle_is_readable_exactly_while_something_is_pending() {
    let server = answering();
    let client = Client::of(&server);
    let handle = client.handle();
    let descriptor = handle.wait_handle();
    assert!(descriptor >= 0);
    let pending_is = |count: usize| {
        for _ in 0..3 {
            assert_eq!((handle.pending(), handle.is_readable()), (count, count > 0));
            assert_eq!(handle.stats()["pending_events"], count);
        }
        assert_eq!(handle.wait_handle(), descriptor, "the same all the time");
    };
    pending_is(0);
    for mode in Mode::QUEUED {
        let running = [(); 2].map(|()| client.call(ASK).mode(mode).submit());
        handle.until_pending(4);
        for left in (0..4).rev() {
            pending_is(left + 1);
            assert_eq!(handle.take(mode, 1), 1);
        }
        pending_is(0);
        for one in running {
            one.outcome().ok();
        }
    }
    client.call(ASK).mode(Mode::Thread).run().ok();
    pending_is(0);
}

#[test]
fn a_handle_that_is_asked_for_late_is_readable_at_once() {
    let server = answering();
    for mode in Mode::QUEUED {
        let client = Client::of(&server);
        let running = client.call(ASK).mode(mode).submit();
        client.handle().until_pending(2);
        assert!(client.handle().is_readable());
        running.wait().ok();
        assert!(!client.handle().is_readable());
    }
}

#[test]
fn the_handle_wakes_a_loop_of_the_hosts() {
    let server = Server::new(|_, conn| conn.stream(hello()));
    for mode in Mode::QUEUED {
        let client = Client::of(&server);
        let handle = client.handle();
        let running = [(); 8].map(|()| client.call(ASK_STREAM).mode(mode).submit());
        while !running.iter().all(|one| one.is_done()) {
            let mut poll = libc::pollfd { fd: handle.wait_handle() as i32, events: libc::POLLIN, revents: 0 };
            // SAFETY: one pollfd is given.
            let ready = unsafe { libc::poll(&mut poll, 1, BOUND.as_millis() as i32) };
            assert_eq!((ready, poll.revents), (1, libc::POLLIN), "something was missed");
            assert_eq!(handle.take(mode, 1), 1);
        }
        for one in running {
            one.outcome().ok();
        }
    }
}

/// Where the end of a cancelled request stops until the gate is open: in log_fn.
fn held_back(server: &Server, gate: &Arc<Gate>) -> Wired {
    let gate = gate.clone();
    let log = move |line: &str| {
        if line.contains("CANCELLED") {
            gate.wait();
        }
    };
    Wired::new(&config_for(server), || (), log)
}

#[test]
fn dropped_chunks_leave_nothing_pending_until_done_comes() {
    let server = Server::new(|_, conn| {
        conn.stream_head();
        conn.body(say("a") + &say("b") + &say("c"));
        conn.stall();
    });
    for mode in Mode::QUEUED {
        let gate = Gate::new();
        let client = held_back(&server, &gate);
        let handle = client.handle;
        let running = client.call(ASK_STREAM).mode(mode).submit();
        handle.until_pending(4);
        assert_eq!(handle.take(mode, 1), 1); // RESPONSE
        assert!(handle.is_readable());
        assert_eq!(handle.cancel(running.id), HELIO_OK);
        assert_eq!((handle.pending(), handle.is_readable()), (0, false));
        match mode {
            Mode::Poll => assert_eq!(handle.poll(20, 0), (HELIO_OK, 0)),
            _ => assert_eq!(handle.next_event(20), (HELIO_OK, std::ptr::null())),
        }
        gate.open();
        until("DONE is there", || handle.is_readable());
        assert_eq!(handle.pending(), 1);
        let outcome = running.wait();
        outcome.fails(HELIO_ERR_CANCELLED);
        assert_eq!((outcome.events.len(), outcome.content().as_str()), (2, "abc"));
        assert!(!handle.is_readable());
    }
}

// ---- the notification ----

/// Which thread was notified when.
type Notified = Arc<Mutex<Vec<ThreadId>>>;

fn notified(config: &Value) -> (Wired, Notified) {
    let calls = Notified::default();
    let client = {
        let calls = calls.clone();
        Wired::new(config, move || lock(&calls).push(std::thread::current().id()), |_| ())
    };
    (client, calls)
}

/// A server that says one word each time the gate is opened, three in all.
fn word_by_word(gate: &Arc<Gate>) -> Server {
    let gate = gate.clone();
    Server::new(move |_, conn| {
        conn.stream_head();
        for word in 1..4 {
            gate.wait_for(word);
            conn.body(say("a"));
        }
        conn.body(finish("stop") + DONE);
        conn.end();
    })
}

#[test]
fn poll_is_notified_once_until_it_returns() {
    let gate = Gate::new();
    let server = word_by_word(&gate);
    let (client, calls) = notified(&config_for(&server));
    let handle = client.handle;
    let count = || lock(&calls).len();
    let here = std::thread::current().id();
    let running = client.call(ASK_STREAM).mode(Mode::Poll).submit();
    gate.open();
    handle.until_pending(2);
    gate.open();
    handle.until_pending(3);
    until("it was notified", || count() > 0);
    assert_eq!(count(), 1, "of three events");
    assert_ne!(lock(&calls)[0], here);
    // What is left is announced at once, on the thread that polls.
    assert_eq!(handle.poll(0, 1), (HELIO_OK, 1));
    assert_eq!((count(), lock(&calls)[1]), (2, here));
    assert_eq!(handle.poll(0, 0), (HELIO_OK, 2));
    assert_eq!(count(), 2, "nothing was left");
    assert_eq!(handle.poll(0, 0), (HELIO_OK, 0));
    assert_eq!(count(), 2);
    gate.open();
    handle.until_pending(3); // the word, the finish, DONE
    until("it was notified again", || count() > 2);
    assert_eq!(count(), 3);
    running.wait().ok();
}

#[test]
fn who_takes_events_is_notified_once_until_nothing_is_found() {
    let gate = Gate::new();
    let server = word_by_word(&gate);
    let (client, calls) = notified(&config_for(&server));
    let handle = client.handle;
    let count = || lock(&calls).len();
    let running = client.call(ASK_STREAM).mode(Mode::Pull).submit();
    gate.open();
    handle.until_pending(2);
    until("it was notified", || count() > 0);
    assert_eq!(handle.take(Mode::Pull, 0), 2);
    // The notification is still outstanding: nobody has found nothing.
    gate.open();
    handle.until_pending(1);
    assert_eq!((handle.take(Mode::Pull, 1), count()), (1, 1));
    assert_eq!(handle.next_event(0), (HELIO_OK, std::ptr::null()));
    assert_eq!(count(), 1, "there is nothing to announce");
    gate.open();
    handle.until_pending(3);
    until("it was notified again", || count() > 1);
    assert_eq!((handle.take(Mode::Pull, 0), count()), (3, 2));
    running.outcome().ok();
}

#[test]
fn each_delivery_has_a_notification_of_its_own() {
    let server = answering();
    let (client, calls) = notified(&config_for(&server));
    let count = || lock(&calls).len();
    let handle = client.handle;
    let pull = client.call(ASK).mode(Mode::Pull).submit();
    handle.until_pending(2);
    until("it was notified", || count() == 1);
    let poll = client.call(ASK).mode(Mode::Poll).submit();
    handle.until_pending(4);
    until("it was notified for the other, too", || count() == 2);
    assert_eq!(handle.poll(0, 0), (HELIO_OK, 2));
    assert_eq!(count(), 2, "those of PULL were announced already");
    poll.outcome().ok();
    pull.wait().ok();
    let before = count();
    client.call(ASK).mode(Mode::Thread).run().ok();
    assert_eq!(count(), before, "THREAD has none");
}

#[test]
fn a_dropped_chunk_does_not_swallow_the_notification_of_done() {
    let server = Server::new(|_, conn| {
        conn.stream_head();
        conn.body(say("a") + &say("b"));
        conn.stall();
    });
    for mode in Mode::QUEUED {
        let (client, calls) = notified(&config_for(&server));
        let handle = client.handle;
        let running = client.call(ASK_STREAM).mode(mode).submit();
        handle.until_pending(3);
        until("it was notified", || lock(&calls).len() == 1);
        assert_eq!(handle.cancel(running.id), HELIO_OK);
        // A host that comes for what was announced, whatever it finds, is told of DONE.
        let mut taken = Vec::new();
        until("all was received as announced", || {
            for _ in std::mem::take(&mut *lock(&calls)) {
                match mode {
                    Mode::Poll => assert_eq!(handle.poll(0, 0).0, HELIO_OK),
                    _ => taken.extend(drained(handle)),
                }
            }
            running.is_done() || taken.iter().any(Event::is_done)
        });
        taken.extend(running.events());
        assert!(taken.iter().all(|event| !event.is_chunk()));
    }
}

/// Takes the events of PULL until there is none.
fn drained(handle: Handle) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let (status, event) = handle.next_event(0);
        assert_eq!(status, HELIO_OK);
        if event.is_null() {
            return events;
        }
        // SAFETY: a valid event that is ours until it is released.
        unsafe {
            events.push(copied::event(&*event));
            helio_event_release(event);
        }
    }
}

#[test]
fn a_host_that_receives_once_per_notification_misses_nothing() {
    let server =
        Server::new(
            |request, conn| {
                if request.number % 2 == 0 { conn.stream(hello()) } else { conn.json(200, completion("Hello")) }
            },
        );
    for (mode, most) in [(Mode::Poll, 0), (Mode::Poll, 1), (Mode::Poll, 5), (Mode::Pull, 0)] {
        let (tell, told) = channel();
        let tell = Mutex::new(tell);
        let config = merged(config_for(&server), &json!({"limits": {"max_in_flight": 8}}));
        let client = Wired::new(
            &config,
            move || {
                let _nobody_may_listen = lock(&tell).send(());
            },
            |_| (),
        );
        let running: Vec<_> = (0..200).map(|_| client.call(ASK).mode(mode).submit()).collect();
        let mut ended = 0;
        while ended < 200 {
            told.recv_timeout(BOUND).unwrap_or_else(|_| panic!("{mode:?}: {ended} of 200, and no word of the others"));
            match mode {
                Mode::Poll => assert_eq!(client.handle.poll(0, most).0, HELIO_OK),
                _ => ended += drained(client.handle).iter().filter(|event| event.is_done()).count(),
            }
            if mode == Mode::Poll {
                ended = running.iter().filter(|one| one.is_done()).count();
            }
        }
        assert_eq!((ended, client.handle.pending()), (200, 0));
    }
}

// ---- waking ----

#[test]
fn a_wakeup_ends_a_wait_whether_it_has_begun_or_not() {
    let server = answering();
    let client = Client::of(&server);
    let handle = client.handle();
    for turn in 0..60 {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(move || {
                let _watch = Watch::over("waiting for a wakeup", CALL_BOUND);
                match turn % 2 {
                    0 => handle.poll(FOREVER, 0) == (HELIO_OK, 0),
                    _ => handle.next_event(FOREVER) == (HELIO_OK, std::ptr::null()),
                }
            });
            if turn > 50 {
                pass();
            }
            assert_eq!(handle.wakeup(), HELIO_OK);
            assert!(waiting.join().unwrap());
        });
    }
}

#[test]
fn a_wakeup_ends_every_wait() {
    let server = answering();
    let client = Client::of(&server);
    let handle = client.handle();
    let woken = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let woken = &woken;
        for waiter in 0..4 {
            scope.spawn(move || {
                let _watch = Watch::over("waiting for a wakeup of all", CALL_BOUND);
                match waiter % 2 {
                    0 => assert_eq!(handle.poll(FOREVER, 0), (HELIO_OK, 0)),
                    _ => assert_eq!(handle.next_event(FOREVER), (HELIO_OK, std::ptr::null())),
                }
                woken.fetch_add(1, Ordering::SeqCst);
            });
        }
        pass();
        // More than one only for those who have come late.
        until("all are awake", || {
            assert_eq!(handle.wakeup(), HELIO_OK);
            pass();
            woken.load(Ordering::SeqCst) == 4
        });
    });
}

#[test]
fn a_wakeup_is_kept_for_the_next_who_would_have_to_wait_and_for_no_other() {
    let server = answering();
    let client = Client::of(&server);
    let handle = client.handle();
    let running = [Mode::Poll, Mode::Pull].map(|mode| client.call(ASK).mode(mode).submit());
    handle.until_pending(4);
    assert_eq!(handle.wakeup(), HELIO_OK);
    assert_eq!(handle.poll(FOREVER, 0), (HELIO_OK, 2), "it need not wait");
    assert_eq!(handle.take(Mode::Pull, 2), 2);
    assert_eq!(handle.poll(0, 0), (HELIO_OK, 0), "it may not wait");
    assert!(!handle.is_readable(), "the handle knows nothing of it");
    {
        let _watch = Watch::over("a wakeup that was kept", CALL_BOUND);
        assert_eq!(handle.next_event(FOREVER), (HELIO_OK, std::ptr::null()));
    }
    let begin = Instant::now();
    assert_eq!(handle.poll(80, 0), (HELIO_OK, 0));
    assert!(begin.elapsed() >= Duration::from_millis(80), "it was kept once");
    for one in running {
        one.outcome().ok();
    }
}
