//! Nothing that a client keeps secret stands in a string that the library makes: in no part of an error, in no report,
//! log line or figure, whatever the outcome.
//!
//! A client with every kind of secret meets servers and proxies that say all of them in every place they have, and
//! mistakes in a config that is full of them. What the answer itself says is the server's, and stays as it was sent.

mod answers;
mod ways;

use std::sync::{Arc, OnceLock};

use helio::Status;
use helio::abi::*;
use serde_json::json;

use crate::support::alone::alone;
use crate::support::c::{Client, Handle, status_name};
use crate::support::chat::{ASK, ASK_STREAM, completion_of, finish, say};
use crate::support::conn::Framing;
use crate::support::delivery::until;
use crate::support::secrets::Repeats::It;
use crate::support::secrets::{KEY, Looked, NEXT_KEY, ONCE, is_silent, proxy, said, secretive};
use crate::support::server::Server;
use crate::this_test;

/// Not looked at: what these say is fixed, and said before anything of a request is read.
const FIXED: [helio_status; 2] = [HELIO_ERR_REENTRANT, HELIO_ERR_FORKED];

#[test]
fn no_string_of_the_library_shows_a_secret_in_any_outcome() {
    let mut looked = Looked::default();
    answers::heads(&mut looked);
    answers::bodies(&mut looked);
    answers::refusals(&mut looked);
    answers::ends(&mut looked);
    ways::ways(&mut looked);
    ways::proxies(&mut looked);
    ways::mistakes(&mut looked);
    for status in Status::ALL.iter().map(|status| status.code()).filter(|status| !FIXED.contains(status)) {
        assert!(looked.0.contains(&status), "nothing was looked at that ends in {}", status_name(status));
    }
}

#[test]
fn a_key_that_was_changed_stays_a_secret() {
    let handle: Arc<OnceLock<Handle>> = Arc::default();
    let server = {
        let handle = handle.clone();
        Server::new(move |request, conn| {
            // The first request is on its way with the old key.
            let key = [Some(NEXT_KEY), None][request.number];
            assert_eq!(handle.get().unwrap().set_api_key(key), HELIO_OK);
            let said = json!({"error": {"message": format!("({KEY}) ({NEXT_KEY})"), "code": NEXT_KEY, "type": KEY}});
            conn.json(400, said.to_string());
        })
    };
    let client = Client::new(&secretive(&server.url(), &json!({})));
    assert!(handle.set(client.handle()).is_ok());
    let mut looked = Looked::default();
    for sent in [KEY, NEXT_KEY] {
        looked.at_outcome("both keys", HELIO_ERR_BAD_REQUEST, It, &client.ask(ASK), &client);
        let authorization = format!("Bearer {sent}");
        assert_eq!(server.requests().last().unwrap().header("authorization"), Some(authorization.as_str()));
    }
}

#[test]
fn what_comes_from_the_environment_is_a_secret_too() {
    let password = proxy("http", 9);
    alone(this_test!(), &[("HELIO_API_KEY", KEY), ("ALL_PROXY", &password), ("NO_PROXY", "127.0.0.1")], || {
        let server = Server::new(|_, conn| conn.json(400, json!({"message": said()}).to_string()));
        let config = secretive(&server.url(), &json!({"api_key": null, "proxy": "environment", "no_proxy": null}));
        let client = Client::new(&config);
        let outcome = client.call(ASK).overrides(&json!({"headers": {"X-Once": ONCE}})).run();
        Looked::default().at_outcome("the environment", HELIO_ERR_BAD_REQUEST, It, &outcome, &client);
    });
}

#[test]
fn a_number_that_looks_like_a_secret_leaves_the_report_json() {
    let server = Server::new(|_, conn| {
        let mut told = completion_of(json!({"content": "Hello"}), "stop");
        told["usage"] = json!({"total_tokens": 90210775});
        conn.json(200, told.to_string());
    });
    let client = Client::with(&server, json!({"headers": {"X-Number": "90210775"}}));
    let outcome = client.ask(ASK);
    outcome.ok();
    assert_eq!(outcome.report()["usage"], "***");
}

#[test]
fn an_answer_is_handed_on_as_it_was_sent_also_where_it_says_a_secret() {
    let chunks = [say(&said()), say(&said())];
    let server = {
        let chunks = chunks.clone();
        Server::new(move |request, conn| {
            conn.head(200, &[("content-type", "text/event-stream"), ("x-said", KEY)], Framing::Chunked);
            chunks.iter().for_each(|chunk| conn.body(chunk));
            if request.number == 0 {
                conn.body(finish("stop"));
            }
            conn.end();
        })
    };
    let client = Client::new(&secretive(&server.url(), &json!({})));
    for status in [HELIO_OK, HELIO_ERR_TRUNCATED] {
        let outcome = client.ask(ASK_STREAM);
        assert_eq!(outcome.status, status);
        assert_eq!(outcome.chunks().len(), if status == HELIO_OK { 3 } else { 2 });
        for (event, chunk) in outcome.chunks().iter().zip(&chunks) {
            assert_eq!((event.data(), event.text.as_deref()), (&chunk[6..chunk.len() - 2], Some(said().as_str())));
        }
        assert_eq!((outcome.content(), outcome.done().text.clone()), (said().repeat(2), Some(said().repeat(2))));
        assert_eq!(outcome.events[0].json()["headers"]["x-said"], KEY);
        outcome.error.iter().for_each(|error| is_silent("the error", &format!("{error:?}")));
    }
}

#[test]
fn a_log_line_is_masked_like_an_error() {
    let key = "sk-host-77ab01c9";
    let client = Client::new(&json!({"base_url": format!("http://{key}.invalid/v1"), "api_key": key})).keep_secret(key);
    assert_eq!(client.handle().prewarm(), HELIO_OK);
    until("the failure is logged", || client.logs().iter().any(|line| line.contains("the name ***.invalid")));
}

#[test]
fn no_part_of_a_secret_is_left_where_the_library_cuts_a_text_short() {
    let server = Server::new(|request, conn| {
        let text = "x".repeat(request.json()["seed"].as_u64().unwrap() as usize) + KEY + &"y".repeat(3000);
        match request.json()["user"].as_str().unwrap() {
            "message" => conn.answer(400, &[], text),
            "title" => conn.answer(400, &[], format!("<title>{text}</title>")),
            "target" => conn.answer(302, &[("location", &text)], ""),
            _ => conn.answer(200, &[], text),
        }
    });
    let client = Client::new(&secretive(&server.url(), &json!({"headers": null})));
    for (place, limit) in [("message", 2000), ("title", 200), ("target", 300), ("excerpt", 400)] {
        for before in limit - KEY.len()..limit {
            let outcome = client.ask(json!({"messages": [], "user": place, "seed": before}).to_string());
            let error = outcome.error.expect("an error");
            let texts = [Some(error.message), error.body];
            assert!(!texts.iter().flatten().any(|text| text.contains(&KEY[..6])), "{place} cut at {before}: {texts:?}");
        }
    }
}
