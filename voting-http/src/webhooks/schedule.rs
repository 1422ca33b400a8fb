//! When a message is sent again.

use std::time::Duration;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// The waits before each attempt.
const WAITS: [Duration; 10] = [
    Duration::ZERO,
    Duration::from_secs(5),
    minutes(5),
    minutes(30),
    minutes(2 * 60),
    minutes(5 * 60),
    minutes(10 * 60),
    minutes(14 * 60),
    minutes(20 * 60),
    minutes(24 * 60),
];

/// How many times a message is sent at most.
pub const ATTEMPTS: usize = WAITS.len();

/// The longest wait that an endpoint may ask for.
pub const MAX_WAIT: Duration = minutes(24 * 60);

/// How long to wait before the next attempt, after so many attempts that failed. `None`: there is no further attempt.
///
/// `asked` is the wait that the endpoint asks for, which only makes a wait longer, up to [`MAX_WAIT`]. `chance`, from 0
/// to 1, adds up to a tenth, so that messages that failed together are not sent again together.
#[must_use]
pub fn wait(failed: usize, asked: Option<Duration>, chance: f64) -> Option<Duration> {
    let planned = *WAITS.get(failed)?;
    let wait = planned.max(asked.unwrap_or_default().min(MAX_WAIT));
    Some(wait + wait.mul_f64(chance.clamp(0.0, 1.0) / 10.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_sent_ten_times_within_some_three_days() {
        let waits: Vec<_> = (0..).map_while(|failed| wait(failed, None, 0.0)).collect();
        assert_eq!(waits, WAITS);
        let hours = waits.iter().sum::<Duration>().as_secs() / 3_600;
        assert_eq!(hours, 75);
        assert_eq!(wait(ATTEMPTS, Some(MAX_WAIT), 1.0), None);
    }

    #[test]
    fn an_endpoint_can_ask_for_a_longer_wait_and_for_no_shorter_one() {
        let second = Duration::from_secs(1);
        assert_eq!(wait(1, Some(minutes(1)), 0.0), Some(minutes(1)));
        assert_eq!(wait(2, Some(second), 0.0), Some(minutes(5)));
        assert_eq!(wait(1, Some(Duration::MAX), 0.0), Some(MAX_WAIT));
    }

    #[test]
    fn chance_adds_up_to_a_tenth() {
        assert_eq!(wait(2, None, 1.0), Some(Duration::from_secs(330)));
        assert_eq!(wait(2, None, f64::INFINITY), Some(Duration::from_secs(330)));
        assert_eq!(wait(0, None, 1.0), Some(Duration::ZERO));
    }
}
