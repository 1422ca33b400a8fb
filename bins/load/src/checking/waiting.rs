//! How long to wait for missing ballots.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// The shortest and the longest pause between two looks while something is missing.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Waits while something still changes.
pub(crate) struct Waiting<T> {
    patience: Duration,
    seen: Option<(T, Instant)>,
    pauses: ExponentialBackoff,
}

impl<T: PartialEq> Waiting<T> {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            patience,
            seen: None,
            pauses: pauses(PAUSES.0, PAUSES.1),
        }
    }

    /// Whether `mark` has not changed for too long.
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
        let pause = self.pauses.next().unwrap_or(PAUSES.1);
        tokio::time::sleep(pause.min(self.patience).min(most)).await;
    }
}

/// Endless pauses. Each is twice as long as the one before, up to the longest.
pub(crate) fn pauses(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(longest)
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_never_end() {
        let (first, longest) = PAUSES;
        let millis: Vec<_> = pauses(first, longest)
            .take(100)
            .map(|pause| pause.as_millis())
            .collect();
        assert_eq!(millis[..7], [100, 200, 400, 800, 1_600, 3_200, 5_000]);
        assert!(millis[7..].iter().all(|pause| *pause == 5_000));
        assert_eq!(millis.len(), 100);
    }
}
