//! One chunk, read as JSON: exactly if it is an object, however it is spelled, and whatever came before it.

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::ask::ask_events;
use crate::support::c::Client;
use crate::support::chat::{ASK_STREAM, DONE, event, finish};
use crate::support::outcome::Outcome;
use crate::support::server::Server;

#[test]
fn a_chunk_is_taken_exactly_if_it_is_an_object() {
    let chunk =
        r#" {"id":"c","n":[-1.5e+3,0,true,null,{}],"choices":[{"index":0,"delta":{"content":"a\n\u0041\"{"}}]}"#;
    // Every beginning of it, and the whole with each byte left out or replaced.
    let mut spoiled: Vec<_> = (1..chunk.len()).map(|end| chunk[..end].to_string()).collect();
    for at in 0..chunk.len() {
        let (before, after) = (&chunk[..at], &chunk[at + 1..]);
        spoiled.extend(["", "x", ",", "}", "\"", "\t", "0"].map(|byte| format!("{before}{byte}{after}")));
    }
    let server = {
        let spoiled = spoiled.clone();
        Server::new(move |request, conn| conn.stream([event(&spoiled[request.number]) + &finish("stop")]))
    };
    let client = Client::with(&server, json!({"retry": {"max_retries": 0}}));
    for data in &spoiled {
        let object = serde_json::from_str::<Value>(data).is_ok_and(|value| value.is_object());
        let ignored = data.trim().is_empty() || data.trim_start().starts_with(':') || data.trim() == "\"\"";
        let outcome = client.ask(ASK_STREAM);
        if object || ignored {
            // What a member means may have changed with its name; that it can be read has not.
            assert_ne!(outcome.status, HELIO_ERR_PROTOCOL, "{data:?}: {outcome:#?}");
        } else {
            outcome.fails(HELIO_ERR_PROTOCOL);
        }
    }
}

#[test]
fn a_chunk_may_be_spelled_in_any_way() {
    for chunk in [
        r#"{"choices":[{"finish_reason":"stop","delta":{"content":"Hello"},"index":0}]}"#,
        "{ \t\"choices\" : [ { \"index\" : 0 , \"delta\" : { \"content\" : \"Hello\" } , \"finish_reason\" : \"stop\" } ] } ",
        r#"{"cho\u0069ces":[{"\u0069ndex":0,"d\u0065lta":{"c\u006fntent":"H\u0065llo"},"finish_reaso\u006e":"st\u006fp"}]}"#,
        r#"{"content":"no","delta":{"content":"no"},"x":[{"choices":[{"delta":{"content":"no"}}]}],"choices":[{"content":"no","delta":{"x":{"content":"no"},"content":"Hello","y":"\"content\":\"no\""},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"index":0.0,"delta":{"content":"Hello"},"finish_reason":"stop"}]}"#,
    ] {
        let outcome = ask_events(vec![event(chunk), DONE.into()]);
        outcome.ok();
        assert_eq!(
            (outcome.content().as_str(), outcome.chunks()[0].text.as_deref()),
            ("Hello", Some("Hello")),
            "{chunk}"
        );
    }
}

/// A chunk as most servers send it, time and again, with another text (as JSON spells it) in the same place.
fn usual(text: &str) -> String {
    format!(
        r#"{{"id":"c-1","object":"chat.completion.chunk","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
    )
}

#[test]
fn a_chunk_that_looks_like_the_one_before_is_read_for_itself() {
    let usual_with = |from: &str, to: &str| usual("c").replacen(from, to, 1);
    let lookalikes = [
        usual(""),
        usual(&"long ".repeat(3000)),
        usual(r#"\"},\"finish_reason\":\"stop\"}]}"#),
        usual(r"\u0022\u005c\n\/\ud83d\ude00\u0000"),
        usual(r"\ud83d"),
        usual("世界 😀 \u{2028}"),
        usual(r"\\"),
        // Two strings where there was one.
        usual(r#"d"},"finish_reason":null,"x":{"y":"z"#),
        usual(r#"d","content":"e"#),
        usual(r#"d"},"finish_reason":"stop","x":{"y":"z"#),
        usual(r#"d","reasoning":"e"#),
        usual(
            r#"d","tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}],"x":"y"#,
        ),
        // The same place, another thing.
        usual_with("\"content\"", "\"reasoning_content\""),
        usual_with("\"content\"", "\"refusal\""),
        usual_with("\"content\"", "\"conTent\""),
        usual_with("\"c\"", "null"),
        usual_with("\"c\"", "5"),
        usual_with("\"c\"", "[{\"type\":\"text\",\"text\":\"c\"}]"),
        usual_with("\"c\"", "{\"c\":\"d\"}"),
        usual_with("\"index\":0", "\"index\":1"),
        usual_with("c-1", "c-2"),
        usual_with("null}]}", "\"length\"}]}"),
        usual_with("null}]}", "null}],\"usage\":{\"total_tokens\":7}}"),
        usual_with("{\"id\"", "{ \"id\""),
        usual_with("\"choices\"", "\"error\":null,\"choices\""),
        usual_with("\"choices\":[{\"index\"", "\"choices\":[{\"content\":\"no\",\"index\""),
        usual("c") + " ",
        // What is no JSON any more.
        usual(r"\"),
        usual(r"\q"),
        usual(r"\u12"),
        usual(r"\u12g4"),
        usual("a\tb"),
        usual("\""),
        usual_with("\"c\"", "\"c"),
        usual_with("\"c\"", "c\""),
        usual_with("null}]}", "null}]"),
        usual_with("null}]}", "null]}"),
        usual_with("null}]}", "nul}]}"),
        usual("c") + "}",
        usual("c") + "x",
    ];
    let finish_both =
        json!([{"index": 0, "delta": {}, "finish_reason": "stop"}, {"index": 1, "delta": {}, "finish_reason": "stop"}]);
    let finish_both = event(json!({"id": "c-1", "choices": finish_both}));
    let ask =
        |chunks: &[&str]| ask_events(chunks.iter().map(event).chain([finish_both.clone(), DONE.into()]).collect());
    for lookalike in &lookalikes {
        let alone = ask(&[lookalike]);
        let among = ask(&[&usual("a"), &usual("b"), lookalike, &usual("z")]);
        let twice = ask(&[&usual("a"), lookalike, lookalike, &usual("z")]);
        if alone.status != HELIO_OK {
            alone.fails(HELIO_ERR_PROTOCOL);
            among.fails(HELIO_ERR_PROTOCOL);
            twice.fails(HELIO_ERR_PROTOCOL);
            assert_eq!((among.content(), twice.content()), ("ab".into(), "a".into()), "{lookalike}");
            continue;
        }
        let (first, third) = (alone.chunks()[0], among.chunks()[2]);
        assert_eq!((third.data(), &third.text, &third.reasoning), (lookalike.as_str(), &first.text, &first.reasoning));
        let text = alone.done().text.clone().unwrap_or_default();
        assert_eq!(among.done().text, Some(format!("ab{text}z")), "{lookalike}");
        assert_eq!(twice.done().text, Some(format!("a{text}{text}z")), "{lookalike}");
        // But for the text, the answer is the one that this chunk makes by itself. (Half a surrogate pair is JSON,
        // but not for this parser.)
        let rest = |outcome: &Outcome| {
            let mut answer: Value = serde_json::from_str(outcome.data.as_deref()?).ok()?;
            answer["id"] = Value::Null;
            answer["choices"][0]["message"]["content"] = Value::Null;
            Some(answer)
        };
        assert_eq!(rest(&among), rest(&alone), "{lookalike}");
    }
}
