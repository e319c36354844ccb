//! Two forms of an answer, a stream and a JSON object: which one it is, what is neither, how it may be packed,
//! and how large it may be.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use helio::abi::*;
use serde_json::{Value, json};

use crate::support::ask::{ask_events, ask_stream, ask_whole, ask_with};
use crate::support::c::Client;
use crate::support::chat::{ASK, ASK_STREAM, DONE, completion, completion_of, delta, event, finish, hello, say};
use crate::support::conn::{Conn, Framing, head};
use crate::support::server::Server;
use crate::support::sync::Gate;

const TYPES: [&str; 8] = [
    "",
    "application/json",
    "application/problem+json; charset=utf-8",
    "text/event-stream",
    "Text/Event-Stream; charset=latin1",
    "text/event-stream;",
    "text/plain",
    "application/octet-stream",
];

fn answer_as(conn: &mut Conn, content_type: &str, body: &str) {
    match content_type {
        "" => conn.answer(200, &[], body),
        content_type => conn.answer(200, &[("content-type", content_type)], body),
    }
}

#[test]
fn what_is_sent_decides_and_not_what_it_is_called() {
    for content_type in TYPES {
        for asked in [ASK, ASK_STREAM] {
            let whole = ask_with(json!({}), asked, move |conn| answer_as(conn, content_type, &completion("Hello")));
            whole.ok();
            assert!(whole.chunks().is_empty(), "{content_type:?}");
            assert_eq!(whole.events.len(), 2, "RESPONSE and DONE");
            let stream = ask_with(json!({}), asked, move |conn| answer_as(conn, content_type, &hello().concat()));
            stream.ok();
            assert_eq!(stream.chunks().len(), 5, "{content_type:?}");
            assert_eq!((whole.content(), stream.content()), ("Hello".into(), "Hello".into()));
        }
    }
}

#[test]
fn a_stream_is_known_by_any_first_line() {
    for first in ["", ": comment\n", "event: x\n", "id: 1\n", "retry: 5\n", "\n\n", "\u{feff}", "data\n\n", "\r\n:\r\n"]
    {
        let outcome = ask_whole(move |conn| answer_as(conn, "text/plain", &(first.to_string() + &hello().concat())));
        outcome.ok();
        assert_eq!(outcome.chunks().len(), 5, "{first:?}");
    }
}

#[test]
fn json_is_known_after_any_white_space() {
    for before in ["", " ", "\n", "\r\n\t  ", "\n\n\n\n"] {
        let outcome =
            ask_stream(move |conn| answer_as(conn, "text/event-stream", &(before.to_string() + &completion("Hello"))));
        outcome.ok();
        assert!(outcome.chunks().is_empty(), "{before:?}");
        assert_eq!(outcome.content(), "Hello");
    }
}

#[test]
fn a_body_that_is_neither_is_a_protocol_error() {
    for body in
        ["<!DOCTYPE html><html><body>Welcome</body></html>", "Hello", "[1,2]", "\"text\"", "5", "{broken", "{\"a\":1}x"]
    {
        for content_type in ["text/html", "application/json", "text/event-stream", ""] {
            let outcome = ask_whole(move |conn| answer_as(conn, content_type, body));
            // Half an object could be the beginning of a whole one; its length says that it was all.
            let error = outcome.fails(HELIO_ERR_PROTOCOL);
            assert_eq!((error.http_status, outcome.data.as_deref()), (200, None), "{content_type:?} {body:?}");
        }
    }
}

#[test]
fn an_empty_body_is_a_protocol_error() {
    for framing in [Framing::Length(0), Framing::Chunked, Framing::UntilClose] {
        for content_type in ["application/json", "text/event-stream"] {
            let outcome = ask_stream(move |conn| {
                conn.head(200, &[("content-type", content_type)], framing);
                conn.end();
            });
            outcome.fails(HELIO_ERR_PROTOCOL);
        }
    }
}

#[test]
fn data_that_is_no_object_is_a_protocol_error_and_is_shown() {
    for data in ["Internal error in backend", "[1]", "5", "{\"choices\":[", "true", "null"] {
        let outcome = ask_events(vec![say("Hello"), event(data), finish("stop"), DONE.into()]);
        let error = outcome.fails(HELIO_ERR_PROTOCOL);
        error.says(&[&data[..data.len().min(8)]]);
        assert_eq!(outcome.content(), "Hello", "{data:?}");
    }
}

#[test]
fn broken_chunk_framing_is_a_protocol_error() {
    for broken in ["zz\r\n", "-1\r\nx\r\n", "5\r\nabcdefgh\r\n", "\r\n\r\n"] {
        let outcome = ask_stream(move |conn| {
            conn.stream_head();
            conn.body(say("Hello"));
            conn.send(broken);
            conn.cut();
        });
        outcome.fails(HELIO_ERR_PROTOCOL);
        assert_eq!(outcome.content(), "Hello", "{broken:?}");
    }
}

#[test]
fn an_object_that_is_no_completion_is_no_success() {
    for body in
        ["{}", "{\"status\":\"ok\"}", "{\"choices\":[]}", "{\"choices\":null}", "{\"object\":\"list\",\"data\":[]}"]
    {
        let outcome = ask_whole(move |conn| conn.json(200, body));
        assert_ne!(outcome.status, HELIO_OK, "{body}");
        assert_eq!(outcome.events.len(), 1, "no RESPONSE for what is no completion: {body}");
    }
}

#[test]
fn a_json_answer_is_handed_out_as_it_was_sent() {
    let odd = r#" { "choices" : [ {"index":0,"message":{"role":"assistant","content":"\u0041\/"},"finish_reason":"stop","x":1.50} ], "n": 1e400, "id":null }"#;
    let outcome = ask_whole(move |conn| conn.json(200, odd));
    outcome.ok();
    assert_eq!(outcome.data.as_deref().map(str::trim), Some(odd.trim()));
    assert_eq!(outcome.done().text.as_deref(), Some("A/"));
}

// ---- gzip ----

fn zipped(pieces: &[String]) -> Vec<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut zipped: Vec<_> = pieces
        .iter()
        .map(|piece| {
            encoder.write_all(piece.as_bytes()).unwrap();
            encoder.flush().unwrap();
            std::mem::take(encoder.get_mut())
        })
        .collect();
    zipped.push(encoder.finish().unwrap());
    zipped
}

/// Sends the first pieces one by one, each when the one before was seen.
fn send_as_seen(pieces: Vec<Vec<u8>>, seen: &Gate, mut send: impl FnMut(Vec<u8>)) {
    for (place, piece) in pieces.into_iter().enumerate() {
        send(piece);
        if place < 3 {
            seen.wait_for(place + 1);
        }
    }
}

const ZIPPED_STREAM: [(&str, &str); 2] = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];

#[test]
fn a_zipped_answer_is_unpacked() {
    let outcome = ask_whole(|conn| {
        let body = zipped(&[completion("Hello")]).concat();
        conn.answer(200, &[("content-type", "application/json"), ("content-encoding", "gzip")], body);
    });
    assert_eq!(outcome.ok(), serde_json::from_str::<Value>(&completion("Hello")).unwrap());
}

#[test]
fn a_zipped_stream_is_delivered_as_it_arrives() {
    let seen = Gate::new();
    let server = {
        let seen = seen.clone();
        Server::new(move |_, conn| {
            conn.head(200, &ZIPPED_STREAM, Framing::Chunked);
            send_as_seen(zipped(&hello()), &seen, |piece| conn.body(piece));
            conn.end();
        })
    };
    let client = Client::of(&server);
    let call = client.call(ASK_STREAM).opens_at_chunks(&seen);
    let outcome = call.run();
    outcome.ok();
    assert_eq!((outcome.content().as_str(), outcome.chunks().len()), ("Hello", 5));
}

#[test]
fn a_zipped_stream_survives_arriving_byte_by_byte() {
    let outcome = ask_stream(|conn| {
        let body = zipped(&hello()).concat();
        conn.head(200, &ZIPPED_STREAM, Framing::Length(body.len()));
        conn.in_pieces(1);
        conn.body(body);
    });
    outcome.ok();
    assert_eq!(outcome.content(), "Hello");
}

#[test]
fn a_zipped_stream_behind_an_interim_head_is_unpacked() {
    let seen = Gate::new();
    let server = {
        let seen = seen.clone();
        Server::new(move |_, conn| {
            let zipped = zipped(&hello());
            let head = format!(
                "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                 content-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
                zipped.concat().len()
            );
            conn.send(head); // both heads at once
            send_as_seen(zipped, &seen, |piece| conn.send(piece));
        })
    };
    let client = Client::of(&server);
    let call = client.call(ASK_STREAM).opens_at_chunks(&seen);
    let outcome = call.run();
    outcome.ok();
    assert_eq!((outcome.content().as_str(), outcome.chunks().len()), ("Hello", 5));
}

#[test]
fn broken_gzip_is_a_protocol_error() {
    let outcome = ask_stream(|conn| {
        let body = zipped(&[say("Hello")]).remove(0);
        conn.head(200, &ZIPPED_STREAM, Framing::Length(body.len() + 64));
        conn.body(body);
        // What stands together with broken data in one block is broken, too.
        conn.wait_until_read();
        conn.body([0xff; 64]);
    });
    outcome.fails(HELIO_ERR_PROTOCOL);
    assert_eq!(outcome.content(), "Hello");
    let outcome = ask_stream(|conn| conn.answer(200, &ZIPPED_STREAM, hello().concat()));
    outcome.fails(HELIO_ERR_PROTOCOL);
}

#[test]
fn a_zipped_stream_that_is_cut_is_truncated() {
    let outcome = ask_stream(|conn| {
        conn.head(200, &ZIPPED_STREAM, Framing::Chunked);
        conn.body(zipped(&[say("Hello")]).remove(0));
        conn.cut();
    });
    outcome.fails(HELIO_ERR_TRUNCATED);
    assert_eq!(outcome.content(), "Hello");
}

#[test]
fn a_zip_bomb_is_too_large() {
    let limits = json!({"limits": {"max_response_bytes": 100_000}});
    let outcome = ask_with(limits, ASK, |conn| {
        let body = zipped(&[completion(&"x".repeat(3_000_000))]).concat();
        assert!(body.len() < 100_000, "small on the wire");
        conn.answer(200, &[("content-type", "application/json"), ("content-encoding", "gzip")], body);
    });
    outcome.fails(HELIO_ERR_TOO_LARGE);
}

// ---- limits ----

#[test]
fn an_event_over_its_limit_is_too_large_and_the_rest_is_kept() {
    let limits = json!({"limits": {"max_event_bytes": 5000}});
    for too_large in [
        format!("data: {{\"x\":\"{}\"}}\n\n", "x".repeat(6000)),
        format!(": {}\n\n", "x".repeat(6000)),
        format!("data: {}\n", "x".repeat(100)).repeat(60) + "\n",
    ] {
        let outcome = ask_with(limits.clone(), ASK_STREAM, move |conn| {
            conn.stream([&say("Hello"), &too_large, &finish("stop")]);
        });
        outcome.fails(HELIO_ERR_TOO_LARGE).says(&["max_event_bytes"]);
        assert_eq!(outcome.content(), "Hello");
    }
    let outcome = ask_with(limits, ASK_STREAM, |conn| conn.stream([say(&"x".repeat(4000)), finish("stop")]));
    assert_eq!(outcome.ok()["choices"][0]["message"]["content"], "x".repeat(4000));
}

#[test]
fn an_endless_line_ends() {
    let limits = json!({"limits": {"max_event_bytes": 1_000_000}});
    let outcome = ask_with(limits, ASK_STREAM, |conn| {
        conn.stream_head();
        conn.body("data: ");
        conn.body_until_left(&"x".repeat(10_000), Duration::ZERO);
    });
    outcome.fails(HELIO_ERR_TOO_LARGE);
}

#[test]
fn an_endless_stream_ends() {
    let limits = json!({"limits": {"max_response_bytes": 300_000}});
    let outcome = ask_with(limits.clone(), ASK_STREAM, |conn| {
        conn.stream_head();
        conn.body_until_left(&say("more and more"), Duration::ZERO);
    });
    outcome.fails(HELIO_ERR_TOO_LARGE).says(&["max_response_bytes"]);
    assert!(outcome.content().starts_with("more and more"));
    let outcome = ask_with(limits.clone(), ASK_STREAM, |conn| {
        conn.stream_head();
        conn.body_until_left(": and nothing else\n\n", Duration::ZERO);
    });
    outcome.fails(HELIO_ERR_TOO_LARGE);
    let outcome = ask_with(limits, ASK, |conn| {
        conn.head(200, &[("content-type", "application/json")], Framing::Chunked);
        conn.body("{\"choices\":\"");
        conn.body_until_left(&"x".repeat(5000), Duration::ZERO);
    });
    outcome.fails(HELIO_ERR_TOO_LARGE);
}

#[test]
fn a_large_head_passes_and_a_larger_one_is_too_large() {
    let with = |bytes: usize| {
        let value = "v".repeat(bytes / 20);
        ask_stream(move |conn| {
            let headers: Vec<_> = (0..20).map(|n| (format!("x-{n}"), value.clone())).collect();
            let mut headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            headers.push(("content-type", "text/event-stream"));
            conn.head(200, &headers, Framing::Chunked);
            for event in hello() {
                conn.body(event);
            }
            conn.end();
        })
    };
    for bytes in [1_000, 9_000, 40_000, 60_000] {
        let response = with(bytes);
        response.ok();
        assert_eq!(response.events[0].json()["headers"]["x-19"].as_str().unwrap().len(), bytes / 20);
    }
    with(80_000).fails(HELIO_ERR_TOO_LARGE).says(&["max_head_bytes"]);
    with(1_000_000).fails(HELIO_ERR_TOO_LARGE);
}

#[test]
fn a_head_that_never_ends_is_too_large() {
    let outcome = ask_stream(|conn| {
        conn.send("HTTP/1.1 200 OK\r\n");
        while !conn.has_left() {
            conn.send("x-more: and more of it\r\n");
        }
    });
    outcome.fails(HELIO_ERR_TOO_LARGE);
}

#[test]
fn a_head_of_a_hundred_fields_passes() {
    let outcome = ask_stream(|conn| {
        let names: Vec<_> = (0..100).map(|n| format!("x-{n}")).collect();
        let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
        conn.send(head(200, &headers, Framing::UntilClose));
        conn.send(hello().concat());
        conn.cut();
    });
    outcome.ok();
}

#[test]
fn an_image_of_several_megabytes_in_one_line_passes() {
    let image = format!("data:image/png;base64,{}", "QUJD".repeat(1_500_000));
    let outcome = ask_events(vec![
        say("Look"),
        delta(json!({"images": [{"type": "image_url", "image_url": {"url": image}}]})),
        finish("stop"),
        DONE.into(),
    ]);
    outcome.ok();
    let url = outcome.message()["images"][0]["image_url"]["url"].as_str().map(str::len);
    assert_eq!(url, Some(22 + 6_000_000));
}

#[test]
fn limits_can_be_set_for_one_call() {
    let server = Server::new(|_, conn| {
        conn.json(200, completion_of(json!({"role": "assistant", "content": "x".repeat(5000)}), "stop").to_string());
    });
    let client = Client::of(&server);
    let call = client.call(ASK).overrides(&json!({"limits": {"max_response_bytes": 1000}}));
    call.run().fails(HELIO_ERR_TOO_LARGE);
    client.ask(ASK).ok();
}
