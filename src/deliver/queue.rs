//! The mailboxes of one delivery, and the line in which those with something in them stand.

use std::collections::VecDeque;
use std::task::Waker;

use super::{EventKind, Parcel, QueueLimits, Receiver};
use crate::ids::ById;

/// All mailboxes of one delivery.
#[derive(Default)]
pub(super) struct Queue {
    pub boxes: ById<Mailbox>,
    pub line: VecDeque<u64>, // with something in them, and no callback running
    pub pending: usize,
    pub announced: bool, // a notification is outstanding
}

/// The events of one request that the host has not seen.
pub(super) struct Mailbox {
    pub parcels: VecDeque<Box<Parcel>>,
    pub bytes: usize,
    pub limits: QueueLimits,
    pub receiver: Option<Box<dyn Receiver>>, // of POLL; away while it runs
    pub tag: usize,                          // of PULL
    pub shows: bool,                         // a callback runs
    pub stands: bool,                        // in line
    pub silenced: bool,                      // no CHUNK any more
    pub wanted: usize,                       // the bytes for which there was no room
    pub waiting: Option<Waker>,              // who waits for it
}

impl Mailbox {
    pub fn new(limits: QueueLimits, receiver: Option<Box<dyn Receiver>>, tag: usize) -> Self {
        let (parcels, waiting) = (VecDeque::new(), None);
        let (bytes, wanted, shows, stands, silenced) = Default::default();
        Mailbox { parcels, bytes, limits, receiver, tag, shows, stands, silenced, wanted, waiting }
    }

    pub fn has_room_for(&self, bytes: usize) -> bool {
        self.parcels.is_empty()
            || (self.parcels.len() < self.limits.events && self.bytes.saturating_add(bytes) <= self.limits.bytes)
    }

    /// Whether who waits for room should be woken. When it is half empty: to wake for every single event would cost more
    /// than the events.
    pub fn is_roomy(&self) -> bool {
        let half_empty = self.parcels.len() <= self.limits.events / 2 && self.bytes <= self.limits.bytes / 2;
        self.silenced || self.parcels.is_empty() || (half_empty && self.has_room_for(self.wanted))
    }
}

impl Queue {
    /// Put an event behind those that wait. `true`: a receiver can take it now.
    pub fn push(&mut self, id: u64, parcel: Box<Parcel>) -> bool {
        let Some(mailbox) = self.boxes.get_mut(&id) else { return false };
        mailbox.bytes += parcel.event().bytes();
        mailbox.parcels.push_back(parcel);
        self.pending += 1;
        if !mailbox.shows && !std::mem::replace(&mut mailbox.stands, true) {
            self.line.push_back(id);
        }
        !mailbox.shows
    }

    /// Whether something can be taken. Mailboxes that were emptied while they stood in line leave it here.
    pub fn is_ready(&mut self) -> bool {
        while let Some(id) = self.line.front() {
            match self.boxes.get_mut(id) {
                Some(mailbox) if !mailbox.parcels.is_empty() => return true,
                Some(mailbox) => mailbox.stands = false,
                None => {}
            }
            self.line.pop_front();
        }
        false
    }

    /// The first event of the first in line, taken out of its mailbox, which stands in no line until it is put back.
    pub fn take(&mut self) -> Option<(u64, Box<Parcel>, &mut Mailbox)> {
        let id = if self.is_ready() { self.line.pop_front()? } else { return None };
        let mailbox = self.boxes.get_mut(&id)?;
        let parcel = mailbox.parcels.pop_front()?;
        mailbox.bytes -= parcel.event().bytes();
        (mailbox.shows, mailbox.stands) = (true, false);
        self.pending -= 1;
        Some((id, parcel, mailbox))
    }

    /// Its event was shown. Gives back what must be dropped or woken without the lock.
    pub fn put_back(&mut self, id: u64, receiver: Option<Box<dyn Receiver>>, was_last: bool) -> Loose {
        let mut loose = Loose { receiver, waiting: None, mailbox: None };
        let Some(mailbox) = self.boxes.get_mut(&id) else { return loose };
        mailbox.shows = false;
        if was_last {
            loose.mailbox = self.boxes.remove(&id);
            return loose;
        }
        mailbox.receiver = loose.receiver.take();
        if !mailbox.parcels.is_empty() {
            mailbox.stands = true;
            self.line.push_back(id);
        }
        if mailbox.is_roomy() {
            loose.waiting = mailbox.waiting.take();
        }
        loose
    }

    /// Take the CHUNKs out of a mailbox, and let no more of them in. Gives them back, and who waited for room.
    pub fn silence(&mut self, id: u64) -> (VecDeque<Box<Parcel>>, Option<Waker>) {
        let Some(mailbox) = self.boxes.get_mut(&id) else { return Default::default() };
        mailbox.silenced = true;
        let all = std::mem::take(&mut mailbox.parcels);
        let before = all.len();
        let (chunks, others): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|parcel| parcel.kind == EventKind::Chunk);
        mailbox.parcels = others;
        mailbox.bytes = mailbox.parcels.iter().map(|parcel| parcel.event().bytes()).sum();
        self.pending -= before - mailbox.parcels.len();
        (chunks, mailbox.waiting.take())
    }
}

/// What is dropped and woken when the lock is given back: both may run code that is not ours to know.
#[derive(Default)]
pub(super) struct Loose {
    pub receiver: Option<Box<dyn Receiver>>,
    pub waiting: Option<Waker>,
    pub mailbox: Option<Mailbox>,
}

impl Loose {
    pub fn settle(self) {
        if let Some(waiting) = self.waiting {
            waiting.wake();
        }
    }
}
