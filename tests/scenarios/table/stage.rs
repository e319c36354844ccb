//! What a row is played on: servers, proxies, and addresses where nobody is.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::row::{Cue, Row, Strike};
use crate::support::black_hole::BlackHole;
use crate::support::c::{Client, config_of, merged};
use crate::support::certs::{Leaf, ours};
use crate::support::chat::{DONE, completion, finish, say};
use crate::support::conn::Conn;
use crate::support::delivery::until;
use crate::support::server::Server;
use crate::support::sync::Gate;

/// What every good answer says after a fault.
pub const AT_LAST: &str = "at last";
/// The proxies' password, which nobody may see.
const PASSWORD: &str = "proxy-secret-51f0";
/// A name that only the proxies know.
const TARGET: &str = "http://target.invalid:8080/v1";

/// How the request gets to where the fault is.
#[derive(Clone, Copy)]
pub enum Way {
    /// Plain HTTP: the fault has the request before it.
    Http,
    /// The same behind TLS that is in order.
    Https,
    /// Plain HTTP: the fault has a connection on which nothing was read.
    Tcp,
    /// The same where the client begins with TLS.
    Handshake,
    /// By a proxy: the fault has the CONNECT before it.
    Connect,
    /// The same: the fault has the request behind the tunnel before it.
    Tunnel,
    /// By a proxy that is spoken with within TLS: the fault has a connection on which nothing was read.
    SecureProxy,
    /// By a SOCKS proxy: the fault has a connection on which nothing was read.
    Socks,
    /// The same, for a client without user and password.
    OpenSocks,
    /// To no server of ours.
    Nobody(fn() -> Nobody),
}

/// An address where nobody is.
pub struct Nobody {
    config: Value,
    _keeps_it_so: Box<dyn Any>,
}

impl Nobody {
    /// Nothing listens there.
    pub fn closed() -> Nobody {
        let (port, reserved) = closed_port();
        Nobody { config: config_of(&format!("http://127.0.0.1:{port}/v1")), _keeps_it_so: reserved }
    }

    /// Nobody says anything there.
    pub fn silent() -> Nobody {
        let hole = BlackHole::open();
        Nobody { config: config_of(&hole.url()), _keeps_it_so: Box::new(hole) }
    }

    /// Under this name.
    pub fn named(host: &str) -> Nobody {
        Nobody { config: config_of(&format!("http://{host}:8080/v1")), _keeps_it_so: Box::new(()) }
    }

    /// A proxy instead, of this scheme, at the same address.
    pub fn into_proxy(mut self, scheme: &str) -> Nobody {
        let url = self.config["base_url"].as_str().expect("a URL").replace("http://", &format!("{scheme}://"));
        let proxy = url.trim_end_matches("/v1").to_string();
        self.config = merged(config_of(TARGET), &json!({"proxy": proxy}));
        self
    }
}

/// A port that is taken, so that nobody else can, but on which nobody listens.
fn closed_port() -> (u16, Box<dyn Any>) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port on 127.0.0.1");
    (socket.local_addr().expect("its address").port(), Box::new(socket))
}

/// One row, set up for one call.
pub struct Stage {
    config: Value,
    /// `None`: to nobody.
    server: Option<Server>,
    tries: Arc<AtomicUsize>,
    /// Opened by the fault where the host is to act.
    pub gate: Arc<Gate>,
    pub body: Arc<[u8]>,
    is_reused: bool,
    _nobody: Option<Nobody>,
}

impl Stage {
    /// `passes`: only the first try is struck.
    pub fn set(row: &Row, passes: bool) -> Stage {
        let (tries, gate) = (Arc::<AtomicUsize>::default(), Gate::new());
        let (body, is_reused) = (row.body.clone(), row.is_reused);
        if let Way::Nobody(nobody) = row.way {
            let nobody = nobody();
            let config = nobody.config.clone();
            return Stage { config, server: None, tries, gate, body, is_reused, _nobody: Some(nobody) };
        }
        let play = Play {
            way: row.way,
            strike: row.strike.clone(),
            strikes: row.strikes.unwrap_or(if passes { 1 } else { usize::MAX }),
            warm_ups: usize::from(is_reused),
            tries: tries.clone(),
            gate: gate.clone(),
            body: body.clone(),
        };
        let server = Server::raw(move |conn| play.on(conn));
        let config = config_on(row.way, server.port());
        Stage { config, server: Some(server), tries, gate, body, is_reused, _nobody: None }
    }

    /// A client that comes this way.
    pub fn client(&self, patch: &Value) -> Client {
        let client = Client::new(&merged(self.config.clone(), patch)).keep_secret(PASSWORD);
        if self.is_reused {
            assert_eq!(client.ask(&self.body).content(), AT_LAST, "the connection's first request");
        }
        client
    }

    /// How often the server was tried; `None` where there is none.
    pub fn tries(&self) -> Option<usize> {
        let tries = self.tries.load(Ordering::SeqCst) - usize::from(self.is_reused);
        self.server.as_ref().map(|_| tries)
    }

    /// Waits until it was tried so often.
    pub fn until_tried(&self, times: usize) {
        until(&format!("there are {times} tries"), || self.tries() >= Some(times));
    }
}

fn config_on(way: Way, port: u16) -> Value {
    let proxied = |proxy: String| merged(config_of(TARGET), &json!({"proxy": proxy}));
    match way {
        Way::Http | Way::Tcp => config_of(&format!("http://127.0.0.1:{port}/v1")),
        Way::Https | Way::Handshake => {
            merged(config_of(&format!("https://127.0.0.1:{port}/v1")), &json!({"tls": {"ca_pem": ours().pem}}))
        }
        Way::Connect | Way::Tunnel => proxied(format!("http://user:{PASSWORD}@127.0.0.1:{port}")),
        Way::SecureProxy => {
            let config = proxied(format!("https://user:{PASSWORD}@127.0.0.1:{port}"));
            merged(config, &json!({"tls": {"ca_pem": ours().pem}}))
        }
        Way::Socks => proxied(format!("socks5h://user:{PASSWORD}@127.0.0.1:{port}")),
        Way::OpenSocks => proxied(format!("socks5h://127.0.0.1:{port}")),
        Way::Nobody(_) => unreachable!("has a config of its own"),
    }
}

/// The server's part.
struct Play {
    way: Way,
    strike: Strike,
    strikes: usize,
    warm_ups: usize,
    tries: Arc<AtomicUsize>,
    gate: Arc<Gate>,
    body: Arc<[u8]>,
}

impl Play {
    fn on(&self, conn: &mut Conn) {
        match self.way {
            Way::Tcp | Way::Handshake | Way::Connect | Way::SecureProxy | Way::Socks | Way::OpenSocks => {
                if matches!(self.way, Way::Connect) && conn.read_request().is_none() {
                    return;
                }
                if !self.is_struck(conn) && self.is_open(conn) {
                    while conn.read_request().is_some() {
                        self.answer(conn);
                    }
                }
            }
            Way::Http | Way::Https | Way::Tunnel => {
                if matches!(self.way, Way::Tunnel) && conn.read_request().is_none() || !self.is_open(conn) {
                    return;
                }
                while let Some(request) = conn.read_request() {
                    assert!(*request.body == *self.body, "another body: {}", String::from_utf8_lossy(&request.body));
                    if !self.is_struck(conn) {
                        self.answer(conn);
                    }
                    if conn.is_closed() {
                        return;
                    }
                }
            }
            Way::Nobody(_) => unreachable!("has no server"),
        }
    }

    /// Plays the fault, if this try is one that it strikes, or what comes before it on a connection.
    fn is_struck(&self, conn: &mut Conn) -> bool {
        let Some(number) = self.tries.fetch_add(1, Ordering::SeqCst).checked_sub(self.warm_ups) else {
            // In JSON, whatever was asked for: its connection is free at once, that of a stream soon after DONE.
            conn.json(200, completion(AT_LAST));
            return true;
        };
        if number < self.strikes {
            (self.strike)(conn, &Cue { number, gate: self.gate.clone() });
        }
        number < self.strikes
    }

    /// Goes the way as it should be gone, up to the request.
    fn is_open(&self, conn: &mut Conn) -> bool {
        match self.way {
            Way::Https | Way::Handshake => conn.secure(&ours().server(Leaf::Good)),
            Way::SecureProxy if !conn.secure(&ours().server(Leaf::Good)) || conn.read_request().is_none() => false,
            Way::Connect | Way::SecureProxy | Way::Tunnel => {
                conn.send("HTTP/1.1 200 Connection established\r\n\r\n");
                true
            }
            Way::Socks | Way::OpenSocks => {
                greet(conn);
                grant(conn);
                true
            }
            _ => true,
        }
    }

    fn answer(&self, conn: &mut Conn) {
        let wants_stream = self.body.windows(13).any(|window| window == b"\"stream\":true");
        if wants_stream {
            conn.stream([say(AT_LAST), finish("stop"), DONE.to_string()]);
        } else {
            conn.json(200, completion(AT_LAST));
        }
    }
}

/// SOCKS: reads the greeting and takes the way without a password.
pub fn greet(conn: &mut Conn) {
    hear(conn);
    conn.send(b"\x05\x00");
}

/// SOCKS: reads the greeting.
pub fn hear(conn: &mut Conn) {
    let methods = conn.take(2).get(1).copied().unwrap_or_default();
    conn.take(usize::from(methods));
}

/// SOCKS: reads where the client wants to go.
pub fn hear_target(conn: &mut Conn) {
    conn.take(4 + 1 + "target.invalid".len() + 2);
}

fn grant(conn: &mut Conn) {
    hear_target(conn);
    conn.send(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x1f\x90");
}
