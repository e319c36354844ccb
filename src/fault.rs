//! Faults of our own, put in on purpose: a test build (feature `fault-injection`) can make a request panic at a named
//! point, so that tests see what a host would see. Without the feature nothing of it exists.

/// A point that a test may have armed for this request.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
pub fn point(_name: &'static str, _request: u64) {}

#[cfg(feature = "fault-injection")]
pub use injected::{arm, point};

#[cfg(feature = "fault-injection")]
mod injected {
    use std::sync::Mutex;

    static ARMED: Mutex<Vec<(&'static str, u64)>> = Mutex::new(Vec::new());

    /// From now on this request panics when it comes to this point.
    pub fn arm(name: &'static str, request: u64) {
        armed().push((name, request));
    }

    /// A point that a test may have armed for this request.
    pub fn point(name: &'static str, request: u64) {
        let is_armed = armed().contains(&(name, request));
        assert!(!is_armed, "injected at {name:?}");
    }

    fn armed() -> std::sync::MutexGuard<'static, Vec<(&'static str, u64)>> {
        ARMED.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
