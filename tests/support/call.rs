//! One request: prepared, made in the way of this process, watched, and checked.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{dangling_mut, null};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::ThreadId;

use helio::abi::*;
use serde_json::Value;

use super::c::{CALL_BOUND, Handle, request_options, status_name};
use super::copied::{self, take_buffer, take_error};
use super::delivery::{A_WHILE, Mode, polls_here};
use super::outcome::{Event, Outcome};
use super::sync::{Gate, Watch, lock};

/// One request, being prepared.
pub struct Call<'a> {
    handle: Handle,
    secrets: &'a [String],
    body: Vec<u8>,
    len: Option<usize>,
    id: u64,
    overrides: Option<Vec<u8>>,
    watched: bool,
    mode: Mode,
    may_be_cancelled: bool,
    hook: Hook<'a>,
}

type Hook<'a> = Box<dyn FnMut(&Event) -> i32 + 'a>;

impl<'a> Call<'a> {
    pub fn new(handle: Handle, secrets: &'a [String], body: &[u8]) -> Self {
        let (body, hook) = (body.to_vec(), Box::new(|_: &Event| 0));
        let mode = Mode::of_process();
        Call {
            handle,
            secrets,
            body,
            len: None,
            id: 0,
            overrides: None,
            watched: true,
            mode,
            may_be_cancelled: false,
            hook,
        }
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

    /// Without `on_event`, which only `helio_complete` can do.
    pub fn unwatched(mut self) -> Self {
        (self.watched, self.mode) = (false, Mode::Complete);
        self
    }

    /// Somebody cancels it, perhaps after its end was decided.
    pub fn may_be_cancelled(mut self) -> Self {
        self.may_be_cancelled = true;
        self
    }

    /// In this way, whatever that of the process is.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Calls `hook` with each event; what it returns goes back to the library.
    pub fn on_event(mut self, hook: impl FnMut(&Event) -> i32 + 'a) -> Self {
        self.hook = Box::new(hook);
        self
    }

    /// Opens this gate at each chunk.
    pub fn opens_at_chunks(self, gate: &'a Gate) -> Self {
        self.on_event(|event| {
            if event.is_chunk() {
                gate.open();
            }
            0
        })
    }

    /// Makes the request, waits for its end, and checks all that holds for every outcome.
    pub fn run(self) -> Outcome {
        match self.mode {
            Mode::Complete => self.complete(),
            _ => self.submit().wait(),
        }
    }

    fn options(&self) -> helio_request_options {
        let mut options = request_options();
        options.id = self.id;
        if let Some(overrides) = &self.overrides {
            options.overrides = overrides.as_ptr().cast();
            options.overrides_len = overrides.len();
        }
        if self.watched && self.mode != Mode::Pull {
            options.on_event = Some(on_event);
        }
        options.delivery = self.mode.delivery();
        options
    }

    fn complete(mut self) -> Outcome {
        let _watch = Watch::over(format!("helio_complete in {:?}", std::thread::current().name()), CALL_BOUND);
        let observer = Observer::new(self.mode, std::mem::replace(&mut self.hook, Box::new(|_| 0)));
        let mut options = self.options();
        options.user_data = observer.user_data();
        let (body, len) = with_nul(self.body, self.len);
        // SAFETY: the body ends in a NUL, and every other length is that of what it belongs to.
        let mut outcome = unsafe { complete(self.handle, body.as_ptr().cast(), len, &options) };
        outcome.events = observer.end();
        outcome.check(self.id, self.watched, self.secrets);
        outcome
    }

    /// Makes the request in a way that returns at once.
    pub fn submit(mut self) -> Running<'a> {
        let observer = Observer::new(self.mode, std::mem::replace(&mut self.hook, Box::new(|_| 0)));
        let mut options = self.options();
        options.user_data = observer.user_data();
        let Call { handle, secrets, mode, may_be_cancelled, id: wanted, .. } = self;
        let (mut body, len) = with_nul(std::mem::take(&mut self.body), self.len);
        let (mut id, mut error) = (u64::MAX, dangling_mut());
        // SAFETY: the body ends in a NUL, and every other length is that of what it belongs to.
        let status = unsafe { helio_submit(handle.0, body.as_ptr().cast(), len, &options, &mut id, &mut error) };
        body.fill(b'~'); // it was copied, or this breaks it
        let error = take_error(error);
        if status == HELIO_OK {
            assert!(error.is_none(), "OK with an error: {error:#?}");
            assert!(id != 0 && (wanted == 0 || id == wanted), "the id {id} for {wanted}");
        } else {
            assert_eq!(id, 0, "{} with an id", status_name(status));
        }
        let refused = (status != HELIO_OK).then(|| Outcome {
            status,
            data: None,
            error,
            events: Vec::new(),
            was_cancelled: false,
        });
        Running { handle, secrets, mode, may_be_cancelled, id, observer, refused }
    }
}

/// A terminating NUL, for those who give HELIO_STRLEN; those who give a length do not count it.
fn with_nul(mut body: Vec<u8>, len: Option<usize>) -> (Vec<u8>, usize) {
    let len = len.unwrap_or(body.len());
    body.push(0);
    (body, len)
}

/// A request that was submitted.
pub struct Running<'a> {
    handle: Handle,
    secrets: &'a [String],
    mode: Mode,
    may_be_cancelled: bool,
    pub id: u64,
    observer: &'static Observer,
    refused: Option<Outcome>,
}

impl Running<'_> {
    /// Whether its DONE was seen.
    pub fn is_done(&self) -> bool {
        self.refused.is_some() || self.observer.is_done()
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.observer.state).events.clone()
    }

    /// Receives until its DONE was seen, by whomever, and checks all that holds for every outcome.
    pub fn wait(self) -> Outcome {
        let _watch = Watch::over(format!("waiting for {} in {:?}", self.id, self.mode), CALL_BOUND);
        while !self.is_done() {
            receive(self.handle, self.mode);
            self.observer.wait_a_while(self.mode);
        }
        self.outcome()
    }

    /// The outcome, once DONE was seen.
    pub fn outcome(self) -> Outcome {
        let events = self.observer.end();
        let mut outcome = self.refused.unwrap_or_else(|| {
            let done = events.last().expect("DONE").clone();
            Outcome { status: done.status, data: done.data, error: done.error, events, was_cancelled: false }
        });
        outcome.was_cancelled = self.may_be_cancelled;
        outcome.check(self.id, true, self.secrets);
        outcome
    }
}

/// Receives what is there, and waits a little for it.
pub fn receive(handle: Handle, mode: Mode) {
    receive_for(handle, mode, A_WHILE.as_millis() as u32, 0);
}

/// Receives for so long: with POLL at most `most` events (0: what is there), with PULL one. Gives what the call gave.
pub fn receive_for(handle: Handle, mode: Mode, wait_ms: u32, most: u32) -> helio_status {
    match mode {
        Mode::Poll => handle.poll(wait_ms, most).0,
        Mode::Pull => {
            // Whoever takes an event puts it into its request's inbox before another can take the next, so that they
            // are seen in order also where several threads receive.
            let takes = taker_of(handle);
            let taking = lock(&takes);
            let (status, event) = handle.next_event(wait_ms);
            if event.is_null() {
                return status;
            }
            // SAFETY: a valid event that is ours until it is released, with what was given at its submission: an
            // observer, which is never freed.
            let (event, observer) = unsafe {
                let copied = copied::event(&*event);
                let observer = &*(*event).user_data.cast::<Observer>();
                helio_event_release(event);
                (copied, observer)
            };
            lock(&observer.inbox).push_back(event);
            drop(taking);
            observer.see_inbox(handle);
            status
        }
        Mode::Complete | Mode::Thread => HELIO_OK,
    }
}

/// Held by whoever takes a PULL event of this client.
fn taker_of(handle: Handle) -> Arc<Mutex<()>> {
    static TAKERS: Mutex<BTreeMap<usize, Arc<Mutex<()>>>> = Mutex::new(BTreeMap::new());
    lock(&TAKERS).entry(handle.0.addr()).or_default().clone()
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
    Outcome {
        status,
        data: take_buffer(out_json),
        error: take_error(out_error),
        events: Vec::new(),
        was_cancelled: false,
    }
}

/// All that ever were, so that who looks for leaks finds only others.
static OBSERVERS: Mutex<Vec<&Observer>> = Mutex::new(Vec::new());

/// What stands behind `user_data`. It is never freed: that it is not touched after DONE is for it to find out.
struct Observer {
    mode: Mode,
    thread: ThreadId,
    state: Mutex<State>,
    done: Condvar,
    inbox: Mutex<VecDeque<Event>>, // PULL events that were taken and not yet seen
    sees: Mutex<()>,               // held while they are
}

struct State {
    events: Vec<Event>,
    hook: Option<SendHook>,
    panic: Option<Box<dyn Any + Send>>,
    running: bool,
    is_done: bool,
}

struct SendHook(Hook<'static>);
// SAFETY: it runs on one thread at a time, under a lock or on the thread that made it.
unsafe impl Send for SendHook {}

impl Observer {
    fn new(mode: Mode, hook: Hook<'_>) -> &'static Observer {
        // SAFETY: whoever made it takes the hook out again with `end` while what it borrows is alive.
        let hook = unsafe { std::mem::transmute::<Hook<'_>, Hook<'static>>(hook) };
        let hook = Some(SendHook(hook));
        let state = State { events: Vec::new(), hook, panic: None, running: false, is_done: false };
        let thread = std::thread::current().id();
        let observer: &'static Observer = Box::leak(Box::new(Observer {
            mode,
            thread,
            state: Mutex::new(state),
            done: Condvar::new(),
            inbox: Mutex::default(),
            sees: Mutex::default(),
        }));
        lock(&OBSERVERS).push(observer);
        observer
    }

    fn user_data(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    fn is_done(&self) -> bool {
        lock(&self.state).is_done
    }

    fn wait_a_while(&self, mode: Mode) {
        let state = lock(&self.state);
        if mode == Mode::Thread && !state.is_done {
            drop(self.done.wait_timeout(state, A_WHILE));
        }
    }

    /// Everything that was seen. From now on no event may come.
    fn end(&self) -> Vec<Event> {
        let mut state = lock(&self.state);
        state.hook = None;
        state.is_done = true;
        if let Some(panic) = state.panic.take() {
            drop(state);
            resume_unwind(panic);
        }
        state.events.clone()
    }

    /// Sees what was taken, unless somebody does already, who will see that, too.
    fn see_inbox(&self, handle: Handle) {
        while !lock(&self.inbox).is_empty() {
            let Ok(_seeing) = self.sees.try_lock() else { return };
            loop {
                let Some(event) = lock(&self.inbox).pop_front() else { break };
                let request = event.request;
                if guarded(self, event.is_done(), || event) != 0 {
                    handle.cancel(request);
                }
            }
        }
    }

    fn see(&self, event: Event) -> i32 {
        let here = std::thread::current().id();
        let mut state = lock(&self.state);
        assert!(!state.is_done, "an event after DONE: {event:?}");
        assert!(!state.running, "two callbacks of one request at a time");
        assert_eq!(event.user_data, self.user_data() as usize, "user_data within the event");
        match self.mode {
            Mode::Complete => assert_eq!(here, self.thread, "an event on another thread"),
            Mode::Poll => assert!(polls_here(), "a POLL event outside of helio_poll"),
            Mode::Thread => {
                assert_eq!(std::thread::current().name(), Some("helio-worker"), "a THREAD event on a thread of ours")
            }
            Mode::Pull => {}
        }
        let is_done = event.is_done();
        state.events.push(event.clone());
        state.running = true;
        let hook = state.hook.take();
        drop(state);
        let (hook, result) = match hook {
            Some(SendHook(mut hook)) => {
                let result = catch_unwind(AssertUnwindSafe(|| hook(&event)));
                (Some(SendHook(hook)), result)
            }
            None => (None, Ok(0)),
        };
        let mut state = lock(&self.state);
        (state.hook, state.running) = (hook, false);
        state.is_done = is_done;
        self.done.notify_all();
        result.unwrap_or_else(|panic| {
            state.panic.get_or_insert(panic);
            1
        })
    }
}

unsafe extern "C" fn on_event(event: *const helio_event, user_data: *mut c_void) -> i32 {
    // SAFETY: an observer of ours, which is never freed, or this test finds a grave bug.
    let observer = unsafe { &*user_data.cast::<Observer>() };
    // SAFETY: the library gives a valid event that lives until this function returns.
    unsafe { guarded(observer, (*event).kind == HELIO_EVENT_DONE, || copied::event(&*event)) }
}

/// Has the event seen; a check that fails is kept for the end of the call.
fn guarded(observer: &Observer, is_done: bool, event: impl FnOnce() -> Event) -> i32 {
    catch_unwind(AssertUnwindSafe(|| observer.see(event()))).unwrap_or_else(|panic| {
        let mut state = lock(&observer.state);
        state.panic.get_or_insert(panic);
        state.is_done |= is_done;
        observer.done.notify_all();
        1
    })
}

/// A submission with everything bare, for wrong arguments. No event of it may ever come.
///
/// # Safety
/// As the header says.
pub unsafe fn submit(
    handle: Handle,
    json: *const c_char,
    len: usize,
    options: *const helio_request_options,
) -> Outcome {
    let (mut id, mut error) = (u64::MAX, dangling_mut());
    // SAFETY: the caller's promise, and the out-parameters are ours.
    let status = unsafe { helio_submit(handle.0, json, len, options, &mut id, &mut error) };
    assert_eq!(id == 0, status != HELIO_OK, "{} with the id {id}", status_name(status));
    Outcome { status, data: None, error: take_error(error), events: Vec::new(), was_cancelled: false }
}

/// Options that submit in a way, with nothing else in them.
pub fn submit_options(mode: Mode) -> helio_request_options {
    let mut options = request_options();
    options.delivery = mode.delivery();
    options.user_data = null::<c_void>().cast_mut();
    options
}
