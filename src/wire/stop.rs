//! The one way to stop a call: a reason that is set once, a wake-up for who waits on the runtime, and the
//! connection shut down under who is blocked in it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::Notify;

use super::socket::Socket;

/// Which deadline passed; the names are those of the config and of `helio_error_code`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deadline {
    /// From the name look-up to the end of TLS.
    Connect,
    /// From there to the first event with content, or the first byte of JSON.
    FirstEvent,
    /// Between two events with content, or two bytes of JSON.
    Idle,
    /// The whole call.
    Total,
}

impl Deadline {
    /// As in the config, without `_ms`.
    pub fn name(self) -> &'static str {
        match self {
            Deadline::Connect => "connect",
            Deadline::FirstEvent => "first_event",
            Deadline::Idle => "idle",
            Deadline::Total => "total",
        }
    }
}

/// Why a call was stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The host cancelled it.
    Cancelled,
    /// The client shuts down.
    ShutDown,
    /// Time is up.
    Deadline(Deadline),
    /// The answer is complete; what might still follow was waited for long enough.
    Settled,
    /// A refusal was given; the rest of its words was waited for long enough.
    Enough,
}

const REASONS: [Reason; 8] = [
    Reason::Cancelled,
    Reason::ShutDown,
    Reason::Deadline(Deadline::Connect),
    Reason::Deadline(Deadline::FirstEvent),
    Reason::Deadline(Deadline::Idle),
    Reason::Deadline(Deadline::Total),
    Reason::Settled,
    Reason::Enough,
];

/// One more than their places in REASONS: the end of an attempt, not of the call.
const PASSING: [u8; 2] = [3, 8];

/// The brake of one call. The first reason wins, but for two: a connection that did not come in time, and a refusal that
/// did not end, may be tried again, so these reasons can be taken back, and give way to every other.
#[derive(Default)]
pub struct Stop {
    reason: AtomicU8, // 0: none; else one more than the place in REASONS
    socket: Mutex<Weak<Socket>>,
    woken: Notify,
}

impl Stop {
    /// Stop the call, unless it is stopped already. Never blocks.
    pub fn pull(&self, reason: Reason) {
        if self.set(reason) {
            self.wake();
        }
    }

    /// The first half of [`Stop::pull`], for who stops several: from now on the call begins nothing more. `true`: its other half is due.
    pub fn set(&self, reason: Reason) -> bool {
        let place = REASONS.iter().position(|known| *known == reason).unwrap_or(0) as u8 + 1;
        let wins = |old: u8| (old == 0 || (PASSING.contains(&old) && !PASSING.contains(&place))).then_some(place);
        self.reason.fetch_update(Ordering::SeqCst, Ordering::SeqCst, wins).is_ok()
    }

    /// The second half: whoever waits for something is woken, and the connection is shut down.
    pub fn wake(&self) {
        self.woken.notify_waiters();
        // Under the lock: once the call has let go of the connection it may be another's.
        let held = self.lock();
        if let Some(socket) = held.upgrade() {
            socket.shut();
        }
    }

    /// Another attempt is made. `false`: the call was stopped for another reason meanwhile.
    pub fn take_back(&self) -> bool {
        let passes = |old: u8| (old == 0 || PASSING.contains(&old)).then_some(0);
        self.reason.fetch_update(Ordering::SeqCst, Ordering::SeqCst, passes).is_ok()
    }

    /// Why the call was stopped, if it was.
    pub fn reason(&self) -> Option<Reason> {
        let place = self.reason.load(Ordering::SeqCst).checked_sub(1)?;
        REASONS.get(usize::from(place)).copied()
    }

    /// Wait, on the runtime, until the call is stopped.
    pub async fn pulled(&self) -> Reason {
        loop {
            let mut notified = std::pin::pin!(self.woken.notified());
            notified.as_mut().enable();
            if let Some(reason) = self.reason() {
                return reason;
            }
            notified.await;
        }
    }

    /// The connection in use, if there is one.
    pub fn socket(&self) -> Option<Arc<Socket>> {
        self.lock().upgrade()
    }

    /// From now on a stop shuts this connection down, at once if the call is stopped already.
    pub fn hold(&self, socket: &Arc<Socket>) {
        *self.lock() = Arc::downgrade(socket);
        if self.reason().is_some() {
            socket.shut();
        }
    }

    /// The connection is another's from now on.
    pub fn let_go(&self) {
        *self.lock() = Weak::new();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Weak<Socket>> {
        self.socket.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_wins() {
        let stop = Stop::default();
        assert_eq!(stop.reason(), None);
        assert_eq!(PASSING.map(|place| REASONS[usize::from(place) - 1]), [REASONS[2], Reason::Enough]);
        for reason in REASONS {
            stop.pull(reason);
            assert_eq!(stop.reason(), Some(Reason::Cancelled));
        }
        let other = Stop::default();
        other.pull(Reason::Deadline(Deadline::Idle));
        other.pull(Reason::Cancelled);
        assert_eq!(other.reason(), Some(Reason::Deadline(Deadline::Idle)));
    }

    #[test]
    fn only_the_end_of_an_attempt_can_be_taken_back_and_it_hides_no_cancel() {
        for passing in [Reason::Deadline(Deadline::Connect), Reason::Enough] {
            let stop = Stop::default();
            stop.pull(passing);
            assert_eq!(stop.reason(), Some(passing));
            assert!(stop.take_back());
            assert_eq!(stop.reason(), None);
            stop.pull(passing);
            stop.pull(Reason::Cancelled);
            stop.pull(passing);
            assert!(!stop.take_back());
            assert_eq!(stop.reason(), Some(Reason::Cancelled));
        }
        for other in REASONS.into_iter().filter(|reason| ![REASONS[2], REASONS[7]].contains(reason)) {
            let stop = Stop::default();
            stop.pull(other);
            assert!(!stop.take_back(), "{other:?}");
        }
    }

    #[tokio::test]
    async fn who_waits_is_woken_and_who_comes_late_does_not_wait() {
        let stop = Arc::new(Stop::default());
        let waiter = tokio::spawn({
            let stop = stop.clone();
            async move { stop.pulled().await }
        });
        tokio::task::yield_now().await;
        stop.pull(Reason::ShutDown);
        assert_eq!(waiter.await.unwrap(), Reason::ShutDown);
        assert_eq!(stop.pulled().await, Reason::ShutDown);
    }
}
