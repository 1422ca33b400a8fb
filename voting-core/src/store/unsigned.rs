//! Up to where entries of the log need not be signed.

use std::collections::HashMap;

use async_trait::async_trait;
use auto_impl::auto_impl;

use crate::{
    error::StoreError,
    log::BallotLog,
    model::position::{EntryId, ShardId},
};

/// For each shard, the last entry that need not be signed. A shard that is not among them takes signed entries only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnsignedUntil(HashMap<ShardId, EntryId>);

impl From<HashMap<ShardId, EntryId>> for UnsignedUntil {
    fn from(until: HashMap<ShardId, EntryId>) -> Self {
        Self(until)
    }
}

impl UnsignedUntil {
    /// Whether an entry at this place need not be signed.
    pub fn takes(&self, shard: ShardId, id: EntryId) -> bool {
        self.0.get(&shard).is_some_and(|until| id <= *until)
    }
}

/// Keeps up to where entries need not be signed.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait UnsignedStore: Send + Sync {
    /// What is kept.
    async fn unsigned_until(&self) -> Result<HashMap<ShardId, EntryId>, StoreError>;

    /// Keeps these ids for shards that have none yet. What is kept never changes: a rewind hands out old entries again.
    async fn keep_unsigned_until(
        &self,
        until: &HashMap<ShardId, EntryId>,
    ) -> Result<(), StoreError>;
}

/// Up to where entries need not be signed. A shard of which the store has nothing yet gets the id of its newest entry.
///
/// # Errors
/// The log or the store does not answer.
pub async fn settle(
    log: &dyn BallotLog,
    store: &dyn UnsignedStore,
) -> Result<UnsignedUntil, StoreError> {
    let mut kept = store.unsigned_until().await?;
    let mut found = HashMap::new();
    for shard in (0..log.shards()).map(ShardId) {
        if !kept.contains_key(&shard) {
            // This seals nothing.
            found.insert(shard, log.seal(shard, &[]).await?);
        }
    }
    if !found.is_empty() {
        store.keep_unsigned_until(&found).await?;
        // Another worker may have been first.
        kept = store.unsigned_until().await?;
    }
    Ok(kept.into())
}
