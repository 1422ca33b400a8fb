//! Waiting for what is to come true, not for a time.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// Asks until there is an answer; `None` when there was none for so long.
pub(crate) fn within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let answer = ask();
        if answer.is_some() || Instant::now() >= deadline {
            return answer;
        }
        sleep(Duration::from_millis(20));
    }
}
