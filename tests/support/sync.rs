//! Waiting with a bound. No test may hang: what waits, waits here.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

/// Far beyond anything that works; it only tells "works" from "hangs".
pub const BOUND: Duration = Duration::from_secs(40);

/// Takes a lock that a failed test may have poisoned.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Lets other threads go on into their system calls. Where they have got to decides which phase is tried, not
/// what must come of it.
pub fn pass() {
    std::thread::sleep(Duration::from_millis(30));
}

/// Something that happens once or often: one side says so, the other waits for it.
#[derive(Default)]
pub struct Gate {
    opened: Mutex<usize>,
    changed: Condvar,
}

impl Gate {
    pub fn new() -> Arc<Gate> {
        Arc::default()
    }

    pub fn open(&self) {
        *lock(&self.opened) += 1;
        self.changed.notify_all();
    }

    /// Waits until it was opened; panics when that never happens.
    pub fn wait(&self) {
        self.wait_for(1);
    }

    /// Waits until it was opened this many times.
    pub fn wait_for(&self, times: usize) {
        let guard = lock(&self.opened);
        let waited = self.changed.wait_timeout_while(guard, BOUND, |opened| *opened < times);
        let (opened, waited) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        assert!(!waited.timed_out(), "waited {BOUND:?} for opening {times}, there were {opened}");
    }

    pub fn is_open(&self) -> bool {
        *lock(&self.opened) > 0
    }
}

/// Aborts the test process, naming `what`, if it is not dropped in time: a call that blocks for ever cannot be
/// ended in any other way.
pub struct Watch(u64);

#[derive(Default)]
struct Watched {
    next: u64,
    running: BTreeMap<u64, (Instant, String)>,
}

static WATCHED: OnceLock<Mutex<Watched>> = OnceLock::new();

impl Watch {
    pub fn over(what: impl Into<String>, bound: Duration) -> Watch {
        let watched = WATCHED.get_or_init(|| {
            std::thread::Builder::new().name("scene-watch".into()).spawn(look_for_hangs).expect("a thread");
            Mutex::default()
        });
        let mut watched = lock(watched);
        watched.next += 1;
        let id = watched.next;
        watched.running.insert(id, (Instant::now() + bound, what.into()));
        Watch(id)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(watched) = WATCHED.get() {
            lock(watched).running.remove(&self.0);
        }
    }
}

fn look_for_hangs() {
    loop {
        std::thread::sleep(Duration::from_millis(250));
        let Some(watched) = WATCHED.get() else { continue };
        let watched = lock(watched);
        if let Some((_, what)) = watched.running.values().find(|(end, _)| *end < Instant::now()) {
            // Not by a macro: what those print is captured, and lost with the process.
            let _nowhere_else_to_say_it = writeln!(std::io::stderr(), "\nHANGS: {what}");
            std::process::abort();
        }
    }
}
