//! The hand-over of events, in every order in which its threads can come to their locks: who makes events, who
//! cancels, who receives, who destroys. This is the real source of the mailroom, with loom's locks in the place of
//! the system's: a wake-up that is lost leaves everybody asleep, and loom says so.

#![cfg(target_os = "linux")]

/// What the mailroom sees of its own crate.
#[path = "../src/deliver"]
mod deliver {
    pub use helio::deliver::{EventKind, Shown};

    use crate::{failure::Failure, status::Status, text::ZString};

    #[allow(dead_code, unused_imports)]
    pub mod mailroom;
    #[allow(dead_code)]
    pub mod parcel;
    mod queue;

    pub use mailroom::{Delivery, Mailroom, QueueLimits};
    pub use parcel::{Parcel, Stock};

    pub mod sync {
        pub use loom::sync::{Condvar, Mutex, MutexGuard};
    }

    pub struct Event<'a> {
        pub kind: EventKind,
        pub request: u64,
        pub data: Option<&'a ZString>,
        pub text: Option<&'a ZString>,
        pub reasoning: Option<&'a ZString>,
        pub status: Status,
        pub http_status: u16,
        pub failure: Option<&'a Failure>,
        pub report: Option<&'a ZString>,
    }

    pub trait Receiver: Send {
        fn receive(&mut self, event: &Event<'_>) -> bool;
    }

    pub fn inside<T>(_client: usize, host_code: impl FnOnce() -> T) -> T {
        host_code()
    }
}

mod failure {
    pub use helio::failure::Failure;
}
mod ids {
    pub use helio::ids::ById;
}
mod os {
    pub use helio::os::Bell;
}
mod status {
    pub use helio::status::Status;
}
mod text {
    pub use helio::text::ZString;
}

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use deliver::{Delivery, Event, EventKind, Mailroom, QueueLimits, Receiver, Shown};
use loom::sync::atomic::AtomicBool;
use loom::thread::{JoinHandle, Thread, park, spawn};
use status::Status;
use text::ZString;

/// Runs a model in all orders with at most so many preemptions.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let runs = runs.load(Ordering::Relaxed);
    println!("{}: {runs} orders", std::thread::current().name().unwrap_or_default());
    assert!(runs > 2, "only {runs} orders: nothing was explored");
}

const ROOMY: QueueLimits = QueueLimits { events: 100, bytes: 1000 };
/// Of so many bytes is the first chunk, the second twice as long, and so on.
const GROWS_BY: usize = 7;

fn event(request: u64, kind: EventKind, text: Option<&ZString>) -> Event<'_> {
    let (status, http_status) = (Status::Ok, 200);
    Event { kind, request, data: None, text, reasoning: None, status, http_status, failure: None, report: None }
}

/// What the host has seen of one request.
#[derive(Default)]
struct Seen {
    kinds: Mutex<Vec<EventKind>>,
    runs: AtomicBool,
    /// It was silenced, and whoever did so went on.
    silenced: AtomicBool,
    late_chunks: AtomicUsize,
}

impl Seen {
    fn see(&self, kind: EventKind) {
        assert!(!self.runs.swap(true, Ordering::SeqCst), "two callbacks of one request at a time");
        if kind == EventKind::Chunk && self.silenced.load(Ordering::SeqCst) {
            self.late_chunks.fetch_add(1, Ordering::Relaxed);
        }
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).push(kind);
        self.runs.store(false, Ordering::SeqCst);
    }

    fn kinds(&self) -> Vec<EventKind> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has_ended(&self) -> bool {
        self.kinds().last() == Some(&EventKind::Done)
    }

    /// `RESPONSE? CHUNK* DONE`.
    fn is_in_order(&self, chunks: std::ops::RangeInclusive<usize>) {
        let kinds = self.kinds();
        let inner = kinds.strip_suffix(&[EventKind::Done]).unwrap_or_else(|| panic!("no DONE at the end: {kinds:?}"));
        let inner = inner.strip_prefix(&[EventKind::Response]).unwrap_or(inner);
        assert!(inner.iter().all(|kind| *kind == EventKind::Chunk), "{kinds:?}");
        assert!(chunks.contains(&inner.len()), "{} chunks of {chunks:?}", inner.len());
    }
}

struct Host(Arc<Seen>);

impl Receiver for Host {
    fn receive(&mut self, event: &Event<'_>) -> bool {
        self.0.see(event.kind);
        true
    }
}

struct House {
    room: Mailroom,
    seen: [Arc<Seen>; 2],
}

/// A room with a mailbox for each of the requests 0 and 1, or the first of them.
fn house(delivery: Delivery, requests: u64, limits: QueueLimits) -> Arc<House> {
    let house = Arc::new(House { room: Mailroom::new(None), seen: Default::default() });
    (0..requests).for_each(|id| house.open(delivery, id, limits));
    house
}

struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl House {
    fn open(&self, delivery: Delivery, id: u64, limits: QueueLimits) {
        let host = || Box::new(Host(self.seen[id as usize].clone())) as Box<dyn Receiver>;
        let receiver = (delivery == Delivery::Poll).then(host);
        self.room.open(delivery, id, limits, receiver, id as usize);
    }

    /// Who makes the events of a request: waits for room, and ends early if nobody wants more. The number of waits.
    fn make(&self, delivery: Delivery, id: u64, chunks: usize) -> usize {
        let mut waits = 0;
        let mut shown = self.room.push(delivery, &event(id, EventKind::Response, None));
        for number in 1..=chunks {
            if shown == Shown::Refused {
                break;
            }
            let text = ZString::from("x".repeat(number * GROWS_BY));
            shown = self.room.push(delivery, &event(id, EventKind::Chunk, Some(&text)));
            if shown == Shown::Full {
                waits += 1;
                self.wait_for_room(delivery, id);
                shown = self.room.push(delivery, &event(id, EventKind::Chunk, Some(&text)));
                assert_ne!(shown, Shown::Full, "there was to be room");
            }
        }
        self.room.push(delivery, &event(id, EventKind::Done, None));
        waits
    }

    fn wait_for_room(&self, delivery: Delivery, id: u64) {
        let waker = Waker::from(Arc::new(Parked(loom::thread::current())));
        while self.room.poll_room(delivery, id, &mut Context::from_waker(&waker)) == Poll::Pending {
            park();
        }
    }

    /// Receives until nothing can come any more, waiting for ever each time.
    fn receive(&self, delivery: Delivery, most: u32) {
        while self.receive_once(delivery, None, most) == Status::Ok {}
    }

    fn receive_once(&self, delivery: Delivery, until: Option<Instant>, most: u32) -> Status {
        match delivery {
            Delivery::Poll => self.room.poll(until, most, 0, &|_| ()).status,
            Delivery::Pull => match self.room.next(until) {
                Ok(Some(taken)) => {
                    self.seen[taken.tag].see(taken.parcel.kind);
                    Status::Ok
                }
                Ok(None) => Status::Ok,
                Err(status) => status,
            },
        }
    }
}

/// Starts a thread that has its share of the house.
fn start<T: 'static>(house: &Arc<House>, work: impl FnOnce(&House) -> T + 'static) -> JoinHandle<T> {
    let house = house.clone();
    spawn(move || work(&house))
}

const BOTH: [Delivery; 2] = [Delivery::Poll, Delivery::Pull];

#[test]
fn who_waits_for_ever_gets_each_event_once_and_then_the_end() {
    for delivery in BOTH {
        explore(2, move || {
            let house = house(delivery, 1, ROOMY);
            let maker = start(&house, move |house| house.make(delivery, 0, 2));
            let host = start(&house, |house| house.room.shut());
            house.receive(delivery, 0);
            assert_eq!(
                house.seen[0].kinds(),
                [EventKind::Response, EventKind::Chunk, EventKind::Chunk, EventKind::Done]
            );
            maker.join().unwrap();
            host.join().unwrap();
        });
    }
}

#[test]
fn after_a_cancel_at_most_the_chunk_in_delivery_is_seen_and_the_end() {
    for delivery in BOTH {
        explore(2, move || {
            let house = house(delivery, 1, ROOMY);
            let maker = start(&house, move |house| {
                house.make(delivery, 0, 2);
                house.room.shut();
            });
            let canceller = start(&house, |house| {
                house.room.silence(0);
                house.seen[0].silenced.store(true, Ordering::SeqCst);
            });
            house.receive(delivery, 0);
            house.seen[0].is_in_order(0..=2);
            assert!(house.seen[0].late_chunks.load(Ordering::Relaxed) <= 1);
            maker.join().unwrap();
            canceller.join().unwrap();
            assert_eq!(house.room.pending(), 0);
        });
    }
}

/// Mailboxes that fill: by events, and by bytes.
const TIGHT: [QueueLimits; 3] = [
    QueueLimits { events: 1, bytes: 1000 },
    QueueLimits { events: 2, bytes: 1000 },
    QueueLimits { events: 100, bytes: 2 * GROWS_BY + 1 },
];

#[test]
fn who_waits_for_room_is_woken_when_there_is() {
    for (delivery, limits) in BOTH.into_iter().flat_map(|delivery| TIGHT.map(|limits| (delivery, limits))) {
        let waits = Arc::new(AtomicUsize::new(0));
        let all_waits = waits.clone();
        explore(2, move || {
            let house = house(delivery, 1, limits);
            let maker = start(&house, move |house| {
                let waits = house.make(delivery, 0, 3);
                house.room.shut();
                waits
            });
            house.receive(delivery, 1);
            house.seen[0].is_in_order(3..=3);
            all_waits.fetch_add(maker.join().unwrap(), Ordering::Relaxed);
        });
        assert_ne!(waits.load(Ordering::Relaxed), 0, "it never was full");
    }
}

#[test]
fn who_waits_for_room_is_woken_by_a_cancel() {
    for limits in TIGHT {
        explore(2, move || {
            let house = house(Delivery::Pull, 1, limits);
            let maker = start(&house, |house| house.make(Delivery::Pull, 0, 4)); // nobody makes room
            house.room.silence(0);
            maker.join().unwrap();
            house.room.shut();
            house.receive(Delivery::Pull, 0);
            house.seen[0].is_in_order(0..=0);
        });
    }
}

#[test]
fn two_receivers_never_run_callbacks_of_one_request_at_the_same_time() {
    for most in [0, 1] {
        explore(2, move || {
            let house = house(Delivery::Poll, 1, ROOMY);
            let other = start(&house, move |house| house.receive(Delivery::Poll, most));
            let maker = start(&house, |house| {
                house.make(Delivery::Poll, 0, 1);
                house.room.shut();
            });
            house.receive(Delivery::Poll, most);
            other.join().unwrap();
            maker.join().unwrap();
            house.seen[0].is_in_order(1..=1);
        });
    }
}

#[test]
fn two_receivers_and_two_requests_leave_nobody_asleep() {
    for delivery in BOTH {
        explore(2, move || {
            let house = house(delivery, 2, ROOMY);
            let other = start(&house, move |house| house.receive(delivery, 1));
            let maker = start(&house, move |house| {
                for id in 0..2 {
                    house.room.push(delivery, &event(id, EventKind::Done, None));
                }
                house.room.shut();
            });
            house.receive(delivery, 1);
            other.join().unwrap();
            maker.join().unwrap();
            house.seen.iter().for_each(|seen| seen.is_in_order(0..=0));
        });
    }
}

#[test]
fn who_takes_the_last_event_after_a_shutdown_tells_the_others() {
    for delivery in BOTH {
        explore(2, move || {
            let house = house(delivery, 1, ROOMY);
            let other = start(&house, move |house| house.receive(delivery, 0));
            let maker = start(&house, move |house| {
                house.room.shut();
                house.room.push(delivery, &event(0, EventKind::Done, None));
            });
            house.receive(delivery, 0);
            other.join().unwrap();
            maker.join().unwrap();
            house.seen[0].is_in_order(0..=0);
        });
    }
}

#[test]
fn who_receives_once_leaves_the_rest_to_another_who_waits() {
    explore(2, || {
        let house = house(Delivery::Poll, 1, ROOMY);
        let maker = start(&house, |house| house.make(Delivery::Poll, 0, 0));
        let once = start(&house, |house| {
            house.receive_once(Delivery::Poll, None, 1);
            if house.seen[0].has_ended() {
                house.room.shut(); // the other may be asleep, and nothing comes
            }
        });
        let other = start(&house, |house| {
            while !house.seen[0].has_ended() && house.receive_once(Delivery::Poll, None, 1) == Status::Ok {}
            house.room.shut(); // or it was the other way round
        });
        once.join().unwrap();
        other.join().unwrap();
        maker.join().unwrap();
        house.seen[0].is_in_order(0..=0);
    });
}

#[test]
fn a_host_that_receives_once_per_notification_misses_nothing() {
    for (delivery, most) in [(Delivery::Poll, 0), (Delivery::Poll, 1), (Delivery::Pull, 0)] {
        explore(2, move || {
            type Told = (loom::sync::Mutex<bool>, loom::sync::Condvar);
            let told = Arc::new(Told::default());
            let tell = told.clone();
            let notify = move || {
                *tell.0.lock().unwrap() = true;
                tell.1.notify_all();
            };
            let house = Arc::new(House { room: Mailroom::new(Some(Box::new(notify))), seen: Default::default() });
            (0..2).for_each(|id| house.open(delivery, id, ROOMY));
            let makers = [0, 1].map(|id| start(&house, move |house| house.make(delivery, id, id as usize)));
            while !house.seen.iter().all(|seen| seen.has_ended()) {
                let mut is_told = told.0.lock().unwrap();
                while !std::mem::take(&mut *is_told) {
                    is_told = told.1.wait(is_told).unwrap();
                }
                drop(is_told);
                match delivery {
                    Delivery::Poll => drop(house.room.poll(Some(Instant::now()), most, 0, &|_| ())),
                    // Until there is nothing, as the contract has it.
                    Delivery::Pull => {
                        while let Some(taken) = house.room.next(Some(Instant::now())).expect("not shut down") {
                            house.seen[taken.tag].see(taken.parcel.kind);
                        }
                    }
                }
            }
            makers.into_iter().for_each(|maker| assert_eq!(maker.join().unwrap(), 0, "never full"));
            house.seen[0].is_in_order(0..=0);
            house.seen[1].is_in_order(1..=1);
        });
    }
}

#[test]
fn destroy_shows_each_end_once_beside_a_receiver() {
    explore(3, || {
        let house = house(Delivery::Poll, 1, ROOMY);
        let receiver = start(&house, |house| house.receive(Delivery::Poll, 0));
        let maker = start(&house, |house| house.make(Delivery::Poll, 0, 0));
        house.room.shut();
        house.room.set_ended(true);
        receiver.join().unwrap(); // it returns, whether or not the end has come
        maker.join().unwrap();
        house.room.drain(0, &|_| ());
        house.seen[0].is_in_order(0..=0);
    });
}

#[test]
fn destroy_wakes_a_receiver_before_any_end_has_come() {
    for delivery in BOTH {
        explore(3, move || {
            let house = house(delivery, 1, ROOMY);
            let receiver = start(&house, move |house| house.receive(delivery, 0));
            house.room.shut();
            house.room.set_ended(true);
            receiver.join().unwrap();
            house.make(delivery, 0, 0);
            house.room.drain(0, &|_| ());
            assert_eq!(house.seen[0].has_ended(), delivery == Delivery::Poll);
        });
    }
}

#[test]
fn destroy_without_patience_shows_nothing_twice_and_can_be_called_again() {
    explore(2, || {
        let house = house(Delivery::Poll, 1, ROOMY);
        let receiver = start(&house, |house| {
            // Told twice that it is over, and a host that asks once more.
            house.receive(Delivery::Poll, 1);
            house.receive(Delivery::Poll, 1);
        });
        let maker = start(&house, |house| house.make(Delivery::Poll, 0, 1));
        house.room.shut();
        house.room.set_ended(true);
        house.room.drain(0, &|_| ());
        house.room.set_ended(false);
        maker.join().unwrap();
        house.room.set_ended(true);
        receiver.join().unwrap();
        house.room.drain(0, &|_| ());
        house.seen[0].is_in_order(1..=1);
    });
}

#[test]
fn release_lets_everybody_go_and_shows_nothing_more() {
    for delivery in BOTH {
        explore(2, move || {
            let tight = QueueLimits { events: 1, bytes: 1000 };
            let house = house(delivery, 1, tight);
            let receiver = start(&house, move |house| house.receive(delivery, 1));
            let maker = start(&house, move |house| house.make(delivery, 0, 2));
            house.room.release();
            let at_most_one_in_delivery = house.seen[0].kinds().len() + 1;
            receiver.join().unwrap();
            maker.join().unwrap();
            assert!(house.seen[0].kinds().len() <= at_most_one_in_delivery);
            assert_eq!(house.room.pending(), 0);
            assert_eq!(house.room.push(delivery, &event(0, EventKind::Done, None)), Shown::Refused);
        });
    }
}

#[test]
fn a_wake_up_is_never_lost() {
    for delivery in BOTH {
        explore(3, move || {
            let house = house(delivery, 1, ROOMY);
            let host = start(&house, |house| house.room.wake_up());
            assert_eq!(house.receive_once(delivery, None, 0), Status::Ok);
            host.join().unwrap();
        });
    }
}

#[test]
fn a_submission_that_races_a_shutdown_is_seen_to_its_end_or_not_at_all() {
    for delivery in BOTH {
        explore(3, move || {
            let house = house(delivery, 0, ROOMY);
            let is_shut_down = Arc::new(AtomicBool::new(false));
            let told = is_shut_down.clone();
            let submitter = start(&house, move |house| {
                house.open(delivery, 0, ROOMY);
                if told.load(Ordering::SeqCst) {
                    house.room.withdraw(0);
                    return false;
                }
                house.room.push(delivery, &event(0, EventKind::Done, None));
                true
            });
            let receiver = start(&house, move |house| house.receive(delivery, 0));
            is_shut_down.store(true, Ordering::SeqCst);
            house.room.shut();
            receiver.join().unwrap();
            assert_eq!(submitter.join().unwrap(), house.seen[0].has_ended());
        });
    }
}

#[test]
fn the_handle_says_what_is_pending() {
    explore(2, || {
        let house = house(Delivery::Pull, 1, ROOMY);
        let handle = house.room.handle().expect("a descriptor") as i32;
        let maker = start(&house, |house| {
            for kind in [EventKind::Response, EventKind::Chunk] {
                house.room.push(Delivery::Pull, &event(0, kind, Some(&ZString::of("x"))));
            }
        });
        let canceller = start(&house, |house| house.room.silence(0));
        assert_eq!(house.receive_once(Delivery::Pull, None, 0), Status::Ok);
        maker.join().unwrap();
        canceller.join().unwrap();
        let is_readable = || {
            let mut entry = libc::pollfd { fd: handle, events: libc::POLLIN, revents: 0 };
            // SAFETY: one valid entry, and the count says one.
            unsafe { libc::poll(&mut entry, 1, 0) == 1 }
        };
        assert_eq!(is_readable(), house.room.pending() > 0);
        while house.room.pending() > 0 {
            house.receive_once(Delivery::Pull, Some(Instant::now()), 0);
        }
        assert!(!is_readable());
    });
}
