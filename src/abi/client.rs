//! Clients: create, key, prewarm, figures, shut down, destroy, release.

use std::ffi::{CString, c_char, c_void};
use std::ptr::null_mut;
use std::sync::Arc;
use std::time::Duration;

use super::guard::guard;
use super::input::{self, Sized32};
use super::result::{boxed_buffer, fail, put};
use super::{HELIO_ERR_FORKED, HELIO_ERR_INTERNAL, HELIO_LOG_WARN, HELIO_OK, helio_buffer, helio_error, helio_status};
use crate::client::Client;
use crate::deliver::Notify;
use crate::failure::Failure;
use crate::log::{Level, Sink};
use crate::status::Status;

/// As a length: the string ends in NUL.
pub const HELIO_STRLEN: usize = usize::MAX;
/// As a timeout: wait as long as it takes.
pub const HELIO_WAIT_FOREVER: u32 = u32::MAX;

/// Long-lived; every function is thread-safe.
pub struct helio_client {
    client: Arc<Client>,
}

/// Something is pending: called when an event of a POLL or PULL request becomes pending and no notification of its
/// delivery is outstanding. A helio_poll that returns, or a helio_next_event that finds nothing, ends it; if such events
/// are pending then, it is called again at once, on that thread. May be called on any library thread and inside any call,
/// concurrently: hold no lock over a call that it takes, too. It signals and returns, calls nothing of helio but
/// helio_wakeup, and has nothing run in place that does. docs/delivery.md, docs/threads.md.
pub type helio_notify_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;
/// Takes a log line. May be called on any thread and inside any call, concurrently; returns soon and calls nothing
/// of helio but helio_wakeup. docs/logging.md, docs/threads.md. `target` ends in NUL; `message` has `message_len` bytes
/// and a NUL behind them.
pub type helio_log_fn = Option<
    unsafe extern "C" fn(
        level: i32,
        target: *const c_char,
        message: *const c_char,
        message_len: usize,
        user_data: *mut c_void,
    ),
>;

/// How a client is made. Zero it and set its size with helio_client_options_init.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct helio_client_options {
    /// sizeof(helio_client_options) of the caller.
    pub struct_size: u32,
    /// 0.
    pub flags: u32,
    /// JSON, see docs/configuration.md; NULL: defaults and environment.
    pub config: *const c_char,
    /// Bytes of `config`, or HELIO_STRLEN.
    pub config_len: usize,
    /// NULL: no log. It and its data must live until destroy returned HELIO_OK.
    pub log_fn: helio_log_fn,
    /// Given to log_fn.
    pub log_user_data: *mut c_void,
    /// HELIO_LOG_ERROR to HELIO_LOG_TRACE; 0: HELIO_LOG_WARN. What each level holds: docs/logging.md.
    pub log_level: i32,
    /// 0.
    pub reserved0: u32,
    /// NULL: none. It and its data must live until destroy returned HELIO_OK.
    pub notify_fn: helio_notify_fn,
    /// Given to notify_fn.
    pub notify_user_data: *mut c_void,
}

// SAFETY: `repr(C)`, begins with its size; zero is NULL, 0 and None in every field.
unsafe impl Sized32 for helio_client_options {
    const FIRST_SIZE: usize = size_of::<helio_client_options>();
    const NAME: &'static str = "helio_client_options";
    fn set_lengths(&mut self) {
        self.config_len = HELIO_STRLEN;
    }
}

/// Zero the options, set their size, and every length to HELIO_STRLEN.
///
/// @param opts NULL does nothing.
/// @param struct_size sizeof(helio_client_options) of the caller. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_client_options_init(opts: *mut helio_client_options, struct_size: u32) {
    // SAFETY: NULL or `struct_size` writable bytes, says the contract.
    guard((), || unsafe { input::init_struct(opts, struct_size) });
}

/// Make a client. Starts no thread and opens no connection (docs/threads.md); reads the environment (HELIO_BASE_URL, HELIO_API_KEY,
/// HELICONE_API_KEY, proxy variables if the config asks for them) and certificate files once.
///
/// @param opts NULL: defaults and environment. Copied before the call returns.
/// @param out_client gets the client, to be destroyed with helio_client_destroy; NULL on failure.
/// @param out_error gets the error of a failure, to be freed with helio_error_free; may be NULL.
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT, _INVALID_UTF8, _INVALID_JSON or _UNSUPPORTED, and the error names
/// the key to change; HELIO_ERR_INTERNAL for a fault of ours. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_client_create(
    opts: *const helio_client_options,
    out_client: *mut *mut helio_client,
    out_error: *mut *mut helio_error,
) -> helio_status {
    guard(HELIO_ERR_INTERNAL, || {
        // SAFETY: out-parameters are NULL or can be written, says the contract; so below.
        unsafe {
            put(out_client, null_mut());
            put(out_error, null_mut());
        }
        if out_client.is_null() {
            // SAFETY: as above.
            return unsafe {
                fail(Failure::argument("out_client is NULL: there is no place for the client"), out_error)
            };
        }
        // SAFETY: `opts` is NULL or a struct of the size it says, and its pointers are what their comments say.
        match unsafe { create(opts) } {
            Ok(client) => {
                // SAFETY: as above.
                unsafe { put(out_client, Box::into_raw(Box::new(helio_client { client: Arc::new(client) }))) };
                HELIO_OK
            }
            // SAFETY: as above.
            Err(failure) => unsafe { fail(failure, out_error) },
        }
    })
}

/// # Safety
/// As helio_client_create.
unsafe fn create(opts: *const helio_client_options) -> Result<Client, Failure> {
    // SAFETY: by the contract of this function.
    let Some(opts) = (unsafe { input::read_struct(opts) })? else {
        return Client::new(None, None, HELIO_LOG_WARN, None);
    };
    if opts.flags != 0 || opts.reserved0 != 0 {
        return Err(Failure::new(Status::Unsupported, "helio_client_options.flags and .reserved0 must be 0"));
    }
    // SAFETY: by the contract of this function.
    let config = unsafe { input::text(opts.config, opts.config_len, "config") }?;
    let level = if opts.log_level == 0 { HELIO_LOG_WARN } else { opts.log_level };
    Client::new(config, log_sink(&opts), level, notify(&opts))
}

/// The host's function, with the pointer that it wants back.
struct LogFunction {
    function: unsafe extern "C" fn(i32, *const c_char, *const c_char, usize, *mut c_void),
    user_data: *mut c_void,
}

// SAFETY: the contract says that log_fn may run on any thread, concurrently; its pointer is only handed back.
unsafe impl Send for LogFunction {}
// SAFETY: likewise.
unsafe impl Sync for LogFunction {}

impl LogFunction {
    fn write(&self, level: Level, target: &str, message: &str) {
        let target = CString::new(target).unwrap_or_default();
        let message = crate::text::ZString::from(message.to_owned());
        // SAFETY: the host's function takes two texts that are borrowed until it returns.
        unsafe { (self.function)(level as i32, target.as_ptr(), message.as_ptr(), message.len(), self.user_data) };
    }
}

fn log_sink(opts: &helio_client_options) -> Option<Arc<Sink>> {
    let log = LogFunction { function: opts.log_fn?, user_data: opts.log_user_data };
    Some(Arc::new(move |level, target: &str, message: &str| log.write(level, target, message)))
}

/// The host's function, with the pointer that it wants back.
struct NotifyFunction {
    function: unsafe extern "C" fn(*mut c_void),
    user_data: *mut c_void,
}

// SAFETY: the contract says that notify_fn may run on any thread, concurrently; its pointer is only handed back.
unsafe impl Send for NotifyFunction {}
// SAFETY: likewise.
unsafe impl Sync for NotifyFunction {}

impl NotifyFunction {
    fn call(&self) {
        // SAFETY: the host's function takes the pointer that came with it.
        unsafe { (self.function)(self.user_data) };
    }
}

fn notify(opts: &helio_client_options) -> Option<Box<Notify>> {
    let notify = NotifyFunction { function: opts.notify_fn?, user_data: opts.notify_user_data };
    Some(Box::new(move || notify.call()))
}

/// Run a function on a client that the host names. NULL and a forked child are answered here. The client stays until
/// the function has returned, also if it releases it.
///
/// # Safety
/// `client` is NULL or alive.
pub(super) unsafe fn with_client<T>(
    client: *const helio_client,
    refused: impl FnOnce(Failure) -> T,
    body: impl FnOnce(&Arc<Client>) -> T,
) -> T {
    // SAFETY: by the contract of this function.
    let Some(client) = (unsafe { client.as_ref() }) else {
        return refused(Failure::argument("the client is NULL"));
    };
    let client = client.client.clone();
    let entered = client.enter();
    match entered {
        Ok(_) => body(&client),
        Err(failure) => refused(failure),
    }
}

/// The clock of a client, for tests to put forward.
///
/// # Safety
/// `client` is alive.
#[cfg(feature = "fault-injection")]
pub unsafe fn clock_of(client: *const helio_client) -> crate::clock::Clock {
    // SAFETY: by the contract of this function.
    unsafe { &*client }.client.clock().clone()
}

/// Use another API key for attempts that start later.
///
/// @param key NULL: none from now on. Copied before the call returns.
/// @param len bytes of `key`, or HELIO_STRLEN.
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT (also for a NULL client), _INVALID_UTF8, _FORKED. Any thread, also callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_client_set_api_key(
    client: *mut helio_client,
    key: *const c_char,
    len: usize,
) -> helio_status {
    guard(HELIO_ERR_INTERNAL, || {
        // SAFETY: `key` is NULL or so many bytes, the client NULL or alive, says the contract.
        let result =
            unsafe { with_client(client, Err, |client| client.set_api_key(input::text(key, len, "API key")?)) };
        result.map_or_else(|failure| failure.status.into(), |()| HELIO_OK)
    })
}

/// Open a connection ahead of the first request, so that it need not wait for name, TCP, proxy and TLS. Nothing is sent
/// on it. That it fails is logged, and the next request says why.
///
/// @return HELIO_OK: it has begun. HELIO_ERR_INVALID_ARGUMENT for NULL, _SHUT_DOWN, _FORKED, _INTERNAL (the system refused
/// a thread). Never blocks. Any thread, also callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_client_prewarm(client: *mut helio_client) -> helio_status {
    guard(HELIO_ERR_INTERNAL, || {
        // SAFETY: the client is NULL or alive, says the contract.
        let result = unsafe { with_client(client, Err, Client::prewarm) };
        result.map_or_else(|failure| failure.status.into(), |()| HELIO_OK)
    })
}

/// Figures of a client as one JSON object: `in_flight`, `queued`, `pending_events`, `connections` {`open`, `idle`},
/// `threads`, `stuck_lookups`, and since it was made `started`, `succeeded`, `failed`, `cancelled` (shut down, too), `retries`. docs/report.md.
///
/// @param out_json gets the object, to be freed with helio_buffer_free; may be NULL.
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for NULL, _FORKED. Any thread, also callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_client_stats(
    client: *mut helio_client,
    out_json: *mut *mut helio_buffer,
) -> helio_status {
    guard(HELIO_ERR_INTERNAL, || {
        // SAFETY: out-parameters are NULL or can be written, says the contract; so below.
        unsafe { put(out_json, null_mut()) };
        // SAFETY: the client is NULL or alive, says the contract.
        match unsafe { with_client(client, Err, |client| Ok(client.stats())) } {
            Ok(stats) => {
                if !out_json.is_null() {
                    // SAFETY: as above.
                    unsafe { put(out_json, boxed_buffer(stats.into())) };
                }
                HELIO_OK
            }
            Err(failure) => failure.status.into(),
        }
    })
}

/// Shut a client down: new requests are HELIO_ERR_SHUT_DOWN, those that live end with it. Never blocks. A loop that
/// receives ends on HELIO_ERR_SHUT_DOWN when it has seen each DONE. docs/shutdown.md.
///
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for NULL, _FORKED. Any thread, also callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_client_shutdown(client: *mut helio_client) -> helio_status {
    // SAFETY: the client is NULL or alive, says the contract.
    guard(HELIO_ERR_INTERNAL, || unsafe { simply(client, |client| client.shut_down()) })
}

/// # Safety
/// `client` is NULL or lives until this returns.
pub(super) unsafe fn simply(client: *const helio_client, body: impl FnOnce(&Arc<Client>)) -> helio_status {
    // SAFETY: by the contract of this function.
    unsafe {
        with_client(
            client,
            |failure| failure.status.into(),
            |client| {
                body(client);
                HELIO_OK
            },
        )
    }
}

/// Shut a client down, wait for its calls on other threads to return (they give HELIO_ERR_SHUT_DOWN), show each POLL DONE
/// on this thread, and free it. PULL events that nobody took go unseen. docs/shutdown.md.
///
/// @param client NULL is HELIO_OK. No call may start on it once this returned HELIO_OK: one thread destroys it, and
/// joins the others first. Not from log_fn, which it would wait for.
/// @param timeout_ms how long to wait; HELIO_WAIT_FOREVER.
/// @return HELIO_OK: no callback runs or will run, no thread of this client is left (a name look-up that the system
/// does not end belongs to the process and holds nothing of the client). HELIO_ERR_TIMEOUT: nothing was freed, call
/// again. HELIO_ERR_REENTRANT: called from a callback of this client. HELIO_ERR_FORKED: the client is forgotten, the
/// parent's connections are left alone (docs/forking.md). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_client_destroy(client: *mut helio_client, timeout_ms: u32) -> helio_status {
    guard(HELIO_ERR_INTERNAL, || {
        if client.is_null() {
            return HELIO_OK;
        }
        // SAFETY: alive, says the contract.
        if unsafe { &*client }.client.is_forked() {
            return HELIO_ERR_FORKED; // forgotten: its threads and locks exist only in the parent
        }
        let timeout = match timeout_ms {
            HELIO_WAIT_FOREVER => Duration::MAX,
            ms => Duration::from_millis(ms.into()),
        };
        let status = |failure: Failure| failure.status;
        // SAFETY: as above.
        let wound_up = unsafe {
            with_client(client, status, |client| {
                if client.is_inside_callback() {
                    return Status::Reentrant;
                }
                client.shut_down();
                if client.wind_up(timeout) { Status::Ok } else { Status::Timeout }
            })
        };
        if wound_up == Status::Ok {
            // SAFETY: it came from helio_client_create, and no function of it runs any more.
            drop(unsafe { Box::from_raw(client) });
        }
        wound_up.into()
    })
}

/// Let a client go, for finalizers: it shuts down and returns at once. POLL and PULL events that the host has not seen
/// are dropped, THREAD requests still get their DONE, log_fn and notify_fn are called no more (but for a call in progress);
/// its memory goes when the last thread has left. docs/shutdown.md.
///
/// @param client NULL does nothing. No call may start on it from now on. Any thread, also callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_client_release(client: *mut helio_client) {
    guard((), || {
        // SAFETY: the client is NULL or alive, says the contract.
        let status = unsafe { simply(client, |client| client.release()) };
        if status == HELIO_OK {
            // SAFETY: it came from helio_client_create; calls that run hold the client by themselves.
            drop(unsafe { Box::from_raw(client) });
        } // else NULL, or a forked child: forgotten
    });
}
