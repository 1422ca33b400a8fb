//! What must become of a poll that is deleted, and of its ballots.
#![allow(missing_docs, reason = "the names are the requirements")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    Backend,
    close::{advance, becomes_final, to_close},
    scene::{ballot, batch, entry_key, poll_id, poll_of, quick, until},
};
use crate::{
    error::{CastError, StoreError},
    log::{
        BallotQueue, VoteSink,
        claim::{Claim, LogEntry},
        entry,
        stats::QueueStats,
    },
    model::{
        ballot::Ballot,
        poll::{ChangeRefusal, ChangeTo, Poll, PollChange},
        poll_state::{PollState, Seals},
        position::EntryKey,
        rejection::RejectReason,
    },
    pipeline::{
        replay::Revived,
        worker::{Worker, WorkerExit, WorkerHandle},
    },
    store::dead_letter::DeadLetter,
};

async fn change(backend: &Backend, id: &str, to: ChangeTo) -> Result<Option<Poll>, StoreError> {
    let change = PollChange::new(poll_id(id), to);
    backend.polls.change_poll(&change, "host").await
}

pub(super) async fn delete(backend: &Backend, id: &str) {
    let deleted = change(backend, id, ChangeTo::Deleted).await;
    assert_eq!(deleted.expect("deleted"), None);
}

/// Without the log.
pub(super) async fn make_final(backend: &Backend, id: &str) -> Seals {
    let seals: Seals = [entry_key(100, 2)].into_iter().collect();
    let done = PollState::Final(seals.clone());
    let there = backend.polls.advance_poll(&poll_id(id), &done).await;
    there.expect("stored");
    seals
}

pub async fn only_a_draft_or_a_final_poll_is_deleted(backend: &Backend) {
    let none = change(backend, "p", ChangeTo::Deleted).await;
    assert!(matches!(none, Err(StoreError::NoPoll(_))), "{none:?}");
    backend.has_poll(2, 1).await;
    let votes = batch(&[(1, ballot("p", 1, 1))]);
    backend.flusher.flush(&votes).await.expect("flushed");
    for state in [PollState::Open, PollState::Closing(Seals::default())] {
        let there = backend.polls.advance_poll(&poll_id("p"), &state).await;
        assert_eq!(there.expect("stored"), Some(state));
        let refused = change(backend, "p", ChangeTo::Deleted).await;
        assert!(
            matches!(
                refused,
                Err(StoreError::ChangeRefused(_, ChangeRefusal::NotDeletable))
            ),
            "{refused:?}"
        );
        assert_eq!(backend.votes().await, [1, 0]);
    }
    make_final(backend, "p").await;
    delete(backend, "p").await;
    let draft = ChangeTo::Put(Box::new(poll_of("q", 2, 1).as_draft()));
    change(backend, "q", draft).await.expect("stored");
    delete(backend, "q").await;
    assert!(backend.polls.polls().await.expect("polls").is_empty());
}

pub(super) fn letter(ms: u64, ballot: &Ballot) -> DeadLetter {
    let placed = &batch(&[(ms, ballot.clone())]).ballots[0];
    DeadLetter::of(placed, RejectReason::UnknownOption)
}

pub async fn of_a_deleted_poll_only_its_seals_and_numbers_stay(backend: &Backend) {
    // One begins like the other, and comes before and after it.
    for id in ["p", "pp", "o"] {
        let stored = backend.polls.put_poll(&poll_of(id, 2, 1)).await;
        stored.expect("stored");
    }
    let mut votes = batch(&[
        (1, ballot("p", 1, 0b01)),
        (2, ballot("p", 2, 0b10)),
        (3, ballot("pp", 1, 0b10)),
        (4, ballot("o", 1, 0b10)),
    ]);
    votes.dead_letters = vec![
        letter(5, &ballot("p", 9, 0b100)),
        letter(6, &ballot("pp", 9, 0b100)),
        letter(7, &ballot("o", 9, 0b100)),
        DeadLetter {
            reason: RejectReason::Malformed,
            detail: "poll p".to_owned(),
            payload: b"poll p".to_vec(),
            ..letter(8, &ballot("p", 9, 0b100))
        },
    ];
    votes
        .entries
        .extend((5..=8).map(|ms| (entry_key(ms, 0), 0)));
    backend.flusher.flush(&votes).await.expect("flushed");
    let changed_mind = batch(&[(9, ballot("p", 1, 0b10))]);
    backend.flusher.flush(&changed_mind).await.expect("flushed");
    let totals = backend.flusher.totals().await.expect("totals");
    assert_eq!(
        (totals.counted, totals.superseded, totals.rejected),
        (4, 1, 4)
    );
    let letters = backend.letters().await;
    let seals = make_final(backend, "p").await;
    delete(backend, "p").await;
    assert_eq!(backend.flusher.totals().await.expect("totals"), totals);
    let p = poll_id("p");
    assert_eq!(backend.polls.poll(&p).await.expect("an answer"), None);
    assert_eq!(backend.tallies.tally(&p).await.expect("an answer"), None);
    assert_eq!(backend.tallies.recount(&p).await.expect("an answer"), None);
    let left = backend.polls.polls().await.expect("polls");
    let left: Vec<_> = left.iter().map(|poll| poll.id().as_str()).collect();
    assert_eq!(left, ["pp", "o"]);
    for id in ["pp", "o"] {
        assert!(!backend.polls.is_deleted(&poll_id(id)).await.expect("so"));
        let recount = backend.tallies.recount(&poll_id(id)).await;
        let recount = recount.expect("a recount").expect("the poll");
        assert!(recount.agrees(), "{recount:?}");
        assert_eq!(recount.kept.votes, [0, 1]);
    }
    // The ballot is gone from its dead letter, the others are as they were.
    let mut emptied = letters;
    emptied[0].payload.clear();
    emptied[0].detail.clear();
    assert_eq!(backend.letters().await, emptied);
    let position = emptied[0].position;
    let revived = backend.revive(position).await;
    assert!(matches!(revived, Revived::Rejected(..)), "{revived:?}");
    assert!(backend.polls.is_deleted(&p).await.expect("so"));
    let deleted = backend.polls.deleted_polls().await.expect("tombstones");
    assert_eq!(deleted, [(p, seals)]);
}

pub async fn the_id_of_a_deleted_poll_is_never_used_again(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let seals = make_final(backend, "p").await;
    let stored = backend.polls.poll(&poll_id("p")).await.expect("an answer");
    let stored = Box::new(stored.expect("the poll"));
    delete(backend, "p").await;
    let log = backend.audit.audit_log(0, 100).await.expect("the log");
    let new = Box::new(poll_of("p", 3, 1));
    for to in [
        ChangeTo::Put(new.clone()),
        ChangeTo::Put(Box::new(poll_of("p", 2, 1).as_draft())),
        ChangeTo::Defined(new),
        ChangeTo::Restored(stored),
        ChangeTo::State(PollState::Final(seals.clone())),
        ChangeTo::Settled {
            times: 1,
            is_confirmed: true,
        },
        ChangeTo::Archived(true),
        ChangeTo::Deleted,
    ] {
        let refused = change(backend, "p", to).await;
        let Err(StoreError::PollDeleted(id)) = &refused else {
            panic!("{refused:?}")
        };
        assert_eq!(*id, poll_id("p"));
    }
    let done = PollState::Final(seals);
    let none = backend.polls.advance_poll(&poll_id("p"), &done).await;
    assert_eq!(none.expect("an answer"), None);
    assert!(backend.polls.polls().await.expect("polls").is_empty());
    let after = backend.audit.audit_log(0, 100).await.expect("the log");
    assert_eq!(after, log);
}

/// A log that hands out what it is given.
#[derive(Default)]
pub(super) struct HandsOut {
    entries: Mutex<VecDeque<LogEntry>>,
    acknowledged: Mutex<Vec<EntryKey>>,
}

impl HandsOut {
    pub(super) fn again(&self, entries: &[(EntryKey, Vec<u8>)]) {
        let entries = entries.iter().map(|((shard, id), payload)| LogEntry {
            shard: *shard,
            id: *id,
            payload: payload.clone(),
            ballots: 1,
            traces: Vec::new(),
            foreign: None,
        });
        let mut waiting = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(entries);
    }

    pub(super) fn acknowledged(&self) -> usize {
        let done = self.acknowledged.lock();
        done.unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[async_trait]
impl BallotQueue for HandsOut {
    async fn claim(&self, _: usize, wait: Duration) -> Result<Claim, StoreError> {
        let entries: Vec<_> = {
            let mut waiting = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.drain(..).collect()
        };
        if entries.is_empty() {
            tokio::time::sleep(wait.min(Duration::from_millis(5))).await;
        }
        Ok(Claim {
            entries,
            ..Claim::default()
        })
    }

    async fn acknowledge(&self, entries: &[EntryKey]) -> Result<(), StoreError> {
        let done = self.acknowledged.lock();
        done.unwrap_or_else(PoisonError::into_inner).extend(entries);
        Ok(())
    }

    async fn stats(&self) -> Result<QueueStats, StoreError> {
        Ok(QueueStats::default())
    }
}

pub(super) fn worker(backend: &Backend, queue: &Arc<HandsOut>) -> WorkerHandle {
    let (polls, flusher) = (Arc::clone(&backend.polls), Arc::clone(&backend.flusher));
    Worker::new(Arc::clone(queue) as _, polls, flusher, quick()).start()
}

pub async fn ballots_of_a_deleted_poll_that_come_again_change_nothing(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let stored = backend.polls.put_poll(&poll_of("q", 2, 1)).await;
    stored.expect("stored");
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
    let knows_the_poll = worker(backend, &queue);
    let is_counted = async |worker: &WorkerHandle, entries: usize| {
        until(worker, "all is counted", |progress| {
            assert_eq!(progress.trouble, None);
            queue.acknowledged() == entries
        })
        .await;
    };
    queue.again(&entries);
    is_counted(&knows_the_poll, 5).await;
    let totals = backend.flusher.totals().await.expect("totals");
    assert_eq!(
        (totals.counted, totals.superseded, totals.rejected),
        (3, 1, 1)
    );
    make_final(backend, "p").await;
    delete(backend, "p").await;
    let letters = backend.letters().await;
    assert!(letters[0].payload.is_empty());

    // To the worker that takes the poll for open, and to one that never knew it.
    queue.again(&entries);
    is_counted(&knows_the_poll, 10).await;
    assert_eq!(knows_the_poll.stop().await, WorkerExit::Clean);
    let knows_nothing = worker(backend, &queue);
    queue.again(&entries);
    is_counted(&knows_nothing, 15).await;
    assert_eq!(backend.flusher.totals().await.expect("totals"), totals);
    assert_eq!(backend.letters().await, letters);

    // Ballots that come for the first time: somebody has written to the log by hand.
    queue.again(&[one(200, "p", 7, 0b01), one(201, "q", 7, 0b01)]);
    is_counted(&knows_nothing, 17).await;
    queue.again(&[one(202, "p", 8, 0b01)]);
    is_counted(&knows_nothing, 18).await;
    assert_eq!(knows_nothing.stop().await, WorkerExit::Clean);
    let after = backend.flusher.totals().await.expect("totals");
    assert_eq!(after.counted, totals.counted + 1);
    assert_eq!(after.rejected, totals.rejected);
    // Each ballot is told once, these too.
    assert_eq!(after.superseded, totals.superseded + 2);
    assert_eq!(backend.letters().await, letters);
    let recount = backend.tallies.recount(&poll_id("q")).await;
    let recount = recount.expect("a recount").expect("the poll");
    assert!(recount.agrees(), "{recount:?}");
    assert_eq!(recount.kept.votes, [2, 1]);
}

pub async fn a_batch_and_the_store_agree_on_what_is_deleted(backend: &Backend) {
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
    // The store was put back to a time at which the poll was there: its ballots must count.
    let mut without = batch(&[(1, ballot("q", 1, 1))]);
    without.deleted.insert(poll_id("p"));
    refused(without.clone()).await;
    let totals = backend.flusher.totals().await.expect("totals");
    assert_eq!(totals.counted, 0);
    make_final(backend, "p").await;
    refused(without.clone()).await;
    delete(backend, "p").await;
    refused(batch(&[(2, ballot("p", 1, 1)), (3, ballot("q", 2, 1))])).await;
    let flushed = backend.flusher.flush(&without).await.expect("flushed");
    assert_eq!(flushed.report.counted, 1);
    assert_eq!(backend.flusher.totals().await.expect("totals").counted, 1);
}

pub async fn a_deleted_poll_is_sealed_again_in_a_log_that_was_made_anew(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let other = backend.polls.put_poll(&poll_of("q", 2, 1)).await;
    other.expect("stored");
    let sink = backend.sink();
    // This log was never sealed for the poll.
    make_final(backend, "p").await;
    delete(backend, "p").await;
    assert_eq!(advance(backend).await, 0);
    for number in 0..10 {
        let late = sink.cast(ballot("p", number, 1)).await;
        assert!(matches!(late, Err(CastError::Closed(_))), "{late:?}");
        sink.cast(ballot("q", number, 1)).await.expect("cast");
    }
}

pub async fn a_poll_that_is_deleted_stays_so(backend: Backend) {
    backend.has_poll(2, 1).await;
    for number in 0..5 {
        backend.cast(ballot("p", number, 1)).await;
    }
    backend.cast(ballot("p", 9, 0b100)).await;
    assert_eq!(backend.worker(quick()).stop().await, WorkerExit::Clean);
    to_close(&backend).await;
    becomes_final(&backend).await;
    let poll = backend.polls.poll(&poll_id("p")).await.expect("an answer");
    let seals = poll.expect("the poll").state().seals().clone();
    delete(&backend, "p").await;
    let all = async |backend: &Backend| {
        (
            backend.flusher.totals().await.expect("totals"),
            backend.letters().await,
            backend.audit.audit_log(0, 100).await.expect("the log"),
        )
    };
    let before = all(&backend).await;
    let Some(backend) = backend.reopened().await else {
        return;
    };
    assert_eq!(all(&backend).await, before);
    let deleted = backend.polls.deleted_polls().await.expect("tombstones");
    assert_eq!(deleted, [(poll_id("p"), seals)]);
    let refused = backend.polls.put_poll(&poll_of("p", 2, 1)).await;
    assert!(matches!(refused, Err(StoreError::PollDeleted(_))));
    let late = backend.sink().cast(ballot("p", 99, 1)).await;
    assert!(matches!(late, Err(CastError::Closed(_))), "{late:?}");
    let stats = (backend.queue)().stats().await.expect("stats");
    let totals = before.0;
    assert_eq!(
        stats.accepted,
        totals.counted + totals.superseded + totals.rejected + stats.pending
    );
}
