//! Refusals by their number alone.

use helio::abi::*;

use super::row::{Row, whole};

/// A refusal with this status, whose body says no more than that.
fn number(happens: &'static str, http_status: u16, status: helio_status) -> Row {
    let row = whole(happens, move |conn| conn.json(http_status, "{\"error\":{\"message\":\"Sorry\"}}"));
    row.fails(status, http_status.into()).says(&["Sorry"])
}

faults!(
    "A refusal: its number",
    "The server refuses with a status of 4xx or 5xx, and the body adds nothing but a message.",
    n400 = number("400 Bad Request", 400, HELIO_ERR_BAD_REQUEST),
    n401 = number("401 Unauthorized", 401, HELIO_ERR_AUTHENTICATION).says(&["Sorry", "API key"]),
    n402 = number("402 Payment Required", 402, HELIO_ERR_QUOTA_EXCEEDED),
    n403 = number("403 Forbidden", 403, HELIO_ERR_PERMISSION),
    n404 = number("404 Not Found", 404, HELIO_ERR_NOT_FOUND).says(&["Sorry", "base_url"]),
    n405 = number("405 Method Not Allowed", 405, HELIO_ERR_BAD_REQUEST),
    n407 = number("407, though there is no proxy", 407, HELIO_ERR_BAD_REQUEST),
    n408 = number("408 Request Timeout", 408, HELIO_ERR_SERVER).again(),
    n409 = number("409 Conflict", 409, HELIO_ERR_SERVER).again(),
    n410 = number("410 Gone", 410, HELIO_ERR_NOT_FOUND),
    n413 = number("413 Content Too Large", 413, HELIO_ERR_BAD_REQUEST),
    n415 = number("415 Unsupported Media Type", 415, HELIO_ERR_BAD_REQUEST),
    n422 = number("422 Unprocessable Content", 422, HELIO_ERR_BAD_REQUEST),
    n429 = number("429 Too Many Requests", 429, HELIO_ERR_RATE_LIMITED).again(),
    n451 = number("451 Unavailable For Legal Reasons", 451, HELIO_ERR_BAD_REQUEST),
    n500 = number("500 Internal Server Error", 500, HELIO_ERR_SERVER).again(),
    n501 = number("501 Not Implemented", 501, HELIO_ERR_SERVER).again(),
    n502 = number("502 Bad Gateway", 502, HELIO_ERR_SERVER).again(),
    n503 = number("503 Service Unavailable", 503, HELIO_ERR_OVERLOADED).again(),
    n504 = number("504 Gateway Timeout", 504, HELIO_ERR_SERVER).again(),
    n522 = number("522, an edge that cannot reach the server", 522, HELIO_ERR_SERVER).again(),
    n529 = number("529, a provider that is overloaded", 529, HELIO_ERR_OVERLOADED).again(),
);
