//! How many ballots may wait in a lane: as many as can be written soon. What is above that is better told
//! at once to come back.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Read by those who cast, set by the lane.
pub(super) struct Room(AtomicUsize);

impl Room {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }

    /// Whether one more may wait beside so many.
    pub(super) fn has_for_one_beside(&self, waiting: usize) -> bool {
        waiting < self.0.load(Ordering::Relaxed)
    }

    /// Entries of that size take so long each, and no ballot is to wait for others much longer than
    /// `max_delay`. There is always room for what goes with the next entry.
    pub(super) fn set(&self, entry: usize, each: Duration, max_delay: Duration) {
        let entries = max_delay.as_nanos() / each.as_nanos().max(1);
        let entries = usize::try_from(entries).unwrap_or(usize::MAX).max(1);
        self.0
            .store(entry.saturating_mul(entries), Ordering::Relaxed);
    }
}
