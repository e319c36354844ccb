//! What the library does to the process it lives in: its threads, its descriptors, and what a fork leaves.

use std::collections::BTreeSet;
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use helio::abi::*;

use crate::only_in;
use crate::support::alone::alone;
use crate::support::c::{Client, Handle, client_options, create};
use crate::support::call::complete;
use crate::support::chat::{ASK, ASK_STREAM, completion, finish, hello, say};
use crate::support::copied::{take_buffer, take_error};
use crate::support::outcome::Outcome;
use crate::support::server::Server;
use crate::support::sync::BOUND;
use crate::this_test;

fn mixed() -> Server {
    Server::new(|request, conn| match request.number % 5 {
        0 => conn.json(200, completion("Hello")),
        1 => conn.stream(hello()),
        2 => conn.answer(500, &[("x-should-retry", "false")], "oops"),
        3 => conn.stream([say("half")]),
        _ => {
            conn.stream_head();
            conn.body(say("Hello") + &finish("stop"));
            conn.cut();
        }
    })
}

/// The names of the threads that are neither the test's own nor the scripted server's.
fn library_threads() -> Vec<String> {
    let own = std::fs::read_link("/proc/thread-self").unwrap();
    let ours = [std::process::id().to_string().into(), own.file_name().unwrap().to_os_string()];
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let others = tasks.filter(|task| task.file_name().is_some_and(|id| !ours.contains(&id.to_os_string())));
    let names = others.filter_map(|task| std::fs::read_to_string(task.join("comm")).ok());
    names.map(|name| name.trim().to_string()).filter(|name| !name.starts_with("scene-")).collect()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A thread that was joined is listed for a moment longer, and one of the server's has the name of its parent for
/// a moment; a thread of the library would stay.
#[track_caller]
pub fn there_is_no_library_thread() {
    let end = Instant::now() + BOUND;
    while !library_threads().is_empty() {
        assert!(Instant::now() < end, "threads are left: {:?}", library_threads());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn there_is_no_thread_before_the_first_request_and_none_after_destroy() {
    alone(this_test!(), &[], || {
        let server = mixed();
        let client = Client::of(&server);
        there_is_no_library_thread();
        client.reserve();
        client.cancel(5);
        client.ask("[]").refused(HELIO_ERR_INVALID_JSON);
        there_is_no_library_thread();
        for _ in 0..5 {
            client.ask(ASK_STREAM);
        }
        let names: BTreeSet<_> = library_threads().into_iter().collect();
        assert!(names.iter().all(|name| name.starts_with("helio")), "library threads have names: {names:?}");
        drop(client);
        there_is_no_library_thread();
    });
}

#[test]
fn many_clients_leave_neither_threads_nor_descriptors() {
    alone(this_test!(), &[], || {
        let server = mixed();
        let round = || {
            let client = Client::of(&server);
            for _ in 0..5 {
                client.ask(ASK_STREAM);
            }
        };
        round();
        there_is_no_library_thread();
        let before = settled(descriptors);
        for _ in 0..30 {
            round();
        }
        there_is_no_library_thread();
        // The server's ends of the connections close when it has noticed.
        let end = Instant::now() + BOUND;
        while descriptors() > before {
            assert!(Instant::now() < end, "{before} descriptors became {}", descriptors());
            std::thread::sleep(Duration::from_millis(5));
        }
    });
}

/// A count that has stopped falling.
fn settled(count: fn() -> usize) -> usize {
    let mut last = count();
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(10));
        last = last.min(count());
    }
    last
}

#[test]
fn a_thousand_calls_need_no_more_memory_than_a_hundred() {
    // The server's record of what it was sent grows; so it is the other process that is asked.
    let server = mixed();
    alone(this_test!(), &[("HELIO_BASE_URL", &server.url()), ("HELIO_API_KEY", "k")], || {
        let handle = create(&client_options()).unwrap();
        let resident = || {
            let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
            statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
        };
        let rounds = |count: usize| (0..count).for_each(|_| drop(bare(handle)));
        rounds(200);
        let before = resident();
        rounds(1500);
        let grown = resident().saturating_sub(before);
        assert!(grown < 1 << 20, "1500 calls left {} KiB", grown >> 10);
        assert_eq!(handle.destroy(10_000), HELIO_OK);
    });
}

#[test]
fn dropping_everything_in_the_middle_leaves_nothing() {
    only_in!([Complete, Thread], "who receives must stop before the client is destroyed");
    alone(this_test!(), &[], || {
        let server = Server::new(|_, conn| {
            conn.stream_head();
            conn.body(say("Hello"));
            conn.stall();
        });
        for _ in 0..10 {
            let handle = Client::of(&server).into_handle();
            let expected = server.requests().len() + 2;
            std::thread::scope(|scope| {
                let calls: Vec<_> = (0..2).map(|_| scope.spawn(move || handle.ask(ASK_STREAM))).collect();
                server.wait_for_requests(expected);
                assert_eq!(handle.destroy(30_000), HELIO_OK);
                for call in calls {
                    call.join().unwrap().fails(HELIO_ERR_SHUT_DOWN);
                }
            });
            there_is_no_library_thread();
        }
    });
}

#[test]
fn a_signal_mask_is_left_alone_and_no_handler_is_installed() {
    alone(this_test!(), &[], || {
        let status = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let of_signals =
                |line: &&str| line.starts_with("SigBlk") || line.starts_with("SigIgn") || line.starts_with("SigCgt");
            status.lines().filter(of_signals).map(str::to_string).collect::<Vec<_>>()
        };
        let before = status();
        let server = mixed();
        Client::of(&server).ask(ASK_STREAM);
        assert_eq!(status(), before);
    });
}

// ---- fork ----

/// Forks; `child` gives the number of the first check that failed, or 0.
#[track_caller]
pub fn in_a_fork(child: impl FnOnce() -> i32) {
    // SAFETY: the child calls only what the contract allows after a fork, and leaves by `_exit`.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(99);
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(failed) };
    }
    assert!(pid > 0, "fork");
    let end = Instant::now() + BOUND;
    let mut status = 0;
    // SAFETY: waits for our own child, and writes one int.
    while unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) } == 0 {
        if Instant::now() > end {
            // SAFETY: our own child.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            panic!("the child hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(libc::WIFEXITED(status), "the child died of signal {}", libc::WTERMSIG(status));
    assert_eq!(libc::WEXITSTATUS(status), 0, "the check in the child that failed");
}

/// A call with nothing but the bare function around it.
fn bare(handle: Handle) -> Outcome {
    // SAFETY: the body is given with its length.
    unsafe { complete(handle, ASK.as_ptr().cast(), ASK.len(), std::ptr::null()) }
}

#[test]
fn a_forked_child_is_told_so_and_the_parent_goes_on() {
    alone(this_test!(), &[], || {
        let server = Server::new(|_, conn| conn.json(200, completion("Hello")));
        let client = Client::of(&server);
        client.ask(ASK).ok();
        let handle = client.handle();
        in_a_fork(|| {
            if bare(handle).status != HELIO_ERR_FORKED {
                return 1;
            }
            if handle.reserve() != 0 {
                return 2;
            }
            if handle.cancel(1) != HELIO_ERR_FORKED || handle.cancel_all() != HELIO_ERR_FORKED {
                return 3;
            }
            if handle.set_api_key(Some("k")) != HELIO_ERR_FORKED {
                return 4;
            }
            if handle.shutdown() != HELIO_ERR_FORKED {
                return 5;
            }
            // SAFETY: destroy forgets the client in a child.
            let destroyed = unsafe { helio_client_destroy(handle.0, 1000) };
            i32::from(destroyed != HELIO_OK && destroyed != HELIO_ERR_FORKED) * 6
        });
        let outcome = client.ask(ASK);
        outcome.ok();
        assert_eq!(outcome.attempts()[0]["reused"], true);
        assert_eq!((server.connections(), server.requests().len()), (1, 2), "the parent's connection was left alone");
    });
}

#[test]
fn a_forked_child_may_free_what_its_parent_was_given() {
    alone(this_test!(), &[], || {
        let server = Server::new(|request, conn| match request.number {
            0 => conn.json(200, completion("Hello")),
            _ => conn.answer(400, &[], "no"),
        });
        let client = Client::of(&server);
        let call = || {
            let (mut json, mut error) = (null_mut(), null_mut());
            // SAFETY: the body is given with its length, and the out-parameters are ours.
            let status = unsafe {
                helio_complete(
                    client.handle().0,
                    ASK.as_ptr().cast(),
                    ASK.len(),
                    std::ptr::null(),
                    &mut json,
                    &mut error,
                )
            };
            (status, json, error)
        };
        let (first, second) = (call(), call());
        assert_eq!((first.0, second.0), (HELIO_OK, HELIO_ERR_BAD_REQUEST));
        in_a_fork(|| {
            let data = take_buffer(first.1);
            let error = take_error(second.2);
            i32::from(data.is_none_or(|data| !data.contains("Hello")) || error.is_none_or(|error| error.body() != "no"))
        });
        assert!(take_buffer(first.1).is_some_and(|data| data.contains("Hello")));
        assert!(take_error(second.2).is_some());
    });
}

#[test]
fn a_fork_during_a_call_hurts_neither() {
    alone(this_test!(), &[], || {
        let server = Server::new(|request, conn| match request.number {
            0 => conn.json(200, completion("Hello")),
            _ => conn.stream(hello()),
        });
        let client = Client::of(&server);
        client.ask(ASK).ok();
        let handle = client.handle();
        let call = client.call(ASK_STREAM).on_event(move |event| {
            if event.is_chunk() {
                in_a_fork(|| i32::from(handle.cancel(1) != HELIO_ERR_FORKED || handle.reserve() != 0));
            }
            0
        });
        let outcome = call.run();
        outcome.ok();
        assert_eq!(outcome.content(), "Hello");
    });
}
