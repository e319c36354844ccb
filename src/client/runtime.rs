//! The internal runtime: one thread that waits for names, connections and the clock. It starts at first use, may
//! fail to, and never runs host code.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::call::Keeper;
use crate::config::Config;
use crate::failure::Failure;
use crate::os;
use crate::wire::{TlsSetup, Wire, WireOptions};

/// Nothing on the runtime blocks, so this is never used up.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// The runtime, and what only exists with it.
pub(super) struct Reactor {
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
    keeper: Arc<Keeper>,
    wire: Wire,
}

impl Reactor {
    pub fn start(config: &Config, tls: TlsSetup) -> Result<Self, Failure> {
        let runtime = os::with_signals_blocked(|| {
            Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("helio-reactor")
                .thread_stack_size(512 * 1024)
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
            stuck_lookups: Arc::new(AtomicUsize::new(0)),
            max_head_bytes: config.settings.limits.max_head_bytes,
        });
        Ok(Reactor { runtime: Mutex::new(Some(runtime)), handle, keeper, wire })
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// End the thread and wait for it.
    pub fn end(&self) {
        let runtime = self.runtime.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_timeout(LAST_WAIT);
        }
    }
}
