//! The reading end.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ::redis::{
    FromRedisValue, RedisError, Script, Value,
    streams::{StreamAutoClaimReply, StreamId, StreamReadReply},
};
use async_trait::async_trait;
use tokio::time::Instant;

use super::{GROUP, Redis, append::parse_id, connection::Connection, upkeep::Upkeep};
use crate::{
    batch::{Claim, EntryKey, LogEntry, QueueStats},
    error::StoreError,
    position::ShardId,
    traits::BallotQueue,
};

/// An entry that waits for longer is read in a further claim.
const MAX_BLOCK: Duration = Duration::from_secs(1);

/// Acknowledges entries, and counts the ballots of those that were not so before. Acknowledging comes
/// first: after it Redis lets a script finish also at its memory limit, and this is what makes room.
const ACKNOWLEDGE: &str = r"
local ballots = 0
for i = 2, #ARGV, 2 do
    if redis.call('XACK', KEYS[1], ARGV[1], ARGV[i]) == 1 then
        ballots = ballots + ARGV[i + 1]
    end
end
local accepted = tonumber(redis.call('HGET', KEYS[2], 'accepted') or 0)
local acknowledged = redis.call('HINCRBY', KEYS[2], 'acknowledged', ballots)
-- Entries that are read again, or were pushed by hand, must not hide those that wait.
if acknowledged > accepted then
    redis.call('HSET', KEYS[2], 'acknowledged', accepted)
end
return ballots
";

/// One consumer of the log.
pub struct RedisQueue {
    redis: Redis,
    consumer: String,
    /// Waits for entries, and so is not shared.
    waiting: Connection,
    acknowledge: Script,
    upkeep: tokio::sync::Mutex<Upkeep>,
    /// The ballots of entries that are handed out.
    in_hand: Mutex<HashMap<EntryKey, u16>>,
    /// The most ballots in an entry lately, by which the next claim is measured.
    largest: AtomicUsize,
    /// Entries that were gone before they were acknowledged. Must stay zero.
    lost: AtomicU64,
}

impl std::fmt::Debug for RedisQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisQueue")
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}

impl RedisQueue {
    pub(super) fn new(redis: Redis, consumer: String) -> Result<Self, RedisError> {
        let patience = redis.0.options.response_timeout + MAX_BLOCK;
        Ok(Self {
            waiting: Connection::new(&redis.0.client, patience)?,
            acknowledge: Script::new(ACKNOWLEDGE),
            upkeep: tokio::sync::Mutex::new(Upkeep::new(&redis)),
            in_hand: Mutex::default(),
            largest: AtomicUsize::new(1),
            lost: AtomicU64::new(0),
            consumer,
            redis,
        })
    }

    /// Entries that were deleted before they were acknowledged, seen by this consumer: ballots
    /// that were lost, by someone who trimmed or deleted in the stream.
    pub fn lost_entries(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Takes over what consumers have not acknowledged in time. Whether there may be more of it.
    async fn take_over(&self, max_ballots: usize, claim: &mut Claim) -> Result<bool, StoreError> {
        let mut ballots = 0;
        for shard in self.redis.shards() {
            let mut cursor = "0-0".to_owned();
            while ballots < max_ballots {
                let mut take = ::redis::cmd("XAUTOCLAIM");
                take.arg(self.redis.log_key(shard))
                    .arg(GROUP)
                    .arg(&self.consumer)
                    .arg(millis(self.redis.0.options.claim_timeout))
                    .arg(&cursor)
                    .arg("COUNT")
                    .arg(100);
                let taken: StreamAutoClaimReply = self.redis.0.connection.ask(&take).await?;
                if !taken.deleted_ids.is_empty() {
                    let ids = &taken.deleted_ids;
                    self.lost.fetch_add(ids.len() as u64, Ordering::Relaxed);
                    tracing::error!(%shard, ?ids, "entries were deleted before they were counted");
                }
                for entry in taken.claimed {
                    ballots += self.hand_out(shard, &entry, claim)?;
                }
                cursor = taken.next_stream_id;
                if cursor == "0-0" {
                    break;
                }
            }
        }
        Ok(ballots >= max_ballots)
    }

    /// Takes entries that nobody has had, and waits for them if there are none.
    async fn take_new(
        &self,
        max_ballots: usize,
        wait: Duration,
        claim: &mut Claim,
    ) -> Result<(), StoreError> {
        let shards = usize::from(self.redis.0.options.shards);
        let mut read = ::redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.consumer);
        let largest = self.largest.load(Ordering::Relaxed).max(1);
        read.arg("COUNT")
            .arg((max_ballots / shards / largest).max(1));
        // Zero would mean for ever.
        if wait >= Duration::from_millis(1) {
            read.arg("BLOCK").arg(millis(wait.min(MAX_BLOCK)));
        }
        read.arg("STREAMS");
        for shard in self.redis.shards() {
            read.arg(self.redis.log_key(shard));
        }
        for _ in 0..shards {
            read.arg(">");
        }
        let new: Option<StreamReadReply> = self.waiting.ask(&read).await?;
        let streams = new.into_iter().flat_map(|reply| reply.keys);
        let by_key: HashMap<_, _> = self
            .redis
            .shards()
            .map(|shard| (self.redis.log_key(shard), shard))
            .collect();
        for stream in streams {
            for entry in &stream.ids {
                self.hand_out(by_key[&stream.key], entry, claim)?;
            }
        }
        Ok(())
    }

    /// Puts an entry into the claim, and says how many ballots it has.
    fn hand_out(
        &self,
        shard: ShardId,
        entry: &StreamId,
        claim: &mut Claim,
    ) -> Result<usize, StoreError> {
        let id = parse_id(&entry.id)?;
        // An entry that was pushed by hand may lack a field. It is then no worse than one that
        // cannot be read.
        let payload = entry.map.get("b").and_then(bytes).unwrap_or_default();
        let ballots: u16 = entry.get("n").unwrap_or(1);
        claim.entries.push(LogEntry {
            shard,
            id,
            payload,
            ballots,
        });
        Ok(usize::from(ballots))
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    Vec::<u8>::from_redis_value_ref(value).ok()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl BallotQueue for RedisQueue {
    async fn claim(&self, max_ballots: usize, wait: Duration) -> Result<Claim, StoreError> {
        self.redis.prepare().await?;
        let claimed = self.try_claim(max_ballots, wait).await;
        if let Err(StoreError::Unavailable(source)) = &claimed
            && let Some(error) = source.downcast_ref::<RedisError>()
            && error.code() == Some("NOGROUP")
        {
            // The streams were made anew under us.
            self.redis.make_groups().await?;
        }
        claimed
    }

    async fn acknowledge(&self, entries: &[EntryKey]) -> Result<(), StoreError> {
        let mut by_shard = HashMap::<ShardId, Vec<(String, u16)>>::new();
        {
            let in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
            for key in entries {
                let ballots = in_hand.get(key).copied().unwrap_or(0);
                by_shard
                    .entry(key.0)
                    .or_default()
                    .push((key.1.to_string(), ballots));
            }
        }
        for (shard, entries) in by_shard {
            let mut call = self.acknowledge.key(self.redis.log_key(shard));
            call.key(self.redis.stats_key(shard)).arg(GROUP);
            for (id, ballots) in entries {
                call.arg(id).arg(ballots);
            }
            self.redis.0.connection.run::<u64>(&call).await?;
        }
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        for key in entries {
            in_hand.remove(key);
        }
        Ok(())
    }

    async fn stats(&self) -> Result<QueueStats, StoreError> {
        self.redis.prepare().await?;
        self.redis.stats().await
    }
}

impl RedisQueue {
    async fn try_claim(&self, max_ballots: usize, wait: Duration) -> Result<Claim, StoreError> {
        let deadline = Instant::now() + wait;
        let mut claim = Claim::default();
        loop {
            let mut upkeep = self.upkeep.lock().await;
            if upkeep.is_take_over_due() && self.take_over(max_ballots, &mut claim).await? {
                upkeep.take_over_again();
            }
            upkeep.run_if_due(&self.redis).await?;
            let pause = upkeep.until_take_over();
            drop(upkeep);
            if claim.entries.is_empty() {
                let left = deadline.saturating_duration_since(Instant::now());
                self.take_new(max_ballots, left.min(pause), &mut claim)
                    .await?;
            }
            if !claim.entries.is_empty() || Instant::now() >= deadline {
                break;
            }
        }
        let upkeep = self.upkeep.lock().await;
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        let largest = claim
            .entries
            .iter()
            .map(|entry| usize::from(entry.ballots))
            .max();
        if let Some(largest) = largest {
            self.largest.store(largest, Ordering::Relaxed);
        }
        for entry in &claim.entries {
            in_hand.insert((entry.shard, entry.id), entry.ballots);
            claim
                .settled
                .insert(entry.shard, upkeep.settled(entry.shard));
        }
        Ok(claim)
    }
}
