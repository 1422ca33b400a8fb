//! Keeps the log consistent with a store in another server.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use ::redis::Value;
use async_trait::async_trait;

use crate::backends::redis::{Redis, reader::reply};
use crate::{
    error::StoreError,
    log::{BallotQueue, Log, SeparateLog},
    model::{
        id::PollId,
        poll::Poll,
        position::{EntryId, ShardId},
    },
};

/// A clock that is so far behind the store's newest position, in ms, is worth a line in the log.
const TOLD_FROM_MS: i64 = 1_000;

#[async_trait]
impl SeparateLog for Redis {
    async fn raise_ids(&self, newest: EntryId) -> Result<(), StoreError> {
        self.prepare().await?;
        // The streams may have been created again since then.
        self.make_groups().await?;
        for shard in self.shards() {
            let mut raise = self.0.scripts.raise.key(self.log_key(shard));
            raise.arg(newest.ms()).arg(newest.seq());
            let behind_ms: i64 = self.run_kept(shard, &raise).await?;
            // The clocks of a cluster's nodes always differ a little.
            if behind_ms >= TOLD_FROM_MS {
                tracing::warn!(%shard, %newest, behind_ms, "the ids of Redis were below those of the store; \
                                                            raised them");
            }
        }
        Ok(())
    }

    async fn acknowledged_below(&self) -> Result<HashMap<ShardId, EntryId>, StoreError> {
        let mut below = HashMap::new();
        for shard in self.shards() {
            below.insert(shard, self.progress(shard).await?.acknowledged_below);
        }
        Ok(below)
    }

    async fn first_from(
        &self,
        shard: ShardId,
        from: EntryId,
    ) -> Result<Option<EntryId>, StoreError> {
        let mut ask = ::redis::cmd("XRANGE");
        ask.arg(self.log_key(shard))
            .arg(from.to_string())
            .arg("+")
            .arg("COUNT")
            .arg(1);
        let range: Value = self.0.connection.read(&ask).await?;
        reply::first_id(range)
    }

    async fn sealed(&self, polls: &[&PollId]) -> Result<BTreeSet<PollId>, StoreError> {
        let mut sealed = BTreeSet::new();
        if polls.is_empty() {
            return Ok(sealed);
        }
        for shard in self.shards() {
            let mut ask = self.0.scripts.sealed.key(self.sealed_key(shard));
            for poll in polls {
                ask.arg(poll.as_str());
            }
            let names: Vec<String> = self.0.connection.run(&ask).await?;
            let is_sealed = |poll: &&&PollId| names.iter().any(|name| name == poll.as_str());
            sealed.extend(polls.iter().filter(is_sealed).map(|poll| (*poll).clone()));
        }
        Ok(sealed)
    }

    async fn published(&self) -> Result<Option<Vec<Poll>>, StoreError> {
        Ok(match self.published_polls().await? {
            None => None,
            Some(Ok(polls)) => Some(polls),
            // The store is what counts. The next step publishes its polls in place of these.
            Some(Err(why)) => {
                tracing::warn!(
                    why = %why,
                    "not using the published polls, publishing them again; find out who can write to Redis"
                );
                None
            }
        })
    }
}

impl Log for Redis {
    fn reader(&self) -> Arc<dyn BallotQueue> {
        Arc::new(self.queue())
    }
}
