//! The server's end of a connection below HTTP and TLS, and what the system knows of the client's end.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::sync::BOUND;

/// How often a waiting thread looks whether the server is being stopped.
pub const TICK: Duration = Duration::from_millis(20);

/// The socket below TLS, which can send in pieces.
pub struct Socket {
    pub stream: TcpStream,
    /// At most so much goes out at once; what is below all is read before the next.
    pub piece: usize,
    /// The client's end of the connection, when it was found in this process.
    peer: Option<RawFd>,
    /// The client has stopped reading.
    pub unread: bool,
    /// How many bytes went out.
    sent: u64,
    stop: Arc<AtomicBool>,
}

impl Socket {
    pub fn new(stream: TcpStream, stop: Arc<AtomicBool>) -> Socket {
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(TICK)).expect("a read timeout");
        stream.set_write_timeout(Some(TICK)).expect("a write timeout");
        Socket { stream, piece: usize::MAX, peer: None, unread: false, sent: 0, stop }
    }

    /// A second handle, for the moment in which TLS takes the socket over.
    pub fn again(&self) -> Socket {
        let stream = self.stream.try_clone().expect("a descriptor");
        Socket {
            stream,
            piece: self.piece,
            peer: self.peer,
            unread: self.unread,
            sent: self.sent,
            stop: self.stop.clone(),
        }
    }

    /// Waits until the client has taken every byte out of its socket. The client lives in this process, so its
    /// end can be asked. One that has stopped reading is not waited for again: after the end of an answer it may.
    pub fn wait_until_read(&mut self) {
        if self.unread {
            return;
        }
        let end = Instant::now() + Duration::from_millis(500);
        let mut turns = 0;
        while Instant::now() < end {
            let Some(peer) = self.find_peer() else { return };
            // Not our own queue: what the peer has, it may acknowledge much later.
            if tcp_info(peer).tcpi_bytes_received >= self.sent && waiting_bytes(peer) == 0 {
                return;
            }
            turns += 1;
            if turns < 200 {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        self.unread = true;
    }

    /// The client's end of the connection, if it is in this process and still open.
    fn find_peer(&mut self) -> Option<RawFd> {
        let port = self.stream.peer_addr().ok()?.port();
        let is_it = |fd: &RawFd| local_port(*fd) == Some(port);
        self.peer = self.peer.filter(is_it).or_else(|| (3..4096).find(is_it));
        self.peer
    }

    /// Whether the system probes the client's end of the connection, and after how many idle seconds.
    pub fn client_keep_alive(&mut self) -> Option<(bool, i32)> {
        let peer = self.find_peer()?;
        let option = |level, name| {
            let (mut value, mut len) = (0i32, size_of::<i32>() as libc::socklen_t);
            // SAFETY: the kernel writes at most `len` bytes into an int; a closed descriptor gives an error.
            let got = unsafe { libc::getsockopt(peer, level, name, (&raw mut value).cast(), &mut len) };
            (got == 0).then_some(value)
        };
        let is_on = option(libc::SOL_SOCKET, libc::SO_KEEPALIVE)? != 0;
        Some((is_on, option(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE)?))
    }

    /// How many segments with data have come.
    pub fn data_segments(&self) -> u32 {
        tcp_info(self.stream.as_raw_fd()).tcpi_data_segs_in
    }

    /// Makes the coming close a reset.
    pub fn reset_at_close(&self) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        // SAFETY: the descriptor is open, and the option's value is a `linger` of the given size.
        let set = unsafe {
            libc::setsockopt(
                self.stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const linger).cast(),
                size_of::<libc::linger>() as libc::socklen_t,
            )
        };
        assert_eq!(set, 0, "SO_LINGER");
    }

    /// Whether the client has closed or reset the connection; looks without reading.
    pub fn hung_up(&self) -> bool {
        let events = libc::POLLRDHUP;
        let mut poll = libc::pollfd { fd: self.stream.as_raw_fd(), events, revents: 0 };
        // SAFETY: one pollfd is given, and the call returns at once.
        unsafe { libc::poll(&mut poll, 1, 0) > 0 && poll.revents & (events | libc::POLLHUP | libc::POLLERR) != 0 }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(self.piece)];
        let end = Instant::now() + BOUND;
        loop {
            match self.stream.write(piece) {
                Err(error) if is_tick(&error) && !self.stop.load(Ordering::Acquire) && Instant::now() < end => {}
                sent => {
                    self.sent += *sent.as_ref().unwrap_or(&0) as u64;
                    if self.piece < usize::MAX {
                        self.wait_until_read();
                    }
                    return sent;
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// How many bytes this socket has received that nobody has read.
fn waiting_bytes(fd: RawFd) -> i32 {
    let mut count: libc::c_int = 0;
    // SAFETY: the question writes one int. A descriptor that was closed meanwhile gives an error, which reads as 0.
    if unsafe { libc::ioctl(fd, libc::FIONREAD, &mut count) } < 0 { 0 } else { count }
}

fn local_port(fd: RawFd) -> Option<u16> {
    // SAFETY: all zeroes are a valid socket address.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes; anything that is no socket gives an error.
    let got = unsafe { libc::getsockname(fd, (&raw mut address).cast(), &mut len) };
    (got == 0 && i32::from(address.sin_family) == libc::AF_INET).then(|| u16::from_be(address.sin_port))
}

/// What the system knows of a connection; all zeroes if there is none under this descriptor.
fn tcp_info(fd: RawFd) -> libc::tcp_info {
    let mut info = std::mem::MaybeUninit::<libc::tcp_info>::zeroed();
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `info`, which was zeroed: every field is a number.
    unsafe {
        libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &mut len);
        info.assume_init()
    }
}

pub fn is_tick(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
