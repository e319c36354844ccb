//! While the request goes out.

use std::sync::{Arc, LazyLock};

use helio::abi::*;
use serde_json::json;

use super::row::{Row, connection};
use crate::support::chat::{ASK, completion};
use crate::support::conn::Conn;

/// Larger than what the sockets of both sides hold while nobody reads.
fn large() -> Arc<[u8]> {
    static LARGE: LazyLock<Arc<[u8]>> = LazyLock::new(|| {
        let content = "x".repeat(5_000_000);
        format!(r#"{{"messages":[{{"role":"user","content":"{content}"}}]}}"#).into_bytes().into()
    });
    LARGE.clone()
}

/// The server reads the first bytes of a large request and then does this.
fn early(happens: &'static str, then: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    let row = connection(happens, move |conn| {
        conn.skip(1000);
        then(conn);
    });
    Row { body: large(), ..row }
}

faults!(
    "Sending",
    "The connection stands, and the request goes out.",
    closed_at_once = connection("the server takes the connection and closes it at once", Conn::cut)
        .asking(ASK)
        .fails(HELIO_ERR_NETWORK, 0)
        .again(),
    reset_at_once = connection("the server resets the connection at the first byte", |conn| {
        conn.skip(1);
        conn.reset();
    })
    .asking(ASK)
    .fails(HELIO_ERR_NETWORK, 0)
    .again(),
    closed_within =
        early("the server closes while a large body goes out", Conn::cut).fails(HELIO_ERR_NETWORK, 0).again(),
    reset_within =
        early("the server resets while a large body goes out", Conn::reset).fails(HELIO_ERR_NETWORK, 0).again(),
    never_read = connection("the server does not read a large body", Conn::stall_unread)
        .asking(large())
        .config(json!({"timeouts": {"first_event_ms": 300}}))
        .times_out("first_event", 0),
    too_large_and_open = early("the server answers 413 to the first bytes and reads on", |conn| {
        conn.json(413, "{\"error\":{\"message\":\"Too much\"}}");
        conn.stall();
    })
    .fails(HELIO_ERR_BAD_REQUEST, 413)
    .says(&["Too much"]),
    too_large_and_unread = early("the server answers 413 to the first bytes and reads no more", |conn| {
        conn.json(413, "{\"error\":{\"message\":\"Too much\"}}");
        conn.stall_unread();
    })
    .fails(HELIO_ERR_BAD_REQUEST, 413)
    .says(&["Too much"]),
    too_large_and_reset = early("the server answers 413 to the first bytes, and the connection is reset", |conn| {
        conn.json(413, "{\"error\":{\"message\":\"Too much\"}}");
        conn.wait_until_read();
        conn.cut();
    })
    .fails(HELIO_ERR_BAD_REQUEST, 413)
    .says(&["Too much"]),
    key_refused_early = early("the server answers 401 to the first bytes", |conn| {
        conn.json(401, "{\"error\":{\"message\":\"Bad key\"}}");
        conn.stall_unread();
    })
    .fails(HELIO_ERR_AUTHENTICATION, 401)
    .says(&["Bad key", "API key"]),
    busy_early = early("the server answers 503 to the first bytes", |conn| {
        conn.json(503, "{\"error\":{\"message\":\"Busy\"}}");
        conn.stall_unread();
    })
    .fails(HELIO_ERR_OVERLOADED, 503)
    .says(&["Busy"])
    .again(),
    answered_early = early("the server gives its whole answer to the first bytes", |conn| {
        conn.json(200, completion("Hello"));
        conn.stall();
    }),
);
