//! What a server wishes with its refusal: whether to try again, and when.

use std::time::{Duration, SystemTime};

use helio::abi::*;
use serde_json::json;

use super::row::{Row, stream, whole};
use crate::support::chat::event;

/// A refusal with this header, and an empty body.
fn wish(happens: &'static str, http_status: u16, status: helio_status, name: &'static str, value: &'static str) -> Row {
    let row = whole(happens, move |conn| conn.answer(http_status, &[(name, value)], ""));
    row.fails(status, http_status.into())
}

const RETRY: &str = "x-should-retry";
const HOUR: i64 = 3_600_000;

faults!(
    "A refusal: the server's wish",
    "`x-should-retry` decides over the table, but not over what is final. `retry-after-ms` and `retry-after` say when.",
    retry_400 = wish("400 with `x-should-retry: true`", 400, HELIO_ERR_BAD_REQUEST, RETRY, "true").again(),
    retry_404 = wish("404 with `x-should-retry: true`", 404, HELIO_ERR_NOT_FOUND, RETRY, "true").again(),
    never_503 = wish("503 with `x-should-retry: false`", 503, HELIO_ERR_OVERLOADED, RETRY, "false"),
    never_429 = wish("429 with `x-should-retry: false`", 429, HELIO_ERR_RATE_LIMITED, RETRY, "false"),
    odd_503 = wish("503 with `x-should-retry: maybe`", 503, HELIO_ERR_OVERLOADED, RETRY, "maybe").again(),
    retry_401 = wish("401 with `x-should-retry: true`", 401, HELIO_ERR_AUTHENTICATION, RETRY, "true"),
    retry_402 = wish("402 with `x-should-retry: true`", 402, HELIO_ERR_QUOTA_EXCEEDED, RETRY, "true"),
    retry_no_quota = whole("429 without quota and with `x-should-retry: true`", |conn| {
        conn.answer(429, &[(RETRY, "true")], "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"No credit\"}}");
    })
    .fails(HELIO_ERR_QUOTA_EXCEEDED, 429)
    .says(&["No credit"]),
    retry_wrapped = whole("a gateway's 500 for a provider's 422, with `x-should-retry: true`", |conn| {
        let body =
            json!({"error": {"code": "request_failed", "message": "All failed", "details": [{"statusCode": 422}]}});
        conn.answer(500, &[(RETRY, "true")], body.to_string());
    })
    .fails(HELIO_ERR_BAD_REQUEST, 500)
    .says(&["All failed"]),
    never_within = stream("an error 503 as the first event, and `x-should-retry: false`", |conn| {
        let data = event(json!({"error": {"message": "Busy", "code": 503}}));
        conn.answer(200, &[("content-type", "text/event-stream"), (RETRY, "false")], data);
    })
    .fails(HELIO_ERR_OVERLOADED, 200)
    .says(&["Busy"]),
    after_ms =
        wish("429 with `retry-after-ms: 30`", 429, HELIO_ERR_RATE_LIMITED, "retry-after-ms", "30").again().after(30),
    after_seconds =
        wish("503 with `retry-after: 0.04`", 503, HELIO_ERR_OVERLOADED, "retry-after", "0.04").again().after(40),
    after_both = whole("429 with `retry-after-ms: 30` and `retry-after: 3600`", |conn| {
        conn.answer(429, &[("retry-after", "3600"), ("retry-after-ms", "30")], "");
    })
    .fails(HELIO_ERR_RATE_LIMITED, 429)
    .again()
    .after(30),
    after_nonsense = wish("429 with `retry-after: soon`", 429, HELIO_ERR_RATE_LIMITED, "retry-after", "soon").again(),
    after_the_past = whole("429 with a `retry-after` that is over", |conn| {
        let date = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(60));
        conn.answer(429, &[("retry-after", &date)], "");
    })
    .fails(HELIO_ERR_RATE_LIMITED, 429)
    .again(),
    after_an_hour =
        wish("429 with `retry-after: 3600`", 429, HELIO_ERR_RATE_LIMITED, "retry-after", "3600").after(HOUR),
    after_more_than_allowed =
        wish("503 with a wait longer than `max_server_delay_ms`", 503, HELIO_ERR_OVERLOADED, "retry-after-ms", "60")
            .config(json!({"retry": {"max_server_delay_ms": 50}}))
            .after(60),
    no_time_left =
        wish("429 with a wait for which `total_ms` has no room", 429, HELIO_ERR_RATE_LIMITED, "retry-after", "30")
            .config(json!({"timeouts": {"total_ms": 20_000}}))
            .after(30_000),
);
