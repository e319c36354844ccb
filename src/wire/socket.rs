//! The socket of a connection.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The part of a connection that others may touch while it is read.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    nonblocking: AtomicBool,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Arc<Self> {
        Arc::new(Socket { stream, nonblocking: AtomicBool::new(false) })
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
    }

    /// Wait until something can be read, at most so long.
    #[cfg(test)]
    pub fn wait_readable(&self, timeout_ms: u16) -> bool {
        crate::os::wait_ready(&self.stream, true, false, i32::from(timeout_ms)).is_ok_and(|ready| ready.read)
    }
}
