//! Receiving: poll, next event, what is pending, waking up, the wait handle.

use std::ptr::null;
use std::time::{Duration, Instant};

use super::client::{simply, with_client};
use super::event::TakenEvent;
use super::guard::guard;
use super::result::put;
use super::{HELIO_ERR_INTERNAL, HELIO_OK, HELIO_WAIT_FOREVER, helio_client, helio_event, helio_status};
use crate::deliver::Received;
use crate::failure::Failure;
use crate::status::Status;

/// As `intptr_t`, which cbindgen would call `ptrdiff_t`: it is renamed there.
type WaitHandle = isize;

/// Until when to wait; `None`: for ever.
fn until(timeout_ms: u32) -> Option<Instant> {
    match timeout_ms {
        HELIO_WAIT_FOREVER => None,
        ms => Instant::now().checked_add(Duration::from_millis(ms.into())),
    }
}

/// Wait until an event of a POLL request is pending, then run the callbacks of what is pending at that moment, on this
/// thread. So it always ends. Nothing in time: HELIO_OK with 0 delivered. A failure has no error object, only its status.
/// docs/delivery.md.
///
/// @param timeout_ms how long to wait for the first event; 0: not at all; HELIO_WAIT_FOREVER.
/// @param max_events run at most so many callbacks; 0: all that is pending.
/// @param out_delivered gets how many callbacks ran; may be NULL.
/// @return HELIO_OK; HELIO_ERR_SHUT_DOWN: after shutdown, when nothing can come any more, or while another thread
/// destroys the client; HELIO_ERR_REENTRANT from a callback of this client; _INVALID_ARGUMENT for NULL, _FORKED. Any
/// thread, several at a time: the events of one request stay in order and its callbacks never overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_poll(
    client: *mut helio_client,
    timeout_ms: u32,
    max_events: u32,
    out_delivered: *mut u32,
) -> helio_status {
    guard(HELIO_ERR_INTERNAL, || {
        // SAFETY: out-parameters are NULL or can be written, says the contract; so below.
        unsafe { put(out_delivered, 0) };
        let refused = |failure: Failure| Received { status: failure.status, count: 0 };
        // SAFETY: the client is NULL or alive, says the contract.
        let received = unsafe { with_client(client, refused, |client| client.poll(until(timeout_ms), max_events)) };
        // SAFETY: as above.
        unsafe { put(out_delivered, received.count) };
        received.status.into()
    })
}

/// Take one event of a PULL request, once there is one. Nothing in time: HELIO_OK and NULL. docs/delivery.md.
///
/// @param timeout_ms how long to wait; 0: not at all; HELIO_WAIT_FOREVER.
/// @param out_event gets the event, to be given back with helio_event_release; required.
/// @return HELIO_OK; HELIO_ERR_SHUT_DOWN: after shutdown, when nothing can come any more, or while another thread
/// destroys the client; HELIO_ERR_REENTRANT from a callback of this client; _INVALID_ARGUMENT for NULL, _FORKED. Any
/// thread, several at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_next_event(
    client: *mut helio_client,
    timeout_ms: u32,
    out_event: *mut *const helio_event,
) -> helio_status {
    guard(HELIO_ERR_INTERNAL, || {
        // SAFETY: out-parameters are NULL or can be written, says the contract; so below.
        unsafe { put(out_event, null()) };
        if out_event.is_null() {
            return Status::InvalidArgument.into(); // an event would be lost
        }
        let refused = |failure: Failure| Err(failure.status);
        // SAFETY: the client is NULL or alive, says the contract.
        match unsafe { with_client(client, refused, |client| client.next_event(until(timeout_ms))) } {
            Ok(taken) => {
                let event = taken.map_or(null(), TakenEvent::hand_out);
                // SAFETY: as above.
                unsafe { put(out_event, event) };
                HELIO_OK
            }
            Err(status) => status.into(),
        }
    })
}

/// Give an event of helio_next_event back; until then it is the host's. Everything in it goes. NULL is fine. Any thread; the client may be gone.
/// docs/ownership.md.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_event_release(event: *const helio_event) {
    if !event.is_null() {
        // SAFETY: it came from helio_next_event and is released once, says the contract.
        guard((), || unsafe { TakenEvent::release(event) });
    }
}

/// How many events of POLL and PULL requests wait for the host.
///
/// @return 0 for NULL and in a forked child. Any thread, also callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_pending_events(client: *const helio_client) -> usize {
    // SAFETY: the client is NULL or alive, says the contract.
    guard(0, || unsafe { with_client(client, |_| 0, |client| client.mailroom().pending()) })
}

/// Make those who wait in helio_poll and helio_next_event return HELIO_OK with nothing; if nobody waits, the next call
/// that would have to. It does not touch the wait handle. Never blocks.
///
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for NULL, _FORKED. Any thread, also callbacks, log_fn and notify_fn.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_wakeup(client: *mut helio_client) -> helio_status {
    // SAFETY: the client is NULL or alive, says the contract.
    guard(HELIO_ERR_INTERNAL, || unsafe { simply(client, |client| client.mailroom().wake_up()) })
}

/// A descriptor that is readable while events of POLL or PULL requests are pending (a level, not an edge), for epoll, poll,
/// kqueue and the loops built on them; on Unix it is an int. When it is readable call helio_poll with timeout 0, or take
/// events until there is none. Never read or close it; take it out of your loop before the client is destroyed.
///
/// @return the same for as long as the client lives; -1 if there is none: NULL, a forked child, no descriptor left. Any
/// thread, also callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_wait_handle(client: *mut helio_client) -> WaitHandle {
    // SAFETY: the client is NULL or alive, says the contract.
    guard(-1, || unsafe { with_client(client, |_| -1, |client| client.mailroom().handle().unwrap_or(-1)) })
}
