//! The internal runtime: one thread that waits for names, connections and the clock, and reads the streams whose
//! events are queued. It starts at first use, may fail to, and of host code runs none but log_fn and notify_fn.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

use crate::call::{Keeper, Surroundings};
use crate::config::Config;
use crate::failure::Failure;
use crate::log::Log;
use crate::os;
use crate::wire::{TlsSetup, Wire, WireOptions};

/// The log function and the notification are the host's.
const STACK: usize = 1 << 20;
/// Whoever destroys without any patience waits so long for a thread that has nothing to do.
const LEAST_WAIT: Duration = Duration::from_millis(50);
/// Nothing runs on the runtime when it is ended, so this is never used up.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// The runtime, and what only exists with it.
pub(super) struct Reactor {
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
    keeper: Arc<Keeper>,
    around: Arc<Surroundings>,
}

impl Reactor {
    pub fn start(
        config: &Config,
        tls: TlsSetup,
        api_key: Arc<RwLock<Option<String>>>,
        log: Log,
    ) -> Result<Self, Failure> {
        let runtime = os::with_signals_blocked(true, || {
            Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("helio-reactor")
                .thread_stack_size(STACK)
                .enable_all()
                .build()
        });
        let runtime = runtime
            .map_err(|error| Failure::internal(format!("the system refused the thread that helio needs: {error}")))?;
        let keeper = Arc::new(Keeper::default());
        runtime.spawn(keeper.clone().watch());
        let handle = runtime.handle().clone();
        let wire = Wire::new(WireOptions {
            tls,
            proxy: config.proxy.clone(),
            runtime: handle.clone(),
            max_head_bytes: config.settings.limits.max_head_bytes,
        });
        let around = Surroundings {
            wire,
            runtime: handle.clone(),
            endpoint: config.endpoint.clone(),
            api_key,
            log,
            retries: AtomicU64::new(0),
        };
        Ok(Reactor { runtime: Mutex::new(Some(runtime)), handle, keeper, around: Arc::new(around) })
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

    /// End the thread and wait for it.
    pub fn end(&self) {
        if let Some(runtime) = self.take() {
            runtime.shutdown_timeout(LAST_WAIT);
        }
    }

    fn take(&self) -> Option<Runtime> {
        self.runtime.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }
}

impl Drop for Reactor {
    /// Of a client that was released. The last who leaves may be a task of the runtime itself: nobody waits.
    fn drop(&mut self) {
        if let Some(runtime) = self.take() {
            runtime.shutdown_background();
        }
    }
}
