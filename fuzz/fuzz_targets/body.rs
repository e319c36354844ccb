//! A body means the same however its bytes are split: the same chunks, the same end, and what it adds up to is JSON.

#![no_main]

use helio::chat::body::{Body, BodyLimits, Fault, Promise, Step, Verdict};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const LIMITS: BodyLimits = BodyLimits { event_bytes: 64 * 1024, response_bytes: 1024 * 1024 };

#[derive(PartialEq, Debug)]
enum Seen {
    Chunk(String, String),
    Terminated,
    Complete(Value, String),
    Partial(Value, String),
    Truncated,
    Empty,
    Refused(String),
    Strange, // its message shows the bytes that had come
    TooLarge(&'static str),
}

fn fault(fault: Fault) -> Seen {
    match fault {
        Fault::Refused(body) => Seen::Refused(body),
        Fault::Strange(..) => Seen::Strange,
        Fault::TooLarge(limit) => Seen::TooLarge(limit),
    }
}

/// As JSON, without the names that the library draws for calls that have none.
fn parsed(data: &str) -> Value {
    let mut value: Value = serde_json::from_str(data).expect("what an answer adds up to is JSON");
    let choices = value.get_mut("choices").and_then(Value::as_array_mut);
    for choice in choices.into_iter().flatten() {
        let calls = choice.pointer_mut("/message/tool_calls").and_then(Value::as_array_mut);
        for call in calls.into_iter().flatten() {
            if call.get("id").and_then(Value::as_str).is_some_and(|id| id.starts_with("call_")) {
                call["id"] = Value::Null;
            }
        }
    }
    value
}

fn read<'a>(promise: Promise, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Seen> {
    let (mut body, mut seen) = (Body::new(promise, LIMITS, true), Vec::new());
    let note = |body: &Body, step: &Step, seen: &mut Vec<Seen>| match step {
        Step::More => false,
        Step::Terminated => {
            // It stays so, whatever follows.
            if seen.last() != Some(&Seen::Terminated) {
                seen.push(Seen::Terminated);
            }
            false
        }
        Step::Chunk => {
            let text = body.chunk().map(|chunk| chunk.as_str().to_owned()).unwrap_or_default();
            let words = body.words().map(|words| words.text.as_str().to_owned()).unwrap_or_default();
            seen.push(Seen::Chunk(text, words));
            true
        }
    };
    let partial = |body: &mut Body| {
        body.partial().map(|end| Seen::Partial(parsed(end.data.as_str()), end.words.text.as_str().to_owned()))
    };
    for mut piece in pieces {
        loop {
            match body.next(&mut piece) {
                Ok(step) if note(&body, &step, &mut seen) => {}
                Ok(_) => break,
                Err(what) => {
                    seen.push(fault(what));
                    seen.extend(partial(&mut body));
                    return seen;
                }
            }
        }
    }
    loop {
        match body.rest() {
            Ok(step) if note(&body, &step, &mut seen) => {}
            Ok(_) => break,
            Err(what) => {
                seen.push(fault(what));
                return seen;
            }
        }
    }
    let end = match body.verdict() {
        Verdict::Complete(end) => Seen::Complete(parsed(end.data.as_str()), end.words.text.as_str().to_owned()),
        Verdict::Truncated => Seen::Truncated,
        Verdict::Empty => Seen::Empty,
        Verdict::Fault(what) => fault(what),
    };
    if end == Seen::Truncated {
        seen.extend(partial(&mut body));
    }
    seen.push(end);
    seen
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, bytes)) = input.split_first() else { return };
    let promises = [Some("text/event-stream"), Some("application/json"), Some("text/plain"), None];
    let promise = || Promise::of(promises[usize::from(first % 4)]);
    let whole = read(promise(), std::iter::once(bytes));
    let each = read(promise(), bytes.chunks(1));
    let some = read(promise(), bytes.chunks(usize::from(first / 4) + 2));
    assert_eq!(whole, each);
    assert_eq!(whole, some);
});
