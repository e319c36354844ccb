//! A client's own rate limit: requests wait for their turn, so that the server need not refuse them.
//!
//! Two buckets, as the limits of the large providers are (`docs/rate-limits.md`): each holds a minute's worth, is full at first, and fills
//! again evenly. A request takes one from the first when it begins, and each further attempt one more; what an answer's
//! usage says is taken from the second when it ends, and may leave it in debt. Both must hold something for the next to begin.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::chat::scan;
use crate::clock::Clock;

/// Longer than this no wait can be; there is a deadline for whoever wants one.
const WAIT_MOST_S: f64 = 1e9;

/// The limits of one client.
pub struct Limiter {
    clock: Clock,
    line: tokio::sync::Mutex<()>, // the first in it waits for the buckets
    buckets: Mutex<Buckets>,
}

struct Buckets {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

struct Bucket {
    per_minute: f64,
    left: f64,
    as_of: Instant,
}

impl Limiter {
    /// `None`: there is nothing to limit.
    pub fn new(clock: Clock, requests_per_minute: Option<u64>, tokens_per_minute: Option<u64>) -> Option<Self> {
        let now = clock.now();
        let bucket = |most: u64| Bucket { per_minute: most as f64, left: most as f64, as_of: now };
        let buckets = Buckets { requests: requests_per_minute.map(bucket), tokens: tokens_per_minute.map(bucket) };
        let is_limited = buckets.requests.is_some() || buckets.tokens.is_some();
        is_limited.then(|| Limiter { clock, line: tokio::sync::Mutex::default(), buckets: Mutex::new(buckets) })
    }

    /// Begin a request now, if nobody waits and the buckets allow it.
    pub fn try_begin(&self) -> bool {
        self.line.try_lock().is_ok_and(|_first| self.begin().is_none())
    }

    /// Wait for its turn, first come, first served, and begin a request.
    pub async fn wait(&self) {
        let _first = self.line.lock().await;
        while let Some(wait) = self.begin() {
            self.clock.sleep_until(self.clock.now() + wait).await;
        }
    }

    /// Another attempt of a request that has begun: it waits for its back-off only, those behind it wait longer.
    pub fn spend_attempt(&self) {
        self.lock().requests.iter_mut().for_each(|bucket| bucket.left -= 1.0);
    }

    /// A request has ended whose usage is written so.
    pub fn spend_usage(&self, usage: &str) {
        let count = |name| scan::member(usage, name).and_then(|raw| raw.parse::<f64>().ok());
        let parts = || Some(count("prompt_tokens")? + count("completion_tokens")?);
        let used = count("total_tokens").or_else(parts).filter(|used| *used > 0.0).unwrap_or(0.0);
        self.lock().tokens.iter_mut().for_each(|bucket| bucket.left -= used);
    }

    /// Take a request from the buckets, or say how long to wait.
    fn begin(&self) -> Option<Duration> {
        let now = self.clock.now();
        let mut buckets = self.lock();
        let Buckets { requests, tokens } = &mut *buckets;
        let wait = [&mut *requests, tokens].into_iter().flatten().filter_map(|bucket| bucket.wait(now)).max();
        if wait.is_none() {
            requests.iter_mut().for_each(|bucket| bucket.left -= 1.0);
        }
        wait
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Bucket {
    /// How long until it holds one; `None`: it does.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        let passed_s = now.saturating_duration_since(self.as_of).as_secs_f64();
        self.left = (self.left + passed_s * self.per_minute / 60.0).min(self.per_minute);
        self.as_of = now;
        let wait_s = (1.0 - self.left) * 60.0 / self.per_minute;
        // In whole milliseconds, so that it does hold one then.
        (wait_s > 0.0).then(|| Duration::from_millis((wait_s.min(WAIT_MOST_S) * 1000.0).ceil() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(requests: Option<u64>, tokens: Option<u64>) -> Limiter {
        Limiter::new(Clock::default(), requests, tokens).expect("a limit")
    }

    /// The wait, in whole seconds.
    fn begin(limiter: &Limiter) -> Option<u64> {
        limiter.begin().map(|wait| wait.as_secs_f64().round() as u64)
    }

    #[test]
    fn a_minutes_worth_goes_at_once_and_the_next_waits_for_its_share_of_a_minute() {
        let limiter = limiter(Some(2), None);
        assert_eq!([(); 4].map(|()| begin(&limiter)), [None, None, Some(30), Some(30)], "a wait takes nothing");
        limiter.spend_attempt();
        assert_eq!(begin(&limiter), Some(60));
    }

    #[test]
    fn usage_is_taken_when_it_is_known_and_may_leave_a_debt() {
        let limiter = limiter(None, Some(60));
        assert_eq!(begin(&limiter), None);
        limiter.spend_usage(r#"{"prompt_tokens":20,"completion_tokens":10,"total_tokens":40}"#);
        assert_eq!(begin(&limiter), None, "20 are left");
        limiter.spend_usage(r#"{"prompt_tokens":20,"completion_tokens":99}"#);
        assert_eq!(begin(&limiter), Some(100), "99 are owed, and one is needed");
        limiter.spend_usage(r#"{"total_tokens":-1000}"#);
        limiter.spend_usage("null");
        assert_eq!(begin(&limiter), Some(100), "nonsense gives nothing back");
        limiter.spend_usage(r#"{"total_tokens":1e300}"#);
        assert!(begin(&limiter) > Some(100));
    }

    #[test]
    fn without_limits_there_is_no_limiter() {
        assert!(Limiter::new(Clock::default(), None, None).is_none());
    }
}
