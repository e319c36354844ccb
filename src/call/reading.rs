//! An answer while it is read: its body, where its bytes go, why reading pauses, and how it stopped.

use std::io::{self, Read};
use std::sync::Arc;

use tokio::time::Instant;

use super::{Outcome, retry};
use crate::chat::body::{Body, Fault};
use crate::failure::Failure;
use crate::text::ZString;
use crate::wire::{Slot, Socket};

/// The buffer of a read grows from here to there, once a read fills it.
pub(super) const READ_FIRST: usize = 4 * 1024;
const READ_MOST: usize = 32 * 1024;
/// Behind `[DONE]` so many bytes are read for the end of the body.
const DRAIN_MOST: usize = 64 * 1024;

/// What is left of a connection behind a terminated stream: the end of the body may still be on its way.
pub struct Tail {
    pub(super) body: ureq::BodyReader<'static>,
    pub(super) socket: Option<Arc<Socket>>,
}

impl Tail {
    /// The connection.
    pub fn socket(&self) -> Option<Arc<Socket>> {
        self.socket.clone()
    }

    /// Read the end of the body, without waiting: the connection then goes back to the pool. It comes back here if
    /// the end has not come yet, and is closed if it will not.
    pub fn drain(mut self) -> Option<Self> {
        self.socket.as_ref()?.set_nonblocking(true);
        let mut buffer = [0u8; 1024];
        let mut left = DRAIN_MOST;
        while left > 0 {
            match self.body.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => left = left.saturating_sub(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(self),
                Err(_) => return None,
            }
        }
        None
    }
}

/// An answer under way.
pub struct Reading {
    pub(super) reader: ureq::BodyReader<'static>,
    pub(super) body: Body,
    pub(super) slot: Arc<Slot>,
    pub(super) socket: Option<Arc<Socket>>,
    pub(super) is_plain_stream: bool,
    pub(super) left: Vec<u8>, // was read, and waits until the host has made room
    pub(super) unshown: bool, // the chunk that was read last has found no room
    pub(super) full_since: Option<Instant>,
    pub(super) last: Option<Stopped>, // no more is read
}

impl Reading {
    /// Whether the body can be read on without a thread: ureq's reader survives a read that would have to wait, its
    /// gzip decoder does not.
    pub(super) fn is_movable(&self) -> bool {
        self.is_plain_stream && self.socket.is_some()
    }

    /// The connection, if it is still there.
    pub fn socket(&self) -> Option<Arc<Socket>> {
        self.socket.clone()
    }

    pub(super) fn wait_from_now_on(&self) {
        if let Some(socket) = &self.socket {
            socket.set_nonblocking(false);
        }
    }
}

/// When bytes came from the connection the last time, in this turn. Many reads use what came at once.
pub(super) struct Arrival {
    pub(super) answered: u64, // bytes that had come by then
    pub(super) at: Instant,
}

/// Why reading pauses.
pub enum Pause {
    /// Nothing more has come.
    Empty,
    /// The host has no room for more events.
    Full,
    /// It is another's turn.
    Turn,
    /// It is over.
    Over(Stopped),
}

/// What is kept of a head.
pub(super) struct Kept {
    pub(super) response: ZString,
    pub(super) wish: retry::Wish,
}

/// How an attempt ended.
pub struct Ended {
    pub(super) outcome: Outcome,
    pub(super) tail: Option<Tail>,
}

/// What reads go into: all NUL between them. And what the streams that are read one after the other lend each other.
#[derive(Default)]
pub struct ReadBuffer {
    bytes: Vec<u8>,
    pub(super) spare: Vec<u8>, // empty
}

impl ReadBuffer {
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes.resize(READ_FIRST, 0);
        }
        &mut self.bytes
    }

    pub(super) fn filled(&self, count: usize) -> &[u8] {
        &self.bytes[..count]
    }

    /// A read has brought so many bytes, and they were used.
    pub(super) fn clear(&mut self, count: usize) {
        self.bytes[..count].fill(0);
        if count == self.bytes.len() && count < READ_MOST {
            self.bytes.resize(READ_MOST, 0);
        }
    }

    pub(super) fn clear_all(&mut self) {
        self.bytes.fill(0);
    }
}

/// How the reading of a body stopped.
pub enum Stopped {
    /// The framing says that it is whole.
    Ended,
    /// `[DONE]`.
    Terminated,
    /// The connection broke off.
    Broken,
    /// The framing or the packing is wrong.
    Garbled(String),
    /// What it says cannot be used.
    Fault(Fault),
    /// The call was stopped.
    Halted,
    /// A fault of ours.
    Panicked(Failure),
}
