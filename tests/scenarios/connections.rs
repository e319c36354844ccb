//! Connections that are kept, connections that die, and what is sent again.

use std::time::Duration;

use helio::abi::*;
use serde_json::json;

use crate::support::c::Client;
use crate::support::chat::{ASK, ASK_STREAM, completion, event, hello, say};
use crate::support::conn::{Conn, Framing, chunk, head};
use crate::support::request::Request;
use crate::support::server::Server;
use crate::support::sync::Gate;

const NO_RETRY: &str = r#"{"retry":{"max_retries":0}}"#;

fn once(server: &Server) -> Client {
    Client::with(server, serde_json::from_str(NO_RETRY).unwrap())
}

fn places(server: &Server) -> Vec<(usize, usize)> {
    server.requests().iter().map(|request| (request.connection, request.place)).collect()
}

// ---- reuse ----

#[test]
fn one_connection_serves_call_after_call() {
    let server = Server::new(|request, conn| match request.number % 4 {
        0 => conn.json(200, completion("Hello")),
        // The end of the body comes with [DONE]: that of others is not waited for.
        1 => {
            conn.stream_head();
            conn.send([chunk(hello().concat().as_bytes()), b"0\r\n\r\n".to_vec()].concat());
        }
        2 => conn.answer(404, &[], "no"),
        _ => {
            conn.head(200, &[("content-type", "application/json")], Framing::Chunked);
            conn.body(completion("Hello"));
            conn.send("0\r\nx-trailer: 1\r\n\r\n");
        }
    });
    let client = Client::of(&server);
    for number in 0..12 {
        let outcome = client.ask(ASK);
        assert_eq!(outcome.status == HELIO_OK, number % 4 != 2);
        assert_eq!(outcome.attempts()[0]["reused"], number > 0, "call {number}");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn calls_at_the_same_time_have_connections_of_their_own() {
    let all = Gate::new();
    let server = {
        let all = all.clone();
        Server::new(move |_, conn| {
            all.open();
            all.wait_for(3);
            conn.json(200, completion("Hello"));
        })
    };
    let client = Client::of(&server);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..3).map(|_| scope.spawn(|| client.ask(ASK))).collect();
        for call in calls {
            call.join().unwrap().ok();
        }
    });
    assert_eq!(server.connections(), 3);
    client.ask(ASK).ok();
    assert_eq!(server.connections(), 3);
}

#[test]
fn the_system_finds_out_whether_a_silent_peer_still_lives() {
    let server = Server::new(|_, conn| {
        assert_eq!(conn.client_keep_alive(), Some((true, 60)));
        conn.json(200, completion("Hello"));
    });
    once(&server).ask(ASK).ok();
}

#[test]
fn connection_close_is_obeyed() {
    let scripts: [fn(&mut Conn); 3] = [
        |conn| conn.answer(200, &[("connection", "close")], completion("Hello")),
        |conn| conn.answer(200, &[("Connection", "Close, x")], completion("Hello")),
        |conn| {
            let body = completion("Hello");
            conn.send(format!("HTTP/1.0 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        },
    ];
    for script in scripts {
        let server = Server::new(move |_, conn| script(conn));
        let client = Client::of(&server);
        client.ask(ASK).ok();
        client.ask(ASK).ok();
        assert_eq!(places(&server), [(0, 0), (1, 0)]);
    }
}

#[test]
fn what_follows_an_answer_is_never_taken_for_the_next() {
    let server = Server::new(|request, conn| {
        // In one send: what came after a later request could be its answer, and nobody could tell.
        let answers = [completion(&format!("answer {}", request.number)), completion("forged")];
        conn.send(answers.map(|body| head(200, &[], Framing::Length(body.len())) + &body).concat());
    });
    let client = Client::of(&server);
    for number in 0..3 {
        assert_eq!(client.ask(ASK).content(), format!("answer {number}"));
    }
}

#[test]
fn an_answer_that_comes_while_nobody_asks_is_thrown_away() {
    let (asked, sent) = (Gate::new(), Gate::new());
    let server = {
        let (asked, sent) = (asked.clone(), sent.clone());
        Server::new(move |request, conn| {
            conn.json(200, completion(&format!("answer {}", request.number)));
            if request.number == 0 {
                // As proxies do before they close an idle connection.
                asked.wait();
                conn.send("HTTP/1.1 408 Request Time-out\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                conn.cut();
                sent.open();
            }
        })
    };
    let client = once(&server);
    assert_eq!(client.ask(ASK).content(), "answer 0");
    asked.open();
    sent.wait();
    assert_eq!(client.ask(ASK).content(), "answer 1");
    assert_eq!(server.connections(), 2);
}

#[test]
fn an_idle_connection_that_the_server_closed_costs_nothing() {
    for end in [Conn::cut, Conn::reset] {
        let server = Server::new(move |_, conn| {
            conn.json(200, completion("Hello"));
            conn.wait_until_read();
            end(conn);
        });
        let client = once(&server);
        for _ in 0..5 {
            let outcome = client.ask(ASK);
            outcome.ok();
            assert_eq!(outcome.events.len(), 2);
        }
        assert_eq!(server.requests().len(), server.connections(), "each connection saw one request");
    }
}

#[test]
fn an_unfinished_answer_leaves_no_connection_behind() {
    for limits in [json!({"max_response_bytes": 200}), json!({})] {
        let server = Server::new(|request, conn| {
            if request.number == 0 {
                conn.stream_head();
                conn.body(say(&"old".repeat(100)));
                conn.body(event("garbage"));
                conn.wait_gone(Duration::from_secs(20));
            } else {
                conn.json(200, completion("new"));
            }
        });
        let client = Client::of(&server);
        let first = client.call(ASK_STREAM).overrides(&json!({"limits": limits})).run();
        assert!([HELIO_ERR_TOO_LARGE, HELIO_ERR_PROTOCOL].contains(&first.status));
        assert_eq!(client.ask(ASK).content(), "new");
        assert_eq!(server.connections(), 2);
    }
}

// ---- the replay ----

/// A server whose first connection answers once and dies at the second request, in this way.
fn dying(death: fn(&mut Conn)) -> Server {
    Server::new(move |request: &Request, conn| {
        if (request.connection, request.place) == (0, 1) {
            death(conn);
        } else {
            conn.json(200, completion("Hello"));
        }
    })
}

#[test]
fn a_reused_connection_that_dies_before_an_answer_is_replayed_unseen() {
    for death in [Conn::cut, Conn::reset] {
        let server = dying(death);
        let client = once(&server);
        client.ask(ASK).ok();
        let outcome = client.ask(ASK);
        outcome.ok();
        assert_eq!(outcome.events.len(), 2, "RESPONSE and DONE");
        assert_eq!(places(&server), [(0, 0), (0, 1), (1, 0)]);
        let requests = server.requests();
        assert_eq!((requests[1].text(), &requests[1].headers), (requests[2].text(), &requests[2].headers));
    }
}

#[test]
fn the_replay_happens_once() {
    let server =
        Server::new(|request, conn| if request.number == 0 { conn.json(200, completion("Hello")) } else { conn.cut() });
    let client = once(&server);
    client.ask(ASK).ok();
    client.ask(ASK).fails(HELIO_ERR_NETWORK);
    assert_eq!(places(&server), [(0, 0), (0, 1), (1, 0)]);
}

#[test]
fn the_replay_does_not_try_one_stale_connection_after_the_other() {
    let all = Gate::new();
    let server = {
        let all = all.clone();
        Server::new(move |request, conn| {
            if request.place > 0 {
                return conn.reset();
            }
            all.open();
            all.wait_for(4);
            conn.json(200, completion("Hello"));
        })
    };
    let client = once(&server);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| client.ask(ASK).ok());
        }
    });
    let outcome = client.ask(ASK);
    outcome.ok();
    assert_eq!(server.requests().len(), 6, "four, one on a stale connection, one replay");
    assert_eq!(server.connections(), 5, "the replay has a connection of its own");
}

#[test]
fn the_replay_does_not_count_as_a_retry() {
    let server = Server::new(|request, conn| match request.number {
        0 => conn.json(200, completion("Hello")),
        1 => conn.cut(),
        2 => conn.answer(503, &[], ""),
        _ => conn.json(200, completion("at last")),
    });
    let client = Client::with(&server, json!({"retry": {"max_retries": 1}}));
    client.ask(ASK).ok();
    let outcome = client.ask(ASK);
    outcome.ok();
    assert_eq!((outcome.content().as_str(), server.requests().len()), ("at last", 4));
}

#[test]
fn a_connection_that_dies_after_the_first_byte_is_not_replayed() {
    let server = dying(|conn| {
        conn.send("HTTP/1.1 2");
        conn.wait_until_read();
        conn.cut();
    });
    let client = once(&server);
    client.ask(ASK).ok();
    client.ask(ASK).fails(HELIO_ERR_NETWORK);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_fresh_connection_that_dies_is_a_network_error() {
    for death in [Conn::cut, Conn::reset] {
        let server = Server::new(move |_, conn| death(conn));
        once(&server).ask(ASK).fails(HELIO_ERR_NETWORK);
        assert_eq!(server.requests().len(), 1);
    }
}
