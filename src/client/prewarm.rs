//! A connection before there is a request for it.

use std::sync::Arc;

use super::{Client, TARGET};
use crate::call::{Deadlines, Phase};
use crate::failure::Failure;
use crate::log::Level;
use crate::wire::{Reason, Slot, Stop};

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
        if self.is_shut_down() {
            return Err(super::shut_down());
        }
        let reactor = self.reactor()?;
        let stop = Arc::new(Stop::default());
        self.begins();
        let opening = Opening { client: self.clone(), id: self.registry.begin_opening(&stop) };
        if self.is_shut_down() {
            return Err(super::shut_down());
        }
        let around = reactor.around().clone();
        let now = self.clock.now();
        let deadlines = Deadlines::new(self.config.settings.timeouts, stop.clone(), reactor.keeper().clone(), now);
        let its_stop = stop.clone();
        let open = move || {
            deadlines.enter(Phase::Connect, deadlines.now());
            let endpoint = &around.endpoint;
            let slot = Slot::new(its_stop, endpoint.peer.clone(), Box::new(|_| ()));
            let result = around.wire.prewarm(&endpoint.uri, &slot);
            let why = match (result, slot.stop().reason()) {
                (Ok(()), _) | (_, Some(Reason::ShutDown)) => None,
                (_, Some(_)) => Some(format!("none to {} within timeouts.connect_ms", endpoint.peer)),
                (Err(error), None) => Some(error.message),
            };
            if let Some(why) = why {
                around.log.write(Level::Warn, TARGET, || format!("no connection was opened ahead: {why}"));
            }
            deadlines.end();
            drop(opening);
        };
        let client = self.clone();
        reactor.handle().spawn(async move {
            let seat = tokio::select! {
                biased;
                _ = stop.pulled() => None,
                seat = client.threads.seat() => seat,
            };
            let Some(seat) = seat else { return };
            if let Err(error) = client.threads.run(seat, Box::new(open)) {
                client.log.write(Level::Warn, TARGET, || {
                    format!("no connection was opened ahead: the system refused a thread ({error})")
                });
            }
        });
        Ok(())
    }
}
