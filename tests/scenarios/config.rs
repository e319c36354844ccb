//! The config and its overrides: every key checked, every mistake named.

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::ask::untouched;
use crate::support::c::{Client, status_name};
use crate::support::chat::ASK;
use crate::support::outcome::Failure;

#[track_caller]
fn config_refused(config: &Value, status: helio_status) -> Box<Failure> {
    match Client::try_new(Some(config.to_string().as_bytes())) {
        Ok(_) => panic!("accepted: {config}"),
        Err(error) => {
            assert_eq!(status_name(error.status), status_name(status), "{config}: {error:#?}");
            error
        }
    }
}

#[test]
fn a_config_that_is_no_object_is_refused() {
    for (config, status) in [
        (&b"[]"[..], HELIO_ERR_INVALID_JSON),
        (b"", HELIO_ERR_INVALID_JSON),
        (b"{", HELIO_ERR_INVALID_JSON),
        (b"{}{}", HELIO_ERR_INVALID_JSON),
        (b"null", HELIO_ERR_INVALID_JSON),
        (b"{\"api_key\":\"\xff\"}", HELIO_ERR_INVALID_UTF8),
    ] {
        let error = Client::try_new(Some(config)).err().unwrap_or_else(|| panic!("accepted: {config:?}"));
        assert_eq!(status_name(error.status), status_name(status), "{config:?}");
    }
}

#[test]
fn an_empty_config_and_null_for_every_key_are_the_defaults() {
    let keys = [
        "base_url", "api_key", "headers", "helicone", "timeouts", "retry", "limits", "tls", "proxy", "no_proxy",
        "validate",
    ];
    let nulls: Value = keys.iter().map(|key| (key.to_string(), Value::Null)).collect::<serde_json::Map<_, _>>().into();
    for config in [json!({}), nulls] {
        Client::try_new(Some(config.to_string().as_bytes())).unwrap_or_else(|error| panic!("{config}: {error:#?}"));
    }
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_that_exists() {
    for (config, unknown, nearest) in [
        (json!({"base_ulr": "http://a"}), "base_ulr", "base_url"),
        (json!({"apikey": "k"}), "apikey", "api_key"),
        (json!({"timeout": {}}), "timeout", "timeouts"),
        (json!({"timeouts": {"idle": 1}}), "idle", "idle_ms"),
        (json!({"timeouts": {"first_token_ms": 1}}), "first_token_ms", "first_event_ms"),
        (json!({"retry": {"max_retrys": 1}}), "max_retrys", "max_retries"),
        (json!({"limits": {"max_inflight": 1}}), "max_inflight", "max_in_flight"),
        (json!({"tls": {"ca_fil": "x"}}), "ca_fil", "ca_file"),
        (json!({"helicone": {"userid": "x"}}), "userid", "user_id"),
        (json!({"helicone": {"session": {"ids": "x"}}}), "ids", "id"),
        (json!({"helicone": {"cache": {"enable": true}}}), "enable", "enabled"),
    ] {
        config_refused(&config, HELIO_ERR_INVALID_ARGUMENT).says(&[unknown, nearest]);
    }
}

#[test]
fn a_wrong_type_or_value_is_named() {
    for (config, key) in [
        (json!({"base_url": 5}), "base_url"),
        (json!({"api_key": ["k"]}), "api_key"),
        (json!({"headers": ["a"]}), "headers"),
        (json!({"headers": {"x-a": 1}}), "x-a"),
        (json!({"timeouts": 5}), "timeouts"),
        (json!({"timeouts": {"idle_ms": "5"}}), "idle_ms"),
        (json!({"timeouts": {"idle_ms": 0}}), "idle_ms"),
        (json!({"timeouts": {"connect_ms": 0}}), "connect_ms"),
        (json!({"timeouts": {"first_event_ms": 0}}), "first_event_ms"),
        (json!({"timeouts": {"total_ms": 0}}), "total_ms"),
        (json!({"timeouts": {"total_ms": -5}}), "total_ms"),
        (json!({"timeouts": {"total_ms": 1.5}}), "total_ms"),
        (json!({"retry": {"max_retries": -1}}), "max_retries"),
        (json!({"retry": {"max_retries": "2"}}), "max_retries"),
        (json!({"retry": {"jitter": true}}), "jitter"),
        (json!({"limits": {"max_event_bytes": "1 MB"}}), "max_event_bytes"),
        (json!({"tls": {"roots": "none"}}), "roots"),
        (json!({"tls": {"ca_pem": 1}}), "ca_pem"),
        (json!({"validate": "maybe"}), "validate"),
        (json!({"helicone": {"security": "extreme"}}), "security"),
        (json!({"helicone": {"moderations": "yes"}}), "moderations"),
        (json!({"helicone": {"cache": {"max_age_s": "60"}}}), "max_age_s"),
        (json!({"helicone": {"properties": 5}}), "properties"),
    ] {
        config_refused(&config, HELIO_ERR_INVALID_ARGUMENT).says(&[key]);
    }
    // What was expected is said, too.
    config_refused(&json!({"timeouts": {"idle_ms": "5"}}), HELIO_ERR_INVALID_ARGUMENT).says(&["number"]);
    config_refused(&json!({"tls": {"roots": "none"}}), HELIO_ERR_INVALID_ARGUMENT).says(&["bundled", "system"]);
}

#[test]
fn a_base_url_must_be_one() {
    for url in [
        "",
        "not a url",
        "/v1",
        "http://",
        "https:///v1",
        "http://a b/",
        "http://[::1",
        "http://a:99999/",
        "http://user@a/",
        "http://a\r\n/",
    ] {
        config_refused(&json!({"base_url": url}), HELIO_ERR_INVALID_ARGUMENT).says(&["base_url"]);
    }
    for url in ["ftp://a/v1", "ws://a/"] {
        config_refused(&json!({"base_url": url}), HELIO_ERR_UNSUPPORTED).says(&["http"]);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_in_create() {
    let here = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(here.path(), "this is no certificate").unwrap();
    for tls in [
        json!({"ca_file": "/no/such/file.pem"}),
        json!({"ca_file": here.path()}),
        json!({"ca_pem": "this is no certificate"}),
        json!({"ca_pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}),
        json!({"client_cert_file": "/no/such/file.pem", "client_key_file": "/no/such/key.pem"}),
    ] {
        let error = config_refused(&json!({"tls": tls}), HELIO_ERR_INVALID_ARGUMENT);
        let key = tls.as_object().unwrap().keys().next().unwrap();
        error.says(&[key]);
        if let Some(missing) = tls["ca_file"].as_str().filter(|file| file.starts_with("/no/")) {
            error.says(&[missing]);
        }
    }
}

#[test]
fn overrides_are_checked_like_the_config() {
    let (_server, client) = untouched();
    for (overrides, status) in [
        ("[]", HELIO_ERR_INVALID_JSON),
        ("{", HELIO_ERR_INVALID_JSON),
        ("", HELIO_ERR_INVALID_JSON),
        ("{\"timeoutz\":{}}", HELIO_ERR_INVALID_ARGUMENT),
        ("{\"timeouts\":{\"idle_ms\":0}}", HELIO_ERR_INVALID_ARGUMENT),
        ("{\"timeouts\":{\"idle_ms\":\"a\"}}", HELIO_ERR_INVALID_ARGUMENT),
        ("{\"retry\":5}", HELIO_ERR_INVALID_ARGUMENT),
    ] {
        client.call(ASK).raw_overrides(overrides).run().refused(status);
    }
    client.call(ASK).raw_overrides(b"{\"headers\":{\"a\":\"\xff\"}}").run().refused(HELIO_ERR_INVALID_UTF8);
}

#[test]
fn what_belongs_to_the_client_cannot_be_overridden() {
    let (_server, client) = untouched();
    for (overrides, key) in [
        (json!({"base_url": "http://127.0.0.1:9"}), "base_url"),
        (json!({"api_key": "k"}), "api_key"),
        (json!({"tls": {"roots": "system"}}), "tls"),
        (json!({"proxy": "http://127.0.0.1:9"}), "proxy"),
        (json!({"no_proxy": "*"}), "no_proxy"),
        (json!({"limits": {"max_in_flight": 1}}), "max_in_flight"),
        (json!({"limits": {"max_queued": 1}}), "max_queued"),
        (json!({"limits": {"max_threads": 1}}), "max_threads"),
    ] {
        client.call(ASK).overrides(&overrides).run().refused(HELIO_ERR_INVALID_ARGUMENT).says(&[key]);
    }
}
