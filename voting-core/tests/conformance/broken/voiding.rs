//! Stores that are broken in which ballots are voided.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use voting_core::{
    Poll, PollId, Receipt, ReceiptState, StoreError, Tally,
    model::{
        moment::Moment,
        new_voters::NewVoters,
        poll::{ChangeRefusal, ChangeTo, NewVoided, NewVoiding, PollChange},
    },
    store::{batch::Batch, outcome::Flushed},
};

use super::{
    does_not_pass, memory_of,
    store::{BrokenStore, Store},
    with_store,
};

/// Makes another change than it is told to.
macro_rules! changes {
    ($name:ident, $change:expr) => {
        #[derive(Default)]
        struct $name;

        #[async_trait]
        impl BrokenStore for $name {
            async fn change_poll(
                &self,
                store: &Store,
                change: &PollChange,
                by: &str,
            ) -> Result<Option<Poll>, StoreError> {
                let mut change = change.clone();
                if let ChangeTo::Voided(new) = &mut change.to {
                    let edit: fn(&mut NewVoiding) = $change;
                    edit(new);
                }
                store.polls.change_poll(&change, by).await
            }
        }
    };
}

fn moved(moment: Moment, by: i64) -> Moment {
    let ms = moment.unix_ms().saturating_add_signed(by);
    Moment::from_unix_ms(ms).expect("a moment")
}

changes!(VoidsTheFirstMomentAfterASpan, |new| {
    if let NewVoided::Span { until, .. } = &mut new.ballots {
        *until = moved(*until, 1);
    }
});
changes!(VoidsNotTheFirstMomentOfASpan, |new| {
    if let NewVoided::Span { from, until } = &mut new.ballots
        && moved(*from, 1) < *until
    {
        *from = moved(*from, 1);
    }
});
changes!(VoidsOnlyOneCode, |new| {
    if let NewVoided::Codes(codes) = &mut new.ballots {
        codes.truncate(1);
    }
});

/// Undoing and restoring go through other code than voiding.
#[derive(Default)]
struct UndoesNothing;

#[async_trait]
impl BrokenStore for UndoesNothing {
    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        match change.to {
            ChangeTo::VoidingUndone(_) => store.polls.poll(&change.poll).await,
            _ => store.polls.change_poll(change, by).await,
        }
    }
}

/// All rules go with the one that is undone.
#[derive(Default)]
struct UndoesAll;

#[async_trait]
impl BrokenStore for UndoesAll {
    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        let changed = store.polls.change_poll(change, by).await?;
        let ChangeTo::VoidingUndone(_) = change.to else {
            return Ok(changed);
        };
        let rules = changed.iter().flat_map(|poll| poll.voidings().iter());
        for number in rules.map(|rule| rule.number()) {
            let undo = PollChange::new(change.poll.clone(), ChangeTo::VoidingUndone(number));
            store.polls.change_poll(&undo, by).await?;
        }
        store.polls.poll(&change.poll).await
    }
}

#[derive(Default)]
struct RestoresNoRules;

#[async_trait]
impl BrokenStore for RestoresNoRules {
    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        let mut change = change.clone();
        if let ChangeTo::Restored(poll) = &mut change.to {
            let mut extras = serde_json::to_value(poll.extras()).expect("JSON");
            if let Some(life) = extras["life"].as_object_mut() {
                life.remove("voidings");
            }
            let extras = serde_json::from_value(extras).expect("extras");
            **poll = poll.clone().with_extras(extras);
        }
        store.polls.change_poll(&change, by).await
    }
}

#[derive(Default)]
struct SaysThatItHasVoided;

#[async_trait]
impl BrokenStore for SaysThatItHasVoided {
    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        match store.polls.change_poll(change, by).await {
            Err(StoreError::ChangeRefused(id, ChangeRefusal::CountFixed)) => {
                store.polls.poll(&id).await
            }
            changed => changed,
        }
    }
}

/// Ballots that a rule voids are left out, and have no place.
#[derive(Default)]
struct LeavesVoidedBallotsOut(Mutex<Vec<(PollId, u64, u64)>>);

impl LeavesVoidedBallotsOut {
    fn note(&self, change: &PollChange) {
        if let ChangeTo::Voided(new) = &change.to
            && let NewVoided::Span { from, until } = &new.ballots
        {
            let span = (change.poll.clone(), from.unix_ms(), until.unix_ms());
            let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            spans.push(span);
        }
    }

    fn voids(&self, poll: &PollId, ms: u64) -> bool {
        let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spans = spans.iter();
        spans.any(|(of, from, until)| of == poll && (*from..*until).contains(&ms))
    }
}

#[async_trait]
impl BrokenStore for LeavesVoidedBallotsOut {
    fn batch(&self, batch: &mut Batch) {
        let voids = |poll: &PollId, ms| self.voids(poll, ms);
        let ballots = &mut batch.ballots;
        ballots.retain(|placed| !voids(&placed.ballot.poll, placed.position.ms()));
    }

    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        self.note(change);
        store.polls.change_poll(change, by).await
    }
}

/// Only ballots that are stored when a rule is made are voided. The rule is hidden while a batch is written, and its
/// ballots are told as if they counted.
#[derive(Default)]
struct CountsWhatComesLate {
    voids: LeavesVoidedBallotsOut,
    late: Mutex<Vec<(PollId, Vec<usize>)>>,
}

#[async_trait]
impl BrokenStore for CountsWhatComesLate {
    async fn flush(&self, store: &Store, batch: &Batch) -> Result<Flushed, StoreError> {
        let flushed = store.flusher.flush(batch).await?;
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        if flushed.report.counted > 0 {
            for placed in &batch.ballots {
                let ballot = &placed.ballot;
                if self.voids.voids(&ballot.poll, placed.position.ms()) {
                    late.push((ballot.poll.clone(), ballot.choices.indices().collect()));
                }
            }
        }
        Ok(flushed)
    }

    async fn tally(&self, store: &Store, poll: &PollId) -> Result<Option<Tally>, StoreError> {
        let mut tally = store.tallies.tally(poll).await?;
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tally) = &mut tally {
            for (_, options) in late.iter().filter(|(of, _)| of == poll) {
                tally.voters += 1;
                tally.voided -= 1;
                options.iter().for_each(|option| tally.votes[*option] += 1);
            }
        }
        Ok(tally)
    }

    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        self.voids.note(change);
        store.polls.change_poll(change, by).await
    }
}

#[derive(Default)]
struct CountsVoidedVoters;

#[async_trait]
impl BrokenStore for CountsVoidedVoters {
    async fn tally(&self, store: &Store, poll: &PollId) -> Result<Option<Tally>, StoreError> {
        let tally = store.tallies.tally(poll).await?;
        Ok(tally.map(|tally| Tally {
            voters: tally.voters + tally.voided,
            ..tally
        }))
    }
}

#[derive(Default)]
struct TellsThatVoidedBallotsCount;

#[async_trait]
impl BrokenStore for TellsThatVoidedBallotsCount {
    async fn receipt_state(
        &self,
        store: &Store,
        receipt: &Receipt,
    ) -> Result<ReceiptState, StoreError> {
        let state = store.tallies.receipt_state(receipt).await?;
        Ok(match state {
            ReceiptState::Voided => ReceiptState::Counted,
            state => state,
        })
    }
}

/// Also those before the minute in question.
#[derive(Default)]
struct ListsTheMinuteBefore;

#[async_trait]
impl BrokenStore for ListsTheMinuteBefore {
    async fn new_voters(
        &self,
        store: &Store,
        poll: &PollId,
        before: Option<Moment>,
        limit: usize,
    ) -> Result<Option<Vec<NewVoters>>, StoreError> {
        let before = before.map(|before| moved(before, 1));
        store.tallies.new_voters(poll, before, limit).await
    }
}

/// Each ballot of a voter is taken for one of a new voter.
#[derive(Default)]
struct CountsAllBallotsOfAMinute(Mutex<u64>);

#[async_trait]
impl BrokenStore for CountsAllBallotsOfAMinute {
    async fn flush(&self, store: &Store, batch: &Batch) -> Result<Flushed, StoreError> {
        let flushed = store.flusher.flush(batch).await?;
        let mut more = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *more += batch.ballots.len() as u64 - flushed.report.counted;
        Ok(flushed)
    }

    async fn new_voters(
        &self,
        store: &Store,
        poll: &PollId,
        before: Option<Moment>,
        limit: usize,
    ) -> Result<Option<Vec<NewVoters>>, StoreError> {
        let mut all = store.tallies.new_voters(poll, before, limit).await?;
        let more = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = all.as_mut().and_then(|all| all.first_mut()) {
            newest.voters += more;
        }
        Ok(all)
    }
}

/// Takes all ballots for those of voters.
#[derive(Default)]
struct ForgetsTheSource;

#[async_trait]
impl BrokenStore for ForgetsTheSource {
    async fn flush(&self, store: &Store, batch: &Batch) -> Result<Flushed, StoreError> {
        let mut batch = batch.clone();
        batch.handed_in.clear();
        store.flusher.flush(&batch).await
    }
}

does_not_pass! {
    one_that_forgets_the_source:
        with_store::<ForgetsTheSource>(memory_of(1))
        => of voiding::the_source_of_each_voters_ballot_is_kept;
    one_that_voids_nothing_by_its_source:
        with_store::<ForgetsTheSource>(memory_of(1))
        => of voiding::what_is_handed_in_is_voided_by_its_source_whenever_it_comes;
    one_that_lists_the_minute_before:
        with_store::<ListsTheMinuteBefore>(memory_of(1))
        => of voiding::new_voters_are_counted_by_the_minute;
    one_that_counts_all_ballots_of_a_minute:
        with_store::<CountsAllBallotsOfAMinute>(memory_of(1))
        => of voiding::new_voters_are_counted_by_the_minute;
    one_that_voids_the_first_moment_after_a_span:
        with_store::<VoidsTheFirstMomentAfterASpan>(memory_of(1))
        => of voiding::a_span_voids_the_ballots_in_it_and_no_others;
    one_that_voids_not_the_first_moment_of_a_span:
        with_store::<VoidsNotTheFirstMomentOfASpan>(memory_of(1))
        => of voiding::a_span_voids_the_ballots_in_it_and_no_others;
    one_that_counts_voided_voters:
        with_store::<CountsVoidedVoters>(memory_of(1))
        => of voiding::a_span_voids_the_ballots_in_it_and_no_others;
    one_that_tells_that_voided_ballots_count:
        with_store::<TellsThatVoidedBallotsCount>(memory_of(1))
        => of voiding::a_span_voids_the_ballots_in_it_and_no_others;
    one_that_undoes_no_voiding:
        with_store::<UndoesNothing>(memory_of(1))
        => of voiding::a_span_voids_the_ballots_in_it_and_no_others;
    one_that_counts_what_comes_late:
        with_store::<CountsWhatComesLate>(memory_of(1))
        => of voiding::a_ballot_that_comes_late_is_voided_as_well;
    one_that_leaves_late_voided_ballots_out:
        with_store::<LeavesVoidedBallotsOut>(memory_of(1))
        => of voiding::a_ballot_that_comes_late_is_voided_as_well;
    one_that_lets_voided_ballots_take_no_place:
        with_store::<LeavesVoidedBallotsOut>(memory_of(1))
        => of voiding::earlier_choices_are_not_revived_and_later_ones_count;
    one_that_voids_only_one_code:
        with_store::<VoidsOnlyOneCode>(memory_of(1))
        => of voiding::the_ballots_of_revoked_codes_are_voided_whenever_they_come;
    one_that_undoes_all_rules:
        with_store::<UndoesAll>(memory_of(1))
        => of voiding::a_ballot_counts_again_once_no_rule_voids_it;
    one_that_says_that_it_has_voided:
        with_store::<SaysThatItHasVoided>(memory_of(1))
        => of voiding::a_final_poll_keeps_its_rules;
    one_that_says_that_it_has_voided_in_a_draft:
        with_store::<SaysThatItHasVoided>(memory_of(1))
        => of voiding::only_ballots_of_a_published_poll_are_voided;
    one_that_restores_no_rules:
        with_store::<RestoresNoRules>(memory_of(1))
        => of voiding::the_rules_of_a_poll_that_is_restored_hold;
}
