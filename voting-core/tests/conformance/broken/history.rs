//! Stores that are broken in how they keep the histories of votes.

use async_trait::async_trait;
use voting_core::{
    PollId, StoreError,
    model::{moment::Moment, vote_history::VoteHistory},
};

use super::{
    does_not_pass, memory_of,
    store::{BrokenStore, Store},
    with_store,
};

/// Changes the history that is read.
macro_rules! reads {
    ($name:ident, $change:expr) => {
        #[derive(Default)]
        struct $name;

        #[async_trait]
        impl BrokenStore for $name {
            async fn vote_history(
                &self,
                store: &Store,
                poll: &PollId,
            ) -> Result<Option<VoteHistory>, StoreError> {
                let mut history = store.tallies.vote_history(poll).await?;
                let edit: fn(&mut VoteHistory) = $change;
                if let Some(history) = &mut history {
                    edit(history);
                }
                Ok(history)
            }
        }
    };
}

reads!(DatesASecondLater, |history| {
    for point in &mut history.points {
        point.at = Moment::from_unix_ms(point.at.unix_ms() + 1000).expect("a moment");
    }
});
reads!(ForgetsWhatWasVoided, |history| {
    let last = history.points.last().map(|point| point.voters);
    history.points.retain(|point| Some(point.voters) <= last);
});
reads!(DatesHiddenVotes, |history| {
    for point in &mut history.points {
        let none = vec![0; history.tally.votes.len()];
        point.votes.get_or_insert(none);
    }
});
reads!(KeepsNothingOfAFinalPoll, |history| history
    .points
    .truncate(1));
reads!(KeepsAllPoints, |history| {
    let points = std::mem::take(&mut history.points);
    history.points = points
        .into_iter()
        .flat_map(|point| vec![point; 3])
        .collect();
});

does_not_pass! {
    one_that_dates_votes_a_second_later:
        with_store::<DatesASecondLater>(memory_of(1))
        => of history::votes_are_dated_by_the_positions_of_ballots;
    one_that_forgets_what_was_voided:
        with_store::<ForgetsWhatWasVoided>(memory_of(1))
        => of history::what_is_voided_stays_in_the_history_until_then;
    one_that_dates_hidden_votes:
        with_store::<DatesHiddenVotes>(memory_of(1))
        => of history::while_a_result_is_hidden_only_voters_are_dated;
    one_that_keeps_nothing_of_a_final_poll:
        with_store::<KeepsNothingOfAFinalPoll>(memory_of(1))
        => of history::a_history_is_kept_for_as_long_as_its_poll;
    one_that_keeps_all_points:
        with_store::<KeepsAllPoints>(memory_of(1))
        => of history::a_long_history_takes_little_room;
}
