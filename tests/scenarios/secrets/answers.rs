//! Servers that say every secret in every place they have. Each group names the source whose texts it is about.

use helio::abi::*;
use helio::fault;
use serde_json::{Value, json};

use crate::support::c::{Client, Handle, status_name};
use crate::support::chat::{ASK, ASK_STREAM, chunk_of, event, finish, say};
use crate::support::conn::{Conn, Framing};
use crate::support::delivery::Mode;
use crate::support::outcome::Event;
use crate::support::secrets::Repeats::{It, Nothing};
use crate::support::secrets::{COOKIE, KEY, Looked, ONCE, Repeats, said, said_in_json, secretive};
use crate::support::server::Server;

/// Asks a server that answers like this.
#[track_caller]
fn answer(
    looked: &mut Looked,
    what: &str,
    status: helio_status,
    repeats: Repeats,
    script: impl Fn(&mut Conn) + Send + Sync + 'static,
) {
    let server = Server::new(move |_, conn| script(conn));
    let client = Client::new(&secretive(&server.url(), &json!({})));
    let overrides = json!({"headers": {"X-Once": ONCE}, "limits": {"max_event_bytes": 4000}});
    let outcome = client.call(ASK_STREAM).overrides(&overrides).run();
    looked.at_outcome(what, status, repeats, &outcome, &client);
}

/// The head of an answer that says everything in every field whose value it can choose.
fn talkative(conn: &mut Conn, status: u16, framing: Framing) {
    let said = said();
    let fields =
        ["helicone-id", "helicone-cache", "x-ratelimit-limit", "retry-after", "retry-after-ms", "x-should-retry"];
    let more = ["content-type", "location", "server", "set-cookie", "www-authenticate", "x-anything"];
    let mut head: Vec<_> = fields.iter().chain(&more).map(|name| (*name, said.as_str())).collect();
    head.push(("x-request-id", KEY)); // one that is not ASCII is not taken for an id
    conn.head(status, &head, framing);
}

/// Heads: `Call::attempt`, `redirected`, `wire::explain`, the report's headers.
pub fn heads(looked: &mut Looked) {
    for (http, status) in [
        (200, HELIO_ERR_PROTOCOL),
        (204, HELIO_ERR_PROTOCOL),
        (302, HELIO_ERR_PROTOCOL),
        (400, HELIO_ERR_BAD_REQUEST),
        (404, HELIO_ERR_NOT_FOUND),
        (429, HELIO_ERR_RATE_LIMITED),
        (503, HELIO_ERR_OVERLOADED),
    ] {
        answer(looked, &format!("the fields of a {http}"), status, It, move |conn| {
            talkative(conn, http, Framing::Length(0));
        });
    }
    answer(looked, "the fields of an answer", HELIO_OK, It, |conn| {
        talkative(conn, 200, Framing::Chunked);
        conn.body(say("Hello") + &finish("stop"));
        conn.end();
    });
    answer(looked, "a redirect's user", HELIO_ERR_PROTOCOL, Nothing, |conn| {
        conn.answer(307, &[("location", &format!("https://{COOKIE}:{COOKIE}@elsewhere.example/"))], "");
    });
    answer(looked, "a content coding", HELIO_ERR_PROTOCOL, It, |conn| {
        conn.answer(200, &[("content-encoding", KEY)], "packed");
    });
    // Of what is no head, nothing is repeated.
    let said = said();
    for head in [
        format!("HTTP/1.1 401 {said}\r\ncontent-length: 0\r\n\r\n"),
        format!("{said}\r\n\r\n"),
        format!("HTTP/1.1 {said}\r\n\r\n"),
        format!("HTTP/1.1 199 {said}\r\nx-request-id: {said}\r\n\r\n"),
        format!("HTTP/1.1 100 Continue\r\nx-request-id: {said}\r\n\r\nHTTP/1.1 111 {said}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{said}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\ncontent-length: {said}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nx-request-id: {}\r\n\r\n", said.repeat(1000)),
        format!("HTTP/1.1 200 OK\r\nx-request-id: {said}"),
    ] {
        let status = match &head {
            head if head.contains(" 401 ") => HELIO_ERR_AUTHENTICATION,
            head if head.len() > 64 * 1024 => HELIO_ERR_TOO_LARGE,
            head if !head.ends_with("\r\n") => HELIO_ERR_NETWORK,
            _ => HELIO_ERR_PROTOCOL,
        };
        answer(looked, &head.clone(), status, Nothing, move |conn| {
            conn.send(&head);
            conn.cut();
        });
    }
}

/// Bodies of a 200: `Call::judge`, `not_understood`, the report's model and usage.
pub fn bodies(looked: &mut Looked) {
    let page = format!("<html><title>{}</title>{}</html>", said(), said());
    for (body, status, repeats) in [
        (page, HELIO_ERR_PROTOCOL, It),
        (said(), HELIO_ERR_PROTOCOL, It),
        (format!("{{\"x\":\"{}\"}}", said_in_json()), HELIO_ERR_PROTOCOL, It),
        (format!("{{\"choices\":[{{\"x\":\"{}", said_in_json()), HELIO_ERR_TRUNCATED, Nothing),
        (format!("data: {}\n\n", said()), HELIO_ERR_PROTOCOL, It),
        (format!("data: \"{}\"\n\n", said_in_json()), HELIO_ERR_PROTOCOL, It),
        (format!("data: [\"{}\"]\n\n", said_in_json().replace('/', "\\/")), HELIO_ERR_PROTOCOL, It),
        (say("Hello") + &format!("{{\"x\":\"{}\"}}\n\n", said_in_json()), HELIO_ERR_PROTOCOL, It),
        (format!("{0}: {0}\n\n: {0}\n\nid: {0}\n\n", said()), HELIO_ERR_PROTOCOL, It),
        (say(&said()), HELIO_ERR_TRUNCATED, Nothing),
        (say(&said().repeat(50)), HELIO_ERR_TOO_LARGE, Nothing),
    ] {
        answer(looked, &body.clone(), status, repeats, move |conn| conn.answer(200, &[], &body));
    }
    for (sent, status) in [
        (format!("{}\r\n", said()), HELIO_ERR_PROTOCOL),
        (format!("0\r\nx-request-id: {}\r\n\r\n", said()), HELIO_ERR_TRUNCATED),
    ] {
        answer(looked, "the framing", status, Nothing, move |conn| {
            conn.stream_head();
            conn.body(say("Hello"));
            conn.send(&sent);
            conn.cut();
        });
    }
    answer(looked, "gzip that is none", HELIO_ERR_PROTOCOL, Nothing, |conn| {
        conn.answer(200, &[("content-type", "application/json"), ("content-encoding", "gzip")], said());
    });
    // What the report repeats of an answer that is whole, in a stream and in JSON.
    let told = format!(
        "\"model\":\"{0}\",\"usage\":{{\"{0}\":[\"{1}\"]}}",
        said_in_json(),
        said_in_json().replace('/', "\\/")
    );
    let choices = r#""choices":[{"index":0,"message":{"content":""},"finish_reason":"stop"}]"#;
    for body in [format!("data: {{{told},{choices}}}\n\n"), format!("{{{told},{choices}}}")] {
        answer(looked, "model and usage", HELIO_OK, It, move |conn| conn.answer(200, &[], &body));
    }
}

/// Errors in every shape and every place: `Call::refused`, `chat::refusal`.
pub fn refusals(looked: &mut Looked) {
    let shapes = [
        r#"{"error":{"message":"…","type":"…","code":"…","param":"…","…":["…"]}}"#,
        r#"{"error":{"message":"…","details":[{"type":"…","message":"…"}]}}"#,
        r#"{"error":"…"}"#,
        r#"{"error":{"…":"…"}}"#,
    ];
    let bare = [
        r#"{"message":"…","code":"…"}"#,
        r#"{"detail":[{"msg":"…"}]}"#,
        r#"{"object":"error","message":"…"}"#,
        r#"[{"error":{"message":"…"}}]"#,
        r#"{"errors":["…"]}"#,
        r#"{"…":"…"}"#,
        r#""…""#,
        "…",
        "<html><title>…</title><p>…</p></html>",
        r#"{"error":{"message":"…"#,
    ];
    for (escaped, shape) in [said_in_json(), said_in_json().replace('/', "\\/")]
        .iter()
        .flat_map(|escaped| shapes.iter().chain(&bare).map(move |shape| (escaped, *shape)))
    {
        let body = shape.replace('…', escaped);
        let mut refused = |what: &str, status, script: fn(&mut Conn, &str)| {
            let body = body.clone();
            answer(looked, &format!("{shape} {what}"), status, It, move |conn| script(conn, &body));
        };
        refused("with 400", HELIO_ERR_BAD_REQUEST, |conn, body| conn.json(400, body));
        refused("with 500", HELIO_ERR_SERVER, |conn, body| conn.json(500, body));
        refused("that breaks off", HELIO_ERR_PERMISSION, |conn, body| {
            conn.head(403, &[], Framing::Length(1 << 20));
            conn.body(body);
            conn.cut();
        });
        refused("as an event", HELIO_ERR_SERVER, |conn, body| conn.stream([format!("event: error\ndata: {body}\n\n")]));
        if shapes.contains(&shape) {
            refused("in JSON", HELIO_ERR_SERVER, |conn, body| conn.json(200, body));
            refused("at first", HELIO_ERR_SERVER, |conn, body| conn.stream([format!("data: {body}\n\n")]));
            refused("later", HELIO_ERR_SERVER, |conn, body| conn.stream([say("x"), format!("data: {body}\n\n")]));
            refused("bare", HELIO_ERR_SERVER, |conn, body| conn.stream([say("x"), format!("{body}\n\n")]));
        }
    }
    for (code, status) in [
        ("insufficient_quota", HELIO_ERR_QUOTA_EXCEEDED),
        ("context_length_exceeded", HELIO_ERR_CONTEXT_LENGTH),
        ("content_filter", HELIO_ERR_CONTENT_FILTERED),
    ] {
        let body = json!({"error": {"message": said(), "code": code}}).to_string();
        answer(looked, code, status, It, move |conn| conn.json(400, &body));
    }
    answer(looked, "a finish that is an error", HELIO_ERR_SERVER, It, |conn| {
        let mut chunk = chunk_of(json!([{"index": 0, "delta": {"content": said()}, "finish_reason": "error"}]));
        chunk["reason"] = json!(said());
        conn.stream([say("x"), event(chunk)]);
    });
}

// ---- other ends ----

/// Ends that no server decides, in the middle of an answer that has said everything: `Call::stopped`, `timed_out`.
pub fn ends(looked: &mut Looked) {
    type OnChunk = fn(Handle) -> i32;
    let stops: [(helio_status, Value, OnChunk); 4] = [
        (HELIO_ERR_CANCELLED, json!({}), |_| 1),
        (HELIO_ERR_SHUT_DOWN, json!({}), |handle| handle.shutdown()),
        (HELIO_ERR_TIMEOUT, json!({"timeouts": {"idle_ms": 50}}), |_| 0),
        (HELIO_ERR_INTERNAL, json!({}), |_| 0),
    ];
    for (status, patch, on_chunk) in stops {
        let server = Server::new(|_, conn| {
            talkative(conn, 200, Framing::Chunked);
            conn.body(say(&said()));
            conn.stall();
        });
        let client = Client::new(&secretive(&server.url(), &patch));
        let (id, handle) = (client.reserve(), client.handle());
        if status == HELIO_ERR_INTERNAL {
            fault::arm("body", id);
        }
        let overrides = json!({"headers": {"X-Once": ONCE}});
        let hook = |event: &Event| if event.is_chunk() { on_chunk(handle) } else { 0 };
        let outcome = client.call(ASK_STREAM).id(id).overrides(&overrides).on_event(hook).run();
        looked.at_outcome(status_name(status), status, It, &outcome, &client);
    }
    let server = Server::new(|_, conn| conn.stall());
    let client = Client::new(&secretive(&server.url(), &json!({"limits": {"max_in_flight": 1, "max_queued": 0}})));
    let first = client.call(ASK).mode(Mode::Pull).submit();
    let outcome = client.ask(ASK);
    looked.at_outcome("no place", HELIO_ERR_BUSY, Nothing, &outcome, &client);
    client.cancel(first.id);
    first.wait();
}
