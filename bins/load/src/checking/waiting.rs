//! How long what is missing is waited for.

use std::time::{Duration, Instant};

/// Between two looks at what has not everything yet: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Waits on while something still moves.
pub(crate) struct Waiting<T> {
    patience: Duration,
    seen: Option<(T, Instant)>,
    pause: Duration,
}

impl<T: PartialEq> Waiting<T> {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            patience,
            seen: None,
            pause: PAUSES.0,
        }
    }

    /// Whether `mark` has stood still for too long.
    pub(crate) fn is_over(&mut self, mark: T) -> bool {
        match &self.seen {
            Some((seen, since)) if *seen == mark => since.elapsed() >= self.patience,
            _ => {
                self.seen = Some((mark, Instant::now()));
                self.patience.is_zero()
            }
        }
    }

    pub(crate) async fn pause(&mut self) {
        self.pause_at_most(self.patience).await;
    }

    pub(crate) async fn pause_at_most(&mut self, most: Duration) {
        tokio::time::sleep(self.pause.min(self.patience).min(most)).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }
}
