//! What carries a lane's bytes: the socket, or TLS with a proxy over it.

use std::io::{self, Read, Write};

use rustls::ClientConnection;

use super::slot::Slot;
use super::socket::Socket;
use crate::os;

/// What may wait for the peer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// Nothing: what cannot be done at once is `WouldBlock`.
    Never,
    /// Reading. What TLS wants to send meanwhile may stay where it is: the peer may read nothing any more, and yet
    /// have sent its answer.
    ToRead,
    /// Both, in turn.
    Always,
}

/// The socket's bytes, counted.
struct Raw<'a> {
    socket: &'a Socket,
    slot: Option<&'a Slot>,
    waits: Waits,
}

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let waits = self.waits != Waits::Never;
        if !waits && self.socket.is_drained() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = os::receive(self.socket.stream(), buffer, waits)?;
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
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.waits == Waits::Always => {
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

/// Carries bytes.
pub(super) struct Carrier<'a> {
    raw: Raw<'a>,
    tls: Option<&'a mut ClientConnection>,
}

impl<'a> Carrier<'a> {
    /// Over this socket, within this TLS, for this exchange.
    pub fn new(
        socket: &'a Socket,
        slot: Option<&'a Slot>,
        waits: Waits,
        tls: Option<&'a mut ClientConnection>,
    ) -> Self {
        Carrier { raw: Raw { socket, slot, waits }, tls }
    }

    /// Read what a TLS that this carries has for us.
    pub fn read_within(&mut self, tls: &mut ClientConnection, room: &mut [u8]) -> io::Result<usize> {
        read_tls(tls, self, room)
    }
}

impl Read for Carrier<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.raw.read(room),
            Some(tls) => read_tls(tls, &mut self.raw, room),
        }
    }
}

impl Write for Carrier<'_> {
    /// What was taken may still lie in TLS: `flush` says that it has left.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.raw.write(bytes) };
        while tls.wants_write() {
            tls.write_tls(&mut self.raw)?;
        }
        tls.writer().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.raw)?;
            }
        }
        Ok(())
    }
}

/// Whether rustls has neither bytes for us nor an end.
pub(super) fn has_said_nothing(tls: &mut ClientConnection) -> bool {
    let state = tls.process_new_packets();
    state.is_ok_and(|state| state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed())
}

fn read_tls(tls: &mut ClientConnection, below: &mut (impl Read + Write), room: &mut [u8]) -> io::Result<usize> {
    loop {
        match tls.reader().read(room) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
        let count = tls.read_tls(below)?;
        let state = tls.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
        // An alert or a key update may have to go out; that it cannot changes nothing for what we read.
        while tls.wants_write() && tls.write_tls(below).is_ok() {}
        let _ = below.flush();
        state?;
        if count == 0 {
            return match tls.reader().read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                other => other,
            };
        }
    }
}
