//! How many ballots may wait in a lane: as many as can be written soon. What is above that is better told
//! at once to come back.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Read by those who cast, set by the lane.
pub(super) struct Limit {
    ballots: AtomicUsize,
    /// No ballot is to wait for others much longer than this.
    max_delay: Duration,
}

impl Limit {
    pub(super) fn new(max_delay: Duration) -> Self {
        Self {
            ballots: AtomicUsize::new(usize::MAX),
            max_delay,
        }
    }

    /// Whether one more may wait beside this many.
    pub(super) fn admits(&self, waiting: usize) -> bool {
        waiting < self.ballots.load(Ordering::Relaxed)
    }

    /// Entries of that size take so long each. What goes with the next entry is always admitted.
    pub(super) fn set(&self, entry: usize, each: Duration) {
        let entries = self.max_delay.as_nanos() / each.as_nanos().max(1);
        let entries = usize::try_from(entries).unwrap_or(usize::MAX).max(1);
        self.ballots
            .store(entry.saturating_mul(entries), Ordering::Relaxed);
    }
}
