//! The ends of a client: shut down, destroyed, released.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::Client;
use super::TARGET;
use crate::log::Level;
use crate::wire::Reason;

/// Who is still at work.
#[derive(Default)]
pub(super) struct Attendance {
    calls: usize, // functions of this client that run now
    live: usize,  // requests whose end the host has not been shown
}

impl Client {
    /// Refuse new requests and end those that live. Never blocks.
    pub fn shut_down(&self) {
        if !self.shut_down.swap(true, Ordering::SeqCst) {
            self.log.write(Level::Debug, TARGET, || "shut down".to_owned());
        }
        let stopped = self.registry.stop_all(Reason::ShutDown, true);
        stopped.iter().for_each(|id| self.mailroom.silence(*id));
        self.mailroom.shut();
    }

    /// Wait until no function of this client runs but the caller's and no request lives, show the POLL events that
    /// wait, and end all threads. `false`: not in time, or another thread does it.
    pub fn wind_up(&self, timeout: Duration) -> bool {
        if self.winding_up.swap(true, Ordering::SeqCst) {
            return false;
        }
        let until = Instant::now().checked_add(timeout);
        self.mailroom.set_ended(true);
        let mut alone = self.wait_until_alone(until) && self.reactor.get().is_none_or(|reactor| reactor.answers(until));
        self.mailroom.drain(self.number(), &|id| self.cancel(id));
        if alone {
            self.end_threads();
            // Somebody may have come in meanwhile, to be told that the client is shut down.
            alone = self.wait_until_alone(until);
            self.end_threads();
        }
        if !alone {
            self.mailroom.set_ended(false);
        }
        self.winding_up.store(alone, Ordering::SeqCst);
        alone
    }

    /// Shut down, and let everything go that waits for the host. Never blocks; what still runs ends by itself.
    pub fn release(&self) {
        self.log.mute();
        self.mailroom.release();
        self.shut_down();
    }

    /// The runtime first: it is what makes the others.
    fn end_threads(&self) {
        if let Some(reactor) = self.reactor.get() {
            reactor.end();
        }
        self.threads.end();
    }

    fn wait_until_alone(&self, until: Option<Instant>) -> bool {
        const LONG: Duration = Duration::from_secs(3600);
        let mut attendance = self.attendance();
        while attendance.calls > 1 || attendance.live > 0 {
            let left = until.map_or(LONG, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            let waited = self.somebody_left.wait_timeout(attendance, left);
            attendance = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
        true
    }

    pub(super) fn comes_in(&self) {
        self.attendance().calls += 1;
    }

    pub(super) fn goes_out(&self) {
        let mut attendance = self.attendance();
        attendance.calls -= 1;
        self.tell_who_waits(&attendance);
    }

    pub(super) fn begins(&self) {
        self.attendance().live += 1;
    }

    pub(super) fn ends(&self) {
        let mut attendance = self.attendance();
        attendance.live -= 1;
        self.tell_who_waits(&attendance);
    }

    fn tell_who_waits(&self, attendance: &Attendance) {
        if attendance.calls <= 1 && attendance.live == 0 && self.winding_up.load(Ordering::SeqCst) {
            self.somebody_left.notify_all();
        }
    }

    fn attendance(&self) -> MutexGuard<'_, Attendance> {
        self.attendance.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
