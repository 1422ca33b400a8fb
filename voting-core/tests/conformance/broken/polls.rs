//! Stores that are broken in what becomes of polls, and of the ballots of those that take a voter's first one.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;
use voting_core::{
    Poll, PollId, PollState, Receipt, ReceiptState, StoreError, VoterId,
    model::{
        moment::Moment,
        poll::{ChangeRefusal, ChangeTo, PollChange, PollExtras, change as change_of},
        poll_state::Seals,
    },
    store::{
        audit::{AuditEntry, AuditNote},
        batch::Batch,
        dead_letter::DeadLetter,
        outcome::{Flushed, Totals},
    },
};

use super::{
    does_not_pass, memory_of,
    store::{BrokenStore, Store},
    with_store,
};

#[derive(Default)]
struct ForgetsWhatIsBesideTheDefinition;

impl BrokenStore for ForgetsWhatIsBesideTheDefinition {
    fn read(&self, poll: Poll) -> Poll {
        poll.with_extras(PollExtras::default())
    }
}

#[derive(Default)]
struct PublishesDrafts;

#[async_trait]
impl BrokenStore for PublishesDrafts {
    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        let mut change = change.clone();
        if let ChangeTo::Put(poll) = &mut change.to {
            **poll = poll.clone().with_extras(PollExtras::default());
        }
        store.polls.change_poll(&change, by).await
    }
}

#[derive(Default)]
struct LooksAtNoRevision;

#[async_trait]
impl BrokenStore for LooksAtNoRevision {
    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        let mut change = change.clone();
        change.if_revision = None;
        store.polls.change_poll(&change, by).await
    }
}

#[derive(Default)]
struct LooksAtTheRevisionBeforeItsTransaction;

#[async_trait]
impl BrokenStore for LooksAtTheRevisionBeforeItsTransaction {
    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        let stored = store.polls.poll(&change.poll).await?;
        let revision = stored.map(|poll| poll.revision());
        if let Some(expected) = change.if_revision
            && revision != Some(expected)
        {
            return Err(StoreError::RevisionChanged {
                poll: change.poll.clone(),
                expected,
                stored: revision,
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        LooksAtNoRevision.change_poll(store, change, by).await
    }
}

#[derive(Default)]
struct LosesTimesThatAreOnTheirWay;

impl BrokenStore for LosesTimesThatAreOnTheirWay {
    fn read(&self, poll: Poll) -> Poll {
        let mut extras = serde_json::to_value(poll.extras()).expect("JSON");
        extras["life"]["pending"] = Value::Null;
        poll.with_extras(serde_json::from_value(extras).expect("extras"))
    }
}

#[derive(Default)]
struct SaysThatItHasArchived;

#[async_trait]
impl BrokenStore for SaysThatItHasArchived {
    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        match store.polls.change_poll(change, by).await {
            Err(StoreError::ChangeRefused(id, ChangeRefusal::NotFinal)) => {
                store.polls.poll(&id).await
            }
            changed => changed,
        }
    }
}

#[derive(Default)]
struct TakesBatchesOfAnyRules;

#[async_trait]
impl BrokenStore for TakesBatchesOfAnyRules {
    async fn flush(&self, store: &Store, batch: &Batch) -> Result<Flushed, StoreError> {
        let mut batch = batch.clone();
        batch.versions.clear();
        for poll in store.polls.polls().await? {
            if batch.polls().any(|id| id == poll.id()) {
                batch.judge_by(&poll);
            }
        }
        store.flusher.flush(&batch).await
    }
}

#[derive(Default)]
struct NotesNotThatAPollIsFinal;

#[async_trait]
impl BrokenStore for NotesNotThatAPollIsFinal {
    async fn audit_log(
        &self,
        store: &Store,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut log = store.audit.audit_log(after, limit).await?;
        log.retain(|entry| entry.note.action != "poll.final");
        Ok(log)
    }
}

#[derive(Default)]
struct NotesWhatItRefuses;

#[async_trait]
impl BrokenStore for NotesWhatItRefuses {
    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        let changed = store.polls.change_poll(change, by).await;
        if changed.is_err() {
            let note = AuditNote {
                by: by.to_owned(),
                action: "poll.changed".to_owned(),
                poll: Some(change.poll.clone()),
                before: None,
                after: None,
            };
            store.audit.add_to_audit_log(&note).await?;
        }
        changed
    }
}

#[derive(Default)]
struct PagesFromTheLastNumberOn;

#[async_trait]
impl BrokenStore for PagesFromTheLastNumberOn {
    async fn audit_log(
        &self,
        store: &Store,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let page = store
            .audit
            .audit_log(after.saturating_sub(1), limit.max(2))
            .await?;
        let is_last = page.last().is_none_or(|entry| entry.number <= after);
        Ok(if is_last { Vec::new() } else { page })
    }
}

#[derive(Default)]
struct ForgetsTheNewestNote;

#[async_trait]
impl BrokenStore for ForgetsTheNewestNote {
    async fn newest_of_audit_log(
        &self,
        store: &Store,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut page = store.audit.newest_of_audit_log(before, limit + 1).await?;
        if before.is_none() {
            page.drain(..1);
        }
        page.truncate(limit);
        Ok(page)
    }
}

#[derive(Default)]
struct DeletesAnyPoll;

#[async_trait]
impl BrokenStore for DeletesAnyPoll {
    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        if change.to == ChangeTo::Deleted {
            let done = PollState::Final(Seals::default());
            store.polls.advance_poll(&change.poll, &done).await?;
        }
        store.polls.change_poll(change, by).await
    }
}

#[derive(Default)]
struct CountsOnlyPollsThatAreThere;

#[async_trait]
impl BrokenStore for CountsOnlyPollsThatAreThere {
    async fn totals(&self, store: &Store) -> Result<Totals, StoreError> {
        let mut totals = store.flusher.totals().await?;
        totals.counted = 0;
        for poll in store.polls.polls().await? {
            let tally = store.tallies.tally(poll.id()).await?;
            totals.counted += tally.map_or(0, |tally| tally.voters);
        }
        Ok(totals)
    }
}

#[derive(Default)]
struct KeepsTheBallotsOfDeadLetters;

#[async_trait]
impl BrokenStore for KeepsTheBallotsOfDeadLetters {
    async fn dead_letters(
        &self,
        store: &Store,
        after: Option<voting_core::model::position::Position>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let mut letters = store.dead_letters.dead_letters(after, limit).await?;
        for letter in &mut letters {
            if letter.payload.is_empty() {
                letter.payload = vec![1];
            }
        }
        Ok(letters)
    }
}

#[derive(Default)]
struct TakesTheIdsOfDeletedPolls;

#[async_trait]
impl BrokenStore for TakesTheIdsOfDeletedPolls {
    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        match (store.polls.change_poll(change, by).await, &change.to) {
            (Err(StoreError::PollDeleted(_)), ChangeTo::Restored(poll)) => {
                Ok(Some((**poll).clone()))
            }
            (changed, _) => changed,
        }
    }
}

#[derive(Default)]
struct TakesDeletedPollsForUnknownOnes;

#[async_trait]
impl BrokenStore for TakesDeletedPollsForUnknownOnes {
    async fn is_deleted(&self, _: &Store, _: &PollId) -> Result<bool, StoreError> {
        Ok(false)
    }
}

#[derive(Default)]
struct ForgetsDeletedPolls;

#[async_trait]
impl BrokenStore for ForgetsDeletedPolls {
    async fn deleted_polls(&self, _: &Store) -> Result<Vec<(PollId, Seals)>, StoreError> {
        Ok(Vec::new())
    }
}

#[derive(Default)]
struct ForgetsTheVotersOfAnyPoll;

#[async_trait]
impl BrokenStore for ForgetsTheVotersOfAnyPoll {
    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        if change.to == ChangeTo::VotersForgotten {
            let done = PollState::Final(Seals::default());
            store.polls.advance_poll(&change.poll, &done).await?;
        }
        store.polls.change_poll(change, by).await
    }
}

/// Says that it has forgotten the voters, and has not.
#[derive(Default)]
struct ForgetsNobody;

#[async_trait]
impl BrokenStore for ForgetsNobody {
    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        if change.to != ChangeTo::VotersForgotten {
            return store.polls.change_poll(change, by).await;
        }
        let poll = store.polls.poll(&change.poll).await?;
        let poll = poll.ok_or_else(|| StoreError::NoPoll(change.poll.clone()))?;
        Ok(change_of(Some(&poll), change, Moment::now())?.poll)
    }
}

/// Writes the rest of a batch that has ballots of a poll without voters.
#[derive(Default)]
struct WritesTheRest;

#[async_trait]
impl BrokenStore for WritesTheRest {
    async fn flush(&self, store: &Store, batch: &Batch) -> Result<Flushed, StoreError> {
        let mut batch = batch.clone();
        for poll in store.polls.polls().await? {
            if poll.voters_are_forgotten() {
                batch
                    .ballots
                    .retain(|placed| placed.ballot.poll != *poll.id());
                batch.versions.remove(poll.id());
            }
        }
        store.flusher.flush(&batch).await
    }
}

/// Believes a copy that says that the voters are forgotten.
#[derive(Default)]
struct BelievesTheCopy;

#[async_trait]
impl BrokenStore for BelievesTheCopy {
    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        let changed = store.polls.change_poll(change, by).await?;
        Ok(match &change.to {
            ChangeTo::Restored(poll) => {
                changed.map(|stored| stored.with_extras(poll.extras().clone()))
            }
            _ => changed,
        })
    }
}

#[derive(Default)]
struct TakesWhatIsForgottenForPending;

#[async_trait]
impl BrokenStore for TakesWhatIsForgottenForPending {
    async fn receipt_state(
        &self,
        store: &Store,
        receipt: &Receipt,
    ) -> Result<ReceiptState, StoreError> {
        let state = store.tallies.receipt_state(receipt).await?;
        Ok(match state {
            ReceiptState::VotersForgotten => ReceiptState::Pending,
            state => state,
        })
    }
}

#[derive(Default)]
struct TakesWhatIsDeletedForPending;

#[async_trait]
impl BrokenStore for TakesWhatIsDeletedForPending {
    async fn receipt_state(
        &self,
        store: &Store,
        receipt: &Receipt,
    ) -> Result<ReceiptState, StoreError> {
        let state = store.tallies.receipt_state(receipt).await?;
        Ok(match state {
            ReceiptState::PollDeleted => ReceiptState::Pending,
            state => state,
        })
    }
}

#[derive(Default)]
struct BelievesTheBatch;

impl BrokenStore for BelievesTheBatch {
    fn batch(&self, batch: &mut Batch) {
        batch.deleted.clear();
    }
}

#[derive(Default)]
struct KeepsTheNewestInABatch;

impl BrokenStore for KeepsTheNewestInABatch {
    fn batch(&self, batch: &mut Batch) {
        let first_counts = std::mem::take(&mut batch.first_counts);
        let replaced = std::mem::take(&mut batch.replaced);
        batch.ballots.extend(replaced);
        batch.keep_one_of_each_voter();
        batch.first_counts = first_counts;
    }
}

#[derive(Default)]
struct KeepsTheNewestOfBatches;

impl BrokenStore for KeepsTheNewestOfBatches {
    fn batch(&self, batch: &mut Batch) {
        batch.first_counts.clear();
    }
}

#[derive(Default)]
struct KeepsTheNewest;

impl BrokenStore for KeepsTheNewest {
    fn batch(&self, batch: &mut Batch) {
        KeepsTheNewestInABatch.batch(batch);
        KeepsTheNewestOfBatches.batch(batch);
    }
}

/// Where the oldest counts, it keeps what comes first.
#[derive(Default)]
struct KeepsWhatComesFirst(Mutex<HashSet<(PollId, VoterId)>>);

impl BrokenStore for KeepsWhatComesFirst {
    fn batch(&self, batch: &mut Batch) {
        let mut there = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first_counts = &batch.first_counts;
        batch.ballots.retain(|placed| {
            let ballot = &placed.ballot;
            !first_counts.contains(&ballot.poll)
                || there.insert((ballot.poll.clone(), ballot.voter))
        });
    }
}

#[derive(Default)]
struct KeepsTheOldestInEveryPoll;

impl BrokenStore for KeepsTheOldestInEveryPoll {
    fn batch(&self, batch: &mut Batch) {
        let polls = batch
            .ballots
            .iter()
            .map(|placed| placed.ballot.poll.clone());
        batch.first_counts = polls.collect();
    }
}

#[derive(Default)]
struct ForgetsTheOtherBallots;

impl BrokenStore for ForgetsTheOtherBallots {
    fn batch(&self, batch: &mut Batch) {
        batch.replaced.clear();
    }
}

/// Takes every older ballot for superseded.
#[derive(Default)]
struct JudgesReceiptsByTheNewest;

#[async_trait]
impl BrokenStore for JudgesReceiptsByTheNewest {
    async fn receipt_state(
        &self,
        store: &Store,
        receipt: &Receipt,
    ) -> Result<ReceiptState, StoreError> {
        let state = store.tallies.receipt_state(receipt).await?;
        Ok(match state {
            ReceiptState::Pending => ReceiptState::Superseded,
            ReceiptState::Superseded => ReceiptState::Pending,
            state => state,
        })
    }
}

does_not_pass! {
    one_that_forgets_settings:
        with_store::<ForgetsWhatIsBesideTheDefinition>(memory_of(1))
        => of life::the_settings_of_a_poll_are_kept_whole;
    one_that_publishes_drafts:
        with_store::<PublishesDrafts>(memory_of(1))
        => of life::a_draft_changes_freely_and_is_published_once;
    one_that_looks_at_no_revision:
        with_store::<LooksAtNoRevision>(memory_of(1))
        => of life::a_change_that_was_made_of_an_older_revision_is_refused;
    one_that_looks_at_the_revision_before_its_transaction:
        with_store::<LooksAtTheRevisionBeforeItsTransaction>(memory_of(1))
        => of life::of_racing_changes_of_one_revision_one_is_made;
    one_that_loses_times_that_are_on_their_way:
        with_store::<LosesTimesThatAreOnTheirWay>(memory_of(1))
        => of life::new_times_are_pending_until_they_are_settled;
    one_that_says_that_it_has_archived:
        with_store::<SaysThatItHasArchived>(memory_of(1))
        => of life::only_a_final_poll_is_archived;
    one_that_takes_batches_of_any_rules:
        with_store::<TakesBatchesOfAnyRules>(memory_of(1))
        => of life::a_batch_that_was_judged_by_other_rules_is_refused_whole;
    one_that_notes_not_that_a_poll_is_final:
        with_store::<NotesNotThatAPollIsFinal>(memory_of(1))
        => of audit::every_change_of_a_poll_is_in_the_audit_log;
    one_that_notes_what_it_refuses:
        with_store::<NotesWhatItRefuses>(memory_of(1))
        => of audit::what_changes_nothing_leaves_no_note;
    one_that_pages_from_the_last_number_on:
        with_store::<PagesFromTheLastNumberOn>(memory_of(1))
        => of audit::the_audit_log_is_read_in_order_and_in_pages;
    one_that_forgets_the_newest_note:
        with_store::<ForgetsTheNewestNote>(memory_of(1))
        => of audit::the_audit_log_is_read_in_order_and_in_pages;
    one_that_deletes_any_poll:
        with_store::<DeletesAnyPoll>(memory_of(1))
        => of delete::only_a_draft_or_a_final_poll_is_deleted;
    one_that_counts_only_polls_that_are_there:
        with_store::<CountsOnlyPollsThatAreThere>(memory_of(1))
        => of delete::of_a_deleted_poll_only_its_seals_and_numbers_stay;
    one_that_keeps_the_ballots_of_dead_letters:
        with_store::<KeepsTheBallotsOfDeadLetters>(memory_of(1))
        => of delete::of_a_deleted_poll_only_its_seals_and_numbers_stay;
    one_that_takes_the_ids_of_deleted_polls:
        with_store::<TakesTheIdsOfDeletedPolls>(memory_of(1))
        => of delete::the_id_of_a_deleted_poll_is_never_used_again;
    one_that_takes_deleted_polls_for_unknown_ones:
        with_store::<TakesDeletedPollsForUnknownOnes>(memory_of(1))
        => of delete::ballots_of_a_deleted_poll_that_come_again_change_nothing;
    one_that_believes_the_batch:
        with_store::<BelievesTheBatch>(memory_of(1))
        => of delete::a_batch_and_the_store_agree_on_what_is_deleted;
    one_that_forgets_the_voters_of_any_poll:
        with_store::<ForgetsTheVotersOfAnyPoll>(memory_of(1))
        => of forget::only_the_voters_of_a_final_poll_are_forgotten;
    one_that_forgets_nobody:
        with_store::<ForgetsNobody>(memory_of(1))
        => of forget::without_voters_a_poll_has_the_same_result;
    one_that_keeps_the_voters_of_dead_letters:
        with_store::<KeepsTheBallotsOfDeadLetters>(memory_of(1))
        => of forget::without_voters_a_poll_has_the_same_result;
    one_that_sets_ballots_aside_in_a_poll_without_voters:
        with_store::<ForgetsNobody>(memory_of(1))
        => of forget::ballots_that_come_again_to_a_poll_without_voters_change_nothing;
    one_that_writes_the_rest_of_a_batch:
        with_store::<WritesTheRest>(memory_of(1))
        => of forget::a_batch_and_the_store_agree_on_whose_voters_are_forgotten;
    one_that_believes_the_copy:
        with_store::<BelievesTheCopy>(memory_of(1))
        => of forget::voters_that_a_restored_store_has_again_count_and_are_to_be_forgotten_again;
    one_that_takes_what_is_forgotten_for_pending:
        with_store::<TakesWhatIsForgottenForPending>(memory_of(1))
        => of forget::what_becomes_of_a_ballot_is_reported_as_long_as_it_is_known;
    one_that_takes_what_is_deleted_for_pending:
        with_store::<TakesWhatIsDeletedForPending>(memory_of(1))
        => of forget::what_becomes_of_a_ballot_is_reported_as_long_as_it_is_known;
    one_that_forgets_deleted_polls:
        with_store::<ForgetsDeletedPolls>(memory_of(1))
        => of delete::a_deleted_poll_is_sealed_again_in_a_log_that_was_made_anew;
    one_that_keeps_the_newest_in_a_batch:
        with_store::<KeepsTheNewestInABatch>(memory_of(1))
        => of first::of_a_voters_ballots_in_a_batch_the_oldest_counts;
    one_that_keeps_the_newest_of_batches:
        with_store::<KeepsTheNewestOfBatches>(memory_of(1))
        => of first::batches_in_any_order_end_with_the_oldest_ballots;
    one_that_keeps_the_newest_of_racing_batches:
        with_store::<KeepsTheNewestOfBatches>(memory_of(1))
        => of first::racing_flushes_end_with_the_oldest_ballots;
    one_that_keeps_the_newest_of_replayed_batches:
        with_store::<KeepsTheNewestOfBatches>(memory_of(1))
        => of first::a_replayed_batch_leaves_the_oldest_ballot;
    one_that_keeps_the_newest_of_a_dead_letter:
        with_store::<KeepsTheNewestOfBatches>(memory_of(1))
        => of first::a_dead_letter_that_is_mended_counts_if_it_is_the_oldest;
    one_that_keeps_the_newest_of_workers:
        with_store::<KeepsTheNewest>(memory_of(1))
        => of first::every_voter_counts_once_with_the_first_choice;
    one_that_keeps_what_comes_first:
        with_store::<KeepsWhatComesFirst>(memory_of(1))
        => of first::an_older_ballot_that_comes_late_replaces_the_newer_one;
    one_that_judges_receipts_by_the_newest:
        with_store::<JudgesReceiptsByTheNewest>(memory_of(1))
        => of first::an_older_ballot_that_comes_late_replaces_the_newer_one;
    one_that_keeps_the_oldest_in_every_poll:
        with_store::<KeepsTheOldestInEveryPoll>(memory_of(1))
        => of first::a_batch_may_have_polls_of_both_kinds;
    one_that_forgets_the_other_ballots:
        with_store::<ForgetsTheOtherBallots>(memory_of(1))
        => of first::if_the_oldest_ballot_is_a_dead_letter_the_next_one_counts;
}
