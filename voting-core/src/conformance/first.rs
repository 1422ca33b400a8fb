//! What a store must do where a voter's oldest ballot counts (`revote = false`).
#![allow(missing_docs, reason = "the names are the requirements")]

use std::sync::Arc;

use super::{
    Backend,
    scene::{ballot, batch, entry_key, poll_id, poll_of, quick, voter},
};
use crate::{
    log::VoteSink,
    model::{
        ballot::Ballot,
        poll::Poll,
        position::{EntryId, Position, ShardId},
        receipt::{Receipt, ReceiptState},
        rejection::RejectReason,
    },
    pipeline::{replay::Revived, worker::WorkerExit},
    store::{
        batch::{Batch, PlacedBallot},
        dead_letter::DeadLetter,
        outcome::FlushReport,
    },
};

fn first_counts(id: &str) -> Poll {
    let poll = poll_of(id, 2, 1);
    let mut settings = poll.settings().clone();
    settings.revote = false;
    poll.with_settings(settings).expect("settings")
}

async fn has(backend: &Backend, poll: &Poll) {
    backend.polls.put_poll(poll).await.expect("stored");
}

/// As a worker makes it: of each voter the ballot that counts, and the others beside it.
fn batch_of(entries: &[(u64, Ballot)], first: &[&str]) -> Batch {
    let mut whole = batch(entries);
    whole.first_counts = first.iter().map(|id| poll_id(id)).collect();
    whole.keep_one_of_each_voter();
    whole
}

async fn flush(backend: &Backend, batch: &Batch) -> FlushReport {
    backend.flusher.flush(batch).await.expect("flushed").report
}

async fn state(backend: &Backend, poll: &str, number: u128, ms: u64) -> ReceiptState {
    let (shard, entry) = entry_key(ms, 0);
    let receipt = Receipt {
        poll: poll_id(poll),
        voter: voter(number),
        position: Position::new(shard, entry, 0),
    };
    let state = backend.tallies.receipt_state(&receipt).await;
    state.expect("a state")
}

async fn reported(backend: &Backend) -> (u64, u64, u64) {
    let totals = backend.flusher.totals().await.expect("totals");
    (totals.counted, totals.superseded, totals.rejected)
}

pub async fn of_a_voters_ballots_in_a_batch_the_oldest_counts(backend: &Backend) {
    has(backend, &first_counts("p")).await;
    let three = [
        (2, ballot("p", 1, 0b10)),
        (1, ballot("p", 1, 0b01)),
        (3, ballot("p", 1, 0b10)),
        (4, ballot("p", 2, 0b10)),
    ];
    let report = flush(backend, &batch_of(&three, &["p"])).await;
    assert_eq!((report.counted, report.superseded), (2, 2));
    assert_eq!(backend.votes().await, [1, 1]);
    backend.tally_agrees().await;
    assert_eq!(state(backend, "p", 1, 1).await, ReceiptState::Counted);
    for late in [2, 3] {
        assert_eq!(state(backend, "p", 1, late).await, ReceiptState::Superseded);
    }
}

pub async fn batches_in_any_order_end_with_the_oldest_ballots(backend: &Backend) {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for (round, order) in (0_u64..).zip(orders) {
        let id = format!("p{round}");
        has(backend, &first_counts(&id)).await;
        let at = |ms| 10 * round + ms;
        let batches = [
            vec![(at(1), ballot(&id, 1, 0b01)), (at(2), ballot(&id, 2, 0b10))],
            vec![(at(3), ballot(&id, 1, 0b10)), (at(4), ballot(&id, 3, 0b01))],
            vec![(at(5), ballot(&id, 2, 0b01)), (at(6), ballot(&id, 3, 0b10))],
        ];
        for number in order {
            flush(backend, &batch_of(&batches[number], &[&id])).await;
        }
        let recount = backend.tallies.recount(&poll_id(&id)).await;
        let recount = recount.expect("a recount").expect("the poll");
        assert!(recount.agrees(), "{order:?}: {recount:?}");
        assert_eq!(recount.kept.votes, [2, 1], "{order:?}");
        for (number, ms) in [(1, 1), (2, 2), (3, 4)] {
            let state = state(backend, &id, number, at(ms)).await;
            assert_eq!(state, ReceiptState::Counted, "{order:?}");
        }
    }
    assert_eq!(reported(backend).await, (18, 18, 0));
}

pub async fn an_older_ballot_that_comes_late_replaces_the_newer_one(backend: &Backend) {
    has(backend, &first_counts("p")).await;
    let newer = batch_of(&[(5, ballot("p", 1, 0b10))], &["p"]);
    assert_eq!(flush(backend, &newer).await.counted, 1);
    let version = backend.tally().await.version;
    assert_eq!(state(backend, "p", 1, 3).await, ReceiptState::Pending);
    assert_eq!(state(backend, "p", 1, 9).await, ReceiptState::Superseded);
    let older = batch_of(&[(3, ballot("p", 1, 0b01))], &["p"]);
    let report = flush(backend, &older).await;
    assert_eq!((report.counted, report.superseded), (0, 1));
    assert_eq!(backend.votes().await, [1, 0]);
    assert!(backend.tally().await.version > version);
    assert_eq!(state(backend, "p", 1, 3).await, ReceiptState::Counted);
    assert_eq!(state(backend, "p", 1, 5).await, ReceiptState::Superseded);
    // Whatever comes after it, also in the same millisecond, in another entry or another shard.
    let places = [(0, 3, 1), (1, 3, 0), (0, 4, 0)];
    for (shard, ms, seq) in places {
        let position = Position::new(
            ShardId(shard),
            EntryId::new(ms, seq).expect("an entry id"),
            0,
        );
        let mut later = batch_of(&[(7, ballot("p", 1, 0b10))], &["p"]);
        later.entries = vec![((position.shard(), position.entry()), 1)];
        later.ballots[0].position = position;
        assert_eq!(flush(backend, &later).await.superseded, 1, "{position}");
        assert_eq!(backend.votes().await, [1, 0], "{position}");
    }
    assert_eq!(reported(backend).await, (1, 4, 0));
    backend.tally_agrees().await;
}

pub async fn a_replayed_batch_leaves_the_oldest_ballot(backend: &Backend) {
    has(backend, &first_counts("p")).await;
    let first = [(1, ballot("p", 1, 0b01)), (2, ballot("p", 2, 0b10))];
    let first = batch_of(&first, &["p"]);
    let second = [(3, ballot("p", 1, 0b10)), (4, ballot("p", 1, 0b10))];
    let second = batch_of(&second, &["p"]);
    flush(backend, &second).await;
    flush(backend, &first).await;
    let before = (backend.tally().await, reported(backend).await);
    for again in [&first, &second, &first] {
        let report = flush(backend, again).await;
        let expected = FlushReport {
            already_applied: 2,
            ..FlushReport::default()
        };
        assert_eq!(report, expected);
    }
    assert_eq!((backend.tally().await, reported(backend).await), before);
    assert_eq!(before.0.votes, [1, 1]);
    assert_eq!(before.1, (2, 2, 0));
    backend.tally_agrees().await;
}

pub async fn if_the_oldest_ballot_is_a_dead_letter_the_next_one_counts(backend: &Backend) {
    has(backend, &first_counts("p")).await;
    // Refused by a worker that knew less, and judged again after its flush was not acknowledged.
    let refused = ballot("p", 1, 0b01);
    let mut rejected = batch_of(&[(1, refused)], &["p"]);
    let placed = rejected.ballots.remove(0);
    let letter = DeadLetter::of(&placed, RejectReason::UnknownPoll);
    rejected.entries[0].1 = 0;
    rejected.dead_letters.push(letter);
    assert_eq!(flush(backend, &rejected).await.rejected, 1);
    let again = batch_of(
        &[
            (1, ballot("p", 1, 0b01)),
            (3, ballot("p", 1, 0b01)),
            (2, ballot("p", 1, 0b10)),
        ],
        &["p"],
    );
    let report = flush(backend, &again).await;
    assert_eq!((report.counted, report.superseded), (1, 1));
    assert_eq!(backend.votes().await, [0, 1]);
    assert_eq!(state(backend, "p", 1, 2).await, ReceiptState::Counted);
    let reason = ReceiptState::Rejected(RejectReason::UnknownPoll);
    assert_eq!(state(backend, "p", 1, 1).await, reason);
    assert_eq!(reported(backend).await, (1, 1, 1));
    backend.tally_agrees().await;
}

pub async fn a_dead_letter_that_is_mended_counts_if_it_is_the_oldest(backend: &Backend) {
    has(backend, &first_counts("p")).await;
    let votes = [(5, ballot("p", 1, 0b01)), (5, ballot("p", 2, 0b01))];
    let mut votes = batch_of(&votes, &["p"]);
    votes.entries.dedup();
    for (index, placed) in (0..).zip(&mut votes.ballots) {
        let (shard, entry) = (placed.position.shard(), placed.position.entry());
        placed.position = Position::new(shard, entry, index);
    }
    votes.entries[0].1 = 2;
    let letters = [(3, 1), (7, 2)].map(|(ms, number)| {
        let placed = PlacedBallot {
            position: Position::new(ShardId(0), entry_key(ms, 0).1, 0),
            ballot: ballot("p", number, 0b10),
        };
        DeadLetter::of(&placed, RejectReason::UnknownPoll)
    });
    for letter in &letters {
        let entry = (letter.position.shard(), letter.position.entry());
        votes.entries.push((entry, 0));
    }
    votes.dead_letters = letters.to_vec();
    flush(backend, &votes).await;
    assert_eq!(backend.votes().await, [2, 0]);
    for letter in &letters {
        let revived = backend.revive(letter.position).await;
        let Revived::Flushed(report) = revived else {
            panic!("{revived:?}")
        };
        assert_eq!((report.counted, report.superseded), (0, 1));
    }
    // That of the first voter was cast before the one that counted, that of the second after it.
    assert_eq!(backend.votes().await, [1, 1]);
    assert_eq!(state(backend, "p", 1, 3).await, ReceiptState::Counted);
    assert_eq!(state(backend, "p", 2, 7).await, ReceiptState::Superseded);
    assert_eq!(reported(backend).await, (2, 2, 0));
    backend.tally_agrees().await;
}

pub async fn a_batch_may_have_polls_of_both_kinds(backend: &Backend) {
    has(backend, &first_counts("p")).await;
    has(backend, &poll_of("q", 2, 1)).await;
    let both = |ms, bits| {
        let votes = [(ms, ballot("p", 1, bits)), (ms + 1, ballot("q", 1, bits))];
        batch_of(&votes, &["p"])
    };
    for (ms, bits) in [(5, 0b01), (9, 0b10), (3, 0b10), (7, 0b01)] {
        flush(backend, &both(ms, bits)).await;
    }
    let of = async |id: &str| {
        let recount = backend.tallies.recount(&poll_id(id)).await;
        let recount = recount.expect("a recount").expect("the poll");
        assert!(recount.agrees(), "{recount:?}");
        recount.kept.votes
    };
    assert_eq!(of("p").await, [0, 1], "the one at 3");
    assert_eq!(of("q").await, [0, 1], "the one at 10");
    assert_eq!(state(backend, "p", 1, 3).await, ReceiptState::Counted);
    assert_eq!(state(backend, "q", 1, 10).await, ReceiptState::Counted);
    // Within one batch as well.
    let voter = 2;
    let whole = [
        (20, ballot("p", voter, 0b01)),
        (21, ballot("q", voter, 0b01)),
        (22, ballot("p", voter, 0b10)),
        (23, ballot("q", voter, 0b10)),
    ];
    flush(backend, &batch_of(&whole, &["p"])).await;
    assert_eq!((of("p").await, of("q").await), (vec![1, 1], vec![0, 2]));
    assert_eq!(reported(backend).await, (4, 8, 0));
}

pub async fn racing_flushes_end_with_the_oldest_ballots(backend: &Backend) {
    has(backend, &first_counts("p")).await;
    let flushes: Vec<_> = (0_u64..12)
        .map(|number| {
            let flusher = Arc::clone(&backend.flusher);
            let votes: Vec<_> = (0_u64..40)
                .map(|voter| {
                    let bits = if number == 0 { 0b01 } else { 0b10 };
                    (1 + 100 * number + voter, ballot("p", voter.into(), bits))
                })
                .collect();
            let batch = batch_of(&votes, &["p"]);
            tokio::spawn(async move { flusher.flush(&batch).await })
        })
        .collect();
    // The newest ones are the first to come.
    for flush in flushes.into_iter().rev() {
        flush.await.expect("no panic").expect("flushed");
    }
    assert_eq!(backend.votes().await, [40, 0]);
    assert_eq!(reported(backend).await, (40, 440, 0));
    backend.tally_agrees().await;
}

pub async fn every_voter_counts_once_with_the_first_choice(backend: &Backend) {
    has(backend, &first_counts("p")).await;
    let workers = [backend.worker(quick()), backend.worker(quick())];
    let sink = backend.sink();
    let mut first = Vec::new();
    for round in 0..5 {
        for number in 0..20 {
            let bits = if round == 0 { 0b01 } else { 0b10 };
            let cast = sink.cast(ballot("p", number, bits)).await;
            let receipt = cast.expect("cast");
            if round == 0 {
                first.push(receipt);
            }
        }
    }
    for worker in workers {
        assert_eq!(worker.stop().await, WorkerExit::Clean);
    }
    assert_eq!(backend.votes().await, [20, 0]);
    for receipt in &first {
        let state = backend.tallies.receipt_state(receipt).await;
        assert_eq!(state.expect("a state"), ReceiptState::Counted);
    }
    backend.is_consistent().await;
}
