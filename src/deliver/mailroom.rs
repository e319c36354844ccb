//! Where the events of POLL and PULL requests wait for the host.
//!
//! Each request has a mailbox here from its submission until the host has seen its DONE. One lock guards all of them,
//! is held for a few instructions, and never while host code runs. Mailboxes with something in them stand in line, and
//! each receiver takes one event of the first and sends it to the end; a mailbox whose callback runs stands in no
//! line, so the callbacks of one request never overlap.
//!
//! Who makes events is told when a mailbox is full, and waits for room; the place of a DONE is always kept.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::queue::{Mailbox, Queue};
use super::sync::{Condvar, Mutex, MutexGuard};
use super::{Event, EventKind, Parcel, Receiver, Shown, Stock, inside};
use crate::os::Bell;
use crate::status::Status;

/// How the host receives; also the place in the room's tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// Callbacks inside `helio_poll`.
    Poll = 0,
    /// Events taken with `helio_next_event`.
    Pull = 1,
}

/// How much may wait in one mailbox. One event always may.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Events.
    pub events: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// What became of a receiving call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// `Ok`, or `ShutDown`: nothing can come any more, or the client is being destroyed.
    pub status: Status,
    /// How many events the host was shown.
    pub count: u32,
}

/// An event for the host to keep, and what was given with its request to know it by.
pub struct Taken {
    /// The event.
    pub parcel: Box<Parcel>,
    /// The request's tag.
    pub tag: usize,
    /// Where the parcel goes when the host has given the event back; it may outlive the room.
    pub stock: Arc<Stock>,
}

/// Tells the host that something is pending.
pub type Notify = dyn Fn() + Send + Sync;

/// All mailboxes of a client.
pub struct Mailroom {
    state: Mutex<State>,
    arrived: [Condvar; 2],
    notify: Option<Box<Notify>>,
    stock: Arc<Stock>,
}

#[derive(Default)]
struct State {
    queues: [Queue; 2],
    bell: Option<Bell>,
    sleepers: usize,
    wakeups: u64,         // that sleepers must answer
    wakeup_is_kept: bool, // for the next who would have to sleep
    shut: bool,           // no request comes any more
    ended: bool,          // nobody receives any more but who destroys
    released: bool,       // nobody at all
}

/// An event on its way to the host.
struct ToShow {
    id: u64,
    parcel: Box<Parcel>,
    receiver: Option<Box<dyn Receiver>>,
}

impl State {
    fn pending(&self) -> usize {
        self.queues.iter().map(|queue| queue.pending).sum()
    }

    /// See that the handle says what is so.
    fn ring(&mut self) {
        let pending = self.pending() > 0;
        if let Some(bell) = &mut self.bell {
            bell.set(pending);
        }
    }

    /// The next event of POLL, and who is shown it.
    fn take_to_show(&mut self) -> Option<ToShow> {
        let (id, parcel, mailbox) = self.queues[Delivery::Poll as usize].take()?;
        let receiver = mailbox.receiver.take();
        self.ring();
        Some(ToShow { id, parcel, receiver })
    }

    /// Whether the host must be told of what is pending.
    fn must_announce(&mut self, delivery: Delivery) -> bool {
        let queue = &mut self.queues[delivery as usize];
        if self.ended || queue.announced {
            return false;
        }
        queue.announced = queue.is_ready();
        queue.announced
    }
}

impl Mailroom {
    /// A room that tells the host what is pending, if it wants to be told.
    pub fn new(notify: Option<Box<Notify>>) -> Self {
        let (state, stock) = (Mutex::new(State::default()), Arc::default());
        Mailroom { state, arrived: [Condvar::new(), Condvar::new()], notify, stock }
    }

    /// A mailbox for a request. `receiver` is shown its events in POLL, `tag` is given with them in PULL.
    pub fn open(
        &self,
        delivery: Delivery,
        id: u64,
        limits: QueueLimits,
        receiver: Option<Box<dyn Receiver>>,
        tag: usize,
    ) {
        let mailbox = Mailbox::new(limits, receiver, tag);
        self.lock().queues[delivery as usize].boxes.insert(id, mailbox);
    }

    /// A request that never began: its mailbox goes, unseen.
    pub fn withdraw(&self, id: u64) {
        let mailboxes = self.lock().queues.each_mut().map(|queue| queue.boxes.remove(&id));
        self.wake_all(); // what was waited for may never come now
        drop(mailboxes);
    }

    /// Put an event into a mailbox. A RESPONSE and a DONE have their place, a CHUNK waits for room.
    pub fn push(&self, delivery: Delivery, event: &Event<'_>) -> Shown {
        self.put(delivery, self.stock.pack(event))
    }

    /// The same, for an event that was copied already: not under the lock.
    pub fn put(&self, delivery: Delivery, parcel: Box<Parcel>) -> Shown {
        let id = parcel.request;
        let mut state = self.lock();
        let queue = &mut state.queues[delivery as usize];
        let refused = match queue.boxes.get_mut(&id) {
            None => Some(Shown::Refused),
            Some(_) if parcel.kind != EventKind::Chunk => None,
            Some(mailbox) if mailbox.silenced => Some(Shown::Refused),
            Some(mailbox) => {
                let bytes = parcel.event().bytes();
                let fits = mailbox.has_room_for(bytes);
                mailbox.wanted = if fits { 0 } else { bytes };
                (!fits).then_some(Shown::Full)
            }
        };
        if let Some(refused) = refused {
            drop(state);
            self.stock.put_away(parcel);
            return refused;
        }
        let can_be_taken = queue.push(id, parcel);
        state.ring();
        let announce = state.must_announce(delivery);
        let somebody_sleeps = state.sleepers > 0;
        drop(state);
        if can_be_taken && somebody_sleeps {
            self.arrived[delivery as usize].notify_one();
        }
        if announce {
            self.announce();
        }
        Shown::Seen
    }

    /// Whether a mailbox has room again; else `context` is woken when it has, or when nothing can be put there.
    pub fn poll_room(&self, delivery: Delivery, id: u64, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        match state.queues[delivery as usize].boxes.get_mut(&id) {
            Some(mailbox) if !mailbox.is_roomy() => {
                mailbox.waiting = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// A request was cancelled or shut down: its CHUNKs that nobody has seen go, and none comes any more.
    pub fn silence(&self, id: u64) {
        let mut state = self.lock();
        let silenced = state.queues.each_mut().map(|queue| queue.silence(id));
        state.ring();
        drop(state);
        silenced.into_iter().filter_map(|(_chunks, waiting)| waiting).for_each(Waker::wake);
    }

    /// The same for every request.
    pub fn silence_all(&self) {
        let ids: Vec<u64> = self.lock().queues.iter().flat_map(|queue| queue.boxes.keys().copied()).collect();
        ids.into_iter().for_each(|id| self.silence(id));
    }

    /// Run the callbacks of what is pending, at most `most` of them (0: all that is pending now). Waits for the first
    /// until then; `None`: for ever. `cancel` is told which request a callback wants no more of.
    pub fn poll(&self, until: Option<Instant>, most: u32, client: usize, cancel: &dyn Fn(u64)) -> Received {
        let delivery = Delivery::Poll;
        let (mut state, status) = self.wait(delivery, until);
        let pending = u32::try_from(state.queues[0].pending).unwrap_or(u32::MAX);
        let budget = if most == 0 { pending } else { most.min(pending) };
        let mut received = Received { status, count: 0 };
        while received.status == Status::Ok && received.count < budget {
            let Some(to_show) = state.take_to_show() else { break };
            drop(state);
            let parcel = self.show(to_show, client, cancel);
            let was_last = parcel.kind == EventKind::Done;
            self.stock.put_away(parcel);
            received.count += 1;
            state = self.lock();
            if state.ended {
                received.status = Status::ShutDown;
            }
            if was_last && state.shut {
                self.arrived[0].notify_all(); // who waits for what can never come
            }
        }
        self.end_notification(state, delivery);
        received
    }

    /// Show an event, without the lock. It comes back.
    fn show(&self, to_show: ToShow, client: usize, cancel: &dyn Fn(u64)) -> Box<Parcel> {
        let ToShow { id, parcel, mut receiver } = to_show;
        let was_last = parcel.kind == EventKind::Done;
        let go_on = receiver.as_mut().is_none_or(|receiver| inside(client, || receiver.receive(&parcel.event())));
        if !go_on && !was_last {
            cancel(id);
        }
        let mut state = self.lock();
        let loose = state.queues[0].put_back(id, receiver, was_last);
        drop(state);
        loose.settle();
        parcel
    }

    /// Take one event, once there is one.
    pub fn next(&self, until: Option<Instant>) -> Result<Option<Taken>, Status> {
        let (mut state, status) = self.wait(Delivery::Pull, until);
        if status != Status::Ok {
            self.end_notification(state, Delivery::Pull);
            return Err(status);
        }
        let queue = &mut state.queues[1];
        let Some((id, parcel, mailbox)) = queue.take() else {
            self.end_notification(state, Delivery::Pull);
            return Ok(None);
        };
        let tag = mailbox.tag;
        let was_last = parcel.kind == EventKind::Done;
        let loose = queue.put_back(id, None, was_last);
        let more = queue.is_ready();
        state.ring();
        let nothing_can_come = was_last && state.shut;
        let somebody_sleeps = state.sleepers > 0;
        drop(state);
        match (nothing_can_come, more && somebody_sleeps) {
            (true, _) => self.arrived[1].notify_all(),
            (_, true) => self.arrived[1].notify_one(),
            _ => {}
        }
        loose.settle();
        Ok(Some(Taken { parcel, tag, stock: self.stock.clone() }))
    }

    /// Wait until something is in line. `Ok` with nothing in line: in vain.
    fn wait(&self, delivery: Delivery, until: Option<Instant>) -> (MutexGuard<'_, State>, Status) {
        const LONG: Duration = Duration::from_secs(3600);
        let mut state = self.lock();
        let wakeups = state.wakeups;
        loop {
            let nothing_comes = state.shut && state.queues[delivery as usize].boxes.is_empty();
            if state.ended || nothing_comes {
                return (state, Status::ShutDown);
            }
            if state.queues[delivery as usize].is_ready() || state.wakeups != wakeups {
                return (state, Status::Ok);
            }
            let left = until.map_or(LONG, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() || std::mem::take(&mut state.wakeup_is_kept) {
                return (state, Status::Ok);
            }
            state.sleepers += 1;
            let condvar = &self.arrived[delivery as usize];
            state = condvar.wait_timeout(state, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
            state.sleepers -= 1;
        }
    }

    /// A receiving call ends the notification of its delivery; what is pending all the same is announced at once.
    fn end_notification(&self, mut state: MutexGuard<'_, State>, delivery: Delivery) {
        let queue = &mut state.queues[delivery as usize];
        queue.announced = false;
        let another_can_take = queue.is_ready() && state.sleepers > 0;
        let announce = state.must_announce(delivery);
        drop(state);
        if another_can_take {
            self.arrived[delivery as usize].notify_one();
        }
        if announce {
            self.announce();
        }
    }

    fn announce(&self) {
        if let Some(notify) = &self.notify {
            notify();
        }
    }

    /// How many events wait.
    pub fn pending(&self) -> usize {
        self.lock().pending()
    }

    /// Those who wait return with nothing; if nobody does, the next who would have to.
    pub fn wake_up(&self) {
        let mut state = self.lock();
        if state.sleepers == 0 {
            state.wakeup_is_kept = true;
            return;
        }
        state.wakeups += 1;
        drop(state);
        self.wake_all();
    }

    /// A descriptor that is readable while something is pending. It stays the room's.
    pub fn handle(&self) -> Option<isize> {
        let mut state = self.lock();
        if state.bell.is_none() {
            state.bell = Bell::new().ok();
            state.ring();
        }
        state.bell.as_ref().map(Bell::handle)
    }

    /// No request comes any more: who waits for what can never come is told so.
    pub fn shut(&self) {
        self.lock().shut = true;
        self.wake_all();
    }

    /// Nobody receives any more but who destroys; or they do again.
    pub fn set_ended(&self, ended: bool) {
        let mut state = self.lock();
        state.ended = ended || state.released;
        let announce = [Delivery::Poll, Delivery::Pull].map(|delivery| state.must_announce(delivery));
        drop(state);
        self.wake_all();
        announce.into_iter().filter(|must| *must).for_each(|_| self.announce());
    }

    /// Show every POLL event that waits, here and now: the last drain.
    pub fn drain(&self, client: usize, cancel: &dyn Fn(u64)) {
        loop {
            let taken = self.lock().take_to_show();
            let Some(to_show) = taken else { return };
            self.show(to_show, client, cancel);
        }
    }

    /// Nobody wants any of it: everything goes, and nothing is taken in.
    pub fn release(&self) {
        let mut state = self.lock();
        (state.shut, state.ended, state.released) = (true, true, true);
        let queues = std::mem::take(&mut state.queues);
        state.ring();
        drop(state);
        self.wake_all();
        for mailbox in queues.into_iter().flat_map(|queue| queue.boxes.into_values()) {
            mailbox.waiting.into_iter().for_each(Waker::wake);
        }
    }

    fn wake_all(&self) {
        self.arrived.iter().for_each(Condvar::notify_all);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
