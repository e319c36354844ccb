//! Events, as the host sees them.

use std::ffi::{c_char, c_void};
use std::ptr::{from_ref, null};
use std::sync::Arc;

use super::{helio_error, helio_status};
use crate::deliver::{Event, Parcel, Receiver, Stock, Taken};
use crate::text::ZString;

/// A request's number: issued by the library, never 0, never used twice.
pub type helio_request_id = u64;
/// What an event is: HELIO_EVENT_RESPONSE, _CHUNK or _DONE.
pub type helio_event_kind = u32;

/// The server has begun to answer. `data`: {"status":200,"headers":{"lower-case name":"value"}}.
pub const HELIO_EVENT_RESPONSE: helio_event_kind = 1;
/// One event of a stream. `data`: its JSON as the server sent it.
pub const HELIO_EVENT_CHUNK: helio_event_kind = 2;
/// The end, once and last. `data`: one whole chat.completion, or what had come of it.
pub const HELIO_EVENT_DONE: helio_event_kind = 3;

/// Written by the library, borrowed by the host until the callback returns, or until helio_event_release. All text is
/// UTF-8 and ends in a NUL that its length does not count; it is NULL with 0 where absent. docs/events.md.
#[repr(C)]
pub struct helio_event {
    /// Bytes of this struct that are filled.
    pub struct_size: u32,
    /// HELIO_EVENT_RESPONSE, _CHUNK or _DONE.
    pub kind: helio_event_kind,
    /// Whose event it is.
    pub request: helio_request_id,
    /// As given in the request's options.
    pub user_data: *mut c_void,
    /// JSON; see the kinds.
    pub data: *const c_char,
    /// Bytes of `data`.
    pub len: usize,
    /// CHUNK: the content delta of choice 0; DONE: all of it that came. NULL if that is nothing, also with HELIO_OK
    /// (tool calls).
    pub text: *const c_char,
    /// Bytes of `text`.
    pub text_len: usize,
    /// Likewise the reasoning, whichever of its names the server uses.
    pub reasoning: *const c_char,
    /// Bytes of `reasoning`.
    pub reasoning_len: usize,
    /// DONE: the outcome; otherwise HELIO_OK.
    pub status: helio_status,
    /// 0 before a response.
    pub http_status: i32,
    /// DONE with a status other than HELIO_OK; never freed by the host.
    pub error: *const helio_error,
    /// DONE: the evidence as JSON.
    pub report: *const c_char,
    /// Bytes of `report`.
    pub report_len: usize,
}

/// Sees an event; no lock is held meanwhile. Where it runs is what the delivery says: on the thread that called
/// helio_complete, inside helio_poll (and the last drain of helio_client_destroy), or on a thread of the library.
/// Returns 0 to go on; anything else cancels the request (a DONE still follows). At DONE the return value means
/// nothing. It returns normally: no exception, no longjmp. Any function may be called from it but helio_poll,
/// helio_next_event, helio_complete and helio_client_destroy of the same client (HELIO_ERR_REENTRANT).
/// docs/threads.md.
pub type helio_event_fn = Option<unsafe extern "C" fn(event: *const helio_event, user_data: *mut c_void) -> i32>;

/// Shows events to the host's function.
pub(super) struct HostFunction {
    pub on_event: unsafe extern "C" fn(*const helio_event, *mut c_void) -> i32,
    pub user_data: *mut c_void,
}

// SAFETY: the contract says on which threads on_event runs, one at a time; its pointer is only handed back.
unsafe impl Send for HostFunction {}

impl HostFunction {
    pub fn new(on_event: unsafe extern "C" fn(*const helio_event, *mut c_void) -> i32, user_data: *mut c_void) -> Self {
        HostFunction { on_event, user_data }
    }
}

impl Receiver for HostFunction {
    fn receive(&mut self, event: &Event<'_>) -> bool {
        let error = event.failure.map(helio_error::from);
        let shown = shown(event, error.as_ref(), self.user_data);
        // SAFETY: the host's function takes an event that is borrowed until it returns; all that it points to lives as long.
        unsafe { (self.on_event)(&shown, self.user_data) == 0 }
    }
}

/// What the host sees of an event: it points into that event and this error.
fn shown(event: &Event<'_>, error: Option<&helio_error>, user_data: *mut c_void) -> helio_event {
    let parts = |text: Option<&ZString>| text.map_or((null(), 0), |text| (text.as_ptr(), text.len()));
    let ((data, len), (report, report_len)) = (parts(event.data), parts(event.report));
    let ((text, text_len), (reasoning, reasoning_len)) = (parts(event.text), parts(event.reasoning));
    helio_event {
        struct_size: size_of::<helio_event>() as u32,
        kind: event.kind as u32,
        request: event.request,
        user_data,
        data,
        len,
        text,
        text_len,
        reasoning,
        reasoning_len,
        status: event.status.into(),
        http_status: event.http_status.into(),
        error: error.map_or(null(), from_ref),
        report,
        report_len,
    }
}

/// An event that is the host's until it releases it: the struct it sees, and behind it what that points to.
#[repr(C)]
pub(super) struct TakenEvent {
    event: helio_event,
    error: Option<Box<helio_error>>,
    parcel: Option<Box<Parcel>>, // none while it waits, as the parcel's cover, for the next event
    stock: Option<Arc<Stock>>,
}

// SAFETY: its pointers go into its own parcel and error, or are the host's and only handed back.
unsafe impl Send for TakenEvent {}

impl TakenEvent {
    /// For the host, which gives it back with [`TakenEvent::release`].
    pub fn hand_out(taken: Taken) -> *const helio_event {
        let Taken { mut parcel, tag, stock } = taken;
        let error = parcel.failure.as_deref().map(|failure| Box::new(helio_error::from(failure)));
        let event = shown(&parcel.event(), error.as_deref(), std::ptr::without_provenance_mut(tag));
        let used = parcel.cover.take().and_then(|cover| cover.downcast::<TakenEvent>().ok());
        let taken = TakenEvent { event, error, parcel: Some(parcel), stock: Some(stock) };
        let out = match used {
            None => Box::new(taken),
            Some(mut used) => {
                *used = taken;
                used
            }
        };
        Box::into_raw(out).cast_const().cast()
    }

    /// # Safety
    /// `event` came from [`TakenEvent::hand_out`] and was not released before.
    pub unsafe fn release(event: *const helio_event) {
        // SAFETY: the event is the first field of a box that was leaked by `hand_out`.
        let mut taken = unsafe { Box::from_raw(event.cast_mut().cast::<TakenEvent>()) };
        taken.error = None;
        if let (Some(mut parcel), Some(stock)) = (taken.parcel.take(), taken.stock.take()) {
            parcel.cover = Some(taken);
            stock.put_away(parcel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::EventKind;

    #[test]
    fn kinds_are_the_same_numbers_on_both_sides() {
        let constants = [HELIO_EVENT_RESPONSE, HELIO_EVENT_CHUNK, HELIO_EVENT_DONE];
        assert_eq!([EventKind::Response, EventKind::Chunk, EventKind::Done].map(|kind| kind as u32), constants);
    }
}
