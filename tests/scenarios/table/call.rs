//! Calls that the library refuses itself.

use helio::abi::*;
use serde_json::json;

use super::row::refused;
use crate::support::chat::ASK;
use crate::support::delivery::Mode;

faults!(
    "The call",
    "The host's own mistakes, told before anything is sent.",
    body_not_utf8 = refused("the body holds a byte that is no UTF-8", |client, _| client.ask(b"{\"model\":\"\xff\"}"))
        .fails(HELIO_ERR_INVALID_UTF8, 0),
    body_empty = refused("the body is empty", |client, _| client.ask("")).fails(HELIO_ERR_INVALID_JSON, 0),
    body_unfinished = refused("the body is half a JSON object", |client, _| client.ask(&ASK[..ASK.len() - 1]))
        .fails(HELIO_ERR_INVALID_JSON, 0),
    body_array = refused("the body is a JSON array", |client, _| client.ask(format!("[{ASK}]")))
        .fails(HELIO_ERR_INVALID_JSON, 0)
        .says(&["object"]),
    body_twice = refused("a second JSON object follows the first", |client, _| client.ask(ASK.repeat(2)))
        .fails(HELIO_ERR_INVALID_JSON, 0),
    overrides_no_json = refused("the overrides are no JSON", |client, _| client.call(ASK).raw_overrides("{").run())
        .fails(HELIO_ERR_INVALID_JSON, 0)
        .says(&["overrides"]),
    overrides_unknown = refused("a key of the overrides is misspelled", |client, _| {
        client.call(ASK).overrides(&json!({"timeouts": {"idel_ms": 5}})).run()
    })
    .fails(HELIO_ERR_INVALID_ARGUMENT, 0)
    .says(&["idel_ms", "idle_ms"]),
    overrides_type = refused("a setting has the wrong type", |client, _| {
        client.call(ASK).overrides(&json!({"retry": {"max_retries": "two"}})).run()
    })
    .fails(HELIO_ERR_INVALID_ARGUMENT, 0)
    .says(&["max_retries", "number"]),
    overrides_of_client = refused("the overrides hold a setting of the whole client", |client, _| {
        client.call(ASK).overrides(&json!({"base_url": "http://127.0.0.1"})).run()
    })
    .fails(HELIO_ERR_INVALID_ARGUMENT, 0)
    .says(&["base_url"]),
    deadline_of_nothing = refused("a deadline is 0", |client, _| {
        client.call(ASK).overrides(&json!({"timeouts": {"first_event_ms": 0}})).run()
    })
    .fails(HELIO_ERR_INVALID_ARGUMENT, 0)
    .says(&["first_event_ms"]),
    header_injection = refused("a header's value holds a line break", |client, _| {
        client.call(ASK).overrides(&json!({"headers": {"x-tenant": "a\r\nx-admin: 1"}})).run()
    })
    .fails(HELIO_ERR_INVALID_ARGUMENT, 0)
    .says(&["x-tenant"]),
    id_never_issued = refused("the id was never issued", |client, _| client.call(ASK).id(u64::MAX).run())
        .fails(HELIO_ERR_INVALID_ARGUMENT, 0)
        .says(&["id"]),
    strict_check =
        refused("the body has a value that the endpoint does not take, and is to be checked", |client, _| {
            let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"temperature":3}"#;
            client.call(body).overrides(&json!({"validate": "strict"})).run()
        })
        .fails(HELIO_ERR_INVALID_ARGUMENT, 0)
        .says(&["temperature", "from 0 to 2"]),
    id_cancelled = refused("the reserved id was cancelled before", |client, _| {
        let id = client.reserve();
        assert_eq!(client.cancel(id), HELIO_OK);
        client.call(ASK).id(id).run()
    })
    .fails(HELIO_ERR_CANCELLED, 0),
    after_shutdown = refused("the client is shut down", |client, _| {
        assert_eq!(client.handle().shutdown(), HELIO_OK);
        client.ask(ASK)
    })
    .fails(HELIO_ERR_SHUT_DOWN, 0),
    all_places_taken = refused("as many requests run and wait as the limits allow", |client, stage| {
        let others = [(); 2].map(|()| client.call(ASK).mode(Mode::Thread).submit());
        stage.until_tried(1);
        let outcome = client.ask(ASK);
        // The one that waits goes first, or else it would begin.
        for other in others.into_iter().rev() {
            assert_eq!(client.cancel(other.id), HELIO_OK);
            other.wait().fails(HELIO_ERR_CANCELLED);
        }
        outcome
    })
    .config(json!({"limits": {"max_in_flight": 1, "max_queued": 1}}))
    .fails(HELIO_ERR_BUSY, 0)
    .says(&["max_in_flight", "max_queued"])
    .tries(1),
);
