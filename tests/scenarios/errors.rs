//! What went wrong, in words a program can branch on and a person can act on, whatever shape the server gave it.

use std::net::TcpListener;

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::alone::alone;
use crate::support::ask::{ask_events, ask_stream, ask_whole, ask_with};
use crate::support::c::{Client, KEY, config_of, merged, status_name};
use crate::support::chat::{ASK, ASK_STREAM, chunk_of, event, finish, say};
use crate::support::conn::{Conn, Framing};
use crate::support::outcome::{Failure, Outcome};
use crate::this_test;

/// What becomes of this refusal; nothing is retried.
#[track_caller]
fn refusal(http_status: u16, content_type: &'static str, body: impl Into<String>) -> Failure {
    let body = body.into();
    let outcome = ask_whole(move |conn| conn.answer(http_status, &[("content-type", content_type)], &body));
    assert_eq!(outcome.data, None, "a refused status gives no data");
    assert_eq!(outcome.events.len(), 1, "a refused status gives DONE alone");
    let error = outcome.error.expect("an error");
    assert_eq!(error.http_status, i32::from(http_status));
    error
}

#[track_caller]
fn is(error: &Failure, status: helio_status) {
    assert_eq!(status_name(error.status), status_name(status), "{error:#?}");
}

#[test]
fn every_refused_number_has_its_status() {
    for (http_status, status) in [
        (400, HELIO_ERR_BAD_REQUEST),
        (401, HELIO_ERR_AUTHENTICATION),
        (402, HELIO_ERR_QUOTA_EXCEEDED),
        (403, HELIO_ERR_PERMISSION),
        (404, HELIO_ERR_NOT_FOUND),
        (405, HELIO_ERR_BAD_REQUEST),
        (408, HELIO_ERR_SERVER),
        (409, HELIO_ERR_SERVER),
        (410, HELIO_ERR_NOT_FOUND),
        (413, HELIO_ERR_BAD_REQUEST),
        (418, HELIO_ERR_BAD_REQUEST),
        (422, HELIO_ERR_BAD_REQUEST),
        (429, HELIO_ERR_RATE_LIMITED),
        (500, HELIO_ERR_SERVER),
        (502, HELIO_ERR_SERVER),
        (503, HELIO_ERR_OVERLOADED),
        (504, HELIO_ERR_SERVER),
        (522, HELIO_ERR_SERVER),
        (529, HELIO_ERR_OVERLOADED),
        (599, HELIO_ERR_SERVER),
    ] {
        let error = refusal(http_status, "application/json", r#"{"error":{"message":"Sorry","type":"t","code":"c"}}"#);
        is(&error, status);
        assert_eq!((error.code(), error.kind()), ("c", "t"), "{http_status}");
        assert_eq!(error.body(), r#"{"error":{"message":"Sorry","type":"t","code":"c"}}"#);
        error.says(&["Sorry"]);
        is(&refusal(http_status, "text/plain", ""), status);
    }
}

// ---- the shapes of an error ----

#[test]
fn shape_a_a_gateway_that_tried_everything() {
    let wrapped = |details: Value| {
        json!({"success": false, "error": {"code": "request_failed", "message": "All attempts failed", "details": details, "param": null}}).to_string()
    };
    let detail = |status: u16| json!({"type": "request_failed", "message": "The model does not exist", "statusCode": status, "source": "m/p/byok"});
    let error = refusal(500, "text/plain", wrapped(json!([detail(404), detail(404)])));
    is(&error, HELIO_ERR_NOT_FOUND);
    assert_eq!(error.code(), "request_failed");
    assert_eq!(error.retry_after_ms, -1, "the server called the request wrong");
    error.says(&["All attempts failed"]);
    is(&refusal(500, "text/plain", wrapped(json!([detail(404), detail(503)]))), HELIO_ERR_SERVER);
    is(&refusal(500, "text/plain", wrapped(json!([]))), HELIO_ERR_SERVER);
    is(&refusal(429, "text/plain", wrapped(json!([detail(429)]))), HELIO_ERR_RATE_LIMITED);
}

#[test]
fn shape_a_out_of_credits_is_no_rate_limit() {
    let error = refusal(
        429,
        "text/plain",
        r#"{"success":false,"error":{"code":"request_failed","message":"Insufficient credits","details":[{"type":"insufficient_credit_limit","message":"Insufficient credits","statusCode":429}],"param":null}}"#,
    );
    is(&error, HELIO_ERR_QUOTA_EXCEEDED);
    assert_eq!(error.retry_after_ms, -1);
}

#[test]
fn shape_b_an_openai_error() {
    for (http_status, code, status) in [
        (401, "invalid_api_key", HELIO_ERR_AUTHENTICATION),
        (429, "rate_limit_exceeded", HELIO_ERR_RATE_LIMITED),
        (429, "insufficient_quota", HELIO_ERR_QUOTA_EXCEEDED),
        (400, "context_length_exceeded", HELIO_ERR_CONTEXT_LENGTH),
        (400, "content_filter", HELIO_ERR_CONTENT_FILTERED),
        (400, "invalid_value", HELIO_ERR_BAD_REQUEST),
        (404, "model_not_found", HELIO_ERR_NOT_FOUND),
    ] {
        let body =
            json!({"error": {"message": "What it said", "type": "some_type", "param": null, "code": code}}).to_string();
        let error = refusal(http_status, "application/json", &body);
        is(&error, status);
        assert_eq!((error.code(), error.kind(), error.body()), (code, "some_type", body.as_str()));
        error.says(&["What it said"]);
    }
}

#[test]
fn shape_b_a_number_for_a_code_stands_for_the_status() {
    for code in [json!(429), json!("429")] {
        let body = json!({"error": {"message": "Slow down", "code": code}}).to_string();
        let error = refusal(400, "application/json", body);
        is(&error, HELIO_ERR_RATE_LIMITED);
        assert_eq!(error.code(), "429");
    }
    for code in [json!(7), json!("1234"), json!(200)] {
        let body = json!({"error": {"message": "No", "code": code}}).to_string();
        is(&refusal(400, "application/json", body), HELIO_ERR_BAD_REQUEST);
    }
}

#[test]
fn shape_c_a_string() {
    let error = refusal(400, "application/json", r#"{"error":"messages must not be empty"}"#);
    is(&error, HELIO_ERR_BAD_REQUEST);
    error.says(&["messages must not be empty"]);
}

#[test]
fn shape_d_a_bare_message() {
    let error = refusal(429, "application/json", r#"{"message":"Rate limit reached for this policy"}"#);
    is(&error, HELIO_ERR_RATE_LIMITED);
    error.says(&["Rate limit reached for this policy"]);
}

#[test]
fn shape_e_plain_text() {
    let error = refusal(401, "text/plain", "Invalid Helicone API key");
    is(&error, HELIO_ERR_AUTHENTICATION);
    error.says(&["Invalid Helicone API key"]);
    assert_eq!(error.body(), "Invalid Helicone API key");
    is(&refusal(405, "application/json", "Method not allowed"), HELIO_ERR_BAD_REQUEST);
}

#[test]
fn shape_f_a_threat_was_seen() {
    let body = r#"{"success":false,"error":{"code":"PROMPT_THREAT_DETECTED","message":"Prompt threat detected","details":"See your dashboard"}}"#;
    let error = refusal(400, "application/json", body);
    assert!([HELIO_ERR_BAD_REQUEST, HELIO_ERR_CONTENT_FILTERED].contains(&error.status), "{error:#?}");
    assert_eq!(error.code(), "PROMPT_THREAT_DETECTED");
    error.says(&["Prompt threat detected"]);
}

#[test]
fn shape_g_a_page_of_html() {
    let page =
        "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>";
    let error = refusal(502, "text/html", page);
    is(&error, HELIO_ERR_SERVER);
    assert_eq!(error.body(), page);
    error.says(&["502"]);
    assert!(!error.message.contains('<'), "no markup in a message: {:?}", error.message);
}

#[test]
fn other_shapes_of_the_field_are_understood() {
    for (body, words) in [
        (r#"[{"error":{"code":400,"message":"API key not valid","status":"INVALID_ARGUMENT"}}]"#, "API key not valid"),
        (
            r#"{"object":"error","message":"Extra inputs are not permitted","type":"extra_forbidden","code":null}"#,
            "Extra inputs",
        ),
        (r#"{"object":"error","message":{"detail":[{"msg":"field required","loc":["body"]}]}}"#, "field required"),
        (r#"{"detail":"Not what we wanted"}"#, "Not what we wanted"),
        (r#"{"detail":[{"msg":"field required","loc":["body"]}]}"#, "field required"),
        (r#"{"error":{"message":"","type":"odd_type","code":"odd_code"}}"#, "odd_"),
        (
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: required"}}"#,
            "max_tokens: required",
        ),
        ("null", "400"),
        ("{}", "400"),
        ("{\"error\":", "400"),
    ] {
        let error = refusal(400, "application/json", body);
        is(&error, HELIO_ERR_BAD_REQUEST);
        error.says(&[words]);
        assert_eq!(error.body(), body);
    }
}

#[test]
fn a_full_context_is_known_by_each_of_its_names() {
    for body in [
        r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":10,"n_ctx":5}}"#,
        r#"{"error":{"message":"This model's maximum context length is 8192 tokens","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
    ] {
        is(&refusal(400, "application/json", body), HELIO_ERR_CONTEXT_LENGTH);
        is(&refusal(500, "application/json", body), HELIO_ERR_CONTEXT_LENGTH);
    }
}

#[test]
fn a_filtered_prompt_is_known_by_its_code_and_by_its_inner_error() {
    let inner = r#"{"error":{"code":"c","innererror":{"code":"ResponsibleAIPolicyViolation"}},"status":400}"#;
    is(&refusal(400, "application/json", inner), HELIO_ERR_CONTENT_FILTERED);
    let body = r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true}}}}}"#;
    is(&refusal(400, "application/json", body), HELIO_ERR_CONTENT_FILTERED);
}

// ---- bodies ----

#[test]
fn an_error_body_that_breaks_off_changes_nothing() {
    for framing in [Framing::Length(5000), Framing::Chunked] {
        let outcome = ask_whole(move |conn| {
            conn.head(404, &[], framing);
            conn.body("{\"error\":{\"message\":\"No such mod");
            conn.wait_until_read();
            conn.reset();
        });
        let error = outcome.fails(HELIO_ERR_NOT_FOUND);
        assert_eq!(error.body(), "{\"error\":{\"message\":\"No such mod");
    }
}

#[test]
fn an_error_body_is_kept_up_to_one_mebibyte() {
    let outcome = ask_whole(|conn| conn.answer(400, &[], "x".repeat(3 << 20)));
    let error = outcome.fails(HELIO_ERR_BAD_REQUEST);
    assert_eq!(error.body().len(), 1 << 20);
    assert!(error.message.len() < 10_000, "a message of {} bytes", error.message.len());
    let outcome = ask_whole(|conn| {
        conn.head(503, &[], Framing::Chunked);
        conn.body_until_left(&"endless ".repeat(10_000), std::time::Duration::ZERO);
    });
    assert_eq!(outcome.fails(HELIO_ERR_OVERLOADED).body().len(), 1 << 20);
}

#[test]
fn an_error_body_of_broken_utf_8_is_repaired() {
    let outcome = ask_whole(|conn| conn.answer(500, &[], b"a\xff\xfeb\x00c"));
    assert_eq!(outcome.fails(HELIO_ERR_SERVER).body(), "a\u{fffd}\u{fffd}b\0c");
}

#[test]
fn a_zipped_error_is_unpacked() {
    use std::io::Write;
    let outcome = ask_whole(|conn| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(b"{\"error\":\"zipped\"}").unwrap();
        conn.answer(400, &[("content-encoding", "gzip")], encoder.finish().unwrap());
    });
    assert_eq!(outcome.fails(HELIO_ERR_BAD_REQUEST).body(), "{\"error\":\"zipped\"}");
}

#[test]
fn an_error_in_an_event_stream_is_still_an_error() {
    let outcome = ask_stream(|conn| {
        conn.answer(
            429,
            &[("content-type", "text/event-stream")],
            "data: {\"error\":{\"message\":\"Slow down\",\"type\":\"t\"}}\n\n",
        );
    });
    outcome.fails(HELIO_ERR_RATE_LIMITED).says(&["Slow down"]);
}

#[test]
fn the_evidence_is_in_the_report() {
    let outcome = ask_whole(|conn| {
        conn.answer(
            500,
            &[("x-request-id", "req-9"), ("x-ratelimit-remaining-tokens", "7"), ("helicone-id", "h-1")],
            "oops",
        );
    });
    let report = outcome.fails(HELIO_ERR_SERVER).report();
    assert_eq!(report["server_request_id"], "req-9");
    assert_eq!(report["headers"]["x-ratelimit-remaining-tokens"], "7");
    assert_eq!(report["headers"]["helicone-id"], "h-1");
    assert_eq!(report["attempts"][0]["http_status"], 500);
    assert_eq!(report["attempts"][0]["reused"], false);
    assert!(report["bytes_received"].as_u64().unwrap() > 4 && report["bytes_sent"].as_u64().unwrap() > 100);
}

#[test]
fn how_long_to_wait_is_said_where_waiting_helps() {
    let after = |http_status: u16, headers: &'static [(&str, &str)]| {
        let outcome = ask_whole(move |conn| conn.answer(http_status, headers, ""));
        outcome.error.expect("an error").retry_after_ms
    };
    assert_eq!(after(429, &[("retry-after", "7")]), 7000);
    assert_eq!(after(503, &[("retry-after-ms", "1234"), ("retry-after", "7")]), 1234);
    assert!(after(429, &[]) >= 0 && after(500, &[]) >= 0);
    for http_status in [400, 401, 402, 403, 404, 422] {
        assert_eq!(after(http_status, &[]), -1, "{http_status}");
    }
}

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
    is(&error, HELIO_ERR_INVALID_ARGUMENT);
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

#[test]
fn a_bad_key_is_told_as_such() {
    let error = refusal(401, "text/plain", "Invalid Helicone API key");
    is(&error, HELIO_ERR_AUTHENTICATION);
    error.says(&["key", "401"]);
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
    is(&error, HELIO_ERR_DNS);
    error.says(&["no-such-host.invalid"]);
}

#[test]
fn a_closed_port_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = unreachable(&format!("http://127.0.0.1:{port}/v1"));
    is(&error, HELIO_ERR_CONNECT);
    error.says(&[&format!("127.0.0.1:{port}")]);
}
