//! What goes out: the body as it came, the headers that a setting asks for, and nothing that could be smuggled.

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::alone::alone;
use crate::support::ask::{answering, sent};
use crate::support::c::{Client, KEY, config_of};
use crate::support::chat::{ASK, ASK_STREAM, completion};
use crate::support::server::Server;
use crate::this_test;

#[track_caller]
fn refused(config: Value, overrides: Value) {
    let server = answering();
    let client = Client::with(&server, config);
    client.call(ASK).overrides(&overrides).run().refused(HELIO_ERR_INVALID_ARGUMENT);
    assert_eq!(server.connections(), 0, "nothing may go out");
}

// ---- the body ----

#[test]
fn the_body_goes_out_byte_for_byte() {
    for body in [
        "{ \"model\":\"m\" ,\n\t\"messages\":[ ],  \"n\":1.0, \"big\":1e400, \"x\":{\"é\":\"\\u00e9\\/\"}, \"n\":2 }",
        "{}",
        " \r\n{\"unknown\":[[[[null]]]],\"stream\":false}\n ",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"\\ud83d\\ude00 \u{2028} 世界\"}]}",
        "{\"stream\":\"yes\",\"stream\":null}",
    ] {
        let server = answering();
        Client::of(&server).ask(body).ok();
        assert_eq!(server.only_request().text(), body);
    }
}

#[test]
fn a_length_is_obeyed_and_strlen_finds_its_own() {
    let server = answering();
    let client = Client::of(&server);
    client.call(format!("{ASK}, and what is not part of it")).len(ASK.len()).run().ok();
    client.call(ASK).len(HELIO_STRLEN).run().ok();
    assert!(server.requests().iter().all(|request| request.text() == ASK));
}

#[test]
fn a_large_body_arrives_whole() {
    let content: String = (0..400_000).map(|n| format!("{n} ")).collect();
    let body = json!({"messages": [{"role": "user", "content": content}]}).to_string();
    let server = answering();
    let client = Client::of(&server);
    client.ask(&body).ok();
    client.ask(&body).ok();
    assert!(server.requests().iter().all(|request| request.text() == body));
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_small_request_is_one_segment() {
    let server = answering();
    let client = Client::of(&server);
    for _ in 0..20 {
        client.ask(ASK).ok();
    }
    for request in server.requests() {
        assert_eq!(request.segments as usize, request.place + 1, "head and body of request {}", request.number);
    }
}

// ---- the head ----

#[test]
fn the_head_says_what_it_must_and_nothing_twice() {
    for body in [ASK, ASK_STREAM] {
        let server = answering();
        Client::of(&server).ask(body).ok();
        let request = server.only_request();
        assert_eq!((request.method.as_str(), request.version.as_str()), ("POST", "HTTP/1.1"));
        assert_eq!(request.header("host"), Some(format!("127.0.0.1:{}", server.port()).as_str()));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("content-length"), Some(body.len().to_string().as_str()));
        assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
        assert_eq!(request.header("expect"), None);
        assert!(request.header("user-agent").unwrap().starts_with("helio/"), "{request:#?}");
        for (name, _) in &request.headers {
            assert_eq!(request.all(name).len(), 1, "{name} was sent twice");
        }
    }
}

#[test]
fn a_base_url_is_joined_as_a_person_expects() {
    for (path, target) in [
        ("", "/chat/completions"),
        ("/", "/chat/completions"),
        ("/v1", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/router/x-1", "/router/x-1/chat/completions"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1?api-version=1&x=%20y", "/v1/chat/completions?api-version=1&x=%20y"),
        (
            "/openai/deployments/d/chat/completions?api-version=2024",
            "/openai/deployments/d/chat/completions?api-version=2024",
        ),
        ("/a%2Fb", "/a%2Fb/chat/completions"),
    ] {
        let server = answering();
        let url = server.origin() + path;
        Client::with(&server, json!({"base_url": url})).ask(ASK).ok();
        assert_eq!(server.only_request().target, target, "{path}");
    }
}

#[test]
fn configured_headers_replace_ours() {
    let request = sent(
        json!({"headers": {"AUTHORIZATION": "Basic abc", "User-Agent": "host/1", "content-type": "application/json; charset=utf-8", "X-Own": "a, b"}}),
        json!({}),
    );
    assert_eq!(request.header("authorization"), Some("Basic abc"));
    assert_eq!(request.header("user-agent"), Some("host/1"));
    assert_eq!(request.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(request.header("x-own"), Some("a, b"));
}

#[test]
fn overrides_are_a_merge_patch_for_one_call() {
    let config = json!({"headers": {"x-a": "1", "x-b": "2"}});
    let request = sent(config.clone(), json!({"headers": {"x-b": null, "x-c": "3"}}));
    assert_eq!((request.header("x-a"), request.header("x-b"), request.header("x-c")), (Some("1"), None, Some("3")));
    let request = sent(config, json!({"headers": null}));
    assert_eq!(request.header("x-a"), None);

    let server = answering();
    let client = Client::of(&server);
    client.call(ASK).overrides(&json!({"headers": {"x-once": "1"}})).run().ok();
    client.ask(ASK).ok();
    assert_eq!(server.requests()[1].header("x-once"), None);
}

#[test]
fn nothing_can_be_smuggled_into_the_head() {
    for (name, value) in [
        ("x-a", "b\r\nx-evil: 1"),
        ("x-a", "b\nx-evil: 1"),
        ("x-a", "b\rc"),
        ("x-a", "b\0c"),
        ("x-a\r\nx-evil", "1"),
        ("x a", "1"),
        ("x-a:", "1"),
        ("", "1"),
        ("x-\u{e9}", "1"),
        ("Host", "elsewhere"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("CONNECTION", "upgrade"),
    ] {
        refused(json!({}), json!({"headers": {name: value}}));
        let config = json!({"base_url": "http://127.0.0.1:9", "headers": {name: value}}).to_string();
        let error = Client::try_new(Some(config.as_bytes())).err().unwrap_or_else(|| panic!("{name:?}: {value:?}"));
        assert_eq!(error.status, HELIO_ERR_INVALID_ARGUMENT);
    }
    for key in ["a\r\nx-evil: 1", "a\nb", "a\0b"] {
        let config = json!({"base_url": "http://127.0.0.1:9", "api_key": key}).to_string();
        assert_eq!(
            Client::try_new(Some(config.as_bytes())).err().unwrap().status,
            HELIO_ERR_INVALID_ARGUMENT,
            "{key:?}"
        );
    }
    for value in ["a\r\nx-evil: 1", "a\nb"] {
        refused(json!({}), json!({"helicone": {"user_id": value}}));
        refused(json!({}), json!({"helicone": {"properties": {"Team": value}}}));
        refused(json!({}), json!({"helicone": {"properties": {value: "x"}}}));
    }
}

// ---- keys ----

#[test]
fn without_a_key_there_is_no_authorization() {
    alone(this_test!(), &[], || {
        let server = answering();
        let config = json!({"base_url": server.url()}).to_string();
        Client::try_new(Some(config.as_bytes())).unwrap().ask(ASK).ok();
        assert_eq!(server.only_request().header("authorization"), None);
    });
}

#[test]
fn a_key_can_be_changed_and_taken_away() {
    alone(this_test!(), &[], || {
        let server = answering();
        let client = Client::of(&server).keep_secret("sk-second-8a7b6c5d");
        assert_eq!(client.handle().set_api_key(Some("sk-second-8a7b6c5d")), HELIO_OK);
        client.ask(ASK).ok();
        assert_eq!(client.handle().set_api_key(None), HELIO_OK);
        client.ask(ASK).ok();
        assert_eq!(client.handle().set_api_key(Some("bad\r\nx-evil: 1")), HELIO_ERR_INVALID_ARGUMENT);
        client.ask(ASK).ok();
        let keys: Vec<_> =
            server.requests().iter().map(|request| request.header("authorization").map(str::to_string)).collect();
        assert_eq!(keys, [Some("Bearer sk-second-8a7b6c5d".to_string()), None, None]);
    });
}

#[test]
fn a_new_key_counts_for_attempts_that_start_later() {
    let server = Server::new(|request, conn| match request.number {
        0 => conn.answer(503, &[("retry-after-ms", "300")], ""),
        _ => conn.json(200, completion("Hello")),
    });
    let client = Client::of(&server).keep_secret("sk-second-8a7b6c5d");
    let handle = client.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            server.wait_for_requests(1);
            assert_eq!(handle.set_api_key(Some("sk-second-8a7b6c5d")), HELIO_OK);
        });
        client.ask(ASK).ok();
    });
    assert_eq!(server.requests()[1].header("authorization"), Some("Bearer sk-second-8a7b6c5d"));
}

// ---- the environment ----

#[test]
fn base_url_and_key_come_from_the_environment_read_once() {
    let server = answering();
    let url = server.url();
    // The other process asks the server of this one.
    let elsewhere = alone(
        this_test!(),
        &[("HELIO_BASE_URL", &url), ("HELIO_API_KEY", "sk-from-env"), ("HELICONE_API_KEY", "sk-other")],
        || {
            let client = Client::try_new(None).unwrap();
            // SAFETY: this process has no other thread that could read the environment meanwhile.
            unsafe {
                std::env::set_var("HELIO_API_KEY", "sk-too-late");
                std::env::set_var("HELIO_BASE_URL", "http://127.0.0.1:9");
            }
            client.ask(ASK).ok();
        },
    );
    if elsewhere {
        let request = server.only_request();
        assert_eq!(request.header("authorization"), Some("Bearer sk-from-env"));
        assert_eq!(request.target, "/v1/chat/completions");
    }
}

#[test]
fn the_config_wins_over_the_environment() {
    alone(this_test!(), &[("HELIO_BASE_URL", "http://127.0.0.1:9"), ("HELIO_API_KEY", "sk-from-env")], || {
        let server = answering();
        Client::of(&server).ask(ASK).ok();
        assert_eq!(server.only_request().header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    });
}

#[test]
fn a_helicone_key_is_not_sent_to_anybody_else() {
    alone(this_test!(), &[("HELICONE_API_KEY", "sk-helicone-x")], || {
        let server = answering();
        let config = json!({"base_url": server.url()}).to_string();
        Client::try_new(Some(config.as_bytes())).unwrap().ask(ASK).ok();
        assert_eq!(server.only_request().header("authorization"), None);
    });
}

#[test]
fn a_key_over_plain_http_to_another_machine_is_warned_about() {
    let client = Client::new(&config_of("http://gateway.example/v1"));
    let warned = |client: &Client| client.logs().iter().any(|line| line.starts_with("2 ") && line.contains("http"));
    assert!(warned(&client), "{:?}", client.logs());
    let server = answering();
    let local = Client::of(&server);
    local.ask(ASK).ok();
    assert!(!warned(&local), "{:?}", local.logs());
}
