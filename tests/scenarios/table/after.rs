//! After every choice was finished.

use std::time::Duration;

use serde_json::json;

use super::row::{Row, stream};
use crate::support::chat::{DONE, event, finish, say};
use crate::support::conn::Conn;

/// A finished answer, and then this.
fn then(happens: &'static str, then: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    stream(happens, move |conn| {
        conn.stream_head();
        conn.body(say("Hello") + &finish("stop"));
        then(conn);
    })
}

/// A finished answer, and then this event.
fn event_then(happens: &'static str, event: impl Into<String>) -> Row {
    let event = event.into();
    then(happens, move |conn| {
        conn.body(&event);
        conn.end();
    })
}

faults!(
    "After the finish",
    "Every choice has its `finish_reason`: the answer is whole, whatever follows.",
    no_done = then("`[DONE]` does not come", Conn::end),
    cut = then("the connection closes without `[DONE]`", Conn::cut),
    reset = then("the connection is reset", |conn| {
        conn.wait_until_read();
        conn.reset();
    }),
    open = then("`[DONE]` comes, and the connection stays open", |conn| {
        conn.body(DONE);
        conn.stall();
    }),
    open_without_done = then("nothing more comes, and the connection stays open", Conn::stall)
        .config(json!({"timeouts": {"idle_ms": 100}})),
    comments = then("comments come for ever", |conn| conn
        .body_until_left(": still here\n\n", Duration::from_millis(5)))
    .config(json!({"timeouts": {"idle_ms": 100}})),
    garbage = event_then("data that is garbage", "data: garbage\n\n"),
    error = event_then("an error", event(json!({"error": {"message": "too late", "code": 503}}))),
    named_error = event_then("an event called `error`", "event: error\ndata: {\"message\":\"too late\"}\n\n"),
    done_twice = event_then("`[DONE]` comes twice", DONE.repeat(2)),
    more_after_done = event_then("more text after `[DONE]`", DONE.to_string() + &say("late")),
    page_after_done = event_then("an HTML page after `[DONE]`", DONE.to_string() + "<html>"),
    bad_framing = then("the chunked framing is wrong", |conn| {
        conn.send("this is no chunk size\r\n");
        conn.cut();
    }),
    total = then("nothing more comes until `total_ms` is over", Conn::stall)
        .config(json!({"timeouts": {"total_ms": 400}}))
        .times_out("total", 200)
        .keeps_finished("Hello"),
);
