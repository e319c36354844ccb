//! Between the request and the end of the head of its answer.

use helio::abi::*;
use serde_json::json;

use super::row::whole;
use crate::support::chat::completion;
use crate::support::conn::Conn;

const HALF_A_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-ty";

faults!(
    "Waiting for the head",
    "The request is out, and the head of the answer is not yet whole.",
    closed = whole("the server closes", Conn::cut).fails(HELIO_ERR_NETWORK, 0).says(&["closed"]).again(),
    reset = whole("the server resets the connection", Conn::reset).fails(HELIO_ERR_NETWORK, 0).again(),
    silent = whole("the server says nothing", Conn::stall)
        .config(json!({"timeouts": {"first_event_ms": 100}}))
        .times_out("first_event", 0),
    half_a_line = whole("the server closes within the first line", |conn| {
        conn.send("HTTP/1.1 20");
        conn.cut();
    })
    .fails(HELIO_ERR_NETWORK, 0)
    .again(),
    half_a_head = whole("the server closes within the head", |conn| {
        conn.send(HALF_A_HEAD);
        conn.cut();
    })
    .fails(HELIO_ERR_NETWORK, 0)
    .again(),
    reset_within = whole("the server resets within the head", |conn| {
        conn.send(HALF_A_HEAD);
        conn.wait_until_read();
        conn.reset();
    })
    .fails(HELIO_ERR_NETWORK, 0)
    .again(),
    silent_within = whole("the server falls silent within the head", |conn| {
        conn.send(HALF_A_HEAD);
        conn.stall();
    })
    .config(json!({"timeouts": {"first_event_ms": 100}}))
    .times_out("first_event", 0),
    drip = whole("the head comes byte by byte and never ends", |conn| {
        conn.send("HTTP/1.1 200 OK\r\nx: ");
        while !conn.has_left() {
            conn.send("x");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    })
    .config(json!({"timeouts": {"first_event_ms": 150}}))
    .times_out("first_event", 0),
    only_continue = whole("100 Continue comes, and then the server closes", |conn| {
        conn.send("HTTP/1.1 100 Continue\r\n\r\n");
        conn.cut();
    })
    .fails(HELIO_ERR_NETWORK, 0)
    .again(),
    processing_for_ever = whole("102 Processing comes again and again, and nothing else", |conn| {
        while !conn.has_left() {
            conn.send("HTTP/1.1 102 Processing\r\n\r\n");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    })
    .config(json!({"timeouts": {"first_event_ms": 150}}))
    .times_out("first_event", 0),
    informed = whole("100, 102 and 103 come before the answer", |conn| {
        conn.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n");
        conn.send("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n");
        conn.json(200, completion("Hello"));
    }),
);
