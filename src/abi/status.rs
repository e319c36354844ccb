//! Status codes and log levels, as C constants.

use crate::status::Status;

/// The outcome of a call: HELIO_OK or one of HELIO_ERR_…; the set is open, numbers are never reused. docs/errors.md.
pub type helio_status = i32;

/// Done.
pub const HELIO_OK: helio_status = 0;
/// The host's mistake: NULL, a wrong size, an unknown config key, a wrong type, a bad URL, header or PEM, an unknown id.
pub const HELIO_ERR_INVALID_ARGUMENT: helio_status = -1;
/// A body or config is not UTF-8.
pub const HELIO_ERR_INVALID_UTF8: helio_status = -2;
/// A body or config is not one JSON object.
pub const HELIO_ERR_INVALID_JSON: helio_status = -3;
/// A flag, struct field, URL scheme or setting that this version does not have.
pub const HELIO_ERR_UNSUPPORTED: helio_status = -4;
/// Called from a callback of the same client, where it would wait for itself.
pub const HELIO_ERR_REENTRANT: helio_status = -5;
/// The client is shut down.
pub const HELIO_ERR_SHUT_DOWN: helio_status = -6;
/// Called in a forked child with the parent's client. docs/forking.md.
pub const HELIO_ERR_FORKED: helio_status = -7;
/// limits.max_in_flight and limits.max_queued are reached.
pub const HELIO_ERR_BUSY: helio_status = -8;
/// A deadline passed: helio_error_code says which: "connect", "first_event", "idle" or "total".
pub const HELIO_ERR_TIMEOUT: helio_status = -9;
/// Cancelled by helio_cancel, helio_cancel_all or a callback's return value.
pub const HELIO_ERR_CANCELLED: helio_status = -10;
/// The server's name has no address.
pub const HELIO_ERR_DNS: helio_status = -20;
/// No TCP connection.
pub const HELIO_ERR_CONNECT: helio_status = -21;
/// No TLS: certificate, version, alert, or no TLS at all.
pub const HELIO_ERR_TLS: helio_status = -22;
/// The proxy refused or failed.
pub const HELIO_ERR_PROXY: helio_status = -23;
/// The connection broke before the server began to answer.
pub const HELIO_ERR_NETWORK: helio_status = -24;
/// The answer is not what the protocol says.
pub const HELIO_ERR_PROTOCOL: helio_status = -30;
/// The answer broke off: what had come is kept, and is not complete.
pub const HELIO_ERR_TRUNCATED: helio_status = -31;
/// A limit of the config was passed.
pub const HELIO_ERR_TOO_LARGE: helio_status = -32;
/// The server calls the request wrong (4xx).
pub const HELIO_ERR_BAD_REQUEST: helio_status = -40;
/// No key or a wrong one (401).
pub const HELIO_ERR_AUTHENTICATION: helio_status = -41;
/// The key may not do this (403).
pub const HELIO_ERR_PERMISSION: helio_status = -42;
/// No such endpoint or model (404, 410). helio_json_get: nothing is at that place.
pub const HELIO_ERR_NOT_FOUND: helio_status = -43;
/// Too many requests (429).
pub const HELIO_ERR_RATE_LIMITED: helio_status = -44;
/// Credits or quota are used up (402, or the server's code).
pub const HELIO_ERR_QUOTA_EXCEEDED: helio_status = -45;
/// The request is longer than the model's context.
pub const HELIO_ERR_CONTEXT_LENGTH: helio_status = -46;
/// A content filter refused the request.
pub const HELIO_ERR_CONTENT_FILTERED: helio_status = -47;
/// The server has too much to do (503, 529).
pub const HELIO_ERR_OVERLOADED: helio_status = -48;
/// The server failed (other 5xx, 408, 409).
pub const HELIO_ERR_SERVER: helio_status = -49;
/// A fault inside the library, or the system refused a thread or descriptor.
pub const HELIO_ERR_INTERNAL: helio_status = -99;

/// Log level: something failed that should not. No line of this version has it.
pub const HELIO_LOG_ERROR: i32 = 1;
/// Log level: something to look at, like a key that goes over plain http.
pub const HELIO_LOG_WARN: i32 = 2;
/// Log level: a retry.
pub const HELIO_LOG_INFO: i32 = 3;
/// Log level: each request and its end.
pub const HELIO_LOG_DEBUG: i32 = 4;
/// Log level: everything. No line of this version has it.
pub const HELIO_LOG_TRACE: i32 = 5;

impl From<Status> for helio_status {
    fn from(status: Status) -> Self {
        status.code()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_and_statuses_are_the_same_numbers() {
        let constants = [
            HELIO_OK,
            HELIO_ERR_INVALID_ARGUMENT,
            HELIO_ERR_INVALID_UTF8,
            HELIO_ERR_INVALID_JSON,
            HELIO_ERR_UNSUPPORTED,
            HELIO_ERR_REENTRANT,
            HELIO_ERR_SHUT_DOWN,
            HELIO_ERR_FORKED,
            HELIO_ERR_BUSY,
            HELIO_ERR_TIMEOUT,
            HELIO_ERR_CANCELLED,
            HELIO_ERR_DNS,
            HELIO_ERR_CONNECT,
            HELIO_ERR_TLS,
            HELIO_ERR_PROXY,
            HELIO_ERR_NETWORK,
            HELIO_ERR_PROTOCOL,
            HELIO_ERR_TRUNCATED,
            HELIO_ERR_TOO_LARGE,
            HELIO_ERR_BAD_REQUEST,
            HELIO_ERR_AUTHENTICATION,
            HELIO_ERR_PERMISSION,
            HELIO_ERR_NOT_FOUND,
            HELIO_ERR_RATE_LIMITED,
            HELIO_ERR_QUOTA_EXCEEDED,
            HELIO_ERR_CONTEXT_LENGTH,
            HELIO_ERR_CONTENT_FILTERED,
            HELIO_ERR_OVERLOADED,
            HELIO_ERR_SERVER,
            HELIO_ERR_INTERNAL,
        ];
        let statuses: Vec<i32> = Status::ALL.iter().map(|status| status.code()).collect();
        assert_eq!(constants.as_slice(), statuses);
    }
}
