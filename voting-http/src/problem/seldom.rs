//! Limits log lines that any client can cause to one a minute. Each line says how many were held back.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// The time between two lines of the same kind.
const PAUSE: Duration = Duration::from_secs(60);

/// When the last line was logged.
#[derive(Debug)]
pub(crate) struct Seldom {
    begun: Instant,
    /// When the next line is due, in milliseconds since `begun`.
    next: AtomicU64,
    held_back: AtomicU64,
}

impl Default for Seldom {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            next: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
        }
    }
}

impl Seldom {
    /// Whether to log a line now. The number is how many lines were held back before it.
    pub(crate) fn due(&self) -> Option<u64> {
        self.due_after(self.begun.elapsed())
    }

    /// For a line that is logged now in any case: how many lines were held back before it.
    pub(crate) fn at_once(&self) -> u64 {
        self.next
            .store(millis(self.begun.elapsed() + PAUSE), Relaxed);
        self.held_back.swap(0, Relaxed)
    }

    fn due_after(&self, elapsed: Duration) -> Option<u64> {
        let next = self.next.load(Relaxed);
        let after = millis(elapsed + PAUSE);
        let is_due = millis(elapsed) >= next
            && self
                .next
                .compare_exchange(next, after, Relaxed, Relaxed)
                .is_ok();
        if is_due {
            return Some(self.held_back.swap(0, Relaxed));
        }
        self.held_back.fetch_add(1, Relaxed);
        None
    }
}

fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_minute_is_due_and_says_how_many_were_not() {
        let seldom = Seldom::default();
        let due = |seconds| seldom.due_after(Duration::from_secs(seconds));
        assert_eq!(due(0), Some(0));
        assert_eq!([due(0), due(59)], [None; 2]);
        assert_eq!(due(60), Some(2));
        assert_eq!(due(61), None);
        assert_eq!(due(1_000), Some(1));
    }
}
