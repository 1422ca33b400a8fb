//! All entries that the log still has are handed out again, as is needed when the store was restored from
//! a backup: what it lacks is counted then, and what it has is not counted twice.

use std::{collections::HashMap, time::Duration};

use super::{GROUP, Redis, inspect::is_forbidden, reply};
use crate::{
    error::StoreError,
    position::{EntryId, ShardId},
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

/// What is handed out again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rewound {
    /// Ballots, counted already or not.
    pub ballots: u64,
    /// For shards that no longer have all of their entries, the first that they have, or the one that
    /// comes next. What was before must be in the backup.
    pub complete_from: HashMap<ShardId, EntryId>,
}

impl Redis {
    /// Hands out all entries of the log again. Stop the workers, restore the store, rewind, start the
    /// workers, in this order.
    ///
    /// # Errors
    /// Workers are running, or Redis does not answer; then some shards may be rewound, which harms
    /// nobody.
    pub async fn rewind(&self) -> Result<Rewound, RewindError> {
        self.prepare().await?;
        if self.has_workers().await? {
            return Err(RewindError::WorkersRunning);
        }
        let mut rewound = Rewound::default();
        for shard in self.shards() {
            rewound.ballots += self.rewind_shard(shard).await?;
            if let Some(from) = self.trimmed_up_to(shard).await? {
                rewound.complete_from.insert(shard, from);
            }
        }
        Ok(rewound)
    }

    async fn has_workers(&self) -> Result<bool, StoreError> {
        // One that waits for ballots is seen by its connection; in a cluster, where none waits, only one that
        // has just got some.
        for node in self.nodes().await? {
            match node.readers().await {
                Ok(0) => {}
                Err(error) if is_forbidden(&error) => {}
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

    async fn rewind_shard(&self, shard: ShardId) -> Result<u64, StoreError> {
        // A long log is added up bit by bit, so that votes can go on. The script adds what has come since.
        let (mut last, mut ballots) = (EntryId::MIN, 0_u64);
        loop {
            let mut ask = ::redis::cmd("XRANGE");
            ask.arg(self.log_key(shard))
                .arg(format!("({last}"))
                .arg("+")
                .arg("COUNT")
                .arg(AT_A_TIME);
            let entries = reply::range(shard, self.0.connection.ask(&ask).await?)?;
            let Some(newest) = entries.last() else { break };
            last = newest.id;
            ballots += entries.iter().map(|e| u64::from(e.ballots)).sum::<u64>();
            if entries.len() < AT_A_TIME {
                break;
            }
        }
        let mut rewind = self.0.scripts.rewind.key(self.log_key(shard));
        rewind
            .key(self.stats_key(shard))
            .arg(GROUP)
            .arg(last.to_string())
            .arg(ballots);
        Ok(self.0.connection.run(&rewind).await?)
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
