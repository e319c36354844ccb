//! The four ways to an answer. The whole table of scenarios runs in each of them and must see the same: which one
//! is meant stands in the environment.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use helio::abi::*;

use super::c::Handle;
use super::sync::BOUND;

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

impl Mode {
    /// Those whose events wait for the host.
    pub const QUEUED: [Mode; 2] = [Mode::Poll, Mode::Pull];
}

/// Waits until this is so, which must come about by itself.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + BOUND;
    while !is_so() {
        assert!(Instant::now() < end, "waited {BOUND:?} until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Handle {
    /// Waits until so many events are pending.
    #[track_caller]
    pub fn until_pending(self, count: usize) {
        until(&format!("{count} events are pending"), || self.pending() == count);
    }

    /// Waits until this figure of the client has this value; a `/` leads into an object.
    #[track_caller]
    pub fn until_stats(self, figure: &str, value: u64) {
        let is = || self.stats().pointer(&format!("/{figure}")).and_then(serde_json::Value::as_u64);
        until(&format!("{figure} is {value}"), || is() == Some(value));
    }

    /// Receives what is pending, at most so many events (0: all), where all of it comes in this way.
    pub fn take(self, mode: Mode, most: usize) -> usize {
        let count = if most == 0 { self.pending() } else { most.min(self.pending()) };
        match mode {
            Mode::Poll if count > 0 => self.poll(0, count as u32).1 as usize,
            _ => (0..count).map(|_| super::call::receive(self, mode)).count(),
        }
    }

    /// Whether the wait handle is readable now.
    pub fn is_readable(self) -> bool {
        let mut poll = libc::pollfd { fd: self.wait_handle() as i32, events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd is given, and the call returns at once.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 && poll.revents == libc::POLLIN }
    }
}

type OnNotify = Box<dyn Fn() + Send + Sync>;
type OnLog = Box<dyn Fn(&str) + Send + Sync>;

/// A client with a notify_fn and a log_fn of the test's own. Dropping it destroys the client, which must succeed.
pub struct Wired {
    pub handle: Handle,
    _functions: Box<(OnNotify, OnLog)>,
}

impl Wired {
    pub fn new(
        config: &serde_json::Value,
        notify: impl Fn() + Send + Sync + 'static,
        log: impl Fn(&str) + Send + Sync + 'static,
    ) -> Wired {
        let config = config.to_string();
        let functions: Box<(OnNotify, OnLog)> = Box::new((Box::new(notify), Box::new(log)));
        let user_data = (&raw const *functions).cast_mut().cast();
        let mut options = super::c::client_options();
        (options.config, options.config_len) = (config.as_ptr().cast(), config.len());
        options.notify_fn = Some(on_notify);
        options.notify_user_data = user_data;
        options.log_fn = Some(on_log);
        options.log_user_data = user_data;
        options.log_level = HELIO_LOG_DEBUG;
        Wired { handle: super::c::create(&options).expect("a client"), _functions: functions }
    }

    pub fn call(&self, body: impl AsRef<[u8]>) -> super::call::Call<'static> {
        super::call::Call::new(self.handle, &[], body.as_ref())
    }
}

impl Drop for Wired {
    fn drop(&mut self) {
        let status = self.handle.destroy(30_000);
        if !std::thread::panicking() {
            assert_eq!(status, HELIO_OK, "destroy");
        }
    }
}

unsafe extern "C" fn on_notify(user_data: *mut std::ffi::c_void) {
    // SAFETY: the functions of a `Wired`, which are dropped after its client was destroyed.
    unsafe { (*user_data.cast::<(OnNotify, OnLog)>()).0() }
}

unsafe extern "C" fn on_log(
    _level: i32,
    _target: *const std::ffi::c_char,
    message: *const std::ffi::c_char,
    len: usize,
    user_data: *mut std::ffi::c_void,
) {
    // SAFETY: as above; the library gives a message with its length.
    unsafe { (*user_data.cast::<(OnNotify, OnLog)>()).1(&super::copied::text(message, len).unwrap_or_default()) }
}
