//! A thousand requests in each way, with everything going wrong at random: on the wire, in the host, and from the
//! side. What is answered to each is a function of the seed, of the request and of the attempt; when it is cancelled
//! and who comes first is up to the system. `HELIO_TEST_SEED` takes the place of the seed.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use flate2::{Compression, write::GzEncoder};
use helio::abi::*;
use serde_json::{Value, json};

use crate::only_in;
use crate::support::c::{Client, Handle, status_name};
use crate::support::call::{Call, Running, receive_for};
use crate::support::chat::{DONE, chunk_of, completion_of, event, finish, finish_with, say};
use crate::support::conn::{Conn, Framing, chunk, head};
use crate::support::delivery::Mode;
use crate::support::dice::{Dice, Seed};
use crate::support::outcome::Outcome;
use crate::support::server::Server;
use crate::support::sync::{Gate, Watch, lock};

const REQUESTS: usize = 1000;
/// Without any fault, when the storm is over.
const AFTERWARDS: usize = 16;
/// So many requests live at a time.
const AT_ONCE: usize = 64;
const BURST: usize = 8;

// ---- the server ----

/// The word of a request at a place; no other request has it.
fn word(number: usize, place: usize) -> String {
    format!("{number}.{place} ")
}

fn words(number: usize, count: usize) -> String {
    (0..count).map(|place| word(number, place)).collect()
}

fn big_word(number: usize, place: usize) -> String {
    word(number, place).repeat(6000)
}

fn stream_of(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut events: Vec<_> = words.map(|word| say(&word)).collect();
    events.extend([finish("stop"), DONE.to_string()]);
    events
}

fn chunked(headers: &[(&str, &str)], pieces: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut all = head(200, headers, Framing::Chunked).into_bytes();
    pieces.iter().for_each(|piece| all.extend(chunk(piece.as_ref())));
    all.extend(b"0\r\n\r\n");
    all
}

fn with_length(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut all = head(status, headers, Framing::Length(body.as_ref().len())).into_bytes();
    all.extend(body.as_ref());
    all
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

const STREAM: (&str, &str) = ("content-type", "text/event-stream");
const JSON: (&str, &str) = ("content-type", "application/json");

/// All bytes of an answer, as it is before something happens to it.
fn answer(dice: &mut Dice, number: usize) -> Vec<u8> {
    let count = 1 + dice.below(60);
    let events = stream_of((0..count).map(|place| word(number, place)));
    let whole = || completion_of(json!({"role": "assistant", "content": words(number, count)}), "stop").to_string();
    match dice.below(24) {
        0..=9 => chunked(&[STREAM], &events),
        10 => chunked(&[STREAM], &[events.concat()]),
        11 => (head(200, &[STREAM], Framing::UntilClose) + &events.concat()).into_bytes(),
        12..=13 => with_length(200, &[JSON], whole()),
        14 => with_length(200, &[JSON, ("content-encoding", "gzip")], gzip(whole().as_bytes())),
        15 => chunked(&[STREAM, ("content-encoding", "gzip")], &[gzip(events.concat().as_bytes())]),
        16 => chunked(&[STREAM], &stream_of((0..1 + count / 8).map(|place| big_word(number, place)))),
        17..=18 => {
            let status = [400, 401, 403, 404, 408, 409, 429, 500, 502, 503, 529][dice.below(11)];
            let retry_after = ["0", "0.02", "1", "90", "soon"][dice.below(5)];
            with_length(status, &[JSON, ("retry-after", retry_after)], r#"{"error":{"message":"not now"}}"#)
        }
        19 => {
            let before = &events[..dice.below(events.len() - 1)];
            let code = [429, 400, 500][dice.below(3)];
            let error = event(json!({"error": {"message": "too much", "code": code}}));
            chunked(&[STREAM], &[before, &[error]].concat())
        }
        20 => {
            let error = event(chunk_of(json!([{"index": 0, "delta": {}, "finish_reason": "error"}])));
            let ends = [DONE.to_string(), finish_with(json!(null)), error, "data: nonsense\n\n".to_string()];
            chunked(&[STREAM], &[&events[..count], &ends[dice.below(4)..][..1]].concat())
        }
        21 => with_length(200, &[("content-type", "text/html")], "<html>It works!</html>"),
        22 => with_length([204, 205, 301, 307][dice.below(4)], &[("location", "/elsewhere")], ""),
        _ => [b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".to_vec(), chunked(&[STREAM], &events)].concat(),
    }
}

/// What happens to an answer on the wire.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Whole,
    InPieces,
    Cut,
    Reset,
    Stall,
    Garbled,
}

fn manner(dice: &mut Dice) -> Manner {
    match dice.below(20) {
        0..=8 => Manner::Whole,
        9..=11 => Manner::InPieces,
        12..=13 => Manner::Cut,
        14..=15 => Manner::Reset,
        16..=17 => Manner::Stall,
        _ => Manner::Garbled,
    }
}

fn play(seed: u64, number: usize, attempt: usize, conn: &mut Conn) {
    let dice = &mut Dice::of(seed, [number, attempt]);
    if number >= REQUESTS {
        return conn.send(chunked(&[STREAM], &stream_of((0..5).map(|place| word(number, place)))));
    }
    let manner = manner(dice);
    let mut bytes = answer(dice, number);
    let until_close = bytes.windows(17).any(|part| part == b"connection: close");
    // Half of the faults happen near the head.
    let near = if dice.one_in(2) { bytes.len().min(300) } else { bytes.len() };
    let at = dice.below(near + 1);
    match manner {
        Manner::Whole => conn.send(bytes),
        Manner::InPieces => {
            let mut rest = &bytes[..];
            for _ in 0..dice.below(30) {
                let piece = dice.below(rest.len().min(200) + 1);
                conn.send(&rest[..piece]);
                rest = &rest[piece..];
                std::thread::sleep(dice.upto_ms(2));
            }
            conn.send(rest);
        }
        Manner::Cut => {
            conn.send(&bytes[..at]);
            conn.cut();
        }
        Manner::Reset => {
            conn.send(&bytes[..at]);
            conn.reset();
        }
        Manner::Stall => {
            conn.send(&bytes[..at]);
            conn.stall();
        }
        Manner::Garbled => {
            for _ in 0..1 + dice.below(3) {
                let place = dice.below(near);
                bytes[place] = dice.next() as u8;
            }
            conn.send(bytes);
            conn.cut(); // nobody knows where it ends
        }
    }
    if until_close && !conn.is_closed() {
        conn.cut();
    }
}

fn stormy_server(seed: u64) -> Server {
    let attempts = Mutex::new(HashMap::<usize, usize>::new());
    Server::new(move |request, conn| {
        let number = request.json()["n"].as_u64().expect("its number") as usize;
        let attempt = {
            let mut attempts = lock(&attempts);
            let count = attempts.entry(number).or_default();
            *count += 1;
            *count - 1
        };
        play(seed, number, attempt, conn);
    })
}

/// Whether what this request hears may be anything at all.
fn may_be_garbled(seed: u64, number: usize) -> bool {
    number < REQUESTS && (0..4).any(|attempt| manner(&mut Dice::of(seed, [number, attempt])) == Manner::Garbled)
}

// ---- the host ----

/// What one request has seen, for those who look from outside.
#[derive(Default)]
struct Record {
    chunks: AtomicUsize,
    /// No more chunks than that, since it was cancelled.
    most: Mutex<Option<usize>>,
    /// Events since a callback has said that it wants no more.
    unwanted: AtomicUsize,
}

/// A request that will be cancelled.
struct Doomed {
    id: u64,
    after: Duration,
    record: Arc<Record>,
}

struct Storm<'a> {
    seed: u64,
    mode: Mode,
    client: &'a Client,
    doomed: mpsc::Sender<Doomed>,
    outcomes: &'a Mutex<Vec<helio_status>>,
}

/// A request that was begun, or is ready to be.
struct Begun<T> {
    number: usize,
    record: Arc<Record>,
    what: T,
}

impl<'a> Storm<'a> {
    fn prepare(&self, number: usize, done: &Arc<Gate>) -> Begun<Call<'a>> {
        let dice = &mut Dice::of(self.seed, [number, 1000]);
        let record = Arc::<Record>::default();
        let streams = !dice.one_in(4);
        let padding = if dice.one_in(20) { "x".repeat(300_000) } else { String::new() };
        let body =
            json!({"model": "m", "n": number, "stream": streams, "messages": [{"role": "user", "content": padding}]});
        let mut call = self.client.call(body.to_string()).mode(self.mode).may_be_cancelled();
        let (mut refuse_at, mut pause) = (None, Duration::ZERO);
        if number < REQUESTS {
            let total_ms = if dice.one_in(8) { 20 + dice.below(300) } else { 900 };
            let mut overrides = json!({"timeouts": {"total_ms": total_ms}});
            if dice.one_in(2) {
                overrides["limits"] = json!({"queue_events": 1 + dice.below(4), "queue_bytes": 1 + dice.below(2000)});
            }
            call = call.overrides(&overrides);
            refuse_at = dice.one_in(8).then(|| dice.below(12));
            pause = if dice.one_in(10) { dice.upto_ms(3) } else { Duration::ZERO };
            if dice.one_in(6) {
                let id = self.client.reserve();
                call = call.id(id);
                let after = dice.upto_ms(2).max(if dice.one_in(2) { Duration::ZERO } else { dice.upto_ms(60) });
                self.doomed.send(Doomed { id, after, record: record.clone() }).unwrap();
            }
        }
        let (seen, done) = (record.clone(), done.clone());
        let mut events = 0;
        let call = call.on_event(move |event| {
            seen.chunks.fetch_add(usize::from(event.is_chunk()), Ordering::SeqCst);
            if event.is_done() {
                done.open();
                return 1; // means nothing
            }
            if refuse_at.is_some_and(|at| events > at) {
                seen.unwanted.fetch_add(1, Ordering::SeqCst);
            }
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
            events += 1;
            i32::from(refuse_at.is_some_and(|at| events > at))
        });
        Begun { number, record, what: call }
    }

    /// Several at once; their events are received elsewhere.
    fn submit(&self, numbers: &[usize]) {
        let done = Gate::new();
        let begun: Vec<Begun<Running<'_>>> = numbers
            .iter()
            .map(|number| {
                let Begun { number, record, what } = self.prepare(*number, &done);
                Begun { number, record, what: what.submit() }
            })
            .collect();
        done.wait_for(begun.iter().filter(|begun| begun.what.id != 0).count());
        for Begun { number, record, what } in begun {
            while !what.is_done() {
                std::thread::yield_now(); // its last callback is about to return
            }
            self.check(number, &record, &what.outcome());
        }
    }

    fn complete(&self, number: usize) {
        let Begun { number, record, what } = self.prepare(number, &Gate::new());
        self.check(number, &record, &what.run());
    }

    /// That there is one DONE, that it is the last, and that all it says fits together was checked by those who
    /// watched; a call that was refused has no events.
    fn check(&self, number: usize, record: &Record, outcome: &Outcome) {
        let name = status_name(outcome.status);
        if number >= REQUESTS {
            assert_eq!(outcome.ok()["choices"][0]["message"]["content"], words(number, 5));
        }
        if outcome.events.is_empty() {
            assert_eq!(outcome.status, HELIO_ERR_CANCELLED, "request {number} was refused: {outcome:?}");
            return;
        }
        let is_of_the_wire = outcome.status <= HELIO_ERR_TIMEOUT && outcome.status > HELIO_ERR_INTERNAL;
        assert!(outcome.status == HELIO_OK || is_of_the_wire, "request {number} ended with {name}: {outcome:?}");
        let text = outcome.done().text.as_deref().unwrap_or_default();
        if !may_be_garbled(self.seed, number) {
            let (small, big) = (words(number, 80), (0..9).map(|place| big_word(number, place)).collect::<String>());
            assert!(small.starts_with(text) || big.starts_with(text), "request {number} heard {text:?}");
        }
        assert_eq!(record.unwanted.load(Ordering::SeqCst), 0, "request {number}: events nobody wanted");
        if let Some(most) = *lock(&record.most) {
            let chunks = record.chunks.load(Ordering::SeqCst);
            assert!(chunks <= most, "request {number}: {chunks} chunks, cancelled at the latest after {most}");
        }
        lock(self.outcomes).push(outcome.status);
    }
}

/// Cancels what is to be cancelled, and disturbs those who wait.
fn cancel(handle: Handle, doomed: &Mutex<mpsc::Receiver<Doomed>>) {
    loop {
        let Ok(Doomed { id, after, record }) = lock(doomed).recv() else { return };
        std::thread::sleep(after);
        assert_eq!(handle.cancel(id), HELIO_OK);
        // One may be in delivery; it counts already, or is about to.
        *lock(&record.most) = Some(record.chunks.load(Ordering::SeqCst) + 1);
        assert_eq!(handle.wakeup(), HELIO_OK);
    }
}

/// Receives until nothing can come any more; mostly without looking at the clock.
fn receive(handle: Handle, mode: Mode, mut dice: Dice) {
    loop {
        let timeout_ms = if dice.one_in(4) { dice.below(3) as u32 } else { HELIO_WAIT_FOREVER };
        match receive_for(handle, mode, timeout_ms, dice.below(4) as u32) {
            HELIO_OK => {}
            HELIO_ERR_SHUT_DOWN => return,
            other => panic!("receiving gave {}", status_name(other)),
        }
    }
}

fn storm(mode: Mode) {
    only_in!([Complete], "each way has a storm of its own here");
    let seed = Seed::of_process();
    let _watch = Watch::over(format!("the storm of {mode:?} with the seed {}", seed.0), Duration::from_secs(180));
    let server = stormy_server(seed.0);
    let config = json!({
        "retry": {"max_retries": 1, "max_server_delay_ms": 1000},
        "limits": {"max_in_flight": AT_ONCE * 2 / 3, "max_threads": AT_ONCE / 2},
    });
    let client = Client::with(&server, config);
    let handle = client.handle();
    let outcomes = Mutex::new(Vec::new());
    let (sender, doomed) = mpsc::channel();
    let doomed = Mutex::new(doomed);
    let storm = |doomed| Storm { seed: seed.0, mode, client: &client, doomed, outcomes: &outcomes };
    let numbers: Vec<usize> = (0..REQUESTS).collect();
    std::thread::scope(|scope| {
        // One thread takes PULL events: with two, who took the earlier one may look at it later.
        let receivers = [(Mode::Poll, 3), (Mode::Pull, 1)].into_iter().find(|(of, _)| *of == mode);
        for number in 0..receivers.map_or(0, |(_, count)| count) {
            let dice = Dice::of(seed.0, [number, 2000]);
            scope.spawn(move || receive(handle, mode, dice));
        }
        for _ in 0..2 {
            scope.spawn(|| cancel(handle, &doomed));
        }
        let lots = if mode == Mode::Complete { AT_ONCE } else { AT_ONCE / BURST };
        let askers: Vec<_> = numbers
            .chunks(REQUESTS.div_ceil(lots))
            .map(|lot| {
                let storm = storm(sender.clone());
                scope.spawn(move || match mode {
                    Mode::Complete => lot.iter().for_each(|number| storm.complete(*number)),
                    _ => lot.chunks(BURST).for_each(|burst| storm.submit(burst)),
                })
            })
            .collect();
        let ends: Vec<_> = askers.into_iter().map(|asker| asker.join()).collect();
        let all_went_well = ends.iter().all(Result::is_ok);
        if all_went_well {
            let (storm, afterwards) = (storm(sender), (REQUESTS..REQUESTS + AFTERWARDS).collect::<Vec<_>>());
            match mode {
                Mode::Complete => afterwards.iter().for_each(|number| storm.complete(*number)),
                _ => storm.submit(&afterwards),
            }
            check_stats(&handle.stats(), &lock(&outcomes));
        } else {
            drop(sender);
        }
        handle.shutdown();
        ends.into_iter().for_each(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    });
}

/// The figures are those of the requests that were begun.
fn check_stats(stats: &Value, outcomes: &[helio_status]) {
    let count = |wanted: fn(helio_status) -> bool| outcomes.iter().filter(|status| wanted(**status)).count();
    let succeeded = count(|status| status == HELIO_OK);
    let cancelled = count(|status| status == HELIO_ERR_CANCELLED);
    let wanted = [
        ("in_flight", 0),
        ("queued", 0),
        ("pending_events", 0),
        ("stuck_lookups", 0),
        ("started", outcomes.len()),
        ("succeeded", succeeded),
        ("cancelled", cancelled),
        ("failed", outcomes.len() - succeeded - cancelled),
    ];
    for (name, wanted) in wanted {
        assert_eq!(stats[name], wanted, "{name} in {stats}");
    }
    assert!(outcomes.len() > REQUESTS * 3 / 4, "hardly any request was begun: {}", outcomes.len());
    assert!(cancelled > 0 && succeeded > AFTERWARDS, "no storm: {stats}");
}

#[test]
fn every_call_that_blocks_ends_once_in_a_storm() {
    storm(Mode::Complete);
}

#[test]
fn every_polled_request_ends_once_in_a_storm() {
    storm(Mode::Poll);
}

#[test]
fn every_pulled_request_ends_once_in_a_storm() {
    storm(Mode::Pull);
}

#[test]
fn every_request_on_a_thread_ends_once_in_a_storm() {
    storm(Mode::Thread);
}
