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
}

const REASONS: [Reason; 7] = [
    Reason::Cancelled,
    Reason::ShutDown,
    Reason::Deadline(Deadline::Connect),
    Reason::Deadline(Deadline::FirstEvent),
    Reason::Deadline(Deadline::Idle),
    Reason::Deadline(Deadline::Total),
    Reason::Settled,
];

const CONNECT: u8 = 3; // one more than its place in REASONS

/// The brake of one call. The first reason wins, but for one: a connection that did not come in time may be tried
/// again, so that reason can be taken back, and gives way to every other.
#[derive(Default)]
pub struct Stop {
    reason: AtomicU8, // 0: none; else one more than the place in REASONS
    socket: Mutex<Weak<Socket>>,
    wake: Notify,
}

impl Stop {
    /// Stop the call, unless it is stopped already. Never blocks.
    pub fn pull(&self, reason: Reason) {
        let place = REASONS.iter().position(|known| *known == reason).unwrap_or(0) as u8 + 1;
        let wins = |old: u8| (old == 0 || (old == CONNECT && place != CONNECT)).then_some(place);
        if self.reason.fetch_update(Ordering::SeqCst, Ordering::SeqCst, wins).is_err() {
            return;
        }
        self.wake.notify_waiters();
        // Under the lock: once the call has let go of the connection it may be another's.
        let held = self.lock();
        if let Some(socket) = held.upgrade() {
            socket.shut();
        }
    }

    /// Another attempt is made to connect. `false`: the call was stopped for another reason meanwhile.
    pub fn take_back_connect(&self) -> bool {
        let result = self.reason.compare_exchange(CONNECT, 0, Ordering::SeqCst, Ordering::SeqCst);
        result.is_ok() || result == Err(0)
    }

    /// Why the call was stopped, if it was.
    pub fn reason(&self) -> Option<Reason> {
        let place = self.reason.load(Ordering::SeqCst).checked_sub(1)?;
        REASONS.get(usize::from(place)).copied()
    }

    /// Wait, on the runtime, until the call is stopped.
    pub async fn pulled(&self) -> Reason {
        loop {
            let mut notified = std::pin::pin!(self.wake.notified());
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
    fn only_the_connect_deadline_can_be_taken_back_and_it_hides_no_cancel() {
        let connect = Reason::Deadline(Deadline::Connect);
        let stop = Stop::default();
        stop.pull(connect);
        assert_eq!(stop.reason(), Some(connect));
        assert!(stop.take_back_connect());
        assert_eq!(stop.reason(), None);
        stop.pull(connect);
        stop.pull(Reason::Cancelled);
        stop.pull(connect);
        assert!(!stop.take_back_connect());
        assert_eq!(stop.reason(), Some(Reason::Cancelled));
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
