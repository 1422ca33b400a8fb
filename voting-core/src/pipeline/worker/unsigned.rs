//! Settles which entries the worker takes although they are not signed: those from before it first refused such entries.

use std::collections::HashMap;

use crate::{
    error::StoreError,
    log::BallotLog,
    model::position::ShardId,
    store::unsigned::{UnsignedStore, UnsignedUntil},
};

/// The last entry of each shard that need not be signed. For a shard that has none in the store yet, the store gets the id of the
/// newest entry.
///
/// # Errors
/// The log or the store does not answer.
pub(super) async fn settle(
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
