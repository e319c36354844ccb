//! Copies of what the library hands out, with everything checked that holds for all of it.

use std::ffi::c_char;

use helio::abi::*;

use super::outcome::{Event, Failure};

/// # Safety
/// The event is valid, and so is all it points to.
pub unsafe fn event(event: &helio_event) -> Event {
    assert_eq!(event.struct_size as usize, size_of::<helio_event>(), "struct_size of an event");
    // SAFETY: the caller's promise.
    unsafe {
        Event {
            kind: event.kind,
            request: event.request,
            user_data: event.user_data as usize,
            data: text(event.data, event.len),
            text: text(event.text, event.text_len),
            reasoning: text(event.reasoning, event.reasoning_len),
            status: event.status,
            http_status: event.http_status,
            error: (!event.error.is_null()).then(|| failure(event.error)),
            report: text(event.report, event.report_len),
        }
    }
}

/// Copies text that was handed out: UTF-8, ending in a NUL that is not counted; NULL with 0 where absent.
///
/// # Safety
/// `data` is NULL or points to `len` bytes and a NUL.
pub unsafe fn text(data: *const c_char, len: usize) -> Option<String> {
    if data.is_null() {
        assert_eq!(len, 0, "a NULL text with a length");
        return None;
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len + 1) };
    assert_eq!(bytes[len], 0, "a text without its NUL");
    Some(String::from_utf8(bytes[..len].to_vec()).expect("text in UTF-8"))
}

/// # Safety
/// `error` is valid.
pub unsafe fn failure(error: *const helio_error) -> Failure {
    type Accessor = unsafe extern "C" fn(*const helio_error, *mut usize) -> *const c_char;
    let part = |accessor: Accessor| {
        let mut len = usize::MAX;
        // SAFETY: the caller's promise, and the length belongs to the text.
        unsafe {
            let data = accessor(error, &mut len);
            text(data, len)
        }
    };
    // SAFETY: the caller's promise.
    let (status, http_status, retry_after_ms) =
        unsafe { (helio_error_status(error), helio_error_http_status(error), helio_error_retry_after_ms(error)) };
    Failure {
        status,
        http_status,
        retry_after_ms,
        message: part(helio_error_message).expect("an error has a message"),
        code: part(helio_error_code),
        kind: part(helio_error_type),
        body: part(helio_error_body),
        report: part(helio_error_report),
    }
}

/// Copies and frees a buffer.
pub fn take_buffer(buffer: *mut helio_buffer) -> Option<String> {
    // SAFETY: the buffer is ours, or NULL, which every accessor takes; it is used no more afterwards.
    unsafe {
        let data = text(helio_buffer_data(buffer), helio_buffer_size(buffer));
        helio_buffer_free(buffer);
        data
    }
}

/// Copies and frees an error.
pub fn take_error(error: *mut helio_error) -> Option<Failure> {
    // SAFETY: the error is ours, or NULL; it is used no more afterwards.
    unsafe {
        let failure = (!error.is_null()).then(|| failure(error));
        helio_error_free(error);
        failure
    }
}
