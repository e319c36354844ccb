//! What does not count as progress, and which deadline notices.

use std::time::Duration;

use helio::abi::*;
use serde_json::json;

use super::row::{Row, stream, whole};
use crate::support::chat::{ASK, say};
use crate::support::conn::{Conn, Framing};
use crate::support::delivery::Mode;

/// A tick of a server that sends without saying anything.
const TICK: Duration = Duration::from_millis(5);

/// A stream that begins and then does this; it lasts until `first_event_ms`.
fn no_first_event(happens: &'static str, then: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    let row = stream(happens, move |conn| {
        conn.stream_head();
        then(conn);
    });
    row.config(json!({"timeouts": {"first_event_ms": 250}})).times_out("first_event", 200)
}

/// A stream that says `Hello` and then does this; it lasts until `idle_ms`.
fn idle(happens: &'static str, then: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    let row = stream(happens, move |conn| {
        conn.stream_head();
        conn.body(say("Hello"));
        then(conn);
    });
    row.config(json!({"timeouts": {"idle_ms": 150}})).times_out("idle", 200).keeps("Hello")
}

/// The same, until `total_ms`.
fn total(row: Row, http_status: i32) -> Row {
    row.config(json!({"timeouts": {"total_ms": 300}})).times_out("total", http_status)
}

fn json_head(conn: &mut Conn) {
    conn.head(200, &[("content-type", "application/json")], Framing::Length(1000));
}

faults!(
    "Deadlines",
    "Bytes come, or none, but nothing with content. Faults on the way that only a deadline ends stand above.",
    head_only = no_first_event("the head of a stream comes, and nothing more", Conn::stall),
    comments_first = no_first_event("only comments come", |conn| conn.body_until_left(": ping\n\n", TICK)),
    blank_lines_first = no_first_event("only blank lines come", |conn| conn.body_until_left("\n", TICK)),
    empty_data_first = no_first_event("only empty data comes", |conn| conn.body_until_left("data: \n\n", TICK)),
    keep_alive_data_first = no_first_event("only data of a keep-alive comes", |conn| {
        conn.body_until_left("data: : keepalive\n\n", TICK);
    }),
    json_head_only = whole("the head of a JSON answer comes, and nothing more", |conn| {
        json_head(conn);
        conn.stall();
    })
    .config(json!({"timeouts": {"first_event_ms": 250}}))
    .times_out("first_event", 200),
    silence = idle("a stream falls silent", Conn::stall),
    comments = idle("a stream goes on with comments only", |conn| conn.body_until_left(": ping\n\n", TICK)),
    empty_data = idle("a stream goes on with empty data only", |conn| conn.body_until_left("data: \n\n", TICK)),
    drip = idle("an event comes byte by byte and never ends", |conn| {
        conn.body("data: {\"x\":\"");
        conn.body_until_left("y", TICK);
    }),
    json_silence = whole("a JSON answer falls silent", |conn| {
        json_head(conn);
        conn.body("{\"choices\":[");
        conn.stall();
    })
    .config(json!({"timeouts": {"idle_ms": 150}}))
    .times_out("idle", 200),
    total_waiting = total(whole("the server says nothing until `total_ms`", Conn::stall), 0),
    total_stream = total(
        stream("a stream says something, but never ends", |conn| {
            conn.stream_head();
            conn.body(say("Hello"));
            conn.body_until_left(&say(""), TICK);
        }),
        200,
    )
    .keeps("Hello"),
    total_json = total(
        whole("a JSON answer comes byte by byte and never ends", |conn| {
            conn.head(200, &[("content-type", "application/json")], Framing::Chunked);
            conn.body("{\"choices\":[");
            conn.body_until_left(" ", TICK);
        }),
        200,
    ),
    total_over_attempts = total(whole("the first attempt is refused with 503, the second hangs", |_| {}), 0)
        .on_cue(|conn, cue| if cue.number == 0 { conn.answer(503, &[], "") } else { conn.stall() })
        .strikes(usize::MAX)
        .with_retries_only()
        .tries(2)
        .attempts(2),
    total_waiting_for_its_turn = total(whole("another request takes the only place until `total_ms`", Conn::stall), 0)
        .config(json!({"limits": {"max_in_flight": 1}, "timeouts": {"total_ms": null}}))
        .acting(|client, stage| {
            let other = client.call(ASK).mode(Mode::Thread).submit();
            stage.until_tried(1);
            let outcome = client.call(ASK).overrides(&json!({"timeouts": {"total_ms": 150}})).run();
            assert_eq!(client.cancel(other.id), HELIO_OK);
            other.wait().fails(HELIO_ERR_CANCELLED);
            outcome
        })
        .attempts(0),
);
