//! Handing results to the host, in one of its ways.
//!
//! A blocking call and a THREAD request show their events to the host's function right where they are made. Those of
//! POLL and PULL requests wait in the [`Mailroom`] until the host comes for them. Whoever makes events only knows an
//! [`Outlet`]; that host code runs without a lock and never on the internal runtime is seen to here.

mod mailroom;
mod outlet;
mod parcel;
mod queue;

/// What the mailroom locks and waits with; its model puts others in their place.
mod sync {
    pub use std::sync::{Condvar, Mutex, MutexGuard};
}

use std::cell::RefCell;

use crate::failure::Failure;
use crate::status::Status;
use crate::text::ZString;

pub use mailroom::{Delivery, Mailroom, Notify, QueueLimits, Received, Taken};
pub use outlet::{Courier, Last, Outlet, Shown};
pub use parcel::{Parcel, Stock};

/// What an event is; the numbers are part of the C interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum EventKind {
    /// The server has begun to answer.
    Response = 1,
    /// One event of a stream.
    Chunk = 2,
    /// The end, once for each request.
    Done = 3,
}

/// One event, borrowed for as long as the host looks at it.
pub struct Event<'a> {
    /// What it is.
    pub kind: EventKind,
    /// Whose it is.
    pub request: u64,
    /// JSON.
    pub data: Option<&'a ZString>,
    /// Content of choice 0, if it says any; all of it at the end.
    pub text: Option<&'a ZString>,
    /// Reasoning of choice 0, likewise.
    pub reasoning: Option<&'a ZString>,
    /// The outcome, at the end.
    pub status: Status,
    /// 0 before a response.
    pub http_status: u16,
    /// Why it failed, at the end.
    pub failure: Option<&'a Failure>,
    /// The evidence, at the end.
    pub report: Option<&'a ZString>,
}

/// The host's side of a delivery.
pub trait Receiver: Send {
    /// Show an event. `false`: the host wants no more of this request.
    fn receive(&mut self, event: &Event<'_>) -> bool;
}

thread_local! {
    /// The clients whose callbacks run on this thread, innermost last.
    static INSIDE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Run host code on behalf of a client, known by a number of its own.
pub fn inside<T>(client: usize, host_code: impl FnOnce() -> T) -> T {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            INSIDE.with_borrow_mut(|clients| clients.pop());
        }
    }
    INSIDE.with_borrow_mut(|clients| clients.push(client));
    let _leave = Leave;
    host_code()
}

/// Whether a callback of this client runs on this thread.
pub fn is_inside(client: usize) -> bool {
    INSIDE.with_borrow(|clients| clients.contains(&client))
}
