//! A connection that sits on the internal runtime: it says when there is something to read.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use super::socket::Socket;
use crate::os;

/// Keeps its descriptor open as long as it lives.
struct Watched(Arc<Socket>);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.stream().as_raw_fd()
    }
}

/// Watches one socket, whose reads answer `WouldBlock` from now on.
pub struct Watch(AsyncFd<Watched>);

/// Something could be read. Say [`Readable::no_more`] when a read has answered `WouldBlock`.
pub struct Readable<'a>(AsyncFdReadyGuard<'a, Watched>);

impl Watch {
    /// Only on the runtime; the system may refuse it.
    pub fn over(socket: Arc<Socket>) -> io::Result<Self> {
        let watch = os::watch_readable(Watched(socket))?;
        watch.get_ref().0.set_nonblocking(true);
        Ok(Watch(watch))
    }

    /// Wait until there is something to read, or the connection has ended. A stop ends it, too.
    pub async fn readable(&self) -> io::Result<Readable<'_>> {
        let guard = self.0.readable().await?;
        self.0.get_ref().0.set_drained(false);
        Ok(Readable(guard))
    }
}

impl Readable<'_> {
    /// Everything was read. What came since is not forgotten.
    pub fn no_more(&mut self) {
        self.0.clear_ready();
    }
}
