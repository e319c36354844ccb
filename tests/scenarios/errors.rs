//! What went wrong, in words a program can branch on and a person can act on, whatever shape the server gave it.

use std::net::TcpListener;

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::alone::alone;
use crate::support::ask::{ask_events, ask_stream, ask_whole, ask_with};
use crate::support::c::{Client, KEY, config_of, merged};
use crate::support::chat::{ASK, ASK_STREAM, chunk_of, event, finish, say};
use crate::support::conn::Conn;
use crate::support::outcome::{Failure, Outcome};
use crate::this_test;

// ---- errors inside a 200 ----

#[test]
fn an_error_as_the_first_event_is_a_refusal() {
    for (error, status) in [
        (json!({"error": {"message": "Busy", "code": 503}}), HELIO_ERR_OVERLOADED),
        (json!({"error": {"message": "Busy", "code": "429"}}), HELIO_ERR_RATE_LIMITED),
        (json!({"error": {"message": "Busy", "code": "insufficient_quota"}}), HELIO_ERR_QUOTA_EXCEEDED),
        (json!({"error": {"message": "Busy"}}), HELIO_ERR_SERVER),
        (json!({"error": "Busy"}), HELIO_ERR_SERVER),
        (json!({"id": "gen-1", "choices": [], "error": {"message": "Busy", "code": 400}}), HELIO_ERR_BAD_REQUEST),
    ] {
        let outcome = ask_events(vec![event(&error)]);
        let failure = outcome.fails(status);
        failure.says(&["Busy"]);
        assert_eq!((failure.http_status, outcome.events.len()), (200, 1), "only DONE: {error}");
        // The same as a JSON answer.
        let outcome = ask_whole(move |conn| conn.json(200, error.to_string()));
        outcome.fails(status).says(&["Busy"]);
        assert_eq!(outcome.events.len(), 1);
    }
}

#[test]
fn an_event_called_error_is_an_error() {
    for data in
        [r#"{"message":"Out of memory","code":500}"#, r#"{"error":{"message":"Out of memory"}}"#, "Out of memory"]
    {
        let outcome = ask_events(vec![format!("event: error\ndata: {data}\n\n")]);
        outcome.fails(HELIO_ERR_SERVER).says(&["Out of memory"]);
    }
}

#[test]
fn an_error_after_the_beginning_keeps_what_had_come() {
    for (error, status) in [
        (event(json!({"error": {"message": "Provider disconnected", "code": 502}})), HELIO_ERR_SERVER),
        (event(json!({"error": {"message": "Provider disconnected", "code": 429}})), HELIO_ERR_RATE_LIMITED),
        ("event: error\ndata: {\"message\":\"Provider disconnected\"}\n\n".to_string(), HELIO_ERR_SERVER),
    ] {
        let outcome = ask_events(vec![say("Hel"), say("lo"), error]);
        outcome.fails(status).says(&["Provider disconnected"]);
        assert_eq!((outcome.content().as_str(), outcome.chunks().len()), ("Hello", 2));
        assert_eq!(outcome.answer()["choices"][0]["finish_reason"], Value::Null);
    }
}

#[test]
fn finish_reason_error_is_an_error() {
    let outcome = ask_events(vec![say("Hello"), finish("error")]);
    outcome.fails(HELIO_ERR_SERVER);
    assert_eq!(outcome.content(), "Hello");
    let both = json!({"id": "g", "error": {"message": "Too much", "code": 429}, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]});
    ask_events(vec![say("Hello"), event(both)]).fails(HELIO_ERR_RATE_LIMITED).says(&["Too much"]);
}

#[test]
fn an_error_that_is_null_is_none() {
    let mut chunk = chunk_of(json!([{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}]));
    chunk["error"] = Value::Null;
    let outcome = ask_events(vec![event(chunk)]);
    outcome.ok();
}

#[test]
fn a_bare_error_inside_an_event_stream_is_found() {
    let outcome = ask_stream(|conn| {
        conn.answer(
            200,
            &[("content-type", "text/event-stream")],
            r#"{"error":{"message":"Model not loaded","code":503}}"#,
        );
    });
    outcome.fails(HELIO_ERR_OVERLOADED).says(&["Model not loaded"]);
    // A field that the standard does not know, before the terminator: at least not a success.
    let outcome = ask_events(vec!["error: {\"message\":\"slot busy\"}\n\ndata: [DONE]\n\n"]);
    assert_ne!(outcome.status, HELIO_OK);
}

// ---- heads ----

#[track_caller]
fn protocol_error(script: fn(&mut Conn)) -> Outcome {
    let outcome = ask_whole(script);
    outcome.fails(HELIO_ERR_PROTOCOL);
    assert_eq!(outcome.events.len(), 1);
    outcome
}

#[test]
fn what_is_not_http_is_a_protocol_error() {
    let scripts: [fn(&mut Conn); 5] = [
        |conn| conn.send("SSH-2.0-OpenSSH_9.2\r\n"),
        |conn| conn.send("<html>hello</html>\r\n\r\n"),
        |conn| conn.send("\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0d\0\x04\0\0\0\0\r\n\r\n"),
        |conn| conn.send("HTTP/1.1 abc OK\r\n\r\n"),
        |conn| conn.send("HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}"),
    ];
    for script in scripts {
        let outcome = ask_whole(move |conn| {
            script(conn);
            conn.cut();
        });
        outcome.fails(HELIO_ERR_PROTOCOL);
    }
}

#[test]
fn answers_that_cannot_be_one_are_protocol_errors() {
    protocol_error(|conn| conn.send("HTTP/1.1 204 No Content\r\n\r\n"));
    protocol_error(|conn| conn.answer(205, &[], ""));
    protocol_error(|conn| conn.send("HTTP/1.1 199 Odd\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    protocol_error(|conn| conn.send("HTTP/1.1 304 Not Modified\r\n\r\n"));
}

#[test]
fn no_redirect_is_followed_and_the_message_names_the_target() {
    for http_status in [300, 301, 302, 303, 307, 308] {
        let outcome =
            ask_whole(move |conn| conn.answer(http_status, &[("location", "https://elsewhere.example/v1")], "moved"));
        let error = outcome.fails(HELIO_ERR_PROTOCOL);
        error.says(&["https://elsewhere.example/v1"]);
        assert_eq!(error.http_status, i32::from(http_status));
    }
}

// ---- secrets ----

const TENANT: &str = "tenant-secret-0c9d77";

/// Asks with a secret header and checks, as every call does, that no secret comes back.
#[track_caller]
fn asked_with_secrets(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Failure {
    let outcome = ask_with(json!({"headers": {"x-tenant": TENANT}}), ASK_STREAM, script);
    let error = outcome.error.clone().expect("an error");
    let all = format!("{error:?}{:?}", outcome.done().report);
    assert!(!all.contains(KEY) && !all.contains(TENANT), "a secret in {all}");
    error
}

#[test]
fn secrets_that_the_server_sends_back_are_masked() {
    for text in [KEY, TENANT, "Bearer sk-test-4f1d9b7c2e8a6035"] {
        let error = asked_with_secrets(move |conn| {
            let said = format!("Incorrect key provided: {text}. Bye");
            conn.json(401, json!({"error": {"message": said, "type": text, "code": text}}).to_string());
        });
        error.says(&["Incorrect key provided", "Bye"]);
        asked_with_secrets(move |conn| conn.answer(500, &[], format!("no: {text}, {text}")));
        asked_with_secrets(move |conn| conn.stream([event(json!({"error": {"message": text, "code": 400}}))]));
        asked_with_secrets(move |conn| conn.stream([say("Hello"), event(json!({"error": {"message": text}}))]));
        asked_with_secrets(move |conn| conn.stream([say("Hello"), event(text)]));
        asked_with_secrets(move |conn| {
            conn.answer(302, &[("location", &format!("https://a.example/?key={text}"))], "")
        });
        asked_with_secrets(move |conn| conn.answer(400, &[("x-request-id", text), ("x-ratelimit-limit", text)], ""));
    }
}

#[test]
fn a_secret_is_masked_where_the_kept_body_breaks_off() {
    // The key lies across the end of what is kept: not even a long part of it may stay.
    for before in (1 << 20) - KEY.len()..(1 << 20) {
        if before % 5 != 0 {
            continue;
        }
        let error = asked_with_secrets(move |conn| conn.answer(500, &[], "x".repeat(before) + KEY + "yyyy"));
        assert!(!error.body().contains(&KEY[..12]), "the key was cut after {} bytes", (1 << 20) - before);
    }
}

#[test]
fn the_user_info_of_a_url_is_refused_without_being_repeated() {
    let config = config_of("https://someone:hunter2-secret@api.example/v1");
    let error = Client::try_new(Some(config.to_string().as_bytes())).err().expect("no client");
    error.is(HELIO_ERR_INVALID_ARGUMENT);
    assert!(!error.message.contains("hunter2-secret"), "{:?}", error.message);
    error.says(&["base_url"]);
}

// ---- the five that everybody meets first ----

#[test]
fn without_a_key_the_message_says_where_to_put_one() {
    alone(this_test!(), &[], || {
        let client = Client::try_new(None).expect("a client without a key");
        let outcome = client.ask(ASK);
        let error = outcome.refused(HELIO_ERR_AUTHENTICATION);
        error.says(&["HELICONE_API_KEY", "api_key"]);
    });
}

fn unreachable(url: &str) -> Failure {
    let config = merged(config_of(url), &json!({"retry": {"max_retries": 0}}));
    let outcome = Client::new(&config).ask(ASK);
    assert_eq!(outcome.events.len(), 1, "DONE alone");
    assert_eq!(outcome.data, None);
    let error = outcome.error.expect("an error");
    assert_eq!(error.http_status, 0);
    error
}

#[test]
fn an_unknown_host_is_named() {
    let error = unreachable("http://no-such-host.invalid/v1");
    error.is(HELIO_ERR_DNS);
    error.says(&["no-such-host.invalid"]);
}

#[test]
fn a_closed_port_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = unreachable(&format!("http://127.0.0.1:{port}/v1"));
    error.is(HELIO_ERR_CONNECT);
    error.says(&[&format!("127.0.0.1:{port}")]);
}
