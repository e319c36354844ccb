//! What comes in from outside and must be held in hand by tests: the time by which deadlines and waits go, and chance.
//!
//! In a test build (feature `fault-injection`) a clock can be put forward, and chance be told: whoever sleeps by it
//! wakes up, and minutes pass in no time. Without the feature nothing of that exists.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The clock of one client.
#[derive(Clone, Default)]
pub struct Clock {
    #[cfg(feature = "fault-injection")]
    held: std::sync::Arc<injected::Held>,
}

impl Clock {
    /// What time it is.
    pub fn now(&self) -> Instant {
        Instant::now() + self.shift()
    }

    /// What people call the time.
    pub fn time_of_day(&self) -> SystemTime {
        SystemTime::now() + self.shift()
    }
}

#[cfg(not(feature = "fault-injection"))]
impl Clock {
    fn shift(&self) -> Duration {
        Duration::ZERO
    }

    /// Wait until then.
    pub async fn sleep_until(&self, at: Instant) {
        tokio::time::sleep_until(at).await;
    }

    /// A number from 0 to 1, unlike the one before.
    pub fn chance(&self) -> f64 {
        random()
    }
}

fn random() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0u8) as f64 / u64::MAX as f64
}

#[cfg(feature = "fault-injection")]
mod injected {
    use std::sync::Mutex;

    use tokio::sync::watch;

    use super::*;

    /// How far the clock was put forward, and what chance must say.
    pub struct Held {
        shift: watch::Sender<Duration>,
        chance: Mutex<Option<f64>>,
    }

    impl Default for Held {
        fn default() -> Self {
            Held { shift: watch::Sender::new(Duration::ZERO), chance: Mutex::default() }
        }
    }

    impl Clock {
        /// Put it forward.
        pub fn advance(&self, by: Duration) {
            self.held.shift.send_modify(|shift| *shift += by);
        }

        /// From now on chance says this.
        pub fn set_chance(&self, chance: f64) {
            *self.held.chance.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(chance);
        }

        pub(super) fn shift(&self) -> Duration {
            *self.held.shift.borrow()
        }

        /// Wait until then.
        pub async fn sleep_until(&self, at: Instant) {
            let mut put_forward = self.held.shift.subscribe();
            loop {
                let shift = *put_forward.borrow_and_update();
                let Some(at) = at.checked_sub(shift) else { return };
                tokio::select! {
                    () = tokio::time::sleep_until(at) => return,
                    _ = put_forward.changed() => {}
                }
            }
        }

        /// A number from 0 to 1, unlike the one before.
        pub fn chance(&self) -> f64 {
            self.held.chance.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).unwrap_or_else(random)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_lies_between_zero_and_one_and_varies() {
        let clock = Clock::default();
        let all: Vec<f64> = (0..100).map(|_| clock.chance()).collect();
        assert!(all.iter().all(|chance| (0.0..=1.0).contains(chance)));
        assert!(all.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
