//! A conversation without a JSON library: messages in, request bodies out, and answers among the messages as servers want
//! them back.

use std::ptr::{null, null_mut};

use helio::abi::*;
use serde_json::{Value, json};

use super::process::in_a_fork;
use crate::support::alone::alone;
use crate::support::c::{Client, has_feature};
use crate::support::chat::{ASK_STREAM, DONE, completion, completion_of, delta, finish};
use crate::support::conversation::{Conversation, json_get};
use crate::support::copied::take_error;
use crate::support::server::Server;
use crate::this_test;

/// The message that this answer leaves in a conversation.
#[track_caller]
fn echoed(completion: impl ToString) -> String {
    let chat = Conversation::new();
    assert_eq!(chat.add_reply(completion), HELIO_OK, "{:#?}", chat.error());
    chat.messages()
}

/// The same of an answer with this message.
#[track_caller]
fn echo_of(message: Value) -> Value {
    serde_json::from_str(&echoed(completion_of(message, "stop"))).expect("a message in JSON")
}

#[track_caller]
fn refuses(chat: &Conversation, status: helio_status, expected: helio_status, words: &[&str]) {
    assert_eq!(status, expected);
    chat.error().expect("an error").is(expected).says(words);
}

// ---- messages in, bodies out ----

#[test]
fn texts_become_messages_in_their_order() {
    assert_eq!((has_feature("chat"), has_feature("json")), (1, 1));
    let chat = Conversation::new();
    for (role, text) in [("system", "Be short."), ("developer", "d"), ("user", "Hi"), ("assistant", "Hello")] {
        assert_eq!(chat.add(role, text), HELIO_OK);
    }
    assert_eq!(chat.count(), 4);
    assert_eq!(
        chat.request(Some(r#"{"model":"m", "stream" : true}"#)).unwrap(),
        r#"{"model":"m", "stream" : true,"messages":[{"role":"system","content":"Be short."},{"role":"developer","content":"d"},{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]}"#
    );
    assert!(chat.error().is_none());
}

#[test]
fn any_text_survives() {
    let texts = ["", "quo\"te \\ back", "line\r\n\ttab\u{1}\u{0}nul", "ü 🌍 \u{2028}", "</script>"];
    let chat = Conversation::new();
    texts.iter().for_each(|text| assert_eq!(chat.add("user", text), HELIO_OK));
    let long = "long ".repeat(400_000);
    assert_eq!(chat.add_tool_result("call\"1", &long), HELIO_OK);
    let body: Value = serde_json::from_str(&chat.request(None).unwrap()).unwrap();
    for (place, text) in texts.iter().enumerate() {
        assert_eq!(body["messages"][place], json!({"role": "user", "content": text}));
    }
    assert_eq!(body["messages"][texts.len()], json!({"role": "tool", "tool_call_id": "call\"1", "content": long}));
    let ends_in_nul = c"until the NUL";
    // SAFETY: the chat is alive, the texts end in NUL.
    let status = unsafe { helio_chat_add(chat.0, c"user".as_ptr(), ends_in_nul.as_ptr(), HELIO_STRLEN) };
    assert_eq!(status, HELIO_OK);
    assert!(chat.messages().ends_with(r#"{"role":"user","content":"until the NUL"}"#));
}

#[test]
fn json_messages_are_kept_byte_for_byte() {
    let image = r#"{ "role" : "user","content":[{"type":"image_url","image_url":{"url":"data:image\/png;base64,AA=="}}], "x":1.50}"#;
    let chat = Conversation::new();
    assert_eq!(chat.add_json(format!("\n {image}\t")), HELIO_OK);
    assert_eq!(chat.messages(), image);
    assert_eq!(chat.add_json(r#"[ {"role":"user","content":"a"} , {"role":"assistant","content":"b"}]"#), HELIO_OK);
    assert_eq!(chat.add_json("[]"), HELIO_OK);
    assert_eq!(
        chat.messages(),
        format!(r#"{image},{{"role":"user","content":"a"}},{{"role":"assistant","content":"b"}}"#)
    );
}

#[test]
fn a_stored_conversation_is_restored_as_it_was() {
    let chat = Conversation::new();
    chat.add("user", "one");
    chat.add_reply(completion("two"));
    let stored = chat.request(None).unwrap();
    let restored = Conversation::new();
    assert_eq!(restored.add_json(json_get(&stored, "/messages").unwrap()), HELIO_OK);
    assert_eq!((restored.count(), restored.request(None).unwrap()), (2, stored));
}

#[test]
fn the_same_conversation_gives_the_same_bytes() {
    let chat = Conversation::new();
    chat.add("user", "Hi");
    let bodies: Vec<_> = (0..3).map(|_| chat.request(Some(r#"{"model":"m","n":1.0}"#)).unwrap()).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    chat.add("user", "more");
    let longer = chat.request(Some(r#"{"model":"m","n":1.0}"#)).unwrap();
    assert!(
        longer.starts_with(bodies[0].trim_end_matches("]}")),
        "what was there is the beginning: prompt caches need it"
    );
}

#[test]
fn parameters_may_be_absent_and_so_may_messages() {
    let chat = Conversation::new();
    assert_eq!(chat.request(None).unwrap(), "{}");
    assert_eq!(chat.request(Some(r#"{"prompt_id":"p"}"#)).unwrap(), r#"{"prompt_id":"p"}"#);
    chat.add("user", "Hi");
    for nothing in [None, Some("{}"), Some(" { \n } ")] {
        let body: Value = serde_json::from_str(&chat.request(nothing).unwrap()).unwrap();
        assert_eq!(body, json!({"messages": [{"role": "user", "content": "Hi"}]}));
    }
    // SAFETY: the chat is alive; nobody wants the body.
    assert_eq!(unsafe { helio_chat_request(chat.0, null(), null_mut()) }, HELIO_OK);
}

#[test]
fn messages_can_be_taken_out_again() {
    let chat = Conversation::new();
    (0..6).for_each(|number| assert_eq!(chat.add("user", number.to_string()), HELIO_OK));
    let left = || {
        let body: Value = serde_json::from_str(&chat.request(None).unwrap()).unwrap();
        let messages = body["messages"].as_array().cloned().unwrap_or_default();
        messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect::<String>()
    };
    for (first, count, rest) in [
        (1, 2, "0345"),
        (3, 100, "034"),
        (0, 0, "034"),
        (7, 1, "034"),
        (1, usize::MAX, "0"),
        (usize::MAX, usize::MAX, "0"),
    ] {
        assert_eq!(chat.remove(first, count), HELIO_OK);
        assert_eq!((left().as_str(), chat.count()), (rest, rest.len()));
    }
}

// ---- answers ----

#[test]
fn an_answer_is_a_message_of_the_assistant() {
    assert_eq!(echoed(completion("Hello")), r#"{"role":"assistant","content":"Hello"}"#);
    let stray = r#"{"choices":[{"index":1,"message":{"content":"no"},"finish_reason":"stop"},{"index":0,"message":{"content":"ye\u0073"},"finish_reason":"stop"}]}"#;
    assert_eq!(echoed(stray), r#"{"role":"assistant","content":"ye\u0073"}"#, "choice 0, wherever it stands");
    let other = json_get(stray, "/choices/0/message").unwrap();
    assert_eq!(echoed(other), r#"{"role":"assistant","content":"no"}"#, "or the one that is given");
    assert_eq!(
        echoed(r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}"#),
        r#"{"role":"assistant","content":"a"}"#
    );
}

#[test]
fn what_a_provider_wants_to_see_again_goes_back_as_it_came() {
    let message = json!({
        "role": "assistant",
        "content": null,
        "reasoning": "Let me see.",
        "reasoning_content": "Let me see.",
        "reasoning_details": [{"thinking": "Let me see.", "signature": "c2lnbmF0dXJl"}],
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"},
            "extra_content": {"google": {"thought_signature": "c2ln"}}}],
        "provider_fields": {"x": [1.50, "ü"]},
    });
    assert_eq!(echo_of(message.clone()), message);
    for (name, value) in [
        (
            "annotations",
            json!([{"type": "url_citation", "url_citation": {"url": "https://x", "title": "t", "start_index": 0, "end_index": 1}}]),
        ),
        ("images", json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}])),
        ("refusal", json!("I will not.")),
        ("name", json!("ada")),
    ] {
        let message = json!({"role": "assistant", "content": "x", name: value});
        assert_eq!(echo_of(message.clone()), message, "{name}");
    }
}

#[test]
fn what_servers_refuse_in_a_request_does_not_go_back() {
    let empty = json!({"role": "assistant", "content": "x", "refusal": null, "tool_calls": [], "function_call": null,
        "annotations": [], "audio": null, "reasoning": null});
    assert_eq!(echo_of(empty), json!({"role": "assistant", "content": "x"}));
    let audio = json!({"id": "audio_1", "data": "AAAA", "expires_at": 1, "transcript": "Hi"});
    let spoken = echo_of(json!({"role": "assistant", "content": null, "audio": audio}));
    assert_eq!(spoken, json!({"role": "assistant", "audio": {"id": "audio_1"}, "content": ""}));
    assert_eq!(echo_of(json!({"content": null, "reasoning": "hm"}))["content"], "", "an empty message is refused");
    let old = json!({"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}});
    assert_eq!(echo_of(old.clone()), old);
    assert_eq!(echo_of(json!({"role": "model", "content": "x"}))["role"], "assistant");
}

#[test]
fn tool_calls_in_a_broken_shape_are_put_right() {
    let calls = |list: Value| {
        let message = echo_of(json!({"content": null, "tool_calls": list}));
        message["tool_calls"].clone()
    };
    let right = json!([{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]);
    assert_eq!(calls(right.clone()), right);
    assert_eq!(calls(json!([{"index": 0, "id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}])), right);
    let none = json!([{"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}]);
    for nothing in [json!({"name": "f", "arguments": null}), json!({"name": "f"})] {
        assert_eq!(calls(json!([{"id": "c1", "type": null, "function": nothing}])), none);
    }
    assert_eq!(calls(json!([{"id": 7, "type": "function", "function": {"name": "f", "arguments": ""}}]))[0]["id"], "7");
    let custom = json!([{"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}]);
    assert_eq!(calls(custom.clone()), custom);
    assert_eq!(calls(json!([{"id": "c1", "custom": {"name": "sql", "input": "SELECT 1"}}])), custom);
}

#[test]
fn calls_without_an_id_get_one_that_no_other_has() {
    let answer = completion_of(
        json!({"content": null, "tool_calls": [{"function": {"name": "f"}}, {"id": "", "function": {"name": "g"}}]}),
        "tool_calls",
    );
    let chat = Conversation::new();
    assert_eq!((chat.add_reply(&answer), chat.add_reply(&answer)), (HELIO_OK, HELIO_OK));
    let body = chat.request(None).unwrap();
    let places = [
        "/messages/0/tool_calls/0/id",
        "/messages/0/tool_calls/1/id",
        "/messages/1/tool_calls/0/id",
        "/messages/1/tool_calls/1/id",
    ];
    let mut ids = places.map(|place| json_get(&body, place).expect("an id"));
    assert!(ids.iter().all(|id| !id.is_empty()));
    ids.sort();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
}

#[test]
fn what_is_no_answer_is_not_added() {
    let chat = Conversation::new();
    for (answer, status, words) in [
        (r#"{"error":{"message":"no"}}"#, HELIO_ERR_INVALID_ARGUMENT, "choices"),
        (r#"{"choices":[]}"#, HELIO_ERR_INVALID_ARGUMENT, "no choice"),
        (r#"{"choices":null}"#, HELIO_ERR_INVALID_ARGUMENT, "no choice"),
        (r#"{"choices":[{"index":0,"delta":{"content":"x"}}]}"#, HELIO_ERR_INVALID_ARGUMENT, "message"),
        (r#"{"choices":[{"message":"x"}]}"#, HELIO_ERR_INVALID_ARGUMENT, "message"),
        ("[]", HELIO_ERR_INVALID_JSON, "one JSON object"),
        ("{\"choices\":[{\"message\":{", HELIO_ERR_INVALID_JSON, "one JSON object"),
        ("Hello", HELIO_ERR_INVALID_JSON, "one JSON object"),
    ] {
        refuses(&chat, chat.add_reply(answer), status, &[words]);
    }
    assert_eq!(chat.count(), 0);
}

#[test]
fn half_an_answer_can_be_kept_but_not_half_a_call() {
    let half = |message: Value| json!({"choices": [{"index": 0, "message": message, "finish_reason": null}]});
    assert_eq!(echoed(half(json!({"content": "Once upon"}))), r#"{"role":"assistant","content":"Once upon"}"#);
    let chat = Conversation::new();
    let cut = json!({"content": null, "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{\"a"}}]});
    refuses(&chat, chat.add_reply(half(cut)), HELIO_ERR_INVALID_ARGUMENT, &["broke off", "ask again"]);
    assert_eq!(chat.count(), 0);
}

#[test]
fn two_calls_are_answered_and_the_server_sees_all_of_it() {
    let call = |index: usize, id: &str, arguments: &str| {
        let function = json!({"name": "add", "arguments": arguments});
        delta(json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}))
    };
    let server = Server::new(move |request, conn| match request.number {
        0 => conn.stream([
            call(0, "c1", "{\"a\":1,"),
            call(1, "c2", "{\"a\":3,\"b\":4}"),
            delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"b\":2}"}}]})),
            finish("tool_calls"),
            DONE.to_owned(),
        ]),
        _ => conn.json(200, completion("3 and 7")),
    });
    let (client, chat) = (Client::of(&server), Conversation::new());
    let parameters = r#"{"model":"m","stream":true,"tools":[{"type":"function","function":{"name":"add"}}]}"#;
    chat.add("user", "1+2, 3+4?");
    let first = client.ask(chat.request(Some(parameters)).unwrap()).ok().to_string();
    assert_eq!(chat.add_reply(&first), HELIO_OK);
    for place in 0.. {
        let Ok(id) = json_get(&first, &format!("/choices/0/message/tool_calls/{place}/id")) else { break };
        let arguments = json_get(&first, &format!("/choices/0/message/tool_calls/{place}/function/arguments")).unwrap();
        let number = |name: &str| json_get(&arguments, name).unwrap().parse::<i64>().unwrap();
        assert_eq!(chat.add_tool_result(&id, (number("/a") + number("/b")).to_string()), HELIO_OK);
    }
    client.call(chat.request(Some(parameters)).unwrap()).overrides(&json!({"validate": "strict"})).run().ok();
    let messages = server.requests()[1].json()["messages"].clone();
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "add", "arguments": arguments}});
    assert_eq!(
        messages,
        json!([
            {"role": "user", "content": "1+2, 3+4?"},
            {"role": "assistant", "content": null, "tool_calls": [call("c1", "{\"a\":1,\"b\":2}"), call("c2", "{\"a\":3,\"b\":4}")]},
            {"role": "tool", "tool_call_id": "c1", "content": "3"},
            {"role": "tool", "tool_call_id": "c2", "content": "7"},
        ])
    );
}

// ---- mistakes ----

#[test]
fn a_mistake_is_explained_and_adds_nothing() {
    let chat = Conversation::new();
    let argument = HELIO_ERR_INVALID_ARGUMENT;
    refuses(&chat, chat.add("tool", "x"), argument, &["\"tool\"", "helio_chat_add_tool_result"]);
    refuses(&chat, chat.add("function", "x"), argument, &["helio_chat_add_json"]);
    refuses(&chat, chat.add("bot", "x"), argument, &["\"bot\"", "system, developer, user, assistant"]);
    refuses(&chat, chat.add("user", b"\xff"), HELIO_ERR_INVALID_UTF8, &["text", "UTF-8"]);
    refuses(&chat, chat.add_tool_result("", "x"), argument, &["tool_call_id"]);
    refuses(&chat, chat.add_json("{\"content\":\"x\"}"), argument, &["role"]);
    refuses(&chat, chat.add_json("{\"role\":7}"), argument, &["role"]);
    refuses(&chat, chat.add_json("{\"role\":"), HELIO_ERR_INVALID_JSON, &["message"]);
    refuses(&chat, chat.add_json("[{\"role\":\"user\"},7]"), HELIO_ERR_INVALID_JSON, &["message"]);
    refuses(&chat, chat.add_json("[{\"role\":\"user\"},{}]"), argument, &["role"]);
    refuses(&chat, chat.add_json("[{\"role\":\"user\"}"), HELIO_ERR_INVALID_JSON, &["message"]);
    refuses(&chat, chat.request(Some("[]")).unwrap_err(), HELIO_ERR_INVALID_JSON, &["parameters"]);
    refuses(&chat, chat.request(Some("{\"messages\":[]}")).unwrap_err(), argument, &["messages"]);
    refuses(&chat, chat.request(Some("{\"mess\\u0061ges\":[]}")).unwrap_err(), argument, &["messages"]);
    assert_eq!((chat.count(), chat.add("user", "x")), (0, HELIO_OK));
    assert!(chat.error().is_some(), "it tells of the last call that failed");
}

#[test]
fn a_copy_of_a_lent_error_outlives_what_lent_it() {
    let chat = Conversation::new();
    assert_eq!(chat.add("bot", "x"), HELIO_ERR_INVALID_ARGUMENT);
    // SAFETY: the chat is alive; the copy is ours.
    let copy = unsafe { helio_error_copy(helio_chat_error(chat.0)) };
    drop(chat);
    let failure = take_error(copy).expect("a copy");
    failure.is(HELIO_ERR_INVALID_ARGUMENT).says(&["\"bot\""]);
    // SAFETY: NULL has a copy: NULL.
    assert!(unsafe { helio_error_copy(null()) }.is_null());
}

#[test]
fn null_is_taken_or_refused_by_every_function() {
    let chat = Conversation::new();
    let text = c"x".as_ptr();
    // SAFETY: each of these takes NULL, or says that it does not.
    unsafe {
        helio_chat_free(null_mut());
        assert_eq!(helio_chat_create(null_mut()), HELIO_ERR_INVALID_ARGUMENT);
        assert_eq!((helio_chat_count(null()), helio_chat_error(null())), (0, null()));
        for status in [
            helio_chat_add(null_mut(), text, text, 1),
            helio_chat_add(chat.0, null(), text, 1),
            helio_chat_add(chat.0, c"user".as_ptr(), null(), 0),
            helio_chat_add_json(null_mut(), text),
            helio_chat_add_json(chat.0, null()),
            helio_chat_add_reply(null_mut(), text),
            helio_chat_add_reply(chat.0, null()),
            helio_chat_add_tool_result(null_mut(), text, text, 1),
            helio_chat_add_tool_result(chat.0, null(), text, 1),
            helio_chat_add_tool_result(chat.0, text, null(), 0),
            helio_chat_remove(null_mut(), 0, 0),
            helio_chat_request(null(), null(), null_mut()),
            helio_json_get(null(), 0, text, null_mut()),
            helio_json_get(text, 1, null(), null_mut()),
        ] {
            assert_eq!(status, HELIO_ERR_INVALID_ARGUMENT);
        }
        let mut body = std::ptr::dangling_mut();
        assert_eq!(helio_chat_request(null(), null(), &mut body), HELIO_ERR_INVALID_ARGUMENT);
        assert!(body.is_null());
    }
    assert_eq!(chat.count(), 0);
}

#[test]
fn threads_can_share_a_conversation() {
    let chat = Conversation::new();
    let address = chat.0 as usize;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                let shared = std::mem::ManuallyDrop::new(Conversation(address as *mut helio_chat));
                for number in 0..200 {
                    assert_eq!(shared.add("user", number.to_string()), HELIO_OK);
                    shared.request(None).expect("a body");
                }
            });
        }
    });
    assert_eq!(chat.count(), 800);
}

// ---- where it works ----

/// Whether a conversation can be had here: messages in, a body out, and something found in it.
fn it_works() -> bool {
    let chat = Conversation::new();
    let talked = chat.add("user", "Hi") == HELIO_OK && chat.add_reply(completion("Hello")) == HELIO_OK;
    let body = chat.request(None).unwrap_or_default();
    talked && json_get(&body, "/messages/1/content").as_deref() == Ok("Hello")
}

#[test]
fn it_works_in_a_callback_and_after_a_shutdown() {
    let server = Server::new(|_, conn| conn.stream([delta(json!({"content": "Hello"})) + &finish("stop") + DONE]));
    let client = Client::of(&server);
    let mut worked = Vec::new();
    client
        .call(ASK_STREAM)
        .on_event(|_| {
            worked.push(it_works());
            0
        })
        .run()
        .ok();
    assert!(worked.len() > 1 && worked.iter().all(|worked| *worked), "{worked:?}");
    assert_eq!(client.handle().shutdown(), HELIO_OK);
    assert!(it_works());
}

#[test]
fn it_works_in_a_forked_child() {
    alone(this_test!(), &[], || {
        let chat = Conversation::new();
        assert_eq!(chat.add("user", "Hi"), HELIO_OK);
        in_a_fork(|| i32::from(!it_works() || chat.count() != 1 || chat.add("user", "there") != HELIO_OK));
        assert_eq!(chat.count(), 1);
    });
}
