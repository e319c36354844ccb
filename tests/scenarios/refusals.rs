//! A refused HTTP status: which status of ours it becomes, and what can be read from its body, whatever shape that has.

use std::time::Duration;

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::ask::{ask_stream, ask_whole};
use crate::support::c::Client;
use crate::support::chat::ASK;
use crate::support::conn::Framing;
use crate::support::outcome::{Failure, Outcome};
use crate::support::server::Server;
use crate::support::time::Time;

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
        error.is(status);
        assert_eq!((error.code(), error.kind()), ("c", "t"), "{http_status}");
        assert_eq!(error.body(), r#"{"error":{"message":"Sorry","type":"t","code":"c"}}"#);
        error.says(&["Sorry"]);
        refusal(http_status, "text/plain", "").is(status);
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
    error.is(HELIO_ERR_NOT_FOUND);
    assert_eq!(error.code(), "request_failed");
    assert_eq!(error.retry_after_ms, -1, "the server called the request wrong");
    error.says(&["All attempts failed"]);
    refusal(500, "text/plain", wrapped(json!([detail(404), detail(503)]))).is(HELIO_ERR_SERVER);
    refusal(500, "text/plain", wrapped(json!([]))).is(HELIO_ERR_SERVER);
    refusal(429, "text/plain", wrapped(json!([detail(429)]))).is(HELIO_ERR_RATE_LIMITED);
}

#[test]
fn shape_a_out_of_credits_is_no_rate_limit() {
    let error = refusal(
        429,
        "text/plain",
        r#"{"success":false,"error":{"code":"request_failed","message":"Insufficient credits","details":[{"type":"insufficient_credit_limit","message":"Insufficient credits","statusCode":429}],"param":null}}"#,
    );
    error.is(HELIO_ERR_QUOTA_EXCEEDED);
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
        error.is(status);
        assert_eq!((error.code(), error.kind(), error.body()), (code, "some_type", body.as_str()));
        error.says(&["What it said"]);
    }
}

#[test]
fn shape_b_a_number_for_a_code_stands_for_the_status() {
    for code in [json!(429), json!("429")] {
        let body = json!({"error": {"message": "Slow down", "code": code}}).to_string();
        let error = refusal(400, "application/json", body);
        error.is(HELIO_ERR_RATE_LIMITED);
        assert_eq!(error.code(), "429");
    }
    for code in [json!(7), json!("1234"), json!(200)] {
        let body = json!({"error": {"message": "No", "code": code}}).to_string();
        refusal(400, "application/json", body).is(HELIO_ERR_BAD_REQUEST);
    }
}

#[test]
fn shape_c_a_string() {
    let error = refusal(400, "application/json", r#"{"error":"messages must not be empty"}"#);
    error.is(HELIO_ERR_BAD_REQUEST);
    error.says(&["messages must not be empty"]);
}

#[test]
fn shape_d_a_bare_message() {
    let error = refusal(429, "application/json", r#"{"message":"Rate limit reached for this policy"}"#);
    error.is(HELIO_ERR_RATE_LIMITED);
    error.says(&["Rate limit reached for this policy"]);
}

#[test]
fn shape_e_plain_text() {
    let error = refusal(401, "text/plain", "Invalid Helicone API key");
    error.is(HELIO_ERR_AUTHENTICATION);
    error.says(&["Invalid Helicone API key"]);
    assert_eq!(error.body(), "Invalid Helicone API key");
    refusal(405, "application/json", "Method not allowed").is(HELIO_ERR_BAD_REQUEST);
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
    error.is(HELIO_ERR_SERVER);
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
        error.is(HELIO_ERR_BAD_REQUEST);
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
        refusal(400, "application/json", body).is(HELIO_ERR_CONTEXT_LENGTH);
        refusal(500, "application/json", body).is(HELIO_ERR_CONTEXT_LENGTH);
    }
}

#[test]
fn a_filtered_prompt_is_known_by_its_code_and_by_its_inner_error() {
    let inner = r#"{"error":{"code":"c","innererror":{"code":"ResponsibleAIPolicyViolation"}},"status":400}"#;
    refusal(400, "application/json", inner).is(HELIO_ERR_CONTENT_FILTERED);
    let body = r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true}}}}}"#;
    refusal(400, "application/json", body).is(HELIO_ERR_CONTENT_FILTERED);
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
        conn.body_until_left(&"endless ".repeat(10_000), Duration::ZERO);
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
        let server = Server::new(move |_, conn| conn.answer(http_status, headers, ""));
        let outcome = Client::with(&server, json!({"retry": {"max_retries": 0}})).ask(ASK);
        outcome.error.expect("an error").retry_after_ms
    };
    assert_eq!(after(429, &[("retry-after", "7")]), 7000);
    assert_eq!(after(503, &[("retry-after-ms", "1234"), ("retry-after", "7")]), 1234);
    assert!(after(429, &[]) >= 0 && after(500, &[]) >= 0);
    for http_status in [400, 401, 402, 403, 404, 422] {
        assert_eq!(after(http_status, &[]), -1, "{http_status}");
    }
}

#[test]
fn a_bad_key_is_told_as_such() {
    let error = refusal(401, "text/plain", "Invalid Helicone API key");
    error.is(HELIO_ERR_AUTHENTICATION);
    error.says(&["key", "401"]);
}

#[test]
fn a_refusal_whose_body_does_not_end_is_waited_for_a_little_and_counts() {
    let body = r#"{"error":{"message":"Slow down","code":"rate_limit"}}"#;
    for sent in [body, &body[..30], ""] {
        let (outcome, requests) = stalled_after(sent, json!({}));
        let error = outcome.fails(HELIO_ERR_RATE_LIMITED);
        assert_eq!((error.http_status, error.body(), requests), (429, sent, 3), "and it was tried again");
        let passed = outcome.report()["us"]["total"].as_u64().unwrap();
        assert!(passed >= 15_000_000, "five seconds for each of three: {passed} us");
    }
}

#[test]
fn a_deadline_that_is_shorter_still_ends_a_refusal() {
    for (which, sent) in [("first_event", ""), ("idle", "{"), ("total", "{")] {
        let (outcome, requests) = stalled_after(sent, json!({"timeouts": {format!("{which}_ms"): 3000}}));
        assert_eq!((outcome.fails(HELIO_ERR_TIMEOUT).code(), requests), (which, 1));
    }
}

/// What becomes of a refusal of whose body so much comes and then nothing, while time passes; and how many requests.
fn stalled_after(sent: &str, config: Value) -> (Outcome, usize) {
    let (time, sent) = (Time::default(), sent.to_owned());
    let server = {
        let time = time.clone();
        Server::new(move |_, conn| {
            conn.head(429, &[("content-type", "application/json"), ("retry-after-ms", "1")], Framing::UntilClose);
            conn.body(&sent);
            conn.wait_until_read();
            while !conn.has_left() {
                time.pass(Duration::from_secs(1));
                std::thread::sleep(Duration::from_millis(1)); // only to leave the processor to the client
            }
        })
    };
    let client = Client::with(&server, config);
    time.set_to(client.handle());
    let outcome = client.ask(ASK);
    (outcome, server.requests().len())
}

#[test]
fn a_refusal_that_trickles_is_not_waited_for_without_end() {
    let time = Time::default();
    let server = {
        let time = time.clone();
        Server::new(move |_, conn| {
            conn.head(503, &[], Framing::Chunked);
            while !conn.has_left() {
                conn.body("more ");
                conn.wait_until_read();
                time.pass(Duration::from_secs(1));
            }
        })
    };
    let client = Client::with(&server, json!({"retry": {"max_retries": 0}}));
    time.set_to(client.handle());
    let outcome = client.ask(ASK);
    outcome.fails(HELIO_ERR_OVERLOADED).says(&["more more"]);
    assert!(outcome.report()["us"]["total"].as_u64().unwrap() >= 30_000_000);
}

#[test]
fn a_header_value_that_stands_in_a_refusal_too_does_not_change_what_it_is() {
    let body =
        r#"{"success":false,"error":{"message":"Used up","code":"insufficient_quota","upstream":true,"limit":2024}}"#;
    for headers in [json!({}), json!({"Helicone-Cache-Enabled": "true"}), json!({"X-Version": "2024"})] {
        let server = Server::new(move |_, conn| conn.json(429, body));
        let outcome = Client::with(&server, json!({"headers": headers})).ask(ASK);
        let error = outcome.fails(HELIO_ERR_QUOTA_EXCEEDED);
        assert_eq!((error.code(), server.requests().len()), ("insufficient_quota", 1), "{headers}");
    }
}
