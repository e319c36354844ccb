//! All that differs by operating system. POSIX for now; nothing outside this file knows.

use std::ffi::CString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpStream};
use std::os::fd::AsRawFd;

/// This process; a forked child has another.
pub fn process_id() -> u32 {
    std::process::id()
}

#[cfg(any(target_os = "macos", target_os = "ios"))]
const NO_SIGNAL: i32 = 0; // std and mio set SO_NOSIGPIPE on every socket there
#[cfg(not(any(target_os = "macos", target_os = "ios")))]
const NO_SIGNAL: i32 = libc::MSG_NOSIGNAL;

fn result(count: isize) -> io::Result<usize> {
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Receive; without `wait` it answers `WouldBlock` when nothing is there.
pub fn receive(socket: &TcpStream, buffer: &mut [u8], wait: bool) -> io::Result<usize> {
    let flags = if wait { 0 } else { libc::MSG_DONTWAIT };
    loop {
        // SAFETY: the descriptor is open as long as `socket` lives; the buffer is ours for its whole length.
        let count = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) };
        match result(count) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => return other,
        }
    }
}

/// Send what fits without waiting; a dead peer is an error, never a SIGPIPE.
pub fn send_some(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let flags = NO_SIGNAL | libc::MSG_DONTWAIT;
    loop {
        // SAFETY: the descriptor is open as long as `socket` lives; the bytes are readable for their whole length.
        let count = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
        match result(count) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => return other,
        }
    }
}

/// Whether an idle connection is still good: open, and nothing came that nobody asked for.
pub fn is_quiet(socket: &TcpStream) -> bool {
    let mut byte = [0u8; 1];
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: the descriptor is open as long as `socket` lives; one byte of room is given.
    let count = unsafe { libc::recv(socket.as_raw_fd(), byte.as_mut_ptr().cast(), 1, flags) };
    matches!(result(count), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// What a socket is ready for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// Bytes, an end or an error can be read.
    pub read: bool,
    /// Bytes can be sent.
    pub write: bool,
}

/// Wait until the socket can be read or written, whichever is asked for, or `timeout_ms` have passed (-1: for ever).
pub fn wait_ready(socket: &TcpStream, read: bool, write: bool, timeout_ms: i32) -> io::Result<Ready> {
    let events = if read { libc::POLLIN } else { 0 } | if write { libc::POLLOUT } else { 0 };
    let mut entry = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
    loop {
        // SAFETY: one valid entry, and the count says one.
        let count = unsafe { libc::poll(&mut entry, 1, timeout_ms) };
        match result(count as isize) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    let broken = entry.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0;
    Ok(Ready { read: broken || entry.revents & libc::POLLIN != 0, write: entry.revents & libc::POLLOUT != 0 })
}

/// Why a name has no address.
#[derive(Debug, Clone)]
pub struct LookupError {
    /// The system's words.
    pub message: String,
    /// Asking again may help.
    pub temporary: bool,
}

/// Ask the system for the addresses of a name. Blocks for as long as the system likes: only for threads that may.
pub fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
    let failed = |message: String, temporary| LookupError { message, temporary };
    let name = CString::new(host).map_err(|_| failed("the name holds a NUL".to_owned(), false))?;
    // SAFETY: all zero is a valid addrinfo; the fields set below are plain numbers.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_socktype = libc::SOCK_STREAM;
    let mut list: *mut libc::addrinfo = std::ptr::null_mut();
    // SAFETY: the name ends in NUL, hints are initialised, and `list` takes the result.
    let code = unsafe { libc::getaddrinfo(name.as_ptr(), std::ptr::null(), &hints, &mut list) };
    if code != 0 {
        let message = if code == libc::EAI_SYSTEM {
            io::Error::last_os_error().to_string()
        } else {
            // SAFETY: gai_strerror returns a static string for every code.
            unsafe { std::ffi::CStr::from_ptr(libc::gai_strerror(code)) }.to_string_lossy().into_owned()
        };
        return Err(failed(message, code == libc::EAI_AGAIN || code == libc::EAI_SYSTEM));
    }
    let mut found = Vec::new();
    let mut entry = list;
    while !entry.is_null() {
        // SAFETY: a non-null entry of the list that getaddrinfo made and that is freed below.
        let one = unsafe { &*entry };
        match one.ai_family {
            libc::AF_INET => {
                // SAFETY: for AF_INET the address is a sockaddr_in.
                let address = unsafe { &*one.ai_addr.cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
                found.push(SocketAddr::new(IpAddr::V4(ip), port));
            }
            libc::AF_INET6 => {
                // SAFETY: for AF_INET6 the address is a sockaddr_in6.
                let address = unsafe { &*one.ai_addr.cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
                found.push(SocketAddr::V6(SocketAddrV6::new(ip, port, 0, address.sin6_scope_id)));
            }
            _ => {}
        }
        entry = one.ai_next;
    }
    // SAFETY: the list came from getaddrinfo and is freed once.
    unsafe { libc::freeaddrinfo(list) };
    if found.is_empty() { Err(failed("the name has no address".to_owned(), false)) } else { Ok(found) }
}

/// Run `start`, and let the threads it starts inherit a mask that blocks asynchronous signals: the host's
/// handlers never run on a thread of ours. Faults stay open, and so does what garbage collectors use.
pub fn with_signals_blocked<T>(start: impl FnOnce() -> T) -> T {
    let mut blocked = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the sets are initialised by sigfillset and pthread_sigmask before they are read.
    unsafe {
        libc::sigfillset(blocked.as_mut_ptr());
        for open in OPEN_SIGNALS {
            libc::sigdelset(blocked.as_mut_ptr(), *open);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, blocked.as_ptr(), before.as_mut_ptr());
    }
    let result = start();
    // SAFETY: `before` was filled above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    result
}

/// Signals that say something of the thread itself: never blocked.
const OPEN_SIGNALS: &[i32] =
    &[libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGSYS];
