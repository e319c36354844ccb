//! What to send to whom: the request's headers, and which headers of an answer say something about it.
//!
//! One provider so far: any server that speaks OpenAI's chat completions. What only the Helicone gateway knows lies
//! in [`helicone`]. Request bytes are never touched here.

pub mod helicone;

use ureq::http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE};
use ureq::http::{HeaderMap, HeaderValue};

use crate::config::Settings;

/// `User-Agent` and `Accept-Encoding`, unless [`headers`] has them: what the wire adds by itself costs a waiting stream
/// less memory. (A stream is read as it comes; packed, it would come in lumps.)
pub const BY_THE_WIRE: [&str; 2] = [concat!("helio/", env!("CARGO_PKG_VERSION")), "identity"];

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// So many headers are ours in a stream; a request for JSON has one more.
const OURS: usize = 3;

/// The headers of a request: ours, Helicone's, and over them what the host set itself.
pub fn headers(settings: &Settings, authorization: Option<HeaderValue>, streams: bool) -> HeaderMap {
    let mut headers =
        HeaderMap::with_capacity(OURS + usize::from(!streams) + settings.headers.len() + settings.helicone.len());
    if let Some(value) = authorization {
        headers.insert(AUTHORIZATION, value);
    }
    headers.insert(CONTENT_TYPE, JSON);
    if streams {
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream, application/json"));
    } else {
        headers.insert(ACCEPT, JSON);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    for over in [&settings.helicone, &settings.headers] {
        for (name, value) in over {
            headers.insert(name.clone(), value.clone());
        }
    }
    headers
}

/// Whether a header of an answer belongs into the report.
pub fn is_reported(name: &str) -> bool {
    const PARTS: [&str; 6] = ["ratelimit", "rate-limit", "request-id", "retry-after", "should-retry", "generation-id"];
    PARTS.iter().any(|part| name.contains(part)) || helicone::is_reported(name)
}

/// The server's own name for the request.
pub fn request_id(headers: &HeaderMap) -> Option<&str> {
    let names = ["x-request-id", "request-id", helicone::ID_HEADER];
    names.iter().find_map(|name| headers.get(*name)).and_then(|value| value.to_str().ok())
}
