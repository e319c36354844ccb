//! Streams that stop before they are finished.

use helio::abi::*;
use serde_json::{Value, json};

use super::row::{Row, stream};
use crate::support::chat::{DONE, chunk_of, delta, event, finish, finish_with, say, usage};
use crate::support::conn::{Conn, Framing};

/// A stream of these events that ends in an orderly way.
fn events(happens: &'static str, events: Vec<String>) -> Row {
    stream(happens, move |conn| conn.stream(&events)).fails(HELIO_ERR_TRUNCATED, 200)
}

/// `Hello` in this framing, and then this.
fn ends(happens: &'static str, framing: Framing, end: fn(&mut Conn)) -> Row {
    let row = stream(happens, move |conn| {
        conn.head(200, &[("content-type", "text/event-stream")], framing);
        conn.body(say("Hello"));
        end(conn);
    });
    row.fails(HELIO_ERR_TRUNCATED, 200).keeps("Hello")
}

/// Not one byte of the body in this framing.
fn empty(happens: &'static str, framing: Framing, end: fn(&mut Conn)) -> Row {
    let row = stream(happens, move |conn| {
        conn.head(200, &[("content-type", "text/event-stream")], framing);
        conn.wait_until_read();
        end(conn);
    });
    row.fails(HELIO_ERR_PROTOCOL, 200)
}

fn read_then_reset(conn: &mut Conn) {
    conn.wait_until_read();
    conn.reset();
}

fn two_choices() -> String {
    event(chunk_of(json!([
        {"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"},
        {"index": 1, "delta": {"content": "Hallo"}},
    ])))
}

fn tool_call() -> String {
    let function = json!({"name": "f", "arguments": "{\"a\""});
    delta(
        json!({"content": "Hello", "tool_calls": [{"index": 0, "id": "t", "type": "function", "function": function}]}),
    )
}

faults!(
    "A stream that stops",
    "A stream has begun, and ends before each of its choices has a `finish_reason`.",
    closed = ends("the connection closes between two events", Framing::Chunked, Conn::cut).says(&["kept"]),
    closed_within_chunk = ends("the connection closes within a chunk", Framing::Chunked, |conn| {
        conn.send("100\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo");
        conn.cut();
    }),
    closed_within_event = ends("the chunked body ends within an event", Framing::Chunked, |conn| {
        conn.body("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo");
        conn.end();
    }),
    short = ends("the body is shorter than its length", Framing::Length(5000), Conn::cut),
    reset = ends("the connection is reset", Framing::Chunked, read_then_reset),
    reset_until_close =
        ends("the connection is reset where only closing ends the body", Framing::UntilClose, read_then_reset),
    until_close = ends("the connection closes, which is the only end of the body", Framing::UntilClose, Conn::cut),
    clean_end = ends("the body ends in an orderly way", Framing::Chunked, Conn::end).says(&["not complete"]),
    done = events("`[DONE]` comes", vec![say("Hello"), DONE.into()])
        .keeps("Hello")
        .says(&["before every choice was finished"]),
    done_only = events("`[DONE]` comes, and nothing before it", vec![DONE.into()]).says(&["nothing"]),
    usage_only = events("only the usage comes", vec![usage(), DONE.into()]).keeps_no_choice(),
    no_choices =
        events("only chunks without choices come", vec![event(chunk_of(json!([]))), DONE.into()]).keeps_no_choice(),
    comments_only = events("only comments come", vec![": ping\n\n".into(), ": ping\n\n".into()]),
    finish_null =
        events("the `finish_reason` is null", vec![say("Hello"), finish_with(Value::Null), DONE.into()]).keeps("Hello"),
    finish_empty = events("the `finish_reason` is empty", vec![say("Hello"), finish(""), DONE.into()]).keeps("Hello"),
    finish_missing = events(
        "the last chunk has no `finish_reason`",
        vec![say("Hello"), event(chunk_of(json!([{"index": 0, "delta": {}}]))), DONE.into(),]
    )
    .keeps("Hello"),
    second_choice = events("the second choice is not finished", vec![two_choices(), DONE.into()]).keeps("Hello"),
    tool_call_cut = ends("the arguments of a tool call break off", Framing::Chunked, |conn| {
        conn.body(tool_call().replace("Hello", ""));
        conn.cut();
    }),
    empty_length = empty("the body is empty: its length is 0", Framing::Length(0), |_| {}).says(&["empty"]),
    empty_chunked = empty("the body is empty: no chunk but the last", Framing::Chunked, Conn::end).says(&["empty"]),
    empty_closed = empty("the connection closes after the head", Framing::UntilClose, Conn::cut).says(&["empty"]),
    cut_before_body = empty("the connection closes before the first chunk", Framing::Chunked, Conn::cut),
    reset_before_body =
        empty("the connection is reset before the first byte of the body", Framing::Chunked, Conn::reset),
);
