//! A scripted server: raw sockets on 127.0.0.1, a thread for each connection, and a closure that says what to
//! do with each request. It remembers what it was sent. A closure that panics fails the test.

use std::any::Any;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{Builder, JoinHandle};

use rustls::ServerConfig;

use super::conn::Conn;
use super::request::Request;
use super::sync::{BOUND, lock};

type OnRequest = Box<dyn Fn(&Request, &mut Conn) + Send + Sync>;
type OnConnection = Box<dyn Fn(&mut Conn) + Send + Sync>;

enum Script {
    Requests(OnRequest),
    Connections(OnConnection),
}

/// The server; dropping it ends its threads and fails the test if one of its closures did.
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    script: Script,
    tls: Option<Arc<ServerConfig>>,
    stop: Arc<AtomicBool>,
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<Request>,
    failures: Vec<String>,
}

impl Server {
    /// Calls `script` with each request. The connection stays open for the next one unless the script ends it.
    pub fn new(script: impl Fn(&Request, &mut Conn) + Send + Sync + 'static) -> Server {
        Server::start(Script::Requests(Box::new(script)), None)
    }

    /// The same behind TLS. A handshake that the client refuses is only counted.
    pub fn secure(tls: Arc<ServerConfig>, script: impl Fn(&Request, &mut Conn) + Send + Sync + 'static) -> Server {
        Server::start(Script::Requests(Box::new(script)), Some(tls))
    }

    /// Calls `script` with each connection as soon as it stands, before anything was read from it.
    pub fn raw(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Server {
        Server::start(Script::Connections(Box::new(script)), None)
    }

    fn start(script: Script, tls: Option<Arc<ServerConfig>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on 127.0.0.1");
        let address = listener.local_addr().expect("its address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared =
            Arc::new(Shared { script, tls, stop: Arc::default(), seen: Mutex::default(), changed: Condvar::new() });
        let acceptor = {
            let shared = shared.clone();
            Builder::new().name("scene-accept".into()).spawn(move || shared.accept(&listener)).expect("a thread")
        };
        Server { address, scheme, shared, acceptor: Some(acceptor) }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `scheme://host:port` without a path.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// A base URL as a host program would configure it.
    pub fn url(&self) -> String {
        format!("{}/v1", self.origin())
    }

    /// What has been sent so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.seen).requests.clone()
    }

    /// The only request that was sent.
    pub fn only_request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "requests: {requests:#?}");
        requests.into_iter().next().expect("one")
    }

    /// How many connections have been made so far.
    pub fn connections(&self) -> usize {
        lock(&self.shared.seen).connections
    }

    /// Waits until this many requests have arrived.
    pub fn wait_for_requests(&self, count: usize) {
        self.wait_for(&format!("{count} requests"), |seen| seen.requests.len() >= count);
    }

    fn wait_for(&self, what: &str, ready: impl Fn(&Seen) -> bool) {
        let guard = lock(&self.shared.seen);
        let (seen, waited) = self
            .shared
            .changed
            .wait_timeout_while(guard, BOUND, |seen| !ready(seen))
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let (requests, connections) = (seen.requests.len(), seen.connections);
        assert!(!waited.timed_out(), "waited for {what}; there are {requests} requests on {connections} connections");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // Only to wake the acceptor; it looks at `stop` first.
        let _wake = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _its_panics_are_recorded = acceptor.join();
        }
        let failures = std::mem::take(&mut lock(&self.shared.seen).failures);
        if !std::thread::panicking() {
            assert!(failures.is_empty(), "the scripted server failed:\n{}", failures.join("\n"));
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Shared>, listener: &TcpListener) {
        let mut workers = Vec::new();
        loop {
            let (stream, _) = listener.accept().expect("a connection");
            if self.stop.load(Ordering::Acquire) {
                break;
            }
            let number = {
                let mut seen = lock(&self.seen);
                seen.connections += 1;
                seen.connections - 1
            };
            self.changed.notify_all();
            let shared = self.clone();
            let serve = move || shared.serve(stream, number);
            workers.push(Builder::new().name("scene-conn".into()).spawn(serve).expect("a thread"));
        }
        for worker in workers {
            let _its_panics_are_recorded = worker.join();
        }
    }

    fn serve(&self, stream: TcpStream, number: usize) {
        let mut conn = Conn::plain(stream, number, self.stop.clone());
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.play(&mut conn))) {
            lock(&self.seen).failures.push(format!("connection {number}: {}", panic_text(&*panic)));
        }
    }

    fn play(&self, conn: &mut Conn) {
        if self.tls.as_ref().is_some_and(|tls| !conn.secure(tls)) {
            return;
        }
        match &self.script {
            Script::Connections(script) => script(conn),
            Script::Requests(script) => {
                while let Some(mut request) = conn.read_request() {
                    {
                        let mut seen = lock(&self.seen);
                        request.number = seen.requests.len();
                        seen.requests.push(request.clone());
                    }
                    self.changed.notify_all();
                    script(&request, conn);
                    if conn.is_closed() {
                        break;
                    }
                }
            }
        }
    }
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text").to_string()
}
