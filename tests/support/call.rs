//! One `helio_complete`: prepared, made, watched, and checked.

use std::any::Any;
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::dangling_mut;
use std::thread::ThreadId;

use helio::abi::*;
use serde_json::Value;

use super::c::{CALL_BOUND, Handle, request_options};
use super::copied::{self, take_buffer, take_error};
use super::outcome::{Event, Outcome};
use super::sync::Watch;

/// One `helio_complete`, being prepared.
pub struct Call<'a> {
    handle: Handle,
    secrets: &'a [String],
    body: Vec<u8>,
    len: Option<usize>,
    id: u64,
    overrides: Option<Vec<u8>>,
    watched: bool,
    hook: Box<dyn FnMut(&Event) -> i32 + 'a>,
}

impl<'a> Call<'a> {
    pub fn new(handle: Handle, secrets: &'a [String], body: &[u8]) -> Self {
        let (body, hook) = (body.to_vec(), Box::new(|_: &Event| 0));
        Call { handle, secrets, body, len: None, id: 0, overrides: None, watched: true, hook }
    }

    /// With an id from `helio_reserve`, or one that only looks so.
    pub fn id(mut self, id: u64) -> Self {
        self.id = id;
        self
    }

    pub fn overrides(self, overrides: &Value) -> Self {
        self.raw_overrides(overrides.to_string())
    }

    pub fn raw_overrides(mut self, overrides: impl AsRef<[u8]>) -> Self {
        self.overrides = Some(overrides.as_ref().to_vec());
        self
    }

    /// Gives this length instead of the body's.
    pub fn len(mut self, len: usize) -> Self {
        self.len = Some(len);
        self
    }

    /// Without `on_event`.
    pub fn unwatched(mut self) -> Self {
        self.watched = false;
        self
    }

    /// Calls `hook` with each event; what it returns goes back to the library.
    pub fn on_event(mut self, hook: impl FnMut(&Event) -> i32 + 'a) -> Self {
        self.hook = Box::new(hook);
        self
    }

    /// Makes the call and checks all that holds for every outcome.
    pub fn run(self) -> Outcome {
        let _watch = Watch::over(format!("helio_complete in {:?}", std::thread::current().name()), CALL_BOUND);
        let mut observer =
            Observer { events: Vec::new(), thread: std::thread::current().id(), hook: self.hook, panic: None };
        let mut options = request_options();
        options.id = self.id;
        if let Some(overrides) = &self.overrides {
            options.overrides = overrides.as_ptr().cast();
            options.overrides_len = overrides.len();
        }
        if self.watched {
            options.on_event = Some(on_event);
        }
        options.user_data = (&raw mut observer).cast();
        // A terminating NUL, for those who give HELIO_STRLEN; those who give a length do not count it.
        let mut body = self.body;
        let len = self.len.unwrap_or(body.len());
        body.push(0);
        // SAFETY: the body ends in a NUL, and every other length is that of what it belongs to.
        let mut outcome = unsafe { complete(self.handle, body.as_ptr().cast(), len, &options) };
        if let Some(panic) = observer.panic {
            resume_unwind(panic);
        }
        outcome.events = observer.events;
        outcome.check(self.id, self.watched, self.secrets);
        outcome
    }
}

/// The bare `helio_complete`; whatever events there were, they are not in the outcome.
///
/// # Safety
/// As the header says.
pub unsafe fn complete(
    handle: Handle,
    json: *const c_char,
    len: usize,
    options: *const helio_request_options,
) -> Outcome {
    // Both must be overwritten, also where there is nothing to hand out.
    let (mut out_json, mut out_error) = (dangling_mut(), dangling_mut());
    // SAFETY: the caller's promise, and the out-parameters are ours.
    let status = unsafe { helio_complete(handle.0, json, len, options, &mut out_json, &mut out_error) };
    Outcome { status, data: take_buffer(out_json), error: take_error(out_error), events: Vec::new() }
}

/// What stands behind `user_data` during a call.
struct Observer<'a> {
    events: Vec<Event>,
    thread: ThreadId,
    hook: Box<dyn FnMut(&Event) -> i32 + 'a>,
    panic: Option<Box<dyn Any + Send>>,
}

unsafe extern "C" fn on_event(event: *const helio_event, user_data: *mut c_void) -> i32 {
    // SAFETY: `user_data` is the observer of the call that is running, or this test finds a grave bug.
    let observer = unsafe { &mut *user_data.cast::<Observer>() };
    let seen = catch_unwind(AssertUnwindSafe(|| {
        assert_eq!(std::thread::current().id(), observer.thread, "an event on another thread");
        // SAFETY: the library gives a valid event that lives until this function returns.
        let event = unsafe { copied::event(&*event) };
        assert_eq!(event.user_data, user_data as usize, "user_data within the event");
        observer.events.push(event);
        (observer.hook)(&observer.events[observer.events.len() - 1])
    }));
    seen.unwrap_or_else(|panic| {
        observer.panic.get_or_insert(panic);
        1
    })
}
