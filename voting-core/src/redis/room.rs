//! Acknowledged entries are kept, to be read again after the store was restored from a backup. To take
//! votes goes before that: where Redis' memory runs short, they are kept for less long.

use std::{collections::HashSet, time::Duration};

use super::Redis;
use crate::{error::in_one_line, position::ShardId};

pub(super) struct Room {
    /// Shards on servers whose memory is short.
    short: HashSet<ShardId>,
    /// Servers that do not say have been told of.
    silent: bool,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            short: HashSet::new(),
            silent: false,
        }
    }

    /// How long the shard's acknowledged entries are to be kept.
    pub(super) async fn kept(&mut self, redis: &Redis, shard: ShardId) -> Duration {
        let retention = redis.0.options.retention;
        let ask = redis.0.scripts.room.key(redis.log_key(shard));
        let (used, allowed, age_ms): (u64, u64, u64) = match redis.0.connection.run(&ask).await {
            Ok(room) => room,
            Err(error) => {
                if !std::mem::replace(&mut self.silent, true) {
                    let error = in_one_line(&error);
                    tracing::warn!(error, "Redis does not say how much memory it has left");
                }
                return retention;
            }
        };
        if allowed == 0 || used <= allowed - allowed / 4 {
            if self.short.remove(&shard) {
                tracing::info!(%shard, "Redis has memory again");
            }
            return retention;
        }
        if self.short.insert(shard) {
            tracing::warn!(
                %shard, used, allowed,
                "Redis' memory is short; counted ballots are kept for less than the retention time"
            );
        }
        // Half of them go, and the next look tells whether that was enough.
        retention.min(Duration::from_millis(age_ms / 2))
    }
}
