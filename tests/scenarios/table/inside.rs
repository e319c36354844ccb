//! Errors inside a 200.

use helio::abi::*;
use serde_json::{Value, json};

use super::row::{Row, stream, whole};
use crate::support::chat::{DONE, event, finish, say};

/// These are the first events.
fn first(happens: &'static str, events: &[&str]) -> Row {
    let events: Vec<_> = events.iter().map(|event| event.to_string()).collect();
    stream(happens, move |conn| conn.stream(&events)).fails(HELIO_ERR_SERVER, 200)
}

/// This event comes after `Hello`.
fn later(happens: &'static str, event: impl Into<String>) -> Row {
    let event = event.into();
    let row = stream(happens, move |conn| conn.stream([&say("Hello"), &event, DONE]));
    row.fails(HELIO_ERR_SERVER, 200).keeps("Hello")
}

/// This is the whole answer, in JSON.
fn json_body(happens: &'static str, body: Value) -> Row {
    whole(happens, move |conn| conn.json(200, body.to_string())).fails(HELIO_ERR_SERVER, 200)
}

fn error(code: impl Into<Value>) -> Value {
    json!({"error": {"message": "What it said", "code": code.into()}})
}

/// A chunk with an error and a choice that ends with it.
fn both() -> Value {
    let choice = json!({"index": 0, "delta": {"content": ""}, "finish_reason": "error"});
    json!({"id": "g", "error": {"message": "Too much", "code": 429}, "choices": [choice]})
}

const NAMED: &str = "event: error\ndata: {\"message\":\"What it said\"}\n\n";

faults!(
    "An error inside a 200",
    "The server has begun with 200, and then refuses. As the first event it is a refusal like any other; later, what \
     had come is kept.",
    first_503 = first("the first event is an error with the code 503", &[&event(error(503))])
        .fails(HELIO_ERR_OVERLOADED, 200)
        .code("503")
        .says(&["What it said"])
        .again(),
    first_429 = first("the first event is an error with the code \"429\"", &[&event(error("429"))])
        .fails(HELIO_ERR_RATE_LIMITED, 200)
        .code("429")
        .again(),
    first_400 = first("the first event is an error with the code 400", &[&event(error(400))])
        .fails(HELIO_ERR_BAD_REQUEST, 200)
        .code("400"),
    first_401 = first("the first event is an error with the code 401", &[&event(error(401))])
        .fails(HELIO_ERR_AUTHENTICATION, 200)
        .code("401"),
    first_no_quota = first("the first event is an error: `insufficient_quota`", &[&event(error("insufficient_quota"))])
        .fails(HELIO_ERR_QUOTA_EXCEEDED, 200)
        .code("insufficient_quota"),
    first_context =
        first("the first event is an error: `context_length_exceeded`", &[&event(error("context_length_exceeded"))])
            .fails(HELIO_ERR_CONTEXT_LENGTH, 200)
            .code("context_length_exceeded"),
    first_no_code =
        first("the first event is an error without a code", &[&event(json!({"error": {"message": "Busy"}}))])
            .says(&["Busy"])
            .again(),
    first_string = first("the first event is an error that is a string", &[&event(json!({"error": "Busy"}))])
        .says(&["Busy"])
        .again(),
    first_after_comments = first("an error comes after comments", &[": ping\n\n", &event(error(503))])
        .fails(HELIO_ERR_OVERLOADED, 200)
        .again(),
    first_named = first("the first event is called `error`", &[NAMED]).says(&["What it said"]).again(),
    first_named_text =
        first("the first event is called `error`, and its data is text", &["event: error\ndata: Out of memory\n\n"])
            .says(&["Out of memory"])
            .again(),
    // Of a refusal nothing is kept; here the library hands out an answer without a word.
    first_finish = first("the first chunk has the `finish_reason` `error`", &[&finish("error")]).keeps("").again(),
    first_in_a_chunk = first("the first chunk has an error and the `finish_reason` `error`", &[&event(both())])
        .fails(HELIO_ERR_RATE_LIMITED, 200)
        .says(&["Too much"])
        .again(),
    llama_field = first(
        "a field `error`, which event streams do not have, and `[DONE]`",
        &["error: {\"code\":503,\"message\":\"slot busy\"}\n\n", DONE,]
    )
    .fails(HELIO_ERR_OVERLOADED, 200)
    .code("503")
    .says(&["slot busy"])
    .again(),
    first_bare = whole("bare JSON of an error in an event stream", |conn| {
        conn.answer(200, &[("content-type", "text/event-stream")], error(503).to_string());
    })
    .fails(HELIO_ERR_OVERLOADED, 200)
    .says(&["What it said"])
    .again(),
    later_503 = later("an error with the code 503 after a chunk", event(error(503)))
        .fails(HELIO_ERR_OVERLOADED, 200)
        .keeps("Hello")
        .says(&["What it said"]),
    later_429 = later("an error with the code 429 after a chunk", event(error(429)))
        .fails(HELIO_ERR_RATE_LIMITED, 200)
        .keeps("Hello"),
    later_no_code =
        later("an error without a code after a chunk", event(json!({"error": {"message": "Lost"}}))).says(&["Lost"]),
    later_named = later("an event called `error` after a chunk", NAMED).says(&["What it said"]),
    later_finish = later("the `finish_reason` `error` after a chunk", finish("error")),
    later_in_a_chunk = later("an error and the `finish_reason` `error` in a chunk after the first", event(both()))
        .fails(HELIO_ERR_RATE_LIMITED, 200)
        .keeps("Hello")
        .says(&["Too much"]),
    json_503 = json_body("a JSON answer that is an error with the code 503", error(503))
        .fails(HELIO_ERR_OVERLOADED, 200)
        .code("503")
        .again(),
    json_400 = json_body("a JSON answer that is an error with the code 400", error(400))
        .fails(HELIO_ERR_BAD_REQUEST, 200)
        .code("400"),
    json_no_code =
        json_body("a JSON answer that is an error without a code", json!({"error": "Busy"})).says(&["Busy"]).again(),
    json_with_choices = json_body(
        "a JSON answer whose choices are null, beside an error",
        json!({
            "id": "g", "object": "chat.completion", "choices": null, "error": {"message": "Busy", "code": 502},
        })
    )
    .says(&["Busy"])
    .again(),
);
