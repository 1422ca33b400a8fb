//! What a store must do with ballots that choose no option: blank ones, and those that take a ballot back.
#![allow(missing_docs, reason = "the names are the requirements")]

use super::{
    Backend,
    scene::{ballot, batch, entry_key, poll_of, voter},
};
use crate::{
    model::{
        ballot::{Ballot, Choices},
        poll::Poll,
        poll_state::PollState,
        position::Position,
        receipt::{Receipt, ReceiptState},
        rejection::RejectReason,
        tally::Tally,
    },
    pipeline::replay::Revived,
    store::dead_letter::DeadLetter,
};

fn empty(number: u128, choices: Choices) -> Ballot {
    Ballot {
        choices,
        ..ballot("p", number, 1)
    }
}

fn poll(change: impl FnOnce(&mut crate::model::poll::PollSettings)) -> Poll {
    let poll = poll_of("p", 2, 2);
    let mut settings = poll.settings().clone();
    change(&mut settings);
    poll.with_settings(settings).expect("settings")
}

async fn flush(backend: &Backend, ms: u64, ballot: Ballot) -> u64 {
    let flushed = backend.flusher.flush(&batch(&[(ms, ballot)])).await;
    flushed.expect("flushed").report.counted
}

/// Voters, blank ones, those who took their ballot back, and the votes.
fn numbers(tally: &Tally) -> (u64, u64, u64, Vec<u64>) {
    (
        tally.voters,
        tally.blank,
        tally.withdrawn,
        tally.votes.clone(),
    )
}

async fn counted(backend: &Backend) -> (u64, u64, u64, Vec<u64>) {
    backend.tally_agrees().await;
    numbers(&backend.tally().await)
}

pub async fn a_blank_ballot_counts_for_no_option(backend: &Backend) {
    let blank = poll(|settings| settings.blank = true);
    backend.polls.put_poll(&blank).await.expect("stored");
    assert_eq!(flush(backend, 1, empty(1, Choices::BLANK)).await, 1);
    assert_eq!(flush(backend, 2, ballot("p", 2, 0b11)).await, 1);
    assert_eq!(counted(backend).await, (2, 1, 0, vec![1, 1]));
    assert_eq!(flush(backend, 3, empty(2, Choices::BLANK)).await, 0);
    assert_eq!(counted(backend).await, (2, 2, 0, vec![0, 0]));
    assert_eq!(flush(backend, 4, ballot("p", 1, 0b10)).await, 0);
    assert_eq!(counted(backend).await, (2, 1, 0, vec![0, 1]));
    let before = backend.tally().await.version;
    flush(backend, 5, empty(2, Choices::BLANK)).await;
    assert_eq!(backend.tally().await.version, before, "nothing changed");
}

pub async fn a_ballot_that_is_taken_back_does_not_count_and_may_come_again(backend: &Backend) {
    let blank = poll(|settings| settings.blank = true);
    backend.polls.put_poll(&blank).await.expect("stored");
    flush(backend, 1, ballot("p", 1, 0b01)).await;
    flush(backend, 2, ballot("p", 2, 0b11)).await;
    flush(backend, 4, empty(2, Choices::WITHDRAWN)).await;
    assert_eq!(counted(backend).await, (1, 0, 1, vec![1, 0]));
    // It is the newest, so an older one that comes late changes nothing.
    flush(backend, 3, ballot("p", 2, 0b10)).await;
    assert_eq!(counted(backend).await, (1, 0, 1, vec![1, 0]));
    let state = async |ms| {
        let (shard, entry) = entry_key(ms, 0);
        let receipt = Receipt {
            poll: blank.id().clone(),
            voter: voter(2),
            position: Position::new(shard, entry, 0),
        };
        backend
            .tallies
            .receipt_state(&receipt)
            .await
            .expect("a state")
    };
    assert_eq!(state(2).await, ReceiptState::Superseded);
    assert_eq!(state(4).await, ReceiptState::Counted);
    let totals = backend.flusher.totals().await.expect("totals");
    assert_eq!((totals.counted, totals.superseded), (2, 2));
    flush(backend, 5, empty(2, Choices::BLANK)).await;
    assert_eq!(counted(backend).await, (2, 1, 0, vec![1, 0]));
    flush(backend, 6, empty(2, Choices::WITHDRAWN)).await;
    flush(backend, 7, empty(1, Choices::WITHDRAWN)).await;
    assert_eq!(counted(backend).await, (0, 0, 2, vec![0, 0]));
    let deleted = backend.flusher.totals().await.expect("totals");
    assert_eq!(deleted.counted, 2);
}

pub async fn an_export_has_blank_ballots_and_none_that_are_taken_back(backend: &Backend) {
    let blank = poll(|settings| settings.blank = true);
    backend.polls.put_poll(&blank).await.expect("stored");
    let all = [
        ballot("p", 1, 0b11),
        empty(2, Choices::BLANK),
        empty(3, Choices::WITHDRAWN),
    ];
    for (ms, ballot) in (1..).zip(all) {
        flush(backend, ms, ballot).await;
    }
    let done = PollState::Final(Default::default());
    let advanced = backend.polls.advance_poll(blank.id(), &done).await;
    advanced.expect("final");
    let mut export = backend
        .exports
        .export_ballots(blank.id())
        .await
        .expect("an export");
    assert_eq!((export.head().ballots, export.head().few_alike), (2, 2));
    let mut read = Vec::new();
    while let Some(chunk) = export.next().await {
        read.extend(chunk.expect("ballots"));
    }
    read.sort_unstable();
    let three = Choices::from_bits(0b11).expect("choices");
    assert_eq!(read, [Choices::BLANK, three]);
}

/// A poll that does not take such ballots refuses them, also as dead letters that are replayed.
pub async fn a_poll_takes_no_empty_ballot_unless_its_rules_say_so(backend: &Backend) {
    let strict = poll(|settings| settings.revote = false);
    backend.polls.put_poll(&strict).await.expect("stored");
    let (shard, entry) = entry_key(1, 0);
    for (index, choices) in (0..).zip([Choices::BLANK, Choices::WITHDRAWN]) {
        let position = Position::new(shard, entry, index);
        let refused = strict.check(choices, position);
        assert_eq!(refused, Err(RejectReason::NothingChosen));
        let placed = crate::store::batch::PlacedBallot {
            position,
            ballot: empty(1, choices),
        };
        let letter = DeadLetter::of(&placed, RejectReason::NothingChosen);
        let dead = crate::store::batch::Batch {
            entries: vec![(entry_key(1, 0), 0)],
            dead_letters: vec![letter],
            ..Default::default()
        };
        backend.flusher.flush(&dead).await.expect("flushed");
        let Revived::Rejected(reason, _) = backend.revive(position).await else {
            panic!("it is counted");
        };
        assert_eq!(reason, RejectReason::NothingChosen);
    }
    assert_eq!(counted(backend).await, (0, 0, 0, vec![0, 0]));
}
