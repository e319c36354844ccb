//! What the host gets and owns: buffers and errors.

use std::ffi::c_char;
use std::ptr::{null, null_mut};

use super::guard::guard;
use super::helio_status;
use crate::failure::Failure;
use crate::text::ZString;

/// Bytes that belong to the caller once handed out. They outlive the client. docs/ownership.md.
pub struct helio_buffer {
    text: ZString,
}

/// What went wrong, in full. docs/errors.md, docs/ownership.md.
#[derive(Clone)]
pub struct helio_error {
    status: helio_status,
    http_status: i32,
    retry_after_ms: i64,
    message: ZString,
    code: Option<ZString>,
    kind: Option<ZString>,
    body: Option<ZString>,
    report: Option<ZString>,
}

impl From<&Failure> for helio_error {
    fn from(failure: &Failure) -> Self {
        let text = |text: &Option<String>| text.clone().map(ZString::from);
        helio_error {
            status: failure.status.into(),
            http_status: failure.http_status.into(),
            retry_after_ms: failure.retry_after_ms.map_or(-1, |ms| i64::try_from(ms).unwrap_or(i64::MAX)),
            message: failure.message.clone().into(),
            code: text(&failure.code),
            kind: text(&failure.kind),
            body: text(&failure.body),
            report: text(&failure.report),
        }
    }
}

pub(super) fn boxed_error(failure: Failure) -> *mut helio_error {
    Box::into_raw(Box::new(helio_error::from(&failure)))
}

pub(super) fn boxed_buffer(text: ZString) -> *mut helio_buffer {
    Box::into_raw(Box::new(helio_buffer { text }))
}

/// Write to where the host wants a result, if it wants one.
///
/// # Safety
/// `out` is NULL or can be written.
pub(super) unsafe fn put<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: by the contract of this function.
        unsafe { out.write(value) };
    }
}

/// Hand a failure out, if the host wants to see it, and give its status.
///
/// # Safety
/// `out` is NULL or can be written.
pub(super) unsafe fn fail(failure: Failure, out: *mut *mut helio_error) -> helio_status {
    let status = failure.status.into();
    if !out.is_null() {
        // SAFETY: by the contract of this function.
        unsafe { put(out, boxed_error(failure)) };
    }
    status
}

/// The bytes of a buffer.
///
/// @return helio_buffer_size bytes of UTF-8 and a NUL behind them; belongs to the buffer. NULL for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_buffer_data(buffer: *const helio_buffer) -> *const c_char {
    // SAFETY: NULL or a buffer that was not freed, says the contract.
    unsafe { buffer.as_ref() }.map_or(null(), |buffer| buffer.text.as_ptr())
}

/// The size of a buffer in bytes, its NUL not counted.
///
/// @return 0 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_buffer_size(buffer: *const helio_buffer) -> usize {
    // SAFETY: NULL or a buffer that was not freed, says the contract.
    unsafe { buffer.as_ref() }.map_or(0, |buffer| buffer.text.len())
}

/// Free a buffer. NULL is fine. Any thread; the client may be gone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_buffer_free(buffer: *mut helio_buffer) {
    if !buffer.is_null() {
        // SAFETY: it came from `boxed_buffer` and is freed once, says the contract.
        guard((), || drop(unsafe { Box::from_raw(buffer) }));
    }
}

/// Which outcome an error is.
///
/// @return HELIO_ERR_…; HELIO_OK for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_error_status(error: *const helio_error) -> helio_status {
    // SAFETY: NULL or an error that was not freed, says the contract; so below.
    unsafe { error.as_ref() }.map_or(super::HELIO_OK, |error| error.status)
}

/// The HTTP status that the server sent.
///
/// @return 0 before a response, and for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_error_http_status(error: *const helio_error) -> i32 {
    // SAFETY: as for helio_error_status.
    unsafe { error.as_ref() }.map_or(0, |error| error.http_status)
}

/// How long to wait before another try: what the server wishes, else what the library would have waited.
///
/// @return milliseconds; -1: another try makes no sense, and for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_error_retry_after_ms(error: *const helio_error) -> i64 {
    // SAFETY: as for helio_error_status.
    unsafe { error.as_ref() }.map_or(-1, |error| error.retry_after_ms)
}

/// A sentence: what happened, where, and what to do about it. Never holds a key or password.
///
/// @param out_len gets the length in bytes, NUL not counted; may be NULL.
/// @return belongs to the error, ends in NUL; NULL with 0 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_error_message(error: *const helio_error, out_len: *mut usize) -> *const c_char {
    // SAFETY: as for helio_error_status; `out_len` is NULL or can be written.
    unsafe { part(error.as_ref().map(|error| &error.message), out_len) }
}

/// The server's error code as text (a number as its digits); for HELIO_ERR_TIMEOUT which deadline it was:
/// "connect", "first_event", "idle" or "total".
///
/// @param out_len gets the length in bytes, NUL not counted; may be NULL.
/// @return belongs to the error, ends in NUL; NULL with 0 if there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_error_code(error: *const helio_error, out_len: *mut usize) -> *const c_char {
    // SAFETY: as for helio_error_message.
    unsafe { part(error.as_ref().and_then(|error| error.code.as_ref()), out_len) }
}

/// The server's error type.
///
/// @param out_len gets the length in bytes, NUL not counted; may be NULL.
/// @return belongs to the error, ends in NUL; NULL with 0 if there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_error_type(error: *const helio_error, out_len: *mut usize) -> *const c_char {
    // SAFETY: as for helio_error_message.
    unsafe { part(error.as_ref().and_then(|error| error.kind.as_ref()), out_len) }
}

/// The body of the server's refusal (its first MiB), or the beginning of what could not be understood; secrets masked.
///
/// @param out_len gets the length in bytes, NUL not counted; may be NULL.
/// @return belongs to the error, ends in NUL; NULL with 0 if there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_error_body(error: *const helio_error, out_len: *mut usize) -> *const c_char {
    // SAFETY: as for helio_error_message.
    unsafe { part(error.as_ref().and_then(|error| error.body.as_ref()), out_len) }
}

/// The evidence of the request as one JSON object: attempts, times, bytes, what the server said of itself. docs/report.md.
///
/// @param out_len gets the length in bytes, NUL not counted; may be NULL.
/// @return belongs to the error, ends in NUL; NULL with 0 if no request was made. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_error_report(error: *const helio_error, out_len: *mut usize) -> *const c_char {
    // SAFETY: as for helio_error_message.
    unsafe { part(error.as_ref().and_then(|error| error.report.as_ref()), out_len) }
}

/// A copy of an error that is lent (of an event, of a chat), which outlives what lent it.
///
/// @return an error that is the caller's, to be freed with helio_error_free; NULL for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_error_copy(error: *const helio_error) -> *mut helio_error {
    guard(null_mut(), || {
        // SAFETY: as for helio_error_status.
        unsafe { error.as_ref() }.map_or(null_mut(), |error| Box::into_raw(Box::new(error.clone())))
    })
}

/// Free an error that an out-parameter or helio_error_copy gave. NULL is fine. Any thread; the client may be gone. Never for the error
/// inside an event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_error_free(error: *mut helio_error) {
    if !error.is_null() {
        // SAFETY: it came from `boxed_error` and is freed once, says the contract.
        guard((), || drop(unsafe { Box::from_raw(error) }));
    }
}

/// # Safety
/// `out_len` is NULL or can be written.
unsafe fn part(text: Option<&ZString>, out_len: *mut usize) -> *const c_char {
    // SAFETY: by the contract of this function.
    unsafe { put(out_len, text.map_or(0, ZString::len)) };
    text.map_or(null(), ZString::as_ptr)
}
