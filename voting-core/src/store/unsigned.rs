//! The last entry of each shard that need not be signed.

use std::collections::HashMap;

use async_trait::async_trait;
use auto_impl::auto_impl;

use crate::{
    error::StoreError,
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

/// Keeps the last entry of each shard that need not be signed.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait UnsignedStore: Send + Sync {
    /// The id of this entry, for each shard that has one.
    async fn unsigned_until(&self) -> Result<HashMap<ShardId, EntryId>, StoreError>;

    /// Keeps these ids for shards that have none yet. An id that is kept never changes, because a rewind hands out old entries again.
    async fn keep_unsigned_until(
        &self,
        until: &HashMap<ShardId, EntryId>,
    ) -> Result<(), StoreError>;
}
