//! Reads the log, for workers.

pub(super) mod backoff;
mod claim_size;
pub(super) mod reply;
mod unkept;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ::redis::Value;
use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::backends::redis::{
    GROUP, Redis,
    client::connection::{Connection, Ran},
    maintenance::Upkeep,
    reader::{backoff::ShardBackoff, claim_size::ClaimSize, reply::Taken, unkept::Unkept},
};
use crate::{
    error::{StoreError, in_one_line},
    log::{
        BallotQueue,
        claim::{Claim, LogEntry},
        stats::QueueStats,
    },
    model::position::{EntryKey, ShardId},
};

/// The longest wait in one command. A longer wait continues in a further claim.
const MAX_BLOCK: Duration = Duration::from_secs(1);

/// In a cluster, one command cannot wait for all shards, so the shards are asked repeatedly. These are the first and
/// the longest pause between two rounds.
const PAUSE: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(20)];

/// While nothing comes, the Sentinels are asked this often where the master is.
const LOOK_ELSEWHERE: Duration = Duration::from_secs(2);

/// One consumer of the log.
pub struct RedisQueue {
    redis: Redis,
    consumer: String,
    /// A connection on which commands wait for entries, so it is not shared.
    blocking: Option<Connection>,
    claiming: tokio::sync::Mutex<Claiming>,
    /// The number of ballots in each entry that is claimed and not acknowledged.
    in_hand: Mutex<HashMap<EntryKey, u16>>,
    /// Whether entries of other consumers are left to others.
    leaves_abandoned: AtomicBool,
}

/// The state between claims.
struct Claiming {
    upkeep: Upkeep,
    backoff: ShardBackoff,
    size: ClaimSize,
    /// Entries that were taken, and that the replicas may lack.
    unkept: Unkept,
    /// When the Sentinels were last asked for the master, because nothing came.
    looked: Instant,
}

impl std::fmt::Debug for RedisQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisQueue")
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}

impl RedisQueue {
    pub(in crate::backends::redis) fn new(redis: Redis, consumer: String) -> Self {
        let blocking = Connection::blocking(&redis.0.place, &redis.0.options, MAX_BLOCK);
        Self {
            claiming: tokio::sync::Mutex::new(Claiming {
                upkeep: Upkeep::new(&redis),
                backoff: ShardBackoff::new(blocking.is_some()),
                size: ClaimSize::new(),
                unkept: Unkept::default(),
                looked: Instant::now(),
            }),
            blocking,
            in_hand: Mutex::default(),
            leaves_abandoned: AtomicBool::new(false),
            consumer,
            redis,
        }
    }

    /// Takes over entries that other consumers have not acknowledged in time. Returns whether there may be more of
    /// them.
    async fn take_over(
        &self,
        max_ballots: usize,
        claim: &mut Claim,
        backoff: &mut ShardBackoff,
        unkept: &mut Unkept,
    ) -> bool {
        let mut ballots = 0;
        for shard in self.redis.shards() {
            let mut cursor = "0-0".to_owned();
            while ballots < max_ballots {
                let take = self.take_over_from(shard, &cursor, unkept);
                let Some(taken) = backoff.unless_resting(shard, take).await else {
                    break;
                };
                for entry in &taken.entries {
                    ballots += usize::from(entry.ballots);
                }
                claim.entries.extend(taken.entries);
                cursor = taken.next;
                if cursor == "0-0" {
                    break;
                }
            }
        }
        ballots >= max_ballots
    }

    /// Reports entries that were deleted before they were acknowledged. Redis names each of them once.
    async fn report_lost(&self, shard: ShardId, ids: &[String]) {
        tracing::error!(%shard, ?ids, "entries were deleted before they were counted");
        let mut count = ::redis::cmd("HINCRBY");
        count
            .arg(self.redis.stats_key(shard))
            .arg("lost")
            .arg(ids.len());
        if let Err(error) = self.redis.0.connection.ask::<()>(&count).await {
            let error = in_one_line(&error);
            tracing::error!(error, "could not add them to the count of lost entries");
        }
    }

    async fn take_over_from(
        &self,
        shard: ShardId,
        cursor: &str,
        unkept: &mut Unkept,
    ) -> Result<Taken, StoreError> {
        let mut take = ::redis::cmd("XAUTOCLAIM");
        take.arg(self.redis.log_key(shard))
            .arg(GROUP)
            .arg(&self.consumer)
            .arg(millis(self.redis.0.options.claim_timeout))
            .arg(cursor)
            .arg("COUNT")
            .arg(100);
        // If the answer is lost, its entries are handed out again after the claim time-out, like those of a worker
        // that has ended.
        let ran = self.redis.0.connection.read_on::<Value>(&take).await?;
        let (answer, ran) = ran.split();
        let mut taken = reply::taken(shard, answer)?;
        if !taken.deleted.is_empty() {
            self.report_lost(shard, &taken.deleted).await;
        }
        taken.entries = self.only_kept(&ran, taken.entries, unkept).await?;
        Ok(taken)
    }

    /// These entries, once the replicas have them: what is counted must not be gone after a replica has taken over. Those that they
    /// may lack are set aside for the next claim.
    async fn only_kept(
        &self,
        ran: &Ran<()>,
        entries: Vec<LogEntry>,
        unkept: &mut Unkept,
    ) -> Result<Vec<LogEntry>, StoreError> {
        if entries.is_empty() {
            return Ok(entries);
        }
        match self.redis.kept(ran).await {
            Ok(()) => Ok(entries),
            Err(error) => {
                unkept.push(ran.clone(), entries);
                Err(error)
            }
        }
    }

    /// A command that reads entries of these shards that no consumer has had, up to `count` of each shard.
    fn read(&self, shards: &[ShardId], count: usize, block: Option<Duration>) -> ::redis::Cmd {
        let mut read = ::redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.consumer);
        read.arg("COUNT").arg(count);
        if let Some(block) = block {
            read.arg("BLOCK").arg(millis(block));
        }
        read.arg("STREAMS");
        for shard in shards {
            read.arg(self.redis.log_key(*shard));
        }
        for _ in shards {
            read.arg(">");
        }
        read
    }

    /// Takes entries that no consumer has had. If there are none, it waits for them.
    async fn take_new(
        &self,
        connection: &Connection,
        count: usize,
        wait: Duration,
        unkept: &mut Unkept,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let shards: Vec<_> = self.redis.shards().collect();
        // In Redis, zero means to wait without a limit.
        let block = (wait >= Duration::from_millis(1)).then(|| wait.min(MAX_BLOCK));
        let read = self.read(&shards, count, block);
        // A lost answer is handled as in `take_over_from`.
        let ran = connection.read_on::<Value>(&read).await?;
        let (answer, ran) = ran.split();
        let keys: Vec<_> = shards
            .iter()
            .map(|shard| (self.redis.log_key(*shard), *shard))
            .collect();
        let entries = reply::read(answer, |key| {
            let known = keys.iter().find(|(known, _)| known.as_bytes() == key);
            known.map(|(_, shard)| *shard)
        });
        self.only_kept(&ran, entries?, unkept).await
    }

    /// The same for a cluster, where each shard is asked separately. It waits for all answers: entries in an answer
    /// that nobody reads would be seen again only after the claim time-out.
    async fn take_new_from_each(
        &self,
        count: usize,
        wait: Duration,
        backoff: &mut ShardBackoff,
        unkept: &mut Unkept,
    ) -> Vec<LogEntry> {
        let deadline = Instant::now() + wait;
        let mut pause = PAUSE[0];
        loop {
            let awake = self
                .redis
                .shards()
                .filter(|shard| !backoff.is_resting(*shard));
            let reads = awake.map(|shard| async move {
                let since = Instant::now();
                let read = self.read(&[shard], count, None);
                let mut unkept = Unkept::default();
                let entries = async {
                    let ran = self.redis.0.connection.read_on::<Value>(&read).await?;
                    let (answer, ran) = ran.split();
                    let entries = reply::read(answer, |_| Some(shard))?;
                    self.only_kept(&ran, entries, &mut unkept).await
                };
                let entries = entries.await;
                (shard, since, entries, unkept)
            });
            let answers = join_all(reads).await;
            let mut entries = Vec::new();
            for (shard, since, taken, aside) in answers {
                unkept.append(aside);
                entries.extend(backoff.note(shard, since, taken).into_iter().flatten());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !entries.is_empty() || left.is_zero() {
                return entries;
            }
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(PAUSE[1]);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl BallotQueue for RedisQueue {
    async fn claim(&self, max_ballots: usize, wait: Duration) -> Result<Claim, StoreError> {
        self.redis.prepare().await?;
        let mut claiming = self.claiming.lock().await;
        claiming.backoff.begin();
        let claim = self.try_claim(max_ballots, wait, &mut claiming).await?;
        if claiming.backoff.groups_are_gone() {
            // The streams were deleted and made again.
            let made = self.redis.make_groups().await;
            if claim.entries.is_empty() {
                made?;
            }
        }
        let in_trouble = |shard| claiming.backoff.is_in_trouble(shard);
        if claim.entries.is_empty() && self.redis.shards().all(in_trouble) {
            claiming.backoff.trouble()?;
        }
        Ok(claim)
    }

    fn leave_abandoned(&self) {
        self.leaves_abandoned.store(true, Ordering::Relaxed);
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
        // All are sent at once, so Redis syncs them to its disk together.
        let calls = by_shard.into_iter().map(|(shard, entries)| async move {
            let mut call = self
                .redis
                .0
                .scripts
                .acknowledge
                .key(self.redis.log_key(shard));
            call.key(self.redis.stats_key(shard)).arg(GROUP);
            for (id, ballots) in entries {
                call.arg(id).arg(ballots);
            }
            let done = self.redis.0.connection.run::<u64>(&call).await;
            (shard, done)
        });
        let mut failure = None;
        let mut done_with = HashSet::new();
        for (shard, done) in join_all(calls).await {
            match done {
                Ok(_) => _ = done_with.insert(shard),
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            let in_a_cluster = self.blocking.is_none();
            if !in_a_cluster || done_with.is_empty() {
                return Err(error.into());
            }
            // If the server of a shard is down, its entries are handed out again when it is back. To flush them again
            // changes nothing. The other shards do not wait for it.
            let error = in_one_line(&error);
            tracing::warn!(error, "could not acknowledge entries of a shard");
        }
        // Entries of the other shards stay in `in_hand`. They may come again in a further batch of this consumer, and
        // are counted when that batch is acknowledged.
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        for key in entries
            .iter()
            .filter(|(shard, _)| done_with.contains(shard))
        {
            in_hand.remove(key);
        }
        Ok(())
    }

    async fn stats(&self) -> Result<QueueStats, StoreError> {
        self.redis.prepare().await?;
        self.redis.stats().await
    }

    async fn ready_to_claim(&self) -> Result<(), StoreError> {
        self.stats().await?;
        self.redis.takes_acknowledgements().await
    }

    /// Removes this consumer from Redis, unless it has unacknowledged entries. Redis hands those out again after the
    /// claim time-out.
    async fn close(&self) -> Result<(), StoreError> {
        for shard in self.redis.shards() {
            self.redis
                .remove_consumers(shard, 0, &self.consumer)
                .await?;
        }
        Ok(())
    }
}

impl RedisQueue {
    async fn try_claim(
        &self,
        max_ballots: usize,
        wait: Duration,
        Claiming {
            upkeep,
            backoff,
            size,
            unkept,
            looked,
        }: &mut Claiming,
    ) -> Result<Claim, StoreError> {
        let deadline = Instant::now() + wait;
        let count = size.of_each(self.redis.0.options.shards, max_ballots);
        let entries = match unkept.try_again(&self.redis).await {
            // The other shards of a cluster do not wait for this one.
            Err(_) if self.blocking.is_none() => Vec::new(),
            entries => entries?,
        };
        let mut claim = Claim {
            entries,
            ..Claim::default()
        };
        loop {
            let takes_over = !self.leaves_abandoned.load(Ordering::Relaxed);
            if takes_over
                && upkeep.take_over.is_due()
                && self
                    .take_over(max_ballots, &mut claim, backoff, unkept)
                    .await
            {
                upkeep.take_over.again();
            }
            upkeep.run_if_due(&self.redis, backoff).await;
            if claim.entries.is_empty() {
                let left = deadline.saturating_duration_since(Instant::now());
                let left = match takes_over {
                    true => left.min(upkeep.take_over.left()),
                    false => left,
                };
                claim.entries = match &self.blocking {
                    Some(connection) => {
                        let take = self.take_new(connection, count, left, unkept);
                        // On a single server, a failure of one shard is a failure of all.
                        let taken = backoff.unless_resting(ShardId(0), take).await;
                        taken.unwrap_or_default()
                    }
                    None => self.take_new_from_each(count, left, backoff, unkept).await,
                };
            }
            let is_hopeless = self.redis.shards().all(|shard| backoff.is_resting(shard));
            if !claim.entries.is_empty() || Instant::now() >= deadline || is_hopeless {
                break;
            }
        }
        size.note(&claim.entries);
        if claim.entries.is_empty() && looked.elapsed() > LOOK_ELSEWHERE {
            // From a master that is cut off, nothing comes, and no error either.
            self.redis.look_elsewhere(self.blocking.as_ref()).await;
            *looked = Instant::now();
        }
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in &claim.entries {
            in_hand.insert((entry.shard, entry.id), entry.ballots);
            claim
                .acknowledged_below
                .insert(entry.shard, upkeep.settled(entry.shard));
        }
        Ok(claim)
    }
}
