//! What is the Helicone gateway's: its headers as typed config, what it says of itself in the report, and the names by
//! which a request is found again.

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::ask::{answering, sent};
use crate::support::c::Client;
use crate::support::chat::{ASK, completion};
use crate::support::server::Server;

/// Neither as config nor as overrides; the message holds these words.
#[track_caller]
fn refused(helicone: Value, words: &[&str]) {
    let server = answering();
    let overrides = json!({"helicone": helicone});
    Client::of(&server).call(ASK).overrides(&overrides).run().refused(HELIO_ERR_INVALID_ARGUMENT).says(words);
    let config = json!({"base_url": server.url(), "helicone": helicone});
    let failure = Client::try_new(Some(config.to_string().as_bytes())).err().expect("refused in create");
    failure.is(HELIO_ERR_INVALID_ARGUMENT).says(words);
    assert_eq!(server.connections(), 0, "nothing may go out");
}

#[test]
fn the_helicone_section_becomes_its_headers() {
    let fallbacks =
        json!([{"target-url": "https://a.example", "headers": {"x": "y"}, "onCodes": [500, {"from": 501, "to": 599}]}]);
    let request = sent(
        json!({"helicone": {
            "user_id": "u-1",
            "session": {"id": "s-1", "name": "a session", "path": "/a/b"},
            "properties": {"Team": "blue", "Feature-X": "on"},
            "cache": {"enabled": true, "max_age_s": 60, "bucket_size": 3, "seed": "7"},
            "rate_limit_policy": "100;w=60;s=user",
            "retry": {"enabled": true, "num": 4, "factor": 2, "min_timeout_ms": 1000, "max_timeout_ms": 9000},
            "fallbacks": fallbacks,
            "prompt_id": "p-1",
            "model_override": "m-2",
            "token_limit_handler": "truncate",
            "moderations": true,
            "security": "advanced",
            "omit_request": true,
            "omit_response": true,
        }}),
        json!({"helicone": {"request_id": "7f0a1a6e-3c1c-4b57-8a55-6b0f5a3f7c11"}}),
    );
    for (name, value) in [
        ("helicone-request-id", "7f0a1a6e-3c1c-4b57-8a55-6b0f5a3f7c11"),
        ("helicone-user-id", "u-1"),
        ("helicone-session-id", "s-1"),
        ("helicone-session-name", "a session"),
        ("helicone-session-path", "/a/b"),
        ("helicone-property-team", "blue"),
        ("helicone-property-feature-x", "on"),
        ("helicone-cache-enabled", "true"),
        ("cache-control", "max-age=60"),
        ("helicone-cache-bucket-max-size", "3"),
        ("helicone-cache-seed", "7"),
        ("helicone-ratelimit-policy", "100;w=60;s=user"),
        ("helicone-retry-enabled", "true"),
        ("helicone-retry-num", "4"),
        ("helicone-retry-factor", "2"),
        ("helicone-retry-min-timeout", "1000"),
        ("helicone-retry-max-timeout", "9000"),
        ("helicone-prompt-id", "p-1"),
        ("helicone-model-override", "m-2"),
        ("helicone-token-limit-exception-handler", "truncate"),
        ("helicone-moderations-enabled", "true"),
        ("helicone-llm-security-enabled", "true"),
        ("helicone-llm-security-advanced", "true"),
        ("helicone-omit-request", "true"),
        ("helicone-omit-response", "true"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    let sent: Value = serde_json::from_str(request.header("helicone-fallbacks").unwrap()).unwrap();
    assert_eq!(sent, fallbacks);
}

#[test]
fn without_a_helicone_section_there_is_none_of_its_headers() {
    let request = sent(json!({}), json!({}));
    let helicone: Vec<_> =
        request.headers.iter().filter(|(name, _)| name.to_lowercase().starts_with("helicone")).collect();
    assert!(helicone.is_empty(), "{helicone:?}");
    assert_eq!(request.header("cache-control"), None);
}

#[test]
fn basic_security_does_not_ask_for_the_advanced_one() {
    let request = sent(json!({"helicone": {"security": "basic"}}), json!({}));
    assert_eq!(request.header("helicone-llm-security-enabled"), Some("true"));
    assert_eq!(request.header("helicone-llm-security-advanced"), None);
}

#[test]
fn a_request_id_of_helicone_belongs_to_one_call() {
    let config =
        json!({"base_url": "http://127.0.0.1:9", "helicone": {"request_id": "7f0a1a6e-3c1c-4b57-8a55-6b0f5a3f7c11"}});
    let error = Client::try_new(Some(config.to_string().as_bytes())).err().expect("refused in create");
    assert_eq!(error.status, HELIO_ERR_INVALID_ARGUMENT);
    error.says(&["request_id"]);
}

#[test]
fn each_part_holds_for_the_client_and_can_be_another_for_one_request() {
    let config =
        json!({"helicone": {"user_id": "ada", "session": {"id": "42", "path": "/"}, "properties": {"App": "x"}}});
    let overrides = json!({"helicone": {"session": {"path": "/plan/step"}, "properties": {"App": null, "Turn": 3}}});
    let request = sent(config, overrides);
    for (name, value) in [
        ("helicone-user-id", Some("ada")),
        ("helicone-session-id", Some("42")),
        ("helicone-session-path", Some("/plan/step")),
        ("helicone-property-app", None),
        ("helicone-property-turn", Some("3")),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
}

#[test]
fn what_the_gateway_would_not_take_is_refused_by_name() {
    for (helicone, words) in [
        (json!({"cache": {"bucket_size": 21}}), &["helicone.cache.bucket_size", "at most 20"][..]),
        (json!({"cache": {"bucket_size": 0}}), &["helicone.cache.bucket_size", "at least 1"]),
        (json!({"cache": {"max_age_s": 31_536_001}}), &["helicone.cache.max_age_s", "at most 31536000"]),
        (json!({"token_limit_handler": "cut"}), &["helicone.token_limit_handler", "\"middle-out\""]),
        (json!({"security": true}), &["helicone.security", "\"basic\", \"advanced\""]),
        (json!({"fallbacks": {}}), &["helicone.fallbacks", "an array"]),
        (json!({"properties": {"a": {}}}), &["helicone.properties.a", "a string"]),
        (json!({"propertys": {}}), &["helicone.propertys", "helicone.properties"]),
        (json!({"session": {"nmae": "x"}}), &["helicone.session.nmae", "helicone.session.name"]),
        (json!({"retry": {"factor": -1}}), &["helicone.retry.factor", "a number from 0"]),
        (json!({"moderations": "yes"}), &["helicone.moderations", "true or false"]),
    ] {
        refused(helicone, words);
    }
}

#[test]
fn a_rate_limit_policy_that_would_limit_nothing_is_refused() {
    for policy in ["10;w=60", "1000;w=3600;u=cents", "5;w=60;s=user", "5;w=60;u=request;s=Tenant"] {
        let request = sent(json!({"helicone": {"rate_limit_policy": policy}}), json!({}));
        assert_eq!(request.header("helicone-ratelimit-policy"), Some(policy));
    }
    for policy in [
        "",
        "10",
        "10;w=59",
        "10;w=1m",
        "ten;w=60",
        "+10;w=60",
        "10;w=60;u=tokens",
        "10;w=60;s=",
        "10;w=60;x=1",
        "10;w=60;",
    ] {
        refused(json!({"rate_limit_policy": policy}), &["helicone.rate_limit_policy", ";w=<seconds, 60 or more>"]);
    }
}

#[test]
fn no_value_can_forge_a_header() {
    for forged in ["a\r\nx-forged: 1", "a\nx-forged: 1", "a\rb", "a\u{0}b", "\u{7f}"] {
        for helicone in [
            json!({"user_id": forged}),
            json!({"session": {"id": forged}}),
            json!({"session": {"name": forged}}),
            json!({"session": {"path": forged}}),
            json!({"properties": {"Team": forged}}),
            json!({"cache": {"seed": forged}}),
            json!({"prompt_id": forged}),
            json!({"model_override": forged}),
        ] {
            refused(helicone, &["control character"]);
        }
        refused(json!({"properties": {format!("x{forged}"): "1"}}), &["a header's name"]);
    }
    let fallbacks = json!([{"target-url": "https://a.example/\r\nx-forged: 1", "headers": {"x": "ü\n"}}]);
    let request = sent(json!({"helicone": {"fallbacks": fallbacks}}), json!({}));
    assert_eq!(request.header("x-forged"), None);
    let header = request.header("helicone-fallbacks").expect("the header");
    assert!(header.is_ascii(), "{header}");
    assert_eq!(serde_json::from_str::<Value>(header).unwrap(), fallbacks, "escaped, and the same");
}

#[test]
fn only_a_uuid_of_version_4_is_a_request_id() {
    let server = answering();
    let client = Client::of(&server);
    for wrong in [
        "",
        "1",
        "7f0a1a6e-3c1c-7b57-8a55-6b0f5a3f7c11",
        "7f0a1a6e-3c1c-4b57-0a55-6b0f5a3f7c11",
        "7f0a1a6e3c1c4b578a556b0f5a3f7c11",
    ] {
        let outcome = client.call(ASK).overrides(&json!({"helicone": {"request_id": wrong}})).run();
        outcome.refused(HELIO_ERR_INVALID_ARGUMENT).says(&["helicone.request_id", "version 4"]);
    }
}

#[test]
fn all_that_the_gateway_says_of_itself_is_in_the_report() {
    let told = [
        ("helicone-id", "h-1"),
        ("helicone-status", "success"),
        ("helicone-cache", "HIT"),
        ("helicone-cache-bucket-idx", "0"),
        ("helicone-fallback-index", "1"),
        ("helicone-ratelimit-limit", "100"),
        ("helicone-ratelimit-remaining", "99"),
        ("helicone-ratelimit-reset", "60"),
        ("helicone-ratelimit-policy", "100;w=60"),
        ("helicone-provider", "openai"),
        ("x-ratelimit-after", "3"),
    ];
    let server = Server::new(move |_, conn| conn.answer(200, &told, completion("Hello")));
    let outcome = Client::of(&server).ask(ASK);
    outcome.ok();
    for (name, value) in told {
        assert_eq!(outcome.report()["headers"][name], value, "{name}");
    }
    assert_eq!(outcome.report()["server_request_id"], "h-1");
}
