//! The shards whose server fails. In a cluster each shard fails independently. A failing shard must not delay the
//! others, which are on other servers. So it is not read for a while, and its failure is reported when there are no
//! entries to hand out.

use std::{collections::HashMap, time::Duration};

use ::redis::RedisError;
use tokio::time::Instant;

use crate::{
    error::{StoreError, in_one_line},
    model::position::ShardId,
};

/// The shortest and the longest pause of a shard. Between these limits, the pause is `TIMES` times as long as the
/// failed attempt, so that little time is spent on a failing shard.
const REST: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];
const TIMES: u32 = 5;

#[derive(Default)]
pub(in crate::backends::redis) struct ShardBackoff {
    /// Whether all shards are on one server.
    together: bool,
    in_trouble: HashMap<ShardId, Trouble>,
    groups_are_gone: bool,
}

struct Trouble {
    until: Instant,
    failure: String,
}

impl ShardBackoff {
    /// `together`: all shards are on one server, so they fail together.
    pub(in crate::backends::redis) fn new(together: bool) -> Self {
        Self {
            together,
            ..Self::default()
        }
    }

    /// Begins a new attempt.
    pub(in crate::backends::redis) fn begin(&mut self) {
        if self.together {
            self.in_trouble.clear();
        }
    }

    pub(in crate::backends::redis) fn is_resting(&self, shard: ShardId) -> bool {
        if self.together {
            return !self.in_trouble.is_empty();
        }
        let trouble = self.in_trouble.get(&shard);
        trouble.is_some_and(|trouble| Instant::now() < trouble.until)
    }

    /// Whether the last attempt with the shard failed.
    pub(in crate::backends::redis) fn is_in_trouble(&self, shard: ShardId) -> bool {
        if self.together {
            return !self.in_trouble.is_empty();
        }
        self.in_trouble.contains_key(&shard)
    }

    /// Notes the outcome of an attempt that began at `since`.
    pub(in crate::backends::redis) fn note<T>(
        &mut self,
        shard: ShardId,
        since: Instant,
        outcome: Result<T, StoreError>,
    ) -> Option<T> {
        match outcome {
            Ok(outcome) => {
                self.in_trouble.remove(&shard);
                Some(outcome)
            }
            Err(error) => {
                self.groups_are_gone |= tells_of_no_group(&error);
                let rest = (since.elapsed() * TIMES).clamp(REST[0], REST[1]);
                let failure = in_one_line(&error);
                let trouble = Trouble {
                    until: Instant::now() + rest,
                    failure: failure.clone(),
                };
                // For a single server, the caller reports the failure.
                if self.in_trouble.insert(shard, trouble).is_none() && !self.together {
                    tracing::warn!(%shard, failure, "cannot read a shard; will retry");
                }
                None
            }
        }
    }

    /// Makes an attempt with a shard, unless the shard is paused.
    pub(in crate::backends::redis) async fn unless_resting<T>(
        &mut self,
        shard: ShardId,
        attempt: impl Future<Output = Result<T, StoreError>>,
    ) -> Option<T> {
        if self.is_resting(shard) {
            return None;
        }
        let since = Instant::now();
        let outcome = attempt.await;
        self.note(shard, since, outcome)
    }

    /// Whether the consumer groups were found to be missing. The next call returns `false`.
    pub(in crate::backends::redis) fn groups_are_gone(&mut self) -> bool {
        std::mem::take(&mut self.groups_are_gone)
    }

    /// The failure of the first failing shard, if there is one.
    pub(in crate::backends::redis) fn trouble(&self) -> Result<(), StoreError> {
        let first = self.in_trouble.iter().min_by_key(|(shard, _)| shard.0);
        first.map_or(Ok(()), |(shard, trouble)| {
            let text = format!("shard {shard}: {}", trouble.failure);
            Err(StoreError::unavailable(text))
        })
    }
}

fn tells_of_no_group(error: &StoreError) -> bool {
    let StoreError::Unavailable(source) = error else {
        return false;
    };
    let error = source.downcast_ref::<RedisError>();
    error.is_some_and(|error| error.code() == Some("NOGROUP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> Result<(), StoreError> {
        Err(StoreError::unavailable("away"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_that_fails_rests_and_the_others_do_not() {
        let mut backoff = ShardBackoff::new(false);
        backoff
            .unless_resting(ShardId(1), async { failure() })
            .await;
        backoff.begin();
        assert!(backoff.is_resting(ShardId(1)) && !backoff.is_resting(ShardId(0)));
        assert!(backoff.trouble().is_err());
        tokio::time::advance(REST[0]).await;
        assert!(!backoff.is_resting(ShardId(1)));
        assert!(backoff.trouble().is_err(), "until it has worked again");
        backoff.unless_resting(ShardId(1), async { Ok(()) }).await;
        assert!(backoff.trouble().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn of_one_server_all_shards_fail_together_until_the_next_attempt() {
        let mut backoff = ShardBackoff::new(true);
        backoff
            .unless_resting(ShardId(1), async { failure() })
            .await;
        assert!(backoff.is_resting(ShardId(0)));
        assert!(backoff.trouble().is_err());
        backoff.begin();
        assert!(!backoff.is_resting(ShardId(1)));
        assert!(backoff.trouble().is_ok());
    }
}
