//! Keeps acknowledged entries, so that they can be read again after the store was restored from a backup. To take
//! votes is more important: if the memory of Redis is short, entries are kept for a shorter time.

use std::collections::HashSet;

use crate::backends::redis::Redis;
use crate::{
    backends::clock::unix_ms,
    error::in_one_line,
    model::position::{EntryId, ShardId},
};

pub(in crate::backends::redis) struct Retention {
    /// The shards on servers whose memory is short.
    short: HashSet<ShardId>,
    /// Whether it was logged already that a server does not tell its memory.
    silent: bool,
}

impl Retention {
    pub(in crate::backends::redis) fn new() -> Self {
        Self {
            short: HashSet::new(),
            silent: false,
        }
    }

    /// The first entry of the shard that is young enough to be kept. Entries before it may be removed once they are
    /// acknowledged.
    pub(in crate::backends::redis) async fn keep_from(
        &mut self,
        redis: &Redis,
        shard: ShardId,
    ) -> EntryId {
        let from = |ms| EntryId::new(ms, 0).unwrap_or(EntryId::MIN);
        let kept = redis.0.options.retention.as_millis();
        let kept = u64::try_from(kept).unwrap_or(u64::MAX);
        let mut ask = redis.0.scripts.room.key(redis.log_key(shard));
        ask.arg(kept);
        let asked = redis.0.connection.run(&ask).await;
        let (used, allowed, old_ms, half_ms): (u64, u64, u64, u64) = match asked {
            Ok(room) => room,
            Err(error) => {
                if !std::mem::replace(&mut self.silent, true) {
                    let error = in_one_line(&error);
                    tracing::warn!(error, "Redis does not report its memory");
                }
                return from(unix_ms().saturating_sub(kept));
            }
        };
        if allowed == 0 || used <= allowed - allowed / 4 {
            if self.short.remove(&shard) {
                tracing::info!(%shard, "Redis has enough memory again");
            }
            return from(old_ms);
        }
        if self.short.insert(shard) {
            tracing::warn!(
                %shard, used, allowed,
                "Redis is low on memory; counted ballots are kept for less than the retention time"
            );
        }
        // This removes the older half of the entries. The next look tells whether that was enough.
        from(old_ms.max(half_ms))
    }
}
