//! Tool calls, as servers stream them: by the book, and in each of the broken ways that are met in the field.

use serde_json::{Value, json};

use crate::support::ask::ask_events;
use crate::support::chat::{DONE, delta, finish};

/// Streams these `tool_calls` members, one array for each delta, and gives back the calls.
#[track_caller]
fn calls(deltas: &[Value]) -> Vec<Value> {
    let mut events: Vec<_> = deltas.iter().map(|calls| delta(json!({"tool_calls": calls}))).collect();
    events.push(finish("tool_calls"));
    events.push(DONE.to_string());
    let outcome = ask_events(events);
    outcome.ok();
    let calls = outcome.message()["tool_calls"].as_array().cloned();
    calls.unwrap_or_else(|| panic!("no tool calls in {outcome:#?}"))
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

fn with(mut call: Value, key: &str, value: Value) -> Value {
    call[key] = value;
    call
}

fn arguments(index: u64, arguments: &str) -> Value {
    json!({"index": index, "function": {"arguments": arguments}})
}

#[test]
fn parallel_calls_are_kept_apart_by_their_index() {
    let told = calls(&[
        json!([with(call("a", "f", ""), "index", json!(0))]),
        json!([with(call("b", "g", ""), "index", json!(1))]),
        json!([arguments(1, "{\"b\"")]),
        json!([arguments(0, "{\"a\""), arguments(1, ":2}")]),
        json!([arguments(0, ":1}")]),
    ]);
    assert_eq!(told, [call("a", "f", "{\"a\":1}"), call("b", "g", "{\"b\":2}")]);
}

#[test]
fn calls_come_out_in_the_order_of_their_index() {
    let told = calls(&[
        json!([with(call("late", "g", "{}"), "index", json!(5))]),
        json!([with(call("early", "f", "{}"), "index", json!(2))]),
    ]);
    assert_eq!(told, [call("early", "f", "{}"), call("late", "g", "{}")]);
}

#[test]
fn without_an_index_a_new_id_opens_a_call() {
    // Gemini's compatible endpoint: whole calls, each in a chunk of its own, or several in one.
    let (a, b) = (call("a", "f", "{\"a\":1}"), call("b", "g", "{}"));
    assert_eq!(calls(&[json!([a]), json!([b])]), [a.clone(), b.clone()]);
    assert_eq!(calls(&[json!([a, b])]), [a.clone(), b.clone()]);
}

#[test]
fn without_index_and_id_the_open_call_goes_on() {
    let more = |text: &str| json!([{"function": {"arguments": text}}]);
    let told =
        calls(&[json!([call("a", "f", "")]), more("{\"a\""), more(":1}"), json!([call("b", "g", "")]), more("{}")]);
    assert_eq!(told, [call("a", "f", "{\"a\":1}"), call("b", "g", "{}")]);
}

#[test]
fn a_new_id_under_the_same_index_is_a_new_call() {
    let at_0 = |call: Value| with(call, "index", json!(0));
    let told = calls(&[
        json!([at_0(call("a", "f", "{\"a\":1}"))]),
        json!([at_0(call("b", "f", ""))]),
        json!([arguments(0, "{\"b\":2}")]),
    ]);
    assert_eq!(told, [call("a", "f", "{\"a\":1}"), call("b", "f", "{\"b\":2}")]);
    let told = calls(&[json!([at_0(call("a", "f", "{}")), at_0(call("b", "g", "{}"))])]);
    assert_eq!(told, [call("a", "f", "{}"), call("b", "g", "{}")]);
}

#[test]
fn what_came_once_is_not_overwritten_by_nothing() {
    for nothing in [Value::Null, json!("")] {
        let told = calls(&[
            json!([with(call("a", "f", ""), "index", json!(0))]),
            json!([{"index": 0, "id": nothing, "type": nothing, "function": {"name": nothing, "arguments": "{\"a\""}}]),
            json!([{"index": 0, "id": nothing, "type": nothing, "function": {"name": nothing, "arguments": ":1}"}}]),
        ]);
        assert_eq!(told, [call("a", "f", "{\"a\":1}")], "{nothing}");
    }
}

#[test]
fn an_id_repeated_on_each_delta_is_one_call() {
    let told = calls(&[
        json!([with(call("a", "f", ""), "index", json!(0))]),
        json!([{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}}]),
        json!([{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "}"}}]),
    ]);
    assert_eq!(told, [call("a", "f", "{}")]);
}

#[test]
fn a_call_without_an_id_gets_one_of_its_own() {
    for nothing in [Value::Null, json!("")] {
        let nameless = |index: u64| json!({"index": index, "id": nothing, "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let told = calls(&[json!([nameless(0)]), json!([nameless(1)])]);
        let ids: Vec<_> = told.iter().map(|call| call["id"].as_str().unwrap_or_default()).collect();
        assert_eq!(ids.len(), 2);
        assert!(ids.iter().all(|id| !id.is_empty()) && ids[0] != ids[1], "{ids:?}");
    }
}

#[test]
fn arguments_that_came_as_an_object_become_its_text() {
    let told = calls(&[
        json!([{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": {"a": [1, 2.50]}}}]),
    ]);
    let text = told[0]["function"]["arguments"].as_str().expect("arguments as a string");
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), json!({"a": [1, 2.50]}));
}

#[test]
fn empty_arguments_stay_empty() {
    assert_eq!(calls(&[json!([with(call("a", "f", ""), "index", json!(0))])]), [call("a", "f", "")]);
}

#[test]
fn calls_are_found_whatever_the_finish_reason_says() {
    let outcome = ask_events(vec![
        delta(json!({"tool_calls": [with(call("a", "f", "{}"), "index", json!(0))]})),
        finish("stop"),
        DONE.into(),
    ]);
    assert_eq!(outcome.ok()["choices"][0]["finish_reason"], "stop", "as the server said");
    assert_eq!(outcome.message()["tool_calls"], json!([call("a", "f", "{}")]));
}

#[test]
fn a_custom_tool_call_is_put_together() {
    let told = calls(&[
        json!([{"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": ""}}]),
        json!([{"index": 0, "custom": {"input": "SELECT "}}]),
        json!([{"index": 0, "custom": {"input": "1"}}]),
    ]);
    assert_eq!(told, [json!({"id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}})]);
}

#[test]
fn what_a_call_carries_along_is_kept() {
    let extra = json!({"google": {"thought_signature": "c2ln"}});
    let told = calls(&[json!([with(call("a", "f", "{}"), "extra_content", extra.clone())])]);
    assert_eq!(told[0]["extra_content"], extra);
}

#[test]
fn an_index_in_quotes_is_one() {
    let at = |index: &str, call: Value| with(call, "index", json!(index));
    let more = |index: &str, text: &str| json!({"index": index, "function": {"arguments": text}});
    let told = calls(&[
        json!([at("0", call("a", "f", "{")), at("1", call("b", "g", "{"))]),
        json!([more("0", "\"a\":1}")]),
        json!([more("1", "\"b\":2}")]),
    ]);
    assert_eq!(told, [call("a", "f", "{\"a\":1}"), call("b", "g", "{\"b\":2}")]);
}

#[test]
fn a_null_beside_the_function_takes_nothing_away() {
    assert_eq!(calls(&[json!([with(call("a", "f", "{}"), "custom", Value::Null)])]), [call("a", "f", "{}")]);
}

#[test]
fn a_signature_is_not_overwritten_by_nothing() {
    let extra = json!({"google": {"thought_signature": "c2ln"}});
    for nothing in [Value::Null, json!({}), json!("")] {
        let first = with(with(call("a", "f", "{"), "index", json!(0)), "extra_content", extra.clone());
        let told = calls(&[json!([first]), json!([with(arguments(0, "}"), "extra_content", nothing.clone())])]);
        assert_eq!(told, [with(call("a", "f", "{}"), "extra_content", extra.clone())], "{nothing}");
    }
}

#[test]
fn an_absurd_index_costs_nothing() {
    for index in [json!(4_000_000_000u64), json!(u64::MAX), json!(-1), json!(1.5), json!("0"), Value::Null] {
        let told = calls(&[json!([with(call("a", "f", "{}"), "index", index.clone())])]);
        assert_eq!(told, [call("a", "f", "{}")], "index {index}");
    }
}
