//! What log, store and worker must do together.
#![allow(missing_docs, reason = "the names are the requirements")]

use std::{
    sync::{Arc, atomic::AtomicU32},
    time::{Duration, Instant},
};

use tokio::time::timeout;

use super::{
    Backend,
    faults::{DiesBeforeAcknowledging, Down, FailsForAWhile},
    scene::{LONG, ballot, entry_key, quick, until},
};
use crate::{
    log::{
        VoteSink,
        entry::{self, EntryBuilder},
    },
    model::{
        ballot::{Choices, VoterId},
        position::{Position, ShardId},
        receipt::{Receipt, ReceiptState},
        rejection::RejectReason,
    },
    pipeline::{
        replay::Revived,
        worker::{Worker, WorkerExit, WorkerOptions},
    },
    store::{
        batch::{Batch, PlacedBallot},
        dead_letter::DeadLetter,
        outcome::FlushReport,
    },
};

/// So many voters cast so many ballots each, all at once; the last one of voter `v` is for
/// option `v % 2`.
async fn crowd(backend: &Backend, voters: u64, ballots_each: u64) -> Vec<Receipt> {
    let sink = Arc::new(backend.sink());
    let crowd = (0..voters).map(|number| {
        let sink = Arc::clone(&sink);
        tokio::spawn(async move {
            let mut last = None;
            for nth in (0..ballots_each).rev() {
                let bits = 1 << ((number + nth) % 2);
                last = Some(
                    sink.cast(ballot("p", number.into(), bits))
                        .await
                        .expect("cast"),
                );
            }
            last.expect("at least one ballot each")
        })
    });
    let mut receipts = Vec::new();
    for voter in crowd.collect::<Vec<_>>() {
        receipts.push(voter.await.expect("no panic"));
    }
    receipts
}

async fn counted(backend: &Backend, receipts: &[Receipt]) {
    for receipt in receipts {
        let state = backend
            .tallies
            .receipt_state(receipt)
            .await
            .expect("a state");
        assert_eq!(state, ReceiptState::Counted, "{receipt:?}");
    }
}

pub async fn every_voter_counts_once_with_the_last_choice(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let worker = backend.worker(quick());
    let began = Instant::now();
    let receipts = crowd(backend, 60, 5).await;
    assert_eq!(worker.stop().await, WorkerExit::Clean);
    let took = began.elapsed();
    assert_eq!(backend.votes().await, [30, 30]);
    counted(backend, &receipts).await;
    let done = worker.progress().borrow().flushed;
    assert_eq!((done.counted, done.superseded), (60, 240));
    // An entry that is in hand for longer is handed out again, and told as replayed.
    if took < backend.claim_timeout {
        assert_eq!(done.already_applied, 0);
    }
    backend.is_consistent().await;
}

pub async fn a_ballot_is_seen_within_the_batch_time(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let options = WorkerOptions {
        max_ballots: 1_000_000,
        ..quick()
    };
    let worker = backend.worker(options);
    backend.cast(ballot("p", 1, 1)).await;
    until(&worker, "flushed by time", |progress| {
        progress.flushed.counted == 1
    })
    .await;
    assert_eq!(backend.votes().await, [1, 0]);
    worker.stop().await;
}

pub async fn invalid_entries_are_set_aside_and_the_rest_counts(backend: &Backend) {
    backend.has_poll(2, 1).await;
    backend.append(&ballot("p", 1, 0b01)).await;
    let poison = backend
        .append_raw(ShardId(0), b"\0not an entry".to_vec())
        .await;
    backend.append_raw(ShardId(0), Vec::new()).await;
    let no_poll = backend.append(&ballot("nowhere", 2, 0b01)).await;
    backend.append(&ballot("p", 3, 0b100)).await;
    backend.append(&ballot("p", 4, 0b11)).await;
    backend.append(&ballot("p", 5, 0b10)).await;
    let worker = backend.worker(quick());
    assert_eq!(worker.stop().await, WorkerExit::Clean);
    assert_eq!(backend.votes().await, [1, 1]);
    let letters = backend.letters().await;
    let reason_at = |(shard, entry)| {
        let found = letters
            .iter()
            .find(|letter| (letter.position.shard(), letter.position.entry()) == (shard, entry));
        found.map(|letter| (letter.reason, letter.payload.clone()))
    };
    assert_eq!(
        reason_at(poison),
        Some((RejectReason::Malformed, b"\0not an entry".to_vec()))
    );
    let unknown = entry::of_one(&ballot("nowhere", 2, 0b01)).payload;
    assert_eq!(
        reason_at(no_poll),
        Some((RejectReason::UnknownPoll, unknown))
    );
    let mut reasons: Vec<_> = letters
        .iter()
        .map(|letter| letter.reason.as_str())
        .collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            "malformed",
            "malformed",
            "too-many-choices",
            "unknown-option",
            "unknown-poll"
        ]
    );
    backend.is_consistent().await;
}

pub async fn a_worker_that_stops_has_counted_all_that_was_cast(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let options = WorkerOptions {
        max_wait: LONG,
        min_wait: LONG,
        max_ballots: 7,
        ..quick()
    };
    let worker = backend.worker(options);
    let receipts = crowd(backend, 100, 1).await;
    let (one, two) = tokio::join!(worker.stop(), worker.stop());
    assert_eq!(
        (one, two, worker.stop().await),
        (WorkerExit::Clean, WorkerExit::Clean, WorkerExit::Clean)
    );
    counted(backend, &receipts).await;
    assert_eq!((backend.queue)().stats().await.expect("stats").pending, 0);
    backend.is_consistent().await;
}

pub async fn another_worker_resumes_where_one_stopped(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let options = WorkerOptions {
        drain: Duration::ZERO,
        max_ballots: 5,
        ..quick()
    };
    let mut receipts = Vec::new();
    for round in 0..4u64 {
        let worker = backend.worker(options);
        let sink = backend.sink();
        for number in 0..20 {
            let vote = ballot("p", (100 * round + number).into(), 1);
            receipts.push(sink.cast(vote).await.expect("cast"));
        }
        assert_eq!(worker.stop().await, WorkerExit::Clean);
    }
    backend.is_consistent().await;
    assert_eq!(backend.worker(quick()).stop().await, WorkerExit::Clean);
    counted(backend, &receipts).await;
    assert_eq!(backend.votes().await, [80, 0]);
    backend.is_consistent().await;
}

pub async fn a_worker_that_died_before_acknowledging_makes_nothing_count_twice(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let receipts = crowd(backend, 30, 3).await;
    let queue = Arc::new(DiesBeforeAcknowledging((backend.queue)()));
    let options = WorkerOptions {
        grace: Duration::ZERO,
        ..quick()
    };
    let doomed = Worker::new(
        queue,
        backend.polls.clone(),
        backend.flusher.clone(),
        options,
    );
    let doomed = doomed.start();
    until(&doomed, "it gets into trouble", |progress| {
        progress.trouble.is_some()
    })
    .await;
    assert_eq!(doomed.stop().await, WorkerExit::Unfinished);
    let before = backend.tally().await;
    assert!(before.voters > 0, "it had flushed");

    let options = WorkerOptions {
        drain: LONG,
        ..quick()
    };
    let heir = backend.worker(options);
    until(&heir, "it takes over", |progress| {
        progress.flushed.already_applied > 0
    })
    .await;
    assert_eq!(heir.stop().await, WorkerExit::Clean);
    counted(backend, &receipts).await;
    assert_eq!(backend.votes().await, [15, 15]);
    assert_eq!((backend.queue)().stats().await.expect("stats").pending, 0);
    backend.is_consistent().await;
}

pub async fn a_store_that_fails_for_a_while_loses_nothing(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let flusher = Arc::new(FailsForAWhile {
        flusher: backend.flusher.clone(),
        failures: AtomicU32::new(7),
    });
    let worker = Worker::new((backend.queue)(), backend.polls.clone(), flusher, quick()).start();
    let receipts = crowd(backend, 40, 2).await;
    until(&worker, "it gets over it", |progress| {
        progress.batches > 0 && progress.trouble.is_none()
    })
    .await;
    assert_eq!(worker.stop().await, WorkerExit::Clean);
    counted(backend, &receipts).await;
    assert_eq!(backend.votes().await, [20, 20]);
    backend.is_consistent().await;
}

pub async fn several_workers_keep_the_last_choice_of_a_voter(backend: &Backend) {
    backend.has_poll(8, 8).await;
    let options = WorkerOptions {
        max_ballots: 3,
        ..quick()
    };
    let workers: Vec<_> = (0..4).map(|_| backend.worker(options)).collect();
    let sink = backend.sink();
    let fickle = VoterId::issue();
    let mut last = None;
    for nth in 0..300u64 {
        let mut vote = ballot("p", 0, 1 + nth % 255);
        vote.voter = fickle;
        last = Some((vote.choices, sink.cast(vote).await.expect("cast")));
    }
    for worker in &workers {
        assert_eq!(worker.stop().await, WorkerExit::Clean);
    }
    let (choices, receipt) = last.expect("ballots were cast");
    counted(backend, &[receipt]).await;
    let votes = backend.votes().await;
    let bits = (0..8)
        .filter(|option| votes[*option] == 1)
        .fold(0, |bits, option| bits | 1 << option);
    assert_eq!(Choices::from_bits(bits), Some(choices), "{votes:?}");
    backend.is_consistent().await;
}

pub async fn a_worker_that_is_handed_its_own_entries_again_tells_them_once(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let options = WorkerOptions {
        // Longer than the log waits for an acknowledgement.
        max_wait: backend.claim_timeout * 3,
        min_wait: backend.claim_timeout * 3,
        ..quick()
    };
    let worker = backend.worker(options);
    let receipts = crowd(backend, 3, 2).await;
    let done = until(&worker, "flushed by time", |progress| {
        progress.flushed.counted == 3
    })
    .await;
    assert_eq!(done.flushed.superseded, 3);
    assert_eq!(worker.stop().await, WorkerExit::Clean);
    counted(backend, &receipts).await;
    backend.is_consistent().await;
}

pub async fn a_worker_that_stops_while_the_store_is_down_leaves_the_ballots_in_the_log(
    backend: &Backend,
) {
    backend.has_poll(2, 1).await;
    let receipts = crowd(backend, 10, 1).await;
    for hangs in [false, true] {
        let down = Arc::new(Down {
            flusher: backend.flusher.clone(),
            hangs,
        });
        let options = WorkerOptions {
            grace: Duration::from_millis(100),
            ..quick()
        };
        let worker = Worker::new((backend.queue)(), backend.polls.clone(), down, options).start();
        let mut alive = worker.progress().clone();
        // It has taken the ballots, or as many as are to be had.
        alive.changed().await.expect("the worker runs");
        let exit = timeout(LONG, worker.stop())
            .await
            .expect("it does not wait for ever");
        assert_eq!(exit, WorkerExit::Unfinished, "hangs: {hangs}");
        assert_eq!((backend.queue)().stats().await.expect("stats").pending, 10);
        tokio::time::sleep(backend.claim_timeout).await;
    }
    let heir = backend.worker(quick());
    until(&heir, "it takes over", |progress| {
        progress.flushed.counted == 10
    })
    .await;
    assert_eq!(heir.stop().await, WorkerExit::Clean);
    counted(backend, &receipts).await;
    backend.is_consistent().await;
}

pub async fn a_dead_letter_is_counted_once_its_cause_is_mended(backend: &Backend) {
    // Two ballots of one voter, both before their poll was stored.
    let (first, second) = (ballot("p", 1, 0b01), ballot("p", 1, 0b10));
    let other = ballot("p", 2, 0b01);
    for ballot in [&first, &second, &other] {
        backend.append(ballot).await;
    }
    let poison = backend.append_raw(ShardId(0), b"poison".to_vec()).await;
    assert_eq!(backend.worker(quick()).stop().await, WorkerExit::Clean);
    let letters = backend.letters().await;
    assert_eq!(letters.len(), 4);
    let revive = |position| backend.revive(position);
    let of = |ballot: &crate::Ballot| {
        let payload = entry::of_one(ballot).payload;
        let letter = letters.iter().find(|letter| letter.payload == payload);
        letter.expect("it is a dead letter").position
    };
    let still = revive(of(&first)).await;
    assert!(
        matches!(still, Revived::Rejected(RejectReason::UnknownPoll, _)),
        "{still:?}"
    );
    backend.has_poll(2, 1).await;
    let counts = |counted, superseded| {
        Revived::Flushed(FlushReport {
            counted,
            superseded,
            ..FlushReport::default()
        })
    };
    // In whatever order: the voter's last one counts.
    assert_eq!(revive(of(&second)).await, counts(1, 0));
    assert_eq!(backend.votes().await, [0, 1]);
    assert_eq!(revive(of(&first)).await, counts(0, 1));
    assert_eq!(revive(of(&first)).await, Revived::NotFound);
    // Two at once count it once.
    let (one, two) = tokio::join!(revive(of(&other)), revive(of(&other)));
    assert!([&one, &two].contains(&&counts(1, 0)), "{one:?} {two:?}");
    assert_eq!(backend.votes().await, [1, 1]);
    let still = revive(Position::new(poison.0, poison.1, 0)).await;
    assert!(
        matches!(still, Revived::Rejected(RejectReason::Malformed, _)),
        "{still:?}"
    );
    assert_eq!(backend.letters().await.len(), 1);
    backend.is_consistent().await;
}

pub async fn an_unreadable_entry_is_counted_as_far_as_it_can_be(backend: &Backend) {
    // As a newer version might read what this one could not.
    backend.has_poll(2, 1).await;
    let mut entry = EntryBuilder::default();
    for vote in [
        ballot("p", 1, 0b01),
        ballot("nowhere", 2, 0b01),
        ballot("p", 1, 0b10),
    ] {
        entry.push(&vote);
    }
    let (shard, id) = entry_key(7, 0);
    let batch = Batch {
        entries: vec![((shard, id), 0)],
        dead_letters: vec![DeadLetter {
            position: Position::new(shard, id, 0),
            reason: RejectReason::Malformed,
            detail: String::new(),
            payload: entry.finish().payload,
            ballots: 3,
        }],
        ..Batch::default()
    };
    backend.flusher.flush(&batch).await.expect("flushed");
    let revived = backend.revive(Position::new(shard, id, 0)).await;
    let report = FlushReport {
        counted: 1,
        superseded: 1,
        rejected: 1,
        already_applied: 0,
    };
    assert_eq!(revived, Revived::Flushed(report));
    assert_eq!(backend.votes().await, [0, 1]);
    let left = backend.letters().await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].position, Position::new(shard, id, 1));
    assert_eq!(left[0].reason, RejectReason::UnknownPoll);
    backend.tally_agrees().await;
    let totals = backend.flusher.totals().await.expect("totals");
    assert_eq!(totals.counted + totals.superseded + totals.rejected, 3);
}

pub async fn of_a_voter_whose_newest_ballot_is_a_dead_letter_the_one_before_counts(
    backend: &Backend,
) {
    // The newer one was rejected before its poll was stored, and comes again beside the older one, which
    // was not handed out until then.
    let (older, newer) = (entry_key(1, 0), entry_key(2, 0));
    let letter = DeadLetter {
        position: Position::new(newer.0, newer.1, 0),
        reason: RejectReason::UnknownPoll,
        detail: String::new(),
        payload: Vec::new(),
        ballots: 1,
    };
    let rejected = Batch {
        entries: vec![(newer, 0)],
        dead_letters: vec![letter],
        ..Batch::default()
    };
    backend.flusher.flush(&rejected).await.expect("flushed");
    backend.has_poll(2, 1).await;
    let placed = |(shard, entry), bits| PlacedBallot {
        position: Position::new(shard, entry, 0),
        ballot: ballot("p", 1, bits),
    };
    let mut both = Batch {
        entries: vec![(older, 1), (newer, 1)],
        ballots: vec![placed(older, 0b01), placed(newer, 0b10)],
        ..Batch::default()
    };
    both.keep_one_of_each_voter();
    let report = backend.flusher.flush(&both).await.expect("flushed").report;
    assert_eq!(
        (report.counted, report.superseded, report.already_applied),
        (1, 0, 1)
    );
    assert_eq!(backend.votes().await, [1, 0]);
    backend.tally_agrees().await;
}
