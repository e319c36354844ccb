//! Requests that do not block the host: who runs which step of a call where.
//!
//! One task on the internal runtime goes with each request. It waits there for its turn, for a thread and between
//! attempts; the way to the head of an answer is gone on a thread. From there a plain stream whose events are queued
//! is read by the task; whatever else, and every THREAD request, is read to its end on the thread.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use super::Client;
use super::places::Place;
use super::threads::Seat;
use crate::call::{Call, Ended, Next, Opened, Pause, ReadBuffer, Reading, Tail};
use crate::failure::Failure;
use crate::wire::{Readable, Watch};

/// The end of a body that is later than its `[DONE]` is waited for so long, for the sake of the connection.
const LINGER: Duration = Duration::from_secs(1);

type Submitted = Box<Call<'static>>;

/// What is left to do when a thread has done its part.
enum Step {
    /// Read the rest of the answer.
    Read(Box<Reading>),
    /// Try again after so many milliseconds.
    BackOff(u64),
}

/// Go with a request to its end. A panic in here drops the call, which ends it.
///
/// The task of a stream is mostly waiting for its connection: what it waits for seldom is boxed, so that it stays small.
pub(super) async fn accompany(client: Arc<Client>, mut call: Submitted, place: Place) {
    let stop = call.stop().clone();
    match Box::pin(place.wait(&stop)).await {
        Some(permit) => call.admitted(Box::new(permit)),
        None => return end_stopped(&client, call),
    }
    let mut rest = None;
    loop {
        let seat = tokio::select! {
            biased;
            _ = stop.pulled() => None,
            seat = client.threads.seat() => seat,
        };
        let Some(seat) = seat else { return end_stopped(&client, call) };
        let Some((back, step)) = on_thread(&client, seat, call, rest.take()).await else { return };
        call = back;
        let wait_ms = match step {
            Step::BackOff(wait_ms) => wait_ms,
            Step::Read(reading) => match read(&mut call, reading).await {
                Err(reading) => {
                    rest = Some(reading);
                    continue;
                }
                Ok(ended) => match call.after(ended) {
                    Next::Again(wait_ms) => wait_ms,
                    Next::Over(mut end) => {
                        let tail = call.complete(&mut end);
                        drop(client);
                        return Box::pin(linger(tail)).await;
                    }
                },
            },
        };
        if !Box::pin(call.back_off(wait_ms)).await {
            return end_stopped(&client, call);
        }
    }
}

fn end_stopped(client: &Client, mut call: Submitted) {
    let mut end = call.end_stopped();
    client.park(call.complete(&mut end));
}

/// An attempt, or the rest of one, on a thread. `None`: it was the last.
async fn on_thread(
    client: &Arc<Client>,
    seat: Seat,
    call: Submitted,
    rest: Option<Box<Reading>>,
) -> Option<(Submitted, Step)> {
    let cargo = Arc::new(Mutex::new(Some((call, rest))));
    let (hand_back, handed_back) = oneshot::channel();
    let (its_client, its_cargo) = (client.clone(), cargo.clone());
    let work = move || {
        if let Some((call, rest)) = take(&its_cargo)
            && let Some(step) = attempt(&its_client, call, rest)
        {
            let _ = hand_back.send(step); // the task waits for it
        }
    };
    if let Err(error) = client.threads.run(seat, Box::new(work))
        && let Some((call, _)) = take(&cargo)
    {
        let failure = Failure::internal(format!("the system refused the thread that the request needs: {error}"));
        let mut end = call.end_failed(failure);
        call.complete(&mut end);
        return None;
    }
    handed_back.await.ok()
}

fn take<T>(cargo: &Mutex<Option<T>>) -> Option<T> {
    cargo.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
}

fn attempt(client: &Client, mut call: Submitted, rest: Option<Box<Reading>>) -> Option<(Submitted, Step)> {
    let ended = match rest {
        Some(reading) => call.read_here(reading),
        None => match open(client, &mut call) {
            Opened::Answer(reading) if call.can_read_elsewhere(&reading) => {
                call.settle_down();
                return Some((call, Step::Read(reading)));
            }
            Opened::Answer(reading) => call.read_here(reading),
            Opened::Ended(ended) => ended,
        },
    };
    match call.after(ended) {
        Next::Again(wait_ms) => Some((call, Step::BackOff(wait_ms))),
        Next::Over(mut end) => {
            client.park(call.complete(&mut end));
            None
        }
    }
}

fn open(client: &Client, call: &mut Submitted) -> Opened {
    client.park(None); // connections that have come free meanwhile
    call.open()
}

thread_local! {
    /// What all streams on the runtime are read into, one after the other.
    static BUFFER: RefCell<ReadBuffer> = RefCell::default();
}

/// Read an answer whenever there is something to read and the host has room for it. If the system does not watch one
/// more connection, the answer comes back.
async fn read(call: &mut Submitted, mut reading: Box<Reading>) -> Result<Box<Ended>, Box<Reading>> {
    let watch = match reading.socket().map(Watch::over) {
        Some(Ok(watch)) => watch,
        _ => return Err(reading),
    };
    let mut readable = None;
    loop {
        // Taken out: a panic must leave nothing of one stream for the others.
        let mut buffer = BUFFER.take();
        let pause = call.read_on(&mut reading, &mut buffer);
        BUFFER.set(buffer);
        match pause {
            // The connection may be another's from now on: nobody watches it any more when the next await comes.
            Pause::Over(stopped) => return Ok(call.close(*reading, stopped)),
            Pause::Turn => tokio::task::yield_now().await,
            Pause::Full => Box::pin(call.room()).await,
            Pause::Empty => {
                readable.iter_mut().for_each(Readable::no_more);
                match watch.readable().await {
                    Ok(ready) => readable = Some(ready),
                    Err(_) => return Err(reading),
                }
            }
        }
    }
}

/// Wait a little for the end of a body, so that its connection can be used again.
async fn linger(tail: Option<Tail>) {
    let Some(mut tail) = tail else { return };
    let Some(Ok(watch)) = tail.socket().map(Watch::over) else { return };
    let drained = async {
        while let Ok(mut readable) = watch.readable().await {
            match tail.drain() {
                Some(rest) => tail = rest,
                None => return,
            }
            readable.no_more();
        }
    };
    let _ = tokio::time::timeout(LINGER, drained).await;
}
