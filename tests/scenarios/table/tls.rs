//! The TLS handshake, and TLS that breaks later.

use helio::abi::*;
use serde_json::json;

use super::row::{Row, handshake, secure_stream};
use crate::support::certs::{Authority, Leaf, foreign, ours};
use crate::support::chat::say;
use crate::support::conn::{Conn, Framing};

/// The server shows this certificate.
fn certificate(happens: &'static str, authority: fn() -> &'static Authority, leaf: Leaf) -> Row {
    let row = handshake(happens, move |conn| {
        assert!(!conn.secure(&authority().server(leaf)), "the client believes it");
    });
    row.fails(HELIO_ERR_TLS, 0)
}

/// The server answers the client's first record with these bytes.
fn says(happens: &'static str, bytes: &'static [u8], then: fn(&mut Conn)) -> Row {
    let row = handshake(happens, move |conn| {
        conn.skip(1);
        conn.send(bytes);
        then(conn);
    });
    row.fails(HELIO_ERR_TLS, 0)
}

/// A ServerHello that chooses TLS 1.0.
const TLS_1_0: &[u8] = b"\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01\
    RandomRandomRandomRandomRandomRa\x00\xc0\x14\x00";

faults!(
    "TLS",
    "The connection stands, and the server proves who it is. The last rows are about TLS within an answer.",
    unknown_issuer = certificate("an authority that nobody trusts has signed the certificate", foreign, Leaf::Good)
        .says(&["certificate", "ca_file"]),
    wrong_name =
        certificate("the certificate is for another name", ours, Leaf::WrongName).says(&["certificate", "name"]),
    expired = certificate("the certificate has expired", ours, Leaf::Expired).says(&["certificate", "expired"]),
    not_yet_valid =
        certificate("the certificate is not valid yet", ours, Leaf::NotYetValid).says(&["certificate", "valid"]),
    wants_certificate = handshake("the server wants a client certificate, and there is none", |conn| {
        assert!(!conn.secure(&ours().server_asking_for_a_certificate()), "nobody has shown one");
    })
    .fails(HELIO_ERR_TLS, 0)
    .says(&["certificate"]),
    plain_http = says("plain HTTP comes instead of TLS", b"HTTP/1.1 400 Bad Request\r\n\r\n", Conn::stall),
    nonsense = says("something that is no TLS comes", b"SSH-2.0-OpenSSH_9.2\r\n", Conn::stall),
    handshake_failure = says("the server's alert: `handshake_failure`", b"\x15\x03\x03\x00\x02\x02\x28", Conn::stall),
    protocol_version = says("the server's alert: `protocol_version`", b"\x15\x03\x01\x00\x02\x02\x46", Conn::stall),
    internal_error = says("the server's alert: `internal_error`", b"\x15\x03\x03\x00\x02\x02\x50", Conn::cut),
    unrecognized_name = says("the server's alert: `unrecognized_name`", b"\x15\x03\x03\x00\x02\x02\x70", Conn::cut),
    old_version = says("the server speaks TLS 1.0 only", TLS_1_0, Conn::stall),
    closes = says("the server closes in the handshake", b"", Conn::cut).again(),
    resets = says("the server resets the connection in the handshake", b"", Conn::reset).again(),
    breaks_off = says("the server closes within a record", b"\x16\x03\x03\x00\x7a\x02\x00", Conn::cut).again(),
    stalls = handshake("the server says nothing in the handshake", Conn::stall)
        .config(json!({"timeouts": {"connect_ms": 500}}))
        .times_out("connect", 0)
        .again(),
    stalls_within = handshake("the server falls silent within a record", |conn| {
        conn.skip(1);
        conn.send(b"\x16\x03\x03\x00\x7a\x02\x00");
        conn.stall();
    })
    .config(json!({"timeouts": {"connect_ms": 500}}))
    .times_out("connect", 0)
    .again(),
    closes_before_head = secure_stream("the server ends TLS before it answers", |conn| {
        conn.say_goodbye();
        conn.cut();
    })
    .fails(HELIO_ERR_NETWORK, 0)
    .again(),
    ends_without_goodbye = secure_stream("an unfinished stream ends with TCP, and TLS says no goodbye", |conn| {
        conn.head(200, &[("content-type", "text/event-stream")], Framing::UntilClose);
        conn.body(say("Hello"));
        conn.cut();
    })
    .fails(HELIO_ERR_TRUNCATED, 200)
    .keeps("Hello"),
    ends_with_goodbye = secure_stream("an unfinished stream ends, and TLS says goodbye", |conn| {
        conn.head(200, &[("content-type", "text/event-stream")], Framing::UntilClose);
        conn.body(say("Hello"));
        conn.end();
    })
    .fails(HELIO_ERR_TRUNCATED, 200)
    .keeps("Hello"),
    resets_within = secure_stream("the connection is reset within a stream", |conn| {
        conn.stream_head();
        conn.body(say("Hello"));
        conn.wait_until_read();
        conn.reset();
    })
    .fails(HELIO_ERR_TRUNCATED, 200)
    .keeps("Hello"),
);
