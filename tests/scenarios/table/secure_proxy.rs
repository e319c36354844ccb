//! Proxies that are themselves spoken with within TLS, until they say "connected".

use helio::abi::*;
use serde_json::json;

use super::row::{Row, secure_proxy};
use crate::support::certs::{Leaf, foreign, ours};
use crate::support::conn::Conn;

/// Its certificate is like this.
fn certificate(happens: &'static str, leaf: Leaf, words: &'static [&'static str]) -> Row {
    let row = secure_proxy(happens, move |conn| assert!(!conn.secure(&ours().server(leaf)), "it was believed"));
    row.fails(HELIO_ERR_PROXY, 0).says(words)
}

/// The handshake is in order, and so is the CONNECT; then it does this.
fn behind_tls(happens: &'static str, strike: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    let row = secure_proxy(happens, move |conn| {
        if conn.secure(&ours().server(Leaf::Good)) && conn.read_request().is_some() {
            strike(conn);
        }
    });
    row.fails(HELIO_ERR_PROXY, 0)
}

faults!(
    "The proxy within TLS",
    "A proxy with an `https://` URL is spoken with in TLS before it is asked for a tunnel. What goes wrong there is the \
     proxy's fault, too.",
    wrong_name = certificate("its certificate is for another name", Leaf::WrongName, &["proxy", "certificate", "name"]),
    expired = certificate("its certificate has expired", Leaf::Expired, &["proxy", "certificate", "expired"]),
    not_yet_valid =
        certificate("its certificate is not valid yet", Leaf::NotYetValid, &["proxy", "certificate", "not valid yet"]),
    unknown_issuer = secure_proxy("nobody knows who issued its certificate", |conn| {
        assert!(!conn.secure(&foreign().server(Leaf::Good)), "it was believed");
    })
    .fails(HELIO_ERR_PROXY, 0)
    .says(&["proxy", "unknown issuer", "ca_file"]),
    no_tls = secure_proxy("it speaks no TLS", |conn| {
        conn.skip(1);
        conn.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        conn.stall();
    })
    .fails(HELIO_ERR_PROXY, 0)
    .says(&["proxy", "TLS"]),
    alert = secure_proxy("it refuses the handshake with an alert", |conn| {
        conn.skip(1);
        conn.send(b"\x15\x03\x03\x00\x02\x02\x28");
        conn.stall();
    })
    .fails(HELIO_ERR_PROXY, 0)
    .says(&["proxy", "alert"]),
    closes = secure_proxy("it closes the connection in the handshake", |conn| {
        conn.skip(1);
        conn.cut();
    })
    .fails(HELIO_ERR_PROXY, 0)
    .says(&["proxy", "handshake"]),
    stalls = secure_proxy("it falls silent in the handshake", Conn::stall)
        .config(json!({"timeouts": {"connect_ms": 300}}))
        .times_out("connect", 0)
        .says(&["handshake with the proxy"])
        .again(),
    stalls_behind = behind_tls("it says nothing to the CONNECT", Conn::stall)
        .config(json!({"timeouts": {"connect_ms": 300}}))
        .times_out("connect", 0)
        .says(&["the proxy", "tunnel"])
        .again(),
    closes_behind = behind_tls("it closes instead of answering the CONNECT", Conn::cut).says(&["proxy"]),
    wants_login = behind_tls("it does not take the user name and password: 407", |conn| {
        conn.answer(407, &[("proxy-authenticate", "Basic realm=x")], "who are you?");
    })
    .says(&["407", "password"]),
    fails_502 = behind_tls("it cannot reach the target: 502", |conn| conn.answer(502, &[], "later"))
        .says(&["502", "target.invalid"])
        .again(),
);
