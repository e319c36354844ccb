//! Events, as the host sees them.

use std::ffi::{c_char, c_void};
use std::ptr::{from_ref, null};

use super::{helio_error, helio_status};
use crate::deliver::{Event, Receiver};
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

/// Written by the library, borrowed by the host until the callback returns. All text is UTF-8 and ends in a NUL that
/// its length does not count; it is NULL with 0 where absent.
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
    /// CHUNK: the content delta of choice 0; DONE: all of it.
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

/// Sees an event, on the thread that called helio_complete; no lock is held meanwhile. Returns 0 to go on; anything else cancels the request (a DONE still follows). At DONE the return
/// value means nothing. It returns normally: no exception, no longjmp. Any function may be called from it but
/// helio_complete and helio_client_destroy of the same client (HELIO_ERR_REENTRANT).
pub type helio_event_fn = Option<unsafe extern "C" fn(event: *const helio_event, user_data: *mut c_void) -> i32>;

/// Shows events to the host's function.
pub(super) struct HostFunction {
    pub on_event: unsafe extern "C" fn(*const helio_event, *mut c_void) -> i32,
    pub user_data: *mut c_void,
    pub text: ZString,
    pub reasoning: ZString,
}

impl Receiver for HostFunction {
    fn receive(&mut self, event: &Event<'_>) -> bool {
        let pointers = |text: Option<&ZString>| text.map_or((null(), 0), |text| (text.as_ptr(), text.len()));
        self.text.rewrite(|text| text.push_str(event.text));
        self.reasoning.rewrite(|text| text.push_str(event.reasoning));
        let says = |text: &ZString| if text.is_empty() { (null(), 0) } else { pointers(Some(text)) };
        let report = event.report.map(|report| ZString::from(report.to_owned()));
        let error = event.failure.map(helio_error::from);
        let (data, len) = pointers(event.data);
        let (text, text_len) = says(&self.text);
        let (reasoning, reasoning_len) = says(&self.reasoning);
        let (report_text, report_len) = pointers(report.as_ref());
        let shown = helio_event {
            struct_size: size_of::<helio_event>() as u32,
            kind: event.kind as u32,
            request: event.request,
            user_data: self.user_data,
            data,
            len,
            text,
            text_len,
            reasoning,
            reasoning_len,
            status: event.status.into(),
            http_status: event.http_status.into(),
            error: error.as_ref().map_or(null(), from_ref),
            report: report_text,
            report_len,
        };
        // SAFETY: the host's function takes an event that is borrowed until it returns; all that it points to lives as long.
        unsafe { (self.on_event)(&shown, self.user_data) == 0 }
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
