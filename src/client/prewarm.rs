//! A connection before there is a request for it.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Client, TARGET};
use crate::call::{Deadlines, Phase};
use crate::failure::Failure;
use crate::log::Level;
use crate::wire::{Slot, Stop};

/// What a client remembers of a connection that is being opened ahead; dropped when it is there, or will not be.
struct Opening {
    client: Arc<Client>,
    id: u64,
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.client.registry.finish(self.id);
        self.client.ends();
    }
}

impl Client {
    /// Begin to open a connection. Nothing is sent on it.
    pub fn prewarm(self: &Arc<Self>) -> Result<(), Failure> {
        let reactor = self.reactor()?;
        let stop = Arc::new(Stop::default());
        self.begins();
        let opening = Opening { client: self.clone(), id: self.registry.begin_opening(&stop) };
        if self.is_shut_down() {
            return Err(super::shut_down());
        }
        let around = reactor.around().clone();
        let now = Instant::now();
        let deadlines = Deadlines::new(self.config.settings.timeouts, stop.clone(), reactor.keeper().clone(), now);
        let open = move || {
            deadlines.enter(Phase::Connect, Instant::now());
            let endpoint = &around.endpoint;
            let slot = Slot::new(stop, endpoint.peer.clone(), Box::new(|| ()));
            if let Err(error) = around.wire.prewarm(&endpoint.uri, &slot) {
                around.log.write(Level::Warn, TARGET, || format!("no connection was opened ahead: {}", error.message));
            }
            deadlines.end();
            drop(opening);
        };
        let client = self.clone();
        reactor.handle().spawn(async move {
            if let Some(seat) = client.threads.seat().await {
                let _refused = client.threads.run(seat, Box::new(open));
            }
        });
        Ok(())
    }
}
