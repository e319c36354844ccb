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

use rustls::ClientConnection;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

use super::buffers::{Elastic, OUTPUT_MOST};
use super::slot::{self, End, Slot};
use super::socket::Socket;
use crate::os;

/// The socket's bytes, counted.
struct Raw<'a> {
    socket: &'a Socket,
    slot: Option<&'a Slot>,
    wait: bool,
}

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.wait && self.socket.is_drained() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = os::receive(self.socket.stream(), buffer, self.wait)?;
        self.socket.set_drained(count > 0 && count < buffer.len() && self.socket.is_nonblocking());
        if let Some(slot) = self.slot {
            slot.count_received(count);
        }
        Ok(count)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = loop {
            match os::send_some(self.socket.stream(), bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.wait => {
                    os::wait_ready(self.socket.stream(), false, true, -1)?;
                }
                other => break other?,
            }
        };
        if let Some(slot) = self.slot {
            slot.count_sent(count);
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What ureq leaves in the input while it wants more of a body is a line of the framing, and those are short.
const FRAMING_MOST: usize = 16 * 1024;
/// An answer that comes while the request is still being sent is read no further than this before it is heard.
const EARLY_MOST: usize = 64 * 1024;

/// One connection.
pub(super) struct Lane {
    socket: Arc<Socket>,
    tls: Option<Box<ClientConnection>>,
    buffers: Elastic,
    slot: Option<Arc<Slot>>,
    /// Why nothing more is sent: the error of the write, or an answer that came before the body had left.
    muted: Option<io::ErrorKind>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lane")
    }
}

impl Lane {
    /// A lane for the exchange that opened it.
    pub fn new(socket: Arc<Socket>, slot: Arc<Slot>) -> Self {
        Lane { socket, tls: None, buffers: Elastic::default(), slot: Some(slot), muted: None }
    }

    /// Do the TLS handshake, blocking. A stop shuts the socket down under it.
    pub fn handshake(&mut self, mut tls: ClientConnection) -> io::Result<()> {
        let mut raw = Raw { socket: &self.socket, slot: self.slot.as_deref(), wait: true };
        while tls.is_handshaking() {
            tls.complete_io(&mut raw)?;
        }
        self.tls = Some(Box::new(tls));
        Ok(())
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
        let mut raw = Raw { socket: &self.socket, slot: None, wait: false };
        loop {
            let read = tls.read_tls(&mut raw);
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
                        self.look_for_an_early_answer();
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
        let mut raw = Raw { socket: &self.socket, slot: self.slot.as_deref(), wait: false };
        let Some(tls) = &mut self.tls else {
            *at += if rest.is_empty() { 0 } else { raw.write(rest)? };
            return Ok(*at == self.buffers.gathered().len());
        };
        while tls.wants_write() {
            tls.write_tls(&mut raw)?;
        }
        *at += tls.writer().write(rest)?;
        Ok(rest.is_empty())
    }

    /// Something can be read while we still send. Interim heads (100, 103) are no answer; an end or an error is
    /// none either, but sending is over then, too.
    fn look_for_an_early_answer(&mut self) {
        self.muted = match self.receive(false) {
            Ok(0) => Some(io::ErrorKind::UnexpectedEof),
            Ok(count) => {
                self.appended(count);
                self.buffers.came_early();
                is_answer(self.buffers.input()).then_some(io::ErrorKind::BrokenPipe)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(error.kind()),
        };
    }

    fn appended(&mut self, count: usize) {
        self.buffers.input_appended(count);
        if let Some(slot) = &self.slot {
            slot.count_answer(count);
            if slot.waits_for_head() && names_a_coding(self.buffers.input()) {
                slot.body_is_packed();
            }
        }
    }

    /// Plain bytes into the input buffer.
    fn receive(&mut self, wait: bool) -> io::Result<usize> {
        let room = self.buffers.input_append_buf();
        let mut raw = Raw { socket: &self.socket, slot: self.slot.as_deref(), wait };
        match &mut self.tls {
            None => raw.read(room),
            Some(tls) => read_tls(tls, &mut raw, room),
        }
    }
}

/// Whether rustls has neither bytes for us nor an end.
fn has_said_nothing(tls: &mut ClientConnection) -> bool {
    let state = tls.process_new_packets();
    state.is_ok_and(|state| state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed())
}

fn read_tls(tls: &mut ClientConnection, raw: &mut Raw<'_>, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match tls.reader().read(room) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
        let count = tls.read_tls(raw)?;
        let state = tls.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
        // An alert or a key update may have to go out; that it cannot changes nothing for what we read.
        while tls.wants_write() && tls.write_tls(raw).is_ok() {}
        state?;
        if count == 0 {
            return match tls.reader().read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                other => other,
            };
        }
    }
}

impl Transport for Lane {
    fn buffers(&mut self) -> &mut dyn Buffers {
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
        if !self.buffers.gathered().is_empty() {
            self.flush()?;
            if !self.buffers.input().is_empty() {
                return Ok(true); // the answer came early
            }
        }
        self.buffers.relax_output();
        if timeout.reason == ureq::Timeout::Await100 {
            // The host asked for a 100 that the server may never send: the body goes out without it then.
            let wait_ms = i32::try_from(timeout.after.as_millis()).unwrap_or(i32::MAX);
            if !os::wait_ready(self.socket.stream(), true, false, wait_ms)?.read {
                return Err(ureq::Error::Timeout(timeout.reason));
            }
        }
        if self.buffers.input().len() >= FRAMING_MOST && self.slot.as_ref().is_some_and(|slot| !slot.waits_for_head()) {
            return Err(ureq::Error::Other("a line of the chunked framing does not end".into()));
        }
        let wait = !self.socket.is_nonblocking();
        let result = self.receive(wait);
        if self.stopped() {
            return Err(io::Error::other("the call was stopped").into());
        }
        match result {
            Ok(count) => {
                self.appended(count);
                if count == 0 {
                    if let Some(kind) = self.muted {
                        return Err(io::Error::from(kind).into());
                    }
                    if let Some(slot) = &self.slot {
                        slot.ended(End::Closed);
                    }
                }
                if self.slot.as_ref().is_some_and(|slot| slot.waits_for_head()) {
                    refuse_strange_interim(self.buffers.input(), self.slot.as_deref())?;
                }
                Ok(count > 0)
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

/// Whether more than interim heads (100, 103) has come: an answer, or something that nobody can make sense of.
fn is_answer(mut input: &[u8]) -> bool {
    while let Some(code) = input.get(9..12) {
        if !code.starts_with(b"1") {
            return true;
        }
        match memchr::memmem::find(input, b"\r\n\r\n") {
            Some(end) => input = &input[end + 4..],
            None => return input.len() > EARLY_MOST,
        }
    }
    false
}

/// Whether a head, as far as it came, may say that its body is packed. ureq unpacks it and takes the field away; that it
/// is packed decides who can read it. To see one where there is none costs a thread and no more.
fn names_a_coding(head: &[u8]) -> bool {
    const FIELD: &[u8] = b"content-encoding:";
    memchr::memchr_iter(b'\n', head)
        .any(|end| head.get(end + 1..end + 1 + FIELD.len()).is_some_and(|line| line.eq_ignore_ascii_case(FIELD)))
}

/// ureq swallows every interim answer; the contract knows 100 to 103 and calls others a fault.
fn refuse_strange_interim(input: &[u8], slot: Option<&Slot>) -> Result<(), ureq::Error> {
    let Some(code) = input.get(..12).filter(|head| head.starts_with(b"HTTP/1.")).map(|head| &head[9..12]) else {
        return Ok(());
    };
    if code[0] != b'1' || !code.is_ascii() || matches!(code, b"100" | b"101" | b"102" | b"103") {
        return Ok(());
    }
    if let Some(slot) = slot {
        let code = String::from_utf8_lossy(code);
        let message = format!("{} answered with the interim status {code}, which HTTP does not have", slot.peer());
        slot.fail(super::WireError::new(crate::status::Status::Protocol, message));
    }
    Err(io::Error::other("interim status").into())
}
