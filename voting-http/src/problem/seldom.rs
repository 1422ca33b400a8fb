//! Limits log lines that any client can cause to one a minute, or to some. Each line says how many were held back.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// The time after which there may be as many lines again.
const PAUSE: Duration = Duration::from_secs(60);

/// When and how many lines were logged.
#[derive(Debug)]
pub(crate) struct Seldom {
    begun: Instant,
    /// When the next line is due, in milliseconds since `begun`.
    next: AtomicU64,
    /// How many more lines may be logged before that.
    left: AtomicU64,
    /// How many lines may be logged in a minute.
    at_most: u64,
    held_back: AtomicU64,
}

impl Default for Seldom {
    fn default() -> Self {
        Self::up_to(1)
    }
}

impl Seldom {
    /// The most lines a minute, at least one.
    pub(crate) fn up_to(at_most: u64) -> Self {
        Self {
            begun: Instant::now(),
            next: AtomicU64::new(0),
            left: AtomicU64::new(0),
            at_most,
            held_back: AtomicU64::new(0),
        }
    }

    /// Whether to log a line now. The number is how many lines were held back before it.
    pub(crate) fn due(&self) -> Option<u64> {
        self.due_after(self.begun.elapsed())
    }

    /// For a line that is logged now in any case: how many lines were held back before it.
    pub(crate) fn at_once(&self) -> u64 {
        self.next
            .store(millis(self.begun.elapsed() + PAUSE), Relaxed);
        self.left.store(self.at_most.saturating_sub(1), Relaxed);
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
            self.left.store(self.at_most.saturating_sub(1), Relaxed);
        }
        let one_less = |left: u64| left.checked_sub(1);
        if is_due || self.left.fetch_update(Relaxed, Relaxed, one_less).is_ok() {
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

    #[test]
    fn some_a_minute_are_due_where_some_may_be() {
        let seldom = Seldom::up_to(3);
        let due = |seconds| seldom.due_after(Duration::from_secs(seconds));
        assert_eq!([due(0), due(1), due(59)], [Some(0); 3]);
        assert_eq!([due(59), due(59)], [None; 2]);
        assert_eq!(
            [due(60), due(60), due(60), due(60)],
            [Some(2), Some(0), Some(0), None]
        );
    }
}
