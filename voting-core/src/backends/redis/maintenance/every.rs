//! Work that is repeated, at most once in each period.

use std::time::Duration;

use tokio::time::Instant;

pub(in crate::backends::redis) struct Every {
    period: Duration,
    next: Instant,
}

impl Every {
    /// The work is due at once, and then after each period.
    pub(in crate::backends::redis) fn new(period: Duration) -> Self {
        Self {
            period,
            next: Instant::now(),
        }
    }

    /// Whether the work is due. If it is, it counts as done.
    pub(in crate::backends::redis) fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.next;
        if due {
            self.next = now + self.period;
        }
        due
    }

    /// Makes the work due at once, since some of it is left.
    pub(in crate::backends::redis) fn again(&mut self) {
        self.next = Instant::now();
    }

    /// The time until the work is due.
    pub(in crate::backends::redis) fn left(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }
}
