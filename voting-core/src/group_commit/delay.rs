//! How far a lane is behind: what decides whether one more ballot may wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Of the ballots that wait in a lane or are being written, when the first came.
pub(super) struct Delay {
    begun: Instant,
    /// In milliseconds since `begun`, and one more; 0 if none waits.
    first: AtomicU64,
}

impl Delay {
    pub(super) fn none() -> Self {
        Self {
            begun: Instant::now(),
            first: AtomicU64::new(0),
        }
    }

    /// The lane sees to ballots of which the first came then.
    pub(super) fn begins_with(&self, since: Option<Instant>) {
        let first = since.map_or(0, |since| millis(since - self.begun).saturating_add(1));
        self.first.store(first, Ordering::Relaxed);
    }

    /// How long that first one has been there.
    pub(super) fn so_far(&self) -> Duration {
        match self.first.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            first => {
                let now = millis(self.begun.elapsed());
                Duration::from_millis(now.saturating_sub(first - 1))
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
