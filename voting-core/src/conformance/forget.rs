//! What must become of a poll whose voters are forgotten, and of its ballots.
#![allow(missing_docs, reason = "the names are the requirements")]

use std::sync::Arc;

use super::{
    Backend,
    close::{becomes_final, to_close},
    delete::{HandsOut, letter, make_final, worker},
    scene::{ballot, batch, entry_key, poll_id, poll_of, quick, until, voter},
};
use crate::{
    error::StoreError,
    log::entry,
    model::{
        ballot::{Ballot, Choices},
        moment::Moment,
        poll::{self, ChangeRefusal, ChangeTo, Poll, PollChange},
        poll_key::PollKeyWrap,
        poll_state::{PollState, Seals},
        position::Position,
        receipt::{Receipt, ReceiptState},
        rejection::RejectReason,
        secret::SecretKey,
        tally::Recount,
    },
    pipeline::{
        replay::Revived,
        worker::{WorkerExit, WorkerHandle},
    },
};

async fn change(backend: &Backend, id: &str, to: ChangeTo) -> Result<Option<Poll>, StoreError> {
    let change = PollChange::new(poll_id(id), to);
    backend.polls.change_poll(&change, "host").await
}

async fn forget(backend: &Backend, id: &str) -> Poll {
    let poll = change(backend, id, ChangeTo::VotersForgotten).await;
    let poll = poll.expect("forgotten").expect("the poll");
    assert!(poll.voters_are_forgotten());
    poll
}

async fn stored(backend: &Backend, id: &str) -> Poll {
    let poll = backend.polls.poll(&poll_id(id)).await.expect("an answer");
    poll.expect("the poll")
}

async fn recount(backend: &Backend, id: &str) -> Recount {
    let recount = backend.tallies.recount(&poll_id(id)).await;
    recount.expect("a recount").expect("the poll")
}

/// What the ballots of a final poll choose, sorted.
async fn exported(backend: &Backend, id: &str) -> Vec<u64> {
    let export = backend.exports.export_ballots(&poll_id(id)).await;
    let mut export = export.expect("an export");
    let mut all = Vec::new();
    while let Some(chunk) = export.next().await {
        all.extend(chunk.expect("a chunk").into_iter().map(Choices::bits));
    }
    assert_eq!(export.head().ballots, all.len() as u64);
    all.sort_unstable();
    all
}

/// Of the ballot of this voter in the entry at `ms`.
async fn state(backend: &Backend, id: &str, number: u128, ms: u64) -> ReceiptState {
    let (shard, entry) = entry_key(ms, 0);
    let receipt = Receipt {
        poll: poll_id(id),
        voter: voter(number),
        position: Position::new(shard, entry, 0),
    };
    let state = backend.tallies.receipt_state(&receipt).await;
    state.expect("a state")
}

pub async fn only_the_voters_of_a_final_poll_are_forgotten(backend: &Backend) {
    let none = change(backend, "p", ChangeTo::VotersForgotten).await;
    assert!(matches!(none, Err(StoreError::NoPoll(_))), "{none:?}");
    backend.has_poll(2, 1).await;
    let votes = batch(&[(1, ballot("p", 1, 1))]);
    backend.flusher.flush(&votes).await.expect("flushed");
    for to in [PollState::Open, PollState::Closing(Seals::default())] {
        let there = backend.polls.advance_poll(&poll_id("p"), &to).await;
        assert_eq!(there.expect("stored"), Some(to));
        let refused = change(backend, "p", ChangeTo::VotersForgotten).await;
        assert!(
            matches!(
                refused,
                Err(StoreError::ChangeRefused(_, ChangeRefusal::VotersNeeded))
            ),
            "{refused:?}"
        );
        assert_eq!(state(backend, "p", 1, 1).await, ReceiptState::Counted);
    }
    make_final(backend, "p").await;
    let once = forget(backend, "p").await;
    let log = backend.audit.audit_log(0, 100).await.expect("the log");
    let last = &log.last().expect("an entry").note;
    assert_eq!(last.action, "poll.voters-forgotten");
    assert_eq!(last.by, "host");
    assert_eq!(forget(backend, "p").await, once);
    assert_eq!(stored(backend, "p").await, once);
    let after = backend.audit.audit_log(0, 100).await.expect("the log");
    assert_eq!(after, log);
}

pub async fn without_voters_a_poll_has_the_same_result(backend: &Backend) {
    let secret = SecretKey::new([7; 32]).expect("a secret");
    // One begins like the other, and comes before and after it.
    for id in ["p", "pp", "o"] {
        let key = PollKeyWrap::new(&secret).make(&poll_id(id));
        let poll = poll_of(id, 3, 2).with_key(key.expect("a key"));
        backend.polls.put_poll(&poll).await.expect("stored");
    }
    let mut votes = batch(&[
        (1, ballot("p", 1, 0b001)),
        (2, ballot("p", 2, 0b110)),
        (3, ballot("p", 3, 0b110)),
        (4, ballot("p", 4, 0b100)),
        // One that was taken back, and a blank one.
        (
            11,
            Ballot {
                choices: Choices::WITHDRAWN,
                ..ballot("p", 5, 1)
            },
        ),
        (
            12,
            Ballot {
                choices: Choices::BLANK,
                ..ballot("p", 6, 1)
            },
        ),
        (5, ballot("pp", 1, 0b010)),
        (6, ballot("o", 1, 0b010)),
    ]);
    votes.dead_letters = vec![
        letter(7, &ballot("p", 9, 0b1000)),
        letter(8, &ballot("pp", 9, 0b1000)),
        letter(9, &ballot("o", 9, 0b1000)),
    ];
    votes
        .entries
        .extend((7..=9).map(|ms| (entry_key(ms, 0), 0)));
    backend.flusher.flush(&votes).await.expect("flushed");
    let changed_mind = batch(&[(10, ballot("p", 1, 0b110))]);
    backend.flusher.flush(&changed_mind).await.expect("flushed");
    for id in ["p", "pp"] {
        make_final(backend, id).await;
    }
    let letters = backend.letters().await;
    let totals = backend.flusher.totals().await.expect("totals");
    let counted = recount(backend, "p").await;
    assert!(counted.agrees(), "{counted:?}");
    assert_eq!(counted.kept.votes, [0, 3, 4]);
    let chosen = exported(backend, "p").await;
    assert_eq!(chosen, [0, 0b100, 0b110, 0b110, 0b110]);

    forget(backend, "p").await;
    assert_eq!(stored(backend, "p").await.wrapped_key(), None);
    assert_eq!(recount(backend, "p").await, counted);
    assert_eq!(backend.tally().await, counted.kept);
    assert_eq!(exported(backend, "p").await, chosen);
    assert_eq!(backend.flusher.totals().await.expect("totals"), totals);
    // The voter is gone from the dead letter of this poll, and from no other.
    let mut emptied = letters;
    emptied[0].payload.clear();
    emptied[0].detail.clear();
    assert_eq!(backend.letters().await, emptied);
    let revived = backend.revive(emptied[0].position).await;
    assert!(matches!(revived, Revived::Rejected(..)), "{revived:?}");
    for (id, ms) in [("pp", 5), ("o", 6)] {
        assert!(stored(backend, id).await.wrapped_key().is_some());
        assert_eq!(state(backend, id, 1, ms).await, ReceiptState::Counted);
        assert!(recount(backend, id).await.agrees());
    }
    assert_eq!(exported(backend, "pp").await, [0b010]);

    // It can be archived and deleted as any other.
    let archived = change(backend, "p", ChangeTo::Archived(true)).await;
    let archived = archived.expect("archived").expect("the poll");
    assert!(archived.voters_are_forgotten());
    let deleted = change(backend, "p", ChangeTo::Deleted).await;
    assert_eq!(deleted.expect("deleted"), None);
    assert_eq!(backend.flusher.totals().await.expect("totals"), totals);
}

pub async fn ballots_that_come_again_to_a_poll_without_voters_change_nothing(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let other = backend.polls.put_poll(&poll_of("q", 2, 1)).await;
    other.expect("stored");
    let one = |ms, poll: &str, voter, bits| {
        let payload = entry::of_one(&ballot(poll, voter, bits)).payload;
        (entry_key(ms, 0), payload)
    };
    let entries = [
        one(1, "p", 1, 0b01),
        one(2, "q", 1, 0b01),
        one(3, "p", 2, 0b100),
        one(4, "p", 1, 0b10),
        one(5, "q", 2, 0b10),
    ];
    let queue = Arc::new(HandsOut::default());
    let knows_the_voters = worker(backend, &queue);
    let is_counted = async |worker: &WorkerHandle, entries: usize| {
        until(worker, "all is counted", |progress| {
            assert_eq!(progress.trouble, None);
            queue.acknowledged() == entries
        })
        .await;
    };
    queue.again(&entries);
    is_counted(&knows_the_voters, 5).await;
    make_final(backend, "p").await;
    let before = recount(backend, "p").await;
    assert_eq!(before.kept.votes, [0, 1]);
    let totals = backend.flusher.totals().await.expect("totals");
    forget(backend, "p").await;
    let letters = backend.letters().await;

    // To the worker that takes the poll for one with voters, and to one that never knew it.
    queue.again(&entries);
    is_counted(&knows_the_voters, 10).await;
    assert_eq!(knows_the_voters.stop().await, WorkerExit::Clean);
    let knows_nothing = worker(backend, &queue);
    queue.again(&entries);
    is_counted(&knows_nothing, 15).await;
    assert_eq!(backend.flusher.totals().await.expect("totals"), totals);
    assert_eq!(backend.letters().await, letters);
    assert_eq!(recount(backend, "p").await, before);

    // Ballots that come for the first time: somebody has written to the log by hand.
    queue.again(&[one(60, "p", 7, 0b01), one(200, "p", 8, 0b01)]);
    is_counted(&knows_nothing, 17).await;
    assert_eq!(knows_nothing.stop().await, WorkerExit::Clean);
    let after = backend.flusher.totals().await.expect("totals");
    assert_eq!(after.counted, totals.counted);
    assert_eq!(after.rejected, totals.rejected);
    // Each ballot is told once, these too.
    assert_eq!(after.superseded, totals.superseded + 2);
    assert_eq!(backend.letters().await, letters);
    assert_eq!(recount(backend, "p").await, before);
    assert!(recount(backend, "q").await.agrees());
}

pub async fn a_batch_and_the_store_agree_on_whose_voters_are_forgotten(backend: &Backend) {
    for id in ["p", "q"] {
        let stored = backend.polls.put_poll(&poll_of(id, 2, 1)).await;
        stored.expect("stored");
    }
    let refused = async |batch| {
        let flushed = backend.flusher.flush(&batch).await;
        let Err(StoreError::PollChanged(id)) = &flushed else {
            panic!("{flushed:?}")
        };
        assert_eq!(*id, poll_id("p"));
    };
    let votes = batch(&[(1, ballot("p", 1, 1)), (2, ballot("q", 1, 1))]);
    backend.flusher.flush(&votes).await.expect("flushed");
    make_final(backend, "p").await;
    // Made while the voters were known, and written when they are not.
    let made_before = batch(&[(1, ballot("p", 1, 1)), (3, ballot("q", 2, 1))]);
    let mut made_after = batch(&[(3, ballot("q", 2, 1))]);
    made_after.judge_by(&without_voters(&stored(backend, "p").await));
    // The store was put back to a time at which they were known: the ballots must count.
    refused(made_after.clone()).await;
    forget(backend, "p").await;
    refused(made_before).await;
    let flushed = backend.flusher.flush(&made_after).await.expect("flushed");
    assert_eq!(flushed.report.counted, 1);
    assert!(recount(backend, "p").await.agrees());
    assert_eq!(backend.flusher.totals().await.expect("totals").counted, 3);
}

/// The poll as it would be if its voters were forgotten.
fn without_voters(stored: &Poll) -> Poll {
    let forget = PollChange::new(stored.id().clone(), ChangeTo::VotersForgotten);
    let changed = poll::change(Some(stored), &forget, Moment::now());
    changed.expect("allowed").poll.expect("the poll")
}

pub async fn voters_that_a_restored_store_has_again_count_and_are_to_be_forgotten_again(
    backend: &Backend,
) {
    backend.has_poll(2, 1).await;
    let votes = batch(&[(1, ballot("p", 1, 0b01)), (2, ballot("p", 2, 0b10))]);
    backend.flusher.flush(&votes).await.expect("flushed");
    let closing = PollState::Closing(Seals::default());
    let there = backend.polls.advance_poll(&poll_id("p"), &closing).await;
    there.expect("stored");
    // What vote services know is newer than the store, which was put back.
    let stored_before = stored(backend, "p").await;
    let done = PollState::Final([entry_key(100, 2)].into_iter().collect());
    let published = without_voters(&stored_before.clone().in_state(done));
    let restored = ChangeTo::Restored(Box::new(published.clone()));
    let restored = change(backend, "p", restored).await.expect("restored");
    let restored = restored.expect("the poll");
    assert!(!restored.voters_are_forgotten());
    assert!(restored.voters_are_to_be_forgotten_again());
    assert_eq!(restored.state(), stored_before.state());
    assert_eq!(state(backend, "p", 1, 1).await, ReceiptState::Counted);
    // A ballot that the backup lacks.
    let late = batch(&[(3, ballot("p", 3, 0b10))]);
    backend.flusher.flush(&late).await.expect("flushed");
    make_final(backend, "p").await;
    let before = recount(backend, "p").await;
    assert_eq!(before.kept.votes, [1, 2]);
    let again = forget(backend, "p").await;
    assert!(!again.voters_are_to_be_forgotten_again());
    assert_eq!(recount(backend, "p").await, before);
    // An older copy, and one that is newer than the store although the voters are forgotten in both.
    let newer = poll::change(
        Some(&again),
        &PollChange::new(poll_id("p"), ChangeTo::Archived(true)),
        Moment::now(),
    );
    let newer = newer.expect("allowed").poll.expect("the poll");
    for copy in [published, newer] {
        let restored = change(backend, "p", ChangeTo::Restored(Box::new(copy))).await;
        let restored = restored.expect("an answer").expect("the poll");
        assert!(restored.voters_are_forgotten());
        assert!(!restored.voters_are_to_be_forgotten_again());
        assert_eq!(recount(backend, "p").await, before);
    }
}

pub async fn what_becomes_of_a_ballot_is_reported_as_long_as_it_is_known(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let mut votes = batch(&[(2, ballot("p", 1, 0b10)), (3, ballot("p", 2, 0b10))]);
    votes.dead_letters = vec![letter(4, &ballot("p", 3, 0b100))];
    votes.entries.push((entry_key(4, 0), 0));
    backend.flusher.flush(&votes).await.expect("flushed");
    make_final(backend, "p").await;
    let all = async || {
        let mut states = Vec::new();
        for (number, ms) in [(1, 1), (1, 2), (2, 3), (3, 4), (9, 9)] {
            states.push(state(backend, "p", number, ms).await);
        }
        states
    };
    let rejected = ReceiptState::Rejected(RejectReason::UnknownOption);
    let (counted, superseded) = (ReceiptState::Counted, ReceiptState::Superseded);
    let pending = ReceiptState::Pending;
    assert_eq!(
        all().await,
        [superseded, counted, counted, rejected, pending]
    );
    forget(backend, "p").await;
    let forgotten = ReceiptState::VotersForgotten;
    assert_eq!(
        all().await,
        [forgotten, forgotten, forgotten, rejected, forgotten]
    );
    let deleted = change(backend, "p", ChangeTo::Deleted).await;
    assert_eq!(deleted.expect("deleted"), None);
    let deleted = ReceiptState::PollDeleted;
    assert_eq!(all().await, [deleted, deleted, deleted, rejected, deleted]);
    assert_eq!(state(backend, "nowhere", 1, 1).await, pending);
}

pub async fn voters_that_are_forgotten_stay_so(backend: Backend) {
    backend.has_poll(2, 1).await;
    let mut last = None;
    for number in 0..5 {
        last = Some(backend.cast(ballot("p", number, 1)).await);
    }
    assert_eq!(backend.worker(quick()).stop().await, WorkerExit::Clean);
    to_close(&backend).await;
    becomes_final(&backend).await;
    forget(&backend, "p").await;
    let all = async |backend: &Backend| {
        (
            stored(backend, "p").await,
            recount(backend, "p").await,
            exported(backend, "p").await,
            backend.flusher.totals().await.expect("totals"),
            backend.audit.audit_log(0, 100).await.expect("the log"),
        )
    };
    let before = all(&backend).await;
    assert!(before.1.agrees());
    assert_eq!(before.1.kept.votes, [5, 0]);
    let Some(backend) = backend.reopened().await else {
        return;
    };
    assert_eq!(all(&backend).await, before);
    let receipt = Receipt {
        poll: poll_id("p"),
        voter: voter(4),
        position: last.expect("a position"),
    };
    let state = backend.tallies.receipt_state(&receipt).await;
    assert_eq!(state.expect("a state"), ReceiptState::VotersForgotten);
}
