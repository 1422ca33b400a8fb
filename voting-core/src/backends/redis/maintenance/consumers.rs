//! Removes the consumers of workers that have ended. Otherwise their number would grow for ever.

use std::time::Duration;

use crate::backends::redis::{GROUP, Redis, maintenance::every::Every};
use crate::{error::StoreError, model::position::ShardId};

/// Looks for such consumers at intervals.
pub(in crate::backends::redis) struct Consumers {
    /// How long a consumer must have been idle, in milliseconds.
    max_idle: u64,
    pub(in crate::backends::redis) look: Every,
}

impl Consumers {
    pub(in crate::backends::redis) fn new(redis: &Redis) -> Self {
        // The time is long enough that a slow worker is not affected.
        let claim_timeout = redis.0.options.claim_timeout;
        let max_idle = (claim_timeout * 10).max(Duration::from_secs(60));
        Self {
            max_idle: u64::try_from(max_idle.as_millis()).unwrap_or(u64::MAX),
            look: Every::new(Duration::from_secs(30)),
        }
    }

    pub(in crate::backends::redis) async fn remove_idle(
        &self,
        redis: &Redis,
        shard: ShardId,
    ) -> Result<(), StoreError> {
        let removed = redis.remove_consumers(shard, self.max_idle, "").await?;
        if removed > 0 {
            tracing::info!(%shard, removed, "removed consumers of workers that have ended");
        }
        Ok(())
    }
}

impl Redis {
    /// Removes the consumer with this name; with an empty name, all consumers. A consumer that has unacknowledged
    /// entries, or was active within the last `min_idle` milliseconds, is not removed. Returns the number of removed
    /// consumers.
    pub(in crate::backends::redis) async fn remove_consumers(
        &self,
        shard: ShardId,
        min_idle: u64,
        name: &str,
    ) -> Result<u64, StoreError> {
        let mut remove = self.0.scripts.remove_consumers.key(self.log_key(shard));
        remove.arg(GROUP).arg(min_idle).arg(name);
        Ok(self.0.connection.run(&remove).await?)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use voting_testing::RedisServer;

    use super::*;
    use crate::backends::redis::RedisOptions;

    #[tokio::test]
    async fn who_was_not_heard_of_for_long_is_removed_unless_it_has_something_in_hand() {
        let server = RedisServer::start();
        let redis = Redis::new(&server.url(), RedisOptions::default()).unwrap();
        redis.prepare().await.unwrap();
        let log = redis.log_key(ShardId(0));
        server.command(&["XADD", &log, "*", "b", "", "n", "1"]);
        for name in ["busy", "gone"] {
            server.command(&["XGROUP", "CREATECONSUMER", &log, GROUP, name]);
        }
        server.command(&["XREADGROUP", "GROUP", GROUP, "busy", "STREAMS", &log, ">"]);
        let there = || server.command(&["XINFO", "CONSUMERS", &log, GROUP]);
        let mut consumers = Consumers::new(&redis);
        assert_eq!(consumers.max_idle, 300_000, "ten times the claim time-out");
        consumers.remove_idle(&redis, ShardId(0)).await.unwrap();
        assert!(there().contains("gone"), "it was heard of just now");
        consumers.max_idle = 100;
        let deadline = Instant::now() + Duration::from_secs(20);
        while there().contains("gone") {
            assert!(Instant::now() < deadline, "it is never removed");
            consumers.remove_idle(&redis, ShardId(0)).await.unwrap();
        }
        assert!(there().contains("busy"));
        let pending = server.command(&["XPENDING", &log, GROUP]);
        assert_eq!(pending.lines().next(), Some("1"), "{pending}");
    }
}
