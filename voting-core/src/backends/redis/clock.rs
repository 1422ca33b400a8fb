//! What Redis' clock says, so that a command can carry the moment after which it must not be carried
//! out any more.
//!
//! A command whose answer did not come in time may still sit in a socket. Its caller was told that the
//! outcome is unknown, and may have done something newer since, elsewhere; so Redis itself has to refuse
//! it when it comes to it. The clocks of two machines differ: what counts is Redis'.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How far Redis' clock is ahead of ours; of each shard, since each may be on another server.
#[derive(Debug)]
pub(super) struct Clocks {
    start: Instant,
    ahead_ms: Mutex<Vec<Option<Ahead>>>,
}

#[derive(Debug, Clone, Copy)]
struct Ahead {
    ms: i64,
    /// On our clock.
    learned_at_ms: i64,
}

/// Clocks drift: what was learned is forgotten after this time.
const MAX_AGE_MS: i64 = 60_000;

impl Clocks {
    pub(super) fn new(shards: u16) -> Self {
        Self {
            start: Instant::now(),
            ahead_ms: Mutex::new(vec![None; shards.into()]),
        }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Takes in what a server said its time was, in an answer that has just come. It said so before now,
    /// so its clock may be further ahead than this makes it, but not less far: a deadline is rather too
    /// early than too late.
    pub(super) fn learn(&self, shard: usize, said_ms: i64) {
        let learned_at_ms = self.now_ms();
        let ms = said_ms.saturating_sub(learned_at_ms);
        self.set(shard, Some(Ahead { ms, learned_at_ms }));
    }

    /// What was known does not hold: the clock was set, or another server has taken over.
    pub(super) fn forget(&self, shard: usize) {
        self.set(shard, None);
    }

    fn set(&self, shard: usize, ahead: Option<Ahead>) {
        let mut all = self.ahead_ms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(shard) {
            *known = ahead;
        }
    }

    /// The moment on the server's clock that is `patience` from now; `None` when nothing is known of it.
    pub(super) fn deadline_ms(&self, shard: usize, patience: Duration) -> Option<i64> {
        let all = self.ahead_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = all.get(shard).copied().flatten()?;
        let now_ms = self.now_ms();
        if now_ms - ahead.learned_at_ms > MAX_AGE_MS {
            return None;
        }
        let patience = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
        Some(ahead.ms.saturating_add(now_ms).saturating_add(patience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_on_the_servers_clock() {
        let clocks = Clocks::new(2);
        assert_eq!(clocks.deadline_ms(0, Duration::ZERO), None);
        clocks.learn(0, 1_700_000_000_000);
        let deadline = clocks.deadline_ms(0, Duration::from_secs(5)).unwrap();
        assert!((1_700_000_005_000..1_700_000_006_000).contains(&deadline));
        assert_eq!(clocks.deadline_ms(1, Duration::ZERO), None);
        clocks.forget(0);
        assert_eq!(clocks.deadline_ms(0, Duration::ZERO), None);
    }
}
