//! Bytes to events: byte-exact whatever the network does to them, by the event-stream standard.

use std::sync::Arc;

use helio::abi::*;
use serde_json::json;

use crate::support::ask::{ask_events, ask_stream, ask_whole};
use crate::support::c::Client;
use crate::support::chat::{ASK_STREAM, DONE, completion, event, finish, hello, say};
use crate::support::conn::{Framing, chunk, head};
use crate::support::outcome::Outcome;
use crate::support::server::Server;
use crate::support::sync::Gate;

/// What a host must see of [`everything`], whatever the line ends and the cuts.
const SEEN: [&str; 4] = [
    r#"{"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"zwölf "}}]}"#,
    "{\"id\":\"c\",\n  \"choices\":[{\"index\":0,\"delta\":{\"content\":\"€ 😀\"}}]\n}",
    "{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\u00e9\\u0000\\ud83d\\ude00\u{2028}\"},\"odd\":1E+2}]}",
    r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
];
const SAID: &str = "zwölf € 😀é\0😀\u{2028}";

/// A stream with all that the standard allows, its lines ended like this.
fn everything(end: &str) -> Vec<u8> {
    let lines = [
        "\u{feff}: comment € 😀",
        "",
        "event: message",
        &format!("data: {}", SEEN[0]),
        "id: 7",
        "",
        "retry: 10",
        "unknown: field",
        "data",
        "",
        "data: {\"id\":\"c\",",
        "data:   \"choices\":[{\"index\":0,\"delta\":{\"content\":\"€ 😀\"}}]",
        "data:}",
        "",
        "",
        &format!("data:{}", SEEN[2]),
        "",
        ":",
        "",
        &format!("data: {}", SEEN[3]),
        "",
        "data: [DONE]",
        "",
    ];
    lines.iter().flat_map(|line| [line.as_bytes(), end.as_bytes()]).flatten().copied().collect()
}

/// The whole response, with each event line in a chunk of its own, so that lines, characters, chunks and cuts
/// all lie across each other.
fn response(end: &str) -> Vec<u8> {
    let body = everything(end);
    let mut all = head(200, &[("content-type", "text/event-stream")], Framing::Chunked).into_bytes();
    for piece in body.chunks(37) {
        all.extend_from_slice(&chunk(piece));
    }
    all.extend_from_slice(b"0\r\n\r\n");
    all
}

#[track_caller]
fn shows_everything(outcome: &Outcome, what: &str) {
    outcome.ok();
    let seen: Vec<_> = outcome.chunks().iter().map(|chunk| chunk.data().to_string()).collect();
    assert_eq!(seen, SEEN, "{what}");
    assert_eq!(outcome.content(), SAID, "{what}");
    assert_eq!(outcome.report()["terminator"], true, "{what}");
}

fn is_byte_exact_at_every_cut(end: &'static str) {
    let bytes = response(end);
    let count = bytes.len();
    let server = Server::new(move |request, conn| conn.send_split(&bytes, &[request.number]));
    let client = Client::of(&server);
    for cut in 0..count {
        shows_everything(&client.ask(ASK_STREAM), &format!("{end:?}, cut after {cut} bytes"));
    }
}

#[test]
fn a_stream_of_lf_lines_is_byte_exact_at_every_cut() {
    is_byte_exact_at_every_cut("\n");
}

#[test]
fn a_stream_of_crlf_lines_is_byte_exact_at_every_cut() {
    is_byte_exact_at_every_cut("\r\n");
}

#[test]
fn a_stream_of_cr_lines_is_byte_exact_at_every_cut() {
    is_byte_exact_at_every_cut("\r");
}

#[test]
fn a_stream_survives_arriving_byte_by_byte() {
    for end in ["\n", "\r\n", "\r"] {
        let bytes = response(end);
        let server = Server::new(move |_, conn| {
            conn.in_pieces(1);
            conn.send(&bytes);
        });
        shows_everything(&Client::of(&server).ask(ASK_STREAM), end);
    }
}

#[test]
fn an_event_is_delivered_before_the_next_byte_arrives() {
    // The last one keeps its LF back: the event was complete before it.
    for (end, late) in [("\n\n", ""), ("\r\n\r\n", ""), ("\r\r", ""), ("\r\n\r", "\n"), ("\n\r", "\n")] {
        let seen = Gate::new();
        let server = {
            let seen = seen.clone();
            Server::new(move |_, conn| {
                conn.stream_head();
                for (place, text) in ["a", "b"].into_iter().enumerate() {
                    conn.body(say(text).trim_end().to_string() + end);
                    seen.wait_for(place + 1);
                    if !late.is_empty() {
                        conn.body(late);
                    }
                }
                conn.body(finish("stop") + DONE);
                conn.end();
            })
        };
        let client = Client::of(&server);
        let call = client.call(ASK_STREAM).opens_at_chunks(&seen);
        let outcome = call.run();
        outcome.ok();
        assert_eq!((outcome.content().as_str(), outcome.chunks().len()), ("ab", 3), "{end:?}");
    }
}

#[test]
fn response_comes_with_the_first_chunk_and_not_before() {
    let first = Gate::new();
    let server = {
        let first = first.clone();
        Server::new(move |_, conn| {
            conn.head(200, &[("Content-Type", "text/event-stream"), ("X-Request-Id", "r-1")], Framing::Chunked);
            conn.body(": nothing yet\n\n");
            // A host that saw RESPONSE now would have seen it before the server began to answer.
            conn.wait_until_read();
            first.open();
            for event in hello() {
                conn.body(event);
            }
            conn.end();
        })
    };
    let outcome = Client::of(&server)
        .call(ASK_STREAM)
        .on_event(|event| {
            assert!(!event.is_response() || first.is_open(), "RESPONSE before the first chunk");
            0
        })
        .run();
    assert_eq!(outcome.ok()["object"], "chat.completion");
    assert_eq!(outcome.content(), "Hello");
    let response = outcome.events[0].json();
    assert_eq!(response["status"], 200);
    assert_eq!(response["headers"]["x-request-id"], "r-1");
    assert_eq!(outcome.done().http_status, 200);
}

#[test]
fn keep_alives_are_no_events_wherever_they_come() {
    let keep_alives = [
        ": OPENROUTER PROCESSING\n\n",
        ":\n",
        ":\n\n",
        "\n\n\n",
        "data:\n\n",
        "data: \n\n",
        "data: \t \n\n",
        "data: \"\"\n\n",
        "data: : keepalive\n\n",
        "data: :\n\n",
        "event: ping\n\n",
        "id: 4\n\n",
        "retry: 5\n\n",
        "what is this\n\n",
    ]
    .concat();
    let events: Vec<_> = hello().into_iter().flat_map(|event| [keep_alives.clone(), event]).collect();
    let outcome = ask_events(events);
    outcome.ok();
    assert_eq!(outcome.content(), "Hello");
    assert_eq!(outcome.chunks().len(), 5);
}

#[test]
fn keep_alives_before_a_json_body_are_skipped() {
    for before in [": keep-alive\n\n", "\n\n\n", "\r\n: a\r\n\r\n  ", ":\n:\n \t"] {
        let outcome = ask_whole(move |conn| conn.json(200, before.to_string() + &completion("Hello")));
        assert_eq!(outcome.ok(), serde_json::from_str::<serde_json::Value>(&completion("Hello")).unwrap());
        assert!(outcome.chunks().is_empty(), "{before:?}");
    }
}

#[test]
fn the_type_of_an_event_does_not_hide_it() {
    let outcome = ask_events(vec![format!("event: completion.chunk\n{}", say("a")), finish("stop"), DONE.into()]);
    outcome.ok();
    assert_eq!(outcome.content(), "a");
}

#[test]
fn broken_utf_8_becomes_replacement_characters() {
    let mut broken = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a".to_vec();
    // An impossible byte, a character without its end, an overlong form, a surrogate.
    broken.extend_from_slice(b"\xff|\xe2\x82|\xc0\xaf|\xed\xa0\x80|b\"}}]}\n\n");
    let outcome = ask_events(vec![broken, finish("stop").into_bytes(), DONE.into()]);
    outcome.ok();
    let bad = "\u{fffd}";
    assert_eq!(outcome.content(), format!("a{bad}|{bad}|{bad}{bad}|{bad}{bad}{bad}|b"));
}

#[test]
fn half_a_surrogate_pair_does_not_end_a_stream() {
    // Backends that cut a text between UTF-16 units send each half in an event of its own.
    let halves = [r#""\ud83d""#, r#""\ude00 ok""#]
        .map(|half| event(format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{{"content":{half}}}}}]}}"#)));
    let outcome = ask_events([&halves[..], &[finish("stop"), DONE.into()]].concat());
    outcome.ok();
    assert!(outcome.content().ends_with(" ok"), "{:?}", outcome.content());
}

#[test]
fn a_bom_counts_only_at_the_beginning() {
    let events = [format!("\u{feff}{}", say("a")), say("\u{feff}b"), format!("\u{feff}{}", say("lost"))];
    let outcome = ask_events([&events[..], &[finish("stop"), DONE.into()]].concat());
    outcome.ok();
    assert_eq!(outcome.content(), "a\u{feff}b");
}

#[test]
fn a_content_that_says_done_ends_nothing() {
    let outcome = ask_events(vec![
        say("data: [DONE]\n\n"),
        event(json!({"choices": [], "note": "[DONE]"})),
        say(" and more"),
        finish("stop"),
        DONE.into(),
    ]);
    outcome.ok();
    assert_eq!(outcome.content(), "data: [DONE]\n\n and more");
}

#[test]
fn chunks_are_handed_out_as_the_server_sent_them() {
    let odd = r#"{ "z":1.0, "a" : 1e400,"choices":[ {"index":0,"delta":{"content":"\u0041\/"}} ],"n":-0,"big":123456789012345678901234567890 }"#;
    let outcome = ask_events(vec![event(odd), finish("stop"), DONE.into()]);
    outcome.ok();
    assert_eq!(outcome.chunks()[0].data(), odd);
    assert_eq!(outcome.chunks()[0].text.as_deref(), Some("A/"));
}

#[test]
fn many_events_in_one_packet_come_one_by_one_in_order() {
    let all: String = (0..2000).map(|n| say(&format!("{n} "))).collect();
    let outcome = ask_events(vec![all + &finish("stop") + DONE]);
    outcome.ok();
    assert_eq!(outcome.chunks().len(), 2001);
    assert_eq!(outcome.content(), (0..2000).map(|n| format!("{n} ")).collect::<String>());
}

#[test]
fn a_slow_host_loses_nothing() {
    let gate = Gate::new();
    let line = "x".repeat(40_000);
    let server = {
        let (gate, line) = (gate.clone(), line.clone());
        Server::new(move |_, conn| {
            conn.stream_head();
            // Far more than the sockets hold: the server is stopped until the host goes on.
            for _ in 0..150 {
                conn.body(say(&line));
            }
            gate.open();
            conn.body(finish("stop") + DONE);
            conn.end();
        })
    };
    let held_back = Arc::new(Gate::default());
    // Where events wait for the host, few may: else all of them would find room.
    let outcome = Client::with(&server, json!({"limits": {"queue_events": 4}}))
        .call(ASK_STREAM)
        .on_event(|event| {
            if event.is_response() {
                // A slow host: long enough for every buffer on the way to fill.
                std::thread::sleep(std::time::Duration::from_millis(300));
                if !gate.is_open() {
                    held_back.open();
                }
            }
            0
        })
        .run();
    outcome.ok();
    assert!(held_back.is_open(), "6 MB were read ahead of the host");
    assert_eq!(outcome.content().len(), 150 * line.len());
}

#[test]
fn an_unwatched_stream_ends_like_a_watched_one() {
    let server = Server::new(|_, conn| conn.stream(hello()));
    let client = Client::of(&server);
    let (watched, unwatched) = (client.ask(ASK_STREAM), client.call(ASK_STREAM).unwatched().run());
    assert_eq!(watched.ok(), unwatched.ok());
}

#[test]
fn an_interim_answer_is_not_the_answer() {
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nvia: 1.1 x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ] {
        for is_cut in [false, true] {
            let outcome = ask_stream(move |conn| {
                if is_cut {
                    let cuts: Vec<usize> = (1..interim.len()).collect();
                    conn.send_split(interim, &cuts);
                } else {
                    conn.send(interim);
                }
                conn.stream(hello());
            });
            outcome.ok();
            assert_eq!(outcome.events[0].http_status, 200, "{interim:?}");
        }
    }
}

#[test]
fn an_interim_status_that_http_does_not_have_is_a_protocol_error_wherever_it_stands() {
    for interim in [
        "HTTP/1.1 104 Strange\r\n\r\n",
        "HTTP/1.1 199 Strange\r\nfield: x\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 110 Strange\r\n\r\n",
    ] {
        let outcome = ask_stream(move |conn| {
            conn.send(interim);
            conn.stream(hello());
        });
        outcome.fails(HELIO_ERR_PROTOCOL).says(&["interim", "status 1"]);
    }
}

#[test]
fn an_interim_head_is_as_limited_as_any() {
    let server = Server::new(|_, conn| {
        conn.send("HTTP/1.1 103 Early Hints\r\nlink: </a");
        while !conn.has_left() {
            conn.send("a".repeat(1000));
        }
    });
    Client::of(&server).ask(ASK_STREAM).fails(HELIO_ERR_TOO_LARGE).says(&["max_head_bytes"]);
}

#[test]
fn interim_answers_without_end_are_too_large() {
    let outcome = ask_stream(|conn| {
        while !conn.has_left() {
            conn.send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(100));
        }
    });
    outcome.fails(HELIO_ERR_TOO_LARGE).says(&["interim", "max_head_bytes"]);
}
