//! All that differs by operating system. POSIX for now; nothing outside this file knows.

use std::ffi::CString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

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

/// Have the runtime of this thread say when a socket can be read. What is given keeps its descriptor open, and the
/// same, for as long as it lives.
pub fn watch_readable<T: AsRawFd>(socket: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: the descriptor stays open and the same, by the contract of this function.
    Ok(unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?)
}

/// Why a name has no address.
#[derive(Debug, Clone)]
pub struct LookupError {
    /// The system's words.
    pub message: String,
    /// Asking again may help.
    pub temporary: bool,
    /// It was not even asked: the system refused what that takes.
    pub refused: bool,
}

/// Ask the system for the addresses of a name. Blocks for as long as the system likes: only for threads that may.
pub fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
    let failed = |message: String, temporary| LookupError { message, temporary, refused: false };
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

/// Start a thread with a name and a stack of so many bytes. Asynchronous signals are blocked on it: the host's
/// handlers never run on a thread of ours. If it runs host code, what garbage collectors use is left as the caller
/// has it.
pub fn spawn(
    name: &str,
    stack: usize,
    runs_host_code: bool,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<std::thread::JoinHandle<()>> {
    let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(stack);
    with_signals_blocked(runs_host_code, || builder.spawn(work))
}

/// Run `start`, and let the threads it starts inherit the mask that [`spawn`] tells of.
fn with_signals_blocked<T>(host_code_runs: bool, start: impl FnOnce() -> T) -> T {
    let mut blocked = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the sets are initialised by sigfillset and pthread_sigmask before they are read.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), before.as_mut_ptr());
        libc::sigfillset(blocked.as_mut_ptr());
        for open in FAULTS {
            libc::sigdelset(blocked.as_mut_ptr(), *open);
        }
        if host_code_runs {
            for signal in COLLECTORS.iter().copied().chain(real_time_signals()) {
                // One that the host takes by sigwait or signalfd is not for us to open.
                if libc::sigismember(before.as_ptr(), signal) != 1 {
                    libc::sigdelset(blocked.as_mut_ptr(), signal);
                }
            }
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, blocked.as_ptr(), std::ptr::null_mut());
    }
    let result = start();
    // SAFETY: `before` was filled above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    result
}

/// Signals that say something of the thread itself: never blocked.
const FAULTS: &[i32] =
    &[libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGSYS];

/// Signals with which garbage collectors and schedulers of host languages stop their threads.
#[cfg(any(target_os = "linux", target_os = "android"))]
const COLLECTORS: &[i32] = &[libc::SIGPWR, libc::SIGXCPU, libc::SIGUSR1, libc::SIGUSR2, libc::SIGURG];
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const COLLECTORS: &[i32] = &[libc::SIGXCPU, libc::SIGUSR1, libc::SIGUSR2, libc::SIGURG];

#[cfg(any(target_os = "linux", target_os = "android"))]
fn real_time_signals() -> std::ops::RangeInclusive<i32> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn real_time_signals() -> std::ops::Range<i32> {
    0..0
}

/// A descriptor that is readable or not, as it is told, for event loops to wait on.
pub struct Bell {
    watched: OwnedFd,
    rings: bool,
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    rung: OwnedFd, // the other end of a pipe
}

impl Bell {
    /// One that is not readable.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn new() -> io::Result<Self> {
        // SAFETY: a plain system call; what it gives is checked and owned by nobody else.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: open, and ours alone.
        Ok(Bell { watched: unsafe { OwnedFd::from_raw_fd(descriptor) }, rings: false })
    }

    /// One that is not readable.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub fn new() -> io::Result<Self> {
        use std::os::unix::net::UnixStream;
        let (watched, rung) = UnixStream::pair()?;
        watched.set_nonblocking(true)?;
        rung.set_nonblocking(true)?;
        Ok(Bell { watched: watched.into(), rings: false, rung: rung.into() })
    }

    /// What the event loop waits on.
    pub fn handle(&self) -> isize {
        self.watched.as_raw_fd() as isize
    }

    /// Readable from now on, or not.
    pub fn set(&mut self, rings: bool) {
        if std::mem::replace(&mut self.rings, rings) == rings {
            return;
        }
        let mut count = 1u64.to_ne_bytes();
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let rung = &self.watched;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let rung = &self.rung;
        // Neither can fail: the counter is at 0 before a write and at 1 before a read.
        // SAFETY: both descriptors are open and the buffer is eight bytes long.
        unsafe {
            if rings {
                libc::write(rung.as_raw_fd(), count.as_ptr().cast(), count.len());
            } else {
                libc::read(self.watched.as_raw_fd(), count.as_mut_ptr().cast(), count.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_is_readable_while_it_rings() {
        let mut bell = Bell::new().unwrap();
        let readable = |bell: &Bell| {
            let mut entry = libc::pollfd { fd: bell.handle() as i32, events: libc::POLLIN, revents: 0 };
            // SAFETY: one valid entry, and the count says one.
            unsafe { libc::poll(&mut entry, 1, 0) == 1 }
        };
        for rings in [false, true, true, false, false, true, false] {
            bell.set(rings);
            assert_eq!(readable(&bell), rings);
        }
    }
}
