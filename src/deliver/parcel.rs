//! An event that waits: the copy of what the host has not seen yet.

use std::any::Any;
use std::collections::VecDeque;

use super::sync::{Mutex, MutexGuard};
use super::{Event, EventKind};
use crate::failure::Failure;
use crate::status::Status;
use crate::text::ZString;

/// Parcels of larger events are not kept.
const WORN_FROM: usize = 4096;

/// So many parcels are kept at most, as many as `limits.queue_events` lets wait by itself.
const KEPT_MOST: usize = 1024;

/// So many bytes of them.
const KEPT_BYTES_MOST: usize = 512 * 1024;

/// An event with everything that it says.
pub struct Parcel {
    /// What it is.
    pub kind: EventKind,
    /// Whose it is.
    pub request: u64,
    /// JSON.
    pub data: Option<ZString>,
    /// Content of choice 0; all of it at the end.
    pub text: Option<ZString>,
    /// Reasoning of choice 0; all of it at the end.
    pub reasoning: Option<ZString>,
    /// The outcome, at the end.
    pub status: Status,
    /// 0 before a response.
    pub http_status: u16,
    /// Why it failed, at the end.
    pub failure: Option<Box<Failure>>,
    /// The evidence, at the end.
    pub report: Option<ZString>,
    /// What whoever gives it to the host put around it the last time, to be used again.
    pub cover: Option<Box<dyn Any + Send>>,
}

impl Parcel {
    /// A copy of an event.
    pub fn of(event: &Event<'_>) -> Box<Self> {
        Box::new(Parcel {
            kind: event.kind,
            request: event.request,
            data: event.data.cloned(),
            text: event.text.cloned(),
            reasoning: event.reasoning.cloned(),
            status: event.status,
            http_status: event.http_status,
            failure: event.failure.cloned().map(Box::new),
            report: event.report.cloned(),
            cover: None,
        })
    }

    /// A copy of an event in what another one has left behind: steady streaming asks for no memory.
    pub fn refill(mut self: Box<Self>, event: &Event<'_>) -> Box<Self> {
        fn again(part: &mut Option<ZString>, text: Option<&ZString>) {
            match (part.as_mut(), text) {
                (Some(old), Some(text)) => old.set(text.as_str()),
                (_, text) => *part = text.cloned(),
            }
        }
        again(&mut self.data, event.data);
        again(&mut self.text, event.text);
        again(&mut self.reasoning, event.reasoning);
        again(&mut self.report, event.report);
        self.failure = event.failure.cloned().map(Box::new);
        (self.kind, self.request, self.status, self.http_status) =
            (event.kind, event.request, event.status, event.http_status);
        self
    }

    /// Whether it is worth keeping for another event: neither large nor rare.
    fn is_worn(&self) -> bool {
        self.kind != EventKind::Chunk || self.event().bytes() > WORN_FROM
    }

    /// The event again, borrowed.
    pub fn event(&self) -> Event<'_> {
        Event {
            kind: self.kind,
            request: self.request,
            data: self.data.as_ref(),
            text: self.text.as_ref(),
            reasoning: self.reasoning.as_ref(),
            status: self.status,
            http_status: self.http_status,
            failure: self.failure.as_deref(),
            report: self.report.as_ref(),
        }
    }
}

/// Parcels that were shown: the next events go into them, made by whoever makes events, on another thread.
#[derive(Default)]
pub struct Stock {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    parcels: VecDeque<Box<Parcel>>,
    bytes: usize,
}

impl Stock {
    /// A copy of an event, in a parcel that was used before if there is one.
    pub fn pack(&self, event: &Event<'_>) -> Box<Parcel> {
        let mut kept = self.lock();
        let used = kept.parcels.pop_back();
        kept.bytes -= used.as_ref().map_or(0, |used| used.event().bytes());
        drop(kept);
        used.map_or_else(|| Parcel::of(event), |used| used.refill(event))
    }

    /// Keep a parcel whose event the host has seen, or none will see.
    pub fn put_away(&self, parcel: Box<Parcel>) {
        if parcel.is_worn() {
            return;
        }
        let bytes = parcel.event().bytes();
        let mut kept = self.lock();
        if kept.parcels.len() < KEPT_MOST && kept.bytes + bytes <= KEPT_BYTES_MOST {
            kept.bytes += bytes;
            kept.parcels.push_back(parcel);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Event<'_> {
    /// What counts against `limits.queue_bytes`.
    pub(super) fn bytes(&self) -> usize {
        [self.data, self.text, self.reasoning].into_iter().flatten().map(ZString::len).sum()
    }
}
