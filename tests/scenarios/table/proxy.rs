//! HTTP proxies, until they say "connected", and what happens behind them then.

use helio::abi::*;
use serde_json::json;

use super::row::{Again, nobody, proxy, tunnel};
use super::stage::Nobody;
use crate::support::conn::Conn;

faults!(
    "The proxy",
    "An HTTP proxy is asked for a tunnel with CONNECT. Until it grants one, every fault is the proxy's.",
    not_there = nobody("nothing listens on the proxy's port", || Nobody::closed().into_proxy("http"))
        .fails(HELIO_ERR_PROXY, 0)
        .says(&["proxy"])
        .tried_again(Again::InVain),
    unknown = nobody("the proxy's name has no address", || {
        Nobody::named(&("a".repeat(64) + ".invalid")).into_proxy("http")
    })
    .fails(HELIO_ERR_PROXY, 0)
    .says(&["proxy"]),
    silent = nobody("the proxy's address swallows every attempt", || Nobody::silent().into_proxy("http"))
        .config(json!({"timeouts": {"connect_ms": 100}}))
        .times_out("connect", 0)
        .tried_again(Again::InVain),
    closes = proxy("it closes the connection without a word", Conn::cut).fails(HELIO_ERR_PROXY, 0).says(&["proxy"]),
    resets = proxy("it resets the connection", Conn::reset).fails(HELIO_ERR_PROXY, 0).says(&["proxy"]),
    stalls = proxy("it says nothing", Conn::stall)
        .config(json!({"timeouts": {"connect_ms": 300}}))
        .times_out("connect", 0)
        .again(),
    stalls_within = proxy("it falls silent within its answer", |conn| {
        conn.send("HTTP/1.1 200 Connection est");
        conn.stall();
    })
    .config(json!({"timeouts": {"connect_ms": 300}}))
    .times_out("connect", 0)
    .again(),
    breaks_off = proxy("it closes within its answer", |conn| {
        conn.send("HTTP/1.1 200 Connection established\r\nvia: ");
        conn.cut();
    })
    .fails(HELIO_ERR_PROXY, 0)
    .says(&["proxy"]),
    wants_login = proxy("it does not take the user name and password: 407", |conn| {
        conn.answer(407, &[("proxy-authenticate", "Basic realm=x")], "who are you?");
    })
    .fails(HELIO_ERR_PROXY, 0)
    .says(&["407", "password"]),
    wants_other_login = proxy("it does not take the user name and password: 401", |conn| {
        conn.answer(401, &[], "who are you?");
    })
    .fails(HELIO_ERR_PROXY, 0)
    .says(&["401", "password"]),
    moved = proxy("it redirects: 301", |conn| conn.answer(301, &[("location", "http://login.example/")], ""))
        .fails(HELIO_ERR_PROXY, 0)
        .says(&["301"]),
    forbids = proxy("it forbids the target: 403", |conn| conn.answer(403, &[], "not from here"))
        .fails(HELIO_ERR_PROXY, 0)
        .says(&["403", "target.invalid"]),
    knows_no_connect = proxy("it does not know CONNECT: 405", |conn| conn.answer(405, &[], ""))
        .fails(HELIO_ERR_PROXY, 0)
        .says(&["405"]),
    throttles = proxy("it has had too many requests: 429", |conn| conn.answer(429, &[("retry-after", "1")], ""))
        .fails(HELIO_ERR_PROXY, 0)
        .says(&["429"]),
    fails_500 = proxy("it fails: 500", |conn| conn.answer(500, &[], "")).fails(HELIO_ERR_PROXY, 0).says(&["500"]),
    fails_502 = proxy("it cannot reach the target: 502", |conn| conn.answer(502, &[], "later"))
        .fails(HELIO_ERR_PROXY, 0)
        .says(&["502", "target.invalid"])
        .again(),
    fails_503 = proxy("it is overloaded: 503", |conn| conn.answer(503, &[], "later"))
        .fails(HELIO_ERR_PROXY, 0)
        .says(&["503"])
        .again(),
    fails_504 = proxy("the target did not answer it in time: 504", |conn| conn.answer(504, &[], "later"))
        .fails(HELIO_ERR_PROXY, 0)
        .says(&["504"])
        .again(),
    not_http = proxy("it answers, but not in HTTP", |conn| {
        conn.send("SSH-2.0-OpenSSH_9.2\r\n\r\n");
        conn.stall();
    })
    .fails(HELIO_ERR_PROXY, 0)
    .says(&["proxy", "HTTP"]),
    endless_head = proxy("its answer has a head without end", |conn| {
        conn.send("HTTP/1.1 200 OK\r\n");
        while !conn.has_left() {
            conn.send("x-more: and more of it\r\n".repeat(100));
        }
    })
    .fails(HELIO_ERR_PROXY, 0)
    .says(&["proxy", "endless"]),
    no_tls_behind = proxy("behind the tunnel the target speaks no TLS", |conn| {
        conn.send("HTTP/1.1 200 OK\r\n\r\n");
        conn.skip(1);
        conn.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        conn.stall();
    })
    .config(json!({"base_url": "https://target.invalid/v1"}))
    .fails(HELIO_ERR_TLS, 0)
    .says(&["target.invalid"]),
    target_closes = tunnel("the target behind the tunnel closes before it answers", Conn::cut)
        .fails(HELIO_ERR_NETWORK, 0)
        .says(&["target.invalid"])
        .again(),
    target_refuses = tunnel("the target behind the tunnel refuses with 503", |conn| conn.answer(503, &[], "busy"))
        .fails(HELIO_ERR_OVERLOADED, 503)
        .says(&["busy"])
        .again(),
);
