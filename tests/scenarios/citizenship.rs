//! A good guest of its process while requests live: forks, signals, names and stacks of threads, and a name look-up
//! that never comes back. Each test has a process of its own.

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::ptr::{dangling_mut, null, null_mut};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use helio::abi::*;
use serde_json::json;

use super::process::{in_a_fork, there_is_no_library_thread};
use crate::only_in;
use crate::support::alone::alone;
use crate::support::c::{CALL_BOUND, Client, Handle, config_of};
use crate::support::call::{Call, complete, submit, submit_options};
use crate::support::chat::{ASK, ASK_STREAM, DONE, finish, say};
use crate::support::copied::{take_buffer, take_error};
use crate::support::delivery::Mode;
use crate::support::server::Server;
use crate::support::sync::{BOUND, Gate, Watch, lock};
use crate::support::time::Time;
use crate::this_test;

const WAYS: [Mode; 4] = [Mode::Complete, Mode::Poll, Mode::Pull, Mode::Thread];

/// Says one word to each request, and the rest when the gate opens.
fn half_way(gate: &Arc<Gate>) -> Server {
    let gate = gate.clone();
    Server::new(move |_, conn| {
        conn.stream_head();
        conn.body(say("Hel"));
        gate.wait();
        conn.body(say("lo") + &finish("stop") + DONE);
        conn.end();
    })
}

#[track_caller]
fn until(what: &str, ready: impl Fn() -> bool) {
    let end = Instant::now() + BOUND;
    while !ready() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::yield_now();
    }
}

// ---- fork ----

/// Every function that a child may call on its parent's client; the number of the first that did not know.
fn all_know_of_the_fork(handle: Handle) -> i32 {
    let options = |mode| submit_options(mode);
    let stats = || {
        let mut json = dangling_mut();
        // SAFETY: the client is the parent's, and the out-parameter is ours.
        (unsafe { helio_client_stats(handle.0, &mut json) }, json)
    };
    // SAFETY: the body is given with its length.
    let ask = || unsafe { complete(handle, ASK.as_ptr().cast(), ASK.len(), null()) };
    // SAFETY: as above.
    let begin = || unsafe { submit(handle, ASK.as_ptr().cast(), ASK.len(), &options(Mode::Pull)) };
    let answers = [
        handle.poll(HELIO_WAIT_FOREVER, 0) == (HELIO_ERR_FORKED, 0),
        handle.next_event(HELIO_WAIT_FOREVER) == (HELIO_ERR_FORKED, null()),
        handle.pending() == 0,
        handle.wait_handle() == -1,
        handle.wakeup() == HELIO_ERR_FORKED,
        handle.reserve() == 0,
        handle.cancel(1) == HELIO_ERR_FORKED,
        handle.cancel_all() == HELIO_ERR_FORKED,
        handle.set_api_key(Some("k")) == HELIO_ERR_FORKED,
        handle.prewarm() == HELIO_ERR_FORKED,
        stats() == (HELIO_ERR_FORKED, null_mut()),
        ask().status == HELIO_ERR_FORKED,
        begin().status == HELIO_ERR_FORKED,
        handle.shutdown() == HELIO_ERR_FORKED,
        // SAFETY: in a child the client is only forgotten.
        unsafe { helio_client_destroy(handle.0, HELIO_WAIT_FOREVER) } == HELIO_ERR_FORKED,
    ];
    answers.iter().position(|knows| !knows).map_or(0, |place| place as i32 + 1)
}

#[test]
fn a_fork_amid_requests_of_every_way_hurts_neither_side() {
    only_in!([Complete], "every way is tried here");
    alone(this_test!(), &[], || {
        let gate = Gate::new();
        let server = half_way(&gate);
        let (client, released) = (Client::of(&server), Client::of(&server));
        let handle = client.handle();
        assert!(handle.wait_handle() >= 0);
        let seen = Gate::new();
        let thread = client.call(ASK_STREAM).mode(Mode::Thread).opens_at_chunks(&seen);
        let thread = thread.submit();
        let [poll, pull] = [Mode::Poll, Mode::Pull].map(|mode| client.call(ASK_STREAM).mode(mode).submit());
        let of_released = released.call(ASK_STREAM).mode(Mode::Thread).submit();
        until("both have their RESPONSE and CHUNK", || handle.pending() == 4);
        seen.wait();
        server.wait_for_requests(4);
        // What the child may free: a buffer, an error and an event of its parent's, which are copies there.
        let mut stats = null_mut();
        // SAFETY: the client lives, and the out-parameter is ours.
        assert_eq!(unsafe { helio_client_stats(handle.0, &mut stats) }, HELIO_OK);
        let (mut id, mut error) = (0, null_mut());
        // SAFETY: the body ends in a NUL; it is refused.
        let refused =
            unsafe { helio_submit(handle.0, c"[".as_ptr(), 1, &submit_options(Mode::Pull), &mut id, &mut error) };
        assert_eq!(refused, HELIO_ERR_INVALID_JSON);
        let other = Client::of(&server).into_handle();
        let taken_from = Call::new(other, &[], ASK_STREAM.as_bytes()).mode(Mode::Pull).submit();
        let (status, taken) = other.next_event(HELIO_WAIT_FOREVER);
        assert!(status == HELIO_OK && !taken.is_null());
        let address = server.url();

        in_a_fork(|| {
            let failed = all_know_of_the_fork(handle);
            if failed != 0 {
                return failed;
            }
            released.handle().release();
            // SAFETY: the event is ours, here as in the parent.
            unsafe { helio_event_release(taken) };
            if take_buffer(stats).is_none_or(|stats| !stats.contains("\"started\":3")) {
                return 50;
            }
            if take_error(error).is_none_or(|error| error.status != HELIO_ERR_INVALID_JSON) {
                return 51;
            }
            // Another client may be made here, and be used.
            let own = Client::new(&config_of(&address)).into_handle();
            if own.reserve() == 0 || own.destroy(10_000) != HELIO_OK {
                return 52;
            }
            0
        });

        assert!(take_buffer(stats).is_some() && take_error(error).is_some());
        // SAFETY: the event is still ours.
        unsafe { helio_event_release(taken) };
        gate.open();
        for running in [thread, poll, pull, of_released] {
            let outcome = running.wait();
            outcome.ok();
            assert_eq!(outcome.content(), "Hello");
        }
        assert_eq!((server.connections(), server.requests().len()), (5, 5), "on the connections they had");
        assert_ne!(taken_from.id, 0);
        assert_eq!(other.destroy(30_000), HELIO_OK); // what nobody has taken goes with it
    });
}

// ---- signals ----

/// The name and the blocked signals (bit 0: signal 1) of each thread of the library.
fn masks() -> Vec<(String, u64)> {
    let mut masks = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        let (Ok(name), Ok(status)) =
            (std::fs::read_to_string(task.join("comm")), std::fs::read_to_string(task.join("status")))
        else {
            continue; // it has ended meanwhile
        };
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("SigBlk");
        if name.starts_with("helio-") {
            masks.push((name.trim().to_string(), u64::from_str_radix(blocked.trim(), 16).unwrap()));
        }
    }
    masks
}

fn blocks(mask: u64, signal: i32) -> bool {
    mask >> (signal - 1) & 1 == 1
}

const FAULTS: [i32; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGSYS];
const ASYNCHRONOUS: [i32; 12] = [
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGCHLD,
    libc::SIGPIPE,
    libc::SIGIO,
    libc::SIGTSTP,
    libc::SIGWINCH,
];
const COLLECTORS: [i32; 5] = [libc::SIGUSR1, libc::SIGUSR2, libc::SIGPWR, libc::SIGXCPU, libc::SIGURG];

fn collectors() -> Vec<i32> {
    COLLECTORS.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX()).collect()
}

/// What is wrong with the mask of a thread, if anything; `kept` are the signals of garbage collectors that the host
/// had blocked.
fn fault_of(name: &str, mask: u64, kept: &[i32]) -> Option<String> {
    let runs_host_code = name != "helio-lookup";
    let open = FAULTS.into_iter().map(|signal| (signal, false));
    let blocked = ASYNCHRONOUS.into_iter().map(|signal| (signal, true));
    let collected = collectors().into_iter().map(|signal| (signal, !runs_host_code || kept.contains(&signal)));
    let wrong = |(signal, wanted): &(i32, bool)| blocks(mask, *signal) != *wanted;
    let (signal, wanted) = open.chain(blocked).chain(collected).find(wrong)?;
    Some(format!("{name} {} the signal {signal}", if wanted { "leaves open" } else { "blocks" }))
}

/// For a moment, at its very beginning and its very end, the system blocks everything on a thread.
#[track_caller]
fn masks_are_right(kept: &[i32]) {
    let faults = || masks().iter().find_map(|(name, mask)| fault_of(name, *mask, kept));
    let end = Instant::now() + BOUND;
    while let Some(fault) = faults() {
        assert!(Instant::now() < end, "{fault}");
        std::thread::yield_now();
    }
}

fn own_mask() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("SigBlk");
    u64::from_str_radix(blocked.trim(), 16).unwrap()
}

fn names() -> BTreeSet<String> {
    masks().into_iter().map(|(name, _)| name).collect()
}

fn threads_block(kept: &[i32]) {
    let gate = Gate::new();
    let server = half_way(&gate);
    let client = Client::of(&server);
    let before = own_mask();
    let running = WAYS[1..].iter().map(|mode| client.call(ASK_STREAM).mode(*mode).submit()).collect::<Vec<_>>();
    server.wait_for_requests(3);
    // A worker that has handed its stream on waits for more to do; one that begins has the name of its parent.
    until("there is a reactor and a worker", || {
        names() == BTreeSet::from(["helio-reactor", "helio-worker"].map(String::from))
    });
    masks_are_right(kept);
    assert_eq!(own_mask(), before);
    gate.open();
    for running in running {
        running.wait().ok();
    }
    assert_eq!(own_mask(), before);
}

#[test]
fn library_threads_have_names_and_only_the_signals_of_the_host_code() {
    only_in!([Complete], "every way is tried here");
    alone(this_test!(), &[], || threads_block(&[]));
}

#[test]
fn what_the_host_takes_itself_stays_blocked() {
    only_in!([Complete], "every way is tried here");
    alone(this_test!(), &[], || {
        let kept = [libc::SIGUSR1, libc::SIGURG, libc::SIGRTMIN() + 3, libc::SIGINT];
        let mut set = std::mem::MaybeUninit::uninit();
        // SAFETY: the set is made empty before it is used; only this thread's mask changes.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            kept.iter().for_each(|signal| assert_eq!(libc::sigaddset(set.as_mut_ptr(), *signal), 0));
            assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), null_mut()), 0);
        }
        threads_block(&kept[..3]);
    });
}

#[test]
fn a_dead_peer_raises_no_sigpipe_in_any_way() {
    only_in!([Complete], "every way is tried here");
    alone(this_test!(), &[], || {
        // SAFETY: the default action, which ends the process.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let server = Server::raw(|conn| {
            conn.skip(1000);
            conn.reset();
        });
        let client = Client::of(&server);
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(8 << 20));
        for mode in WAYS {
            for _ in 0..3 {
                client.call(&body).mode(mode).run().fails(HELIO_ERR_NETWORK);
            }
        }
    });
}

// ---- threads ----

#[test]
fn what_needs_no_thread_starts_none() {
    only_in!([Complete], "every way is tried here");
    alone(this_test!(), &[], || {
        let server = Server::raw(|_| panic!("nothing should have been sent"));
        let client = Client::of(&server);
        let handle = client.handle();
        assert!(handle.wait_handle() >= 0);
        assert_eq!((handle.poll(0, 0), handle.next_event(0)), ((HELIO_OK, 0), (HELIO_OK, null())));
        assert_eq!((handle.wakeup(), handle.pending(), handle.cancel_all()), (HELIO_OK, 0, HELIO_OK));
        assert_eq!(handle.stats()["threads"], 0);
        for mode in Mode::SUBMITTED {
            client.call("[]").mode(mode).submit().outcome().refused(HELIO_ERR_INVALID_JSON);
        }
        there_is_no_library_thread();
        drop(client);
        there_is_no_library_thread();
    });
}

#[test]
fn a_callback_on_a_thread_has_room_on_its_stack() {
    only_in!([Complete], "THREAD is tried here");
    let server = Server::new(|_, conn| conn.stream([say("Hello"), finish("stop"), DONE.to_string()]));
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = sizes.clone();
    let client = Client::of(&server);
    let call = client.call(ASK_STREAM).mode(Mode::Thread).on_event(move |_| {
        let mut attributes = std::mem::MaybeUninit::uninit();
        let (mut address, mut size) = (null_mut::<c_void>(), 0);
        // SAFETY: asks for the attributes of this thread, reads one, and gives them back.
        unsafe {
            assert_eq!(libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()), 0);
            assert_eq!(libc::pthread_attr_getstack(attributes.as_ptr(), &mut address, &mut size), 0);
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
        }
        let here = (&raw const size).addr();
        lock(&seen).push((size, here.wrapping_sub(address.addr()))); // a sanitizer may keep locals elsewhere
        0
    });
    call.run().ok();
    let sizes = lock(&sizes);
    assert_eq!(sizes.len(), 4);
    for (size, left) in sizes.iter() {
        assert!(*size >= 1 << 20, "a stack of {size} bytes");
        assert!(*left >= (1 << 20) - (192 << 10), "{left} bytes are left of {size}");
    }
}

// ---- a name look-up that never comes back ----

/// Takes the place of the system's: no name is ever found, and none is not.
const STUCK: &str = "#include <unistd.h>\n\
    int getaddrinfo(const char *a, const char *b, const void *c, void *d) {\n\
    (void)a; (void)b; (void)c; (void)d; for (;;) sleep(1000);\n}\n";

/// Runs this in a process of its own, in which it is so.
fn where_look_ups_never_end(test: &str, work: impl FnOnce()) {
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("stuck.c"), folder.path().join("stuck.so"));
    std::fs::write(&source, STUCK).unwrap();
    let compiled = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status()
        .expect("cc, which links Rust programs, too");
    assert!(compiled.success());
    alone(test, &[("LD_PRELOAD", library.to_str().unwrap())], work);
}

#[test]
fn a_look_up_that_never_ends_has_a_deadline() {
    where_look_ups_never_end(this_test!(), || {
        let direct = config_of("http://never.test/v1");
        let mut through = config_of("http://127.0.0.1:9/v1");
        through["proxy"] = json!("http://never.test:3128");
        for (config, which) in [(&direct, "connect"), (&direct, "total"), (&through, "connect"), (&through, "total")] {
            let mut config = config.clone();
            config["timeouts"] = json!({"connect_ms": null, format!("{which}_ms"): 60_000});
            config["retry"] = json!({"max_retries": 0});
            let client = Client::new(&config);
            let flight = Time::of(client.handle()).fly();
            let outcome = client.ask(ASK);
            drop(flight);
            let error = outcome.fails(HELIO_ERR_TIMEOUT);
            assert_eq!((error.code(), &outcome.report()["timeout_ms"]), (which, &json!(60_000)));
            if which == "connect" {
                error.says(&["the name never.test was looked up"]);
            }
        }
    });
}

#[test]
fn a_look_up_that_never_ends_holds_up_nobody() {
    only_in!([Complete], "every way is tried here");
    where_look_ups_never_end(this_test!(), || {
        for (number, mode) in WAYS.into_iter().enumerate() {
            let client = Client::new(&config_of("http://never.test/v1"));
            let handle = client.handle();
            let is_asked = || masks().iter().filter(|(name, _)| name == "helio-lookup").count() == number + 1;
            let id = client.reserve();
            let outcome = std::thread::scope(|scope| {
                let running = scope.spawn(|| client.call(ASK).mode(mode).id(id).run());
                until("the name is looked up", is_asked);
                masks_are_right(&[]);
                assert_eq!(handle.stats()["stuck_lookups"], 0, "somebody waits for it");
                let _watch = Watch::over("the cancel of a look-up", CALL_BOUND);
                assert_eq!(client.cancel(id), HELIO_OK);
                running.join().unwrap()
            });
            outcome.fails(HELIO_ERR_CANCELLED);
            until("it is counted", || handle.stats()["stuck_lookups"] == 1);
            drop(client); // destroy succeeds
            assert!(is_asked(), "it belongs to the process");
        }
        // Destroy alone does as well as a cancel before.
        let client = Client::new(&config_of("http://never.test/v1"));
        let running = client.call(ASK).mode(Mode::Thread).submit();
        until("the name is looked up", || masks().iter().filter(|(name, _)| name == "helio-lookup").count() == 5);
        assert_eq!(client.handle().shutdown(), HELIO_OK);
        running.wait().fails(HELIO_ERR_SHUT_DOWN);
        drop(client);
    });
}
