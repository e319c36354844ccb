//! The evidence of a call: what its report says, and what goes to the log.

use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicI32, Ordering};

use helio::abi::*;
use serde_json::json;

use crate::support::ask::ask_with;
use crate::support::c::{Client, client_options, create};
use crate::support::chat::{ASK, ASK_STREAM, completion, hello};
use crate::support::conn::Framing;
use crate::support::server::Server;

#[test]
fn a_report_has_all_its_members() {
    let server = Server::new(|request, conn| {
        let (kind, framing) = ("text/event-stream", Framing::Chunked);
        if request.json()["stream"] == true {
            conn.head(200, &[("content-type", kind), ("x-request-id", "r-7"), ("set-cookie", "a=b")], framing);
            for event in hello() {
                conn.body(event);
            }
            conn.end();
        } else {
            conn.json(200, completion("Hello"));
        }
    });
    let client = Client::of(&server);
    // The end of the first answer is known with its last byte, so that its connection is free for the second.
    for body in [ASK, ASK_STREAM] {
        let outcome = client.ask(body);
        outcome.ok();
        let report = outcome.report();
        let members = report.as_object().unwrap();
        for member in [
            "status",
            "timeout",
            "timeout_ms",
            "request",
            "client_request_id",
            "server_request_id",
            "attempts",
            "us",
            "bytes_sent",
            "bytes_received",
            "events",
            "terminator",
            "headers",
            "model",
            "usage",
        ] {
            assert!(members.contains_key(member), "{member} in {report}");
        }
        assert_eq!((&report["status"], &report["timeout"]), (&json!("OK"), &json!(null)));
        assert_eq!(report["request"], outcome.done().request);
        assert_eq!((&report["model"], &report["usage"]["total_tokens"]), (&json!("m-1"), &json!(5)));
        let us = &report["us"];
        for span in ["queued", "dns", "connect", "tls", "head", "first_event", "last_event", "total"] {
            assert!(us.get(span).is_some(), "{span} in {us}");
        }
        let at = |moment: &str| us[moment].as_u64().unwrap_or_else(|| panic!("{moment} in {us}"));
        assert!(at("head") <= at("first_event") && at("first_event") <= at("last_event"), "{us}");
        assert!(at("last_event") <= at("total") && at("total") > 0, "{us}");
        assert!(report["bytes_sent"].as_u64().unwrap() > body.len() as u64);
        assert!(report["bytes_received"].as_u64().unwrap() > outcome.data.as_ref().unwrap().len() as u64);
        let attempt = &report["attempts"][0];
        assert_eq!((&attempt["http_status"], &attempt["status"]), (&json!(200), &json!("OK")));
        assert_eq!(attempt["reused"], body == ASK_STREAM);
        assert_eq!(report["terminator"], body == ASK_STREAM);
        assert!(report["headers"].get("set-cookie").is_none(), "{report}");
        if body == ASK_STREAM {
            assert_eq!(
                (&report["server_request_id"], &report["headers"]["x-request-id"]),
                (&json!("r-7"), &json!("r-7"))
            );
            assert_eq!(report["events"], 5);
        }
    }
}

#[test]
fn the_request_id_of_helicone_is_in_the_report() {
    let id = "7f0a1a6e-3c1c-4b57-8a55-6b0f5a3f7c11";
    let server = Server::new(|_, conn| {
        conn.answer(
            200,
            &[("helicone-id", "h-1"), ("helicone-cache", "HIT"), ("x-ratelimit-reset", "1s")],
            completion("Hello"),
        );
    });
    let outcome = Client::of(&server).call(ASK).overrides(&json!({"helicone": {"request_id": id}})).run();
    outcome.ok();
    let report = outcome.report();
    assert_eq!(report["client_request_id"], id);
    assert_eq!(report["headers"], json!({"helicone-id": "h-1", "helicone-cache": "HIT", "x-ratelimit-reset": "1s"}));
}

#[test]
fn a_failed_call_reports_how_far_it_came() {
    let outcome = ask_with(json!({"timeouts": {"idle_ms": 150}}), ASK_STREAM, |conn| {
        conn.stream_head();
        conn.body(hello()[..3].concat());
        conn.stall();
    });
    let report = outcome.fails(HELIO_ERR_TIMEOUT).report();
    assert_eq!((&report["status"], &report["events"]), (&json!("TIMEOUT"), &json!(3)));
    assert_eq!((&report["attempts"][0]["http_status"], &report["terminator"]), (&json!(200), &json!(false)));
    assert!(report["us"]["total"].as_u64() >= Some(150_000), "{report}");
}

// ---- logs ----

unsafe extern "C" fn keep_loudest(level: i32, _: *const c_char, _: *const c_char, _: usize, user_data: *mut c_void) {
    // SAFETY: `user_data` is the number of the test that is running.
    unsafe { &*user_data.cast::<AtomicI32>() }.fetch_max(level, Ordering::Relaxed);
}

/// The most detailed level that is heard of a failed call at this log level.
fn heard_at(log_level: i32) -> i32 {
    let server = Server::new(|_, conn| conn.answer(503, &[], "Busy"));
    let loudest = AtomicI32::new(0);
    let config = json!({"base_url": server.url(), "api_key": "k", "retry": {"base_ms": 1}}).to_string();
    let mut options = client_options();
    options.config = config.as_ptr().cast();
    options.config_len = config.len();
    options.log_level = log_level;
    options.log_fn = Some(keep_loudest);
    options.log_user_data = (&raw const loudest).cast_mut().cast();
    let handle = create(&options).unwrap();
    handle.ask(ASK).fails(HELIO_ERR_OVERLOADED);
    assert_eq!(handle.destroy(10_000), HELIO_OK);
    loudest.into_inner()
}

#[test]
fn the_log_level_is_obeyed() {
    for level in [HELIO_LOG_ERROR, HELIO_LOG_WARN, HELIO_LOG_INFO, HELIO_LOG_DEBUG, HELIO_LOG_TRACE] {
        assert!(heard_at(level) <= level, "level {level}");
    }
    assert!(heard_at(0) <= HELIO_LOG_WARN, "0 means WARN");
    assert!(heard_at(HELIO_LOG_TRACE) > HELIO_LOG_WARN, "something is said at all");
}
