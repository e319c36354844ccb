//! The internal runtime: one thread that waits for names, connections and the clock, and reads the streams whose
//! events are queued. It starts at first use, may fail to, and of host code runs none but log_fn and notify_fn.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::Instant;
use ureq::http::HeaderValue;

use crate::call::{Keeper, Limiter, Surroundings};
use crate::clock::Clock;
use crate::config::Config;
use crate::failure::Failure;
use crate::log::Log;
use crate::wire::{TlsSetup, Wire, WireOptions};
use crate::{os, provider};

/// The log function and the notification are the host's.
const STACK: usize = 1 << 20;
/// Whoever destroys without any patience waits so long for a thread that has nothing to do.
const LEAST_WAIT: Duration = Duration::from_millis(50);

/// Its thread, which ends when it is told to go on no more.
struct Running {
    go_on: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// The runtime, and what only exists with it.
pub(super) struct Reactor {
    running: Mutex<Option<Running>>,
    handle: Handle,
    keeper: Arc<Keeper>,
    around: Arc<Surroundings>,
}

impl Reactor {
    pub fn start(
        config: &Config,
        tls: TlsSetup,
        authorization: Arc<RwLock<Option<HeaderValue>>>,
        log: Log,
        clock: Clock,
        limiter: Option<Arc<Limiter>>,
    ) -> Result<Self, Failure> {
        let refused = |error| Failure::internal(format!("the system refused the thread that helio needs: {error}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(refused)?;
        let keeper = Arc::new(Keeper::new(clock));
        runtime.spawn(keeper.clone().watch());
        let handle = runtime.handle().clone();
        let (go_on, until_dropped) = oneshot::channel::<()>();
        let thread = os::spawn("helio-reactor", STACK, true, move || {
            let _the_client_has_gone = runtime.block_on(until_dropped);
        });
        let running = Mutex::new(Some(Running { go_on, thread: thread.map_err(refused)? }));
        let wire = Wire::new(WireOptions {
            tls,
            proxy: config.proxy.clone(),
            runtime: handle.clone(),
            max_head_bytes: config.settings.limits.max_head_bytes,
            idle: Default::default(),
            common_headers: provider::BY_THE_WIRE,
        });
        let around = Surroundings {
            wire,
            runtime: handle.clone(),
            endpoint: config.endpoint.clone(),
            authorization,
            log,
            retries: AtomicU64::new(0),
            limiter,
        };
        Ok(Reactor { running, handle, keeper, around: Arc::new(around) })
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    pub fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    pub fn around(&self) -> &Arc<Surroundings> {
        &self.around
    }

    /// Whether the thread comes to its tasks before then: the host's log_fn or notify_fn may hold it up.
    pub fn answers(&self, until: Option<Instant>) -> bool {
        let (answer, answered) = std::sync::mpsc::channel();
        self.handle.spawn(async move { answer.send(()) });
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        answered.recv_timeout(left.max(LEAST_WAIT)).is_ok()
    }

    /// End the thread and wait for it. Nothing runs on it any more.
    pub fn end(&self) {
        if let Some(Running { go_on, thread }) = self.take() {
            drop(go_on);
            let _its_tasks_panic_alone = thread.join();
        }
    }

    fn take(&self) -> Option<Running> {
        self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }
}

impl Drop for Reactor {
    /// Of a client that was released. The last who leaves may be a task of the runtime itself: nobody waits.
    fn drop(&mut self) {
        drop(self.take());
    }
}
