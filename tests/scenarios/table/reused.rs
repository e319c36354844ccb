//! A connection that has served a request before.

use helio::abi::*;
use serde_json::json;

use super::row::{Again, Row, secure_stream, stream, tunnel, whole};
use super::stage::AT_LAST;
use crate::support::chat::{ASK, completion, say};
use crate::support::conn::{Conn, Framing, head};

/// The server answers the first request, and this happens before the host asks again.
fn between(happens: &'static str, meanwhile: fn(&mut Conn)) -> Row {
    let row = whole(happens, |_| {}).on_cue(move |conn, cue| {
        conn.json(200, completion("Hello"));
        conn.wait_until_read();
        meanwhile(conn);
        cue.gate.open();
    });
    row.strikes(1).tries(2).keeps_finished(AT_LAST).acting(|client, stage| {
        client.ask(ASK).ok();
        stage.gate.wait();
        client.ask(ASK)
    })
}

faults!(
    "A reused connection",
    "The connection has served a request before. If it is dead, the request is sent once more on a new one.",
    closes = whole("the server closes before it answers", Conn::cut).reused().tried_again(Again::Replayed),
    resets = whole("the server resets before it answers", Conn::reset).reused().tried_again(Again::Replayed),
    closes_tls =
        secure_stream("the server closes before it answers, over TLS", Conn::cut).reused().tried_again(Again::Replayed),
    closes_tunnel =
        tunnel("the tunnel closes before the target answers", Conn::cut).reused().tried_again(Again::Replayed),
    dies_twice = whole("the new connection closes before an answer, too", Conn::cut)
        .reused()
        .strikes(2)
        .fails(HELIO_ERR_NETWORK, 0)
        .tried_again(Again::AfterReplay),
    half_a_head = whole("the server closes after the first bytes of a head", |conn| {
        conn.send("HTTP/1.1 2");
        conn.wait_until_read();
        conn.cut();
    })
    .reused()
    .fails(HELIO_ERR_NETWORK, 0)
    .again(),
    silent = whole("the server says nothing", Conn::stall)
        .reused()
        .config(json!({"timeouts": {"first_event_ms": 300}}))
        .times_out("first_event", 0),
    busy = whole("the server answers 503", |conn| conn.answer(503, &[], ""))
        .reused()
        .fails(HELIO_ERR_OVERLOADED, 503)
        .again(),
    half_a_stream = stream("the server closes within a stream", |conn| {
        conn.stream_head();
        conn.body(say("Hello"));
        conn.cut();
    })
    .reused()
    .fails(HELIO_ERR_TRUNCATED, 200)
    .keeps("Hello"),
    closed_idle = between("the server closes while nobody asks", Conn::cut),
    reset_idle = between("the server resets while nobody asks", Conn::reset),
    late_answer = between("the server sends a 408 while nobody asks, and closes", |conn| {
        conn.send("HTTP/1.1 408 Request Time-out\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        conn.cut();
    }),
    forged = whole("an answer that nobody asked for follows the first one", |_| {})
        .on_cue(|conn, _| {
            let answers = ["Hello", "forged"].map(completion);
            conn.send(answers.map(|body| head(200, &[], Framing::Length(body.len())) + &body).concat());
        })
        .strikes(1)
        .tries(2)
        .keeps_finished(AT_LAST)
        .acting(|client, _| {
            client.ask(ASK).ok();
            client.ask(ASK)
        }),
);
