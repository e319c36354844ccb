//! What grows without end, and the limit that ends it.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use helio::abi::*;
use serde_json::{Value, json};

use super::row::{Row, stream, whole};
use crate::support::chat::{completion, delta, say};
use crate::support::conn::{Conn, Framing};

/// A head that passes `max_head_bytes`.
fn head(happens: &'static str, send: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    whole(happens, send).fails(HELIO_ERR_TOO_LARGE, 0).says(&["max_head_bytes"])
}

/// `Hello`, and then this, which passes a limit.
fn after_hello(happens: &'static str, limits: Value, then: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    let row = stream(happens, move |conn| {
        conn.stream_head();
        conn.body(say("Hello"));
        then(conn);
    });
    row.config(json!({"limits": limits})).fails(HELIO_ERR_TOO_LARGE, 200).keeps("Hello")
}

/// The same with one event of so many bytes allowed.
fn event(happens: &'static str, then: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    after_hello(happens, json!({"max_event_bytes": 5000}), then).says(&["max_event_bytes"])
}

/// The same with a response of so many bytes allowed.
fn response(happens: &'static str, then: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    after_hello(happens, json!({"max_response_bytes": 100_000}), then).says(&["max_response_bytes"])
}

/// A JSON answer with no more bytes allowed.
fn json_answer(happens: &'static str, send: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    let row = whole(happens, send).config(json!({"limits": {"max_response_bytes": 100_000}}));
    row.fails(HELIO_ERR_TOO_LARGE, 200).says(&["max_response_bytes"])
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("a buffer");
    let packed = encoder.finish().expect("a buffer");
    assert!(packed.len() < 100_000, "small on the wire");
    packed
}

fn head_of(conn: &mut Conn, field: &str) {
    conn.send("HTTP/1.1 200 OK\r\n");
    conn.send(field);
    conn.send("content-length: 0\r\n\r\n");
    conn.stall();
}

const FOR_EVER: Duration = Duration::ZERO;

faults!(
    "Limits",
    "Something is larger than allowed, or never ends.",
    head_large = head("a head of 80 kB", |conn| head_of(conn, &format!("x: {}\r\n", "v".repeat(4000)).repeat(20))),
    head_field = head("one header of 80 kB", |conn| head_of(conn, &format!("x: {}\r\n", "v".repeat(80_000)))),
    head_endless = head("a head without end", |conn| {
        conn.send("HTTP/1.1 200 OK\r\n");
        while !conn.has_left() {
            conn.send("x-more: and more of it\r\n");
        }
    })
    .says(&["head"]),
    line_endless = head("a first line without end", |conn| {
        conn.send("HTTP/1.1 200 ");
        while !conn.has_left() {
            conn.send("and more of it ".repeat(100));
        }
    }),
    head_fields = whole("a head of 200 fields", |conn| head_of(conn, &"x: v\r\n".repeat(200)))
        .fails(HELIO_ERR_TOO_LARGE, 0)
        .says(&["fields"]),
    event_large = event("an event of 6 kB where 5 are allowed", |conn| {
        conn.body(format!("data: {{\"x\":\"{}\"}}\n\n", "x".repeat(6000)));
        conn.end();
    }),
    event_of_lines = event("an event of many short lines", |conn| {
        conn.body(format!("data: {}\n", "x".repeat(100)).repeat(60) + "\n");
        conn.end();
    }),
    comment_large = event("a comment of 6 kB where 5 are allowed", |conn| {
        conn.body(format!(": {}\n\n", "x".repeat(6000)));
        conn.end();
    }),
    event_endless = event("a line without end", |conn| {
        conn.body("data: ");
        conn.body_until_left(&"x".repeat(1000), FOR_EVER);
    }),
    stream_endless = response("a stream without end", |conn| conn.body_until_left(&delta(json!({})), FOR_EVER)),
    comments_endless =
        response("comments without end", |conn| conn.body_until_left(": and nothing else\n\n", FOR_EVER)),
    stream_bomb = stream("a stream that is small packed, and large unpacked", |conn| {
        let body = gzip(&(say("Hello") + &delta(json!({})).repeat(3000)));
        conn.answer(200, &[("content-type", "text/event-stream"), ("content-encoding", "gzip")], body);
    })
    .config(json!({"limits": {"max_response_bytes": 100_000}}))
    .fails(HELIO_ERR_TOO_LARGE, 200)
    .keeps("Hello"),
    json_large = json_answer("a JSON answer of 120 kB where 100 are allowed", |conn| {
        conn.json(200, completion(&"x".repeat(120_000)));
    }),
    json_endless = json_answer("a JSON answer without end", |conn| {
        conn.head(200, &[("content-type", "application/json")], Framing::Chunked);
        conn.body("{\"choices\":\"");
        conn.body_until_left(&"x".repeat(5000), FOR_EVER);
    }),
    json_bomb = json_answer("a JSON answer that is small packed, and large unpacked", |conn| {
        let body = gzip(&completion(&"x".repeat(500_000)));
        conn.answer(200, &[("content-type", "application/json"), ("content-encoding", "gzip")], body);
    }),
    refusal_large = whole("the body of a refusal has 3 MB", |conn| conn.answer(400, &[], "no ".repeat(1 << 20)))
        .fails(HELIO_ERR_BAD_REQUEST, 400),
);
