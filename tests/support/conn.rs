//! One accepted connection, to be driven byte by byte: any bytes, any split, any end.
//!
//! What the client does to the connection is never a failure here: a send into a closed connection is simply
//! lost, because going away is what many scenarios want of the client. Waiting too long is a failure.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::request::Request;
use super::socket::{Socket, TICK, is_tick};
use super::sync::BOUND;

/// How the body of an answer is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(usize),
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// A connection of the scripted server.
pub struct Conn {
    /// Which one of the server's, from 0.
    pub number: usize,
    wire: Wire,
    stop: Arc<AtomicBool>,
    unread: Vec<u8>,
    place: usize,
    framing: Option<Framing>,
    closed: bool,
}

enum Wire {
    Plain(Socket),
    /// TLS over one of the two.
    Secure(Box<StreamOwned<ServerConnection, Wire>>),
}

/// What a wait for the client's bytes can end with.
enum Arrival {
    Data,
    Gone,
    Stopped,
    TooLate,
}

impl Conn {
    pub fn plain(stream: TcpStream, number: usize, stop: Arc<AtomicBool>) -> Conn {
        let wire = Wire::Plain(Socket::new(stream, stop.clone()));
        Conn { number, wire, stop, unread: Vec::new(), place: 0, framing: None, closed: false }
    }

    /// Speaks TLS from here on, within the TLS that is spoken already. `false`: the handshake failed, as it must when
    /// the client distrusts us.
    pub fn secure(&mut self, config: &Arc<ServerConfig>) -> bool {
        let session = ServerConnection::new(config.clone()).expect("a server configuration");
        let meanwhile = Wire::Plain(self.socket().again());
        let below = std::mem::replace(&mut self.wire, meanwhile);
        self.wire = Wire::Secure(Box::new(StreamOwned::new(session, below)));
        let end = Instant::now() + BOUND;
        loop {
            let Wire::Secure(stream) = &mut self.wire else { unreachable!() };
            if !stream.conn.is_handshaking() {
                return true;
            }
            match stream.conn.complete_io(&mut stream.sock) {
                Ok((0, 0)) => return false,
                Ok(_) => {}
                Err(error) if is_tick(&error) && !self.stopping() && Instant::now() < end => {}
                Err(_) => return false,
            }
        }
    }

    // ---- what the client sends ----

    /// The next request, or `None` when the client has closed the connection or goes away within it.
    pub fn read_request(&mut self) -> Option<Request> {
        let head = loop {
            if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                let rest = self.unread.split_off(at + 4);
                let head = std::mem::replace(&mut self.unread, rest);
                break String::from_utf8(head[..at].to_vec()).expect("a head of UTF-8");
            }
            // An idle connection may stay as long as the test runs.
            let bound = if self.unread.is_empty() { Duration::MAX } else { BOUND };
            self.read_more(bound)?;
        };
        let mut request = Request::parse(&head);
        assert!(request.header("transfer-encoding").is_none(), "the body came without a length: {head}");
        let length = request.header("content-length").unwrap_or("0").parse().expect("a length");
        while self.unread.len() < length {
            self.read_more(BOUND)?;
        }
        let rest = self.unread.split_off(length);
        request.body = std::mem::replace(&mut self.unread, rest);
        request.connection = self.number;
        request.place = self.place;
        request.segments = self.socket().data_segments();
        self.place += 1;
        self.framing = None;
        self.socket().unread = false;
        Some(request)
    }

    /// Reads and forgets `count` bytes, for requests that are never read whole.
    pub fn skip(&mut self, count: usize) {
        let mut left = count;
        loop {
            let taken = left.min(self.unread.len());
            self.unread.drain(..taken);
            left -= taken;
            if left == 0 || self.read_more(BOUND).is_none() {
                return;
            }
        }
    }

    /// The next `count` bytes; fewer if the client leaves before.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count && self.read_more(BOUND).is_some() {}
        let count = count.min(self.unread.len());
        self.unread.drain(..count).collect()
    }

    fn read_more(&mut self, bound: Duration) -> Option<()> {
        match self.arrival(bound) {
            Arrival::Data => Some(()),
            Arrival::Gone | Arrival::Stopped => None,
            Arrival::TooLate => panic!("the client sent nothing for {bound:?}"),
        }
    }

    fn arrival(&mut self, bound: Duration) -> Arrival {
        let end = Instant::now().checked_add(bound);
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.wire.read(&mut buffer) {
                Ok(0) => return Arrival::Gone,
                Ok(count) => {
                    self.unread.extend_from_slice(&buffer[..count]);
                    return Arrival::Data;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_tick(&error) => {
                    if self.stopping() {
                        return Arrival::Stopped;
                    }
                    if end.is_some_and(|end| Instant::now() >= end) {
                        return Arrival::TooLate;
                    }
                }
                Err(_) => return Arrival::Gone,
            }
        }
    }

    /// Waits until the client has left. What it still sends is forgotten.
    pub fn wait_gone(&mut self, bound: Duration) -> bool {
        let end = Instant::now() + bound;
        loop {
            self.unread.clear();
            match self.arrival(end.saturating_duration_since(Instant::now())) {
                Arrival::Data => {}
                Arrival::Gone => break,
                Arrival::Stopped | Arrival::TooLate => return false,
            }
        }
        self.closed = true;
        true
    }

    /// Says nothing more, until the client has left or the test is over. A client that stays for longer than
    /// anything may take is a failure.
    pub fn stall(&mut self) {
        let gone = self.wait_gone(BOUND);
        assert!(gone || self.stopping(), "the client stayed on a silent connection for {BOUND:?}");
        self.closed = true;
    }

    /// Like [`Conn::stall`], but without reading either: the client's sends fill the system's buffers and stop.
    pub fn stall_unread(&mut self) {
        let end = Instant::now() + BOUND;
        while !self.has_left() {
            assert!(Instant::now() < end, "the client stayed on a silent connection for {BOUND:?}");
            std::thread::sleep(TICK);
        }
        self.closed = true;
    }

    /// Reads until the client has left, and says how much that was.
    pub fn drain(&mut self) -> usize {
        let mut count = 0;
        loop {
            count += self.unread.len();
            self.unread.clear();
            if self.read_more(BOUND).is_none() {
                self.closed = true;
                return count;
            }
        }
    }

    /// Whether the client has left, or the test is over. Reads nothing.
    pub fn has_left(&mut self) -> bool {
        self.stopping() || self.socket().hung_up()
    }

    // ---- what we send ----

    /// Sends these bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _lost_if_the_client_left = self.wire.write_all(bytes.as_ref()).and_then(|()| self.wire.flush());
    }

    /// From here on the socket takes at most `piece` bytes at once and waits until the client has read them.
    /// With TLS these are pieces of records.
    pub fn in_pieces(&mut self, piece: usize) {
        self.socket().piece = piece;
    }

    /// Sends the bytes cut at each of these places; the client has read the one piece before the next is sent.
    pub fn send_split(&mut self, bytes: impl AsRef<[u8]>, cuts: &[usize]) {
        let bytes = bytes.as_ref();
        let mut from = 0;
        for &cut in cuts {
            self.send(&bytes[from..cut]);
            self.wait_until_read();
            from = cut;
        }
        self.send(&bytes[from..]);
    }

    /// Waits until the client has read all that was sent.
    pub fn wait_until_read(&mut self) {
        self.socket().wait_until_read();
    }

    /// The same where the client has to, however long a busy machine takes over it.
    pub fn must_be_read(&mut self) {
        let end = Instant::now() + BOUND;
        while {
            self.wait_until_read();
            std::mem::take(&mut self.socket().unread)
        } {
            assert!(self.stopping() || Instant::now() < end, "the client did not read on for {BOUND:?}");
        }
    }

    /// Sends a head with this framing; what follows is sent by [`Conn::body`] and [`Conn::end`].
    pub fn head(&mut self, status: u16, headers: &[(&str, &str)], framing: Framing) {
        self.framing = Some(framing);
        self.send(head(status, headers, framing));
    }

    /// Sends a piece of the body in the framing of the head.
    pub fn body(&mut self, bytes: impl AsRef<[u8]>) {
        match self.framing.expect("a head first") {
            Framing::Chunked => self.send(chunk(bytes.as_ref())),
            Framing::Length(_) | Framing::UntilClose => self.send(bytes),
        }
    }

    /// Sends this piece of the body again and again, with this pause, for as long as the client is there.
    pub fn body_until_left(&mut self, piece: &str, pause: Duration) {
        while !self.has_left() {
            self.body(piece);
            std::thread::sleep(pause);
        }
    }

    /// Ends the body in an orderly way.
    pub fn end(&mut self) {
        match self.framing.expect("a head first") {
            Framing::Chunked => self.send("0\r\n\r\n"),
            Framing::Length(_) => {}
            Framing::UntilClose => {
                self.say_goodbye();
                self.cut();
            }
        }
    }

    /// A whole answer with a length.
    pub fn answer(&mut self, status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let mut all = head(status, headers, Framing::Length(body.len())).into_bytes();
        all.extend_from_slice(body);
        self.send(all);
    }

    /// A whole JSON answer.
    pub fn json(&mut self, status: u16, body: impl AsRef<[u8]>) {
        self.answer(status, &[("content-type", "application/json")], body);
    }

    /// The head of an event stream, chunked.
    pub fn stream_head(&mut self) {
        self.head(200, &[("content-type", "text/event-stream")], Framing::Chunked);
    }

    /// A whole event stream, each piece in a chunk of its own.
    pub fn stream<T: AsRef<[u8]>>(&mut self, pieces: impl IntoIterator<Item = T>) {
        self.stream_head();
        for piece in pieces {
            self.body(piece);
        }
        self.end();
    }

    // ---- how it ends ----

    /// Ends the connection as a process does that exits: whatever was promised, nothing more comes.
    pub fn cut(&mut self) {
        let _already_gone = self.socket().stream.shutdown(Shutdown::Write);
        self.closed = true;
    }

    /// Resets the connection.
    pub fn reset(&mut self) {
        self.socket().reset_at_close();
        self.closed = true;
    }

    /// TLS: announces the end of the data. Without it a cut is a cut even where the framing cannot tell.
    pub fn say_goodbye(&mut self) {
        if let Wire::Secure(stream) = &mut self.wire {
            stream.conn.send_close_notify();
            let _lost_if_the_client_left = stream.conn.complete_io(&mut stream.sock);
        }
    }

    /// TLS: sends bytes that are no record.
    pub fn send_below_tls(&mut self, bytes: &[u8]) {
        let _lost_if_the_client_left = self.socket().write_all(bytes);
    }

    /// Whether no further request can come on this connection.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Whether the system probes the client's end of the connection, and after how many idle seconds.
    pub fn client_keep_alive(&mut self) -> Option<(bool, i32)> {
        self.socket().client_keep_alive()
    }

    fn socket(&mut self) -> &mut Socket {
        let mut wire = &mut self.wire;
        loop {
            match wire {
                Wire::Plain(socket) => return socket,
                Wire::Secure(stream) => wire = &mut stream.sock,
            }
        }
    }
}

/// The text of a head.
pub fn head(status: u16, headers: &[(&str, &str)], framing: Framing) -> String {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match framing {
        Framing::Length(length) => head.push_str(&format!("content-length: {length}\r\n")),
        Framing::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
        Framing::UntilClose => head.push_str("connection: close\r\n"),
    }
    head.push_str("\r\n");
    head
}

/// One chunk of a chunked body.
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(socket) => socket.read(buffer),
            Wire::Secure(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(socket) => socket.write(bytes),
            Wire::Secure(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(socket) => socket.flush(),
            Wire::Secure(stream) => stream.flush(),
        }
    }
}
