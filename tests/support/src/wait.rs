//! Waiting for a condition instead of for a fixed time.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// Longer than anything takes that works.
pub const LONG: Duration = Duration::from_secs(60);

/// From one question to the next.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer; `None` when there was none within the limit.
pub fn within<T>(limit: Duration, ask: impl FnMut() -> Option<T>) -> Option<T> {
    within_every(PAUSE, limit, ask)
}

/// The same, with this pause between two questions.
pub(crate) fn within_every<T>(
    pause: Duration,
    limit: Duration,
    mut ask: impl FnMut() -> Option<T>,
) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let answer = ask();
        if answer.is_some() || Instant::now() >= deadline {
            return answer;
        }
        sleep(pause);
    }
}

/// Asks until there is an answer.
///
/// # Panics
/// There is none after a minute.
#[track_caller]
pub fn await_some<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    match within(LONG, ask) {
        Some(answer) => answer,
        None => panic!("waited in vain: {what}"),
    }
}

/// Waits until it is so.
///
/// # Panics
/// It is not after a minute.
#[track_caller]
pub fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    await_some(what, || is_so().then_some(()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_the_waiting_and_so_does_the_limit() {
        let mut asked = 0;
        let third = within(LONG, || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(third, Some(3));
        let begun = Instant::now();
        assert_eq!(within(PAUSE * 2, || None::<()>), None);
        assert!(begun.elapsed() >= PAUSE * 2);
        // It is asked once even if there is no time.
        assert_eq!(within(Duration::ZERO, || Some(1)), Some(1));
    }
}
