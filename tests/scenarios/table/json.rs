//! JSON answers.

use helio::abi::*;
use serde_json::json;

use super::row::{Row, whole};
use crate::support::chat::{completion, completion_of};
use crate::support::conn::{Conn, Framing};

/// Half an answer in this framing, and then this.
fn half(happens: &'static str, framing: Framing, end: fn(&mut Conn)) -> Row {
    let row = whole(happens, move |conn| {
        let text = completion("Hello");
        conn.head(200, &[("content-type", "application/json")], framing);
        conn.body(&text[..text.len() / 2]);
        conn.wait_until_read();
        end(conn);
    });
    row.fails(HELIO_ERR_TRUNCATED, 200)
}

/// A whole answer in this framing, and then this.
fn whole_then(happens: &'static str, framing: Framing, end: fn(&mut Conn)) -> Row {
    whole(happens, move |conn| {
        conn.head(200, &[("content-type", "application/json")], framing);
        conn.body(completion("Hello"));
        conn.wait_until_read();
        end(conn);
    })
}

/// This body.
fn body(happens: &'static str, body: impl Into<Vec<u8>>) -> Row {
    let body = body.into();
    whole(happens, move |conn| conn.json(200, &body))
}

/// This body, which is no answer.
fn strange(happens: &'static str, text: &str) -> Row {
    body(happens, text).fails(HELIO_ERR_PROTOCOL, 200)
}

faults!(
    "A JSON answer",
    "The answer is one JSON object. It is shown when it is whole, so no part of it is kept.",
    short = half("the body is shorter than its length", Framing::Length(5000), Conn::cut),
    chunk_cut = half("the connection closes between two chunks", Framing::Chunked, Conn::cut),
    clean_end = half("the chunked body ends in an orderly way, the JSON does not", Framing::Chunked, Conn::end),
    until_close = half("the connection closes, which is the only end of the body", Framing::UntilClose, Conn::cut),
    reset = half("the connection is reset", Framing::Length(5000), Conn::reset),
    silent_length_0 =
        whole("the body is empty", |conn| conn.json(200, "")).fails(HELIO_ERR_PROTOCOL, 200).says(&["empty"]),
    blank = body("the body is blank", " \n\n ").fails(HELIO_ERR_TRUNCATED, 200),
    page = whole("an HTML page", |conn| {
        conn.answer(200, &[("content-type", "text/html")], "<!DOCTYPE html><html><title>Log in</title></html>");
    })
    .fails(HELIO_ERR_PROTOCOL, 200)
    .says(&["HTML"]),
    page_as_json = strange("an HTML page that is called JSON", "<html><body>Welcome</body></html>").says(&["HTML"]),
    array = strange("an array", "[1,2]"),
    text = strange("a string", "\"Hello\""),
    number = strange("a number", "5"),
    not_json = strange("an object that is broken", "{broken}"),
    rest = body("something follows a whole object", completion("Hello") + "x"),
    blank_lines =
        body("blank lines and comments before the object", format!("\n\n: keep-alive\n\n{}", completion("Hello"))),
    byte_order_mark = body("a byte order mark before the object", format!("\u{feff}{}", completion("Hello"))),
    broken_utf8 = body("a string with a byte that is no UTF-8", {
        let (before, after) =
            completion("Hello").split_once("m-1").map(|(a, b)| (a.to_string(), b.to_string())).unwrap();
        [before.as_bytes(), b"m-\xff", after.as_bytes()].concat()
    }),
    closed_after =
        whole_then("the connection closes after a whole object that has no other end", Framing::UntilClose, Conn::cut),
    no_last_chunk = whole_then("the last chunk is missing after a whole object", Framing::Chunked, Conn::cut),
    refused_by_model = body("the message is a refusal of the model and has no content", {
        completion_of(json!({"role": "assistant", "content": null, "refusal": "No"}), "stop").to_string()
    })
    .keeps_finished(""),
);
