//! Ids and the requests behind them: reserved, cancelled before they began, or living.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::failure::Failure;
use crate::ids::ById;
use crate::status::Status;
use crate::wire::{Reason, Stop};

/// Never used twice in a process. The only state that clients share.
static NEXT: AtomicU64 = AtomicU64::new(1);

enum Entry {
    Reserved,
    /// Cancelled before anybody began it.
    Cancelled,
    Living(Arc<Stop>),
    /// A connection that is opened ahead: no request, but stopped when the client is shut down.
    Opening(Arc<Stop>),
}

/// The requests of one client.
#[derive(Default)]
pub(super) struct Registry {
    entries: Mutex<ById<Entry>>,
}

impl Registry {
    pub fn reserve(&self) -> u64 {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(id, Entry::Reserved);
        id
    }

    /// A request begins under a reserved id, or (0) a new one, if it gets its place: whoever sees that place taken can
    /// cancel it.
    pub fn begin<P>(
        &self,
        id: u64,
        stop: &Arc<Stop>,
        take_place: impl FnOnce() -> Result<P, Failure>,
    ) -> Result<(u64, P), Failure> {
        let mut entries = self.lock();
        let id = if id == 0 {
            NEXT.fetch_add(1, Ordering::Relaxed)
        } else {
            check(&entries, id)?;
            use_up_if_cancelled(&mut entries, id)?;
            id
        };
        let place = take_place()?;
        entries.insert(id, Entry::Living(stop.clone()));
        Ok((id, place))
    }

    /// A connection is opened ahead, under a number that nobody else knows.
    pub fn begin_opening(&self, stop: &Arc<Stop>) -> u64 {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(id, Entry::Opening(stop.clone()));
        id
    }

    /// Whether a request can begin under this id.
    pub fn check(&self, id: u64) -> Result<(), Failure> {
        if id == 0 { Ok(()) } else { check(&self.lock(), id) }
    }

    /// An id that was cancelled before its request began can begin none.
    pub fn use_up_if_cancelled(&self, id: u64) -> Result<(), Failure> {
        use_up_if_cancelled(&mut self.lock(), id)
    }

    pub fn finish(&self, id: u64) {
        self.lock().remove(&id);
    }

    pub fn cancel(&self, id: u64) {
        let stop = match self.lock().get_mut(&id) {
            Some(Entry::Living(stop)) => Some(stop.clone()),
            Some(entry @ Entry::Reserved) => {
                *entry = Entry::Cancelled;
                None
            }
            _ => None,
        };
        if let Some(stop) = stop {
            stop.pull(Reason::Cancelled);
        }
    }

    /// Stop all that live, `with_openings` also what is no request. Gives back their ids.
    pub fn stop_all(&self, reason: Reason, with_openings: bool) -> Vec<u64> {
        let living: Vec<(u64, Arc<Stop>)> = self
            .lock()
            .iter()
            .filter_map(|(id, entry)| match entry {
                Entry::Living(stop) => Some((*id, stop.clone())),
                Entry::Opening(stop) if with_openings => Some((*id, stop.clone())),
                _ => None,
            })
            .collect();
        // All are stopped before the first is woken: by its end it makes room for one that waits, which must not begin then.
        let (ids, stopped): (Vec<u64>, Vec<_>) =
            living.into_iter().map(|(id, stop)| (id, stop.set(reason).then_some(stop))).unzip();
        stopped.into_iter().flatten().for_each(|stop| stop.wake());
        ids
    }

    fn lock(&self) -> MutexGuard<'_, ById<Entry>> {
        self.entries.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn use_up_if_cancelled(entries: &mut ById<Entry>, id: u64) -> Result<(), Failure> {
    if let Some(Entry::Cancelled) = entries.get(&id) {
        entries.remove(&id);
        return Err(Failure::new(Status::Cancelled, "the request was cancelled before it began"));
    }
    Ok(())
}

fn check(entries: &ById<Entry>, id: u64) -> Result<(), Failure> {
    match entries.get(&id) {
        Some(Entry::Reserved | Entry::Cancelled) => Ok(()),
        Some(Entry::Living(_)) => {
            Err(Failure::argument(format!("the id {id} is in use: reserve one for each request")))
        }
        Some(Entry::Opening(_)) | None => Err(Failure::argument(format!(
            "the id {id} was not reserved from this client, or was used already: take one from helio_reserve"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::sync::atomic::AtomicBool;
    use std::task::{Context, Wake};

    use super::*;

    fn begin(registry: &Registry, id: u64, stop: &Arc<Stop>) -> Result<u64, Failure> {
        registry.begin(id, stop, || Ok(())).map(|(id, ())| id)
    }

    #[test]
    fn an_id_is_used_once() {
        let registry = Registry::default();
        let stop = Arc::new(Stop::default());
        let id = registry.reserve();
        assert_eq!(begin(&registry, id, &stop).unwrap(), id);
        assert_eq!(begin(&registry, id, &stop).unwrap_err().status, Status::InvalidArgument);
        registry.finish(id);
        assert_eq!(begin(&registry, id, &stop).unwrap_err().status, Status::InvalidArgument);
        assert_ne!(begin(&registry, 0, &stop).unwrap(), id);
    }

    #[test]
    fn a_place_that_is_taken_belongs_to_an_id_that_can_be_cancelled() {
        let registry = Arc::new(Registry::default());
        let stop = Arc::new(Stop::default());
        let id = registry.reserve();
        let busy = || Err::<(), _>(Failure::new(Status::Busy, "no place"));
        assert_eq!(registry.begin(id, &stop, busy).unwrap_err().status, Status::Busy);
        let mut canceller = None;
        let take_place = || {
            let registry = registry.clone();
            canceller = Some(std::thread::spawn(move || registry.cancel(id))); // it has seen the place
            Ok(())
        };
        assert_eq!(
            registry.begin(id, &stop, take_place).unwrap().0,
            id,
            "an id is not used up by a client that was busy"
        );
        canceller.unwrap().join().unwrap();
        assert_eq!(stop.reason(), Some(Reason::Cancelled));
    }

    #[test]
    fn a_cancel_before_the_beginning_is_remembered_and_used_up() {
        let registry = Registry::default();
        let stop = Arc::new(Stop::default());
        let id = registry.reserve();
        registry.cancel(id);
        registry.cancel(id);
        registry.cancel(0);
        registry.cancel(id + 1_000_000);
        assert_eq!(begin(&registry, id, &stop).unwrap_err().status, Status::Cancelled);
        assert_eq!(begin(&registry, id, &stop).unwrap_err().status, Status::InvalidArgument);
        assert_eq!(stop.reason(), None);
        assert!(registry.lock().is_empty());
    }

    /// Who ends makes room for who waits; that one must not begin because it has not been told yet.
    #[test]
    fn all_are_stopped_before_the_first_of_them_notices() {
        struct Look(Vec<Arc<Stop>>, AtomicBool);
        impl Wake for Look {
            fn wake(self: Arc<Self>) {
                let all_are = self.0.iter().all(|stop| stop.reason() == Some(Reason::Cancelled));
                self.1.fetch_and(all_are, Ordering::SeqCst);
            }
        }
        let registry = Registry::default();
        let stops: Vec<Arc<Stop>> = (0..8).map(|_| Arc::default()).collect();
        for stop in &stops {
            begin(&registry, 0, stop).unwrap();
        }
        let look = Arc::new(Look(stops.clone(), AtomicBool::new(true)));
        let waker = look.clone().into();
        let mut waiting: Vec<_> = stops.iter().map(|stop| Box::pin(stop.pulled())).collect();
        for one in &mut waiting {
            assert!(one.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        assert_eq!(registry.stop_all(Reason::Cancelled, false).len(), 8);
        assert!(look.1.load(Ordering::SeqCst), "one noticed before another was stopped");
    }
}
