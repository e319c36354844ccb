//! One exchange: what the wire must know of the call it works for, and what the call wants to know afterwards.
//! ureq has no place to carry this through, so it lies in a thread-local while ureq runs (which it does on one thread).

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::WireError;
use super::stop::Stop;

/// How the connection ended, if it did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The peer closed in order.
    Closed,
    /// It was reset, or TLS broke.
    Broken,
}

/// How long the phases before the request took.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Times {
    /// Looking the name up.
    pub dns: Duration,
    /// TCP, and the proxy if there is one.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
}

/// What whoever watches the clock wants to know of an exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// There is a connection, new or from the pool.
    Connected,
    /// All that had come is used; more is asked of the connection, and may have to be waited for.
    Waits,
}

/// One exchange of one call.
pub struct Slot {
    stop: Arc<Stop>,
    peer: Arc<str>,
    on_step: Box<dyn Fn(Step) + Send + Sync>,
    connected_here: AtomicBool,
    attached: AtomicBool,
    head_seen: AtomicBool,
    wants_fresh: AtomicBool,
    is_packed: AtomicBool,
    max_head_bytes: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    answered: AtomicU64,
    facts: Mutex<Facts>,
}

#[derive(Default)]
struct Facts {
    failure: Option<WireError>,
    stage: Option<String>,
    times: Times,
    end: Option<End>,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Slot>>> = const { RefCell::new(None) };
}

/// Run `work` with `slot` as the exchange of this thread.
pub(super) fn with_current<T>(slot: &Arc<Slot>, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Arc<Slot>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _restore = Restore(CURRENT.replace(Some(slot.clone())));
    work()
}

/// The exchange that runs on this thread.
pub(super) fn current() -> Option<Arc<Slot>> {
    CURRENT.with_borrow(Clone::clone)
}

impl Slot {
    /// `on_step` is called at each step, on the thread that takes it; `peer` is named in messages.
    pub fn new(stop: Arc<Stop>, peer: Arc<str>, on_step: Box<dyn Fn(Step) + Send + Sync>) -> Arc<Self> {
        Arc::new(Slot {
            stop,
            peer,
            on_step,
            connected_here: AtomicBool::new(false),
            attached: AtomicBool::new(false),
            head_seen: AtomicBool::new(false),
            wants_fresh: AtomicBool::new(false),
            is_packed: AtomicBool::new(false),
            max_head_bytes: AtomicU64::new(u64::MAX),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            facts: Mutex::default(),
        })
    }

    /// The call's brake.
    pub fn stop(&self) -> &Arc<Stop> {
        &self.stop
    }

    /// The other side's name, for messages.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Whether the connection came from the pool.
    pub fn was_reused(&self) -> bool {
        self.attached.load(Ordering::Relaxed) && !self.connected_here.load(Ordering::Relaxed)
    }

    /// Bytes put on the socket, TLS included.
    pub fn bytes_sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes taken from the socket, TLS included.
    pub fn bytes_received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Of the phases before the request.
    pub fn times(&self) -> Times {
        self.facts().times
    }

    /// What is being done, or was when it was stopped, on the way to a connection.
    pub fn stage(&self) -> Option<String> {
        self.facts().stage.clone()
    }

    /// How the connection ended, if it did.
    pub fn end(&self) -> Option<End> {
        self.facts().end
    }

    /// Nothing of the answer came, on a connection from the pool: it was dead before we used it.
    pub(super) fn was_stale(&self) -> bool {
        self.was_reused() && self.answered() == 0
    }

    /// So many bytes have come.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn count_answer(&self, bytes: usize) {
        self.answered.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn head_arrived(&self) {
        self.head_seen.store(true, Ordering::Relaxed);
    }

    pub(super) fn waits_for_head(&self) -> bool {
        !self.head_seen.load(Ordering::Relaxed)
    }

    pub(super) fn body_is_packed(&self) {
        self.is_packed.store(true, Ordering::Relaxed);
    }

    /// Whether the body may be gzip, which must be read by reads that wait.
    pub fn is_packed(&self) -> bool {
        self.is_packed.load(Ordering::Relaxed)
    }

    /// All heads of the answer together may be so large.
    pub(super) fn limit_heads(&self, max_head_bytes: u64) {
        self.max_head_bytes.store(max_head_bytes, Ordering::Relaxed);
    }

    pub(super) fn max_head_bytes(&self) -> u64 {
        self.max_head_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn want_fresh(&self) {
        self.wants_fresh.store(true, Ordering::Relaxed);
    }

    /// Whether no connection will do that was opened earlier.
    pub(super) fn wants_fresh(&self) -> bool {
        self.wants_fresh.load(Ordering::Relaxed)
    }

    pub(super) fn set_stage(&self, stage: String) {
        self.facts().stage = Some(stage);
    }

    /// The connection is there.
    pub(super) fn arrived(&self) {
        self.facts().stage = None;
    }

    pub(super) fn connecting(&self) {
        self.connected_here.store(true, Ordering::Relaxed);
    }

    pub(super) fn connected(&self) {
        if !self.attached.swap(true, Ordering::Relaxed) {
            (self.on_step)(Step::Connected);
        }
    }

    pub(super) fn waits(&self) {
        (self.on_step)(Step::Waits);
    }

    pub(super) fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, end: End) {
        self.facts().end.get_or_insert(end);
    }

    pub(super) fn set_times(&self, times: Times) {
        self.facts().times = times;
    }

    pub(super) fn fail(&self, failure: WireError) {
        self.facts().failure.get_or_insert(failure);
    }

    pub(super) fn take_failure(&self) -> Option<WireError> {
        self.facts().failure.take()
    }

    fn facts(&self) -> std::sync::MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
