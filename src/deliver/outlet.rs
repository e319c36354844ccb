//! Where the events of one request go.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Delivery, Event, Mailroom, Parcel, Receiver, inside};
use crate::status::Status;

/// What became of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// The host has it, or will have it in its turn.
    Seen,
    /// There is no room for it: show it again when there is.
    Full,
    /// The host wants no more of this request.
    Refused,
}

/// Runs host code on a thread that may.
pub trait Courier: Send + Sync {
    /// Whether this thread is one.
    fn is_here(&self) -> bool;
    /// Run it on one, soon.
    fn send(&self, work: Box<dyn FnOnce() + Send>);
}

/// The last event of a request, to be shown or to be kept.
pub trait Last {
    /// As an event.
    fn event(&self) -> Event<'_>;
    /// To wait for the host; what it says goes along and is not copied.
    fn into_parcel(self) -> Box<Parcel>;
}

/// Where the events of one request go.
pub enum Outlet<'a> {
    /// Nobody looks.
    Nobody,
    /// To the host's function on this thread, which the host is blocked on.
    Here(Box<dyn Receiver + 'a>),
    /// To the host's function on a thread of ours.
    Thread(Box<dyn Receiver>, Arc<dyn Courier>),
    /// Into a mailbox.
    Queue(Delivery, Arc<Mailroom>),
}

impl Outlet<'_> {
    /// Whether anybody looks.
    pub fn is_seen(&self) -> bool {
        !matches!(self, Outlet::Nobody)
    }

    /// Whether showing an event runs the host's code.
    pub fn runs_host_code(&self) -> bool {
        matches!(self, Outlet::Here(_) | Outlet::Thread(..))
    }

    /// Whether the host may let events wait, so that no thread need wait with them.
    pub fn is_queue(&self) -> bool {
        matches!(self, Outlet::Queue(..))
    }

    /// Show an event that is not the last, for the client with this number.
    pub fn show(&mut self, client: usize, event: &Event<'_>) -> Shown {
        let seen = |go_on| if go_on { Shown::Seen } else { Shown::Refused };
        match self {
            Outlet::Nobody => Shown::Seen,
            Outlet::Here(receiver) => seen(inside(client, || receiver.receive(event))),
            Outlet::Thread(receiver, _) => seen(inside(client, || receiver.receive(event))),
            Outlet::Queue(delivery, mailroom) => mailroom.push(*delivery, event),
        }
    }

    /// Show the last event. `then` is done when the host has seen it; for a mailbox, when it lies there.
    pub fn show_last(self, client: usize, last: impl Last, then: impl FnOnce() + Send + 'static) {
        match self {
            Outlet::Nobody => {}
            Outlet::Here(mut receiver) => drop(inside(client, || receiver.receive(&last.event()))),
            Outlet::Thread(mut receiver, courier) if courier.is_here() => {
                inside(client, || receiver.receive(&last.event()));
            }
            Outlet::Thread(mut receiver, courier) => {
                let parcel = last.into_parcel();
                return courier.send(Box::new(move || {
                    inside(client, || receiver.receive(&parcel.event()));
                    then();
                }));
            }
            Outlet::Queue(delivery, mailroom) => {
                let parcel = last.into_parcel();
                if matches!(parcel.status, Status::Cancelled | Status::ShutDown) {
                    mailroom.silence(parcel.request);
                }
                mailroom.put(delivery, parcel);
            }
        }
        then();
    }

    /// Whether there is room again for an event of this request; see [`Mailroom::poll_room`].
    pub fn poll_room(&self, request: u64, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Outlet::Queue(delivery, mailroom) => mailroom.poll_room(*delivery, request, context),
            _ => Poll::Ready(()),
        }
    }
}
