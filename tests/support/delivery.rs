//! The four ways to an answer. The whole table of scenarios runs in each of them and must see the same: which one
//! is meant stands in the environment.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Duration;

use helio::abi::*;

use super::c::Handle;

/// Which way the tests of this process ask: `complete` (the default), `poll`, `pull` or `thread`.
pub const VARIABLE: &str = "HELIO_TEST_DELIVERY";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Complete,
    Poll,
    Pull,
    Thread,
}

impl Mode {
    pub const SUBMITTED: [Mode; 3] = [Mode::Poll, Mode::Pull, Mode::Thread];

    /// The one of this process.
    pub fn of_process() -> Mode {
        static MODE: OnceLock<Mode> = OnceLock::new();
        *MODE.get_or_init(|| match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("complete") => Mode::Complete,
            Ok("poll") => Mode::Poll,
            Ok("pull") => Mode::Pull,
            Ok("thread") => Mode::Thread,
            Ok(other) => panic!("{VARIABLE} is {other:?}"),
        })
    }

    pub fn delivery(self) -> helio_delivery {
        match self {
            Mode::Complete | Mode::Poll => HELIO_DELIVERY_POLL,
            Mode::Pull => HELIO_DELIVERY_PULL,
            Mode::Thread => HELIO_DELIVERY_THREAD,
        }
    }
}

/// Leaves a test whose promise is none in the way of this process: says so, and is loud about why.
#[macro_export]
macro_rules! only_in {
    ([$($mode:ident),+], $why:literal) => {
        let mode = $crate::support::delivery::Mode::of_process();
        if ![$($crate::support::delivery::Mode::$mode),+].contains(&mode) {
            eprintln!("not in {mode:?}: {}", $why);
            return;
        }
    };
}

thread_local! {
    static POLLS: Cell<bool> = const { Cell::new(false) };
}

/// Whether a `helio_poll` or a destroy runs on this thread, in which callbacks may.
pub fn polls_here() -> bool {
    POLLS.get()
}

/// Runs `work`, in which callbacks of POLL requests may run on this thread.
pub fn polling<T>(work: impl FnOnce() -> T) -> T {
    let before = POLLS.replace(true);
    let result = work();
    POLLS.set(before);
    result
}

/// No wait of a receiver is longer, so that it sees what another thread has received for it.
pub const A_WHILE: Duration = Duration::from_millis(10);

impl Handle {
    /// `helio_poll`: its status, and how many callbacks ran.
    pub fn poll(self, timeout_ms: u32, max_events: u32) -> (helio_status, u32) {
        let mut delivered = u32::MAX;
        // SAFETY: the client lives as long as its tests call it.
        let status = polling(|| unsafe { helio_poll(self.0, timeout_ms, max_events, &mut delivered) });
        (status, delivered)
    }

    /// `helio_next_event`; what it gives is to be released.
    pub fn next_event(self, timeout_ms: u32) -> (helio_status, *const helio_event) {
        let mut event = std::ptr::dangling();
        // SAFETY: as above.
        let status = unsafe { helio_next_event(self.0, timeout_ms, &mut event) };
        (status, event)
    }

    pub fn pending(self) -> usize {
        // SAFETY: as above.
        unsafe { helio_pending_events(self.0) }
    }

    pub fn wakeup(self) -> helio_status {
        // SAFETY: as above.
        unsafe { helio_wakeup(self.0) }
    }

    pub fn wait_handle(self) -> isize {
        // SAFETY: as above.
        unsafe { helio_wait_handle(self.0) }
    }

    pub fn prewarm(self) -> helio_status {
        // SAFETY: as above.
        unsafe { helio_client_prewarm(self.0) }
    }

    /// The handle is dead afterwards.
    pub fn release(self) {
        // SAFETY: as above.
        unsafe { helio_client_release(self.0) }
    }

    pub fn stats(self) -> serde_json::Value {
        let mut json = std::ptr::dangling_mut();
        // SAFETY: as above.
        let status = unsafe { helio_client_stats(self.0, &mut json) };
        assert_eq!(status, HELIO_OK);
        serde_json::from_str(&super::copied::take_buffer(json).expect("stats")).expect("stats in JSON")
    }
}
