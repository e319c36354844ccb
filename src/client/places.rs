//! Who may run and who waits: first come, first served.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::call::Limiter;
use crate::config::Config;
use crate::failure::Failure;
use crate::status::Status;
use crate::wire::Stop;

/// The places of one client.
pub(super) struct Places {
    running: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    limiter: Option<Arc<Limiter>>,
    limited: Arc<AtomicUsize>, // those that have the right to run and wait for the limiter
    max_in_flight: usize,
    max_queued: usize,
    retry_after_ms: u64,
}

/// The right to run, given back when it is dropped.
pub(super) type Permit = OwnedSemaphorePermit;

/// Where a request stands.
pub(super) enum Place {
    /// It may run.
    Runs(Permit),
    /// It stands in line.
    Waits(Pin<Box<dyn Future<Output = Option<Permit>> + Send>>, Waiting),
}

impl Places {
    pub fn new(config: &Config, limiter: Option<Arc<Limiter>>) -> Self {
        Places {
            running: Arc::new(Semaphore::new(config.max_in_flight)),
            waiting: Arc::default(),
            limiter,
            limited: Arc::default(),
            max_in_flight: config.max_in_flight,
            max_queued: config.max_queued,
            retry_after_ms: config.settings.retry.base_ms,
        }
    }

    /// A place among those that run, or among those that wait.
    pub fn take(&self, runtime: &Handle) -> Result<Place, Failure> {
        if let Ok(permit) = self.running.clone().try_acquire_owned()
            && self.limiter.as_ref().is_none_or(|limiter| limiter.try_begin())
        {
            return Ok(Place::Runs(permit));
        }
        let (waiting, before) = Waiting::among(&self.waiting);
        if before >= self.max_queued {
            return Err(self.busy());
        }
        let (running, limiter, limited) = (self.running.clone(), self.limiter.clone(), self.limited.clone());
        let mut turn = Box::pin(async move {
            let permit = running.acquire_owned().await.ok()?;
            if let Some(limiter) = limiter {
                let _limited = Waiting::among(&limited);
                limiter.wait().await;
            }
            Some(permit)
        });
        let _timers_go_by_it = runtime.enter();
        // Asked once now, it stands in line from now on, whenever it is waited for.
        match turn.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(permit)) => Ok(Place::Runs(permit)),
            _ => Ok(Place::Waits(turn, waiting)),
        }
    }

    fn busy(&self) -> Failure {
        let message = format!(
            "{} requests are running and {} wait, more are not allowed: wait for one to end, or raise limits.max_in_flight or limits.max_queued",
            self.max_in_flight, self.max_queued
        );
        Failure { retry_after_ms: Some(self.retry_after_ms), ..Failure::new(Status::Busy, message) }
    }

    /// How many run, and how many wait.
    pub fn count(&self) -> (usize, usize) {
        let taken = self.max_in_flight - self.running.available_permits();
        (taken.saturating_sub(self.limited.load(Ordering::SeqCst)), self.waiting.load(Ordering::SeqCst))
    }
}

impl Place {
    /// Wait for the right to run. `None`: the call was stopped before.
    pub async fn wait(self, stop: &Stop) -> Option<Permit> {
        let (turn, _waiting) = match self {
            Place::Runs(permit) => return Some(permit),
            Place::Waits(turn, waiting) => (turn, waiting),
        };
        tokio::select! {
            biased;
            _ = stop.pulled() => None,
            permit = turn => permit,
        }
    }

    /// The same on a thread of the host's, which blocks.
    pub fn wait_here(self, stop: &Stop, runtime: &Handle) -> Option<Permit> {
        match self {
            Place::Runs(permit) => Some(permit),
            waits => runtime.block_on(waits.wait(stop)),
        }
    }
}

/// One of those that wait.
pub(super) struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// One more, and how many there were before.
    fn among(all: &Arc<AtomicUsize>) -> (Self, usize) {
        (Waiting(all.clone()), all.fetch_add(1, Ordering::SeqCst))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
