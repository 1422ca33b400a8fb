//! Removes the consumers of workers that have ended, of which there would else be ever more.

use std::time::Duration;

use ::redis::Script;
use tokio::time::Instant;

use super::{GROUP, Redis};
use crate::{error::StoreError, position::ShardId};

/// How often is looked for such consumers.
const EVERY: Duration = Duration::from_secs(30);

/// Removes consumers that have nothing in hand: that of one name, or all that were not heard of for
/// some milliseconds. In one step, since removing one that has would drop its entries for good.
///
/// One that only slept comes back with its next claim.
const REMOVE: &str = r"
local removed = 0
for _, told in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local consumer = {}
    for i = 1, #told, 2 do
        consumer[told[i]] = told[i + 1]
    end
    local meant = ARGV[3] == '' or consumer.name == ARGV[3]
    if meant and consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
        removed = removed + 1
    end
end
return removed
";

pub(super) struct Consumers {
    remove: Script,
    /// Milliseconds.
    max_idle: u64,
    next: Instant,
}

impl Consumers {
    pub(super) fn new(redis: &Redis) -> Self {
        // Long enough that nobody who is only slow is meant.
        let claim_timeout = redis.0.options.claim_timeout;
        let max_idle = (claim_timeout * 10).max(Duration::from_secs(60));
        Self {
            remove: Script::new(REMOVE),
            max_idle: u64::try_from(max_idle.as_millis()).unwrap_or(u64::MAX),
            next: Instant::now(),
        }
    }

    /// Whether it is time to look for them; it is then noted as done.
    pub(super) fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.next;
        if due {
            self.next = now + EVERY;
        }
        due
    }

    pub(super) async fn remove_idle(
        &self,
        redis: &Redis,
        shard: ShardId,
    ) -> Result<(), StoreError> {
        let removed = self.run(redis, shard, self.max_idle, "").await?;
        if removed > 0 {
            tracing::info!(%shard, removed, "removed consumers of workers that have ended");
        }
        Ok(())
    }

    /// Removes one consumer, unless it has something in hand.
    pub(super) async fn remove(
        &self,
        redis: &Redis,
        shard: ShardId,
        name: &str,
    ) -> Result<(), StoreError> {
        self.run(redis, shard, 0, name).await.map(|_| ())
    }

    async fn run(
        &self,
        redis: &Redis,
        shard: ShardId,
        min_idle: u64,
        name: &str,
    ) -> Result<u64, StoreError> {
        let mut call = self.remove.key(redis.log_key(shard));
        call.arg(GROUP).arg(min_idle).arg(name);
        Ok(redis.0.connection.run(&call).await?)
    }
}

#[cfg(test)]
mod tests {
    use voting_testing::RedisServer;

    use super::*;
    use crate::redis::RedisOptions;

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
