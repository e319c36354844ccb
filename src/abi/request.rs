//! Requests: ids, the blocking call, cancelling.

use std::ffi::{c_char, c_void};
use std::ptr::null_mut;
use std::sync::Arc;

use super::client::{simply, with_client};
use super::event::HostFunction;
use super::guard::guard;
use super::input::{self, Sized32};
use super::result::{boxed_buffer, boxed_error, fail, put};
use super::{
    HELIO_ERR_INTERNAL, HELIO_OK, HELIO_STRLEN, helio_buffer, helio_client, helio_error, helio_event_fn,
    helio_request_id, helio_status,
};
use crate::client::{Answered, Ask, Way};
use crate::deliver::Receiver;
use crate::failure::Failure;
use crate::status::Status;

/// How the events of helio_submit come: one of HELIO_DELIVERY_…. docs/delivery.md says which for whom.
pub type helio_delivery = u32;

/// The default: callbacks run inside helio_poll only (and in the last drain of helio_client_destroy).
pub const HELIO_DELIVERY_POLL: helio_delivery = 0;
/// No callback: the host takes events with helio_next_event.
pub const HELIO_DELIVERY_PULL: helio_delivery = 1;
/// Callbacks run on a thread of the library that serves this one request. It counts against limits.max_threads until
/// DONE; who finds all of them taken waits in order.
pub const HELIO_DELIVERY_THREAD: helio_delivery = 2;

/// How a request is made. Zero it and set its size with helio_request_options_init.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct helio_request_options {
    /// sizeof(helio_request_options) of the caller.
    pub struct_size: u32,
    /// helio_complete ignores it.
    pub delivery: helio_delivery,
    /// 0, or an id from helio_reserve, used once.
    pub id: helio_request_id,
    /// Sees each event. helio_complete: NULL: nobody does. helio_submit: required, but for PULL, which refuses one. It
    /// and its data must live until its DONE has returned.
    pub on_event: helio_event_fn,
    /// Given to on_event, and with each event; never looked at.
    pub user_data: *mut c_void,
    /// JSON: the per-request part of the config, a merge patch (RFC 7396) on the client's; NULL: none.
    pub overrides: *const c_char,
    /// Bytes of `overrides`, or HELIO_STRLEN.
    pub overrides_len: usize,
}

// SAFETY: `repr(C)`, begins with its size; zero is NULL, 0 and None in every field.
unsafe impl Sized32 for helio_request_options {
    const FIRST_SIZE: usize = size_of::<helio_request_options>();
    const NAME: &'static str = "helio_request_options";
    fn set_lengths(&mut self) {
        self.overrides_len = HELIO_STRLEN;
    }
}

/// Zero the options, set their size, and every length to HELIO_STRLEN.
///
/// @param opts NULL does nothing.
/// @param struct_size sizeof(helio_request_options) of the caller. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_request_options_init(opts: *mut helio_request_options, struct_size: u32) {
    // SAFETY: NULL or `struct_size` writable bytes, says the contract.
    guard((), || unsafe { input::init_struct(opts, struct_size) });
}

/// An id for a request that is still to come, so that it can be cancelled before and while it runs. It is used up
/// when its request begins, or is refused because it was cancelled; an id that is never used is kept until destroy.
/// docs/cancelling.md.
///
/// @return never 0, never used twice; 0 for NULL, after shut down, in a forked child. Any thread, also callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_reserve(client: *mut helio_client) -> helio_request_id {
    // SAFETY: the client is NULL or alive, says the contract.
    guard(0, || unsafe { with_client(client, |_| 0, |client| client.reserve()) })
}

/// Send a request and wait for the whole answer, on the calling thread.
///
/// `"stream": true` or not, the result is one chat.completion: as the server sent it, or assembled from the chunks.
/// With `on_event` set it sees RESPONSE, each CHUNK, and DONE, on the calling thread; a non-zero return, or
/// helio_cancel from another thread, ends the call at once.
///
/// @param json an OpenAI chat-completions body: one JSON object in UTF-8, sent byte for byte. Used until the call returns.
/// @param len bytes of `json`, or HELIO_STRLEN.
/// @param opts NULL: no events, no overrides. `delivery` is ignored.
/// @param out_json gets the completion, to be freed with helio_buffer_free; may be NULL. On failure what had come, if
/// a choice had begun: an unfinished choice has "finish_reason": null.
/// @param out_error gets the error of a failure, to be freed with helio_error_free; may be NULL. Both may be set: free both.
/// @return HELIO_OK: the answer is complete. Otherwise one of HELIO_ERR_…: if it was refused before a request existed
/// (a wrong argument, HELIO_ERR_BUSY, _FORKED, _REENTRANT, no key, an id cancelled before, a client shut down before),
/// nothing was sent, no event came and helio_error_report is NULL; else DONE came with the same status. Any thread, but
/// not from a callback of the same client.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_complete(
    client: *mut helio_client,
    json: *const c_char,
    len: usize,
    opts: *const helio_request_options,
    out_json: *mut *mut helio_buffer,
    out_error: *mut *mut helio_error,
) -> helio_status {
    guard(HELIO_ERR_INTERNAL, || {
        // SAFETY: out-parameters are NULL or can be written, says the contract; so below.
        unsafe {
            put(out_json, null_mut());
            put(out_error, null_mut());
        }
        // SAFETY: the client is NULL or alive, the options NULL or of the size they say, the texts as long as they say.
        let Answered { status, data, failure } = unsafe {
            with_client(client, Answered::from, |client| {
                complete(client, json, len, opts).unwrap_or_else(Answered::from)
            })
        };
        // SAFETY: as above.
        unsafe {
            if let Some(data) = data.filter(|_| !out_json.is_null()) {
                put(out_json, boxed_buffer(data));
            }
            if let Some(failure) = failure.filter(|_| !out_error.is_null()) {
                put(out_error, boxed_error(failure));
            }
        }
        status.into()
    })
}

/// # Safety
/// As helio_complete.
unsafe fn complete(
    client: &Arc<crate::Client>,
    json: *const c_char,
    len: usize,
    opts: *const helio_request_options,
) -> Result<Answered, Failure> {
    // SAFETY: by the contract of this function; so below.
    let opts = unsafe { input::read_struct(opts) }?;
    // SAFETY: as above.
    let ask = unsafe { read_ask(json, len, opts.as_ref()) }?;
    let receiver = opts.and_then(|opts| {
        let host = HostFunction::new(opts.on_event?, opts.user_data);
        Some(Box::new(host) as Box<dyn Receiver>)
    });
    Ok(client.ask(ask, receiver))
}

/// # Safety
/// `json` and the texts of `opts` are NULL or as long as they say, for `'a`.
unsafe fn read_ask<'a>(
    json: *const c_char,
    len: usize,
    opts: Option<&helio_request_options>,
) -> Result<Ask<'a>, Failure> {
    // SAFETY: by the contract of this function; so below.
    let body = unsafe { input::bytes(json, len, "request body") }?;
    let body = body.ok_or_else(|| Failure::argument("json is NULL: give a request body"))?;
    // SAFETY: as above.
    let overrides = opts.map(|opts| unsafe { input::text(opts.overrides, opts.overrides_len, "overrides") });
    Ok(Ask { body, id: opts.map_or(0, |opts| opts.id), overrides: overrides.transpose()?.flatten() })
}

/// Begin a request and return at once; its events come as `opts->delivery` says. Never blocks, never calls an event
/// back. HELIO_OK promises RESPONSE, CHUNKs and then exactly one DONE, whatever happens; anything else promises that no
/// event ever comes, and user_data is not touched. It may be called with a lock held that callbacks take. docs/delivery.md.
///
/// @param json an OpenAI chat-completions body: one JSON object in UTF-8, sent byte for byte. Copied before the call returns.
/// @param len bytes of `json`, or HELIO_STRLEN.
/// @param opts required. POLL and THREAD need `on_event`, PULL refuses one.
/// @param out_id gets the request's id, before any of its events can be seen; 0 on failure; may be NULL.
/// @param out_error gets the error of a failure, to be freed with helio_error_free; may be NULL.
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT, _INVALID_UTF8, _INVALID_JSON, _UNSUPPORTED (an unknown delivery), _BUSY
/// (limits.max_in_flight and limits.max_queued are reached), _CANCELLED (the reserved id was), _AUTHENTICATION (no key
/// for the gateway), _SHUT_DOWN, _FORKED, _INTERNAL. Any thread, also callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_submit(
    client: *mut helio_client,
    json: *const c_char,
    len: usize,
    opts: *const helio_request_options,
    out_id: *mut helio_request_id,
    out_error: *mut *mut helio_error,
) -> helio_status {
    guard(HELIO_ERR_INTERNAL, || {
        // SAFETY: out-parameters are NULL or can be written, says the contract; so below.
        unsafe {
            put(out_id, 0);
            put(out_error, null_mut());
        }
        // SAFETY: the client is NULL or alive, the options NULL or of the size they say, the texts as long as they say.
        let result = unsafe { with_client(client, Err, |client| submit(client, json, len, opts, out_id)) };
        match result {
            Ok(()) => HELIO_OK,
            // SAFETY: as above.
            Err(failure) => unsafe { fail(failure, out_error) },
        }
    })
}

/// # Safety
/// As helio_submit.
unsafe fn submit(
    client: &Arc<crate::Client>,
    json: *const c_char,
    len: usize,
    opts: *const helio_request_options,
    out_id: *mut helio_request_id,
) -> Result<(), Failure> {
    // SAFETY: by the contract of this function; so below.
    let opts = unsafe { input::read_struct(opts) }?;
    let opts = opts.ok_or_else(|| Failure::argument("opts is NULL: say in it how the events are to come"))?;
    // SAFETY: as above.
    let ask = unsafe { read_ask(json, len, Some(&opts)) }?;
    let way = way(&opts)?;
    // SAFETY: as above.
    client.submit(ask, way, |id| unsafe { put(out_id, id) })
}

fn way(opts: &helio_request_options) -> Result<Way, Failure> {
    let host = || {
        let on_event = opts.on_event.ok_or_else(|| {
            Failure::argument("on_event is NULL: POLL and THREAD need one, without it use HELIO_DELIVERY_PULL")
        })?;
        Ok(Box::new(HostFunction::new(on_event, opts.user_data)))
    };
    match opts.delivery {
        HELIO_DELIVERY_POLL => Ok(Way::Poll(host()?)),
        HELIO_DELIVERY_THREAD => Ok(Way::Thread(host()?)),
        HELIO_DELIVERY_PULL if opts.on_event.is_some() => Err(Failure::argument(
            "on_event is set, but PULL calls nothing: take events with helio_next_event, or use another delivery",
        )),
        HELIO_DELIVERY_PULL => Ok(Way::Pull(opts.user_data.addr())),
        other => Err(Failure::new(
            Status::Unsupported,
            format!("the delivery {other} is unknown: use one of HELIO_DELIVERY_POLL, _PULL, _THREAD"),
        )),
    }
}

/// Cancel a request: reserved, queued, connecting, sending, waiting, streaming, backing off. Its connection is
/// dropped at once. The first cause wins: an end that is decided stays. Idempotent, never blocks (also
/// with a lock held that callbacks take).
/// docs/cancelling.md.
///
/// @param id any number: one that has ended, was never issued, or 0 is fine.
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for NULL, HELIO_ERR_FORKED. Any thread, also callbacks; not
/// async-signal-safe: catch Ctrl-C with a thread in sigwait, or a flag.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_cancel(client: *mut helio_client, id: helio_request_id) -> helio_status {
    // SAFETY: the client is NULL or alive, says the contract.
    guard(HELIO_ERR_INTERNAL, || unsafe { simply(client, |client| client.cancel(id)) })
}

/// Cancel all requests of a client that have begun, not ids that are only reserved. Idempotent, never blocks.
/// docs/cancelling.md.
///
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for NULL, HELIO_ERR_FORKED. Any thread, also callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_cancel_all(client: *mut helio_client) -> helio_status {
    // SAFETY: the client is NULL or alive, says the contract.
    guard(HELIO_ERR_INTERNAL, || unsafe { simply(client, |client| client.cancel_all()) })
}
