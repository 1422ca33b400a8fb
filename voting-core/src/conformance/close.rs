//! What log, store and worker must do when a poll closes.
#![allow(missing_docs, reason = "the names are the requirements")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use super::{
    Backend,
    scene::{LONG, ballot, batch, entry_key, poll_id, poll_of, quick, until},
};
use crate::{
    error::{CastError, StoreError},
    log::{
        VoteSink,
        entry::{self, EntryBuilder},
    },
    model::{
        ballot::VoterId,
        poll_state::{PollState, Seals},
        position::{EntryKey, ShardId},
        rejection::RejectReason,
    },
    pipeline::{
        closing,
        replay::Revived,
        worker::{WorkerExit, WorkerOptions},
    },
    store::{batch::Revival, outcome::Totals},
};

pub(super) async fn advance(backend: &Backend) -> usize {
    let queue = (backend.queue)();
    closing::advance(backend.log.as_ref(), queue.as_ref(), backend.polls.as_ref())
        .await
        .expect("a step")
}

async fn state(backend: &Backend) -> PollState {
    let poll = backend.polls.poll(&poll_id("p")).await.expect("an answer");
    poll.expect("the poll is there").state().clone()
}

pub(super) async fn to_close(backend: &Backend) {
    is_to_close(backend, "p").await;
}

async fn is_to_close(backend: &Backend, poll: &str) {
    let closing = PollState::Closing(Seals::default());
    let state = backend.polls.advance_poll(&poll_id(poll), &closing).await;
    assert_eq!(state.expect("stored"), Some(closing));
}

pub(super) async fn becomes_final(backend: &Backend) {
    let deadline = Instant::now() + LONG;
    while advance(backend).await > 0 {
        assert!(Instant::now() < deadline, "the poll never becomes final");
        sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(state(backend).await, PollState::Final(_)));
}

pub async fn a_sealed_shard_takes_no_more_ballots_of_the_poll(backend: &Backend) {
    let (ours, other) = (ballot("p", 1, 1), ballot("q", 1, 1));
    let shard = ShardId::of(ours.voter, backend.log.shards());
    let append = |entry| backend.log.append(shard, entry);
    let first = append(entry::of_one(&ours)).await.expect("appended");
    let polls = [poll_id("p")];
    let last = backend.log.seal(shard, &polls).await.expect("sealed");
    assert!(last >= first);
    let mut both = EntryBuilder::default();
    both.push(&other);
    both.push(&ours);
    for refused in [entry::of_one(&ours), both.finish()] {
        let refused = append(refused).await;
        let Err(CastError::Closed(poll)) = &refused else {
            panic!("{refused:?}")
        };
        assert_eq!(*poll, polls[0]);
    }
    let next = append(entry::of_one(&other)).await.expect("appended");
    assert!(next > last);
    let again = backend.log.seal(shard, &polls).await.expect("sealed");
    assert!(again >= next);
    let refused = append(entry::of_one(&ours)).await;
    assert!(matches!(refused, Err(CastError::Closed(_))), "{refused:?}");
    let stats = (backend.queue)().stats().await.expect("stats");
    assert_eq!(stats.accepted, 2, "what is refused is not in the log");
    for other_shard in (0..backend.log.shards()).map(ShardId) {
        if other_shard != shard {
            let appended = backend.log.append(other_shard, entry::of_one(&ours)).await;
            appended.expect("the other shards are not sealed");
        }
    }
}

pub async fn the_log_is_settled_past_its_end_once_all_is_acknowledged(backend: &Backend) {
    let acknowledged_below = async |(shard, _): EntryKey| {
        let stats = (backend.queue)().stats().await.expect("stats");
        stats.acknowledged_below[&shard]
    };
    let first = backend.append(&ballot("p", 1, 1)).await;
    assert!(acknowledged_below(first).await <= first.1, "not handed out");
    let queue = (backend.queue)();
    queue.claim(10, LONG).await.expect("claimed");
    assert!(acknowledged_below(first).await <= first.1, "in hand");
    let second = backend.append(&ballot("p", 1, 1)).await;
    queue.acknowledge(&[first]).await.expect("acknowledged");
    let at = acknowledged_below(first).await;
    assert!(first.1 < at && at <= second.1, "{at}");
    queue.claim(10, LONG).await.expect("claimed");
    queue.acknowledge(&[second]).await.expect("acknowledged");
    assert!(acknowledged_below(second).await > second.1);
}

pub async fn a_state_is_kept_and_never_goes_back(backend: &Backend) {
    backend.has_poll(2, 1).await;
    assert_eq!(state(backend).await, PollState::Open);
    to_close(backend).await;
    let key = entry_key(7, 3);
    let done = PollState::Final([key].into_iter().collect());
    for to in [
        &done,
        &PollState::Open,
        &PollState::Closing(Seals::default()),
    ] {
        let now = backend.polls.advance_poll(&poll_id("p"), to).await;
        assert_eq!(now.expect("stored"), Some(done.clone()));
    }
    // New labels leave the state as it is.
    backend.has_poll(2, 1).await;
    assert_eq!(state(backend).await, done);
    let all = backend.polls.polls().await.expect("polls");
    assert_eq!(*all[0].state(), done);
    let none = backend.polls.advance_poll(&poll_id("none"), &done).await;
    assert_eq!(none.expect("an answer"), None);
}

pub async fn a_flush_is_refused_whole_when_a_poll_does_not_take_a_ballot(backend: &Backend) {
    backend.has_poll(2, 1).await;
    backend
        .polls
        .put_poll(&poll_of("q", 2, 1))
        .await
        .expect("stored");
    let seal = entry_key(10, 0);
    let closing = PollState::Closing([seal].into_iter().collect());
    let sealed = backend.polls.advance_poll(&poll_id("p"), &closing).await;
    sealed.expect("stored");
    let refused = |poll: &str, ms| {
        let batch = batch(&[(1, ballot("q", 1, 1)), (ms, ballot(poll, 2, 1))]);
        let poll = poll_id(poll);
        async move {
            let flushed = backend.flusher.flush(&batch).await;
            let Err(StoreError::PollChanged(id)) = &flushed else {
                panic!("{flushed:?}")
            };
            assert_eq!(*id, poll);
        }
    };
    refused("p", 11).await;
    refused("nowhere", 5).await;
    assert_eq!(
        backend.flusher.totals().await.expect("totals"),
        Totals::default()
    );
    let in_time = batch(&[(10, ballot("p", 2, 1))]);
    backend.flusher.flush(&in_time).await.expect("flushed");
    let done = PollState::Final(Seals::default());
    let is_final = backend.polls.advance_poll(&poll_id("p"), &done).await;
    is_final.expect("stored");
    refused("p", 11).await;
    // A replay is no late ballot.
    let replay = backend.flusher.flush(&in_time).await.expect("flushed");
    assert_eq!(replay.report.already_applied, 1);
    assert_eq!(backend.votes().await, [1, 0]);
    backend.tally_agrees().await;
}

pub async fn a_poll_is_final_once_all_that_was_acknowledged_is_counted(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let sink = backend.sink();
    for number in 0..20 {
        sink.cast(ballot("p", number, 1)).await.expect("cast");
    }
    assert_eq!(advance(backend).await, 0, "it is open");
    to_close(backend).await;
    assert_eq!(advance(backend).await, 1);
    let refused = sink.cast(ballot("p", 99, 1)).await;
    assert!(matches!(refused, Err(CastError::Closed(_))), "{refused:?}");
    // In hand, but not counted.
    let queue = (backend.queue)();
    queue.claim(1_000, LONG).await.expect("claimed");
    assert_eq!(advance(backend).await, 1);
    assert!(matches!(state(backend).await, PollState::Closing(_)));
    drop(queue);
    let worker = backend.worker(quick());
    becomes_final(backend).await;
    assert_eq!(backend.votes().await, [20, 0]);
    worker.stop().await;
    backend.is_consistent().await;
}

pub async fn a_poll_that_nobody_voted_in_becomes_final_without_a_worker(backend: &Backend) {
    // There is no entry that a worker could acknowledge, in no shard.
    backend.has_poll(2, 1).await;
    to_close(backend).await;
    assert_eq!(advance(backend).await, 0);
    let PollState::Final(seals) = state(backend).await else {
        panic!("it is not final")
    };
    assert_eq!(seals.iter().count(), usize::from(backend.log.shards()));
    assert_eq!(backend.votes().await, [0, 0]);
}

pub async fn polls_that_close_together_are_all_sealed_and_others_go_on(backend: &Backend) {
    backend.has_poll(2, 1).await;
    for id in ["q", "r", "open"] {
        let stored = backend.polls.put_poll(&poll_of(id, 2, 1)).await;
        stored.expect("stored");
    }
    let sink = backend.sink();
    for number in 0..10 {
        for poll in ["p", "q", "r", "open"] {
            sink.cast(ballot(poll, number, 1)).await.expect("cast");
        }
    }
    for poll in ["p", "q", "r"] {
        is_to_close(backend, poll).await;
    }
    assert_eq!(advance(backend).await, 3);
    for poll in ["p", "q", "r"] {
        let late = sink.cast(ballot(poll, 99, 1)).await;
        assert!(
            matches!(&late, Err(CastError::Closed(id)) if id.as_str() == poll),
            "{late:?}"
        );
    }
    sink.cast(ballot("open", 99, 1)).await.expect("cast");
    let worker = backend.worker(quick());
    becomes_final(backend).await;
    worker.stop().await;
    for (poll, votes) in [("p", 10), ("q", 10), ("r", 10), ("open", 11)] {
        let id = poll_id(poll);
        let stored = backend.polls.poll(&id).await.expect("an answer");
        let is_final = stored.expect("the poll is there").state().is_final();
        assert_eq!(is_final, poll != "open", "{poll}");
        let tally = backend.tallies.tally(&id).await.expect("an answer");
        assert_eq!(
            tally.expect("the poll is there").votes,
            [votes, 0],
            "{poll}"
        );
    }
    backend.is_consistent().await;
}

pub async fn closing_under_load_loses_no_acknowledged_ballot(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let workers = [backend.worker(quick()), backend.worker(quick())];
    let sink = Arc::new(backend.sink());
    let (acknowledged, over) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let crowd: Vec<_> = (0..20)
        .map(|_| {
            let (sink, acknowledged) = (Arc::clone(&sink), Arc::clone(&acknowledged));
            let over = Arc::clone(&over);
            tokio::spawn(async move {
                loop {
                    let mut vote = ballot("p", 0, 1);
                    vote.voter = VoterId::issue();
                    match sink.cast(vote).await {
                        Ok(_) if over.load(Ordering::Acquire) => {
                            panic!("acknowledged after the poll was final")
                        }
                        Ok(_) => _ = acknowledged.fetch_add(1, Ordering::AcqRel),
                        // Its shard is sealed; others may not be yet.
                        Err(CastError::Closed(_)) if over.load(Ordering::Acquire) => return,
                        Err(CastError::Closed(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let enough = async {
        while acknowledged.load(Ordering::Acquire) < 200 {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LONG, enough).await.expect("ballots are cast");
    to_close(backend).await;
    // Two at a time, as two workers do.
    let first = async {
        becomes_final(backend).await;
        backend.votes().await
    };
    let (votes, ()) = tokio::join!(first, becomes_final(backend));
    over.store(true, Ordering::Release);
    for voter in crowd {
        voter.await.expect("no panic");
    }
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(votes, [acknowledged.load(Ordering::Acquire), 0]);
    assert_eq!(backend.votes().await, votes, "it never changes again");
    backend.is_consistent().await;
}

pub async fn a_ballot_pushed_past_the_seal_is_set_aside_and_the_one_before_it_counts(
    backend: &Backend,
) {
    backend.has_poll(2, 1).await;
    // The worker gets to know the poll while it is open.
    let worker = backend.worker(WorkerOptions {
        max_wait: Duration::from_millis(100),
        min_wait: Duration::from_millis(100),
        ..quick()
    });
    backend.cast(ballot("p", 1, 0b01)).await;
    until(&worker, "flushed by time", |progress| {
        progress.flushed.counted == 1
    })
    .await;
    to_close(backend).await;
    let (in_time, late) = (ballot("p", 2, 0b01), ballot("p", 2, 0b10));
    backend.cast(in_time).await;
    // Sealing may take longer than the worker needs for this ballot, if the log waits for replicas. Then the poll is final.
    assert!(advance(backend).await <= 1);
    // Past what the log would refuse, as somebody could who writes to it by hand.
    let shard = ShardId::of(late.voter, backend.log.shards());
    let payload = entry::of_one(&late).payload;
    backend.append_raw(shard, payload).await;
    becomes_final(backend).await;
    assert_eq!(backend.votes().await, [2, 0]);
    worker.stop().await;
    assert_eq!(backend.worker(quick()).stop().await, WorkerExit::Clean);
    assert_eq!(backend.votes().await, [2, 0]);
    let letters = backend.letters().await;
    let reasons: Vec<_> = letters.iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, [RejectReason::PollClosed]);
    backend.is_consistent().await;
}

pub async fn a_dead_letter_is_not_replayed_into_a_final_poll(backend: &Backend) {
    // Rejected before its poll was stored; cast in time all the same.
    backend.append(&ballot("p", 1, 0b01)).await;
    assert_eq!(backend.worker(quick()).stop().await, WorkerExit::Clean);
    backend.has_poll(2, 1).await;
    to_close(backend).await;
    becomes_final(backend).await;
    let position = backend.letters().await[0].position;
    let revived = backend.revive(position).await;
    assert!(
        matches!(revived, Revived::Rejected(RejectReason::PollClosed, _)),
        "{revived:?}"
    );
    // Nor when the poll became final only after it was looked up.
    let mut late = batch(&[(1, ballot("p", 1, 0b01))]);
    late.entries.clear();
    late.ballots[0].position = position;
    late.revived = vec![Revival { position, valid: 1 }];
    let refused = backend.flusher.flush(&late).await;
    assert!(
        matches!(refused, Err(StoreError::PollChanged(_))),
        "{refused:?}"
    );
    assert_eq!(backend.votes().await, [0, 0]);
    backend.is_consistent().await;
}
