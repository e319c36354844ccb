//! Where a client's log lines go: to the host's function, or nowhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard};

use crate::secrets::Secrets;

/// How loud a line is; the numbers are part of the C interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(i32)]
#[allow(missing_docs)] // the header documents each one
pub enum Level {
    Error = 1,
    Warn = 2,
    Info = 3,
    Debug = 4,
    Trace = 5,
}

/// Takes a finished line: level, target, message.
pub type Sink = dyn Fn(Level, &str, &str) + Send + Sync;

/// The log of one client. No global logger is ever installed or used.
#[derive(Clone)]
pub struct Log {
    sink: Option<Arc<Sink>>,
    level: i32,
    secrets: Arc<RwLock<Secrets>>,
    is_muted: Arc<AtomicBool>,
}

impl Log {
    /// A log that writes lines up to `level` to `sink`, with the secrets masked.
    pub fn new(sink: Option<Arc<Sink>>, level: i32, secrets: Arc<RwLock<Secrets>>) -> Self {
        Log { sink, level, secrets, is_muted: Arc::default() }
    }

    /// Write a line; the text is only made if somebody reads it.
    pub fn write(&self, level: Level, target: &str, message: impl FnOnce() -> String) {
        let Some(sink) = self.sink.as_ref().filter(|_| self.is_read(level)) else {
            return;
        };
        // The lock is given back before the host's code runs.
        let message = self.mask(message());
        sink(level, target, &message);
    }

    /// Whether anybody reads lines of this level.
    pub fn is_read(&self, level: Level) -> bool {
        self.sink.is_some() && level as i32 <= self.level && !self.is_muted.load(Ordering::Relaxed)
    }

    /// Nobody reads it any more.
    pub fn mute(&self) {
        self.is_muted.store(true, Ordering::Relaxed);
    }

    /// The text without any secret of this client.
    pub fn mask(&self, text: String) -> String {
        self.secrets().mask(text)
    }

    /// The text without any secret of this client or of these.
    pub fn mask_with(&self, others: &Secrets, text: String) -> String {
        self.secrets().mask_with(others, text)
    }

    /// The same for a text that was cut off.
    pub fn mask_cut_with(&self, others: &Secrets, text: String) -> String {
        self.secrets().mask_cut_with(others, text)
    }

    fn secrets(&self) -> RwLockReadGuard<'_, Secrets> {
        self.secrets.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
