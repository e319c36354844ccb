//! Names: looked up by the operating system, on a thread that nobody has to wait for.
//!
//! The system's look-up cannot be interrupted, so it gets a thread of its own that holds nothing of the client: a
//! cancel or a deadline leaves it behind, and it is counted until it ends. Answers are kept for a while (the system
//! does not tell for how long it may be), and who asks for the same name meanwhile waits for the same answer.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::os::{self, LookupError};

const KEPT: Duration = Duration::from_secs(30);
const STACK: usize = 256 * 1024;

/// ureq's resolver: none. ureq asks before every request, also when the pool has a connection; our connector asks
/// [`Names`] when it really opens one.
#[derive(Debug)]
pub(super) struct LookUpLater;

impl Resolver for LookUpLater {
    fn resolve(
        &self,
        _: &ureq::http::Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

pub(super) type Found = Result<Vec<SocketAddr>, LookupError>;
pub(super) type LookUp = fn(&str, u16) -> Found;

/// The names of one client.
pub(super) struct Names {
    known: Arc<Mutex<HashMap<(String, u16), Entry>>>,
    look_up: LookUp,
}

enum Entry {
    Asked(Answer),
    Known(Vec<SocketAddr>, Instant),
}

/// An answer that is still to come. The table holds one, and each of those who wait for it.
#[derive(Clone)]
struct Answer {
    found: watch::Receiver<Option<Found>>,
    holders: Arc<()>,
}

impl Answer {
    fn of(found: watch::Receiver<Option<Found>>) -> Self {
        Answer { found, holders: Arc::new(()) }
    }

    fn is_waited_for(&self) -> bool {
        Arc::strong_count(&self.holders) > 1
    }
}

impl Default for Names {
    fn default() -> Self {
        Names { known: Arc::default(), look_up: os::look_up }
    }
}

#[cfg(test)]
impl Names {
    /// The system is not asked, but this.
    pub fn pretending(look_up: LookUp) -> Self {
        Names { look_up, ..Names::default() }
    }
}

impl Names {
    /// Look-ups that have not ended and that nobody waits for any more.
    pub fn stuck(&self) -> usize {
        let stuck = |entry: &&Entry| matches!(entry, Entry::Asked(answer) if !answer.is_waited_for());
        lock(&self.known).values().filter(stuck).count()
    }

    /// The addresses of a host. Dropping the future abandons the wait, not the look-up.
    pub async fn addresses(&self, host: &str, port: u16, now: Instant) -> Found {
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let mut answer = match self.ask(host, port, now) {
            Ok(addresses) => return Ok(addresses),
            Err(answer) => answer,
        };
        loop {
            if let Some(found) = answer.found.borrow_and_update().clone() {
                return found;
            }
            if answer.found.changed().await.is_err() {
                return Err(LookupError {
                    message: "the look-up was given up".to_owned(),
                    temporary: true,
                    refused: false,
                });
            }
        }
    }

    /// Addresses did not work: ask again next time.
    pub fn forget(&self, host: &str, port: u16) {
        let mut known = lock(&self.known);
        if let Some(Entry::Known(..)) = known.get(&(host.to_owned(), port)) {
            known.remove(&(host.to_owned(), port));
        }
    }

    /// What is known, or else the running look-up, started if there is none.
    fn ask(&self, host: &str, port: u16, now: Instant) -> Result<Vec<SocketAddr>, Answer> {
        let key = (host.to_owned(), port);
        let mut known = lock(&self.known);
        match known.get(&key) {
            Some(Entry::Known(addresses, since)) if now.duration_since(*since) < KEPT => return Ok(addresses.clone()),
            Some(Entry::Asked(answer)) => return Err(answer.clone()),
            _ => {}
        }
        let (sender, receiver) = watch::channel(None);
        let (table, look_up) = (self.known.clone(), self.look_up);
        let table_key = key.clone();
        let started = os::spawn("helio-lookup", STACK, false, move || {
            let (host, port) = &table_key;
            let found = look_up(host, *port);
            let mut known = lock(&table);
            match &found {
                Ok(addresses) => known.insert(table_key.clone(), Entry::Known(addresses.clone(), Instant::now())),
                Err(_) => known.remove(&table_key),
            };
            drop(known);
            sender.send_replace(Some(found));
        });
        if let Err(error) = started {
            let (failed, answer) = watch::channel(None);
            let message = error.to_string();
            failed.send_replace(Some(Err(LookupError { message, temporary: false, refused: true })));
            return Err(Answer::of(answer));
        }
        let answer = Answer::of(receiver);
        known.insert(key, Entry::Asked(answer.clone()));
        Err(answer)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static ASKED: AtomicUsize = AtomicUsize::new(0);

    fn pretend(host: &str, port: u16) -> Found {
        ASKED.fetch_add(1, Ordering::SeqCst);
        match host {
            "no.test" => Err(LookupError { message: "nobody".into(), temporary: false, refused: false }),
            _ => Ok(vec![SocketAddr::new([127, 0, 0, 1].into(), port)]),
        }
    }

    #[tokio::test]
    async fn a_name_is_asked_once_and_kept_a_failure_is_not() {
        let names = Names::pretending(pretend);
        let now = Instant::now();
        let (one, two) = tokio::join!(names.addresses("a.test", 80, now), names.addresses("a.test", 80, now));
        assert_eq!(one.unwrap(), two.unwrap());
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
        names.addresses("a.test", 80, now + KEPT / 2).await.unwrap();
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
        names.addresses("a.test", 80, Instant::now() + KEPT).await.unwrap();
        assert_eq!(ASKED.load(Ordering::SeqCst), 2);
        names.forget("a.test", 80);
        names.addresses("a.test", 80, now).await.unwrap();
        assert_eq!(ASKED.load(Ordering::SeqCst), 3);
        for _ in 0..2 {
            names.addresses("no.test", 80, now).await.unwrap_err();
        }
        assert_eq!(ASKED.load(Ordering::SeqCst), 5);
    }

    #[tokio::test]
    async fn an_address_is_no_name() {
        let names = Names::default();
        let found = names.addresses("[::1]", 443, Instant::now()).await.unwrap();
        assert_eq!(found, ["[::1]:443".parse().unwrap()]);
    }
}
