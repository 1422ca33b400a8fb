//! All entries that the log still has are handed out again, as is needed when the store was restored from
//! a backup: what it lacks is counted then, and what it has is not counted twice.

use std::{collections::HashMap, time::Duration};

use crate::backends::redis::{GROUP, Redis, reader::reply};
use crate::{
    error::{ErrorKind, StoreError},
    model::position::{EntryId, ShardId},
    store::applied::Applied,
};

/// A worker that took ballots within this time is at work.
const AT_WORK: Duration = Duration::from_secs(3);

/// Entries that are read at a time.
const AT_A_TIME: usize = 100;

/// Why the log was not rewound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewindError {
    /// It would take what is handed out again for applied before the store is as it should be.
    #[error(
        "a worker was at work within the last {} seconds; stop all workers first",
        AT_WORK.as_secs()
    )]
    WorkersRunning,
    /// Redis did not answer. Trying again is safe.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the log still has, and what a store lacks of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookBack {
    /// Ballots that the log still has, counted already or not.
    pub ballots: u64,
    /// Those of them that the store does not have, by its marks.
    pub lacking: u64,
    /// Ballots ever accepted, before the log was looked through.
    pub accepted: u64,
    /// Entries that were deleted before they were acknowledged.
    pub lost: u64,
    /// For shards that no longer have all of their entries, the first that they have, or the one that
    /// comes next. What was before must be in the backup.
    pub complete_from: HashMap<ShardId, EntryId>,
    /// Of each shard, up to which entry it was looked through, and the ballots up to there.
    read: Vec<(ShardId, EntryId, u64)>,
}

impl Redis {
    /// Looks through the whole log, and changes nothing: what would be handed out again, and what of it
    /// the store lacks.
    ///
    /// # Errors
    /// Workers are running, or Redis does not answer.
    pub async fn look_back(&self, applied: &Applied) -> Result<LookBack, RewindError> {
        self.prepare().await?;
        self.refuse_workers().await?;
        // Ballots that come meanwhile may be looked at and not be among these, never the other way round.
        let mut back = LookBack {
            accepted: self.accepted().await?,
            ..LookBack::default()
        };
        for shard in self.shards() {
            back.lost += self.counters(shard).await?.lost;
        }
        for shard in self.shards() {
            self.look_through(shard, applied, &mut back).await?;
            if let Some(from) = self.trimmed_up_to(shard).await? {
                back.complete_from.insert(shard, from);
            }
        }
        Ok(back)
    }

    /// Hands out all entries of the log again, and says how many ballots these are. Stop the workers,
    /// restore the store, look back, rewind, start the workers, in this order.
    ///
    /// # Errors
    /// Workers are running, or Redis does not answer; then some shards may be rewound, which harms
    /// nobody.
    pub async fn rewind(&self, back: &LookBack) -> Result<u64, RewindError> {
        self.refuse_workers().await?;
        let mut handed_out = 0;
        for (shard, last, ballots) in &back.read {
            let mut rewind = self.0.scripts.rewind.key(self.log_key(*shard));
            // The script adds what has come since.
            rewind
                .key(self.stats_key(*shard))
                .arg(GROUP)
                .arg(last.to_string())
                .arg(*ballots);
            let ballots: u64 = self.run_kept(*shard, &rewind).await?;
            handed_out += ballots;
        }
        Ok(handed_out)
    }

    /// Ballots that were ever accepted, by this log and by those before it that it was told of.
    ///
    /// # Errors
    /// Redis does not answer.
    pub async fn accepted(&self) -> Result<u64, StoreError> {
        let mut accepted = 0;
        for shard in self.shards() {
            accepted += self.counters(shard).await?.accepted;
        }
        Ok(accepted)
    }

    /// Counts this many ballots as accepted and acknowledged before this log was made.
    ///
    /// # Errors
    /// Redis does not answer; then it may have done so in part.
    pub async fn take_over_count(&self, ballots: u64) -> Result<(), StoreError> {
        for counter in ["accepted", "acknowledged"] {
            let mut add = ::redis::cmd("HINCRBY");
            add.arg(self.stats_key(ShardId(0)))
                .arg(counter)
                .arg(ballots);
            self.kept(&self.0.connection.ask_on::<()>(&add).await?)
                .await?;
        }
        Ok(())
    }

    async fn refuse_workers(&self) -> Result<(), RewindError> {
        if self.has_workers().await? {
            return Err(RewindError::WorkersRunning);
        }
        Ok(())
    }

    async fn has_workers(&self) -> Result<bool, StoreError> {
        // One that waits for ballots is seen by its connection; in a cluster, where none waits, only one that
        // has just got some.
        for node in self.nodes().await? {
            match node.readers().await {
                Ok(0) => {}
                Err(error) if error.kind() == ErrorKind::Forbidden => {}
                readers => return Ok(readers? > 0),
            }
        }
        for shard in self.shards() {
            let consumers = self.consumers(shard).await?;
            if consumers.iter().any(|consumer| consumer.idle < AT_WORK) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds up the entries of a shard. Bit by bit, so that votes can go on.
    async fn look_through(
        &self,
        shard: ShardId,
        applied: &Applied,
        back: &mut LookBack,
    ) -> Result<(), StoreError> {
        let (mut last, mut ballots) = (EntryId::MIN, 0_u64);
        loop {
            let mut ask = ::redis::cmd("XRANGE");
            ask.arg(self.log_key(shard))
                .arg(format!("({last}"))
                .arg("+")
                .arg("COUNT")
                .arg(AT_A_TIME);
            let entries = reply::range(shard, self.0.connection.read(&ask).await?)?;
            let Some(newest) = entries.last() else { break };
            last = newest.id;
            for entry in &entries {
                ballots += u64::from(entry.ballots);
                if !applied.has((shard, entry.id)) {
                    back.lacking += u64::from(entry.ballots);
                }
            }
            if entries.len() < AT_A_TIME {
                break;
            }
        }
        back.ballots += ballots;
        back.read.push((shard, last, ballots));
        Ok(())
    }

    /// The first entry of a shard from which others were removed.
    async fn trimmed_up_to(&self, shard: ShardId) -> Result<Option<EntryId>, StoreError> {
        let stream = self.stream(shard).await?;
        if stream.is_whole {
            return Ok(None);
        }
        let first = self.first_after(shard, EntryId::MIN).await?;
        Ok(Some(first.unwrap_or(stream.last.next())))
    }
}
