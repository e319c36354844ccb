//! The exported C functions, called as a C program calls them, with everything they hand out copied and freed.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{dangling_mut, null};
use std::sync::Mutex;
use std::time::Duration;

use helio::abi::*;
use serde_json::{Value, json};

use super::call::Call;
use super::certs;
use super::copied::{self, take_error};
use super::outcome::{Failure, Outcome};
use super::server::Server;
use super::sync::{Watch, lock};

/// The key that the tests' clients have. It must never be seen in anything but a request.
pub const KEY: &str = "sk-test-4f1d9b7c2e8a6035";

/// No call of a scenario takes as long as this.
pub const CALL_BOUND: Duration = Duration::from_secs(60);

/// One `helio_client`. Dropping it destroys the client, which must succeed.
pub struct Client {
    handle: Handle,
    logs: Box<Logs>,
    /// What may not appear in logs, errors and reports.
    secrets: Vec<String>,
}

/// The bare pointer, for callbacks and other threads.
#[derive(Clone, Copy)]
pub struct Handle(pub *mut helio_client);

// SAFETY: every function of a helio_client is thread-safe; that is a promise of the library under test.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

#[derive(Default)]
struct Logs(Mutex<Vec<String>>);

/// Puts `patch` over `base`, object by object.
pub fn merged(mut base: Value, patch: &Value) -> Value {
    match (&mut base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                let under = base.get(key).cloned().unwrap_or_default();
                base.insert(key.clone(), merged(under, value));
            }
        }
        (base, patch) => *base = patch.clone(),
    }
    base
}

/// The config for this server: its URL, a key, and retries that do not make a test wait.
pub fn config_for(server: &Server) -> Value {
    let mut config = config_of(&server.url());
    if server.origin().starts_with("https") {
        config["tls"] = json!({"ca_pem": certs::ours().pem});
    }
    config
}

/// The same for any URL.
pub fn config_of(url: &str) -> Value {
    json!({"base_url": url, "api_key": KEY, "retry": {"base_ms": 1, "max_ms": 5}})
}

impl Client {
    /// A client of this server.
    pub fn of(server: &Server) -> Client {
        Client::new(&config_for(server))
    }

    /// A client of this server with something else in its config.
    pub fn with(server: &Server, patch: Value) -> Client {
        Client::new(&merged(config_for(server), &patch))
    }

    /// A client that must come about.
    pub fn new(config: &Value) -> Client {
        Client::try_new(Some(config.to_string().as_bytes())).unwrap_or_else(|error| panic!("no client: {error:#?}"))
    }

    /// What `helio_client_create` says to this config, which need not be JSON.
    pub fn try_new(config: Option<&[u8]>) -> Result<Client, Box<Failure>> {
        let logs = Box::<Logs>::default();
        let mut options = client_options();
        if let Some(config) = config {
            options.config = config.as_ptr().cast();
            options.config_len = config.len();
        }
        options.log_fn = Some(on_log);
        options.log_user_data = (&raw const *logs).cast_mut().cast();
        options.log_level = HELIO_LOG_TRACE;
        let handle = create(&options)?;
        Ok(Client { handle, logs, secrets: vec![KEY.to_string()] })
    }

    /// Something else that no log, error or report may show.
    pub fn keep_secret(mut self, secret: &str) -> Client {
        self.secrets.push(secret.to_string());
        self
    }

    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Asks with events being watched.
    pub fn ask(&self, body: impl AsRef<[u8]>) -> Outcome {
        self.call(body).run()
    }

    /// Prepares a call.
    pub fn call(&self, body: impl AsRef<[u8]>) -> Call<'_> {
        Call::new(self.handle, &self.secrets, body.as_ref())
    }

    pub fn reserve(&self) -> u64 {
        self.handle.reserve()
    }

    pub fn cancel(&self, id: u64) -> helio_status {
        self.handle.cancel(id)
    }

    /// For a client that the test destroys itself.
    pub fn into_handle(self) -> Handle {
        let handle = self.handle;
        lock(&KEPT).push(self);
        handle
    }

    /// What has been logged so far.
    pub fn logs(&self) -> Vec<String> {
        lock(&self.logs.0).clone()
    }
}

/// Clients that their tests destroy: what they log into stays.
static KEPT: Mutex<Vec<Client>> = Mutex::new(Vec::new());

impl Drop for Client {
    fn drop(&mut self) {
        let status = self.handle.destroy(30_000);
        if std::thread::panicking() {
            return;
        }
        assert_eq!(status, HELIO_OK, "destroy: {}", status_name(status));
        for line in lock(&self.logs.0).iter() {
            for secret in &self.secrets {
                assert!(!line.contains(secret.as_str()), "a log line shows a secret: {line}");
            }
        }
    }
}

impl Handle {
    pub fn reserve(self) -> u64 {
        // SAFETY: the client lives as long as its tests call it.
        unsafe { helio_reserve(self.0) }
    }

    pub fn cancel(self, id: u64) -> helio_status {
        // SAFETY: as above.
        unsafe { helio_cancel(self.0, id) }
    }

    pub fn cancel_all(self) -> helio_status {
        // SAFETY: as above.
        unsafe { helio_cancel_all(self.0) }
    }

    pub fn shutdown(self) -> helio_status {
        // SAFETY: as above.
        unsafe { helio_client_shutdown(self.0) }
    }

    /// After `HELIO_OK` the handle is dead.
    pub fn destroy(self, timeout_ms: u32) -> helio_status {
        let _watch = Watch::over("helio_client_destroy", CALL_BOUND);
        // SAFETY: as above. The callbacks of POLL requests may run here.
        super::delivery::polling(|| unsafe { helio_client_destroy(self.0, timeout_ms) })
    }

    pub fn set_api_key(self, key: Option<&str>) -> helio_status {
        let (data, len) = key.map_or((null(), 0), |key| (key.as_ptr().cast(), key.len()));
        // SAFETY: as above; the key is given with its length.
        unsafe { helio_client_set_api_key(self.0, data, len) }
    }

    /// A call on the bare pointer, where no [`Client`] is at hand.
    pub fn ask(self, body: impl AsRef<[u8]>) -> Outcome {
        Call::new(self, &[], body.as_ref()).run()
    }
}

unsafe extern "C" fn on_log(
    level: i32,
    target: *const c_char,
    message: *const c_char,
    len: usize,
    user_data: *mut c_void,
) {
    // SAFETY: `user_data` is the client's `Logs`, which are dropped after the client was destroyed.
    let logs = unsafe { &*user_data.cast::<Logs>() };
    // SAFETY: the library gives a target that ends in NUL, and a message with its length.
    let (target, message) =
        unsafe { (CStr::from_ptr(target).to_string_lossy(), copied::text(message, len).unwrap_or_default()) };
    lock(&logs.0).push(format!("{level} {target}: {message}"));
}

/// Creates a client from these options as they are.
pub fn create(options: &helio_client_options) -> Result<Handle, Box<Failure>> {
    let (mut client, mut error) = (dangling_mut(), dangling_mut());
    // SAFETY: all pointers are valid for the call.
    let status = unsafe { helio_client_create(options, &mut client, &mut error) };
    let failure = take_error(error);
    if status == HELIO_OK {
        assert!(failure.is_none(), "OK with an error: {failure:#?}");
        assert!(!client.is_null(), "OK without a client");
        return Ok(Handle(client));
    }
    assert!(client.is_null(), "a client together with {}", status_name(status));
    let failure = failure.unwrap_or_else(|| panic!("{} without an error", status_name(status)));
    assert_eq!(failure.status, status, "the error's status");
    assert!(!failure.message.contains(KEY), "the key in {:?}", failure.message);
    Err(Box::new(failure))
}

/// Initialised client options.
pub fn client_options() -> helio_client_options {
    let mut options = std::mem::MaybeUninit::zeroed();
    // SAFETY: there is room for the struct, and all zeroes are valid for it.
    unsafe {
        helio_client_options_init(options.as_mut_ptr(), size_of::<helio_client_options>() as u32);
        options.assume_init()
    }
}

/// Initialised request options.
pub fn request_options() -> helio_request_options {
    let mut options = std::mem::MaybeUninit::zeroed();
    // SAFETY: as above.
    unsafe {
        helio_request_options_init(options.as_mut_ptr(), size_of::<helio_request_options>() as u32);
        options.assume_init()
    }
}

/// The name of a status.
pub fn status_name(status: helio_status) -> &'static str {
    // SAFETY: the names are static and end in NUL.
    unsafe { CStr::from_ptr(helio_status_name(status)) }.to_str().expect("a name in UTF-8")
}

/// Whether the library has this feature.
pub fn has_feature(name: &str) -> i32 {
    let name = CString::new(name).expect("no NUL");
    // SAFETY: the name ends in NUL.
    unsafe { helio_has_feature(name.as_ptr()) }
}
