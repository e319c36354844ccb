//! What lives as long as the client: its config, its requests and their ids, who may run and who waits, the runtime.

mod registry;
mod runtime;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, RwLock};
use std::time::Duration;

use once_cell::sync::OnceCell;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::call::{self, Call, Deadlines, End, Job, Surroundings, Tail};
use crate::config::{Config, check_key};
use crate::deliver::{Receiver, is_inside};
use crate::failure::Failure;
use crate::log::{Level, Log, Sink};
use crate::os;
use crate::secrets::Secrets;
use crate::status::Status;
use crate::text::ZString;
use crate::wire::{Reason, Stop, TlsSetup};
use registry::Registry;
use runtime::Reactor;

const TARGET: &str = "helio::client";
/// So many connections are kept that wait for the end of an answer that is complete.
const PARKED_MOST: usize = 16;

/// A client. All of its functions may be called from any thread.
pub struct Client {
    config: Config,
    tls: TlsSetup,
    api_key: RwLock<Option<String>>,
    log: Log,
    secrets: Arc<RwLock<Secrets>>,
    registry: Registry,
    places: Semaphore,
    waiting: AtomicUsize,
    reactor: OnceCell<Reactor>,
    shut_down: AtomicBool,
    winding_up: AtomicBool,
    process: u32,
    parked: Mutex<Vec<Tail>>,
    calls: Mutex<usize>, // functions of this client that run now
    all_returned: Condvar,
}

/// One blocking request, as the host gives it.
pub struct Ask<'a> {
    /// The request body.
    pub body: &'a [u8],
    /// 0, or an id from [`Client::reserve`].
    pub id: u64,
    /// The per-request part of the config.
    pub overrides: Option<&'a str>,
    /// Who sees the events.
    pub receiver: Option<&'a mut dyn Receiver>,
}

/// What a blocking request gives back.
pub struct Answered {
    /// The outcome.
    pub status: Status,
    /// One `chat.completion`, or what had come of it.
    pub data: Option<ZString>,
    /// Why it failed.
    pub failure: Option<Failure>,
}

impl From<Failure> for Answered {
    fn from(failure: Failure) -> Self {
        Answered { status: failure.status, data: None, failure: Some(failure) }
    }
}

impl Client {
    /// A client with this config (`None`: defaults and environment) that logs up to a level. Starts no thread.
    pub fn new(config: Option<&str>, sink: Option<Arc<Sink>>, log_level: i32) -> Result<Self, Failure> {
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let config = Config::read(config, &environment)?;
        let tls = TlsSetup::new(&config.tls)
            .map_err(|failure| Failure::argument(format!("config key \"tls.{}\" {}", failure.key, failure.why)))?;
        let mut secrets = Secrets::default();
        config.secrets.iter().for_each(|secret| secrets.add(secret));
        let secrets = Arc::new(RwLock::new(secrets));
        let client = Client {
            tls,
            api_key: RwLock::new(config.api_key.clone()),
            log: Log::new(sink, log_level, secrets.clone()),
            secrets,
            registry: Registry::default(),
            places: Semaphore::new(config.max_in_flight),
            waiting: AtomicUsize::new(0),
            reactor: OnceCell::new(),
            shut_down: AtomicBool::new(false),
            winding_up: AtomicBool::new(false),
            process: os::process_id(),
            parked: Mutex::default(),
            calls: Mutex::new(0),
            all_returned: Condvar::new(),
            config,
        };
        client.warn_of_plain_http();
        Ok(client)
    }

    /// What tells this client from others, for as long as it lives.
    pub fn number(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Enter a function of this client; while the guard lives, it is not destroyed. An error in a forked child.
    pub fn enter(&self) -> Result<Entered<'_>, Failure> {
        if self.is_forked() {
            return Err(Failure::new(
                Status::Forked,
                "this process was forked after the client was created: create another client here",
            ));
        }
        *self.running() += 1;
        Ok(Entered(self))
    }

    /// Whether this is a forked child of the process that made the client.
    pub fn is_forked(&self) -> bool {
        self.process != os::process_id()
    }

    /// Use another key from the next attempt on; `None`: none.
    pub fn set_api_key(&self, key: Option<&str>) -> Result<(), Failure> {
        if let Some(key) = key {
            check_key(key).map_err(|why| Failure::argument(format!("the key {why}")))?;
            write(&self.secrets).add(key);
        }
        *write(&self.api_key) = key.filter(|key| !key.is_empty()).map(str::to_owned);
        self.warn_of_plain_http();
        Ok(())
    }

    /// An id for a request that is still to come; 0 when the client is shut down.
    pub fn reserve(&self) -> u64 {
        if self.is_shut_down() { 0 } else { self.registry.reserve() }
    }

    /// Cancel a request, whatever it is doing; any number is fine.
    pub fn cancel(&self, id: u64) {
        self.registry.cancel(id);
    }

    /// Cancel all requests that live.
    pub fn cancel_all(&self) {
        self.registry.stop_all(Reason::Cancelled);
    }

    /// Refuse new requests and end those that live. Never blocks.
    pub fn shut_down(&self) {
        if !self.shut_down.swap(true, Ordering::SeqCst) {
            self.log.write(Level::Debug, TARGET, || "shut down".to_owned());
        }
        self.registry.stop_all(Reason::ShutDown);
    }

    /// Wait until no function of this client runs but the caller's, and end the runtime. `false`: not in time, or
    /// another thread does it.
    pub fn wind_up(&self, timeout: Duration) -> bool {
        if self.winding_up.swap(true, Ordering::SeqCst) {
            return false;
        }
        let until = Instant::now().checked_add(timeout);
        let alone = self.wait_until_alone(until) && {
            if let Some(reactor) = self.reactor.get() {
                reactor.end();
            }
            // Somebody may have come in meanwhile, to be told that the client is shut down.
            self.wait_until_alone(until)
        };
        self.winding_up.store(alone, Ordering::SeqCst);
        alone
    }

    fn wait_until_alone(&self, until: Option<Instant>) -> bool {
        const LONG: Duration = Duration::from_secs(3600);
        let mut running = self.running();
        while *running > 1 {
            let left = until.map_or(LONG, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            running = self.all_returned.wait_timeout(running, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
        true
    }

    /// Whether a callback of this client runs on this thread.
    pub fn is_inside_callback(&self) -> bool {
        is_inside(self.number())
    }

    /// Send a request and wait for its end, on this thread.
    pub fn ask(&self, ask: Ask<'_>) -> Answered {
        let started = Instant::now();
        let Ask { body, id, overrides, mut receiver } = ask;
        let admitted = self.admit(body, id, overrides, started);
        let (job, place) = match admitted {
            Ok(admitted) => admitted,
            Err(failure) => return failure.into(),
        };
        let id = job.id;
        let job = Job { receiver: receiver.as_mut().map(|receiver| &mut **receiver as &mut dyn Receiver), ..job };
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.run(job, place)));
        let mut end = ran.unwrap_or_else(|panic| {
            let failure = crate::failure::of_panic(&*panic);
            End::lost(Failure { message: self.log.mask(failure.message), ..failure }, id, started.elapsed())
        });
        self.registry.finish(id);
        if let Some(receiver) = receiver {
            end.show(id, self.number(), receiver);
        }
        self.park(end.drain());
        Answered { status: end.status, data: end.data, failure: end.failure }
    }

    /// All that can be refused before a request exists.
    fn admit<'a>(
        &self,
        body: &'a [u8],
        id: u64,
        overrides: Option<&str>,
        started: Instant,
    ) -> Result<(Job<'a>, Place<'_>), Failure> {
        if self.is_inside_callback() {
            let message = "a callback of this client cannot wait for another answer of it: return first";
            return Err(Failure::new(Status::Reentrant, message));
        }
        self.registry.check(id)?;
        let facts = call::check(body)?;
        let settings = match overrides {
            Some(overrides) => self.config.with_overrides(overrides)?,
            None => self.config.settings.clone(),
        };
        self.registry.use_up_if_cancelled(id)?;
        if self.config.is_default_endpoint && read(&self.api_key).is_none() {
            let message = "no API key for the Helicone gateway: set HELICONE_API_KEY, or \"api_key\" in the config, or another \"base_url\"";
            return Err(Failure::new(Status::Authentication, message));
        }
        let reactor = self.reactor()?;
        let stop = Arc::new(Stop::default());
        let shut_down = || Failure::new(Status::ShutDown, "the client is shut down: create another");
        if self.is_shut_down() {
            return Err(shut_down());
        }
        let place = self.take_place()?;
        let id = self.registry.begin(id, &stop)?;
        if self.is_shut_down() {
            // It came between: nobody will stop a request that was registered later.
            self.registry.finish(id);
            return Err(shut_down());
        }
        let deadlines = Deadlines::new(settings.timeouts, stop.clone(), reactor.keeper().clone(), started);
        Ok((Job { id, body, facts, settings, stop, deadlines, started, queued: Duration::ZERO, receiver: None }, place))
    }

    fn run(&self, mut job: Job<'_>, place: Place<'_>) -> End {
        let reactor = match self.reactor() {
            Ok(reactor) => reactor,
            Err(failure) => return End::failed(failure),
        };
        let running = match place {
            Place::Runs(running) => Some(running),
            Place::Waits(waiting) => {
                let running = self.wait_to_run(&job.stop, reactor);
                drop(waiting);
                job.queued = job.started.elapsed();
                running
            }
        };
        self.park(None);
        let api_key = || read(&self.api_key).clone();
        let around = Surroundings {
            wire: reactor.wire(),
            runtime: reactor.handle(),
            endpoint: &self.config.endpoint,
            api_key: &api_key,
            log: &self.log,
            client: self.number(),
        };
        let end = Call::new(around, job).run();
        drop(running);
        end
    }

    /// Keep a connection whose answer has not ended yet, and look whether those that were kept have: they go back to
    /// the pool, and the next request finds them there.
    fn park(&self, tail: Option<Tail>) {
        let mut parked = self.parked.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if parked.is_empty() && tail.is_none() {
            return;
        }
        let waiting = std::mem::take(&mut *parked);
        parked.extend(waiting.into_iter().filter_map(Tail::drain).chain(tail));
        let most = parked.len().saturating_sub(PARKED_MOST);
        parked.drain(..most);
    }

    /// A place among those that run, or among those that may wait.
    fn take_place(&self) -> Result<Place<'_>, Failure> {
        if let Ok(running) = self.places.try_acquire() {
            return Ok(Place::Runs(running));
        }
        if self.waiting.fetch_add(1, Ordering::SeqCst) < self.config.max_queued {
            return Ok(Place::Waits(Waiting(&self.waiting)));
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let (running, queued) = (self.config.max_in_flight, self.config.max_queued);
        let message = format!(
            "{running} requests are running and {queued} wait, more are not allowed: wait for one to end, or raise limits.max_in_flight or limits.max_queued"
        );
        Err(Failure { retry_after_ms: Some(self.config.settings.retry.base_ms), ..Failure::new(Status::Busy, message) })
    }

    /// First come, first served. None: the call was stopped while it waited.
    fn wait_to_run(&self, stop: &Stop, reactor: &Reactor) -> Option<SemaphorePermit<'_>> {
        reactor.handle().block_on(async {
            tokio::select! {
                biased;
                _ = stop.pulled() => None,
                place = self.places.acquire() => place.ok(),
            }
        })
    }

    fn reactor(&self) -> Result<&Reactor, Failure> {
        self.reactor.get_or_try_init(|| Reactor::start(&self.config, self.tls.clone()))
    }

    fn is_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::SeqCst)
    }

    fn warn_of_plain_http(&self) {
        let endpoint = &self.config.endpoint.uri;
        let host = endpoint.host().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        let is_here = host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback());
        if endpoint.scheme_str() == Some("http") && !is_here && read(&self.api_key).is_some() {
            self.log.write(Level::Warn, TARGET, || {
                format!("the API key goes to {host} over plain http, where others can read it: use https")
            });
        }
    }

    fn running(&self) -> MutexGuard<'_, usize> {
        self.calls.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Where a request stands.
enum Place<'a> {
    Runs(SemaphorePermit<'a>),
    Waits(Waiting<'a>),
}

/// One of those that wait.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A function of the client runs.
pub struct Entered<'a>(&'a Client);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut running = self.0.running();
        *running -= 1;
        if *running <= 1 && self.0.winding_up.load(Ordering::SeqCst) {
            self.0.all_returned.notify_all();
        }
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}
