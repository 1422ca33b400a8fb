//! Broken stores.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use voting_core::{
    Choices, Poll, PollId, PollState, Receipt, ReceiptState, StoreError, Tally, VoterId,
    model::{
        moment::Moment,
        poll::{ChangeTo, PollChange},
        position::{Position, ShardId},
    },
    store::{
        batch::Batch,
        dead_letter::DeadLetter,
        export::{BallotExport, CHUNK},
        outcome::Flushed,
    },
};

use super::{
    does_not_pass, memory_of,
    store::{BrokenStore, Store},
    with_store,
};

#[derive(Default)]
struct StoresOnlyTheFirstPoll;

impl BrokenStore for StoresOnlyTheFirstPoll {
    fn batch(&self, batch: &mut Batch) {
        if let Some(first) = batch
            .ballots
            .first()
            .map(|placed| placed.ballot.poll.clone())
        {
            batch.ballots.retain(|placed| placed.ballot.poll == first);
        }
    }
}

#[derive(Default)]
struct StoresOnlyAThousandBallots;

impl BrokenStore for StoresOnlyAThousandBallots {
    fn batch(&self, batch: &mut Batch) {
        batch.ballots.truncate(1_000);
    }
}

#[derive(Default)]
struct MarksOnlyAThousandEntries;

impl BrokenStore for MarksOnlyAThousandEntries {
    fn batch(&self, batch: &mut Batch) {
        batch.entries.truncate(1_000);
    }
}

#[derive(Default)]
struct StoresOnlyAThousandDeadLetters;

impl BrokenStore for StoresOnlyAThousandDeadLetters {
    fn batch(&self, batch: &mut Batch) {
        batch.dead_letters.truncate(1_000);
    }
}

/// Voters as some column would have them.
fn with_voters(batch: &mut Batch, cut: impl Fn(u128) -> u128) {
    for placed in batch.ballots.iter_mut().chain(&mut batch.replaced) {
        placed.ballot.voter = cut_voter(placed.ballot.voter, &cut);
    }
    batch.keep_one_of_each_voter();
}

fn cut_voter(voter: VoterId, cut: impl Fn(u128) -> u128) -> VoterId {
    VoterId::from_bytes(cut(u128::from_be_bytes(voter.to_bytes())).to_be_bytes())
}

macro_rules! cuts_voters {
    ($name:ident, $cut:expr) => {
        #[derive(Default)]
        struct $name;

        impl BrokenStore for $name {
            fn batch(&self, batch: &mut Batch) {
                with_voters(batch, $cut);
            }

            fn receipt(&self, receipt: &mut Receipt) {
                receipt.voter = cut_voter(receipt.voter, $cut);
            }
        }
    };
}

cuts_voters!(KeepsTheLast32BitsOfVoters, |voter| voter & 0xffff_ffff);
cuts_voters!(KeepsTheFirst32BitsOfVoters, |voter| voter >> 96 << 96);
cuts_voters!(KeepsTheLast64BitsOfVoters, |voter| voter
    & u128::from(u64::MAX));

macro_rules! cuts_positions {
    ($name:ident, $cut:expr) => {
        #[derive(Default)]
        struct $name;

        impl BrokenStore for $name {
            fn batch(&self, batch: &mut Batch) {
                for placed in batch.ballots.iter_mut().chain(&mut batch.replaced) {
                    placed.position = cut_position(placed.position, $cut);
                }
            }

            fn receipt(&self, receipt: &mut Receipt) {
                receipt.position = cut_position(receipt.position, $cut);
            }
        }
    };
}

fn cut_position(position: Position, cut: impl Fn(u16, u64, u64) -> (u16, u64, u64)) -> Position {
    let (shard, ms, n) = cut(position.shard().0, position.ms(), position.n());
    Position::from_parts(ShardId(shard), ms, n).expect("a position")
}

cuts_positions!(Keeps32BitsOfN, |shard, ms, n| (shard, ms, n & 0xffff_ffff));
cuts_positions!(Keeps48BitsOfN, |shard, ms, n| (
    shard,
    ms,
    n & 0xffff_ffff_ffff
));
cuts_positions!(Keeps32BitsOfTime, |shard, ms, n| (
    shard,
    ms & 0xffff_ffff,
    n
));
cuts_positions!(Keeps8BitsOfShards, |shard, ms, n| (shard & 0xff, ms, n));

#[derive(Default)]
struct MarksEntriesBy32BitsOfTime;

impl BrokenStore for MarksEntriesBy32BitsOfTime {
    fn batch(&self, batch: &mut Batch) {
        for ((_, id), _) in &mut batch.entries {
            let cut = voting_core::model::position::EntryId::new(id.ms() & 0xffff_ffff, id.seq());
            *id = cut.expect("an entry id");
        }
    }
}

#[derive(Default)]
struct Keeps32BitsOfChoices;

impl BrokenStore for Keeps32BitsOfChoices {
    fn batch(&self, batch: &mut Batch) {
        for placed in &mut batch.ballots {
            let bits = placed.ballot.choices.bits() & 0xffff_ffff;
            placed.ballot.choices = Choices::from_bits(bits.max(1)).expect("choices");
        }
    }
}

#[derive(Default)]
struct AddsTheVotesOfOtherPolls;

#[async_trait]
impl BrokenStore for AddsTheVotesOfOtherPolls {
    async fn tally(&self, store: &Store, poll: &PollId) -> Result<Option<Tally>, StoreError> {
        let Some(mut tally) = store.tallies.tally(poll).await? else {
            return Ok(None);
        };
        for other in store.polls.polls().await? {
            if other.id() != poll
                && let Some(other) = store.tallies.tally(other.id()).await?
            {
                for (votes, more) in tally.votes.iter_mut().zip(&other.votes) {
                    *votes += more;
                }
            }
        }
        Ok(Some(tally))
    }
}

#[derive(Default)]
struct FindsReceiptsInAnyPoll;

#[async_trait]
impl BrokenStore for FindsReceiptsInAnyPoll {
    async fn receipt_state(
        &self,
        store: &Store,
        receipt: &Receipt,
    ) -> Result<ReceiptState, StoreError> {
        for poll in store.polls.polls().await? {
            let mut there = receipt.clone();
            there.poll = poll.id().clone();
            let state = store.tallies.receipt_state(&there).await?;
            if state == ReceiptState::Counted {
                return Ok(state);
            }
        }
        store.tallies.receipt_state(receipt).await
    }
}

#[derive(Default)]
struct TakesAnyDeadLetterForTheWholeEntry;

#[async_trait]
impl BrokenStore for TakesAnyDeadLetterForTheWholeEntry {
    async fn receipt_state(
        &self,
        store: &Store,
        receipt: &Receipt,
    ) -> Result<ReceiptState, StoreError> {
        let letter = store
            .dead_letters
            .dead_letter(receipt.whole_entry())
            .await?;
        match letter {
            Some(letter) => Ok(ReceiptState::Rejected(letter.reason)),
            None => store.tallies.receipt_state(receipt).await,
        }
    }
}

#[derive(Default)]
struct CutsPayloads;

impl BrokenStore for CutsPayloads {
    fn batch(&self, batch: &mut Batch) {
        for letter in &mut batch.dead_letters {
            letter.payload.truncate(0xffff);
        }
    }
}

#[derive(Default)]
struct PagesDeadLettersWithoutTheirShard;

#[async_trait]
impl BrokenStore for PagesDeadLettersWithoutTheirShard {
    async fn dead_letters(
        &self,
        store: &Store,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let after = after.map(|at| cut_position(at, |_, ms, n| (u16::MAX, ms, n)));
        store.dead_letters.dead_letters(after, limit).await
    }
}

#[derive(Default)]
struct TakesBackOnlyTheFirst;

impl BrokenStore for TakesBackOnlyTheFirst {
    fn batch(&self, batch: &mut Batch) {
        batch.revived.truncate(1);
    }
}

#[derive(Default)]
struct RefusesEmptyBatches;

#[async_trait]
impl BrokenStore for RefusesEmptyBatches {
    async fn flush(&self, store: &Store, batch: &Batch) -> Result<Flushed, StoreError> {
        if batch.entries.is_empty() {
            return Err(StoreError::unavailable("an empty statement"));
        }
        store.flusher.flush(batch).await
    }
}

/// Texts that it has taken though the poll was closed.
#[derive(Default)]
struct Renamed(Mutex<HashMap<PollId, Poll>>);

impl Renamed {
    async fn put_poll(&self, store: &Store, poll: &Poll) -> Result<(), StoreError> {
        match store.polls.put_poll(poll).await {
            Err(StoreError::TextsFrozen(id)) => {
                let mut renamed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                renamed.insert(id, poll.clone());
                Ok(())
            }
            stored => stored,
        }
    }

    fn read(&self, poll: Poll) -> Poll {
        let renamed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match renamed.get(poll.id()) {
            Some(renamed) => renamed.clone().in_state(poll.state().clone()),
            None => poll,
        }
    }
}

#[derive(Default)]
struct TakesOtherTextsForAPollThatIsFinal(Renamed);

#[async_trait]
impl BrokenStore for TakesOtherTextsForAPollThatIsFinal {
    fn read(&self, poll: Poll) -> Poll {
        self.0.read(poll)
    }

    async fn put_poll(&self, store: &Store, poll: &Poll) -> Result<(), StoreError> {
        self.0.put_poll(store, poll).await
    }
}

#[derive(Default)]
struct LooksAtTheStateBeforeItsTransaction(Renamed);

#[async_trait]
impl BrokenStore for LooksAtTheStateBeforeItsTransaction {
    fn read(&self, poll: Poll) -> Poll {
        self.0.read(poll)
    }

    async fn put_poll(&self, store: &Store, poll: &Poll) -> Result<(), StoreError> {
        if let Some(stored) = store.polls.poll(poll.id()).await? {
            let change =
                PollChange::new(poll.id().clone(), ChangeTo::Defined(Box::new(poll.clone())));
            voting_core::model::poll::change(Some(&stored), &change, Moment::now())?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.0.put_poll(store, poll).await
    }
}

#[derive(Default)]
struct KeepsTheSealsOf256Shards;

#[async_trait]
impl BrokenStore for KeepsTheSealsOf256Shards {
    async fn advance_poll(
        &self,
        store: &Store,
        poll: &PollId,
        to: &PollState,
    ) -> Result<Option<PollState>, StoreError> {
        let kept = |seals: &voting_core::model::poll_state::Seals| {
            seals.iter().filter(|(shard, _)| shard.0 < 256).collect()
        };
        let to = match to {
            PollState::Open => PollState::Open,
            PollState::Closing(seals) => PollState::Closing(kept(seals)),
            PollState::Final(seals) => PollState::Final(kept(seals)),
        };
        store.polls.advance_poll(poll, &to).await
    }
}

#[derive(Default)]
struct CutsTitles;

impl BrokenStore for CutsTitles {
    fn read(&self, poll: Poll) -> Poll {
        let title: String = poll.title().chars().take(85).collect();
        let (id, options) = (poll.id().clone(), poll.options().to_vec());
        let cut = Poll::new(id, title, options, poll.max_choices()).expect("a poll");
        cut.in_state(poll.state().clone())
    }
}

/// All ballots of an export.
async fn exported(mut export: BallotExport) -> Result<Vec<Choices>, StoreError> {
    let mut ballots = Vec::new();
    while let Some(chunk) = export.next().await {
        ballots.extend(chunk?);
    }
    Ok(ballots)
}

#[derive(Default)]
struct ExportsInOrder;

#[async_trait]
impl BrokenStore for ExportsInOrder {
    async fn export_ballots(
        &self,
        store: &Store,
        poll: &PollId,
    ) -> Result<BallotExport, StoreError> {
        let export = store.exports.export_ballots(poll).await?;
        let head = export.head().clone();
        let mut ballots = exported(export).await?;
        ballots.sort_unstable();
        let (sender, export) = BallotExport::new(head, CancellationToken::new());
        tokio::task::spawn_blocking(move || {
            let chunks = ballots.chunks(CHUNK);
            chunks
                .map(<[_]>::to_vec)
                .try_for_each(|chunk| sender.send(chunk, || Ok(())))
        });
        Ok(export)
    }
}

#[derive(Default)]
struct ExportsPollsThatAreNotFinal;

#[async_trait]
impl BrokenStore for ExportsPollsThatAreNotFinal {
    async fn export_ballots(
        &self,
        store: &Store,
        poll: &PollId,
    ) -> Result<BallotExport, StoreError> {
        match store.exports.export_ballots(poll).await {
            Err(StoreError::NotFinal(_)) => {
                let found = store.polls.poll(poll).await?;
                let found = found.ok_or_else(|| StoreError::NoPoll(poll.clone()))?;
                Ok(BallotExport::of(found, Vec::new()))
            }
            other => other,
        }
    }
}

does_not_pass! {
    one_that_exports_ballots_in_order:
        with_store::<ExportsInOrder>(memory_of(1))
        => of export::an_export_has_the_counted_ballot_of_each_voter_in_another_order_each_time;
    one_that_exports_polls_that_are_not_final:
        with_store::<ExportsPollsThatAreNotFinal>(memory_of(1))
        => of export::ballots_are_exported_once_a_poll_is_final;
    one_that_stores_only_the_first_polls_ballots:
        with_store::<StoresOnlyTheFirstPoll>(memory_of(1))
        => of store_range::a_batch_of_many_polls_counts_in_each;
    one_that_adds_the_votes_of_other_polls:
        with_store::<AddsTheVotesOfOtherPolls>(memory_of(1))
        => of store_range::a_batch_of_many_polls_counts_in_each;
    one_that_stores_only_a_thousand_ballots:
        with_store::<StoresOnlyAThousandBallots>(memory_of(1))
        => of store_range::a_batch_of_thousands_is_written_whole;
    one_that_marks_only_a_thousand_entries:
        with_store::<MarksOnlyAThousandEntries>(memory_of(1))
        => of store_range::a_batch_of_thousands_is_written_whole;
    one_that_stores_only_a_thousand_dead_letters:
        with_store::<StoresOnlyAThousandDeadLetters>(memory_of(1))
        => of store_range::a_batch_of_thousands_is_written_whole;
    one_that_keeps_the_last_32_bits_of_voters:
        with_store::<KeepsTheLast32BitsOfVoters>(memory_of(1))
        => of store_range::voters_that_differ_in_one_bit_are_two;
    one_that_keeps_the_first_32_bits_of_voters:
        with_store::<KeepsTheFirst32BitsOfVoters>(memory_of(1))
        => of store_range::voters_that_differ_in_one_bit_are_two;
    one_that_keeps_64_bits_of_voters:
        with_store::<KeepsTheLast64BitsOfVoters>(memory_of(1))
        => of store_range::voters_that_differ_in_one_bit_are_two;
    one_that_keeps_32_bits_of_a_positions_number:
        with_store::<Keeps32BitsOfN>(memory_of(1))
        => of store_range::positions_are_kept_to_their_last_bit;
    one_that_keeps_48_bits_of_a_positions_number:
        with_store::<Keeps48BitsOfN>(memory_of(1))
        => of store_range::positions_are_kept_to_their_last_bit;
    one_that_keeps_32_bits_of_a_positions_time:
        with_store::<Keeps32BitsOfTime>(memory_of(1))
        => of store_range::positions_are_kept_to_their_last_bit;
    one_that_keeps_8_bits_of_a_positions_shard:
        with_store::<Keeps8BitsOfShards>(memory_of(1))
        => of store_range::positions_are_kept_to_their_last_bit;
    one_that_marks_entries_by_32_bits_of_their_time:
        with_store::<MarksEntriesBy32BitsOfTime>(memory_of(1))
        => of store_range::positions_are_kept_to_their_last_bit;
    one_that_keeps_32_bits_of_choices:
        with_store::<Keeps32BitsOfChoices>(memory_of(1))
        => of flush::several_choices_count_for_each_option;
    one_that_finds_receipts_in_any_poll:
        with_store::<FindsReceiptsInAnyPoll>(memory_of(1))
        => of store_range::a_receipt_is_of_one_poll_and_one_ballot;
    one_that_takes_any_dead_letter_for_the_whole_entry:
        with_store::<TakesAnyDeadLetterForTheWholeEntry>(memory_of(1))
        => of store_range::a_receipt_is_of_one_poll_and_one_ballot;
    one_that_cuts_payloads:
        with_store::<CutsPayloads>(memory_of(1))
        => of store_range::dead_letters_are_distinguished_by_their_whole_position;
    one_that_pages_dead_letters_without_their_shard:
        with_store::<PagesDeadLettersWithoutTheirShard>(memory_of(1))
        => of store_range::dead_letters_are_distinguished_by_their_whole_position;
    one_that_takes_back_only_the_first_dead_letter:
        with_store::<TakesBackOnlyTheFirst>(memory_of(1))
        => of store_range::several_dead_letters_are_taken_back_at_once;
    one_that_refuses_empty_batches:
        with_store::<RefusesEmptyBatches>(memory_of(1))
        => of store_range::an_empty_batch_changes_nothing;
    one_that_takes_other_texts_for_a_poll_that_is_final:
        with_store::<TakesOtherTextsForAPollThatIsFinal>(memory_of(1))
        => of polls::the_texts_of_a_poll_that_is_not_open_stay;
    one_that_looks_at_the_state_before_its_transaction:
        with_store::<LooksAtTheStateBeforeItsTransaction>(memory_of(1))
        => of polls::no_text_changes_once_a_poll_has_closed;
    one_that_keeps_the_seals_of_256_shards:
        with_store::<KeepsTheSealsOf256Shards>(memory_of(1))
        => of polls::the_seals_of_a_poll_are_its_own_and_kept_whole;
    one_that_cuts_titles:
        with_store::<CutsTitles>(memory_of(1))
        => of polls::titles_and_labels_are_kept_whatever_they_are;
}
