//! What is in a stream: what is no chunk, what only looks odd, and which form it has.

use helio::abi::*;
use serde_json::json;

use super::row::{Row, stream, whole};
use crate::support::chat::{DONE, chunk_of, completion, event, finish, hello, say};

/// A stream of these events.
fn events(happens: &'static str, events: Vec<String>) -> Row {
    stream(happens, move |conn| conn.stream(&events))
}

/// This data after `Hello`.
fn data(happens: &'static str, data: &'static str) -> Row {
    let row = events(happens, vec![say("Hello"), event(data), finish("stop"), DONE.into()]);
    row.fails(HELIO_ERR_PROTOCOL, 200).keeps("Hello")
}

/// This body, under this type.
fn body(happens: &'static str, content_type: &'static str, body: impl Into<Vec<u8>>) -> Row {
    let body = body.into();
    stream(happens, move |conn| conn.answer(200, &[("content-type", content_type)], &body))
}

/// A whole stream whose bytes were changed.
fn changed(happens: &'static str, change: fn(String) -> Vec<u8>) -> Row {
    body(happens, "text/event-stream", change(hello().concat()))
}

const EVENTS: &str = "text/event-stream";

faults!(
    "What is in a stream",
    "What comes is no chunk of a chat completion, or is one in an odd dress.",
    text = data("data that is plain text", "Internal error in backend").says(&["Internal error in backend"]),
    broken_json = data("data that is half a JSON object", "{\"choices\":["),
    array = data("data that is an array", "[1]"),
    number = data("data that is a number", "5"),
    null = data("data that is null", "null"),
    page = body("an HTML page, called an event stream", EVENTS, "<!DOCTYPE html><html><body>Welcome</body></html>")
        .fails(HELIO_ERR_PROTOCOL, 200)
        .says(&["HTML"]),
    plain_words = body("words, called an event stream", EVENTS, "Hello, I am a model.").fails(HELIO_ERR_PROTOCOL, 200),
    binary = body("bytes that are no text", "application/octet-stream", [0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 0xff])
        .fails(HELIO_ERR_PROTOCOL, 200),
    as_json = body("a stream that is called JSON", "application/json", hello().concat()),
    as_text = body("a stream that is called plain text", "text/plain", hello().concat()),
    without_type = stream("a stream without a content type", |conn| conn.answer(200, &[], hello().concat())),
    json_instead = body("a JSON answer where a stream was asked for", "application/json", completion("Hello")),
    json_as_stream = body("a JSON answer that is called an event stream", EVENTS, completion("Hello")),
    stream_instead = whole("a stream where a whole answer was asked for", |conn| conn.stream(hello())),
    byte_order_mark = changed("a byte order mark before the first event", |text| format!("\u{feff}{text}").into()),
    carriage_returns = changed("lines that end in CR alone", |text| text.replace('\n', "\r").into()),
    broken_utf8 =
        changed("a byte that is no UTF-8, in a comment", |text| [&b": \xff\n\n"[..], text.as_bytes()].concat()),
    keep_alives = events(
        "keep-alives of every kind before and between the chunks",
        vec![
            ": ping\n\n\n: OPENROUTER PROCESSING\n\n".into(),
            "data: \n\ndata: : keepalive\n\ndata: \"\"\n\n".into(),
            say("Hello"),
            "event: ping\n\n:\n\n".into(),
            finish("stop"),
            DONE.into(),
        ]
    ),
    unknown_fields = events(
        "fields that an event stream does not have",
        vec!["id: 7\nretry: 10\nfoo: bar\n".to_string() + &say("Hello"), finish("stop"), DONE.into(),]
    ),
    no_blank_line = events("the last event lacks its blank line", vec![say("Hello"), finish("stop").trim_end().into()]),
    done_at_once = events(
        "`[DONE]` follows the finish without a blank line",
        vec![say("Hello"), finish("stop").trim_end().to_string() + "\n" + DONE,]
    ),
    unknown_reason = events("a `finish_reason` that nobody knows", vec![say("Hello"), finish("end_turn"), DONE.into()]),
    error_null = events("each chunk has an error that is null", {
        let mut chunk = chunk_of(json!([{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}]));
        chunk["error"] = json!(null);
        vec![event(chunk), DONE.into()]
    }),
);
