//! Chunks to one `chat.completion`: the same object that the server would have sent without streaming, from
//! whatever pieces it chose, and from the pieces that broken servers send.

use serde_json::{Value, json};

use crate::support::ask::{ask_events, ask_stream};
use crate::support::c::Client;
use crate::support::chat::{ASK, ASK_STREAM, DONE, chunk, chunk_of, completion_of, delta, event, finish, say};
use crate::support::dice::{Dice, Seed};
use crate::support::outcome::Outcome;
use crate::support::server::Server;

/// Streams these deltas of choice 0 and a finish.
#[track_caller]
fn assemble(deltas: &[Value]) -> Outcome {
    let mut events: Vec<_> = deltas.iter().cloned().map(delta).collect();
    events.push(finish("stop"));
    events.push(DONE.to_string());
    let outcome = ask_events(events);
    outcome.ok();
    outcome
}

#[track_caller]
fn message(deltas: &[Value]) -> Value {
    assemble(deltas).message()
}

// ---- the same object, whatever the cuts ----

/// Turns one choice of a whole answer into the deltas that a server might have streamed for it.
fn deltas_of(choice: &Value, dice: &mut Dice) -> Vec<Value> {
    let (index, message) = (&choice["index"], &choice["message"]);
    let mut deltas = vec![json!({"role": message["role"], "content": null})];
    for part in ["reasoning_content", "content", "refusal"] {
        if let Some(text) = message[part].as_str() {
            deltas.extend(dice.pieces(text).into_iter().map(|piece| json!({part: piece})));
        }
    }
    for (place, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
        let mut first = call.clone();
        first["index"] = json!(place);
        first["function"]["arguments"] = json!("");
        deltas.push(json!({"tool_calls": [first]}));
        for piece in dice.pieces(call["function"]["arguments"].as_str().unwrap()) {
            deltas.push(json!({"tool_calls": [{"index": place, "function": {"arguments": piece}}]}));
        }
    }
    let mut choices: Vec<_> = deltas
        .into_iter()
        .map(|delta| json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": null}))
        .collect();
    // The tokens keep their order, and several may come at once.
    let mut at = 0;
    for token in choice["logprobs"]["content"].as_array().into_iter().flatten() {
        at = (at + dice.below(3)).min(choices.len() - 1);
        match choices[at]["logprobs"]["content"].as_array_mut() {
            Some(tokens) => tokens.push(token.clone()),
            None => choices[at]["logprobs"] = json!({"content": [token]}),
        }
    }
    choices.push(json!({"index": index, "delta": {}, "logprobs": null, "finish_reason": choice["finish_reason"]}));
    choices
}

/// The whole answer as a stream, its choices shuffled into each other, as one of many writers sends it.
fn stream_of(answer: &Value, dice: &mut Dice) -> String {
    let choices = answer["choices"].as_array().unwrap();
    let mut queues: Vec<_> = choices.iter().map(|choice| deltas_of(choice, dice).into_iter()).collect();
    let (ending, blank) = (["\n", "\r\n", "\r"][dice.below(3)], ["", " "][dice.below(2)]);
    let mut stream = String::new();
    let mut send = |dice: &mut Dice, chunk: Value| {
        if dice.one_in(8) {
            stream.push_str(&format!(": still there{ending}{ending}"));
        }
        stream.push_str(&format!("data:{blank}{}{ending}{ending}", written(&chunk, dice)));
    };
    while !queues.is_empty() {
        let at = dice.below(queues.len());
        match queues[at].next() {
            Some(choice) => send(dice, chunk_of(json!([choice]))),
            None => drop(queues.remove(at)),
        }
    }
    if let Some(usage) = answer.get("usage") {
        let mut chunk = chunk_of(json!([]));
        chunk["usage"] = usage.clone();
        send(dice, chunk);
    }
    stream + DONE
}

/// JSON as another writer has it: with escapes where none are needed, and with blanks.
fn written(value: &Value, dice: &mut Dice) -> String {
    let plain = if dice.one_in(3) { spaced(value) } else { value.to_string() };
    if !dice.one_in(3) {
        return plain;
    }
    let mut out = String::new();
    for letter in plain.chars() {
        match letter.is_ascii() {
            true => out.push(letter),
            false => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out
}

/// JSON with blanks wherever they may stand.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(elements) => format!("[ {} ]", elements.iter().map(spaced).collect::<Vec<_>>().join(" , ")),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{} : {}", json!(name), spaced(value));
            format!("{{ {} }}", members.iter().map(member).collect::<Vec<_>>().join(" , "))
        }
        other => other.to_string(),
    }
}

fn rich_answer() -> Value {
    let token = |text: &str, p: &str| json!({"token": text, "logprob": serde_json::from_str::<Value>(p).unwrap(), "bytes": [1], "top_logprobs": []});
    let mut answer = completion_of(
        json!({
            "role": "assistant",
            "content": "Grüße, 世界 😀\n\"quoted\" \\ and \u{0001}",
            "reasoning_content": "Let me think… 🤔",
            "tool_calls": [
                {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Köln\",\"days\":[1,2]}"}},
                {"id": "call_b", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
            ],
        }),
        "tool_calls",
    );
    answer["choices"][0]["logprobs"] =
        json!({"content": [token("Gr", "-0.10"), token("üße", "-1E-7"), token(",", "0")]});
    let more = json!([
        {"index": 1, "message": {"role": "assistant", "content": "Second"}, "logprobs": null, "finish_reason": "length"},
        {"index": 2, "message": {"role": "assistant", "content": null, "refusal": "I cannot do that."}, "logprobs": null, "finish_reason": "stop"},
    ]);
    answer["choices"].as_array_mut().unwrap().extend(more.as_array().unwrap().clone());
    answer
}

/// An answer of one to three choices, each with text, reasoning, a refusal or tool calls.
fn drawn_answer(dice: &mut Dice) -> Value {
    let mut answer = completion_of(Value::Null, "stop");
    answer["choices"] = (0..1 + dice.below(3)).map(|index| drawn_choice(index, dice)).collect();
    if dice.one_in(2) {
        answer.as_object_mut().unwrap().remove("usage");
    }
    answer
}

fn drawn_choice(index: usize, dice: &mut Dice) -> Value {
    let mut message = json!({"role": "assistant", "content": null});
    let calls = if dice.one_in(3) { 1 + dice.below(3) } else { 0 };
    for (part, is_there) in
        [("content", calls == 0 || dice.one_in(2)), ("reasoning_content", dice.one_in(3)), ("refusal", dice.one_in(6))]
    {
        let text = if is_there { dice.text(40) } else { String::new() };
        if !text.is_empty() {
            message[part] = json!(text);
        }
    }
    let finish_reason = if calls > 0 { "tool_calls" } else { ["stop", "length", "content_filter"][dice.below(3)] };
    if calls > 0 {
        let call = |place: usize, dice: &mut Dice| {
            let arguments = json!({"a": dice.text(12), "n": dice.below(1000)}).to_string();
            let function = json!({"name": format!("tool_{}", dice.below(9)), "arguments": arguments});
            json!({"id": format!("id-{place}"), "type": "function", "function": function})
        };
        message["tool_calls"] = (0..calls).map(|place| call(place, dice)).collect();
    }
    json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish_reason})
}

/// Answers `times` requests with streams of what `draw` gives, cut at random, and holds each against it.
fn equals_whatever_the_cuts(times: u64, draw: fn(&mut Dice) -> Value) {
    let seed = Seed::of_process();
    let server = {
        let first = seed.0;
        Server::new(move |request, conn| {
            let mut dice = Dice(first + request.number as u64);
            let answer = draw(&mut dice);
            if request.json()["stream"] == true {
                let stream = stream_of(&answer, &mut dice);
                conn.in_pieces(if dice.one_in(50) { 1 } else { [40, 400, 4000][dice.below(3)] });
                conn.stream([stream]);
            } else {
                conn.json(200, answer.to_string());
            }
        })
    };
    let client = Client::of(&server);
    for number in 0..times {
        let answer = draw(&mut Dice(seed.0 + number));
        let outcome = client.ask(ASK_STREAM);
        assert_eq!(outcome.ok(), answer, "HELIO_TEST_SEED={}", seed.0 + number);
        let content = answer["choices"][0]["message"]["content"].as_str();
        let shown: String = outcome.chunks().iter().filter_map(|chunk| chunk.text.as_deref()).collect();
        assert_eq!((shown.as_str(), outcome.done().text.as_deref()), (content.unwrap_or_default(), content));
    }
    assert_eq!(client.ask(ASK).ok(), draw(&mut Dice(seed.0 + times)));
}

#[test]
fn a_streamed_answer_equals_the_whole_one_whatever_the_cuts() {
    equals_whatever_the_cuts(150, |_| rich_answer());
}

#[test]
fn any_streamed_answer_equals_the_whole_one() {
    equals_whatever_the_cuts(300, drawn_answer);
}

// ---- choices ----

#[test]
fn choices_come_out_in_order_and_none_is_lost() {
    let part = |index: u64, text: &str| {
        event(chunk_of(json!([{"index": index, "delta": {"content": text}, "finish_reason": "stop"}])))
    };
    let outcome = ask_events(vec![part(2, "c"), part(0, "a"), part(1, "b"), DONE.into()]);
    let choices = outcome.ok()["choices"].as_array().unwrap().clone();
    let told: Vec<_> =
        choices.iter().map(|choice| (choice["index"].clone(), choice["message"]["content"].clone())).collect();
    assert_eq!(told, [(json!(0), json!("a")), (json!(1), json!("b")), (json!(2), json!("c"))]);
    assert_eq!(outcome.done().text.as_deref(), Some("a"), "text is that of choice 0");
    assert_eq!(outcome.chunks()[0].text, None, "a chunk of choice 2 has no text");
}

#[test]
fn several_choices_in_one_chunk_are_all_taken() {
    let outcome = ask_events(vec![
        event(chunk_of(json!([{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}]))),
        event(chunk_of(
            json!([{"index": 0, "delta": {}, "finish_reason": "stop"}, {"index": 1, "delta": {}, "finish_reason": "stop"}]),
        )),
    ]);
    assert_eq!(outcome.ok()["choices"][1]["message"]["content"], "b");
    assert_eq!(outcome.content(), "a");
}

#[test]
fn a_choice_without_an_index_is_the_first() {
    let outcome = ask_events(vec![
        event(json!({"choices": [{"delta": {"content": "a"}}]})),
        event(json!({"choices": [{"delta": {}, "finish_reason": "stop"}]})),
    ]);
    assert_eq!(outcome.ok()["choices"].as_array().unwrap().len(), 1);
    assert_eq!((outcome.content().as_str(), outcome.chunks()[0].text.as_deref()), ("a", Some("a")));
}

#[test]
fn a_choice_without_a_delta_changes_nothing() {
    for odd in [json!({"index": 0}), json!({"index": 0, "delta": null}), json!({"index": 0, "delta": {}})] {
        let outcome = ask_events(vec![say("Hello"), event(chunk_of(json!([odd]))), finish("stop"), DONE.into()]);
        outcome.ok();
        assert_eq!(outcome.content(), "Hello", "{odd}");
    }
    let nothing = ask_events(vec![event(json!({"id": "", "choices": null})), say("Hello"), finish("stop")]);
    nothing.ok();
}

#[test]
fn the_role_is_neither_missing_nor_repeated() {
    assert_eq!(message(&[json!({"content": "a"})])["role"], "assistant");
    let repeated = json!({"role": "assistant", "content": "a"});
    assert_eq!(message(&[repeated.clone(), repeated]), json!({"role": "assistant", "content": "aa"}));
}

#[test]
fn null_is_never_a_word() {
    let told =
        message(&[json!({"role": "assistant", "content": null}), json!({"content": "a"}), json!({"content": null})]);
    assert_eq!(told["content"], "a");
    let outcome = assemble(&[json!({"role": "assistant", "content": null})]);
    assert_eq!(outcome.message()["content"], Value::Null);
    assert_eq!(outcome.chunks()[0].text.as_deref().unwrap_or(""), "");
}

#[test]
fn an_azure_prelude_does_not_name_the_answer() {
    let prelude = json!({"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]});
    let outcome = ask_events(vec![event(prelude), say("Hello"), finish("stop"), DONE.into()]);
    let answer = outcome.ok();
    assert_eq!(
        (&answer["id"], &answer["model"], &answer["created"], &answer["object"]),
        (&json!("chatcmpl-1"), &json!("m-1"), &json!(1700000000), &json!("chat.completion"))
    );
    assert_eq!(answer["prompt_filter_results"], json!([{"prompt_index": 0}]));
}

#[test]
fn chunks_with_different_ids_make_one_answer() {
    let with_id = |id: &str, delta: Value, reason: Value| {
        event(
            json!({"id": id, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}),
        )
    };
    let outcome = ask_events(vec![
        with_id("x", json!({"content": "a"}), Value::Null),
        with_id("y", json!({"content": "b"}), Value::Null),
        with_id("z", json!({}), json!("stop")),
    ]);
    assert_eq!((outcome.ok()["id"].clone(), outcome.content()), (json!("x"), "ab".to_string()));
}

// ---- everything else in a message ----

#[test]
fn the_old_function_call_is_put_together() {
    let told = message(&[
        json!({"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": ""}}),
        json!({"function_call": {"arguments": "{\"a\""}}),
        json!({"function_call": {"arguments": ":1}"}}),
    ]);
    assert_eq!(told["function_call"], json!({"name": "f", "arguments": "{\"a\":1}"}));
}

#[test]
fn logprobs_are_joined_token_by_token() {
    let with = |logprobs: Value| {
        event(chunk_of(json!([{"index": 0, "delta": {"content": "x"}, "logprobs": logprobs, "finish_reason": null}])))
    };
    let outcome = ask_events(vec![
        with(json!({"content": [{"token": "a", "logprob": -0.5}], "refusal": null})),
        with(Value::Null),
        with(json!({"content": [{"token": "b"}, {"token": "c"}], "refusal": [{"token": "d"}]})),
        finish("stop"),
    ]);
    assert_eq!(
        outcome.ok()["choices"][0]["logprobs"],
        json!({"content": [{"token": "a", "logprob": -0.5}, {"token": "b"}, {"token": "c"}], "refusal": [{"token": "d"}]})
    );
}

#[test]
fn reasoning_is_heard_under_each_of_its_names() {
    for name in ["reasoning_content", "reasoning"] {
        let outcome =
            assemble(&[json!({name: "Let me "}), json!({name: "think", "content": null}), json!({"content": "Hi"})]);
        assert_eq!(outcome.message()[name], "Let me think");
        assert_eq!(outcome.done().reasoning.as_deref(), Some("Let me think"));
        assert_eq!(outcome.chunks()[0].reasoning.as_deref(), Some("Let me "), "{name}");
        assert_eq!(outcome.chunks()[2].reasoning, None);
        assert_eq!(outcome.done().text.as_deref(), Some("Hi"));
    }
}

#[test]
fn reasoning_details_are_read_and_kept_with_their_signature() {
    let detail = |text: &str| json!({"reasoning_details": [{"type": "reasoning.text", "text": text, "index": 0}]});
    let signed =
        json!({"reasoning_details": [{"type": "reasoning.text", "text": "", "signature": "sig==", "index": 0}]});
    let outcome = assemble(&[detail("Let me "), detail("think"), signed]);
    assert_eq!(outcome.done().reasoning.as_deref(), Some("Let me think"));
    let details = outcome.message()["reasoning_details"].as_array().unwrap().clone();
    let text: String = details.iter().filter_map(|detail| detail["text"].as_str()).collect();
    assert_eq!(text, "Let me think");
    assert!(details.iter().any(|detail| detail["signature"] == "sig=="), "{details:?}");
}

#[test]
fn reasoning_under_several_names_is_heard_once() {
    let both = |text: &str| json!({"reasoning": text, "reasoning_content": text, "reasoning_details": [{"type": "reasoning.text", "text": text, "index": 0}]});
    let outcome = assemble(&[both("Let me "), both("think")]);
    assert_eq!(outcome.done().reasoning.as_deref(), Some("Let me think"));
    assert_eq!(outcome.message()["reasoning"], "Let me think");
    assert_eq!(outcome.message()["reasoning_content"], "Let me think");
}

#[test]
fn the_details_that_a_gateway_sends_at_the_end_are_kept_and_not_heard_again() {
    let details = json!([{"thinking": "Let me think", "signature": "sig=="}]);
    let outcome = assemble(&[json!({"reasoning": "Let me think"}), json!({"reasoning_details": details})]);
    assert_eq!(outcome.message()["reasoning_details"], details);
    assert_eq!(outcome.done().reasoning.as_deref(), Some("Let me think"));
}

#[test]
fn a_refusal_is_joined_and_null_adds_nothing() {
    let told = message(&[json!({"refusal": "I "}), json!({"refusal": null}), json!({"refusal": "can't"})]);
    assert_eq!(told["refusal"], "I can't");
}

#[test]
fn audio_is_joined() {
    let told = message(&[
        json!({"audio": {"id": "a1", "transcript": "He"}}),
        json!({"audio": {"data": "QUJD"}}),
        json!({"audio": {"data": "REVG", "transcript": "llo"}}),
        json!({"audio": {"expires_at": 1700000001}}),
    ]);
    assert_eq!(told["audio"], json!({"id": "a1", "transcript": "Hello", "data": "QUJDREVG", "expires_at": 1700000001}));
}

#[test]
fn annotations_and_images_are_collected() {
    let citation =
        |url: &str| json!({"type": "url_citation", "url_citation": {"url": url, "start_index": 0, "end_index": 3}});
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let told = message(&[
        json!({"annotations": [citation("a")], "images": [image("data:1")]}),
        json!({"content": "text"}),
        json!({"annotations": [citation("b"), citation("c")], "images": [image("data:2")]}),
    ]);
    assert_eq!(told["annotations"], json!([citation("a"), citation("b"), citation("c")]));
    assert_eq!(told["images"], json!([image("data:1"), image("data:2")]));
}

#[test]
fn content_in_parts_gives_the_text_of_its_parts() {
    let thinking = json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]});
    let text = |text: &str| json!({"content": [{"type": "text", "text": text}]});
    let outcome = assemble(&[thinking.clone(), text("Hel"), text("lo")]);
    assert_eq!(outcome.done().text.as_deref(), Some("Hello"));
    assert!(outcome.message()["content"].is_array());
    // Mistral: thinking in parts, then plain text.
    let outcome = assemble(&[thinking, json!({"content": "Hel"}), json!({"content": "lo"})]);
    assert_eq!(outcome.done().text.as_deref(), Some("Hello"));
    assert!(outcome.data.unwrap().contains("\"thinking\""), "the parts are kept");
}

// ---- usage ----

#[test]
fn the_last_usage_counts() {
    let with_usage = |text: &str, usage: Value| {
        let mut chunk = chunk(json!({"content": text}));
        chunk["usage"] = usage;
        event(chunk)
    };
    for (first, last, wanted) in [
        (
            Value::Null,
            json!({"total_tokens": 5, "cost": 0.00012, "odd": {"a": null}}),
            json!({"total_tokens": 5, "cost": 0.00012, "odd": {"a": null}}),
        ),
        (json!({"total_tokens": 1}), json!({"total_tokens": 2}), json!({"total_tokens": 2})),
        (json!({"total_tokens": 1}), Value::Null, json!({"total_tokens": 1})),
    ] {
        let outcome = ask_events(vec![with_usage("a", first), with_usage("b", last), finish("stop"), DONE.into()]);
        assert_eq!(outcome.ok()["usage"], wanted);
    }
    for odd in [json!({}), json!({"prompt_tokens": null}), json!([])] {
        ask_events(vec![with_usage("a", odd), finish("stop"), DONE.into()]).ok();
    }
    let none = ask_events(vec![say("a"), finish("stop"), DONE.into()]);
    assert_eq!(none.ok()["usage"], Value::Null);
}

#[test]
fn a_usage_that_says_nothing_is_none_and_takes_none_away() {
    let with_usage = |usage: &Value| {
        let mut chunk = chunk(json!({"content": "a"}));
        chunk["usage"] = usage.clone();
        event(chunk)
    };
    let (whole, nulls) = (json!({"total_tokens": 5}), json!({"prompt_tokens": null, "total_tokens": null}));
    for nothing in [json!({}), nulls] {
        let outcome = ask_events(vec![with_usage(&whole), with_usage(&nothing), finish("stop"), DONE.into()]);
        assert_eq!(outcome.ok()["usage"], whole, "{nothing}");
        let outcome = ask_events(vec![with_usage(&nothing), finish("stop"), DONE.into()]);
        assert_eq!(outcome.ok().get("usage"), None, "{nothing}");
    }
}

#[test]
fn an_id_or_a_model_that_is_a_number_becomes_text() {
    let mut odd = chunk(json!({"content": "a"}));
    (odd["id"], odd["model"]) = (json!(17), json!(4.50));
    let answer = ask_events(vec![event(odd), finish("stop"), DONE.into()]).ok();
    assert_eq!((&answer["id"], &answer["model"]), (&json!("17"), &json!("4.5")));
}

#[test]
fn a_time_in_any_writing_is_whole_seconds() {
    for written in ["1.8e9", "1800000000.75", "\"1800000000\"", "18E8"] {
        let odd = format!(r#"{{"created":{written},"choices":[{{"index":0,"delta":{{"content":"a"}}}}]}}"#);
        let answer = ask_events(vec![event(odd), finish("stop"), DONE.into()]).ok();
        assert_eq!(answer["created"], json!(1800000000), "{written}");
    }
}

#[test]
fn choices_with_an_index_in_quotes_or_without_any_stay_apart() {
    let both = |name: &str, indexes: [Value; 2]| {
        let [a, b] = indexes;
        let part =
            |index: Value, text: &str| json!({"index": index, "delta": {"content": text}, "finish_reason": "stop"});
        let outcome = ask_events(vec![event(chunk_of(json!([part(a, "a"), part(b, "b")]))), DONE.into()]);
        let choices = outcome.ok()["choices"].as_array().unwrap().clone();
        let told: Vec<_> = choices.iter().map(|choice| choice["message"]["content"].clone()).collect();
        assert_eq!(told, [json!("a"), json!("b")], "{name}");
    };
    both("in quotes", [json!("0"), json!("1")]);
    both("without any", [Value::Null, Value::Null]);
}

#[test]
fn content_in_parts_of_text_alone_is_a_string() {
    let text = |text: &str| json!({"content": [{"type": "text", "text": text}]});
    let outcome = assemble(&[text("Hel\n"), text("lo")]);
    assert_eq!((outcome.message()["content"].clone(), outcome.content()), (json!("Hel\nlo"), "Hel\nlo".to_string()));
}

// ---- what nobody has heard of ----

#[test]
fn unknown_fields_are_kept_at_every_level() {
    let first = json!({
        "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "service_tier": "on_demand", "x_groq": {"id": "req_1"}, "system_fingerprint": "fp",
        "choices": [{
            "index": 0, "content_filter_results": {"hate": {"filtered": false}}, "finish_reason": null,
            "delta": {"role": "assistant", "content": "Hi", "weird": {"deep": [1, {"er": null}]}, "flag": true},
        }],
    });
    let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "native_finish_reason": "END"}], "provider": "p"});
    let outcome = ask_events(vec![event(first), event(last), DONE.into()]);
    let answer = outcome.ok();
    assert_eq!((&answer["service_tier"], &answer["provider"]), (&json!("on_demand"), &json!("p")));
    assert_eq!((&answer["x_groq"], &answer["system_fingerprint"]), (&json!({"id": "req_1"}), &json!("fp")));
    let choice = &answer["choices"][0];
    assert_eq!(choice["content_filter_results"], json!({"hate": {"filtered": false}}));
    assert_eq!(choice["native_finish_reason"], "END");
    assert_eq!(choice["message"]["weird"], json!({"deep": [1, {"er": null}]}));
    assert_eq!(choice["message"]["flag"], true);
    assert_eq!(choice.get("delta"), None);
}

#[test]
fn numbers_keep_all_their_digits() {
    let numbers =
        ["1e400", "123456789012345678901234567890", "1.0", "-0", "0.1000000000000000055511151231257827", "1E+2"];
    let fields: String = numbers.iter().enumerate().map(|(n, number)| format!("\"n{n}\":{number},")).collect();
    let odd = format!(
        "{{{fields}\"choices\":[{{\"index\":0,\"delta\":{{{fields}\"content\":\"a\"}},\"finish_reason\":\"stop\"}}]}}"
    );
    let outcome = ask_events(vec![event(odd), DONE.into()]);
    outcome.ok();
    let data = outcome.data.unwrap();
    for (n, number) in numbers.iter().enumerate() {
        assert_eq!(data.matches(&format!("\"n{n}\":{number}")).count(), 2, "{number} in {data}");
    }
}

#[test]
fn deep_nesting_is_survived() {
    for depth in [100, 5_000, 200_000] {
        let deep = format!(
            "{{\"x\":{}{},\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"a\"}}}}]}}",
            "[".repeat(depth),
            "]".repeat(depth)
        );
        let outcome = ask_events(vec![event(deep), finish("stop"), DONE.into()]);
        if depth == 100 {
            assert!(outcome.ok()["x"].is_array());
        }
    }
}

#[test]
fn a_stream_of_whole_messages_is_not_lost() {
    // One-shot answers dressed as a stream: the whole choice in a single chunk.
    let outcome = ask_stream(|conn| {
        conn.stream([
            event(chunk_of(
                json!([{"index": 0, "delta": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]),
            )),
            DONE.into(),
        ]);
    });
    assert_eq!(outcome.ok()["choices"][0]["message"], json!({"role": "assistant", "content": "Hello"}));
}
