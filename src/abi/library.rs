//! The library itself: versions, features, names.

use std::ffi::{CStr, c_char};

use super::guard::guard;
use super::helio_status;
use crate::status::Status;

/// The version of this header: major.
pub const HELIO_VERSION_MAJOR: u32 = 0;
/// The version of this header: minor.
pub const HELIO_VERSION_MINOR: u32 = 1;
/// The version of this header: patch.
pub const HELIO_VERSION_PATCH: u32 = 0;
/// The binary interface this header describes; also the number in the shared object's name.
pub const HELIO_ABI_VERSION: u32 = 1;

const VERSION: &CStr = c"0.1.0";
/// What this build can do. A name stays once it was here.
const FEATURES: &[&str] = &[
    "complete",
    "submit",
    "prewarm",
    "stats",
    "stream",
    "cancel",
    "retry",
    "tls",
    "proxy",
    "https_proxy",
    "socks5",
    "gzip",
    "helicone",
    "validate",
    "limiter",
    "chat",
    "json",
];

/// The version of the library that is loaded.
///
/// @return major << 16 | minor << 8 | patch. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn helio_version_number() -> u32 {
    HELIO_VERSION_MAJOR << 16 | HELIO_VERSION_MINOR << 8 | HELIO_VERSION_PATCH
}

/// The version of the library that is loaded, as text.
///
/// @return "major.minor.patch", static: never freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn helio_version_string() -> *const c_char {
    VERSION.as_ptr()
}

/// The binary interface of the library that is loaded. A binding compares it with HELIO_ABI_VERSION once.
///
/// @return HELIO_ABI_VERSION of the library. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn helio_abi_version() -> u32 {
    HELIO_ABI_VERSION
}

/// Whether the library that is loaded can do something. The names: "complete" (blocking requests), "submit"
/// (requests that do not block, in POLL, PULL and THREAD), "prewarm", "stats", "stream" (events), "cancel", "retry", "tls", "proxy" (HTTP
/// CONNECT), "https_proxy" (the same, the proxy spoken with in TLS), "socks5", "gzip", "helicone" (the typed `helicone`
/// section of the config), "validate" (requests are held against what the endpoint takes), "limiter" (a rate limit of the client's own), "chat"
/// (conversations: helio_chat_…), "json" (helio_json_get).
///
/// @param name ends in NUL; NULL is no feature.
/// @return 1 or 0. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_has_feature(name: *const c_char) -> i32 {
    guard(0, || {
        // SAFETY: NULL or a string that ends in NUL, says the contract.
        let name = unsafe { super::input::bytes(name, super::HELIO_STRLEN, "name") };
        i32::from(name.ok().flatten().is_some_and(|name| FEATURES.iter().any(|feature| feature.as_bytes() == name)))
    })
}

/// The name of a status.
///
/// @return like "HELIO_ERR_TIMEOUT", for an unknown one "HELIO_ERR_UNKNOWN"; static: never freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn helio_status_name(status: helio_status) -> *const c_char {
    Status::from_code(status).map_or(c"HELIO_ERR_UNKNOWN", Status::c_name).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_versions_are_that_of_the_package() {
        assert_eq!(VERSION.to_str().unwrap(), env!("CARGO_PKG_VERSION"));
        assert_eq!(
            format!("{HELIO_VERSION_MAJOR}.{HELIO_VERSION_MINOR}.{HELIO_VERSION_PATCH}"),
            env!("CARGO_PKG_VERSION")
        );
    }
}
