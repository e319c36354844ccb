//! An event that waits: the copy of what the host has not seen yet.

use super::{Event, EventKind};
use crate::failure::Failure;
use crate::status::Status;
use crate::text::ZString;

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
}

impl Parcel {
    /// A copy of an event.
    pub fn of(event: &Event<'_>) -> Box<Self> {
        let said = |text: &str| (!text.is_empty()).then(|| ZString::of(text));
        Box::new(Parcel {
            kind: event.kind,
            request: event.request,
            data: event.data.cloned(),
            text: said(event.text),
            reasoning: said(event.reasoning),
            status: event.status,
            http_status: event.http_status,
            failure: event.failure.cloned().map(Box::new),
            report: event.report.map(ZString::of),
        })
    }

    /// The event again, borrowed.
    pub fn event(&self) -> Event<'_> {
        Event {
            kind: self.kind,
            request: self.request,
            data: self.data.as_ref(),
            text: self.text.as_ref().map_or("", ZString::as_str),
            reasoning: self.reasoning.as_ref().map_or("", ZString::as_str),
            status: self.status,
            http_status: self.http_status,
            failure: self.failure.as_deref(),
            report: self.report.as_ref().map(ZString::as_str),
        }
    }
}

impl Event<'_> {
    /// What counts against `limits.queue_bytes`.
    pub(super) fn bytes(&self) -> usize {
        self.data.map_or(0, ZString::len) + self.text.len() + self.reasoning.len()
    }
}
