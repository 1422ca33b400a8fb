//! The regular work of a consumer: it takes over entries of workers that have ended, finds up to which id the log is
//! settled, and trims entries that are settled and old.

mod consumers;
pub(super) mod every;
mod memory;
mod retention;

use std::{collections::HashMap, time::Duration};

use crate::backends::redis::{
    GROUP, Redis,
    append::parse_id,
    maintenance::{consumers::Consumers, every::Every, retention::Retention},
    reader::{
        backoff::ShardBackoff,
        reply::{self, Stream},
    },
};
use crate::{
    error::StoreError,
    log::{SeparateLog, stats::QueueStats},
    model::position::{EntryId, ShardId},
};
use ::redis::{
    RedisError,
    streams::{StreamInfoGroup, StreamInfoGroupsReply, StreamPendingReply},
};

/// How often the log is trimmed.
const EVERY: Duration = Duration::from_secs(1);

pub(in crate::backends::redis) struct Upkeep {
    /// When to look for entries of workers that have ended.
    pub(in crate::backends::redis) take_over: Every,
    run: Every,
    acknowledged_below: HashMap<ShardId, EntryId>,
    consumers: Consumers,
    retention: Retention,
}

impl Upkeep {
    pub(in crate::backends::redis) fn new(redis: &Redis) -> Self {
        Self {
            take_over: Every::new(redis.0.options.claim_timeout / 4),
            run: Every::new(EVERY),
            acknowledged_below: HashMap::new(),
            consumers: Consumers::new(redis),
            retention: Retention::new(),
        }
    }

    /// All entries of the shard below this id are known to be acknowledged.
    pub(in crate::backends::redis) fn settled(&self, shard: ShardId) -> EntryId {
        self.acknowledged_below
            .get(&shard)
            .copied()
            .unwrap_or(EntryId::MIN)
    }

    /// Does the work on all shards that are not paused after a failure. A failure pauses the shard.
    pub(in crate::backends::redis) async fn run_if_due(
        &mut self,
        redis: &Redis,
        backoff: &mut ShardBackoff,
    ) {
        if !self.run.is_due() {
            return;
        }
        let tidy = self.consumers.look.is_due();
        for shard in redis.shards() {
            backoff
                .unless_resting(shard, self.see_to(redis, shard, tidy))
                .await;
        }
    }

    async fn see_to(
        &mut self,
        redis: &Redis,
        shard: ShardId,
        tidy: bool,
    ) -> Result<(), StoreError> {
        let acknowledged_below = redis.progress(shard).await?.acknowledged_below;
        self.acknowledged_below.insert(shard, acknowledged_below);
        let keep_from = self.retention.keep_from(redis, shard).await;
        redis.trim(shard, acknowledged_below.min(keep_from)).await?;
        if tidy {
            self.consumers.remove_idle(redis, shard).await?;
        }
        Ok(())
    }
}

/// How far the workers have come in a shard.
pub(in crate::backends::redis) struct Progress {
    /// The oldest entry that is not acknowledged, claimed or not.
    pub(in crate::backends::redis) oldest_pending: Option<EntryId>,
    /// All entries below this are acknowledged.
    pub(in crate::backends::redis) acknowledged_below: EntryId,
}

/// The counters of a shard since it was made.
pub(in crate::backends::redis) struct Counters {
    /// The number of ballots that were accepted.
    pub(in crate::backends::redis) accepted: u64,
    /// The number of ballots in acknowledged entries.
    pub(in crate::backends::redis) acknowledged: u64,
    /// The number of entries that were deleted before they were acknowledged.
    pub(in crate::backends::redis) lost: u64,
}

impl Redis {
    pub(in crate::backends::redis) async fn progress(
        &self,
        shard: ShardId,
    ) -> Result<Progress, StoreError> {
        let key = self.log_key(shard);
        // The order of these questions matters. An entry that is appended or claimed after the first question has a
        // later id than all ids in the answers, or one of the later questions finds it.
        let last = self.stream(shard).await?.last;
        let group = self.group(shard).await?;
        let group = group.ok_or_else(|| StoreError::unavailable("the consumer group is gone"))?;
        let delivered = parse_id(&group.last_delivered_id)?;
        let mut ask = ::redis::cmd("XPENDING");
        ask.arg(&key).arg(GROUP);
        let pending: StreamPendingReply = self.0.connection.read(&ask).await?;
        let in_hand = match &pending {
            StreamPendingReply::Data(data) => Some(parse_id(&data.start_id)?),
            _ => None,
        };
        let not_handed_out = self.first_after(shard, delivered).await?;
        let oldest_pending = in_hand.into_iter().chain(not_handed_out).min();
        let after = last.next();
        Ok(Progress {
            oldest_pending,
            acknowledged_below: oldest_pending.map_or(after, |oldest| oldest.min(after)),
        })
    }

    /// The answer of Redis about the stream of a shard.
    pub(in crate::backends::redis) async fn stream(
        &self,
        shard: ShardId,
    ) -> Result<Stream, StoreError> {
        let mut ask = ::redis::cmd("XINFO");
        ask.arg("STREAM").arg(self.log_key(shard));
        reply::stream(self.0.connection.read(&ask).await?)
    }

    /// The answer of Redis about the workers' group in a shard; `None` if there is no group.
    pub(in crate::backends::redis) async fn group(
        &self,
        shard: ShardId,
    ) -> Result<Option<StreamInfoGroup>, RedisError> {
        let mut ask = ::redis::cmd("XINFO");
        ask.arg("GROUPS").arg(self.log_key(shard));
        let reported: StreamInfoGroupsReply = self.0.connection.read(&ask).await?;
        Ok(reported
            .groups
            .into_iter()
            .find(|group| group.name == GROUP))
    }

    /// Removes the entries before this id, which are all acknowledged. Entries are never removed by length: that
    /// could remove entries that are not counted yet.
    async fn trim(&self, shard: ShardId, before: EntryId) -> Result<(), RedisError> {
        let mut trim = ::redis::cmd("XTRIM");
        trim.arg(self.log_key(shard))
            .arg("MINID")
            .arg("=")
            .arg(before.to_string());
        self.0.connection.ask(&trim).await
    }

    pub(in crate::backends::redis) async fn counters(
        &self,
        shard: ShardId,
    ) -> Result<Counters, StoreError> {
        let mut ask = ::redis::cmd("HMGET");
        ask.arg(self.stats_key(shard))
            .arg("accepted")
            .arg("acknowledged")
            .arg("lost");
        let (accepted, acknowledged, lost): (Option<u64>, Option<u64>, Option<u64>) =
            self.0.connection.read(&ask).await?;
        Ok(Counters {
            accepted: accepted.unwrap_or(0),
            acknowledged: acknowledged.unwrap_or(0),
            lost: lost.unwrap_or(0),
        })
    }

    pub(in crate::backends::redis) async fn stats(&self) -> Result<QueueStats, StoreError> {
        let mut stats = QueueStats::default();
        for shard in self.shards() {
            let counters = self.counters(shard).await?;
            stats.lost_entries += counters.lost;
            stats.accepted += counters.accepted;
            stats.pending += counters.accepted.saturating_sub(counters.acknowledged);
            let progress = self.progress(shard).await?;
            stats
                .acknowledged_below
                .insert(shard, progress.acknowledged_below);
            if let Some(oldest) = progress.oldest_pending {
                let known = stats.oldest_pending_ms.unwrap_or(u64::MAX);
                stats.oldest_pending_ms = Some(known.min(oldest.ms()));
            }
        }
        stats.memory = memory::of(&self.0.connection).await;
        Ok(stats)
    }

    /// The first entry with an id above this one.
    pub(in crate::backends::redis) async fn first_after(
        &self,
        shard: ShardId,
        delivered: EntryId,
    ) -> Result<Option<EntryId>, StoreError> {
        self.first_from(shard, delivered.next()).await
    }
}
