//! What must still be so once the back end was opened anew, as after a crash of the process.
//!
//! A back end that keeps nothing beyond its process says so, see [`Backend::reopen`], and passes.
#![allow(missing_docs, reason = "the names are the requirements")]

use super::{
    Backend, close,
    scene::{LONG, ballot, batch, claim_all, entry_key, poll_id, poll_of, quick, voter},
    times,
};
use crate::{
    error::{CastError, StoreError},
    log::{VoteSink, entry},
    model::{
        poll::PollWindow,
        poll_state::{PollState, Seals},
        position::{Position, ShardId},
        receipt::{Receipt, ReceiptState},
        rejection::RejectReason,
    },
    pipeline::worker::WorkerExit,
    store::{batch::Batch, dead_letter::DeadLetter},
};

pub async fn what_was_appended_and_not_acknowledged_is_still_there(backend: Backend) {
    let mut put = Vec::new();
    for number in 0..6 {
        put.push(backend.append(&ballot("p", number, 1)).await);
    }
    let queue = (backend.queue)();
    let claim = queue.claim(3, LONG).await.expect("claimed");
    let first = claim.entries.first().expect("one at least");
    let done = (first.shard, first.id);
    queue.acknowledge(&[done]).await.expect("acknowledged");
    drop(queue);
    let Some(backend) = backend.reopened().await else {
        return;
    };
    let stats = (backend.queue)().stats().await.expect("stats");
    assert_eq!((stats.accepted, stats.pending), (6, 5));
    put.retain(|key| *key != done);
    put.sort();
    // Also what was in hand: its consumer is gone.
    let mut claimed = Vec::new();
    for entry in claim_all((backend.queue)().as_ref(), 5, 100).await {
        entry::decode(&entry.payload).expect("the payload as it was put");
        claimed.push((entry.shard, entry.id));
    }
    claimed.sort();
    assert_eq!(claimed, put);
}

pub async fn ids_go_on_where_they_were(backend: Backend) {
    let shards = backend.log.shards();
    let mut last = Vec::new();
    for shard in (0..shards).map(ShardId) {
        let (_, id) = backend.append_raw(shard, vec![1]).await;
        last.push((shard, id));
    }
    // Those that left the log count as well.
    let queue = (backend.queue)();
    let mut left = last.len();
    while left > 0 {
        let claim = queue.claim(100, LONG).await.expect("claimed");
        let keys: Vec<_> = claim
            .entries
            .iter()
            .map(|entry| (entry.shard, entry.id))
            .collect();
        queue.acknowledge(&keys).await.expect("acknowledged");
        left -= keys.len();
    }
    drop(queue);
    let Some(backend) = backend.reopened().await else {
        return;
    };
    assert_eq!(backend.log.shards(), shards);
    let stats = (backend.queue)().stats().await.expect("stats");
    for (shard, last) in last {
        assert!(stats.acknowledged_below[&shard] > last);
        let sealed = backend.log.seal(shard, &[]).await.expect("an answer");
        assert!(sealed >= last, "{sealed} and {last}");
        let (_, id) = backend.append_raw(shard, vec![1]).await;
        assert!(id > last && id > sealed, "{id} after {last}");
    }
}

pub async fn a_seal_holds(backend: Backend) {
    let polls = [poll_id("p"), poll_id("q")];
    let last = backend.log.seal(ShardId(0), &polls).await.expect("sealed");
    let Some(backend) = backend.reopened().await else {
        return;
    };
    let append = async |poll| {
        let entry = entry::of_one(&ballot(poll, 1, 1));
        backend.log.append(ShardId(0), entry).await
    };
    for poll in ["p", "q"] {
        let refused = append(poll).await;
        assert!(
            matches!(&refused, Err(CastError::Closed(id)) if id.as_str() == poll),
            "{refused:?}"
        );
    }
    assert!(append("other").await.expect("appended") > last);
}

pub async fn a_window_holds(backend: Backend) {
    let now = times::clock(&backend, ShardId(0)).await;
    let (long_ago, later) = (Some(now - 3_600_000), Some(now + 3_600_000));
    let windows = [
        PollWindow {
            times: 4,
            ..times::window("open", 3, long_ago, later)
        },
        times::window("late", 1, None, long_ago),
        times::window("early", 1, later, None),
    ];
    for shard in (0..backend.log.shards()).map(ShardId) {
        times::has(&backend, shard, &windows).await;
    }
    let Some(backend) = backend.reopened().await else {
        return;
    };
    for shard in (0..backend.log.shards()).map(ShardId) {
        let append =
            async |poll, rules| times::append(&backend, shard, &[(poll, Some(rules))]).await;
        let older = PollWindow {
            times: 3,
            closes_at: long_ago.map(times::moment),
            ..windows[0].clone()
        };
        let answer = times::set(&backend, shard, &[older]).await;
        assert_eq!(answer.held, windows[..1], "an older window was taken");
        assert!(answer.clock_ms >= now);
        // A log that cannot tell a restart from a backup takes no ballots before it gets the windows again.
        if let Err(why) = append("open", 3).await {
            assert!(matches!(why, CastError::TimesUnknown(_)), "{why:?}");
            assert_eq!(times::why(append("late", 1).await), "late times unknown");
            assert_eq!(times::why(append("early", 1).await), "early times unknown");
            times::has(&backend, shard, &windows).await;
            append("open", 3).await.expect("it is open");
        }
        assert_eq!(times::why(append("open", 2).await), "open changed");
        assert_eq!(times::why(append("late", 1).await), "late closed");
        assert_eq!(times::why(append("early", 1).await), "early not open");
    }
}

pub async fn what_was_flushed_is_still_there(backend: Backend) {
    backend.has_poll(2, 1).await;
    let stored = backend.polls.put_poll(&poll_of("q", 3, 2)).await;
    stored.expect("stored");
    let letter = DeadLetter {
        position: Position::new(ShardId(0), entry_key(3, 0).1, 0),
        reason: RejectReason::UnknownPoll,
        detail: "none of that name".to_owned(),
        payload: vec![0, 0xff],
        ballots: 2,
    };
    let first = batch(&[(1, ballot("p", 1, 0b01)), (2, ballot("q", 1, 0b101))]);
    let second = Batch {
        entries: vec![(entry_key(3, 0), 0), (entry_key(4, 0), 1)],
        dead_letters: vec![letter.clone()],
        acknowledged_below: [entry_key(2, 0)].into(),
        ..batch(&[(4, ballot("p", 1, 0b10))])
    };
    for batch in [&first, &second] {
        backend.flusher.flush(batch).await.expect("flushed");
    }
    let seals: Seals = [entry_key(9, 0)].into_iter().collect();
    let done = PollState::Final(seals);
    let advanced = backend.polls.advance_poll(&poll_id("q"), &done).await;
    advanced.expect("stored");
    let all = async |backend: &Backend| {
        let of_q = backend
            .tallies
            .tally(&poll_id("q"))
            .await
            .expect("an answer");
        (
            (backend.tally().await, of_q),
            backend.flusher.totals().await.expect("totals"),
            backend.polls.polls().await.expect("polls"),
            backend.letters().await,
        )
    };
    let before = all(&backend).await;
    let Some(backend) = backend.reopened().await else {
        return;
    };
    assert_eq!(all(&backend).await, before);
    assert_eq!(before.3, [letter]);
    for (ms, expected) in [(1, ReceiptState::Superseded), (4, ReceiptState::Counted)] {
        let receipt = Receipt {
            poll: poll_id("p"),
            voter: voter(1),
            position: Position::new(ShardId(0), entry_key(ms, 0).1, 0),
        };
        let state = backend.tallies.receipt_state(&receipt).await;
        assert_eq!(state.expect("a state"), expected);
    }
    // The marks of what was applied as well, and the state.
    for (again, entries) in [(&first, 2), (&second, 2)] {
        let report = backend.flusher.flush(again).await.expect("flushed").report;
        assert_eq!(
            (report.already_applied, report.counted, report.rejected),
            (entries, 0, 0)
        );
    }
    let late = backend
        .flusher
        .flush(&batch(&[(10, ballot("q", 2, 1))]))
        .await;
    assert!(matches!(late, Err(StoreError::PollChanged(_))), "{late:?}");
    assert_eq!(all(&backend).await, before);
    backend.tally_agrees().await;
}

pub async fn a_poll_that_was_closing_becomes_final_with_all_its_ballots(backend: Backend) {
    backend.has_poll(2, 1).await;
    let sink = backend.sink();
    let mut receipts = Vec::new();
    for number in 0..20 {
        receipts.push(sink.cast(ballot("p", number, 1)).await.expect("cast"));
    }
    sink.close().await;
    drop(sink);
    close::to_close(&backend).await;
    assert_eq!(close::advance(&backend).await, 1);
    let Some(backend) = backend.reopened().await else {
        return;
    };
    let late = backend.sink().cast(ballot("p", 99, 1)).await;
    assert!(matches!(late, Err(CastError::Closed(_))), "{late:?}");
    let worker = backend.worker(quick());
    close::becomes_final(&backend).await;
    assert_eq!(worker.stop().await, WorkerExit::Clean);
    assert_eq!(backend.votes().await, [20, 0]);
    for receipt in &receipts {
        let state = backend.tallies.receipt_state(receipt).await;
        assert_eq!(state.expect("a state"), ReceiptState::Counted);
    }
    backend.is_consistent().await;
}
