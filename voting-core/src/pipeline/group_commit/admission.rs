//! How many ballots may wait in a lane: as many as can be written soon. A ballot above this limit is refused at once,
//! so that its voter can try again later.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// The limit of one lane. The lane sets the limit, and each cast reads it.
pub(super) struct Limit {
    ballots: AtomicUsize,
    /// A ballot should not wait for the ballots before it much longer than this.
    max_delay: Duration,
}

impl Limit {
    pub(super) fn new(max_delay: Duration) -> Self {
        Self {
            ballots: AtomicUsize::new(usize::MAX),
            max_delay,
        }
    }

    /// Whether one more ballot may wait while this many wait.
    pub(super) fn admits(&self, waiting: usize) -> bool {
        waiting < self.ballots.load(Ordering::Relaxed)
    }

    /// Sets the limit: entries of `entry` ballots take `each` to write. As many ballots as fit in the next entry are
    /// always admitted.
    pub(super) fn set(&self, entry: usize, each: Duration) {
        let entries = self.max_delay.as_nanos() / each.as_nanos().max(1);
        let entries = usize::try_from(entries).unwrap_or(usize::MAX).max(1);
        self.ballots
            .store(entry.saturating_mul(entries), Ordering::Relaxed);
    }
}
