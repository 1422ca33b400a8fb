//! When a request is sent again, and after which time.

use std::time::Duration;

/// How often a request is sent, and how long it waits for its answer and between the tries.
///
/// Only what is safe to repeat is sent again: what only reads; ballots, since each names its voter; polls that are
/// stored without a condition; and the closing of a poll.
#[derive(Debug, Clone)]
pub struct Retry {
    tries: u32,
    first: Duration,
    longest: Duration,
    timeout: Duration,
}

impl Default for Retry {
    /// 5 tries of 20 s at most. The first wait takes up to 200 ms, and none takes more than 30 s.
    fn default() -> Self {
        Self {
            tries: 5,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(30),
            timeout: Duration::from_secs(20),
        }
    }
}

impl Retry {
    /// How often each request is sent at most; 0 counts as 1.
    #[must_use]
    pub fn with_tries(mut self, tries: u32) -> Self {
        self.tries = tries.max(1);
        self
    }

    /// The longest first wait. Each further wait may take twice as long.
    #[must_use]
    pub fn with_first_wait(mut self, wait: Duration) -> Self {
        self.first = wait;
        self
    }

    /// No wait takes longer. If the service asks for a longer one, the request is not sent again.
    #[must_use]
    pub fn with_longest_wait(mut self, wait: Duration) -> Self {
        self.longest = wait;
        self
    }

    /// Each try gets its whole answer within this time, or fails.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long to wait after so many tries, of which the last one failed in a way that may pass. `None`: too long, or
    /// too many tries.
    pub(crate) fn wait(&self, tried: u32, asked: Option<Duration>) -> Option<Duration> {
        let asked = asked.unwrap_or_default();
        (tried < self.tries && asked <= self.longest).then(|| self.pause(tried).max(asked))
    }

    /// The same without a limit of tries.
    pub(crate) fn pause(&self, tried: u32) -> Duration {
        let doublings = tried.saturating_sub(1).min(20);
        let most = self.first.saturating_mul(1 << doublings).min(self.longest);
        most.mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_longest_and_heed_the_service() {
        let retry = Retry::default().with_longest_wait(Duration::from_secs(3));
        for tried in 1..5 {
            let wait = retry.wait(tried, None).unwrap();
            assert!(
                wait <= Duration::from_millis(200) * 2_u32.pow(tried - 1),
                "{wait:?}"
            );
        }
        assert_eq!(retry.wait(5, None), None);
        let asked = Duration::from_secs(3);
        assert_eq!(retry.wait(1, Some(asked)), Some(asked));
        assert_eq!(retry.wait(1, Some(asked * 2)), None);
        assert!(retry.pause(u32::MAX) <= Duration::from_secs(3));
    }
}
