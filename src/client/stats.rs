//! Figures of a client.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Client;
use crate::status::Status;

/// What has become of its requests.
#[derive(Default)]
pub(super) struct Counters {
    started: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
}

impl Counters {
    pub fn start(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    pub fn end(&self, status: Status) {
        let ended = match status {
            Status::Ok => &self.succeeded,
            Status::Cancelled | Status::ShutDown => &self.cancelled,
            _ => &self.failed,
        };
        ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Client {
    /// All figures, as one JSON object.
    pub fn stats(&self) -> String {
        let (in_flight, queued) = self.places.count();
        let reactor = self.reactor.get();
        let around = reactor.map(|reactor| reactor.around());
        let (open, idle) = around.map_or((0, 0), |around| around.wire.connections());
        let threads = self.threads.count() + usize::from(reactor.is_some());
        let stuck_lookups = around.map_or(0, |around| around.wire.stuck_lookups());
        let retries = around.map_or(0, |around| around.retries.load(Ordering::Relaxed));
        let counters = &self.counters;
        let mut out = format!(
            "{{\"in_flight\":{in_flight},\"queued\":{queued},\"pending_events\":{},\"connections\":{{\"open\":{open},\"idle\":{idle}}}",
            self.mailroom.pending()
        );
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let figures = [
            ("threads", threads as u64),
            ("stuck_lookups", stuck_lookups as u64),
            ("started", count(&counters.started)),
            ("succeeded", count(&counters.succeeded)),
            ("failed", count(&counters.failed)),
            ("cancelled", count(&counters.cancelled)),
            ("retries", retries),
        ];
        for (name, figure) in figures {
            let _always_fits = write!(out, ",\"{name}\":{figure}");
        }
        out.push('}');
        out
    }
}
