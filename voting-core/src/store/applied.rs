//! Which entries of the log a store has.
//!
//! The log knows which entries were acknowledged, and they are so only after they are in the store. A store
//! that lacks one was put back to an earlier state: from a backup, or by a standby that took over before it
//! had everything.

use std::collections::{HashMap, HashSet};

use crate::{
    error::{ErrorKind, StoreError},
    model::position::{EntryId, EntryKey, ShardId},
};

/// One life of a store. Another one begins when its server is started, when a standby takes over, or when its tables are made
/// anew. Only then may the store have gone back to an earlier state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLife(String);

impl StoreLife {
    /// The life that is called so. For back ends.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }
}

/// The life of the store in which a batch was to be flushed is over. Nothing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the database was restarted, or a standby has taken over: its contents are checked before the first write"
)]
pub struct LifeIsOver;

impl LifeIsOver {
    /// As an error of a store. The batch can be flushed once it is known what the store has.
    pub fn into_error(self) -> StoreError {
        StoreError::of_kind(ErrorKind::Unreachable, self)
    }
}

/// The marks of the entries that are in a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The life of the store in which they were asked for, if it can go back to an earlier state. It is asked for before the
    /// marks.
    pub life: Option<StoreLife>,
    /// Of each shard: all entries below this are in the store.
    pub below: HashMap<ShardId, EntryId>,
    /// And these.
    pub also: HashSet<EntryKey>,
}

impl Applied {
    /// Whether the store takes this entry for one that it has.
    pub fn has(&self, (shard, entry): EntryKey) -> bool {
        let below = self.below.get(&shard);
        below.is_some_and(|below| entry < *below) || self.also.contains(&(shard, entry))
    }

    /// Just above the newest entry of a shard that the store has; [`EntryId::MIN`] if it has none.
    pub fn end(&self, shard: ShardId) -> EntryId {
        let also = self.also.iter().filter(|(of, _)| *of == shard);
        let also = also.map(|(_, entry)| entry.next());
        let below = self.below.get(&shard).copied();
        also.chain(below).max().unwrap_or(EntryId::MIN)
    }
}

/// The store lacks entries that the log knows to be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the database was put back to an earlier state: it lacks ballots that were counted before, of {} of \
     the log's shards; stop all workers, run `voting rewind`, then start them",
    .0.len()
)]
pub struct PutBack(
    /// The shards of which it lacks some.
    pub Vec<ShardId>,
);

impl PutBack {
    /// The one that is behind an error of a store, if there is one.
    pub fn of(error: &StoreError) -> Option<&Self> {
        match error {
            StoreError::Unavailable(source) => source.downcast_ref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_in_the_store_by_its_own_mark_or_by_the_one_for_all_below() {
        let (shard, other) = (ShardId(0), ShardId(1));
        let entry = |ms| EntryId::new(ms, 0).unwrap();
        let applied = Applied {
            below: [(shard, entry(5))].into(),
            also: [(shard, entry(7)), (other, entry(2))].into(),
            ..Applied::default()
        };
        let has = |ms| applied.has((shard, entry(ms)));
        assert_eq!([has(4), has(5), has(6), has(7)], [true, false, false, true]);
        assert_eq!(applied.end(shard), entry(7).next());
        assert_eq!(applied.end(other), entry(2).next());
        assert_eq!(applied.end(ShardId(2)), EntryId::MIN);
    }
}
