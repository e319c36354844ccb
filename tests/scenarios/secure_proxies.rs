//! Proxies that are themselves spoken with within TLS: CONNECT inside of it, and perhaps TLS with the target inside of
//! that.

use helio::abi::*;
use serde_json::{Value, json};

use super::proxies::{PASSWORD, TARGET, accept_connect, answer, through};
use crate::support::c::{Client, merged};
use crate::support::certs::{Leaf, foreign, ours};
use crate::support::chat::{ASK, ASK_STREAM, completion, say};
use crate::support::conn::Conn;
use crate::support::server::Server;

/// A proxy that speaks TLS itself and plays the target, too.
fn secure_proxy(leaf: Leaf, play: impl Fn(&mut Conn) + Send + Sync + 'static) -> Server {
    Server::raw(move |conn| {
        if conn.secure(&ours().server(leaf)) {
            play(conn);
        }
    })
}

fn through_secure(server: &Server, target: &str) -> Value {
    let mut config = through(&format!("https://user:{PASSWORD}@127.0.0.1:{}", server.port()), target);
    config["tls"] = json!({"ca_pem": ours().pem});
    config
}

/// The target behind such a proxy, once it was asked.
fn asked_through(target: &'static str, play: impl Fn(&mut Conn) + Send + Sync + 'static) -> Server {
    let host = target.split('/').nth(2).expect("a host");
    secure_proxy(Leaf::Good, move |conn| {
        accept_connect(conn, host, LOGIN);
        assert!(target.starts_with("http:") || conn.secure(&ours().server(Leaf::Good)));
        conn.read_request();
        play(conn);
    })
}

const LOGIN: Option<&str> = Some("Basic dXNlcjpwcm94eS1zZWNyZXQtNTFmMA==");

#[test]
fn a_proxy_of_https_is_spoken_with_within_tls() {
    let server = secure_proxy(Leaf::Good, |conn| {
        accept_connect(conn, "target.invalid:8080", LOGIN);
        answer(conn);
    });
    let client = Client::new(&through_secure(&server, TARGET)).keep_secret(PASSWORD);
    client.ask(ASK).ok();
    assert_eq!(client.ask(ASK_STREAM).ok()["choices"][0]["message"]["content"], "Hello");
    let large = json!({"messages": [{"role": "user", "content": "x".repeat(1 << 20)}]}).to_string();
    client.ask(&large).ok();
    assert_eq!(server.connections(), 1, "the tunnel is used again");
}

#[test]
fn tls_goes_through_a_tunnel_within_tls() {
    for piece in [usize::MAX, 1, 50] {
        let server = secure_proxy(Leaf::Good, move |conn| {
            accept_connect(conn, "localhost:443", LOGIN);
            if conn.secure(&ours().server(Leaf::Good)) {
                conn.in_pieces(piece);
                answer(conn);
            }
        });
        let client = Client::new(&through_secure(&server, "https://localhost/v1")).keep_secret(PASSWORD);
        client.ask(ASK).ok();
        let large = json!({"messages": [{"role": "user", "content": "x".repeat(1 << 20)}]}).to_string();
        client.ask(&large).ok();
        assert_eq!(client.ask(ASK_STREAM).content(), "Hello");
        assert_eq!(server.connections(), 1);
    }
}

#[test]
fn a_tunnel_within_tls_that_dies_while_idle_is_found_out() {
    for is_orderly in [true, false] {
        for target in [TARGET, "https://localhost:8080/v1"] {
            let server = asked_through(target, move |conn| {
                conn.json(200, completion("Hello"));
                conn.wait_until_read();
                if is_orderly {
                    conn.say_goodbye();
                }
                conn.cut();
            });
            let client = Client::new(&merged(through_secure(&server, target), &json!({"retry": {"max_retries": 0}})));
            for _ in 0..3 {
                let outcome = client.ask(ASK);
                outcome.ok();
                assert_eq!(outcome.attempts().len(), 1);
            }
        }
    }
}

#[test]
fn a_stream_that_breaks_off_in_a_tunnel_within_tls_is_truncated() {
    for target in [TARGET, "https://localhost:8080/v1"] {
        let server = asked_through(target, move |conn| {
            conn.stream_head();
            conn.body(say("Hel"));
            conn.wait_until_read();
            conn.cut();
        });
        let outcome = Client::new(&through_secure(&server, target)).ask(ASK_STREAM);
        outcome.fails(HELIO_ERR_TRUNCATED);
        assert_eq!((outcome.content().as_str(), server.connections()), ("Hel", 1));
    }
}

#[test]
fn the_certificate_of_a_proxy_is_checked_before_anything_is_said() {
    for (leaf, word) in [(Leaf::WrongName, "name"), (Leaf::Expired, "expired"), (Leaf::NotYetValid, "not valid yet")] {
        let server = secure_proxy(leaf, |_| panic!("the handshake must fail"));
        let outcome = Client::new(&through_secure(&server, TARGET)).keep_secret(PASSWORD).ask(ASK);
        outcome.fails(HELIO_ERR_PROXY).says(&["proxy", "certificate", word, &server.port().to_string()]);
        assert_eq!(server.connections(), 1, "not retried");
    }
    let unknown = Server::raw(|conn| assert!(!conn.secure(&foreign().server(Leaf::Good))));
    let outcome = Client::new(&through_secure(&unknown, TARGET)).ask(ASK);
    outcome.fails(HELIO_ERR_PROXY).says(&["proxy", "unknown issuer", "ca_file"]);
    let plain = Server::raw(|conn| {
        conn.skip(1);
        conn.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        conn.stall();
    });
    Client::new(&through_secure(&plain, TARGET)).ask(ASK).fails(HELIO_ERR_PROXY).says(&["proxy", "TLS"]);
}

#[test]
fn what_a_secure_proxy_refuses_is_its_refusal() {
    let server = secure_proxy(Leaf::Good, |conn| {
        conn.read_request();
        conn.answer(407, &[("proxy-authenticate", "Basic realm=x")], "no");
    });
    let outcome = Client::new(&through_secure(&server, TARGET)).keep_secret(PASSWORD).ask(ASK);
    outcome.fails(HELIO_ERR_PROXY).says(&["407", "password"]);
}

#[test]
fn a_secure_proxy_that_falls_silent_in_its_handshake_is_a_connect_timeout() {
    let server = Server::raw(Conn::stall);
    let patch = json!({"timeouts": {"connect_ms": 200}, "retry": {"max_retries": 0}});
    let outcome = Client::new(&merged(through_secure(&server, TARGET), &patch)).ask(ASK);
    assert_eq!(outcome.fails(HELIO_ERR_TIMEOUT).code(), "connect");
}

#[test]
fn a_proxy_is_not_shown_the_certificate_that_is_for_the_target() {
    let server = Server::raw(|conn| {
        assert!(!conn.secure(&ours().server_asking_for_a_certificate()), "a certificate was shown");
    });
    let pair = ours().client();
    let mut config = through_secure(&server, "https://localhost/v1");
    config["tls"]["client_cert_pem"] = json!(pair.cert_pem);
    config["tls"]["client_key_pem"] = json!(pair.key_pem);
    Client::new(&config).ask(ASK).fails(HELIO_ERR_PROXY).says(&["proxy", "certificate"]);
}
