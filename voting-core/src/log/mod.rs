//! The log: where acknowledged ballots wait, durably and in order, until a worker has written them to the store.
//!
//! A [`VoteSink`] takes single ballots and writes them to a [`BallotLog`], the writing end of the log. Workers read
//! from a [`BallotQueue`], the reading end. The [`conformance`](crate::conformance) suite tests implementations of
//! these traits.

pub mod claim;
pub mod entry;
pub mod entry_context;
pub mod entry_keys;
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
    error::{CastError, ErrorKind, StoreError},
    model::{
        ballot::Ballot,
        id::PollId,
        moment::Moment,
        poll::{Poll, PollWindow},
        position::{EntryId, EntryKey, ShardId},
        receipt::Receipt,
        secret::Fingerprint,
        secrets::KnownSecrets,
    },
    store::{PollDirectory, PollPublisher},
};

/// Takes ballots from voters.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait VoteSink: Send + Sync {
    /// Casts a ballot, and returns only once it is durable.
    ///
    /// This method does not check the ballot against its poll. The caller must check it before, and the worker
    /// checks it again. If the caller drops the future early, the ballot may be cast or not.
    ///
    /// # Errors
    /// [`CastError`] says whether the ballot was refused or its outcome is unknown.
    async fn cast(&self, ballot: Ballot) -> Result<Receipt, CastError>;

    /// Whether ballots that are blank or taken back can be cast. Programs before version 0.2 set such ballots aside, unless they
    /// are in entries that are signed.
    fn takes_empty_ballots(&self) -> bool {
        false
    }

    /// Checks that ballots can be cast now, and that they are durable once cast.
    async fn ready_to_cast(&self) -> Result<(), StoreError>;

    /// Checks whether services with these secrets can cast ballots, see [`BallotLog::check_secrets`]. A sink without a log
    /// accepts every secret.
    ///
    /// # Errors
    /// [`StoreError::ForeignSecret`] if they cannot.
    async fn check_secrets(&self, secrets: &KnownSecrets) -> Result<Vec<Fingerprint>, StoreError> {
        let _ = secrets;
        Ok(Vec::new())
    }
}

/// What a shard has of the windows that it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardWindows {
    /// The shard's clock, in milliseconds since 1970.
    pub clock_ms: u64,
    /// The shard's window for each poll that was asked about, in that order.
    pub held: Vec<PollWindow>,
}

/// The writing end of the log. [`GroupCommit`](crate::GroupCommit) is a [`VoteSink`] that writes to it.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait BallotLog: Send + Sync {
    /// The number of shards: at least one. It never changes.
    fn shards(&self) -> u16;

    /// Appends an entry, and returns only once the entry is durable. The entry may have any size that a
    /// [`NewEntry`] can have. The log does not read the entry's payload.
    ///
    /// Within a shard, each id is greater than the ids before, even if the clock goes back or the log is opened
    /// again. No id is [`EntryId::MIN`].
    ///
    /// # Errors
    /// [`CastError::Closed`] when the shard is sealed for one of the entry's polls. An implementation returns this
    /// error or [`CastError::Refused`] only when the entry is certainly not in the log and never will be.
    async fn append(&self, shard: ShardId, entry: NewEntry) -> Result<EntryId, CastError>;

    /// The shard's clock, in ms since 1970, after which an entry that is made now must not be appended any more: the
    /// [deadline](NewEntry::deadline_ms) for an entry. An entry that comes later is refused with [`CastError::Refused`], whose source is
    /// [`LateEntry`](crate::log::entry::LateEntry).
    ///
    /// The default implementation is for logs that append an entry at once or never: it returns the end of time.
    async fn deadline_ms(&self, shard: ShardId) -> Result<u64, StoreError> {
        let _ = shard;
        Ok(u64::MAX)
    }

    /// Whether no other program, which may be older, reads this log. Then entries that are not signed may have ballots that are
    /// blank or taken back.
    fn has_one_program(&self) -> bool {
        false
    }

    /// Seals this shard for these polls: from now on, the shard refuses every entry with a ballot in one of them,
    /// for ever. Returns once this is durable.
    ///
    /// Returns the id of the shard's last entry, or a bound above this id. All ballots in these polls that the
    /// shard has are up to the returned id. Later entries, with ballots in other polls, have greater ids. For a shard
    /// that never had an entry, the method returns [`EntryId::MIN`], or a bound above it.
    ///
    /// The log does not have to know the polls. The call may be repeated. A call without polls seals nothing.
    async fn seal(&self, shard: ShardId, polls: &[PollId]) -> Result<EntryId, StoreError>;

    /// Whether the log can keep [windows](Self::set_windows). If not, no poll with opening or closing times is stored.
    fn keeps_windows(&self) -> bool {
        false
    }

    /// Gives this shard windows, between which it takes ballots in their polls, and returns what it has then. Returns once
    /// this is durable. [`PollWindow::replaces`] says which windows the shard takes; the shard keeps its own otherwise. A
    /// call without windows only asks for the shard's clock.
    ///
    /// From then on, [`append`](Self::append) compares the entry's own [`ms`](EntryId::ms) with the window of each of its
    /// polls, so that the id of an entry alone says whether the entry came in time: [`CastError::NotOpen`] before the
    /// window opens, [`CastError::Closed`] from its closing on, [`CastError::Changed`] if the entry's ballots were cast by
    /// other rules. The entry is refused with [`CastError::TimesUnknown`] if its ballots [name rules](crate::log::entry::EntryPoll)
    /// for a poll of which the shard has no window, or one that may come from a backup.
    ///
    /// A shard's clock is that of its server, and never before the `ms` of its last entry.
    ///
    /// # Errors
    /// The default implementation has no windows: it fails with [`ErrorKind::Unsupported`], unless `windows` is empty: then it
    /// returns the clock of this process.
    async fn set_windows(
        &self,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        let _ = shard;
        if !windows.is_empty() {
            return Err(StoreError::of_kind(
                ErrorKind::Unsupported,
                "this log cannot open and close polls at set times",
            ));
        }
        Ok(ShardWindows {
            clock_ms: Moment::now().unix_ms(),
            held: Vec::new(),
        })
    }

    /// Checks that entries can be appended now, and that they are durable once appended.
    async fn ready_to_append(&self) -> Result<(), StoreError>;

    /// Checks whether the log accepts a service with these secrets, which sign the voters' cookies. A log accepts the first
    /// secret that it is asked about, and stores its fingerprint durably. If two secrets come at the same time, one of them
    /// is the first. [`LogSecrets::admit`] says how another secret takes its place.
    ///
    /// Returns the fingerprints of the secrets that were accepted before and are not accepted now.
    ///
    /// A service calls this before its first ballot, and repeatedly after that. The default implementation stores
    /// nothing and accepts every secret.
    ///
    /// # Errors
    /// [`StoreError::ForeignSecret`] if the service cannot read the cookies of some voters.
    ///
    /// [`LogSecrets::admit`]: crate::model::secrets::LogSecrets::admit
    async fn check_secrets(&self, secrets: &KnownSecrets) -> Result<Vec<Fingerprint>, StoreError> {
        let _ = secrets;
        Ok(Vec::new())
    }
}

/// The reading end of the log for one consumer. A log may have several consumers.
///
/// Every call of this trait, and of all traits here, returns within a bounded time, if necessary with an error. A
/// worker that must stop gives up a call that does not return, but not before the worker's time to stop is over.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait BallotQueue: Send + Sync {
    /// Takes entries with about `max_ballots` ballots together, at least one entry. Waits up to `wait` for the first
    /// entry. An empty claim means that there was no entry.
    ///
    /// The log hands an entry to one consumer at a time. If the entry is not acknowledged within the back end's
    /// claim time-out, its consumer may have failed, and the log hands the entry to any consumer that asks. A call
    /// that already waits does not have to notice this.
    ///
    /// Wait for the future, and do not drop it: nobody may see the entries that it took until the claim time-out.
    async fn claim(&self, max_ballots: usize, wait: Duration) -> Result<Claim, StoreError>;

    /// Tells the log that these entries are flushed: all entries of a claim, or some of them. The log does not hand
    /// them out again. Entries that any consumer has already acknowledged are ignored.
    async fn acknowledge(&self, entries: &[EntryKey]) -> Result<(), StoreError>;

    /// What is in the log, over all shards and consumers.
    ///
    /// [`QueueStats::acknowledged_below`] has an id for every shard, also for a shard that never had an entry. Once
    /// all entries of a shard are acknowledged, or if it never had one, this id is greater than every id that
    /// [`BallotLog::seal`] returned for the shard. A poll becomes final only then.
    async fn stats(&self) -> Result<QueueStats, StoreError>;

    /// From now on, entries that another consumer has not acknowledged in time are left to other consumers. A worker that
    /// cannot read some of the entries calls this: it would take them again and again, and keep them from a worker that
    /// can read them. By default, nothing changes.
    fn leave_abandoned(&self) {}

    /// Checks that entries can be claimed and acknowledged now. A log that can be read does not always take
    /// writes.
    async fn ready_to_claim(&self) -> Result<(), StoreError> {
        self.stats().await.map(|_| ())
    }

    /// Tells the log that this consumer will claim no more entries, so that the log does not wait for the consumer.
    /// Entries that the consumer holds are handed out again. Does nothing if the log keeps no list of consumers.
    ///
    /// # Errors
    /// The log does not answer. It then notices later that the consumer is gone.
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A whole log: its writing end, and as many reading ends as there are consumers.
#[auto_impl(&, Arc, Box)]
pub trait Log: BallotLog {
    /// A new reading end: a new consumer.
    fn reader(&self) -> Arc<dyn BallotQueue>;
}

/// A log in another server than the store, such as Redis beside Postgres. It keeps a copy of the polls for vote
/// services. The [`Coordinator`](crate::pipeline::coordinator::Coordinator) keeps the log and the store consistent.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait SeparateLog: BallotLog + PollDirectory + PollPublisher {
    /// Makes sure that later entries of every shard get ids above `newest`, the newest entry that the store has of
    /// any shard. One id is used for all shards, because a voter may be in another shard after the number of shards
    /// was changed.
    ///
    /// Without this, a log that was restored or created again on a slow clock would give new ballots smaller ids than
    /// counted ballots have. The store would then take the new ballots for older ones.
    async fn raise_ids(&self, newest: EntryId) -> Result<(), StoreError>;

    /// For each shard, an id below which all entries are acknowledged. The store had these entries before they were
    /// acknowledged.
    ///
    /// Call this before you read from the store. The store then has every entry below these ids.
    ///
    /// # Errors
    /// The log does not answer, or it was never used.
    async fn acknowledged_below(&self) -> Result<HashMap<ShardId, EntryId>, StoreError>;

    /// The first entry of the shard whose id is `from` or greater, acknowledged or not; `None` if there is no such
    /// entry.
    async fn first_from(
        &self,
        shard: ShardId,
        from: EntryId,
    ) -> Result<Option<EntryId>, StoreError>;

    /// Which of these polls are sealed in at least one shard.
    async fn sealed(&self, polls: &[&PollId]) -> Result<BTreeSet<PollId>, StoreError>;

    /// The polls that were last [published](PollPublisher::publish); `None` if none were published yet.
    async fn published(&self) -> Result<Option<Vec<Poll>>, StoreError>;
}
