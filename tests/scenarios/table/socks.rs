//! SOCKS proxies.

use helio::abi::*;
use serde_json::json;

use super::row::{Again, Row, nobody, socks};
use super::stage::{Nobody, Way, greet, hear, hear_target};
use crate::support::conn::Conn;

/// The proxy refuses with this code.
fn refuses(happens: &'static str, code: u8) -> Row {
    let row = socks(happens, move |conn| {
        greet(conn);
        hear_target(conn);
        conn.send([5, code, 0, 1, 0, 0, 0, 0, 0, 0]);
        conn.cut();
    });
    row.fails(HELIO_ERR_PROXY, 0)
}

/// The proxy says this to the greeting, and nothing more.
fn greets(happens: &'static str, answer: &'static [u8]) -> Row {
    let row = socks(happens, move |conn| {
        hear(conn);
        conn.send(answer);
        conn.cut();
    });
    row.fails(HELIO_ERR_PROXY, 0)
}

faults!(
    "The SOCKS proxy",
    "A SOCKS5 proxy is greeted and asked for a connection. Until it grants one, every fault is the proxy's.",
    not_there = nobody("nothing listens on the proxy's port", || Nobody::closed().into_proxy("socks5h"))
        .fails(HELIO_ERR_PROXY, 0)
        .says(&["proxy"])
        .tried_again(Again::InVain),
    closes = socks("it closes at the greeting", |conn| {
        hear(conn);
        conn.cut();
    })
    .fails(HELIO_ERR_PROXY, 0)
    .says(&["proxy"]),
    stalls = socks("it says nothing to the greeting", Conn::stall)
        .config(json!({"timeouts": {"connect_ms": 300}}))
        .times_out("connect", 0)
        .again(),
    stalls_later = socks("it says nothing to the request for a connection", |conn| {
        greet(conn);
        conn.stall();
    })
    .config(json!({"timeouts": {"connect_ms": 300}}))
    .times_out("connect", 0)
    .again(),
    other_version = greets("it answers in SOCKS4", b"\x04\x00").says(&["SOCKS5"]),
    http = greets("it is an HTTP proxy", b"HTTP/1.1 400 Bad Request\r\n\r\n").says(&["SOCKS5"]),
    no_method = greets("it accepts none of the ways to log in", b"\x05\xff").says(&["log in"]),
    other_method = greets("it wants a way to log in that was not offered", b"\x05\x01").says(&["log in"]),
    wants_password = {
        let row = greets("it wants a user name and password, and there are none", b"\x05\x02");
        Row { way: Way::OpenSocks, ..row.says(&["password"]) }
    },
    wrong_password = socks("it does not take the user name and password", |conn| {
        hear(conn);
        conn.send(b"\x05\x02");
        conn.take(2 + 4 + 1);
        conn.send(b"\x01\x01");
        conn.cut();
    })
    .fails(HELIO_ERR_PROXY, 0)
    .says(&["password"]),
    code_1 = refuses("it refuses: general failure, code 1", 1).says(&["general failure"]),
    code_2 = refuses("it refuses: its rules forbid the target, code 2", 2).says(&["rules", "target.invalid"]),
    code_4 = refuses("it refuses: the target is unreachable, code 4", 4).says(&["host unreachable"]),
    code_5 = refuses("it refuses: the target refused the connection, code 5", 5).says(&["refused"]),
    code_unknown = refuses("it refuses with a code that nobody knows", 91).says(&["91"]),
    odd_address = socks("it grants the connection with an address of an unknown kind", |conn| {
        greet(conn);
        hear_target(conn);
        conn.send(b"\x05\x00\x00\x07\x7f\x00\x00\x01\x1f\x90");
        conn.cut();
    })
    .fails(HELIO_ERR_PROXY, 0)
    .says(&["address"]),
    breaks_off = socks("it closes within its answer", |conn| {
        greet(conn);
        hear_target(conn);
        conn.send(b"\x05\x00\x00\x01\x7f");
        conn.cut();
    })
    .fails(HELIO_ERR_PROXY, 0),
);
