//! The lane: one connection as ureq's `Transport`. A socket, rustls directly on it, buffers that grow and shrink.
//!
//! It can wait for input in two ways: by blocking in the read, or (for a stream that sits on the reactor) by
//! answering `WouldBlock`, which ureq's `BodyReader` passes through with its state intact. Nothing documents that
//! of ureq, so tests guard it. `run()`, up to the head, is not resumable: it always blocks.
//!
//! Whoever stops a call shuts the socket down, which ends a blocked read or write at once and looks like an orderly
//! end. So every end is held against the brake before it is believed.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConnection;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

use super::buffers::{Elastic, OUTPUT_MOST, Stock};
use super::carrier::{Carrier, Waits, has_said_nothing};
use super::interim::{self, Head};
use super::slot::{self, End, Slot};
use super::socket::Socket;
use crate::os;

/// What ureq leaves in the input while it wants more of a body is a line of the framing, and those are short.
const FRAMING_MOST: usize = 16 * 1024;

/// One connection.
pub(super) struct Lane {
    socket: Arc<Socket>,
    tls: Option<Box<ClientConnection>>,
    below: Option<Box<ClientConnection>>, // TLS with a proxy, if there is TLS within it
    buffers: Elastic,
    slot: Option<Arc<Slot>>,
    /// Why nothing more is sent: the error of the write, or an answer that came before the body had left.
    muted: Option<io::ErrorKind>,
    interim: u64, // bytes of interim heads, of this exchange
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lane")
    }
}

impl Lane {
    /// A lane for the exchange that opened it.
    pub fn new(socket: Arc<Socket>, stock: Arc<Stock>, slot: Arc<Slot>) -> Self {
        Lane { socket, tls: None, below: None, buffers: Elastic::new(stock), slot: Some(slot), muted: None, interim: 0 }
    }

    /// Do the TLS handshake, blocking, within the TLS that is there already. A stop shuts the socket down under it.
    pub fn handshake(&mut self, mut tls: ClientConnection) -> io::Result<()> {
        self.below = self.tls.take();
        let mut carrier = Carrier::new(&self.socket, self.slot.as_deref(), Waits::Always, self.below.as_deref_mut());
        while tls.is_handshaking() {
            tls.complete_io(&mut carrier)?;
        }
        self.tls = Some(Box::new(tls));
        Ok(())
    }

    /// What is on the other end, blocking, before HTTP is spoken with it: a proxy.
    pub fn talk(&mut self) -> Carrier<'_> {
        Carrier::new(&self.socket, self.slot.as_deref(), Waits::Always, self.tls.as_deref_mut())
    }

    /// Belong to the exchange of this thread. A lane from the pool belongs to none until its request is sent.
    fn attach(&mut self) {
        if self.slot.is_some() {
            return;
        }
        if let Some(slot) = slot::current() {
            self.socket.set_nonblocking(false);
            self.socket.set_idle(false);
            slot.stop().hold(&self.socket);
            self.slot = Some(slot);
            self.interim = 0;
        }
    }

    /// Belong to no exchange, from now until the next one. `false`: it belonged to none.
    pub fn detach(&mut self) -> bool {
        let had = self.slot.take().inspect(|slot| slot.stop().let_go()).is_some();
        self.socket.set_idle(true);
        self.buffers.relax();
        had
    }

    /// Whether an idle connection can still be used: open, and nothing came that nobody asked for. What TLS has to
    /// say on its own behalf (tickets) is heard.
    pub fn is_good(&mut self) -> bool {
        if self.muted.is_some() {
            return false;
        }
        let Some(tls) = &mut self.tls else {
            return os::is_quiet(self.socket.stream());
        };
        self.socket.set_drained(false);
        let mut carrier = Carrier::new(&self.socket, None, Waits::Never, self.below.as_deref_mut());
        loop {
            let read = tls.read_tls(&mut carrier);
            if !has_said_nothing(tls) {
                return false;
            }
            match read {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    fn stopped(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| slot.stop().reason().is_some())
    }

    /// Send what was gathered. An answer that comes meanwhile ends the sending, and so does a dead peer: whether
    /// an answer lies there is found out before the error of the write is believed.
    fn flush(&mut self) -> io::Result<()> {
        let mut at = 0;
        while self.muted.is_none() {
            match self.push(&mut at) {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if os::wait_ready(self.socket.stream(), true, true, -1)?.read {
                        self.look_for_an_early_answer()?;
                    }
                }
                Err(error) => self.muted = Some(error.kind()),
            }
        }
        self.buffers.sent();
        Ok(())
    }

    /// Send some of the gathered output from `at` on; true when all of it has left.
    fn push(&mut self, at: &mut usize) -> io::Result<bool> {
        let rest = &self.buffers.gathered()[*at..];
        let mut carrier = Carrier::new(&self.socket, self.slot.as_deref(), Waits::Never, self.below.as_deref_mut());
        let Some(tls) = &mut self.tls else {
            *at += if rest.is_empty() { 0 } else { carrier.write(rest)? };
            return Ok(*at == self.buffers.gathered().len());
        };
        while tls.wants_write() {
            tls.write_tls(&mut carrier)?;
        }
        if rest.is_empty() {
            carrier.flush()?;
            return Ok(true);
        }
        *at += tls.writer().write(rest)?;
        Ok(false)
    }

    /// Something can be read while we still send: all of it is, up to an answer. Interim heads (100, 103) are none; an
    /// end or an error is none either, but sending is over then, too.
    fn look_for_an_early_answer(&mut self) -> io::Result<()> {
        while self.muted.is_none() {
            self.muted = match self.receive(false) {
                Ok(0) => Some(io::ErrorKind::UnexpectedEof),
                Ok(count) => {
                    self.appended(count);
                    self.skip_interim()?;
                    self.buffers.came_early();
                    interim::is_answer(self.buffers.unread()).then_some(io::ErrorKind::BrokenPipe)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => Some(error.kind()),
            };
        }
        Ok(())
    }

    fn appended(&mut self, count: usize) {
        self.buffers.input_appended(count);
        if let Some(slot) = &self.slot {
            slot.count_answer(count);
            if slot.waits_for_head() && names_a_coding(self.buffers.unread()) {
                slot.body_is_packed();
            }
        }
    }

    /// Plain bytes into the input buffer.
    fn receive(&mut self, wait: bool) -> io::Result<usize> {
        let waits = if wait { Waits::ToRead } else { Waits::Never };
        let room = self.buffers.input_append_buf();
        let slot = self.slot.as_deref();
        match &mut self.tls {
            None => Carrier::new(&self.socket, slot, waits, None).read(room),
            Some(tls) => Carrier::new(&self.socket, slot, waits, self.below.as_deref_mut()).read_within(tls, room),
        }
    }

    /// Take interim heads off what has come. `true`: something is left for ureq to read.
    fn skip_interim(&mut self) -> io::Result<bool> {
        self.look_for_interim(&mut false)
    }

    /// The same; `may_go_on` becomes true if one of them says so.
    fn look_for_interim(&mut self, may_go_on: &mut bool) -> io::Result<bool> {
        loop {
            match interim::look(self.buffers.unread()) {
                Head::Interim(length, says_go_on) => {
                    self.buffers.input_consume(length);
                    self.interim += length as u64;
                    *may_go_on |= says_go_on;
                    if let Some(slot) = self.slot.as_ref().filter(|slot| self.interim > slot.max_head_bytes()) {
                        slot.fail(interim::too_many(slot.peer(), slot.max_head_bytes()));
                        return Err(io::Error::other("interim heads without end"));
                    }
                }
                Head::Unfinished => return Ok(false),
                Head::Other => return Ok(!self.buffers.unread().is_empty()),
                Head::Strange(code) => {
                    if let Some(slot) = &self.slot {
                        slot.fail(interim::strange(slot.peer(), code));
                    }
                    return Err(io::Error::other("interim status"));
                }
            }
        }
    }

    /// The host has asked for a 100 before its body goes out, and the server may never send one: then it goes out
    /// without. ureq takes a time-out for "send the body" and input for an answer, which must be whole.
    fn await_100(&mut self, patience: Duration) -> Result<bool, ureq::Error> {
        let until = Instant::now() + patience;
        let go_on = || Err(ureq::Error::Timeout(ureq::Timeout::Await100));
        loop {
            // Before the socket is asked: TLS may hold bytes that have left it.
            match self.await_bytes(false) {
                Ok(true) => {}
                Ok(false) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Err(ureq::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = until.saturating_duration_since(Instant::now()).as_millis();
                    let left_ms = i32::try_from(left).unwrap_or(i32::MAX);
                    if !os::wait_ready(self.socket.stream(), true, false, left_ms)?.read {
                        return go_on();
                    }
                    continue;
                }
                Err(error) => return Err(error),
            }
            let mut may_go_on = false;
            let is_answer = self.look_for_interim(&mut may_go_on)?;
            if may_go_on {
                return go_on();
            }
            let input = self.buffers.unread();
            if is_answer && (interim::end_of_head(input).is_some() || input.len() > interim::MOST) {
                self.buffers.came_early();
                return Ok(true);
            }
        }
    }

    /// Read bytes. `false`: there are no more.
    fn await_bytes(&mut self, wait: bool) -> Result<bool, ureq::Error> {
        if let Some(slot) = &self.slot {
            slot.waits();
        }
        let result = self.receive(wait);
        if self.stopped() {
            return Err(io::Error::other("the call was stopped").into());
        }
        match result {
            Ok(0) => {
                if let Some(kind) = self.muted {
                    return Err(io::Error::from(kind).into());
                }
                if let Some(slot) = &self.slot {
                    slot.ended(End::Closed);
                }
                Ok(false)
            }
            Ok(count) => {
                self.appended(count);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.buffers.relax();
                Err(error.into())
            }
            Err(error) => {
                if let Some(slot) = &self.slot {
                    slot.ended(End::Broken);
                }
                Err(error.into())
            }
        }
    }
}

impl Transport for Lane {
    fn buffers(&mut self) -> &mut dyn Buffers {
        let in_body = self.slot.as_ref().is_some_and(|slot| !slot.waits_for_head());
        self.buffers.reads_body(in_body);
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        self.attach();
        if let Some(slot) = &self.slot {
            slot.connected();
        }
        self.buffers.gather(amount);
        if self.buffers.gathered().len() >= OUTPUT_MOST - 4096 {
            self.flush()?;
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let waits_for_head = self.slot.as_ref().is_some_and(|slot| slot.waits_for_head());
        if !self.buffers.gathered().is_empty() {
            self.flush()?;
            if !self.buffers.unread().is_empty() && self.skip_interim()? {
                return Ok(true); // the answer came early
            }
        }
        self.buffers.relax_output();
        if timeout.reason == ureq::Timeout::Await100 {
            return self.await_100(*timeout.after);
        }
        if self.buffers.unread().len() >= FRAMING_MOST && !waits_for_head {
            return Err(ureq::Error::Other("a line of the chunked framing does not end".into()));
        }
        loop {
            if !self.await_bytes(!self.socket.is_nonblocking())? {
                return Ok(false);
            }
            if !waits_for_head || self.skip_interim()? {
                return Ok(true);
            }
        }
    }

    /// ureq asks before it puts a connection back, and again before it takes it out. The socket is looked at the
    /// second time: what counts is how it is when it is used.
    fn is_open(&mut self) -> bool {
        if self.detach() {
            // Bytes that rustls has already read are no less unasked for than those that still lie in the socket.
            return self.muted.is_none() && self.tls.as_deref_mut().is_none_or(has_said_nothing);
        }
        self.is_good()
    }

    fn is_tls(&self) -> bool {
        self.tls.is_some()
    }
}

/// Whether a head, as far as it came, may say that its body is packed. ureq unpacks it and takes the field away; that it
/// is packed decides who can read it. To see one where there is none costs a thread and no more.
fn names_a_coding(head: &[u8]) -> bool {
    const FIELD: &[u8] = b"content-encoding:";
    // An interim head may stand before the one that counts.
    let is_head = |line: &&[u8]| interim::behind_blank_line(line).is_none_or(|behind| behind.starts_with(b"HTTP/"));
    interim::later_lines(head).take_while(is_head).any(|line| {
        matches!(line, [b'c' | b'C', ..])
            && line.get(..FIELD.len()).is_some_and(|name| name.eq_ignore_ascii_case(FIELD))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_is_seen_in_heads_and_not_in_bodies() {
        for (head, is_packed) in [
            ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", true),
            ("HTTP/1.1 200 OK\nserver: x\ncontent-encoding:gzip", true),
            ("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\ncontent-encodin", false),
            ("HTTP/1.1 200 OK\r\ncontent-type: content-encoding:\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\nserver: x\r\n\r\n\ncontent-encoding: gzip\n", false),
            ("", false),
        ] {
            assert_eq!(names_a_coding(head.as_bytes()), is_packed, "{head:?}");
        }
    }
}
