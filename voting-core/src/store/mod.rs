//! The store: where ballots are counted.
//!
//! [`BatchFlusher`] writes batches. [`TallyStore`] reads tallies. [`PollStore`] keeps the polls. [`DeadLetterStore`]
//! keeps the ballots that could not be counted. The [`conformance`](crate::conformance) suite tests implementations
//! of these traits.

pub mod applied;
pub mod audit;
pub mod batch;
pub mod dead_letter;
pub mod events;
pub mod export;
pub mod older;
pub mod outcome;
pub mod sessions;
pub mod tokens;
pub mod unsigned;
pub mod webhooks;

use async_trait::async_trait;
use auto_impl::auto_impl;
use uuid::Uuid;

use self::{
    applied::{Applied, StoreLife},
    audit::{AuditEntry, AuditNote},
    batch::Batch,
    events::{Events, Mark, NewEvent},
    export::BallotExport,
    outcome::{Flushed, Totals},
    sessions::HostSession,
    tokens::{NamedToken, TokenHash},
    webhooks::{Attempt, Delivery, Turn, Webhook, WebhookChange},
};
use crate::{
    error::StoreError,
    model::{
        id::{PollId, TokenName},
        moment::Moment,
        new_voters::NewVoters,
        poll::{ChangeTo, Poll, PollChange},
        poll_state::{PollState, Seals},
        position::{EntryId, Position},
        receipt::{Receipt, ReceiptState},
        tally::{Recount, Tally},
        vote_history::VoteHistory,
    },
    store::dead_letter::DeadLetter,
};

/// Writes batches to the store.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait BatchFlusher: Send + Sync {
    /// Writes a batch: ballots, the changes of the tallies, dead letters ([bounded](DeadLetter::bounded)) and applied
    /// marks. Writes all of it or nothing. The batch is durable when the method returns.
    ///
    /// Batches may come in any order, and more than once: a ballot replaces the voter's stored ballot only if it is
    /// newer. A batch may have any number of polls, entries and ballots, also none.
    ///
    /// # Errors
    /// [`StoreError::PollChanged`] when the poll of a ballot is not stored, or does not take the ballot (see
    /// [`PollState::takes`]). Nothing is written then.
    async fn flush(&self, batch: &Batch) -> Result<Flushed, StoreError>;

    /// Writes a batch if the store is still in the life in which its marks [were asked for](AppliedStore::applied): this is
    /// known in the transaction that writes. `None` stands for any life. By default, a store has one life.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); [`LifeIsOver`](applied::LifeIsOver). Nothing is written then.
    async fn flush_in(
        &self,
        batch: &Batch,
        life: Option<&StoreLife>,
    ) -> Result<Flushed, StoreError> {
        let _ = life;
        self.flush(batch).await
    }

    /// How many flushed ballots are in each state, over all polls.
    async fn totals(&self) -> Result<Totals, StoreError>;

    /// Checks that a batch can be written now. A store that can be read does not always take writes.
    async fn ready_to_flush(&self) -> Result<(), StoreError> {
        self.totals().await.map(|_| ())
    }
}

/// Reads tallies, and the states of ballots.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait TallyStore: Send + Sync {
    /// The tally of a poll; `None` when there is no such poll. The cost does not grow with the number of ballots.
    async fn tally(&self, poll: &PollId) -> Result<Option<Tally>, StoreError>;

    /// The state of the acknowledged ballot with this receipt.
    async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError>;

    /// Counts the ballots of a poll, and reads the stored tally in the same snapshot.
    async fn recount(&self, poll: &PollId) -> Result<Option<Recount>, StoreError>;

    /// How many voters were new in each minute, by the positions of the ballots with which they were first counted: up to
    /// `limit` minutes that begin before `before`, the newest first; `None` when there is no such poll. Minutes without new
    /// voters are left out. A voter whose ballot is taken back or voided stays.
    async fn new_voters(
        &self,
        poll: &PollId,
        before: Option<Moment>,
        limit: usize,
    ) -> Result<Option<Vec<NewVoters>>, StoreError>;

    /// How the votes of a poll grew with time; `None` when there is no such poll. The cost does not grow with the number of
    /// ballots. A flush keeps it up by what [`TallyDelta::history`](crate::model::tally::TallyDelta::history) says, in its
    /// transaction.
    async fn vote_history(&self, poll: &PollId) -> Result<Option<VoteHistory>, StoreError>;

    /// Checks that the store answers.
    async fn ready_to_read(&self) -> Result<(), StoreError>;
}

/// Looks up polls.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait PollDirectory: Send + Sync {
    /// The poll with this id.
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError>;

    /// All polls, in the order in which they were first stored.
    async fn polls(&self) -> Result<Vec<Poll>, StoreError>;

    /// Whether a poll with this id was deleted. Ballots in it are neither counted nor set aside.
    async fn is_deleted(&self, _id: &PollId) -> Result<bool, StoreError> {
        Ok(false)
    }
}

/// Keeps the polls.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait PollStore: PollDirectory {
    /// Changes a poll, and adds what was changed to the [audit log](AuditLog), in one transaction.
    /// [`change`](crate::model::poll::change) decides what becomes of the poll. Returns the poll as it is then; `None` if
    /// the change has deleted it. `by` says who changes it, such as `operator`.
    ///
    /// If the change [forgets the voters](crate::model::poll::Changed::forgets_voters), the same transaction replaces the
    /// poll's ballots with the number of ballots of each choice, and empties the dead letters of single ballots in the poll.
    ///
    /// If the change [voids other ballots](crate::model::poll::Changed::voids_other_ballots), the same transaction moves
    /// the tally by what the ballots that are stored count for then. Each flush asks
    /// [`Poll::counted`](crate::Poll::counted) of the poll that it finds in its transaction.
    ///
    /// A flush that began before this call may have seen the earlier poll. Every such flush has ended when this
    /// method returns.
    ///
    /// # Errors
    /// As [`change`](crate::model::poll::change). [`StoreError::PollDeleted`] if a poll of this id was deleted.
    /// [`StoreError::UpgradeUnfinished`] if the poll [needs new programs](Poll::needs_new_programs) or is to be deleted,
    /// and older programs may be at work.
    async fn change_poll(&self, change: &PollChange, by: &str) -> Result<Option<Poll>, StoreError>;

    /// Changes a poll if the store is still in this life, as [`BatchFlusher::flush_in`] does with a batch.
    ///
    /// # Errors
    /// As [`change_poll`](Self::change_poll); [`LifeIsOver`](applied::LifeIsOver). Nothing is written then.
    async fn change_poll_in(
        &self,
        change: &PollChange,
        by: &str,
        life: Option<&StoreLife>,
    ) -> Result<Option<Poll>, StoreError> {
        let _ = life;
        self.change_poll(change, by).await
    }

    /// Whether no program before version 0.2 is at work any more, as far as the store was told. By default, no store has
    /// been used by such programs.
    async fn upgrade_is_finished(&self) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// The polls that were deleted, each with the seals that it had.
    async fn deleted_polls(&self) -> Result<Vec<(PollId, Seals)>, StoreError> {
        Ok(Vec::new())
    }

    /// Stores a poll, or gives a stored one another title or other labels, see
    /// [`ChangeTo::Defined`].
    ///
    /// # Errors
    /// [`StoreError::PollConflict`] when the stored poll has other options or another number of choices: its ballots
    /// would get another meaning. [`StoreError::TextsFrozen`] when the stored poll has other texts and is no longer
    /// open.
    async fn put_poll(&self, poll: &Poll) -> Result<(), StoreError> {
        let to = ChangeTo::Defined(Box::new(poll.clone()));
        let change = PollChange::new(poll.id().clone(), to);
        self.change_poll(&change, "settings").await.map(|_| ())
    }

    /// Moves a poll to a later state (see [`PollState::advanced`]), and returns the state in which the poll is then;
    /// `None` when there is no such poll.
    async fn advance_poll(
        &self,
        poll: &PollId,
        to: &PollState,
    ) -> Result<Option<PollState>, StoreError> {
        self.advance_poll_by(poll, to, "program").await
    }

    /// As [`advance_poll`](Self::advance_poll); `by` stands in the audit log.
    async fn advance_poll_by(
        &self,
        poll: &PollId,
        to: &PollState,
        by: &str,
    ) -> Result<Option<PollState>, StoreError> {
        let change = PollChange::new(poll.clone(), ChangeTo::State(to.clone()));
        match self.change_poll(&change, by).await {
            Ok(poll) => Ok(poll.map(|poll| poll.state().clone())),
            Err(StoreError::NoPoll(_) | StoreError::PollDeleted(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Publishes the polls to the place where the vote service looks them up, if the polls are kept elsewhere.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait PollPublisher: Send + Sync {
    /// Publishes these polls. They replace all polls that were published before.
    async fn publish(&self, polls: &[Poll]) -> Result<(), StoreError>;
}

/// Reads the ballots that could not be counted.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait DeadLetterStore: Send + Sync {
    /// The dead letter at this position. Older versions kept payloads of any size: of a payload larger than
    /// [`MAX_PAYLOAD`](crate::store::dead_letter::MAX_PAYLOAD), this returns only the first `MAX_PAYLOAD` + 1 bytes.
    async fn dead_letter(&self, position: Position) -> Result<Option<DeadLetter>, StoreError>;

    /// Up to `limit` dead letters with positions after `after`, sorted by position. Of a payload larger than
    /// [`LISTED`](crate::store::dead_letter::LISTED), this returns only the first `LISTED` + 1 bytes, so that a list
    /// does not need memory for all whole payloads.
    async fn dead_letters(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;
}

/// The audit log: what was done, by whom and when. It only grows.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait AuditLog: Send + Sync {
    /// Adds what was done outside of [`PollStore::change_poll`], which adds its own.
    async fn add_to_audit_log(&self, note: &AuditNote) -> Result<(), StoreError>;

    /// Up to `limit` entries with numbers after `after`, in order.
    async fn audit_log(&self, after: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError>;

    /// Up to `limit` entries with numbers below `before`, the newest first; without `before`, the newest of all.
    async fn newest_of_audit_log(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError>;
}

/// Keeps the [events](events). [`PollStore::change_poll`] adds those of a poll in its transaction, see
/// [`events::of_change`] and [`events::opening`].
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait EventStore: Send + Sync {
    /// Up to `limit` events with numbers after `after`, in their order. A reader that goes on with the number of the last event
    /// gets each event once, and misses none.
    async fn events(&self, after: u64, limit: usize) -> Result<Events, StoreError>;

    /// Adds an event, and changes its mark, in one transaction, if the mark [is news](Mark::news), and if the event's poll
    /// [takes events](events::takes_events). Returns whether it has added the event. It is called again and again for
    /// states whose event was added already.
    async fn add_event(&self, mark: &Mark, event: &NewEvent) -> Result<bool, StoreError>;

    /// Removes up to `limit` of the oldest events that were written before this moment, and returns how many. No event is removed
    /// before an older one is.
    async fn remove_events(&self, before: Moment, limit: usize) -> Result<usize, StoreError>;
}

/// Takes tallies and ballots out of the store, to be published or kept elsewhere.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait ExportStore: Send + Sync {
    /// A poll and its tally, both of one moment; `None` when there is no such poll.
    async fn counted_poll(&self, poll: &PollId) -> Result<Option<(Poll, Tally)>, StoreError>;

    /// How many of the counted ballots of a poll trusted servers have handed in. `None` if that is not known: there is no such
    /// poll, or its voters are forgotten. It takes the longer, the more ballots there are.
    async fn handed_in(&self, poll: &PollId) -> Result<Option<u64>, StoreError>;

    /// The choices of all counted ballots of a final poll, in an order that nobody can foresee or retrace, and another
    /// one each time. It is read piece by piece, never delays writes or other reads, and ends when it is dropped. It may
    /// take a connection of its own, so the caller limits how many there are at a time.
    ///
    /// # Errors
    /// [`StoreError::NoPoll`]; [`StoreError::NotFinal`] while the ballots can still change.
    async fn export_ballots(&self, poll: &PollId) -> Result<BallotExport, StoreError>;
}

/// Keeps the tokens that have names, and the sessions at the host's pages. Whoever has such a token may use the operator's
/// API.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait TokenStore: Send + Sync {
    /// Stores a token, and [says so](NamedToken::added_note) in the [audit log](AuditLog), in one transaction. Returns
    /// whether it is stored: `false` if there is one of this name, which stays.
    async fn add_token(&self, token: &NamedToken, by: &str) -> Result<bool, StoreError>;

    /// All tokens, sorted by name.
    async fn tokens(&self) -> Result<Vec<NamedToken>, StoreError>;

    /// Removes the token of this name, and [says so](NamedToken::revoked_note) in the [audit log](AuditLog), in one
    /// transaction. Returns whether there was one.
    async fn revoke_token(&self, name: &TokenName, by: &str) -> Result<bool, StoreError>;

    /// Stores a session, and [says so](HostSession::began_note) in the [audit log](AuditLog), in one transaction. Returns
    /// whether it is stored: `false` if there is one of this hash, which stays. Sessions that were to end
    /// [long before](HostSession::removes_before) are removed.
    async fn add_session(&self, session: &HostSession) -> Result<bool, StoreError>;

    /// The session with this hash, also one that has ended.
    async fn session(&self, hash: TokenHash) -> Result<Option<HostSession>, StoreError>;

    /// Notes that a session was used at this moment. A later moment that is stored stays, and so does a session that has
    /// ended.
    async fn use_session(&self, hash: TokenHash, at: Moment) -> Result<(), StoreError>;

    /// Ends a session for good, and [says so](HostSession::ended_note) in the [audit log](AuditLog), in one transaction.
    /// Returns whether there was one that had not ended.
    async fn end_session(&self, hash: TokenHash) -> Result<bool, StoreError>;
}

/// Keeps [webhooks](webhooks) and what is to be sent to them. It is no part of a [`Store`]: a store without it can do everything
/// but webhooks. It reads the events of the same store.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait WebhookStore: Send + Sync {
    /// All webhooks, in the order in which they were added.
    async fn webhooks(&self) -> Result<Vec<Webhook>, StoreError>;

    /// Adds a webhook, and says so in the [audit log](AuditLog), in one transaction. The events that are there already are not sent
    /// to it. Returns the webhook as it is stored; `None` if there are [as many as there may be](webhooks::MAX_WEBHOOKS).
    async fn add_webhook(&self, webhook: &Webhook, by: &str)
    -> Result<Option<Webhook>, StoreError>;

    /// Changes a webhook as [`Webhook::changed`] says, and says so in the [audit log](AuditLog), in one transaction. Returns the
    /// webhook as it is then; `None` if there is none of this id.
    async fn change_webhook(
        &self,
        id: Uuid,
        change: &WebhookChange,
        by: &str,
    ) -> Result<Option<Webhook>, StoreError>;

    /// Removes a webhook with its deliveries, and says so in the [audit log](AuditLog), in one transaction. Returns whether there was
    /// one.
    async fn remove_webhook(&self, id: Uuid, by: &str) -> Result<bool, StoreError>;

    /// Up to `limit` deliveries of a webhook, those of the newest events first; only those that come after the delivery `before` in
    /// this order.
    async fn deliveries(
        &self,
        webhook: Uuid,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// One delivery.
    async fn delivery(&self, webhook: Uuid, id: Uuid) -> Result<Option<Delivery>, StoreError>;

    /// Stores a delivery in the place of the one of the same id. Returns `false` if there is no such webhook; then nothing is stored.
    async fn put_delivery(&self, delivery: &Delivery) -> Result<bool, StoreError>;

    /// How many deliveries wait to be sent, over all webhooks that are enabled.
    async fn waiting_deliveries(&self) -> Result<u64, StoreError>;

    /// Takes the next turn: a webhook that is enabled, that no sender has and that does not rest, and for which something is due at
    /// `now`. First it gets deliveries for events after [`Webhook::after`], up to
    /// [`EVENTS_A_TURN`](webhooks::EVENTS_A_TURN). The turn has up to `limit` deliveries, perhaps none, and ends by itself at
    /// `until`. The webhook that waits for the longest time is first.
    async fn take_turn(
        &self,
        now: Moment,
        until: Moment,
        limit: usize,
    ) -> Result<Option<Turn>, StoreError>;

    /// Stores what came of an attempt: the [delivery](Delivery::after), and the [webhook](Webhook::after). The turn then ends at
    /// `until`. If this disables the webhook, the audit log says so. Returns whether the turn goes on: `false` if another sender has
    /// taken the webhook since, or if it is disabled or removed. In the first case nothing is stored.
    async fn attempted(
        &self,
        turn: &Turn,
        delivery: Uuid,
        attempt: &Attempt,
        until: Moment,
    ) -> Result<bool, StoreError>;

    /// Ends a turn, if it still goes on. The webhook rests until this moment.
    async fn end_turn(&self, turn: &Turn, rests_until: Moment) -> Result<(), StoreError>;

    /// Removes up to `limit` deliveries that were made before this moment, and returns how many.
    async fn remove_deliveries(&self, before: Moment, limit: usize) -> Result<usize, StoreError>;
}

/// A whole store. Every type that implements all of these traits is a `Store`. An `Arc<dyn Store>` coerces to an `Arc`
/// of each trait.
pub trait Store:
    BatchFlusher
    + TallyStore
    + PollStore
    + DeadLetterStore
    + AuditLog
    + EventStore
    + ExportStore
    + TokenStore
    + 'static
{
}

impl<T> Store for T where
    T: BatchFlusher
        + TallyStore
        + PollStore
        + DeadLetterStore
        + AuditLog
        + EventStore
        + ExportStore
        + TokenStore
        + 'static
{
}

/// Says which entries of the log the store has.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait AppliedStore: Send + Sync {
    /// The id of the newest entry of any shard that was ever flushed, or a bound just above this id;
    /// [`EntryId::MIN`] if no entry was flushed.
    async fn newest_applied(&self) -> Result<EntryId, StoreError>;

    /// The marks of all entries that are flushed.
    async fn applied(&self) -> Result<Applied, StoreError>;
}

/// A store in another server than the log, such as Postgres beside Redis. Every type that implements [`Store`] and
/// [`AppliedStore`] is a `SeparateStore`.
pub trait SeparateStore: Store + AppliedStore {}

impl<T: Store + AppliedStore> SeparateStore for T {}
