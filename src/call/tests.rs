//! Attempts, waits and deadlines of a call under paused time: what a server said comes in as a value, and every
//! millisecond is seen.

use super::*;
use crate::chat::refusal;
use crate::config::Config;
use crate::deliver::Outlet;
use crate::secrets::Secrets;
use crate::wire::{TlsOptions, TlsSetup, WireOptions};

struct Nobody;

impl Ticket for Nobody {
    fn over(&mut self, _: Status) {}
}

/// A call with this config, whose clock stands still unless everybody waits.
fn call(config: &str) -> Call<'static> {
    let config = Config::read(Some(config), &|_| None).unwrap();
    let runtime = Handle::current();
    let wire = Wire::new(WireOptions {
        tls: TlsSetup::new(&TlsOptions::default()).unwrap(),
        proxy: None,
        runtime: runtime.clone(),
        max_head_bytes: 1 << 16,
        idle: Default::default(),
        common_headers: ["test", "identity"],
    });
    let around = Surroundings {
        wire,
        runtime,
        endpoint: config.endpoint.clone(),
        authorization: Arc::default(),
        log: Log::new(None, 0, Arc::new(RwLock::new(Secrets::default()))),
        retries: AtomicU64::new(0),
        limiter: None,
    };
    let (stop, keeper, started) = (Arc::<Stop>::default(), Arc::<Keeper>::default(), Instant::now());
    tokio::spawn(keeper.clone().watch());
    let settings = config.settings;
    let job = Job {
        id: 7,
        body: Cow::Borrowed(b"{}"),
        facts: Facts { streams: true, choices: 1 },
        explains: false,
        deadlines: Deadlines::new(settings.timeouts, stop.clone(), keeper, started),
        settings,
        stop,
        started,
    };
    let completer = Completer::new(7, 1, started, Outlet::Nobody, Box::new(Nobody));
    Call::new(Arc::new(around), job, completer)
}

/// The end of an attempt that a server has refused like this.
fn refused(call: &mut Call<'_>, http_status: u16, headers: &[(&'static str, &str)]) -> Next {
    call.http_status = http_status;
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let refusal = refusal::understand(http_status, "");
    let failed = Failed {
        by_table: refusal::is_retried(refusal.stands_for),
        wish: retry::Wish::read(&headers, call.job.deadlines.clock().time_of_day()),
        ..Failed::new(Failure::new(refusal.status, "refused"))
    };
    call.record(refusal.status, false);
    call.after(Box::new(Ended { outcome: Err(Box::new(failed)), tail: None }))
}

fn end(next: Next) -> Box<End> {
    match next {
        Next::Over(end) => end,
        Next::Again(wait_ms) => panic!("again in {wait_ms} ms"),
    }
}

fn report(end: &End) -> serde_json::Value {
    serde_json::from_str(end.failure.as_ref().unwrap().report.as_ref().unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_wait_doubles_and_lasts_to_the_millisecond() {
    let mut call = call(r#"{"api_key":"k","retry":{"max_retries":5,"base_ms":500,"max_ms":3000,"jitter":0}}"#);
    for wanted in [500, 1000, 2000, 3000, 3000] {
        let Next::Again(wait_ms) = refused(&mut call, 503, &[]) else { panic!("it was the last") };
        let since = Instant::now();
        assert!(call.back_off(wait_ms).await);
        assert_eq!((wait_ms, since.elapsed()), (wanted, Duration::from_millis(wanted)));
    }
    let end = end(refused(&mut call, 503, &[]));
    assert_eq!((end.status, call.around.retries.load(Ordering::Relaxed)), (Status::Overloaded, 5));
    let report = report(&end);
    let waits: Vec<_> = report["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["wait_ms"]).collect();
    assert_eq!(serde_json::json!(waits), serde_json::json!([500, 1000, 2000, 3000, 3000, null]));
    assert_eq!(report["us"]["total"], 9_500_000);
}

#[cfg(feature = "fault-injection")]
#[tokio::test(start_paused = true)]
async fn chance_shortens_a_wait_by_its_share_of_the_jitter() {
    for (chance, wanted) in [(0.0, 1000), (0.5, 800), (1.0, 600)] {
        let mut call = call(r#"{"api_key":"k","retry":{"base_ms":1000,"jitter":0.4}}"#);
        call.job.deadlines.clock().set_chance(chance);
        assert!(matches!(refused(&mut call, 500, &[]), Next::Again(wait_ms) if wait_ms == wanted), "{chance}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_servers_wait_replaces_ours_and_has_no_jitter() {
    let mut call = call(r#"{"api_key":"k"}"#);
    let Next::Again(wait_ms) = refused(&mut call, 429, &[("retry-after", "7")]) else { panic!("it was the last") };
    let since = Instant::now();
    assert!(call.back_off(wait_ms).await);
    assert_eq!(since.elapsed(), Duration::from_secs(7));
    let end = end(refused(&mut call, 429, &[("retry-after-ms", "60001")]));
    assert_eq!(end.failure.as_ref().unwrap().retry_after_ms, Some(60_001), "longer than it may be");
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_which_the_total_leaves_no_room_is_not_begun() {
    let mut call = call(r#"{"api_key":"k","timeouts":{"total_ms":10000}}"#);
    let Next::Again(wait_ms) = refused(&mut call, 503, &[("retry-after", "9")]) else { panic!("there was room") };
    assert!(call.back_off(wait_ms).await);
    let end = end(refused(&mut call, 503, &[("retry-after", "1")]));
    assert_eq!(end.failure.as_ref().unwrap().retry_after_ms, Some(1000), "one second is left, and it takes one");
    assert_eq!((end.status, call.job.started.elapsed()), (Status::Overloaded, Duration::from_secs(9)));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_wait_at_once() {
    for reason in [Reason::Cancelled, Reason::ShutDown] {
        let mut call = call(r#"{"api_key":"k"}"#);
        let Next::Again(wait_ms) = refused(&mut call, 503, &[("retry-after", "50")]) else { panic!("it was the last") };
        let (stop, since) = (call.stop().clone(), Instant::now());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            stop.pull(reason);
        });
        assert!(!call.back_off(wait_ms).await);
        assert_eq!(since.elapsed(), Duration::from_secs(3));
        let status = if reason == Reason::Cancelled { Status::Cancelled } else { Status::ShutDown };
        assert_eq!(call.end_stopped().status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn no_deadline_of_an_attempt_counts_while_a_call_backs_off() {
    let mut call =
        call(r#"{"api_key":"k","timeouts":{"connect_ms":10,"first_event_ms":10,"idle_ms":10,"total_ms":60000}}"#);
    call.job.deadlines.enter(Phase::FirstEvent, call.now());
    let Next::Again(wait_ms) = refused(&mut call, 503, &[("retry-after", "50")]) else { panic!("it was the last") };
    assert!(call.back_off(wait_ms).await);
    assert_eq!(call.stop().reason(), None);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_named_with_its_value_and_the_time_that_had_passed() {
    for (phase, name, ms) in [
        (Phase::Connect, "connect", 1000),
        (Phase::FirstEvent, "first_event", 2000),
        (Phase::Idle, "idle", 3000),
        (Phase::Settle(Duration::from_secs(60)), "total", 4000),
    ] {
        let mut call = call(
            r#"{"api_key":"k","timeouts":{"connect_ms":1000,"first_event_ms":2000,"idle_ms":3000,"total_ms":4000},
                "retry":{"max_retries":0}}"#,
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
        call.job.deadlines.enter(phase, call.now());
        assert!(matches!(call.stop().pulled().await, Reason::Deadline(which) if which.name() == name));
        let end = call.end_stopped();
        let failure = end.failure.as_ref().unwrap();
        let passed = if name == "total" { ms } else { ms + 500 };
        assert_eq!((failure.status, failure.code.as_deref()), (Status::Timeout, Some(name)));
        for word in [format!("within {ms} ms"), format!("timeouts.{name}_ms"), format!("{passed} ms had passed")] {
            assert!(failure.message.contains(&word), "{} does not say {word:?}", failure.message);
        }
        let report = report(&end);
        assert_eq!((&report["timeout"], &report["timeout_ms"]), (&name.into(), &ms.into()));
        assert_eq!(report["us"]["total"], passed * 1000);
    }
}
