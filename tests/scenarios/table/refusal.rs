//! Refusals by what their body says, in every shape.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use helio::abi::*;
use serde_json::{Value, json};

use super::row::{Row, whole};
use crate::support::c::KEY;
use crate::support::conn::{Conn, Framing};

/// A refusal with this body.
fn body(happens: &'static str, http_status: u16, body: impl ToString) -> Row {
    let body = body.to_string();
    whole(happens, move |conn| conn.json(http_status, &body)).fails(HELIO_ERR_BAD_REQUEST, http_status.into())
}

/// An error of a gateway that has tried providers, each of which answered with one of these.
fn wrapped(statuses: &[u16]) -> Value {
    let detail = |status: &u16| json!({"type": "request_failed", "message": "it said no", "statusCode": status, "source": "m/p/byok"});
    let details: Vec<_> = statuses.iter().map(detail).collect();
    json!({"success": false, "error": {"code": "request_failed", "message": "All attempts failed", "details": details, "param": null}})
}

/// An error of the common shape with this code.
fn coded(code: impl Into<Value>) -> Value {
    json!({"error": {"message": "What it said", "type": "some_type", "param": null, "code": code.into()}})
}

/// Half a body, and then this.
fn broken(happens: &'static str, framing: Framing, end: fn(&mut Conn)) -> Row {
    let row = whole(happens, move |conn| {
        conn.head(404, &[], framing);
        conn.body("{\"error\":{\"message\":\"No such mod");
        conn.wait_until_read();
        end(conn);
    });
    row.fails(HELIO_ERR_NOT_FOUND, 404).says(&["No such mod"])
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("a buffer");
    encoder.finish().expect("a buffer")
}

const INSUFFICIENT: &str = r#"{"success":false,"error":{"code":"request_failed","message":"Insufficient credits","details":[{"type":"insufficient_credit_limit","message":"Insufficient credits","statusCode":429}],"param":null}}"#;
const THREAT: &str = r#"{"success":false,"error":{"code":"PROMPT_THREAT_DETECTED","message":"Prompt threat detected","details":"See your dashboard"}}"#;
const CONTEXT_SIZE: &str = r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":10,"n_ctx":5}}"#;
const AZURE_FILTER: &str = r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;
const INNER_FILTER: &str =
    r#"{"error":{"message":"No","code":"c","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;
const GEMINI: &str = r#"[{"error":{"code":400,"message":"API key not valid","status":"INVALID_ARGUMENT"}}]"#;
const MISTRAL: &str = r#"{"object":"error","message":{"detail":[{"msg":"field required","loc":["body"]}]},"type":"invalid_request_error"}"#;
const ANTHROPIC: &str = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
const PAGE: &str =
    "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>";

faults!(
    "A refusal: its body",
    "The body counts more than the number, whatever its shape. That it breaks off changes nothing.",
    wrapped_404 = body("a gateway's 500, and each provider said 404", 500, wrapped(&[404, 404]))
        .fails(HELIO_ERR_NOT_FOUND, 500)
        .code("request_failed")
        .says(&["All attempts failed"]),
    wrapped_422 =
        body("a gateway's 500, and the provider said 422", 500, wrapped(&[422])).says(&["All attempts failed"]),
    wrapped_429 = body("a gateway's 500, and each provider said 429", 500, wrapped(&[429, 429]))
        .fails(HELIO_ERR_RATE_LIMITED, 500)
        .again(),
    wrapped_503 = body("a gateway's 500, and the provider said 503", 500, wrapped(&[503]))
        .fails(HELIO_ERR_OVERLOADED, 500)
        .again(),
    wrapped_mixed = body("a gateway's 500, and the providers said different things", 500, wrapped(&[404, 503]))
        .fails(HELIO_ERR_SERVER, 500)
        .again(),
    wrapped_nothing = body("a gateway's 500 without details", 500, wrapped(&[])).fails(HELIO_ERR_SERVER, 500).again(),
    no_credits = body("429, and the credits are used up", 429, INSUFFICIENT)
        .fails(HELIO_ERR_QUOTA_EXCEEDED, 429)
        .says(&["Insufficient credits"]),
    no_quota = body("429 with the code `insufficient_quota`", 429, coded("insufficient_quota"))
        .fails(HELIO_ERR_QUOTA_EXCEEDED, 429)
        .code("insufficient_quota"),
    rate_limit = body("429 with the code `rate_limit_exceeded`", 429, coded("rate_limit_exceeded"))
        .fails(HELIO_ERR_RATE_LIMITED, 429)
        .code("rate_limit_exceeded")
        .again(),
    bad_key = body("401 with the code `invalid_api_key`", 401, coded("invalid_api_key"))
        .fails(HELIO_ERR_AUTHENTICATION, 401)
        .code("invalid_api_key"),
    bad_key_repeated =
        body("401, and the message repeats our key", 401, json!({"error": {"message": format!("Bad key {KEY}, bye")}}))
            .fails(HELIO_ERR_AUTHENTICATION, 401)
            .says(&["Bad key", "bye"]),
    context_length = body("400 with the code `context_length_exceeded`", 400, coded("context_length_exceeded"))
        .fails(HELIO_ERR_CONTEXT_LENGTH, 400)
        .code("context_length_exceeded"),
    context_size = body("500 with llama.cpp's `exceed_context_size_error`", 500, CONTEXT_SIZE)
        .fails(HELIO_ERR_CONTEXT_LENGTH, 500)
        .code("400")
        .says(&["context size"]),
    filter = body("400 with the code `content_filter`", 400, AZURE_FILTER)
        .fails(HELIO_ERR_CONTENT_FILTERED, 400)
        .code("content_filter"),
    inner_filter = body("400, and only its inner error speaks of a filter", 400, INNER_FILTER)
        .fails(HELIO_ERR_CONTENT_FILTERED, 400),
    number_503 = body("400 with the number 503 for a code", 400, coded(503))
        .fails(HELIO_ERR_OVERLOADED, 400)
        .code("503")
        .again(),
    string_429 =
        body("400 with the code \"429\"", 400, coded("429")).fails(HELIO_ERR_RATE_LIMITED, 400).code("429").again(),
    number_400 = body("500 with the number 400 for a code", 500, coded(400)).code("400"),
    number_odd = body("500 with a number for a code that is no status", 500, coded(1234))
        .fails(HELIO_ERR_SERVER, 500)
        .code("1234")
        .again(),
    error_string = body("400, and the error is a string", 400, "{\"error\":\"messages must not be empty\"}")
        .says(&["messages must not be empty"]),
    bare_message = body("429 with a bare message", 429, "{\"message\":\"Rate limit reached for this policy\"}")
        .fails(HELIO_ERR_RATE_LIMITED, 429)
        .says(&["Rate limit reached"])
        .again(),
    plain_text = whole("401 in plain text", |conn| {
        conn.answer(401, &[("content-type", "text/plain")], "Invalid Helicone API key");
    })
    .fails(HELIO_ERR_AUTHENTICATION, 401)
    .says(&["Invalid Helicone API key"]),
    threat = body("400, and the gateway has detected a threat", 400, THREAT)
        .code("PROMPT_THREAT_DETECTED")
        .says(&["Prompt threat detected"]),
    in_an_array = body("400, and the error lies in an array", 400, GEMINI).says(&["API key not valid"]),
    message_object = body("422, and the message is an object", 422, MISTRAL).says(&["field required"]),
    anthropic =
        body("529 in Anthropic's shape", 529, ANTHROPIC).fails(HELIO_ERR_OVERLOADED, 529).says(&["Overloaded"]).again(),
    page_502 = whole("502 with an HTML page", |conn| conn.answer(502, &[("content-type", "text/html")], PAGE))
        .fails(HELIO_ERR_SERVER, 502)
        .says(&["HTML", "502 Bad Gateway"])
        .again(),
    page_404 = whole("404 with an HTML page: `base_url` leads elsewhere", |conn| {
        conn.answer(404, &[("content-type", "text/html")], "<html><title>Not here</title></html>");
    })
    .fails(HELIO_ERR_NOT_FOUND, 404)
    .says(&["Not here", "base_url"]),
    as_a_stream = whole("429 as an event stream", |conn| {
        let data = "data: {\"error\":{\"message\":\"Slow down\",\"type\":\"t\"}}\n\n";
        conn.answer(429, &[("content-type", "text/event-stream")], data);
    })
    .fails(HELIO_ERR_RATE_LIMITED, 429)
    .says(&["Slow down"])
    .again(),
    empty = body("500 with an empty body", 500, "").fails(HELIO_ERR_SERVER, 500).says(&["500", "no reason"]).again(),
    not_utf8 = whole("500, and the body is no UTF-8", |conn| conn.answer(500, &[], b"out of \xff\xfe memory"))
        .fails(HELIO_ERR_SERVER, 500)
        .says(&["out of"])
        .again(),
    zipped = whole("400, and the body is packed with gzip", |conn| {
        conn.answer(400, &[("content-encoding", "gzip")], gzip("{\"error\":\"zipped\"}"));
    })
    .fails(HELIO_ERR_BAD_REQUEST, 400)
    .says(&["zipped"]),
    badly_zipped = whole("503, and the body is called gzip, but is none", |conn| {
        conn.answer(503, &[("content-encoding", "gzip")], "this is no gzip at all");
    })
    .fails(HELIO_ERR_OVERLOADED, 503)
    .again(),
    short = broken("404, and the body is shorter than its length", Framing::Length(5000), Conn::cut),
    chunk_cut = broken("404, and the chunked body is cut", Framing::Chunked, Conn::cut),
    reset = broken("404, and the connection is reset within the body", Framing::Chunked, Conn::reset),
    bad_chunk = broken("404, and the chunked framing of the body is wrong", Framing::Chunked, |conn| {
        conn.send("this is no size\r\n");
        conn.cut();
    }),
    endless = whole("503, and the body does not end", |conn| {
        conn.head(503, &[], Framing::Chunked);
        conn.body_until_left(&"endless ".repeat(10_000), std::time::Duration::ZERO);
    })
    .fails(HELIO_ERR_OVERLOADED, 503)
    .says(&["endless"])
    .again(),
    silent = whole("500, and the body falls silent", |conn| {
        conn.head(500, &[], Framing::Length(100));
        conn.body("{\"error\":");
        conn.stall();
    })
    .config(json!({"timeouts": {"idle_ms": 100}}))
    .times_out("idle", 500),
);
