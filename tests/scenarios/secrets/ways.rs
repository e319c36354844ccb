//! What happens before an answer: names, connections, TLS and proxies that fail, and mistakes of the host.

use std::net::TcpListener;

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::c::{Client, merged};
use crate::support::certs::{Leaf, foreign, ours};
use crate::support::chat::ASK;
use crate::support::conn::Conn;
use crate::support::delivery::until;
use crate::support::secrets::Repeats::Nothing;
use crate::support::secrets::{COOKIE, KEY, Looked, ONCE, login, proxy, said, said_in_json, secretive};
use crate::support::server::Server;

const ELSEWHERE: &str = "http://target.invalid:8080/v1";

// ---- the way there ----

/// A port where nothing listens.
fn nowhere() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks once, and opens a connection ahead, which logs why it cannot.
#[track_caller]
fn way(looked: &mut Looked, what: &str, status: helio_status, config: &Value) {
    let client = Client::new(config);
    looked.at_outcome(what, status, Nothing, &client.ask(ASK), &client);
    assert_eq!(client.handle().prewarm(), HELIO_OK);
    until("the failure is logged", || {
        client.logs().iter().any(|line| line.starts_with("2 helio::client: no connection"))
    });
    looked.at(what, (status, status), Nothing, &client.logs());
}

/// `wire::connect`, `wire::tls`.
pub fn ways(looked: &mut Looked) {
    let config = |url: &str| secretive(url, &json!({}));
    way(looked, "a name", HELIO_ERR_DNS, &config("http://no-such-host.invalid/v1"));
    way(looked, "a port", HELIO_ERR_CONNECT, &config(&format!("http://127.0.0.1:{}/v1", nowhere())));
    let secure = |port: u16| format!("https://127.0.0.1:{port}/v1");
    let scripts: [fn(&mut Conn); 3] = [
        |conn| conn.send(said()),
        |conn| conn.send(format!("HTTP/1.1 400 {}\r\nx-request-id: {}\r\n\r\n", said(), said())),
        |_| (),
    ];
    for script in scripts {
        let server = Server::raw(move |conn| {
            conn.skip(1);
            script(conn);
            conn.cut();
        });
        way(looked, "no TLS", HELIO_ERR_TLS, &config(&secure(server.port())));
    }
    for wrong in [foreign().server(Leaf::Good), ours().server(Leaf::WrongName), ours().server(Leaf::Expired)] {
        let server = Server::secure(wrong, |_, conn| conn.stall());
        way(looked, "a certificate", HELIO_ERR_TLS, &config(&server.url()));
    }
    let server = Server::secure(ours().server_asking_for_a_certificate(), |_, conn| {
        conn.send_below_tls(said().as_bytes());
        conn.stall();
    });
    let client = Client::new(&config(&server.url()));
    looked.at_outcome("TLS that breaks", HELIO_ERR_TLS, Nothing, &client.ask(ASK), &client);
}

/// `wire::proxy`: a proxy that knows the password and says it again.
pub fn proxies(looked: &mut Looked) {
    let config = |url: &str| secretive(ELSEWHERE, &json!({"proxy": url}));
    way(looked, "no proxy", HELIO_ERR_PROXY, &config(&proxy("http", nowhere())));
    way(looked, "no proxy", HELIO_ERR_PROXY, &config(&proxy("socks5h", nowhere())));
    for http in [302, 403, 407, 500, 503] {
        let server = Server::new(move |request, conn| {
            assert_eq!(request.header("proxy-authorization"), Some(format!("Basic {}", login()).as_str()));
            conn.send(format!("HTTP/1.1 {http} {0}\r\nproxy-authenticate: {0}\r\nlocation: {0}\r\n\r\n{0}", said()));
            conn.cut();
        });
        way(looked, "a proxy's refusal", HELIO_ERR_PROXY, &config(&proxy("http", server.port())));
    }
    for head in [said() + "\r\n\r\n", said().repeat(200), said()] {
        let server = Server::new(move |_, conn| {
            conn.send(&head);
            conn.cut();
        });
        way(looked, "a proxy's nonsense", HELIO_ERR_PROXY, &config(&proxy("http", server.port())));
    }
    let verdicts: [fn(&mut Conn); 5] = [
        |conn| conn.send(said()),
        |conn| conn.send(b"\x05\xff"),
        |conn| conn.send([b"\x05\x02\x01\x01".as_slice(), said().as_bytes()].concat()),
        |conn| conn.send([b"\x05\x02\x01\x00\x05\x02\x00\x03\x20".as_slice(), said().as_bytes()].concat()),
        |conn| conn.send([b"\x05\x02\x01\x00\x05\x00\x00\x09".as_slice(), said().as_bytes()].concat()),
    ];
    for verdict in verdicts {
        let server = Server::raw(move |conn| {
            conn.skip(4);
            verdict(conn);
            conn.cut();
        });
        way(looked, "a SOCKS server's refusal", HELIO_ERR_PROXY, &config(&proxy("socks5h", server.port())));
    }
    let server = Server::raw(Conn::stall);
    let patch =
        json!({"proxy": proxy("http", server.port()), "timeouts": {"connect_ms": 100}, "retry": {"max_retries": 0}});
    way(looked, "a silent proxy", HELIO_ERR_TIMEOUT, &secretive(ELSEWHERE, &patch));
}

// ---- mistakes of the host ----

/// `config`, `section`, `call::request`: what is wrong is named by its key, not by its value.
pub fn mistakes(looked: &mut Looked) {
    let good = secretive("https://api.example/v1", &json!({}));
    for (status, patch) in [
        (HELIO_ERR_INVALID_ARGUMENT, json!({"api_key": [KEY]})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"api_key": format!("{KEY} {KEY}")})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"headers": {"X-Token": [said()]}})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"headers": {"X-Token": said() + "\n"}})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"headers": {"Host": said()}})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"headers": said()})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"helicone": {"fallbacks": said()}})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"helicone": {"properties": {"a": [said()]}}})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"timeouts": said()})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"unknown": said()})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"validate": said()})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"base_url": format!("https://someone:{COOKIE}@api.example/v1")})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"base_url": format!("someone:{COOKIE}@api.example/v1")})),
        (HELIO_ERR_UNSUPPORTED, json!({"base_url": format!("ftp://someone:{COOKIE}@api.example/v1")})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"base_url": said()})),
        (HELIO_ERR_UNSUPPORTED, json!({"proxy": proxy("socks4", 9)})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"proxy": proxy("http", 0)})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"proxy": proxy("http", 9).replace("http://", "")})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"tls": {"client_key_pem": "no PEM"}})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"tls": {"client_cert_pem": good["tls"]["client_key_pem"]}})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"tls": {"client_cert_pem": null}})),
        (HELIO_ERR_INVALID_ARGUMENT, json!({"tls": {"client_cert_pem": ours().client().cert_pem}})),
        (
            HELIO_ERR_INVALID_ARGUMENT,
            json!({"tls": {"client_key_file": good["tls"]["client_key_pem"], "client_key_pem": null}}),
        ),
    ] {
        let config = merged(good.clone(), &patch).to_string();
        looked.at_refused(&patch.to_string(), status, config.as_bytes());
        assert!(Client::try_new(Some(good.to_string().as_bytes())).is_ok(), "without the mistake it is accepted");
    }
    let text = good.to_string();
    for broken in [&text[..text.len() - 1], &text.replacen(':', "=", 1), &format!("[{text}]"), &format!("{text}{text}")]
    {
        looked.at_refused("broken JSON", HELIO_ERR_INVALID_JSON, broken.as_bytes());
    }
    looked.at_refused("broken UTF-8", HELIO_ERR_INVALID_UTF8, &[text.as_bytes(), b"\xff"].concat());

    let server = Server::raw(|_| panic!("nothing should have been sent"));
    let client = Client::new(&secretive(&server.url(), &json!({})));
    for overrides in [
        json!({"headers": {"X-Once": [ONCE]}}),
        json!({"headers": {"X-Once": format!("{ONCE}\r\nX-More: {ONCE}")}}),
        json!({"api_key": KEY}),
        json!({"proxy": proxy("http", 9)}),
        json!({"helicone": {"fallbacks": ONCE}}),
    ] {
        let outcome = client.call(ASK).overrides(&overrides).run();
        looked.at_outcome(&overrides.to_string(), HELIO_ERR_INVALID_ARGUMENT, Nothing, &outcome, &client);
    }
    let outcome = client.call(ASK).raw_overrides(format!("{{\"headers\":{{\"X-Once\":\"{ONCE}\"}}")).run();
    looked.at_outcome("broken overrides", HELIO_ERR_INVALID_JSON, Nothing, &outcome, &client);
    let outcome = client.ask(format!("{{\"messages\":[\"{}\"]", said_in_json()));
    looked.at_outcome("a broken request", HELIO_ERR_INVALID_JSON, Nothing, &outcome, &client);
}
