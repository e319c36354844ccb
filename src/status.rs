//! The outcomes a host can be told, with their numbers and names. The set is open; a number is never used again.

use std::fmt;

macro_rules! statuses {
    ($($variant:ident = $number:literal $name:literal),+ $(,)?) => {
        /// How a call ended. The numbers are part of the C interface.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[allow(missing_docs)] // the header documents each one
        #[repr(i32)]
        pub enum Status { $($variant = $number),+ }

        impl Status {
            /// All of them, in the order of the contract.
            pub const ALL: &'static [Status] = &[$(Status::$variant),+];

            /// The name without its prefix, as reports have it: `"RATE_LIMITED"`.
            pub fn name(self) -> &'static str {
                match self { $(Status::$variant => $name),+ }
            }

            /// The C constant's name, ending in NUL.
            pub fn c_name(self) -> &'static std::ffi::CStr {
                let text = match self { $(Status::$variant => concat!("HELIO_ERR_", $name, "\0")),+ };
                let text = if self == Status::Ok { "HELIO_OK\0" } else { text };
                std::ffi::CStr::from_bytes_with_nul(text.as_bytes()).unwrap_or_default()
            }
        }
    };
}

statuses! {
    Ok = 0 "OK",
    InvalidArgument = -1 "INVALID_ARGUMENT",
    InvalidUtf8 = -2 "INVALID_UTF8",
    InvalidJson = -3 "INVALID_JSON",
    Unsupported = -4 "UNSUPPORTED",
    Reentrant = -5 "REENTRANT",
    ShutDown = -6 "SHUT_DOWN",
    Forked = -7 "FORKED",
    Busy = -8 "BUSY",
    Timeout = -9 "TIMEOUT",
    Cancelled = -10 "CANCELLED",
    Dns = -20 "DNS",
    Connect = -21 "CONNECT",
    Tls = -22 "TLS",
    Proxy = -23 "PROXY",
    Network = -24 "NETWORK",
    Protocol = -30 "PROTOCOL",
    Truncated = -31 "TRUNCATED",
    TooLarge = -32 "TOO_LARGE",
    BadRequest = -40 "BAD_REQUEST",
    Authentication = -41 "AUTHENTICATION",
    Permission = -42 "PERMISSION",
    NotFound = -43 "NOT_FOUND",
    RateLimited = -44 "RATE_LIMITED",
    QuotaExceeded = -45 "QUOTA_EXCEEDED",
    ContextLength = -46 "CONTEXT_LENGTH",
    ContentFiltered = -47 "CONTENT_FILTERED",
    Overloaded = -48 "OVERLOADED",
    Server = -49 "SERVER",
    Internal = -99 "INTERNAL",
}

impl Status {
    /// The number of the C interface.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// The status with this number, if there is one.
    pub fn from_code(code: i32) -> Option<Status> {
        Status::ALL.iter().copied().find(|status| status.code() == code)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_names_are_found_again() {
        for (at, status) in Status::ALL.iter().enumerate() {
            assert_eq!(Status::from_code(status.code()), Some(*status));
            assert!(Status::ALL[..at].iter().all(|other| other.code() != status.code()));
            assert!(status.c_name().to_str().unwrap().ends_with(status.name()));
        }
        assert_eq!(Status::Ok.c_name(), c"HELIO_OK");
        assert_eq!(Status::from_code(-1000), None);
    }
}
