//! What holds for every answer: cut into any chunks, and its bytes into any reads, a stream adds up to the answer that the server would
//! have given in one piece. Answers are drawn at random; `HELIO_TEST_SEED` takes the place of the seed, which is said on failure.

use helio::chat::body::{Body, BodyLimits, Promise, Step, Verdict};
use serde_json::{Map, Value, json};

const SEED: u64 = 0x68656c696f;
const ANSWERS: u64 = 2000;
const LIMITS: BodyLimits = BodyLimits { event_bytes: 1 << 20, response_bytes: 1 << 24 };

/// splitmix64: the same seed throws the same numbers.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e3779b97f4a7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn text(&mut self, most: usize) -> String {
        const LETTERS: [&str; 18] = [
            "a", "e", " ", "\n", "\"", "\\", "/", "\t", "\u{0}", "\u{1f}", "é", "海", "😀", "\u{2028}", "data: ",
            "[DONE]", "{", "}",
        ];
        (0..self.below(most + 1)).map(|_| LETTERS[self.below(LETTERS.len())]).collect()
    }

    /// A text in pieces, none of them empty.
    fn pieces(&mut self, text: &str) -> Vec<String> {
        let mut pieces = vec![String::new()];
        for letter in text.chars() {
            if self.one_in(3) {
                pieces.push(String::new());
            }
            pieces.last_mut().expect("one").push(letter);
        }
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    /// JSON as another writer has it: with escapes where none are needed, and with blanks.
    fn written(&mut self, value: &Value) -> String {
        let plain = if self.one_in(3) { spaced(value) } else { value.to_string() };
        if !self.one_in(3) {
            return plain;
        }
        let mut out = String::new();
        for letter in plain.chars() {
            match letter.is_ascii() {
                true => out.push(letter),
                false => {
                    letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")))
                }
            }
        }
        out
    }
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

/// One choice of an answer, and the deltas that say it in pieces, in order.
struct Choice {
    message: Map<String, Value>,
    finish_reason: &'static str,
    deltas: Vec<Value>,
}

fn draw_choice(dice: &mut Dice) -> Choice {
    let mut message = Map::new();
    let mut deltas = vec![json!({"role": "assistant"})];
    message.insert("role".to_owned(), json!("assistant"));
    let calls = if dice.one_in(3) { 1 + dice.below(3) } else { 0 };
    for (name, is_there) in
        [("reasoning_content", dice.one_in(3)), ("refusal", dice.one_in(6)), ("content", calls == 0 || dice.one_in(2))]
    {
        let text = if is_there { dice.text(40) } else { String::new() };
        for piece in dice.pieces(&text) {
            deltas.push(json!({ name: piece }));
        }
        if !text.is_empty() {
            message.insert(name.to_owned(), json!(text));
        }
    }
    let mut told = Vec::new();
    for index in 0..calls {
        let (id, name) = (format!("id-{index}"), format!("tool_{}", dice.below(9)));
        let arguments = json!({ "a": dice.text(12), "n": dice.below(1000) }).to_string();
        deltas.push(json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}]}));
        for piece in dice.pieces(&arguments) {
            deltas.push(json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}));
        }
        told.push(json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}));
    }
    if calls > 0 {
        message.insert("tool_calls".to_owned(), json!(told));
    }
    let finish_reason = if calls > 0 { "tool_calls" } else { ["stop", "length", "content_filter"][dice.below(3)] };
    Choice { message, finish_reason, deltas }
}

/// An answer in one piece, and a stream that says the same.
fn draw_answer(dice: &mut Dice) -> (Value, String) {
    let head = json!({"id": format!("chatcmpl-{}", dice.below(1_000_000)), "created": dice.below(2_000_000_000), "model": "m"});
    let choices: Vec<Choice> = (0..1 + dice.below(3)).map(|_| draw_choice(dice)).collect();
    let mut lines: Vec<std::vec::IntoIter<Value>> = choices
        .iter()
        .enumerate()
        .map(|(index, choice)| {
            let mut all: Vec<Value> = Vec::new();
            for delta in &choice.deltas {
                all.push(json!({"index": index, "delta": delta, "finish_reason": null}));
            }
            all.push(json!({"index": index, "delta": {}, "finish_reason": choice.finish_reason}));
            all.into_iter()
        })
        .collect();
    let mut stream = String::new();
    let usage = json!({"prompt_tokens": dice.below(100), "completion_tokens": dice.below(100), "total_tokens": dice.below(200)});
    let (ending, blank) = (["\n", "\r\n", "\r"][dice.below(3)], if dice.one_in(2) { " " } else { "" });
    let mut send = |dice: &mut Dice, members: Value| {
        let mut chunk = head.clone();
        chunk["object"] = json!("chat.completion.chunk");
        for (name, value) in members.as_object().expect("members") {
            chunk[name] = value.clone();
        }
        if dice.one_in(8) {
            stream.push_str(&format!(": still there{ending}{ending}"));
        }
        stream.push_str(&format!("data:{blank}{}{ending}{ending}", dice.written(&chunk)));
    };
    // The choices' chunks come in any order, each choice's in its own.
    while !lines.is_empty() {
        let which = dice.below(lines.len());
        match lines[which].next() {
            Some(choice) => send(dice, json!({"choices": [choice]})),
            None => drop(lines.swap_remove(which)),
        }
    }
    let has_usage = dice.one_in(2);
    if has_usage {
        send(dice, json!({"choices": [], "usage": usage}));
    }
    stream.push_str(&format!("data: [DONE]{ending}{ending}"));
    let mut whole = head;
    whole["object"] = json!("chat.completion");
    whole["choices"] = choices
        .iter()
        .enumerate()
        .map(
            |(index, choice)| json!({"index": index, "message": choice.message, "finish_reason": choice.finish_reason}),
        )
        .collect();
    if has_usage {
        whole["usage"] = usage;
    }
    (whole, stream)
}

/// Without what an assembled message has for the sake of strict readers: members that are null.
fn without_nulls(mut whole: Value) -> Value {
    for choice in whole["choices"].as_array_mut().expect("choices") {
        let choice = choice.as_object_mut().expect("a choice");
        choice.retain(|_, value| !value.is_null());
        choice["message"].as_object_mut().expect("a message").retain(|_, value| !value.is_null() && value != "");
    }
    whole
}

/// What a stream adds up to, and the text of its choice 0 as it was shown in pieces, and as a whole.
fn added_up(dice: &mut Dice, stream: &str) -> (Value, String, String) {
    let mut body = Body::new(Promise::of(Some("text/event-stream")), LIMITS, true);
    let (mut bytes, mut shown) = (stream.as_bytes(), String::new());
    let most = [1, 7, 100, 100_000][dice.below(4)];
    while !bytes.is_empty() {
        let (mut read, rest) = bytes.split_at(1 + dice.below(most.min(bytes.len())));
        bytes = rest;
        while body.next(&mut read).expect("no fault") == Step::Chunk {
            shown.push_str(&body.words().expect("words").text);
        }
    }
    match body.verdict() {
        Verdict::Complete(end) => (serde_json::from_str(end.data.as_str()).expect("JSON"), shown, end.words.text),
        _ => panic!("it is not whole"),
    }
}

#[test]
fn a_stream_adds_up_to_the_answer_in_one_piece() {
    let seed = std::env::var("HELIO_TEST_SEED").map_or(SEED, |seed| seed.parse().expect("a number"));
    for number in 0..ANSWERS {
        let mut dice = Dice(seed.wrapping_add(number));
        let (whole, stream) = draw_answer(&mut dice);
        let said = whole.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or("").to_owned();
        let (found, shown, text) = added_up(&mut dice, &stream);
        let place = format!("HELIO_TEST_SEED={}\n{stream}", seed.wrapping_add(number));
        assert_eq!(without_nulls(found), without_nulls(whole), "{place}");
        assert_eq!((shown.as_str(), text.as_str()), (said.as_str(), said.as_str()), "{place}");
    }
}
