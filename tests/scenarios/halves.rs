//! Half an answer: a stream that is cut after each of its bytes, in an orderly way and by a reset. What the host is
//! told is held against what the bytes before the cut say to a reader of our own.
//!
//! Retries are on all the while: what has begun to arrive is never asked for again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::c::Client;
use crate::support::certs::{Leaf, ours};
use crate::support::chat::completion;
use crate::support::conn::{Conn, Framing, chunk, head};
use crate::support::outcome::Outcome;
use crate::support::request::Request;
use crate::support::server::Server;

/// A short answer of a real model, as its server sent it: see `recorded/README.md`.
const SMOLLM2: &[u8] = include_bytes!("recorded/smollm2.http");

/// What the recording has not: two choices, one that thinks and one that calls tools, line ends of both kinds,
/// comments, other fields, data over two lines, letters of several bytes, and a chunk before any choice.
const BY_HAND: &[&str] = &[
    ": loading\n\n",
    "data: {\"id\":\"h\",\"model\":\"m-2\",\"choices\":[],\"prompt_filter_results\":[]}\n\n",
    "data: {\"id\":\"h\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"Which \"}},{\"index\":1,\"delta\":{\"role\":\"assistant\"}}]}\n\n",
    "event: message\r\nid: 7\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"Köln?\"}}]}\r\n\r\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"K\\u00f6ln \\\"is\\\" \"}}]}\n\n",
    ": ping\n",
    "data: {\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_a\",\"type\":\"function\",\"function\":{\"name\":\"weather\",\"arguments\":\"{\\\"ci\"}}]}}]}\n\n",
    "data:{\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"sunny 🌍\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"ty\\\":\\\"Köln\\\"}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"call_b\",\"type\":\"function\",\"function\":{\"name\":\"now\",\"arguments\":\"{}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"total_tokens\":9}}\n\n",
    "data: [DONE]\n\n",
];

// ---- what was sent ----

/// A stream, and what each of its events is.
struct Recording {
    head: Vec<u8>,
    /// The body in the chunked framing in which it was sent.
    wire: Vec<u8>,
    /// How many bytes of the body so many bytes of the wire hold.
    held: Vec<usize>,
    /// Where in the wire its chunks begin.
    chunks: Vec<usize>,
    body: Vec<u8>,
    events: Vec<Sent>,
}

/// One event.
struct Sent {
    /// Behind the last byte of its data, in the body. Its blank line is still to come there: that an event is whole
    /// shows in its JSON, so it counts from here on, wherever the stream ends.
    end: usize,
    data: String,
}

impl Recording {
    fn of(response: &[u8]) -> Recording {
        let at = response.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let (head, wire) = response.split_at(at);
        let (mut body, mut held, mut chunks, mut rest) = (Vec::new(), vec![0], Vec::new(), wire);
        while !rest.is_empty() {
            chunks.push(wire.len() - rest.len());
            let line = rest.windows(2).position(|two| two == b"\r\n").expect("the size of a chunk");
            let size = std::str::from_utf8(&rest[..line]).expect("hexadecimal digits");
            let size = usize::from_str_radix(size, 16).expect("hexadecimal digits");
            held.resize(held.len() + line + 2, body.len());
            held.extend((1..=size).map(|count| body.len() + count));
            body.extend_from_slice(&rest[line + 2..][..size]);
            held.resize(held.len() + 2, body.len());
            rest = &rest[line + 2 + size + 2..];
        }
        assert_eq!(held.len(), wire.len() + 1);
        let events = events_of(std::str::from_utf8(&body).expect("UTF-8"));
        Recording { head: head.to_vec(), wire: wire.to_vec(), held, chunks, body, events }
    }

    fn real() -> Recording {
        Recording::of(SMOLLM2)
    }

    /// The framing has nothing to do with events: its pieces end anywhere.
    fn by_hand() -> Recording {
        let mut response =
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        BY_HAND.concat().as_bytes().chunks(101).for_each(|piece| response.extend(chunk(piece)));
        response.extend(b"0\r\n\r\n");
        Recording::of(&response)
    }
}

/// The events of a whole stream, by the standard.
fn events_of(text: &str) -> Vec<Sent> {
    let (mut events, mut data, mut end, mut at) = (Vec::new(), Vec::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        let said = line.trim_end_matches(['\r', '\n']);
        if let Some(value) = said.strip_prefix("data:") {
            data.push(value.strip_prefix(' ').unwrap_or(value));
            end = at + said.len();
        } else if said.is_empty() && !data.is_empty() {
            events.push(Sent { end, data: data.join("\n") });
            data.clear();
        }
        at += line.len();
    }
    events
}

// ---- what the host must be told ----

/// What the events before a cut add up to.
#[derive(Default)]
struct Half<'a> {
    chunks: Vec<&'a str>,
    choices: BTreeMap<u64, Choice>,
    usage: Value,
    terminated: bool,
}

#[derive(Default, PartialEq, Debug)]
struct Choice {
    content: String,
    reasoning: String,
    /// Id, name and arguments.
    calls: Vec<[String; 3]>,
    finish: Value,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

impl Half<'_> {
    fn of(events: &[Sent]) -> Half<'_> {
        let mut half = Half::default();
        for Sent { data, .. } in events {
            if data == "[DONE]" {
                half.terminated = true;
                continue;
            }
            half.chunks.push(data);
            let chunk: Value = serde_json::from_str(data).expect("a chunk in JSON");
            for choice in chunk["choices"].as_array().expect("choices") {
                half.choices.entry(choice["index"].as_u64().expect("an index")).or_default().add(choice);
            }
            half.usage = chunk.get("usage").cloned().unwrap_or(half.usage);
        }
        half
    }

    fn status(&self, bytes: usize, end: End) -> helio_status {
        let finished = !self.choices.is_empty() && self.choices.values().all(|choice| !choice.finish.is_null());
        match (bytes, end) {
            _ if finished => HELIO_OK,
            (0, _) | (_, End::Nonsense) => HELIO_ERR_PROTOCOL,
            _ => HELIO_ERR_TRUNCATED,
        }
    }

    fn check(&self, outcome: &Outcome, bytes: usize, cut: &Cut) {
        let (is, wanted) = (outcome.status, self.status(bytes, cut.end));
        assert_eq!(is, wanted, "{cut:?}, {bytes} bytes of the body: {outcome:#?}");
        let chunks: Vec<&str> = outcome.chunks().iter().map(|event| event.data()).collect();
        assert_eq!(chunks, self.chunks, "{cut:?}");
        let begun = usize::from(!chunks.is_empty());
        assert_eq!(outcome.events.len(), begun + chunks.len() + 1, "{cut:?}: {outcome:#?}");
        let report = outcome.report();
        assert_eq!(
            (&report["terminator"], &report["events"]),
            (&json!(self.terminated), &json!(chunks.len())),
            "{cut:?}"
        );
        assert_eq!(outcome.attempts().len(), 1, "{cut:?}: {report}");
        assert_eq!((outcome.done().http_status, &report["attempts"][0]["http_status"]), (200, &json!(200)), "{cut:?}");
        assert_eq!(outcome.error.as_ref().map_or(-1, |error| error.retry_after_ms), -1, "{cut:?}");
        assert_eq!(outcome.data.is_some(), !self.choices.is_empty(), "{cut:?}: {:?}", outcome.data);
        if outcome.data.is_none() {
            return;
        }
        let answer = outcome.answer();
        assert_eq!((text(&answer["object"]), &answer["usage"]), ("chat.completion", &self.usage), "{cut:?}: {answer}");
        let choices: BTreeMap<u64, Choice> = answer["choices"]
            .as_array()
            .expect("choices")
            .iter()
            .map(|choice| (choice["index"].as_u64().expect("an index"), Choice::told(choice)))
            .collect();
        assert_eq!(choices, self.choices, "{cut:?}: {answer}");
        let (done, first) = (outcome.done(), &self.choices[&0]);
        let (said, thought) = (done.text.as_deref().unwrap_or(""), done.reasoning.as_deref().unwrap_or(""));
        assert_eq!((said, thought), (first.content.as_str(), first.reasoning.as_str()), "{cut:?}");
    }
}

impl Choice {
    fn add(&mut self, choice: &Value) {
        let delta = &choice["delta"];
        self.content += text(&delta["content"]);
        self.reasoning += text(&delta["reasoning_content"]);
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let place = call["index"].as_u64().expect("an index") as usize;
            self.calls.resize(self.calls.len().max(place + 1), Default::default());
            let parts = [&call["id"], &call["function"]["name"], &call["function"]["arguments"]];
            self.calls[place].iter_mut().zip(parts).for_each(|(known, part)| *known += text(part));
        }
        self.finish = choice.get("finish_reason").cloned().unwrap_or_default();
    }

    /// What a completion tells of a choice.
    fn told(choice: &Value) -> Choice {
        let message = &choice["message"];
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        Choice {
            content: text(&message["content"]).to_string(),
            reasoning: text(&message["reasoning_content"]).to_string(),
            calls: calls
                .map(|call| {
                    [&call["id"], &call["function"]["name"], &call["function"]["arguments"]]
                        .map(|part| text(part).to_string())
                })
                .collect(),
            finish: choice.get("finish_reason").expect("a finish_reason, null while there is none").clone(),
        }
    }
}

// ---- where it is cut ----

/// How it ends.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    /// Of the connection, in an orderly way: as if the process had exited.
    Fin,
    /// A reset, once the client has read all that was sent: it throws away what was not.
    Reset,
    /// TLS says goodbye first.
    Goodbye,
    /// Where the size of a chunk should stand there is none.
    Nonsense,
}

const PLAIN: [End; 2] = [End::Fin, End::Reset];

#[derive(Clone, Copy, Debug)]
struct Cut {
    framing: Framing,
    /// Behind so many bytes of what follows the head.
    at: usize,
    end: End,
}

/// Cuts at every place, or at every `step`th and the last.
fn cuts(framing: Framing, length: usize, step: usize, ends: &[End]) -> Vec<Cut> {
    let places = (0..=length).step_by(step).chain((step > 1).then_some(length));
    places.flat_map(|at| ends.iter().map(move |end| Cut { framing, at, end: *end })).collect()
}

/// What is sent before a cut.
struct Sending {
    bytes: Vec<u8>,
    /// The client reads on until it has so many of them; behind the terminator it need not.
    awaited: usize,
}

impl Cut {
    fn send(&self, Sending { bytes, awaited }: &Sending, conn: &mut Conn) {
        conn.send(&bytes[..*awaited]);
        if self.end == End::Reset {
            conn.must_be_read();
        }
        conn.send(&bytes[*awaited..]);
        match self.end {
            End::Fin => conn.cut(),
            End::Reset => conn.reset(),
            End::Goodbye => {
                conn.say_goodbye();
                conn.cut();
            }
            End::Nonsense => {
                conn.send("no size\r\n");
                conn.cut();
            }
        }
    }
}

/// Asks once for each cut, on four threads with a client each, and hands what came of it to `check`. That a cut is
/// asked for no more than once is checked here.
fn ask_for_each(
    cuts: Vec<Cut>,
    secure: bool,
    sending: impl Fn(&Cut) -> Sending + Send + Sync + 'static,
    check: impl Fn(&Cut, &Outcome) + Sync,
) {
    let cuts = Arc::new(cuts);
    let asked: Arc<Vec<AtomicUsize>> = Arc::new(cuts.iter().map(|_| AtomicUsize::new(0)).collect());
    let script = {
        let (cuts, asked) = (cuts.clone(), asked.clone());
        move |request: &Request, conn: &mut Conn| {
            let number = request.json()["seed"].as_u64().expect("the number of a cut") as usize;
            asked[number].fetch_add(1, Ordering::Relaxed);
            cuts[number].send(&sending(&cuts[number]), conn);
        }
    };
    let server = if secure { Server::secure(ours().server(Leaf::Good), script) } else { Server::new(script) };
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let client = Client::with(&server, json!({"retry": {"max_retries": 2}}));
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(cut) = cuts.get(number) else { return };
                    let outcome = client.ask(json!({"messages": [], "stream": true, "seed": number}).to_string());
                    check(cut, &outcome);
                    assert_eq!(asked[number].load(Ordering::Relaxed), 1, "{cut:?} was asked for again");
                }
            });
        }
    });
}

/// Cuts a stream and checks each half.
fn halve(recording: Recording, cuts: Vec<Cut>, secure: bool) {
    let recording = Arc::new(recording);
    let sent = recording.clone();
    let sending = move |cut: &Cut| {
        let (head, all) = match cut.framing {
            Framing::Chunked => (sent.head.clone(), &sent.wire),
            framing => (head(200, &[("content-type", "text/event-stream")], framing).into_bytes(), &sent.body),
        };
        let done = sent.events.last().expect("[DONE]").end;
        let done = if cut.framing == Framing::Chunked { sent.held.partition_point(|held| *held < done) } else { done };
        Sending { bytes: [&head, &all[..cut.at]].concat(), awaited: head.len() + cut.at.min(done) }
    };
    let halves: Vec<Half<'_>> =
        (0..=recording.events.len()).map(|count| Half::of(&recording.events[..count])).collect();
    let whole = halves.last().expect("a stream");
    assert_eq!((whole.status(1, End::Fin), whole.terminated), (HELIO_OK, true), "the stream itself is whole");
    ask_for_each(cuts, secure, sending, |cut, outcome| {
        let bytes = if cut.framing == Framing::Chunked { recording.held[cut.at] } else { cut.at };
        halves[recording.events.partition_point(|event| event.end <= bytes)].check(outcome, bytes, cut);
    });
}

#[test]
fn a_real_stream_cut_after_any_byte_is_truncated_until_its_finish_is_in() {
    let recording = Recording::real();
    let all = cuts(Framing::Chunked, recording.wire.len(), 1, &PLAIN);
    halve(recording, all, false);
}

#[test]
fn two_choices_cut_after_any_byte_are_truncated_until_both_have_finished() {
    let recording = Recording::by_hand();
    let all = cuts(Framing::Chunked, recording.wire.len(), 1, &PLAIN);
    halve(recording, all, false);
}

#[test]
fn a_half_answer_is_the_same_half_in_every_framing() {
    for recording in [Recording::real, Recording::by_hand] {
        let length = recording().body.len();
        let mut all = cuts(Framing::UntilClose, length, 7, &PLAIN);
        all.extend(cuts(Framing::Length(length), length, 7, &PLAIN));
        halve(recording(), all, false);
    }
}

#[test]
fn a_half_answer_is_the_same_half_over_tls_with_a_goodbye_and_without() {
    for recording in [Recording::real, Recording::by_hand] {
        let ends = [End::Fin, End::Reset, End::Goodbye];
        let mut all = cuts(Framing::Chunked, recording().wire.len(), 61, &ends);
        all.extend(cuts(Framing::UntilClose, recording().body.len(), 61, &ends));
        halve(recording(), all, true);
    }
}

#[test]
fn a_framing_that_breaks_leaves_the_same_half_but_breaks_the_protocol() {
    for recording in [Recording::real, Recording::by_hand] {
        let places = recording().chunks.into_iter();
        let all = places.map(|at| Cut { framing: Framing::Chunked, at, end: End::Nonsense }).collect();
        halve(recording(), all, false);
    }
}

#[test]
fn a_json_answer_cut_after_any_byte_is_truncated_until_its_last_one_is_in() {
    let body = completion("Köln \"is\" sunny 🌍");
    let mut all = cuts(Framing::UntilClose, body.len(), 1, &PLAIN);
    all.extend(cuts(Framing::Length(body.len()), body.len(), 1, &PLAIN));
    let sent = body.clone();
    let sending = move |cut: &Cut| {
        let head = head(200, &[("content-type", "application/json")], cut.framing);
        let bytes = [head.as_bytes(), &sent.as_bytes()[..cut.at]].concat();
        Sending { awaited: bytes.len(), bytes }
    };
    ask_for_each(all, false, sending, |cut, outcome| {
        let wanted = match cut.at {
            0 => HELIO_ERR_PROTOCOL,
            at if at < body.len() => HELIO_ERR_TRUNCATED,
            _ => HELIO_OK,
        };
        assert_eq!(outcome.status, wanted, "{cut:?}: {outcome:#?}");
        assert_eq!(outcome.data.as_deref(), (wanted == HELIO_OK).then_some(body.as_str()), "{cut:?}");
        assert_eq!(outcome.attempts().len(), 1, "{cut:?}");
    });
}
