//! When an answer is whole: every choice has its finish reason. Neither `[DONE]` nor a clean end is proof.

use std::time::Duration;

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::ask::{ask_events, ask_stream, ask_whole, ask_with};
use crate::support::chat::{
    ASK_STREAM, DONE, chunk_of, completion, delta, event, finish, finish_with, hello, say, usage,
};
use crate::support::conn::{Conn, Framing};
use crate::support::outcome::Outcome;

type End = fn(&mut Conn);

/// The ways in which an answer can stop coming.
const ENDS: [(&str, End); 3] = [("end", Conn::end), ("cut", Conn::cut), ("reset", after_reading)];

/// A reset throws away what the client has not read yet, so that is waited for.
fn after_reading(conn: &mut Conn) {
    conn.wait_until_read();
    conn.reset();
}

#[track_caller]
fn is_partial(outcome: &Outcome, content: &str) {
    outcome.fails(HELIO_ERR_TRUNCATED);
    assert_eq!(outcome.content(), content);
    assert_eq!(outcome.answer()["object"], "chat.completion");
    assert_eq!(outcome.answer()["choices"][0].get("finish_reason"), Some(&Value::Null));
    assert_eq!(outcome.done().http_status, 200);
}

#[test]
fn a_finished_answer_is_whole_however_its_stream_ends() {
    for (name, end) in ENDS {
        let outcome = ask_stream(move |conn| {
            conn.stream_head();
            conn.body(say("Hello") + &finish("stop"));
            end(conn);
        });
        outcome.ok();
        assert_eq!((outcome.content().as_str(), &outcome.report()["terminator"]), ("Hello", &json!(false)), "{name}");
    }
}

#[test]
fn an_unfinished_answer_is_truncated_however_its_stream_ends() {
    for (name, end) in ENDS {
        let outcome = ask_stream(move |conn| {
            conn.stream_head();
            conn.body(say("Hel") + &say("lo"));
            end(conn);
        });
        is_partial(&outcome, "Hello");
        assert_eq!(outcome.chunks().len(), 2, "{name}");
    }
}

#[test]
fn an_unfinished_answer_is_truncated_in_every_framing() {
    let said = say("Hello");
    for framing in
        [Framing::Length(said.len()), Framing::Length(said.len() + 10), Framing::Chunked, Framing::UntilClose]
    {
        let said = said.clone();
        let outcome = ask_stream(move |conn| {
            conn.head(200, &[("content-type", "text/event-stream")], framing);
            conn.body(&said);
            conn.end();
            conn.cut();
        });
        is_partial(&outcome, "Hello");
    }
}

#[test]
fn a_chunk_cut_in_its_middle_truncates() {
    let outcome = ask_stream(|conn| {
        conn.stream_head();
        conn.body(say("Hel"));
        conn.send("100\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo");
        conn.cut();
    });
    is_partial(&outcome, "Hel");
}

#[test]
fn done_alone_proves_nothing() {
    let outcome = ask_events(vec![DONE]);
    outcome.fails(HELIO_ERR_TRUNCATED);
    assert_eq!(outcome.data, None);
    assert_eq!(outcome.report()["terminator"], true);
    is_partial(&ask_events(vec![say("Hello"), DONE.into()]), "Hello");
}

#[test]
fn chunks_without_a_choice_are_no_answer() {
    let outcome = ask_events(vec![event(chunk_of(json!([]))), usage(), DONE.into()]);
    outcome.fails(HELIO_ERR_TRUNCATED);
    assert_eq!(outcome.data, None);
}

#[test]
fn an_empty_finish_reason_is_none() {
    for none in [Value::Null, json!("")] {
        is_partial(&ask_events(vec![say("Hello"), finish_with(none), DONE.into()]), "Hello");
    }
    let absent = event(chunk_of(json!([{"index": 0, "delta": {}}])));
    is_partial(&ask_events(vec![say("Hello"), absent, DONE.into()]), "Hello");
}

#[test]
fn a_finish_reason_that_nobody_knows_is_one() {
    for reason in [json!("eos"), json!("end_turn"), json!("length"), json!("insufficient_system_resource"), json!(2)] {
        let outcome = ask_events(vec![say("Hello"), finish_with(reason.clone()), DONE.into()]);
        assert_eq!(outcome.ok()["choices"][0]["finish_reason"], reason);
    }
}

#[test]
fn a_finish_is_not_taken_back() {
    let outcome = ask_events(vec![say("Hello"), finish("stop"), finish_with(Value::Null), DONE.into()]);
    assert_eq!(outcome.ok()["choices"][0]["finish_reason"], "stop");
}

#[test]
fn every_choice_needs_its_own_finish() {
    let both = event(chunk_of(json!([
        {"index": 0, "delta": {"content": "a"}},
        {"index": 1, "delta": {"content": "b"}},
    ])));
    let outcome = ask_events(vec![both.clone(), finish("stop"), DONE.into()]);
    outcome.fails(HELIO_ERR_TRUNCATED);
    let choices = outcome.answer()["choices"].clone();
    assert_eq!((&choices[0]["finish_reason"], &choices[1]["finish_reason"]), (&json!("stop"), &Value::Null));
    let second = event(chunk_of(json!([{"index": 1, "delta": {}, "finish_reason": "length"}])));
    let outcome = ask_events(vec![both, finish("stop"), second, DONE.into()]);
    assert_eq!(outcome.ok()["choices"][1]["finish_reason"], "length");
}

#[test]
fn the_usage_after_the_finish_is_waited_for() {
    let outcome = ask_events(hello());
    assert_eq!(outcome.ok()["usage"]["total_tokens"], 5);
    assert_eq!(outcome.report()["usage"]["total_tokens"], 5);
}

#[test]
fn a_socket_held_open_after_done_holds_nobody() {
    let outcome = ask_stream(|conn| {
        conn.stream_head();
        conn.body(hello().concat());
        conn.stall();
    });
    outcome.ok();
    assert_eq!(outcome.report()["terminator"], true);
}

#[test]
fn a_socket_held_open_after_the_finish_is_no_error() {
    let outcome = ask_with(json!({"timeouts": {"idle_ms": 300}}), ASK_STREAM, |conn| {
        conn.stream_head();
        conn.body(say("Hello") + &finish("stop"));
        conn.stall();
    });
    outcome.ok();
    assert_eq!(outcome.report()["terminator"], false);
}

#[test]
fn a_finish_waits_five_seconds_for_the_usage_and_no_more() {
    // The default idle time is two minutes: without the limit this would hang.
    let outcome = ask_stream(|conn| {
        conn.stream_head();
        conn.body(say("Hello") + &finish("stop"));
        conn.stall();
    });
    outcome.ok();
}

#[test]
fn comments_after_the_finish_do_not_keep_a_call_alive() {
    let outcome = ask_with(json!({"timeouts": {"idle_ms": 300}}), ASK_STREAM, |conn| {
        conn.stream_head();
        conn.body(say("Hello") + &finish("stop"));
        conn.body_until_left(": still here\n\n", Duration::from_millis(20));
    });
    outcome.ok();
}

#[test]
fn what_follows_the_finish_changes_nothing() {
    for follows in [
        "data: garbage\n\n",
        "data: {\"error\":{\"message\":\"too late\"}}\n\n",
        "event: error\ndata: {\"message\":\"too late\"}\n\n",
        "data: [DONE]\n\ndata: [DONE]\n\n",
        "data: [DONE]\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"late\"}}]}\n\n",
        "data: [DONE]\n\n<html>",
    ] {
        let outcome = ask_events(vec![say("Hello"), finish("stop"), follows.into()]);
        outcome.ok();
        assert_eq!(outcome.content(), "Hello", "{follows:?}");
    }
    let broken_framing = ask_stream(|conn| {
        conn.stream_head();
        conn.body(say("Hello") + &finish("stop"));
        conn.send("this is no chunk size\r\n");
        conn.cut();
    });
    broken_framing.ok();
}

#[test]
fn done_needs_no_blank_line_after_it() {
    for last in ["data: [DONE]", "data: [DONE]\n", "data:[DONE]\r\n", "data: [DONE]\r"] {
        let outcome = ask_events(vec![say("Hello"), finish("stop"), last.into()]);
        outcome.ok();
        assert_eq!(outcome.report()["terminator"], true, "{last:?}");
    }
}

#[test]
fn done_needs_no_blank_line_before_it() {
    let outcome = ask_events(vec![say("Hello"), finish("stop").trim_end().to_string() + "\n" + DONE]);
    outcome.ok();
    assert_eq!(outcome.content(), "Hello");
    assert_eq!(outcome.report()["terminator"], true);
}

#[test]
fn the_last_event_needs_no_blank_line_after_it() {
    for framing in [Framing::Chunked, Framing::UntilClose] {
        let outcome = ask_stream(move |conn| {
            conn.head(200, &[("content-type", "text/event-stream")], framing);
            conn.body(say("Hello") + finish("stop").trim_end());
            conn.end();
        });
        outcome.ok();
    }
}

#[test]
fn a_json_answer_is_complete_when_its_body_is() {
    for framing in [Framing::Length(completion("Hello").len()), Framing::Chunked, Framing::UntilClose] {
        let outcome = ask_whole(move |conn| {
            conn.head(200, &[("content-type", "application/json")], framing);
            for piece in completion("Hello").as_bytes().chunks(7) {
                conn.body(piece);
            }
            conn.end();
        });
        assert_eq!(outcome.ok(), serde_json::from_str::<Value>(&completion("Hello")).unwrap());
        assert_eq!(outcome.data.as_deref(), Some(completion("Hello").as_str()), "as sent");
    }
}

#[test]
fn a_short_json_answer_is_truncated() {
    let text = completion("Hello");
    for framing in [Framing::Length(text.len()), Framing::Chunked, Framing::UntilClose] {
        for (name, end) in ENDS {
            let half = text[..text.len() / 2].to_string();
            let outcome = ask_whole(move |conn| {
                conn.head(200, &[("content-type", "application/json")], framing);
                conn.body(&half);
                end(conn);
                conn.cut();
            });
            outcome.fails(HELIO_ERR_TRUNCATED);
            assert!(outcome.chunks().is_empty(), "{framing:?} {name}");
        }
    }
}

#[test]
fn tool_calls_of_a_truncated_answer_are_never_finished() {
    let call = json!({"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": "{\"a\""}}]});
    let outcome = ask_events(vec![delta(call), DONE.into()]);
    outcome.fails(HELIO_ERR_TRUNCATED);
    assert_eq!(outcome.message()["tool_calls"][0]["function"], json!({"name": "f", "arguments": "{\"a\""}));
    assert_eq!(outcome.answer()["choices"][0]["finish_reason"], Value::Null);
}
