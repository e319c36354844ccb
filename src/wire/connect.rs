//! Opening a connection: name, TCP, proxy, TLS, each of them ended at once by a stop.
//!
//! Name and TCP wait on the internal runtime; from the first byte on the socket is blocking and the brake shuts it down.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use ureq::http::Uri;
use ureq::unversioned::transport::{ConnectionDetails, Connector};

use super::buffers::Stock;
use super::lane::Lane;
use super::names::Names;
use super::proxy::{Proxy, Target};
use super::slot::{self, Slot, Times};
use super::socket::{Connections, Socket};
use super::stop::Reason;
use super::{WireError, WireOptions, tls};
use crate::os::LookupError;
use crate::status::Status;

/// The next address is tried beside the one before when that has not answered for so long (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);
/// So many connections are kept that were opened ahead.
const SPARE_MOST: usize = 16;
/// A peer that has gone without a word is found out within two minutes, and what stands between sees that the
/// connection lives.
const KEEP_ALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15)).with_retries(4);

/// Opens the connections of one client; ureq's connector.
#[derive(Clone)]
pub(super) struct LaneConnector(Arc<Opener>);

pub(super) struct Opener {
    options: WireOptions,
    names: Names,
    all: Arc<Connections>,
    spare: Mutex<Vec<Spare>>,
    stock: Arc<Stock>,
}

/// A connection that was opened before anybody needed it.
struct Spare {
    lane: Lane,
    since: Instant,
}

/// Whom TLS is spoken with.
struct Peer<'a> {
    host: &'a str,
    name: String,      // for messages
    key: &'static str, // what names it in the config
    may_know_us: bool, // whether our certificate is for it
}

impl<'a> Peer<'a> {
    fn target(slot: &Slot, target: &'a Target) -> Self {
        Peer { host: &target.host, name: slot.peer().to_owned(), key: "base_url", may_know_us: true }
    }

    fn proxy(proxy: &'a Proxy) -> Self {
        let address = proxy.address();
        Peer { host: &address.host, name: format!("the proxy {address}"), key: "proxy", may_know_us: false }
    }
}

impl std::fmt::Debug for LaneConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LaneConnector")
    }
}

impl Connector<()> for LaneConnector {
    type Out = Lane;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Lane>, ureq::Error> {
        let slot = slot::current().ok_or(ureq::Error::ConnectionFailed)?;
        if !slot.wants_fresh()
            && let Some(spare) = self.0.take_spare()
        {
            return Ok(Some(spare));
        }
        slot.connecting();
        self.0.open(details.uri, &slot).map(Some).map_err(|failure| {
            slot.fail(failure);
            ureq::Error::ConnectionFailed
        })
    }
}

impl LaneConnector {
    pub fn new(options: WireOptions) -> Self {
        let (names, all, spare, stock) = Default::default();
        LaneConnector(Arc::new(Opener { options, names, all, spare, stock }))
    }

    /// Open a connection and keep it for the next request that needs one. All requests of a client go to one place.
    pub fn prewarm(&self, uri: &Uri, slot: &Arc<Slot>) -> Result<(), WireError> {
        let mut lane = self.0.open(uri, slot)?;
        let mut spare = self.0.spare();
        lane.detach(); // under the lock: who sees that one is idle finds it
        spare.push(Spare { lane, since: Instant::now() });
        if spare.len() > SPARE_MOST {
            spare.remove(0);
        }
        Ok(())
    }

    /// Connections that are open, and those of them that nobody uses.
    pub fn connections(&self) -> (usize, usize) {
        self.0.all.count()
    }

    /// Look-ups that the system does not end and nobody waits for.
    pub fn stuck_lookups(&self) -> usize {
        self.0.names.stuck()
    }
}

impl Opener {
    fn spare(&self) -> MutexGuard<'_, Vec<Spare>> {
        self.spare.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The youngest connection that is ready and still good; those that are not go.
    fn take_spare(&self) -> Option<Lane> {
        let mut spare = self.spare();
        while let Some(mut youngest) = spare.pop() {
            if youngest.since.elapsed() < self.options.idle.age && youngest.lane.is_good() {
                return Some(youngest.lane);
            }
        }
        None
    }

    fn open(&self, uri: &Uri, slot: &Arc<Slot>) -> Result<Lane, WireError> {
        let secure = uri.scheme_str() == Some("https");
        let target = Target::of(uri);
        let mut times = Times::default();
        let result = match &self.options.proxy {
            None => self.tcp(&target, "base_url", slot, &mut times).map(|socket| self.lane(socket, slot)),
            Some(proxy) => self.through(proxy, &target, slot, &mut times),
        };
        let result = result.and_then(|mut lane| {
            if secure {
                let started = Instant::now();
                let shaken = self.secure(&mut lane, slot, &Peer::target(slot, &target));
                times.tls = started.elapsed();
                shaken?;
            }
            Ok(lane)
        });
        slot.set_times(times);
        result.inspect(|_| slot.arrived())
    }

    fn lane(&self, socket: Arc<Socket>, slot: &Arc<Slot>) -> Lane {
        Lane::new(socket, self.stock.clone(), slot.clone())
    }

    /// TCP to a host by name or address.
    /// `key` names it in the config.
    fn tcp(&self, target: &Target, key: &str, slot: &Arc<Slot>, times: &mut Times) -> Result<Arc<Socket>, WireError> {
        let started = Instant::now();
        slot.set_stage(format!("the name {} was looked up", target.host));
        let found = self.wait(slot, self.names.addresses(&target.host, target.port, started))?;
        times.dns = started.elapsed();
        let addresses = found.map_err(|error| {
            let check = format!("check the spelling of {key}");
            no_address(target, &error, if error.temporary { "the name server may be down" } else { &check })
        })?;
        let started = Instant::now();
        slot.set_stage(format!("{target} was asked for a connection"));
        let connected = self.wait(slot, connect_any(addresses))?;
        times.connect = started.elapsed();
        match connected.and_then(blocking) {
            Ok(stream) => {
                let socket = Socket::new(stream, self.all.clone());
                slot.stop().hold(&socket);
                Ok(socket)
            }
            Err(error) => {
                self.names.forget(&target.host, target.port);
                Err(not_connected(target, key, &error))
            }
        }
    }

    /// A tunnel through a proxy; whatever goes wrong until it says "connected" is the proxy's.
    fn through(&self, proxy: &Proxy, target: &Target, slot: &Arc<Slot>, times: &mut Times) -> Result<Lane, WireError> {
        let mut addresses = Vec::new();
        if proxy.looks_names_up_here() {
            let found = self.wait(slot, self.names.addresses(&target.host, target.port, Instant::now()))?;
            addresses =
                alternate(found.map_err(|error| no_address(target, &error, "the proxy was not to look it up"))?);
        }
        let mut left = addresses.into_iter();
        loop {
            let resolved = left.next();
            let mut lane = self.to_proxy(proxy, slot, times)?;
            let started = Instant::now();
            slot.set_stage(format!("the proxy {} was asked for a tunnel", proxy.address()));
            let tunnel = proxy.open_tunnel(lane.talk(), target, resolved);
            times.connect += started.elapsed();
            match tunnel {
                Ok(()) => return Ok(lane),
                Err(failure) if failure.is_of_the_address && left.len() > 0 && slot.stop().reason().is_none() => {}
                Err(failure) => {
                    let message = format!("the proxy {} {}", proxy.address(), failure.why);
                    return Err(WireError::new(Status::Proxy, message).retryable(failure.retryable));
                }
            }
        }
    }

    /// A connection to a proxy that is ready to be told where to.
    fn to_proxy(&self, proxy: &Proxy, slot: &Arc<Slot>, times: &mut Times) -> Result<Lane, WireError> {
        let of_proxy = |error: WireError| {
            if error.status == Status::Internal {
                return error;
            }
            let retryable = error.status == Status::Connect;
            WireError::new(Status::Proxy, format!("the proxy cannot be used: {}", error.message)).retryable(retryable)
        };
        let socket = self.tcp(proxy.address(), "proxy", slot, times).map_err(of_proxy)?;
        let mut lane = self.lane(socket, slot);
        if proxy.wants_tls() {
            let started = Instant::now();
            let shaken = self.secure(&mut lane, slot, &Peer::proxy(proxy));
            times.connect += started.elapsed();
            shaken.map_err(of_proxy)?;
        }
        Ok(lane)
    }

    fn secure(&self, lane: &mut Lane, slot: &Slot, peer: &Peer<'_>) -> Result<(), WireError> {
        slot.set_stage(format!("the TLS handshake with {} was under way", peer.name));
        let connection = self.options.tls.connection(peer.host, peer.may_know_us);
        let connection = connection.map_err(|why| WireError::new(Status::Tls, why))?;
        lane.handshake(connection).map_err(|error| match tls::of_io(&error) {
            Some(cause) => WireError::new(Status::Tls, tls::explain(&peer.name, peer.key, cause)),
            None => {
                let message = format!("{} closed the connection in the TLS handshake ({error})", peer.name);
                WireError::new(Status::Tls, message).retryable(true)
            }
        })
    }

    /// Wait on the runtime for something, or for the stop.
    fn wait<T>(&self, slot: &Slot, work: impl Future<Output = T>) -> Result<T, WireError> {
        self.options.runtime.block_on(async {
            tokio::select! {
                biased;
                reason = slot.stop().pulled() => Err(stopped(reason)),
                result = work => Ok(result),
            }
        })
    }
}

/// The call knows its own reason; this text is never seen.
fn stopped(reason: Reason) -> WireError {
    WireError::new(Status::Internal, format!("stopped: {reason:?}"))
}

fn blocking(stream: TcpStream) -> io::Result<std::net::TcpStream> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    // That it cannot be kept alive is no reason not to use it.
    let _ = SockRef::from(&stream).set_tcp_keepalive(&KEEP_ALIVE);
    Ok(stream)
}

fn no_address(target: &Target, error: &LookupError, hint: &str) -> WireError {
    let LookupError { message, temporary, refused } = error;
    if *refused {
        let message = format!("the system refused the thread that looks up the name {}: {message}", target.host);
        return WireError::new(Status::Internal, message);
    }
    let message = format!("the name {} has no address ({message}): {hint}", target.host);
    WireError::new(Status::Dns, message).retryable(*temporary)
}

fn not_connected(target: &Target, key: &str, error: &io::Error) -> WireError {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
            WireError::new(Status::Internal, format!("the system refused a socket: {error}"))
        }
        _ => {
            let hint = match error.kind() {
                io::ErrorKind::ConnectionRefused => format!(": nothing listens there, check host and port of {key}"),
                _ => String::new(),
            };
            WireError::new(Status::Connect, format!("no connection to {target} ({error}){hint}")).retryable(true)
        }
    }
}

/// The first of these addresses that answers; each has a start of `STAGGER` over the next.
async fn connect_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    if let [only] = addresses[..] {
        return TcpStream::connect(only).await;
    }
    let mut left = alternate(addresses).into_iter();
    let mut tries = JoinSet::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = left.next() {
            tries.spawn(TcpStream::connect(address));
        }
        let more = left.len() > 0;
        tokio::select! {
            Some(result) = tries.join_next() => match result {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(error) => last = io::Error::other(error),
            },
            _ = tokio::time::sleep(STAGGER), if more => {}
            else => return Err(last),
        }
    }
}

/// IPv6 and IPv4 in turn, beginning with the system's first choice.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let longest = one.len().max(other.len());
    (0..longest).flat_map(|at| [one.get(at).copied(), other.get(at).copied()]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mixed = parse(&["[::1]:1", "[::2]:1", "1.1.1.1:1", "1.1.1.2:1", "1.1.1.3:1"]);
        let turns = parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "1.1.1.3:1"]);
        assert_eq!(alternate(mixed), turns);
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_hide_one_that_answers() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let stream = connect_any(vec![closed, listener.local_addr().unwrap()]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(connect_any(vec![closed, closed]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    /// What a SOCKS server is asked for, connection by connection; it reaches only IPv4.
    fn serve_socks(listener: std::net::TcpListener, asked: std::sync::mpsc::Sender<u8>) {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut hello = [0u8; 3];
            stream.read_exact(&mut hello).unwrap();
            stream.write_all(&[5, 0]).unwrap();
            let mut request = [0u8; 4];
            stream.read_exact(&mut request).unwrap();
            let mut address = vec![0u8; if request[3] == 1 { 6 } else { 18 }];
            stream.read_exact(&mut address).unwrap();
            let verdict = if request[3] == 1 { 0 } else { 3 };
            stream.write_all(&[5, verdict, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
            if asked.send(request[3]).is_err() || verdict == 0 {
                return;
            }
        }
    }

    #[test]
    fn a_socks_server_that_cannot_reach_one_address_is_asked_for_the_next() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::parse(&format!("socks5://{}", listener.local_addr().unwrap())).unwrap();
        let (asked, heard) = std::sync::mpsc::channel();
        let server = std::thread::spawn(move || serve_socks(listener, asked));
        let options = WireOptions {
            tls: tls::TlsSetup::new(&tls::TlsOptions::default()).unwrap(),
            proxy: Some(proxy),
            runtime: runtime.handle().clone(),
            max_head_bytes: 1 << 16,
            idle: Default::default(),
            common_headers: ["test", "identity"],
        };
        let names = Names::pretending(|_, port| {
            Ok(["2001:db8::1", "192.0.2.1", "192.0.2.2"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).to_vec())
        });
        let (all, spare, stock) = Default::default();
        let opener = Opener { options, names, all, spare, stock };
        let slot = Slot::new(Arc::default(), "the test".into(), Box::new(|_| ()));
        opener.open(&"http://name.test:80/".parse().unwrap(), &slot).unwrap();
        server.join().unwrap();
        assert_eq!(heard.iter().collect::<Vec<_>>(), [4, 1], "an IPv6 address, then an IPv4 address");
    }
}
