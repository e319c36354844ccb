//! The clock by which a client's deadlines and waits go, in the hands of a test: minutes pass in no time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use helio::abi::clock_of;
use helio::clock::Clock;

use super::c::Handle;

/// The clock of the client that this was set to; a server's script can have it before there is one.
#[derive(Clone, Default)]
pub struct Time(Arc<OnceLock<Clock>>);

impl Time {
    /// That of this client.
    pub fn of(handle: Handle) -> Time {
        let time = Time::default();
        time.set_to(handle);
        time
    }

    pub fn set_to(&self, handle: Handle) {
        // SAFETY: the client is alive, its handle has just been made or is used by its test.
        let _is_set_once = self.0.set(unsafe { clock_of(handle.0) });
    }

    /// So much time passes, at once.
    pub fn pass(&self, time: Duration) {
        self.0.get().expect("a client").advance(time);
    }

    /// Minutes pass in the time of seconds, until what this gives is dropped: for what must strike by itself.
    pub fn fly(&self) -> Flight {
        let (landed, clock) = (Arc::new(AtomicBool::new(false)), self.0.get().expect("a client").clone());
        let until = landed.clone();
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                clock.advance(Duration::from_secs(1));
                // Slow enough that what must happen before a deadline does, on a machine that does much else, too.
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Flight { landed, thread: Some(thread) }
    }
}

/// See [`Time::fly`].
pub struct Flight {
    landed: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.landed.store(true, Ordering::Relaxed);
        let _it_cannot_panic = self.thread.take().map(|thread| thread.join());
    }
}
