//! How a request ends: once, whatever happens.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::reading::Tail;
use super::report::Report;
use crate::chat::assemble::Words;
use crate::deliver::{Event, EventKind, Last, Outlet, Parcel, Shown};
use crate::failure::Failure;
use crate::status::Status;
use crate::text::ZString;

/// How a call ended.
pub struct End {
    /// The outcome.
    pub status: Status,
    /// What the server sent; 0 before a response.
    pub http_status: u16,
    /// One `chat.completion`, or what had come of it.
    pub data: Option<ZString>,
    /// What its choice 0 says.
    pub words: Words,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// The evidence, if anybody can see it.
    pub report: Option<ZString>,
    pub(super) tail: Option<Tail>,
}

impl End {
    /// A call whose end a fault of ours has swallowed.
    pub fn lost(failure: Failure, request: u64, total: Duration) -> Self {
        let report = Report { request, ..Report::default() };
        let report = report.write(failure.status, None, total, |text| text);
        End {
            status: failure.status,
            http_status: 0,
            data: None,
            words: Words::default(),
            failure: Some(Failure { report: Some(report.clone()), ..failure }),
            report: Some(report.into()),
            tail: None,
        }
    }

    /// Take what may still follow the answer, so that its connection can be used again. What has not come yet is
    /// given back.
    pub fn drain(&mut self) -> Option<Tail> {
        self.tail.take()?.drain()
    }
}

/// The only DONE there is.
struct Done<'a> {
    request: u64,
    end: &'a mut End,
}

impl Last for Done<'_> {
    fn event(&self) -> Event<'_> {
        let end = &*self.end;
        Event {
            kind: EventKind::Done,
            request: self.request,
            data: end.data.as_ref(),
            text: end.words.text.non_empty(),
            reasoning: end.words.reasoning.non_empty(),
            status: end.status,
            http_status: end.http_status,
            failure: end.failure.as_ref(),
            report: end.report.as_ref(),
        }
    }

    fn into_parcel(self) -> Box<Parcel> {
        let end = self.end;
        let said = |text: &mut ZString| Some(std::mem::take(text)).filter(|text| !text.is_empty());
        Box::new(Parcel {
            kind: EventKind::Done,
            request: self.request,
            data: end.data.take(),
            text: said(&mut end.words.text),
            reasoning: said(&mut end.words.reasoning),
            status: end.status,
            http_status: end.http_status,
            failure: end.failure.take().map(Box::new),
            report: end.report.take(),
            cover: None,
        })
    }
}

/// What a client does when one of its requests is over. Dropped when the host has been shown the end.
pub trait Ticket: Send {
    /// It is decided how it ends; nothing can change that any more.
    fn over(&mut self, status: Status);
}

/// Shows the events of one request, and its DONE exactly once: who drops it without an end gives it one.
pub struct Completer<'a> {
    id: u64,
    client: usize,
    started: Instant,
    outlet: Outlet<'a>,
    permit: Option<Box<dyn Send>>,
    ticket: Option<Box<dyn Ticket>>,
}

impl<'a> Completer<'a> {
    /// For a request of the client with this number.
    pub fn new(id: u64, client: usize, started: Instant, outlet: Outlet<'a>, ticket: Box<dyn Ticket>) -> Self {
        Completer { id, client, started, outlet, permit: None, ticket: Some(ticket) }
    }

    /// Keep this until the end is decided.
    pub fn hold(&mut self, permit: Box<dyn Send>) {
        self.permit = Some(permit);
    }

    /// Where the events go.
    pub fn outlet(&self) -> &Outlet<'a> {
        &self.outlet
    }

    /// Show an event that is not the last.
    pub fn show(&mut self, event: &Event<'_>) -> Shown {
        self.outlet.show(self.client, event)
    }

    /// Whether there is room again for an event.
    pub fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.outlet.poll_room(self.id, context)
    }

    /// Show the last one.
    pub fn complete(mut self, end: &mut End) {
        self.end(end);
    }

    fn end(&mut self, end: &mut End) {
        let Some(mut ticket) = self.ticket.take() else { return };
        ticket.over(end.status);
        self.permit = None;
        let outlet = std::mem::replace(&mut self.outlet, Outlet::Nobody);
        outlet.show_last(self.client, Done { request: self.id, end }, move || drop(ticket));
    }
}

impl Drop for Completer<'_> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            let failure = Failure::internal("a fault inside helio has ended the request, please report it");
            self.end(&mut End::lost(failure, self.id, self.started.elapsed()));
        }
    }
}
