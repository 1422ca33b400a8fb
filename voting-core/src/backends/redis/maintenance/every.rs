//! Work that is done again and again, not more often than every so long.

use std::time::Duration;

use tokio::time::Instant;

pub(in crate::backends::redis) struct Every {
    period: Duration,
    next: Instant,
}

impl Every {
    /// Due at once, and then after each period.
    pub(in crate::backends::redis) fn new(period: Duration) -> Self {
        Self {
            period,
            next: Instant::now(),
        }
    }

    /// Whether it is time; it is then noted as done.
    pub(in crate::backends::redis) fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.next;
        if due {
            self.next = now + self.period;
        }
        due
    }

    /// There is more to do than was done.
    pub(in crate::backends::redis) fn again(&mut self) {
        self.next = Instant::now();
    }

    /// How long until it is due.
    pub(in crate::backends::redis) fn left(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }
}
