//! The host ends the request itself.

use helio::abi::*;
use serde_json::json;

use super::row::{Cue, Row, connection, handshake, nobody, proxy, stream, whole};
use super::stage::Nobody;
use crate::support::c::Handle;
use crate::support::chat::{ASK, finish, say};
use crate::support::conn::{Conn, Framing};
use crate::support::delivery::Mode;
use crate::support::sync::pass;

/// `helio_cancel` from another thread.
fn cancel(handle: Handle, id: u64) -> helio_status {
    handle.cancel(id)
}

/// `helio_client_shutdown` from another thread.
fn shutdown(handle: Handle, _id: u64) -> helio_status {
    handle.shutdown()
}

/// The phase, and then the server says nothing more: that the connection is dropped at once ends its part.
fn until(phase: fn(&mut Conn)) -> impl Fn(&mut Conn, &Cue) + Send + Sync + 'static {
    move |conn, cue| {
        phase(conn);
        cue.gate.open();
        conn.stall();
    }
}

/// Cancelled in this phase.
fn cancelled(row: Row, phase: fn(&mut Conn), http_status: i32) -> Row {
    row.on_cue(until(phase)).stopped_by(cancel).fails(HELIO_ERR_CANCELLED, http_status)
}

/// The client is shut down in this phase.
fn shut_down(row: Row, phase: fn(&mut Conn), http_status: i32) -> Row {
    row.on_cue(until(phase)).stopped_by(shutdown).fails(HELIO_ERR_SHUT_DOWN, http_status)
}

fn of_stream(happens: &'static str) -> Row {
    stream(happens, |_| {})
}

fn of_whole(happens: &'static str) -> Row {
    whole(happens, |_| {})
}

fn nothing(_: &mut Conn) {}

fn half_a_head(conn: &mut Conn) {
    conn.send("HTTP/1.1 200 OK\r\ncontent-ty");
    conn.wait_until_read();
}

fn a_stream_head(conn: &mut Conn) {
    conn.stream_head();
    conn.wait_until_read();
}

fn half_a_json_answer(conn: &mut Conn) {
    conn.head(200, &[("content-type", "application/json")], Framing::Length(1000));
    conn.body("{\"choices\":[");
    conn.wait_until_read();
}

fn half_a_refusal(conn: &mut Conn) {
    conn.head(503, &[], Framing::Length(1000));
    conn.body("{\"error\":");
    conn.wait_until_read();
}

/// Waits for its next attempt, for which the server wants a long time.
fn backing_off(happens: &'static str) -> Row {
    let row = whole(happens, |_| {}).on_cue(|conn, cue| {
        conn.answer(429, &[("retry-after", "50")], "");
        conn.wait_until_read();
        pass();
        cue.gate.open();
    });
    row.with_retries_only().attempts(1)
}

faults!(
    "The host",
    "The host ends the request, from another thread or in its callback. The connection is dropped at once.",
    cancel_connecting =
        nobody("it cancels while TCP connects", Nobody::silent).stopped_by(cancel).fails(HELIO_ERR_CANCELLED, 0),
    cancel_proxy = cancelled(proxy("it cancels while the proxy says nothing", |_| {}), nothing, 0),
    cancel_tls = cancelled(handshake("it cancels within the TLS handshake", |_| {}), |conn| conn.skip(1), 0),
    cancel_sending = cancelled(connection("it cancels while a large body goes out", |_| {}), |conn| conn.skip(1000), 0)
        .asking(json!({"messages": [{"role": "user", "content": "x".repeat(4_000_000)}]}).to_string()),
    cancel_waiting = cancelled(of_whole("it cancels while the server says nothing"), nothing, 0),
    cancel_head = cancelled(of_whole("it cancels within the head"), half_a_head, 0),
    cancel_first_event = cancelled(of_stream("it cancels before the first event"), a_stream_head, 200),
    cancel_json = cancelled(of_whole("it cancels within a JSON answer"), half_a_json_answer, 200),
    cancel_refusal = cancelled(of_whole("it cancels within the body of a refusal"), half_a_refusal, 503),
    cancel_backing_off = backing_off("it cancels while the next attempt is waited for")
        .stopped_by(cancel)
        .fails(HELIO_ERR_CANCELLED, 429),
    cancel_queued = of_whole("it cancels while another request takes the only place")
        .on_cue(until(nothing))
        .config(json!({"limits": {"max_in_flight": 1}}))
        .acting(|client, stage| {
            let other = client.call(ASK).mode(Mode::Thread).submit();
            stage.until_tried(1);
            let (id, handle) = (client.reserve(), client.handle());
            let outcome = std::thread::scope(|scope| {
                scope.spawn(|| {
                    handle.until_stats("queued", 1);
                    assert_eq!(handle.cancel(id), HELIO_OK);
                });
                client.call(ASK).id(id).run()
            });
            assert_eq!(client.cancel(other.id), HELIO_OK);
            other.wait().fails(HELIO_ERR_CANCELLED);
            outcome
        })
        .fails(HELIO_ERR_CANCELLED, 0)
        .attempts(0),
    refuses_chunk = of_stream("its callback returns non-zero for a CHUNK")
        .on_cue(|conn, _| {
            conn.stream_head();
            conn.body(say("Hello"));
            conn.stall();
        })
        .returning_at(HELIO_EVENT_CHUNK)
        .fails(HELIO_ERR_CANCELLED, 200)
        .keeps("Hello"),
    refuses_finish = of_stream("its callback returns non-zero for the last CHUNK, before `[DONE]`")
        .on_cue(|conn, _| {
            conn.stream_head();
            conn.body(say("Hello") + &finish("stop"));
            conn.stall();
        })
        .acting(|client, stage| {
            let mut chunks = 0;
            let call = client.call(&stage.body).on_event(move |event| {
                chunks += i32::from(event.is_chunk());
                i32::from(chunks == 2)
            });
            call.run()
        })
        .fails(HELIO_ERR_CANCELLED, 200)
        .keeps_finished("Hello"),
    shutdown_connecting = nobody("it shuts the client down while TCP connects", Nobody::silent)
        .stopped_by(shutdown)
        .fails(HELIO_ERR_SHUT_DOWN, 0),
    shutdown_waiting = shut_down(of_whole("it shuts the client down while the server says nothing"), nothing, 0),
    shutdown_first_event = shut_down(of_stream("it shuts the client down before the first event"), a_stream_head, 200),
    shutdown_backing_off = backing_off("it shuts the client down while the next attempt is waited for")
        .stopped_by(shutdown)
        .fails(HELIO_ERR_SHUT_DOWN, 429),
    shutdown_in_callback = of_stream("its callback shuts the client down at a CHUNK")
        .on_cue(|conn, _| {
            conn.stream_head();
            conn.body(say("Hello"));
            conn.stall();
        })
        .acting(|client, stage| {
            let handle = client.handle();
            let call = client.call(&stage.body).on_event(move |event| {
                if event.is_chunk() {
                    assert_eq!(handle.shutdown(), HELIO_OK);
                }
                0
            });
            call.run()
        })
        .fails(HELIO_ERR_SHUT_DOWN, 200)
        .keeps("Hello"),
);
