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
    /// How far the ids of the log are ahead of Redis' clock: not at all, unless this clock was set back.
    lead_ms: i64,
    /// On our clock.
    learned_at_ms: i64,
}

/// A moment after which a command must not be carried out any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline {
    /// On the server's clock.
    pub(super) server_ms: i64,
    /// On the log's clock, which is never behind the id of its last entry.
    pub(super) log_ms: i64,
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
    ///
    /// `last_ms` are the milliseconds of the last id that the log had then.
    pub(super) fn learn(&self, shard: usize, said_ms: i64, last_ms: u64) {
        let learned_at_ms = self.now_ms();
        let last_ms = i64::try_from(last_ms).unwrap_or(i64::MAX);
        let ahead = Ahead {
            ms: said_ms.saturating_sub(learned_at_ms),
            lead_ms: last_ms.saturating_sub(said_ms).max(0),
            learned_at_ms,
        };
        self.set(shard, Some(ahead));
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

    /// The moment that is `patience` from now; `None` when nothing is known of the server's clock.
    pub(super) fn deadline(&self, shard: usize, patience: Duration) -> Option<Deadline> {
        let all = self.ahead_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = all.get(shard).copied().flatten()?;
        let now_ms = self.now_ms();
        if now_ms - ahead.learned_at_ms > MAX_AGE_MS {
            return None;
        }
        let patience = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
        let server_ms = ahead.ms.saturating_add(now_ms).saturating_add(patience);
        Some(Deadline {
            server_ms,
            log_ms: server_ms.saturating_add(ahead.lead_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000_000;

    #[test]
    fn a_deadline_is_on_the_servers_clock() {
        let clocks = Clocks::new(2);
        assert_eq!(clocks.deadline(0, Duration::ZERO), None);
        clocks.learn(0, START, 0);
        let deadline = clocks.deadline(0, Duration::from_secs(5)).unwrap();
        assert!((START + 5_000..START + 6_000).contains(&deadline.server_ms));
        assert_eq!(deadline.log_ms, deadline.server_ms);
        assert_eq!(clocks.deadline(1, Duration::ZERO), None);
        clocks.forget(0);
        assert_eq!(clocks.deadline(0, Duration::ZERO), None);
    }

    #[test]
    fn a_deadline_of_ids_is_after_the_last_one_where_the_clock_was_set_back() {
        let clocks = Clocks::new(1);
        clocks.learn(0, START, 1_700_000_060_000);
        let deadline = clocks.deadline(0, Duration::ZERO).unwrap();
        assert_eq!(deadline.log_ms - deadline.server_ms, 60_000);
    }
}
