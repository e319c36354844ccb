//! What lives as long as the client: its config, its requests and their ids, who may run and who waits, the threads,
//! the runtime, and the mailboxes.

mod ending;
mod places;
mod prewarm;
mod registry;
mod runtime;
mod stats;
mod submit;
mod threads;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock};

use once_cell::sync::OnceCell;
use tokio::time::Instant;
use ureq::http::HeaderValue;

use crate::call::{self, Call, Completer, Deadlines, End, Job, Limiter, Tail, Ticket};
use crate::check::{self, Mode};
use crate::clock::Clock;
use crate::config::{self, Config, Settings};
use crate::deliver::{Delivery, Mailroom, Notify, Outlet, Received, Receiver, Taken, is_inside};
use crate::failure::Failure;
use crate::log::{Level, Log, Sink};
use crate::os;
use crate::secrets::Secrets;
use crate::status::Status;
use crate::text::ZString;
use crate::wire::{Reason, Stop, TlsSetup};
use ending::Attendance;
use places::{Place, Places};
use registry::Registry;
use runtime::Reactor;
use stats::Counters;
use threads::Threads;

const TARGET: &str = "helio::client";
/// So many connections are kept that wait for the end of an answer that is complete.
const PARKED_MOST: usize = 16;

/// A client. All of its functions may be called from any thread.
pub struct Client {
    config: Config,
    tls: TlsSetup,
    authorization: Arc<RwLock<Option<HeaderValue>>>,
    log: Log,
    clock: Clock,
    secrets: Arc<RwLock<Secrets>>,
    registry: Registry,
    places: Places,
    limiter: Option<Arc<Limiter>>,
    threads: Arc<Threads>,
    reactor: OnceCell<Reactor>,
    mailroom: Arc<Mailroom>,
    counters: Counters,
    parked: Mutex<Vec<Tail>>,
    process: u32,
    shut_down: AtomicBool,
    winding_up: AtomicBool,
    attendance: Mutex<Attendance>,
    somebody_left: Condvar,
}

/// A request, as the host gives it.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The request body.
    pub body: &'a [u8],
    /// 0, or an id from [`Client::reserve`].
    pub id: u64,
    /// The per-request part of the config.
    pub overrides: Option<&'a str>,
}

/// How the events of a submitted request reach the host.
pub enum Way {
    /// Shown to this inside [`Client::poll`].
    Poll(Box<dyn Receiver>),
    /// Taken with [`Client::next_event`], this with each of them.
    Pull(usize),
    /// Shown to this on a thread of the client's.
    Thread(Box<dyn Receiver>),
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

fn shut_down() -> Failure {
    Failure::new(Status::ShutDown, "the client is shut down: create another")
}

impl Client {
    /// A client with this config (`None`: defaults and environment) that logs up to a level. Starts no thread.
    pub fn new(
        config: Option<&str>,
        sink: Option<Arc<Sink>>,
        log_level: i32,
        notify: Option<Box<Notify>>,
    ) -> Result<Self, Failure> {
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let config = Config::read(config, &environment)?;
        let tls = TlsSetup::new(&config.tls)
            .map_err(|failure| Failure::argument(format!("config key \"tls.{}\" {}", failure.key, failure.why)))?;
        // Of headers, also for requests that send others in their place.
        let mut secrets = config.settings.secrets.clone();
        config.secrets.iter().for_each(|secret| secrets.add(secret));
        let secrets = Arc::new(RwLock::new(secrets));
        let clock = Clock::default();
        let limiter = Limiter::new(clock.clone(), config.requests_per_minute, config.tokens_per_minute).map(Arc::new);
        let client = Client {
            tls,
            authorization: Arc::new(RwLock::new(config.authorization.clone())),
            log: Log::new(sink, log_level, secrets.clone()),
            clock,
            secrets,
            registry: Registry::default(),
            places: Places::new(&config, limiter.clone()),
            limiter,
            threads: Arc::new(Threads::new(config.max_threads)),
            reactor: OnceCell::new(),
            mailroom: Arc::new(Mailroom::new(notify)),
            counters: Counters::default(),
            parked: Mutex::default(),
            process: os::process_id(),
            shut_down: AtomicBool::new(false),
            winding_up: AtomicBool::new(false),
            attendance: Mutex::default(),
            somebody_left: Condvar::new(),
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
        self.comes_in();
        Ok(Entered(self))
    }

    /// Whether this is a forked child of the process that made the client.
    pub fn is_forked(&self) -> bool {
        self.process != os::process_id()
    }

    /// Use another key from the next attempt on; `None`: none.
    pub fn set_api_key(&self, key: Option<&str>) -> Result<(), Failure> {
        let key = key.filter(|key| !key.is_empty());
        let authorization = key.map(config::authorization).transpose();
        let authorization = authorization.map_err(|why| Failure::argument(format!("the key {why}")))?;
        if let Some(key) = key {
            write(&self.secrets).add(key);
        }
        *write(&self.authorization) = authorization;
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
        self.mailroom.silence(id);
    }

    /// Cancel all requests that live.
    pub fn cancel_all(&self) {
        self.registry.stop_all(Reason::Cancelled, false);
        self.mailroom.silence_all();
    }

    /// Whether a callback of this client runs on this thread.
    pub fn is_inside_callback(&self) -> bool {
        is_inside(self.number())
    }

    /// Send a request and wait for its end, on this thread.
    pub fn ask(self: &Arc<Self>, ask: Ask<'_>, receiver: Option<Box<dyn Receiver + '_>>) -> Answered {
        if let Err(failure) = self.refuse_reentrance() {
            return failure.into();
        }
        let Admitted { request, reactor, place } = match self.admit(ask) {
            Ok(admitted) => admitted,
            Err(failure) => return failure.into(),
        };
        self.counters.start();
        let outlet = receiver.map_or(Outlet::Nobody, Outlet::Here);
        let mut call = request.into_call(Cow::Borrowed(ask.body), outlet, reactor);
        let stop = call.stop().clone();
        let Some(permit) = place.wait_here(&stop, reactor.handle()) else {
            let end = call.end_stopped();
            return self.answer(call, end);
        };
        call.admitted(Box::new(permit));
        self.park(None);
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call.run()));
        let end = ran.unwrap_or_else(|panic| call.end_failed(crate::failure::of_panic(&*panic)));
        self.answer(call, end)
    }

    fn answer(&self, call: Call<'_>, mut end: End) -> Answered {
        let answered =
            |end: &mut End| Answered { status: end.status, data: end.data.take(), failure: end.failure.take() };
        let tail = call.complete(&mut end);
        self.park(tail);
        answered(&mut end)
    }

    /// Begin a request, and return. `told` hears its id before any of its events can be seen.
    pub fn submit(self: &Arc<Self>, ask: Ask<'_>, way: Way, told: impl FnOnce(u64)) -> Result<(), Failure> {
        let Admitted { request, reactor, place } = self.admit(ask)?;
        let (id, limits) = (request.id, request.settings.queue);
        let queued = |delivery, receiver, tag| {
            self.mailroom.open(delivery, id, limits, receiver, tag);
            Outlet::Queue(delivery, self.mailroom.clone())
        };
        let outlet = match way {
            Way::Thread(receiver) => Outlet::Thread(receiver, self.threads.clone()),
            Way::Poll(receiver) => queued(Delivery::Poll, Some(receiver), 0),
            Way::Pull(tag) => queued(Delivery::Pull, None, tag),
        };
        if self.is_shut_down() {
            // Who receives may have been told already that nothing can come any more.
            self.mailroom.withdraw(id);
            return Err(shut_down());
        }
        self.counters.start();
        told(id);
        let call = Box::new(request.into_call(Cow::Owned(ask.body.to_vec()), outlet, reactor));
        reactor.handle().spawn(submit::accompany(self.clone(), call, place));
        Ok(())
    }

    /// Run the callbacks of what is pending, at most `most` (0: all of it); wait for the first until then.
    pub fn poll(&self, until: Option<std::time::Instant>, most: u32) -> Received {
        if self.is_inside_callback() {
            return Received { status: Status::Reentrant, count: 0 };
        }
        self.mailroom.poll(until, most, self.number(), &|id| self.cancel(id))
    }

    /// Take one event; wait for it until then.
    pub fn next_event(&self, until: Option<std::time::Instant>) -> Result<Option<Taken>, Status> {
        if self.is_inside_callback() {
            return Err(Status::Reentrant);
        }
        self.mailroom.next(until)
    }

    /// By which its deadlines and waits go.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where events wait for the host.
    pub fn mailroom(&self) -> &Mailroom {
        &self.mailroom
    }

    fn refuse_reentrance(&self) -> Result<(), Failure> {
        if !self.is_inside_callback() {
            return Ok(());
        }
        let message =
            "a callback of this client cannot wait for another answer of it: return first, or use helio_submit";
        Err(Failure::new(Status::Reentrant, message))
    }

    /// All that can be refused before a request exists.
    fn admit(self: &Arc<Self>, ask: Ask<'_>) -> Result<Admitted<'_>, Failure> {
        let started = self.clock.now();
        self.registry.check(ask.id)?;
        let (body, facts) = call::read(ask.body)?;
        let settings = match ask.overrides {
            Some(overrides) => self.config.with_overrides(overrides)?,
            None => self.config.settings.clone(),
        };
        let findings = self.examine(body, &settings)?;
        self.registry.use_up_if_cancelled(ask.id)?;
        if self.config.is_default_endpoint && read(&self.authorization).is_none() {
            let message = "no API key for the Helicone gateway: set HELICONE_API_KEY, or \"api_key\" in the config, or another \"base_url\"";
            return Err(Failure::new(Status::Authentication, message));
        }
        if self.is_shut_down() {
            return Err(shut_down());
        }
        let reactor = self.reactor()?;
        let stop = Arc::new(Stop::default());
        let (id, place) = self.registry.begin(ask.id, &stop, || self.places.take(reactor.handle()))?;
        let ticket = Member::new(self, id);
        if self.is_shut_down() {
            // It came between: nobody will stop a request that was registered later.
            return Err(shut_down());
        }
        self.warn_of(&findings, id, &settings);
        let deadlines = Deadlines::new(settings.timeouts, stop.clone(), reactor.keeper().clone(), started);
        let explains = self.mode_of(&settings) == Mode::Warn;
        let request =
            Request { id, facts, explains, settings, stop, deadlines, started, client: self.number(), ticket };
        Ok(Admitted { request, reactor, place })
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

    fn reactor(&self) -> Result<&Reactor, Failure> {
        let start = || {
            let (tls, authorization, log) = (self.tls.clone(), self.authorization.clone(), self.log.clone());
            Reactor::start(&self.config, tls, authorization, log, self.clock.clone(), self.limiter.clone())
        };
        self.reactor.get_or_try_init(start)
    }

    fn is_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::SeqCst)
    }

    /// What the endpoint will not take of a request, for the log; the refusal of one that may not go out with it.
    fn examine(&self, body: &str, settings: &Settings) -> Result<Vec<String>, Failure> {
        let mode = self.mode_of(settings);
        let is_asked_for = mode == Mode::Strict || (mode == Mode::Warn && self.log.is_read(Level::Warn));
        let findings = if is_asked_for { check::findings(body) } else { Vec::new() };
        if mode == Mode::Warn || findings.is_empty() {
            return Ok(findings);
        }
        let message = format!(
            "the request was not sent, the endpoint would refuse it: {} (checked because \"validate\" is \"strict\")",
            findings.join("; ")
        );
        Err(Failure::argument(self.log.mask_with(&settings.secrets, message)))
    }

    fn mode_of(&self, settings: &Settings) -> Mode {
        settings.validate.unwrap_or(self.config.usual_check)
    }

    fn warn_of(&self, findings: &[String], id: u64, settings: &Settings) {
        for finding in findings {
            let mask = |text| self.log.mask_with(&settings.secrets, text);
            self.log.write(Level::Warn, TARGET, || mask(format!("request {id} may be refused: {finding}")));
        }
    }

    fn warn_of_plain_http(&self) {
        let endpoint = &self.config.endpoint.uri;
        let host = endpoint.host().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        let is_here = host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback());
        if endpoint.scheme_str() == Some("http") && !is_here && read(&self.authorization).is_some() {
            self.log.write(Level::Warn, TARGET, || {
                format!("the API key goes to {host} over plain http, where others can read it: use https")
            });
        }
    }
}

/// A request that was accepted.
struct Admitted<'a> {
    request: Request,
    reactor: &'a Reactor,
    place: Place,
}

struct Request {
    id: u64,
    facts: call::Facts,
    explains: bool,
    settings: Arc<Settings>,
    stop: Arc<Stop>,
    deadlines: Arc<Deadlines>,
    started: Instant,
    client: usize,
    ticket: Member,
}

impl Request {
    fn into_call<'a>(self, body: Cow<'a, [u8]>, outlet: Outlet<'a>, reactor: &Reactor) -> Call<'a> {
        let Request { id, facts, explains, settings, stop, deadlines, started, client, ticket } = self;
        let completer = Completer::new(id, client, started, outlet, Box::new(ticket));
        Call::new(
            reactor.around().clone(),
            Job { id, body, facts, explains, settings, stop, deadlines, started },
            completer,
        )
    }
}

/// A request of the client that lives until its end was shown.
struct Member {
    client: Arc<Client>,
    id: u64,
    was_counted: bool,
}

impl Member {
    fn new(client: &Arc<Client>, id: u64) -> Self {
        client.begins();
        Member { client: client.clone(), id, was_counted: false }
    }
}

impl Ticket for Member {
    fn over(&mut self, status: Status) {
        self.client.registry.finish(self.id);
        self.client.counters.end(status);
        self.was_counted = true;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if !self.was_counted {
            self.client.registry.finish(self.id); // it never began
        }
        self.client.ends();
    }
}

/// A function of the client runs.
pub struct Entered<'a>(&'a Client);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.goes_out();
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}
