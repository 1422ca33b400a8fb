//! The log: where acknowledged ballots wait, durably and in order, until a worker has written them to the store.
//!
//! [`VoteSink`] takes a ballot, [`BallotLog`] is the writing end beneath it, [`BallotQueue`] the reading end.
//! Whoever implements them can hold an implementation against the [`conformance`](crate::conformance) suite.

pub mod claim;
pub mod entry;
pub mod entry_context;
pub mod signed_entry;
pub mod stats;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use auto_impl::auto_impl;

use self::{claim::Claim, entry::NewEntry, stats::QueueStats};
use crate::{
    error::{CastError, StoreError},
    model::{
        ballot::Ballot,
        id::PollId,
        poll::Poll,
        position::{EntryId, EntryKey, ShardId},
        receipt::Receipt,
        secret::Fingerprint,
    },
    store::{PollDirectory, PollPublisher},
};

/// Takes ballots from voters.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait VoteSink: Send + Sync {
    /// Casts a ballot, and returns only once it is durable.
    ///
    /// The ballot is not checked against its poll; that was the caller's to do, and is done
    /// again by the worker. If the caller goes away early the ballot may be cast or not.
    ///
    /// # Errors
    /// [`CastError`] says whether the ballot was refused or its fate is unknown.
    async fn cast(&self, ballot: Ballot) -> Result<Receipt, CastError>;

    /// Whether ballots can be cast now, and are durable once cast.
    async fn ready_to_cast(&self) -> Result<(), StoreError>;

    /// Whether ballots can be cast by services with the secret of this fingerprint: see
    /// [`BallotLog::check_secret`]. A sink over no log takes any.
    ///
    /// # Errors
    /// [`StoreError::ForeignSecret`] if not.
    async fn check_secret(&self, secret: Fingerprint) -> Result<(), StoreError> {
        let _ = secret;
        Ok(())
    }
}

/// The writing end of the log, over which [`GroupCommit`](crate::GroupCommit) is a [`VoteSink`].
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait BallotLog: Send + Sync {
    /// How many shards there are; at least one, never changes.
    fn shards(&self) -> u16;

    /// Appends an entry, of whatever size a [`NewEntry`] can have, and returns only once it is
    /// durable. Ids grow within a shard, whatever the clock does and however often the log is
    /// opened anew; none is [`EntryId::MIN`]. The log does not read the entry's payload.
    ///
    /// # Errors
    /// [`CastError::Closed`] when the shard is sealed for one of the entry's polls. That, and
    /// [`CastError::Refused`], only when the entry is certainly not in the log and never will be.
    async fn append(&self, shard: ShardId, entry: NewEntry) -> Result<EntryId, CastError>;

    /// Takes no more entries with ballots in any of these polls in this shard, for ever, and returns
    /// the id of the shard's last entry, or a bound above it, once that is durable. Whatever is
    /// appended for these polls was appended before. Entries that follow, of other polls, have ids
    /// above the bound.
    ///
    /// Of a shard that never had an entry it returns [`EntryId::MIN`], or a bound above it. The log
    /// need not know the polls. May be done again, and without polls, which seals nothing.
    async fn seal(&self, shard: ShardId, polls: &[PollId]) -> Result<EntryId, StoreError>;

    /// Whether entries can be appended now, and are durable once appended.
    async fn ready_to_append(&self) -> Result<(), StoreError>;

    /// Whether the log is held to the secret with this fingerprint, from which voters' names are signed. A log
    /// that nobody has held to one yet is held to this one from now on, durably; of two that come at once, one
    /// is the first.
    ///
    /// A service asks before its first ballot, and again and again. A log that does not keep it takes any.
    ///
    /// # Errors
    /// [`StoreError::ForeignSecret`] if it is held to another one.
    async fn check_secret(&self, secret: Fingerprint) -> Result<(), StoreError> {
        let _ = secret;
        Ok(())
    }
}

/// The reading end of the log, as one consumer of several sees it.
///
/// Its calls, as those of all traits here, return within some bounded time, with an error if
/// need be: a worker that is to stop gives one that hangs up, but no sooner.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait BallotQueue: Send + Sync {
    /// Takes entries of about `max_ballots` ballots, at least one entry; waits up to `wait` for
    /// the first. An empty claim means that there was none.
    ///
    /// An entry is handed to one consumer at a time, and handed out again, to whoever asks, when
    /// it was not acknowledged within the back end's claim time-out: its consumer may be dead.
    /// A claim that already waits need not notice that. Dropping the future may lose sight of
    /// entries until then; wait for it instead.
    async fn claim(&self, max_ballots: usize, wait: Duration) -> Result<Claim, StoreError>;

    /// Says that entries are flushed, be it all of a claim or some. They are not handed out again.
    /// Entries that are already acknowledged, by whomever, are passed over.
    async fn acknowledge(&self, entries: &[EntryKey]) -> Result<(), StoreError>;

    /// What is in the log, over all shards and consumers. [`QueueStats::acknowledged_below`] has every shard,
    /// also one that never had an entry. Once all entries of a shard are acknowledged, and so also
    /// where there never was one, it is above all that [`BallotLog::seal`] returned for that shard:
    /// a poll becomes final only then.
    async fn stats(&self) -> Result<QueueStats, StoreError>;

    /// Whether entries can be claimed and acknowledged now: a log that answers questions may still take
    /// no writes.
    async fn ready_to_claim(&self) -> Result<(), StoreError> {
        self.stats().await.map(|_| ())
    }

    /// Says that this consumer will claim no more, so that the log need not wait for it. What it holds is handed
    /// out again. Does nothing where the log keeps no list of consumers.
    ///
    /// # Errors
    /// The log does not answer. It then finds out by itself, later.
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A whole log: its writing end, and as many reading ends as there are consumers.
#[auto_impl(&, Arc, Box)]
pub trait Log: BallotLog {
    /// A new reading end, a consumer of its own.
    fn reader(&self) -> Arc<dyn BallotQueue>;
}

/// A log that is apart from the store, as Redis is from Postgres, and keeps a copy of the polls for vote services.
/// What brings the two in line is the [`Coordinator`](crate::pipeline::coordinator::Coordinator).
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait SeparateLog: BallotLog + PollDirectory + PollPublisher {
    /// Makes later entries of every shard get ids above `newest`, the newest entry that the store has, of
    /// whatever shard: the shard of a voter is another one if the number of shards was changed.
    ///
    /// Without it, a log that was restored or made anew on a slow clock would give new ballots ids below those of
    /// ballots that are counted, and the store would take them for older.
    async fn raise_ids(&self, newest: EntryId) -> Result<(), StoreError>;

    /// For each shard: all entries below this are acknowledged, and so were in the store before.
    ///
    /// Ask before the store is asked: entries that are acknowledged in between are in the store by then.
    ///
    /// # Errors
    /// The log does not answer, or nobody has used it yet.
    async fn acknowledged_below(&self) -> Result<HashMap<ShardId, EntryId>, StoreError>;

    /// The first entry of a shard with this id or a later one, acknowledged or not; `None` if there is none.
    async fn first_from(
        &self,
        shard: ShardId,
        from: EntryId,
    ) -> Result<Option<EntryId>, StoreError>;

    /// Which of these polls are sealed in at least one shard.
    async fn sealed(&self, polls: &[&PollId]) -> Result<BTreeSet<PollId>, StoreError>;

    /// The polls as they were last [published](PollPublisher::publish); `None` before the first time.
    async fn published(&self) -> Result<Option<Vec<Poll>>, StoreError>;
}
