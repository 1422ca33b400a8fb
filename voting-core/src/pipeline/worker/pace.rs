//! When a batch that is not full goes to the store.
//!
//! A flush costs the store nearly as much for one ballot as for a hundred. So the store rests between two such flushes,
//! in proportion to the last one: the longer a flush takes, the more ballots the next one has. While the store is busy,
//! only [`max_wait`](super::WorkerOptions::max_wait) ends a batch that is not full.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The rest is so many times as long as the last flush: small flushes take a fifth of the time of a connection, …
const REST: u32 = 4;

/// … and at least this long.
const MIN_REST: Duration = Duration::from_millis(10);

/// While a batch is being flushed, the worker looks this often whether it still is.
const LOOK: Duration = Duration::from_millis(5);

/// What the store has to do.
#[derive(Debug)]
pub(super) struct Pace(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Batches that are on their way to the store.
    under_way: usize,
    rested: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            under_way: 0,
            rested: Instant::now(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch goes to the store.
    pub(super) fn begins(&self) {
        self.state().under_way += 1;
    }

    /// A batch was flushed, which took this long.
    pub(super) fn ended(&self, took: Duration) {
        let mut state = self.state();
        state.under_way = state.under_way.saturating_sub(1);
        state.rested = Instant::now() + took.saturating_mul(REST).max(MIN_REST);
    }

    /// Until when a batch with these bounds gathers more ballots. `None` if it goes to the store now.
    pub(super) fn gathers_until(&self, earliest: Instant, latest: Instant) -> Option<Instant> {
        let now = Instant::now();
        let state = self.state();
        let until = match state.under_way {
            0 => latest.min(earliest.max(state.rested)),
            // Nothing tells when it is flushed.
            _ => latest.min(now + LOOK),
        };
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_WAIT: Duration = Duration::from_millis(50);

    /// How long a batch gathers ballots that has its first one now.
    fn gathers(pace: &Pace, min_wait: Duration) -> Duration {
        let now = Instant::now();
        let until = pace.gathers_until(now + min_wait, now + MAX_WAIT);
        until.map_or(Duration::ZERO, |until| until - now)
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_without_work_gets_a_batch_at_once() {
        let pace = Pace::new();
        assert_eq!(gathers(&pace, Duration::ZERO), Duration::ZERO);
        let min_wait = Duration::from_millis(20);
        assert_eq!(gathers(&pace, min_wait), min_wait);
        assert_eq!(gathers(&pace, Duration::from_secs(1)), MAX_WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_is_in_proportion_to_the_last_flush() {
        let pace = Pace::new();
        for (took, rest) in [(0, 10), (2, 10), (5, 20), (10, 40), (100, 50)] {
            pace.begins();
            pace.ended(Duration::from_millis(took));
            let rest = Duration::from_millis(rest);
            assert_eq!(gathers(&pace, Duration::ZERO), rest, "{took}");
            tokio::time::advance(rest).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_store_gets_no_small_batch_before_its_time() {
        let pace = Pace::new();
        let now = Instant::now();
        pace.begins();
        pace.begins();
        pace.ended(Duration::ZERO);
        let mut looks = 0;
        while let Some(until) = pace.gathers_until(now, now + MAX_WAIT) {
            looks += 1;
            tokio::time::sleep_until(until).await;
        }
        assert_eq!((now.elapsed(), looks), (MAX_WAIT, 10));
    }
}
