//! Deadlines: when a call must have got where, and who watches the clock.
//!
//! A deadline moves with every event and almost never passes, so moving it must cost next to nothing. Between events
//! that came together the clock rests, and it is looked at when the call has to wait for more. A call writes down when
//! it is due; the [`Keeper`], one task for all calls of a client, looks again when the time it was told
//! first has come, and is only woken when somebody is due earlier than it sleeps. What time it is comes in as a value.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::Timeouts;
use crate::wire::{Deadline, Reason, Stop};

/// What a call is waiting for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// A connection.
    Connect,
    /// The first event with content.
    FirstEvent,
    /// The next one.
    Idle,
    /// What may still follow a complete answer, for so long.
    Settle(Duration),
}

/// The deadlines of one call.
pub struct Deadlines {
    stop: Arc<Stop>,
    timeouts: Timeouts,
    keeper: Arc<Keeper>,
    state: Mutex<State>,
    // Only whoever runs the call touches these two, one thread at a time.
    rests: AtomicBool,     // no phase has been entered since the last rest
    owes_idle: AtomicBool, // Phase::Idle begins as soon as the call waits
}

#[derive(Default)]
struct State {
    total: Option<Instant>,
    phase: Option<(Instant, Reason)>,
    ticket: Option<Ticket>,
}

impl State {
    fn due(&self) -> Option<(Instant, Reason)> {
        let total = self.total.map(|at| (at, Reason::Deadline(Deadline::Total)));
        [total, self.phase].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

impl Deadlines {
    /// The deadlines of a call that starts now.
    pub fn new(timeouts: Timeouts, stop: Arc<Stop>, keeper: Arc<Keeper>, now: Instant) -> Arc<Self> {
        let total = timeouts.total.and_then(|total| now.checked_add(total));
        let state = Mutex::new(State { total, ..State::default() });
        let (rests, owes_idle) = Default::default();
        let this = Arc::new(Deadlines { stop, timeouts, keeper, state, rests, owes_idle });
        this.schedule(&mut this.lock());
        this
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        self.keeper.clock.now()
    }

    /// By which it goes.
    pub fn clock(&self) -> &Clock {
        &self.keeper.clock
    }

    /// From now on the call waits for something else, or again.
    pub fn enter(self: &Arc<Self>, phase: Phase, now: Instant) {
        let wait = |time: Option<Duration>, reason| Some((now.checked_add(time?)?, reason));
        let due = match phase {
            Phase::Connect => wait(self.timeouts.connect, Reason::Deadline(Deadline::Connect)),
            Phase::FirstEvent => wait(self.timeouts.first_event, Reason::Deadline(Deadline::FirstEvent)),
            Phase::Idle => wait(self.timeouts.idle, Reason::Deadline(Deadline::Idle)),
            Phase::Settle(time) => wait(Some(time), Reason::Settled),
        };
        self.rests.store(false, Ordering::Relaxed);
        self.owes_idle.store(false, Ordering::Relaxed);
        let mut state = self.lock();
        state.phase = due;
        self.schedule(&mut state);
    }

    /// The phase goes on, but no longer than until then: what has come of a refusal is enough.
    pub fn enter_refusal(self: &Arc<Self>, due: Instant) {
        let mut state = self.lock();
        if state.phase.is_none_or(|(at, _)| due < at) {
            self.rests.store(false, Ordering::Relaxed);
            state.phase = Some((due, Reason::Enough));
            self.schedule(&mut state);
        }
    }

    /// The host is what is slow, or the call waits by itself: only the whole call has a deadline.
    pub fn rest(&self) {
        // It rests already where events come together; to look at that is the cheap part of a swap.
        if !self.rests.load(Ordering::Relaxed) && !self.rests.swap(true, Ordering::Relaxed) {
            self.lock().phase = None;
        }
    }

    /// An event came. The clock of the next one starts when it has to be waited for: many come together, and to look at
    /// the clock costs more than to take one.
    pub fn owe_idle(&self) {
        self.owes_idle.store(true, Ordering::Relaxed);
    }

    /// The call waits for the server.
    pub fn waits(self: &Arc<Self>) {
        if self.owes_idle.load(Ordering::Relaxed) {
            self.enter(Phase::Idle, self.now());
        }
    }

    /// How long the whole call still has.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.lock().total.map(|at| at.saturating_duration_since(now))
    }

    /// The call is over.
    pub fn end(&self) {
        self.owes_idle.store(false, Ordering::Relaxed);
        let mut state = self.lock();
        (state.total, state.phase) = (None, None);
        if let Some(ticket) = state.ticket.take() {
            self.keeper.take_back(ticket);
        }
    }

    /// See to it that the keeper looks no later than something is due; earlier does no harm.
    fn schedule(self: &Arc<Self>, state: &mut State) {
        // The way of nearly every event. The total does not move: no ticket is later than it.
        if let (Some(ticket), Some((at, _))) = (state.ticket, state.phase)
            && ticket.0 <= at
        {
            return;
        }
        let Some((due, _)) = state.due() else { return };
        if state.ticket.is_none_or(|ticket| due < ticket.0) {
            if let Some(ticket) = state.ticket.take() {
                self.keeper.take_back(ticket);
            }
            state.ticket = Some(self.keeper.tell(due, self));
        }
    }

    /// The time that the keeper was told has come.
    fn look(self: &Arc<Self>, now: Instant) {
        let mut state = self.lock();
        state.ticket = None;
        match state.due() {
            // Under the lock, so that a phase that is left meanwhile is left in time.
            Some((at, reason)) if at <= now => self.stop.pull(reason),
            Some(_) => self.schedule(&mut state),
            None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        self.end();
    }
}

/// When to look, and a number that makes it unique.
type Ticket = (Instant, u64);

/// Watches the clock for all calls of a client.
#[derive(Default)]
pub struct Keeper {
    clock: Clock,
    queue: Mutex<Queue>,
    sooner: Notify,
}

#[derive(Default)]
struct Queue {
    due: BTreeMap<Ticket, Weak<Deadlines>>,
    tickets: u64,
    sleeps_until: Option<Instant>,
}

impl Keeper {
    /// One that goes by this clock.
    pub fn new(clock: Clock) -> Self {
        Keeper { clock, ..Keeper::default() }
    }

    /// Watch, for as long as the runtime lives.
    pub async fn watch(self: Arc<Self>) {
        loop {
            let now = self.clock.now();
            let (come, next) = self.come(now);
            come.iter().filter_map(Weak::upgrade).for_each(|deadlines| deadlines.look(now));
            if !come.is_empty() {
                continue;
            }
            match next {
                Some(next) => tokio::select! {
                    () = self.clock.sleep_until(next) => {}
                    _ = self.sooner.notified() => {}
                },
                None => self.sooner.notified().await,
            }
        }
    }

    /// Whose time has come, and when to look again.
    fn come(&self, now: Instant) -> (Vec<Weak<Deadlines>>, Option<Instant>) {
        let mut queue = self.lock();
        let mut come = Vec::new();
        while let Some(entry) = queue.due.first_entry().filter(|entry| entry.key().0 <= now) {
            come.push(entry.remove());
        }
        queue.sleeps_until = queue.due.first_key_value().map(|((at, _), _)| *at);
        (come, queue.sleeps_until)
    }

    fn tell(&self, at: Instant, deadlines: &Arc<Deadlines>) -> Ticket {
        let mut queue = self.lock();
        queue.tickets += 1;
        let ticket = (at, queue.tickets);
        queue.due.insert(ticket, Arc::downgrade(deadlines));
        if queue.sleeps_until.is_none_or(|until| at < until) {
            queue.sleeps_until = Some(at);
            self.sooner.notify_one();
        }
        ticket
    }

    fn take_back(&self, ticket: Ticket) {
        self.lock().due.remove(&ticket);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn timeouts(connect: u64, first_event: u64, idle: u64, total: Option<u64>) -> Timeouts {
        let of = |seconds: u64| Some(SECOND * seconds as u32);
        Timeouts { connect: of(connect), first_event: of(first_event), idle: of(idle), total: total.and_then(of) }
    }

    fn start(timeouts: Timeouts) -> (Arc<Deadlines>, Arc<Stop>, Arc<Keeper>) {
        let (stop, keeper) = (Arc::new(Stop::default()), Arc::new(Keeper::default()));
        tokio::spawn(keeper.clone().watch());
        (Deadlines::new(timeouts, stop.clone(), keeper.clone(), Instant::now()), stop, keeper)
    }

    async fn elapsed(stop: &Stop, since: Instant) -> (Reason, u64) {
        let reason = stop.pulled().await;
        (reason, since.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_deadline_and_they_move() {
        let (deadlines, stop, _) = start(timeouts(2, 10, 3, None));
        let since = Instant::now();
        deadlines.enter(Phase::Connect, since);
        tokio::time::sleep(SECOND).await;
        deadlines.enter(Phase::FirstEvent, Instant::now());
        tokio::time::sleep(SECOND * 9).await;
        for _ in 0..20 {
            deadlines.enter(Phase::Idle, Instant::now());
            tokio::time::sleep(SECOND * 2).await;
        }
        assert_eq!(elapsed(&stop, since).await, (Reason::Deadline(Deadline::Idle), 1 + 9 + 40 + 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_call_has_one_deadline_that_does_not_rest() {
        let (deadlines, stop, _) = start(timeouts(2, 2, 2, Some(5)));
        let since = Instant::now();
        deadlines.enter(Phase::Idle, since);
        deadlines.rest();
        assert_eq!(elapsed(&stop, since).await, (Reason::Deadline(Deadline::Total), 5));
    }

    #[tokio::test(start_paused = true)]
    async fn between_events_that_came_together_the_clock_rests_and_a_wait_starts_it() {
        let (deadlines, stop, _) = start(timeouts(2, 2, 3, None));
        deadlines.enter(Phase::FirstEvent, Instant::now());
        for _ in 0..3 {
            deadlines.rest(); // the host looks at an event
            tokio::time::sleep(SECOND * 5).await;
            deadlines.owe_idle();
        }
        assert_eq!(stop.reason(), None);
        let since = Instant::now();
        deadlines.waits();
        tokio::time::sleep(SECOND).await;
        deadlines.waits(); // still for the same
        assert_eq!(elapsed(&stop, since).await, (Reason::Deadline(Deadline::Idle), 3));
        let (deadlines, stop, keeper) = start(timeouts(1, 1, 1, None));
        deadlines.owe_idle();
        deadlines.end();
        deadlines.waits(); // for what is behind the answer
        tokio::time::sleep(SECOND * 5).await;
        assert_eq!((stop.reason(), keeper.lock().due.len()), (None, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_deadline_wakes_the_keeper() {
        let (deadlines, stop, keeper) = start(timeouts(600, 600, 1, None));
        deadlines.enter(Phase::FirstEvent, Instant::now());
        tokio::time::sleep(SECOND * 5).await;
        let since = Instant::now();
        deadlines.enter(Phase::Idle, since);
        assert_eq!(elapsed(&stop, since).await, (Reason::Deadline(Deadline::Idle), 1));
        deadlines.end();
        assert!(keeper.lock().due.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_or_settled_is_no_timeout() {
        let (deadlines, stop, keeper) = start(timeouts(1, 1, 1, Some(1)));
        deadlines.enter(Phase::Connect, Instant::now());
        deadlines.end();
        tokio::time::sleep(SECOND * 10).await;
        assert_eq!(stop.reason(), None);
        assert!(keeper.lock().due.is_empty());
        let (deadlines, stop, _) = start(timeouts(1, 1, 1, None));
        deadlines.enter(Phase::Settle(SECOND * 2), Instant::now());
        assert_eq!(elapsed(&stop, Instant::now()).await, (Reason::Settled, 2));
    }
}
