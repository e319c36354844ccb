//! Requests, answers and stream events as servers really send them.

use serde_json::{Value, json};

/// A request for a whole answer.
pub const ASK: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
/// A request for a stream.
pub const ASK_STREAM: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}"#;
/// The event that ends a stream.
pub const DONE: &str = "data: [DONE]\n\n";

/// A whole answer with this message and finish reason.
pub fn completion_of(message: Value, finish_reason: &str) -> Value {
    json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "m-1",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    })
}

/// A whole answer with this text.
pub fn completion(content: &str) -> String {
    completion_of(json!({"role": "assistant", "content": content}), "stop").to_string()
}

/// A chunk with these choices.
pub fn chunk_of(choices: Value) -> Value {
    json!({
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "m-1",
        "choices": choices,
    })
}

/// A chunk that adds `delta` to choice 0.
pub fn chunk(delta: Value) -> Value {
    chunk_of(json!([{"index": 0, "delta": delta, "finish_reason": null}]))
}

/// An event with this data.
pub fn event(data: impl ToString) -> String {
    format!("data: {}\n\n", data.to_string())
}

/// An event that adds `delta` to choice 0.
pub fn delta(delta: Value) -> String {
    event(chunk(delta))
}

/// An event that adds text to choice 0.
pub fn say(text: &str) -> String {
    delta(json!({"content": text}))
}

/// The event that finishes choice 0.
pub fn finish(reason: &str) -> String {
    finish_with(json!(reason))
}

/// The same with any JSON value for a reason.
pub fn finish_with(reason: Value) -> String {
    event(chunk_of(json!([{"index": 0, "delta": {}, "finish_reason": reason}])))
}

/// The event with the usage, as it comes after the finish.
pub fn usage() -> String {
    let mut chunk = chunk_of(json!([]));
    chunk["usage"] = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    event(chunk)
}

/// The events of a whole stream that says `Hello`, in the order of an OpenAI server.
pub fn hello() -> Vec<String> {
    let first = delta(json!({"role": "assistant", "content": ""}));
    vec![first, say("Hel"), say("lo"), finish("stop"), usage(), DONE.to_string()]
}
