//! The way through a proxy: CONNECT and SOCKS, passwords, and who is to blame when it does not work.

use std::net::TcpListener;

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::alone::alone;
use crate::support::c::{Client, KEY, config_of, merged};
use crate::support::certs::{Leaf, ours};
use crate::support::chat::{ASK, ASK_STREAM, DONE, completion, finish, hello, say};
use crate::support::conn::Conn;
use crate::support::server::Server;
use crate::support::sync::Gate;
use crate::{only_in, this_test};

pub const TARGET: &str = "http://target.invalid:8080/v1";
pub const PASSWORD: &str = "proxy-secret-51f0";

/// Reads the request behind the tunnel and answers it: the proxy plays the target, too.
pub fn answer(conn: &mut Conn) {
    while let Some(request) = conn.read_request() {
        assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
        assert_eq!(request.header("proxy-authorization"), None, "the proxy's password went to the target");
        if request.json()["stream"] == true { conn.stream(hello()) } else { conn.json(200, completion("Hello")) }
    }
}

/// Accepts a CONNECT to this host.
pub fn accept_connect(conn: &mut Conn, host: &str, authorization: Option<&str>) {
    let connect = conn.read_request().expect("a CONNECT");
    assert_eq!((connect.method.as_str(), connect.target.as_str()), ("CONNECT", host));
    assert_eq!(connect.header("host"), Some(host));
    assert_eq!(connect.header("proxy-authorization"), authorization);
    assert_eq!(connect.header("authorization"), None, "the key is none of the proxy's business");
    conn.send("HTTP/1.1 200 Connection established\r\nproxy-agent: x\r\n\r\n");
}

pub fn through(proxy: &str, target: &str) -> Value {
    merged(config_of(target), &json!({"proxy": proxy}))
}

fn proxy_url(server: &Server) -> String {
    format!("http://127.0.0.1:{}", server.port())
}

// ---- CONNECT ----

#[test]
fn connect_reaches_a_name_that_only_the_proxy_knows() {
    let server = Server::raw(|conn| {
        accept_connect(conn, "target.invalid:8080", None);
        answer(conn);
    });
    let client = Client::new(&through(&proxy_url(&server), TARGET));
    client.ask(ASK).ok();
    assert_eq!(client.ask(ASK_STREAM).ok()["choices"][0]["message"]["content"], "Hello");
    assert_eq!(server.connections(), 1, "the tunnel is used again");
}

#[test]
fn connect_shows_its_password_and_nobody_else_sees_it() {
    let server = Server::raw(|conn| {
        // user:proxy-secret-51f0
        accept_connect(conn, "target.invalid:8080", Some("Basic dXNlcjpwcm94eS1zZWNyZXQtNTFmMA=="));
        answer(conn);
    });
    let proxy = format!("http://user:{PASSWORD}@127.0.0.1:{}", server.port());
    Client::new(&through(&proxy, TARGET)).keep_secret(PASSWORD).ask(ASK).ok();
}

#[test]
fn tls_goes_through_the_tunnel() {
    let server = Server::raw(|conn| {
        accept_connect(conn, "localhost:443", None);
        if conn.secure(&ours().server(Leaf::Good)) {
            answer(conn);
        }
    });
    let mut config = through(&proxy_url(&server), "https://localhost/v1");
    config["tls"] = json!({"ca_pem": ours().pem});
    let client = Client::new(&config);
    client.ask(ASK).ok();
    client.ask(ASK_STREAM).ok();
    assert_eq!(server.connections(), 1);
}

#[track_caller]
fn fails_as_proxy(retried: bool, script: impl Fn(&mut Conn) + Send + Sync + 'static) {
    let server = Server::raw(move |conn| {
        conn.read_request();
        script(conn);
    });
    let proxy = format!("http://user:{PASSWORD}@127.0.0.1:{}", server.port());
    let outcome = Client::new(&through(&proxy, TARGET)).keep_secret(PASSWORD).ask(ASK);
    let error = outcome.fails(HELIO_ERR_PROXY);
    error.says(&["proxy"]);
    assert_eq!((outcome.events.len(), error.http_status), (1, 0), "the target never answered");
    assert_eq!(server.connections(), if retried { 3 } else { 1 }, "{error:#?}");
}

#[test]
fn what_the_proxy_refuses_is_its_refusal() {
    for status in [301, 400, 403, 404, 407, 500] {
        fails_as_proxy(false, move |conn| conn.answer(status, &[("proxy-authenticate", "Basic realm=x")], "no"));
    }
    for status in [502, 503, 504] {
        fails_as_proxy(true, move |conn| conn.answer(status, &[], "later"));
    }
    fails_as_proxy(false, |conn| conn.send("SSH-2.0-OpenSSH_9.2\r\n\r\n"));
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let proxy = format!("http://user:{PASSWORD}@127.0.0.1:{port}");
    let outcome = Client::new(&through(&proxy, TARGET)).keep_secret(PASSWORD).ask(ASK);
    outcome.fails(HELIO_ERR_PROXY).says(&["proxy", &port.to_string()]);
    assert_eq!(outcome.attempts().len(), 3, "its TCP failure may pass");
    let outcome = Client::new(&through("http://no-such-proxy.invalid:3128", TARGET)).ask(ASK);
    outcome.fails(HELIO_ERR_PROXY).says(&["no-such-proxy.invalid"]);
}

#[test]
fn a_proxy_that_says_nothing_is_a_connect_timeout() {
    let server = Server::raw(Conn::stall);
    let patch = json!({"timeouts": {"connect_ms": 200}, "retry": {"max_retries": 0}});
    let outcome = Client::new(&merged(through(&proxy_url(&server), TARGET), &patch)).ask(ASK);
    assert_eq!(outcome.fails(HELIO_ERR_TIMEOUT).code(), "connect");
}

#[test]
fn cancel_while_the_proxy_says_nothing() {
    let server = Server::new(|_, conn| conn.stall());
    let client = Client::new(&through(&proxy_url(&server), TARGET));
    let (id, handle) = (client.reserve(), client.handle());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            server.wait_for_requests(1);
            assert_eq!(handle.cancel(id), HELIO_OK);
        });
        client.call(ASK).id(id).run().fails(HELIO_ERR_CANCELLED);
    });
}

#[test]
fn a_target_that_fails_behind_the_tunnel_is_not_the_proxys_fault() {
    let server = Server::raw(|conn| {
        accept_connect(conn, "target.invalid:8080", None);
        conn.read_request();
        conn.cut();
    });
    let config = merged(through(&proxy_url(&server), TARGET), &json!({"retry": {"max_retries": 0}}));
    Client::new(&config).ask(ASK).fails(HELIO_ERR_NETWORK);
}

// ---- SOCKS ----

/// Takes exactly these bytes from the client.
fn expect(conn: &mut Conn, bytes: &[u8]) {
    assert_eq!(conn.take(bytes.len()), bytes, "what the client says to a SOCKS server");
}

const GRANTED: &[u8] = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x1f\x90";

#[test]
fn socks5h_lets_the_proxy_look_the_name_up() {
    let server = Server::raw(|conn| {
        expect(conn, b"\x05\x01\x00");
        conn.send(b"\x05\x00");
        expect(conn, b"\x05\x01\x00\x03\x0etarget.invalid\x1f\x90");
        // The answer may come in pieces, and its address may be a name.
        conn.send_split(b"\x05\x00\x00\x03\x03abc\x00\x50", &[1, 4, 6]);
        answer(conn);
    });
    let client = Client::new(&through(&format!("socks5h://127.0.0.1:{}", server.port()), TARGET));
    client.ask(ASK).ok();
    client.ask(ASK).ok();
    assert_eq!(server.connections(), 1);
}

#[test]
fn socks5_looks_the_name_up_here() {
    let server = Server::raw(|conn| {
        expect(conn, b"\x05\x01\x00");
        conn.send(b"\x05\x00");
        expect(conn, b"\x05\x01\x00\x01\x7f\x00\x00\x01\x1f\x90");
        conn.send(GRANTED);
        answer(conn);
    });
    let proxy = format!("socks5://127.0.0.1:{}", server.port());
    Client::new(&through(&proxy, "http://127.0.0.1:8080/v1")).ask(ASK).ok();
}

#[test]
fn socks_shows_its_password_where_it_is_asked_for() {
    let server = Server::raw(|conn| {
        let offer = conn.take(2);
        let methods = conn.take(usize::from(offer[1]));
        assert!(methods.contains(&2), "no password offered: {methods:?}");
        conn.send(b"\x05\x02");
        let login = [b"\x01\x04user\x11", PASSWORD.as_bytes()].concat();
        expect(conn, &login);
        conn.send(b"\x01\x00");
        conn.take(4 + 1 + 14 + 2);
        conn.send(GRANTED);
        answer(conn);
    });
    let proxy = format!("socks5h://user:{PASSWORD}@127.0.0.1:{}", server.port());
    Client::new(&through(&proxy, TARGET)).keep_secret(PASSWORD).ask(ASK).ok();
}

#[test]
fn what_a_socks_server_refuses_is_its_refusal() {
    let scripts: [fn(&mut Conn); 4] = [
        |conn| conn.send(b"\x05\xff"),
        |conn| conn.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        |conn| conn.send(b"\x04\x00"),
        |conn| {
            conn.send(b"\x05\x00");
            conn.take(4 + 1 + 14 + 2);
            conn.send(b"\x05\x05\x00\x01\0\0\0\0\0\0");
        },
    ];
    for script in scripts {
        let server = Server::raw(move |conn| {
            conn.take(3);
            script(conn);
            conn.cut();
        });
        let proxy = format!("socks5h://127.0.0.1:{}", server.port());
        Client::new(&through(&proxy, TARGET)).ask(ASK).fails(HELIO_ERR_PROXY).says(&["proxy"]);
    }
}

// ---- streams ----

#[test]
fn a_stream_through_any_proxy_gives_its_thread_back() {
    only_in!([Poll, Pull], "elsewhere a stream has a thread of its own");
    for scheme in ["http", "https", "socks5h"] {
        for target in [TARGET, "https://localhost:8080/v1"] {
            let (all, host) = (Gate::new(), target.split('/').nth(2).unwrap());
            let server = {
                let all = all.clone();
                Server::raw(move |conn| {
                    match scheme {
                        "socks5h" => {
                            expect(conn, b"\x05\x01\x00");
                            conn.send(b"\x05\x00");
                            let length = conn.take(5)[4];
                            conn.take(usize::from(length) + 2);
                            conn.send(GRANTED);
                        }
                        _ => {
                            assert!(scheme == "http" || conn.secure(&ours().server(Leaf::Good)));
                            accept_connect(conn, host, None);
                        }
                    }
                    assert!(target.starts_with("http:") || conn.secure(&ours().server(Leaf::Good)));
                    conn.read_request();
                    conn.stream_head();
                    conn.body(say("Hel"));
                    // None ends before all have begun.
                    all.open();
                    all.wait_for(3);
                    conn.body(say("lo") + &finish("stop") + DONE);
                    conn.end();
                })
            };
            let mut config = through(&format!("{scheme}://127.0.0.1:{}", server.port()), target);
            config["tls"] = json!({"ca_pem": ours().pem});
            config["limits"] = json!({"max_threads": 1});
            let client = Client::new(&config);
            let running: Vec<_> = (0..3).map(|_| client.call(ASK_STREAM).submit()).collect();
            for running in running {
                let outcome = running.wait();
                outcome.ok();
                assert_eq!(outcome.content(), "Hello", "{scheme} to {target}");
            }
        }
    }
}

// ---- which way ----

#[test]
fn no_proxy_goes_around_it() {
    let server = Server::new(|_, conn| conn.json(200, completion("Hello")));
    for no_proxy in ["127.0.0.1", "*", "other.example, 127.0.0.1", ".example,127.0.0.1"] {
        let patch = json!({"no_proxy": no_proxy});
        let config = merged(through("http://no-such-proxy.invalid:3128", &server.url()), &patch);
        Client::new(&config).ask(ASK).ok();
    }
    let patch = json!({"no_proxy": "7.0.0.1, .0.0.1.example, 127.0.0.10"});
    let config = merged(through("http://no-such-proxy.invalid:3128", &server.url()), &patch);
    Client::new(&config).ask(ASK).fails(HELIO_ERR_PROXY);
}

/// What becomes of a call, in a process with this environment, to a name that only the proxy knows.
fn in_environment(test: &str, variables: &[(&str, &str)], config: fn() -> Value, status: helio_status) {
    let server = Server::raw(|conn| {
        accept_connect(conn, "target.invalid:8080", None);
        answer(conn);
    });
    let url = proxy_url(&server);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.replace("PROXY", &url))).collect();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    alone(test, &variables, || {
        let config = merged(config(), &json!({"retry": {"max_retries": 0}}));
        assert_eq!(Client::new(&config).ask(ASK).status, status);
    });
}

fn from_environment() -> Value {
    through("environment", TARGET)
}

#[test]
fn the_environment_names_the_proxy_of_a_scheme() {
    in_environment(
        this_test!(),
        &[("http_proxy", "PROXY"), ("HTTPS_PROXY", "http://127.0.0.1:9")],
        from_environment,
        HELIO_OK,
    );
}

#[test]
fn the_environment_names_the_proxy_of_all_schemes() {
    in_environment(this_test!(), &[("ALL_PROXY", "PROXY")], from_environment, HELIO_OK);
}

#[test]
fn the_environment_names_who_is_reached_directly() {
    in_environment(this_test!(), &[("ALL_PROXY", "PROXY"), ("NO_PROXY", ".invalid")], from_environment, HELIO_ERR_DNS);
}

#[test]
fn the_environment_is_not_asked_for_a_proxy_unless_the_config_says_so() {
    in_environment(
        this_test!(),
        &[("ALL_PROXY", "PROXY"), ("http_proxy", "PROXY")],
        || config_of(TARGET),
        HELIO_ERR_DNS,
    );
}

#[test]
fn a_proxy_that_is_no_url_is_refused_in_create() {
    for proxy in ["nonsense", "ftp://a:1", "http://", "socks4://a:1"] {
        let config = through(&proxy.replace("://", &format!("://user:{PASSWORD}@")), TARGET).to_string();
        let error = Client::try_new(Some(config.as_bytes())).err().unwrap_or_else(|| panic!("accepted {proxy}"));
        assert!([HELIO_ERR_INVALID_ARGUMENT, HELIO_ERR_UNSUPPORTED].contains(&error.status), "{error:#?}");
        error.says(&["proxy"]);
        assert!(!error.message.contains(PASSWORD), "{:?}", error.message);
    }
}
