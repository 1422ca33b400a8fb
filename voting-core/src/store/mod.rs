//! The store: where ballots are counted.
//!
//! [`BatchFlusher`] writes batches, [`TallyStore`] answers what the count is, [`PollStore`] keeps the polls and
//! [`DeadLetterStore`] the ballots that could not be counted. Whoever implements them can hold an implementation
//! against the [`conformance`](crate::conformance) suite.

pub mod applied;
pub mod batch;
pub mod dead_letter;
pub mod older;
pub mod outcome;

use async_trait::async_trait;
use auto_impl::auto_impl;

use self::{
    applied::Applied,
    batch::Batch,
    outcome::{Flushed, Totals},
};
use crate::{
    error::StoreError,
    model::{
        id::PollId,
        poll::Poll,
        poll_state::PollState,
        position::{EntryId, Position},
        receipt::{Receipt, ReceiptState},
        tally::{Recount, Tally},
    },
    store::dead_letter::DeadLetter,
};

/// Writes batches to the store.
#[async_trait]
#[auto_impl(&, Arc, Box)]
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
    async fn flush(&self, batch: &Batch) -> Result<Flushed, StoreError>;

    /// Where the flushed ballots are, over all polls.
    async fn totals(&self) -> Result<Totals, StoreError>;

    /// Whether a batch can be written now: a store that answers questions may still take no writes.
    async fn ready_to_flush(&self) -> Result<(), StoreError> {
        self.totals().await.map(|_| ())
    }
}

/// Answers what the count is.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait TallyStore: Send + Sync {
    /// The tally of a poll, at a cost that does not grow with its ballots; `None` when there is
    /// no such poll.
    async fn tally(&self, poll: &PollId) -> Result<Option<Tally>, StoreError>;

    /// What became of an acknowledged ballot.
    async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError>;

    /// Counts the ballots of a poll, and takes the kept tally in the same snapshot.
    async fn recount(&self, poll: &PollId) -> Result<Option<Recount>, StoreError>;

    /// Whether the store answers.
    async fn ready_to_read(&self) -> Result<(), StoreError>;
}

/// Where to look polls up.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait PollDirectory: Send + Sync {
    /// The poll of that name.
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError>;

    /// All polls, in the order in which they were first put.
    async fn polls(&self) -> Result<Vec<Poll>, StoreError>;
}

/// Where polls are kept.
#[async_trait]
#[auto_impl(&, Arc, Box)]
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
#[auto_impl(&, Arc, Box)]
pub trait PollPublisher: Send + Sync {
    /// Makes these all the polls there are to vote in.
    async fn publish(&self, polls: &[Poll]) -> Result<(), StoreError>;
}

/// The ballots that could not be counted.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait DeadLetterStore: Send + Sync {
    /// The dead letter at this position. Of a payload larger than
    /// [`MAX_PAYLOAD`](crate::store::dead_letter::MAX_PAYLOAD), as older versions kept it, so many bytes and one
    /// more.
    async fn dead_letter(&self, position: Position) -> Result<Option<DeadLetter>, StoreError>;

    /// Up to `limit` dead letters by position, those after `after`. Of a payload larger than
    /// [`LISTED`](crate::store::dead_letter::LISTED) so many bytes and one more: whoever lists them must not
    /// need room for all of all.
    async fn dead_letters(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;
}

/// A whole store. Every type with all of its parts is one, and an `Arc<dyn Store>` coerces to an `Arc` of each part.
pub trait Store: BatchFlusher + TallyStore + PollStore + DeadLetterStore + 'static {}

impl<T: BatchFlusher + TallyStore + PollStore + DeadLetterStore + 'static> Store for T {}

/// Tells which entries of the log a store has.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait AppliedStore: Send + Sync {
    /// The newest entry that was ever flushed, of whatever shard, or a bound just above it;
    /// [`EntryId::MIN`] if none was.
    async fn newest_applied(&self) -> Result<EntryId, StoreError>;

    /// The marks of all entries that are flushed.
    async fn applied(&self) -> Result<Applied, StoreError>;
}

/// A store that is apart from the log, as Postgres is from Redis. Every [`Store`] that tells what is applied is one.
pub trait SeparateStore: Store + AppliedStore {}

impl<T: Store + AppliedStore> SeparateStore for T {}
