//! TLS: whom the client believes, and what an end without a goodbye means.

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::c::{Client, config_for, config_of, merged};
use crate::support::certs::{Leaf, foreign, ours};
use crate::support::chat::{ASK, ASK_STREAM, DONE, completion, finish, hello, say};
use crate::support::conn::{Conn, Framing};
use crate::support::outcome::Outcome;
use crate::support::server::Server;

fn answering(leaf: Leaf) -> Server {
    Server::secure(ours().server(leaf), |_, conn| conn.json(200, completion("Hello")))
}

fn once(server: &Server) -> Client {
    Client::with(server, json!({"retry": {"max_retries": 0}}))
}

/// Asks a secure server for a stream, once.
#[track_caller]
fn asked(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Outcome {
    let server = Server::secure(ours().server(Leaf::Good), move |_, conn| script(conn));
    once(&server).ask(ASK_STREAM)
}

#[test]
fn an_authority_of_ones_own_is_believed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("# a comment\n{}{}", foreign().pem, ours().pem)).unwrap();
    for tls in [json!({"ca_pem": ours().pem}), json!({"ca_file": file.path()})] {
        let server = answering(Leaf::Good);
        let config = merged(config_of(&server.url()), &json!({"tls": tls}));
        let client = Client::new(&config);
        client.ask(ASK).ok();
        client.ask(ASK).ok();
        assert_eq!((server.connections(), server.requests().len()), (1, 2), "one handshake for both");
    }
}

#[test]
fn a_name_is_checked_as_well_as_an_address() {
    let server = answering(Leaf::Good);
    let url = format!("https://localhost:{}/v1", server.port());
    Client::with(&server, json!({"base_url": url})).ask(ASK).ok();
    assert_eq!(server.only_request().header("host"), Some(format!("localhost:{}", server.port()).as_str()));
}

#[test]
fn a_certificate_that_is_not_in_order_is_refused_before_anything_is_sent() {
    for (leaf, word) in [(Leaf::WrongName, "name"), (Leaf::Expired, "expired"), (Leaf::NotYetValid, "valid")] {
        let server = answering(leaf);
        let outcome = Client::of(&server).ask(ASK);
        let error = outcome.fails(HELIO_ERR_TLS);
        error.says(&["certificate", word]);
        assert_eq!((error.http_status, outcome.attempts().len()), (0, 1), "not retried");
        assert_eq!((server.connections(), server.requests().len()), (1, 0), "{leaf:?}");
    }
}

#[test]
fn an_unknown_authority_is_refused_and_the_remedy_named() {
    let server = Server::secure(foreign().server(Leaf::Good), |_, conn| conn.json(200, completion("Hello")));
    for config in [config_for(&server), config_of(&server.url())] {
        let outcome = Client::new(&config).ask(ASK);
        outcome.fails(HELIO_ERR_TLS).says(&["certificate", "ca_file"]);
        assert_eq!(outcome.attempts().len(), 1);
    }
    assert!(server.requests().is_empty());
}

#[test]
fn what_is_not_tls_is_a_tls_error() {
    for said in [
        &b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..],
        b"SSH-2.0-x\r\n",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ] {
        let server = Server::raw(move |conn| {
            conn.skip(1);
            conn.send(said);
            conn.stall();
        });
        let outcome = Client::new(&config_of(&format!("https://127.0.0.1:{}/v1", server.port()))).ask(ASK);
        outcome.fails(HELIO_ERR_TLS);
        assert_eq!(server.connections(), 1, "not retried: {said:?}");
    }
}

#[test]
fn a_handshake_that_is_cut_is_tried_again() {
    for end in [Conn::cut, Conn::reset] {
        let server = Server::raw(move |conn| {
            conn.skip(1);
            end(conn);
        });
        let outcome = Client::new(&config_of(&format!("https://127.0.0.1:{}/v1", server.port()))).ask(ASK);
        outcome.fails(HELIO_ERR_TLS);
        assert_eq!((server.connections(), outcome.attempts().len()), (3, 3));
    }
}

#[test]
fn a_stream_survives_any_cutting_of_its_records() {
    for piece in [1, 3, 7, 64] {
        let outcome = asked(move |conn| {
            conn.in_pieces(piece);
            conn.stream(hello());
        });
        outcome.ok();
        assert_eq!((outcome.content().as_str(), outcome.chunks().len()), ("Hello", 5));
    }
}

#[test]
fn a_large_answer_and_a_large_request_pass() {
    let content: String = (0..200_000).map(|n| format!("{n} ")).collect();
    let server = {
        let content = content.clone();
        Server::secure(ours().server(Leaf::Good), move |_, conn| conn.json(200, completion(&content)))
    };
    let body = json!({"messages": [{"role": "user", "content": content}]}).to_string();
    let outcome = once(&server).ask(&body);
    outcome.ok();
    assert_eq!(outcome.content(), content);
    assert_eq!(server.only_request().text(), body);
}

#[test]
fn an_end_without_a_goodbye_is_an_end_where_the_answer_was_whole() {
    let by_length = asked(|conn| {
        conn.json(200, completion("Hello"));
        conn.cut();
    });
    by_length.ok();
    let finished = asked(|conn| {
        conn.head(200, &[("content-type", "text/event-stream")], Framing::UntilClose);
        conn.body(say("Hello") + &finish("stop") + DONE);
        conn.cut();
    });
    finished.ok();
    let finished_only = asked(|conn| {
        conn.head(200, &[("content-type", "text/event-stream")], Framing::UntilClose);
        conn.body(say("Hello") + &finish("stop"));
        conn.cut();
    });
    finished_only.ok();
}

#[test]
fn an_end_without_a_goodbye_is_a_truncation_where_it_was_not() {
    for goodbye in [true, false] {
        let outcome = asked(move |conn| {
            conn.head(200, &[("content-type", "text/event-stream")], Framing::UntilClose);
            conn.body(say("Hello"));
            if goodbye {
                conn.say_goodbye();
            }
            conn.cut();
        });
        outcome.fails(HELIO_ERR_TRUNCATED);
        assert_eq!(outcome.content(), "Hello");
        let outcome = asked(move |conn| {
            conn.head(200, &[("content-type", "application/json")], Framing::UntilClose);
            conn.body("{\"choices\":[");
            if goodbye {
                conn.say_goodbye();
            }
            conn.cut();
        });
        outcome.fails(HELIO_ERR_TRUNCATED);
    }
}

#[test]
fn a_whole_answer_that_ends_with_a_goodbye_is_whole() {
    let outcome = asked(|conn| {
        conn.head(200, &[("content-type", "application/json")], Framing::UntilClose);
        conn.body(completion("Hello"));
        conn.end();
    });
    assert_eq!(outcome.ok(), serde_json::from_str::<Value>(&completion("Hello")).unwrap());
}

#[test]
fn bytes_that_are_no_record_break_the_connection() {
    let outcome = asked(|conn| {
        conn.stream_head();
        conn.body(say("Hello"));
        conn.wait_until_read();
        conn.send_below_tls(b"this is no record at all");
        conn.stall();
    });
    assert!([HELIO_ERR_TRUNCATED, HELIO_ERR_PROTOCOL, HELIO_ERR_TLS].contains(&outcome.status), "{outcome:#?}");
    assert_eq!(outcome.content(), "Hello");
}

#[test]
fn a_reused_tls_connection_that_dies_is_replayed_once() {
    let server = Server::secure(ours().server(Leaf::Good), |request, conn| {
        if (request.connection, request.place) == (0, 1) { conn.cut() } else { conn.json(200, completion("Hello")) }
    });
    let client = once(&server);
    client.ask(ASK).ok();
    client.ask(ASK).ok();
    assert_eq!((server.requests().len(), server.connections()), (3, 2));
}

#[test]
fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let server =
        Server::secure(ours().server_asking_for_a_certificate(), |_, conn| conn.json(200, completion("Hello")));
    let pair = ours().client();
    let (cert, key) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
    std::fs::write(cert.path(), &pair.cert_pem).unwrap();
    std::fs::write(key.path(), &pair.key_pem).unwrap();
    let secret: String = pair.key_pem.lines().nth(1).unwrap().to_string();
    for tls in [
        json!({"client_cert_pem": pair.cert_pem, "client_key_pem": pair.key_pem}),
        json!({"client_cert_file": cert.path(), "client_key_file": key.path()}),
    ] {
        Client::with(&server, json!({"tls": tls})).keep_secret(&secret).ask(ASK).ok();
    }
    let nobody = once(&server).ask(ASK);
    nobody.fails(HELIO_ERR_TLS).says(&["certificate"]);
}
