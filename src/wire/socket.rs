//! The socket of a connection, and how many of them a client has.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The connections of a client.
#[derive(Default, Debug)]
pub struct Connections {
    open: AtomicUsize,
    idle: AtomicUsize,
}

impl Connections {
    /// How many are open, and how many of these no request uses.
    pub fn count(&self) -> (usize, usize) {
        (self.open.load(Ordering::Relaxed), self.idle.load(Ordering::Relaxed))
    }
}

/// The part of a connection that others may touch while it is read.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    nonblocking: AtomicBool,
    drained: AtomicBool,
    idle: AtomicBool,
    all: Arc<Connections>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, all: Arc<Connections>) -> Arc<Self> {
        all.open.fetch_add(1, Ordering::Relaxed);
        let (nonblocking, drained, idle) = Default::default();
        Arc::new(Socket { stream, nonblocking, drained, idle, all })
    }

    pub(super) fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// End every read and write, now and later.
    pub fn shut(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Whether reads answer `WouldBlock` instead of waiting.
    pub fn set_nonblocking(&self, yes: bool) {
        self.nonblocking.store(yes, Ordering::Relaxed);
        self.set_drained(false);
    }

    /// A read that was not filled has emptied the socket: the next one need not ask the system, until the socket is
    /// said to be readable again.
    pub(super) fn set_drained(&self, yes: bool) {
        self.drained.store(yes, Ordering::Relaxed);
    }

    pub(super) fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Relaxed)
    }

    /// Whether no request uses it.
    pub(super) fn set_idle(&self, idle: bool) {
        match (self.idle.swap(idle, Ordering::Relaxed), idle) {
            (false, true) => drop(self.all.idle.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(self.all.idle.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
    }

    /// Wait until something can be read, at most so long.
    #[cfg(test)]
    pub fn wait_readable(&self, timeout_ms: u16) -> bool {
        crate::os::wait_ready(&self.stream, true, false, i32::from(timeout_ms)).is_ok_and(|ready| ready.read)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.set_idle(false);
        self.all.open.fetch_sub(1, Ordering::Relaxed);
    }
}
