//! The contracts between the pipeline and its back ends.
//!
//! All are used as `Arc<dyn …>`. Whoever implements them can hold an implementation against
//! the [`conformance`](crate::conformance) suite.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    ballot::Ballot,
    batch::{Batch, Claim, EntryKey, FlushReport, QueueStats, Totals},
    dead_letter::DeadLetter,
    entry::NewEntry,
    error::{CastError, StoreError},
    id::PollId,
    poll::Poll,
    poll_state::PollState,
    position::{EntryId, Position, ShardId},
    receipt::{Receipt, ReceiptState},
    secret::Fingerprint,
    tally::{Recount, Tally},
};

/// Takes ballots from voters.
#[async_trait]
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
    async fn check(&self) -> Result<(), StoreError>;

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
    async fn check(&self) -> Result<(), StoreError>;

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

    /// What is in the log, over all shards and consumers. [`QueueStats::settled`] has every shard,
    /// also one that never had an entry. Once all entries of a shard are acknowledged, and so also
    /// where there never was one, it is above all that [`BallotLog::seal`] returned for that shard:
    /// a poll becomes final only then.
    async fn stats(&self) -> Result<QueueStats, StoreError>;

    /// Whether entries can be claimed and acknowledged now: a log that answers questions may still take
    /// no writes.
    async fn ready_to_claim(&self) -> Result<(), StoreError> {
        self.stats().await.map(|_| ())
    }
}

/// Writes batches to the store.
#[async_trait]
pub trait BatchFlusher: Send + Sync {
    /// Writes a batch: ballots, the change of the tallies, dead letters
    /// ([bounded](DeadLetter::bounded)), applied marks, all or nothing, durable when it returns.
    ///
    /// Idempotent, in whatever order batches come and however often: a ballot takes the voter's
    /// row only if it is newer than the one there. A batch may be of any number of polls, entries
    /// and ballots, none included.
    ///
    /// # Errors
    /// [`StoreError::PollChanged`] when a ballot's poll is not stored, or does not take it (see
    /// [`PollState::takes`]). Nothing is written then.
    async fn flush(&self, batch: &Batch) -> Result<FlushReport, StoreError>;

    /// Where the flushed ballots are, over all polls.
    async fn totals(&self) -> Result<Totals, StoreError>;

    /// Whether a batch can be written now: a store that answers questions may still take no writes.
    async fn ready_to_flush(&self) -> Result<(), StoreError> {
        self.totals().await.map(|_| ())
    }
}

/// Answers what the count is.
#[async_trait]
pub trait TallyStore: Send + Sync {
    /// The tally of a poll, at a cost that does not grow with its ballots; `None` when there is
    /// no such poll.
    async fn tally(&self, poll: &PollId) -> Result<Option<Tally>, StoreError>;

    /// What became of an acknowledged ballot.
    async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError>;

    /// Counts the ballots of a poll, and takes the kept tally in the same snapshot.
    async fn recount(&self, poll: &PollId) -> Result<Option<Recount>, StoreError>;

    /// Whether the store answers.
    async fn check(&self) -> Result<(), StoreError>;
}

/// Where to look polls up.
#[async_trait]
pub trait PollDirectory: Send + Sync {
    /// The poll of that name.
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError>;

    /// All polls, in the order in which they were first put.
    async fn polls(&self) -> Result<Vec<Poll>, StoreError>;
}

/// Where polls are kept.
#[async_trait]
pub trait PollStore: PollDirectory {
    /// Stores a poll, or gives a stored one another title or labels; its state stays. What may
    /// replace what is for [`Poll::replaced_by`] to say, and is looked at in the transaction that
    /// writes.
    ///
    /// # Errors
    /// [`StoreError::PollConflict`] when the stored one has other options or another number of
    /// choices: its ballots would change their meaning. [`StoreError::TextsFrozen`] when it has
    /// other texts, and is not open any more.
    async fn put_poll(&self, poll: &Poll) -> Result<(), StoreError>;

    /// Moves a poll on to a state (see [`PollState::advanced`]), and returns the state that it is
    /// then in; `None` when there is no such poll.
    ///
    /// A flush that began before, and may have seen an earlier state, is over when this returns.
    async fn advance_poll(
        &self,
        poll: &PollId,
        to: &PollState,
    ) -> Result<Option<PollState>, StoreError>;
}

/// Where the vote service looks polls up, if that is not where they are kept.
#[async_trait]
pub trait PollPublisher: Send + Sync {
    /// Makes these all the polls there are to vote in.
    async fn publish(&self, polls: &[Poll]) -> Result<(), StoreError>;
}

/// The ballots that could not be counted.
#[async_trait]
pub trait DeadLetterStore: Send + Sync {
    /// The dead letter at this position. Of a payload larger than
    /// [`MAX_PAYLOAD`](crate::dead_letter::MAX_PAYLOAD), as older versions kept it, so many bytes and one
    /// more.
    async fn dead_letter(&self, position: Position) -> Result<Option<DeadLetter>, StoreError>;

    /// Up to `limit` dead letters by position, those after `after`. Of a payload larger than
    /// [`LISTED`](crate::dead_letter::LISTED) so many bytes and one more: whoever lists them must not
    /// need room for all of all.
    async fn dead_letters(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;
}
