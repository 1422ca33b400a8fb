//! What a store must do: [`BatchFlusher`](crate::BatchFlusher),
//! [`TallyStore`](crate::TallyStore), [`PollStore`](crate::PollStore) and
//! [`DeadLetterStore`](crate::DeadLetterStore).
#![allow(missing_docs, reason = "the names are the requirements")]

use std::sync::Arc;

use super::{
    Backend,
    scene::{ballot, batch, entry_key, poll_id, poll_of},
};
use crate::{
    error::StoreError,
    model::{
        position::{Position, ShardId},
        receipt::{Receipt, ReceiptState},
        rejection::RejectReason,
    },
    store::{
        batch::Batch,
        dead_letter::{DeadLetter, LISTED, MAX_PAYLOAD},
        outcome::{FlushReport, Totals},
    },
};

async fn flush(backend: &Backend, batch: &Batch) -> FlushReport {
    backend.flusher.flush(batch).await.expect("flushed").report
}

async fn totals(backend: &Backend) -> Totals {
    backend.flusher.totals().await.expect("totals")
}

/// The tally is what the ballots say, and each of `flushed` ballots is told once.
async fn adds_up(backend: &Backend, flushed: u64) {
    backend.tally_agrees().await;
    let totals = totals(backend).await;
    let reported = totals.counted + totals.superseded + totals.rejected;
    assert_eq!(reported, flushed, "{totals:?}");
}

pub async fn a_first_ballot_counts(backend: &Backend) {
    backend.has_poll(2, 1).await;
    assert_eq!(backend.votes().await, [0, 0]);
    let two = batch(&[(1, ballot("p", 1, 0b01)), (2, ballot("p", 2, 0b10))]);
    let report = flush(backend, &two).await;
    assert_eq!(
        report,
        FlushReport {
            counted: 2,
            ..FlushReport::default()
        }
    );
    let tally = backend.tally().await;
    assert_eq!((tally.voters, tally.votes), (2, vec![1, 1]));
    assert_eq!(
        backend
            .tallies
            .tally(&poll_id("other"))
            .await
            .expect("an answer"),
        None
    );
    assert_eq!(
        backend
            .tallies
            .recount(&poll_id("other"))
            .await
            .expect("an answer"),
        None
    );
    backend
        .tallies
        .ready_to_read()
        .await
        .expect("the store answers");
}

pub async fn a_replayed_batch_changes_nothing(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let first = batch(&[(1, ballot("p", 1, 0b01)), (2, ballot("p", 2, 0b10))]);
    let second = batch(&[(3, ballot("p", 1, 0b10))]);
    flush(backend, &first).await;
    flush(backend, &second).await;
    let (tally, before) = (backend.tally().await, totals(backend).await);
    assert_eq!(
        before,
        Totals {
            counted: 2,
            superseded: 1,
            rejected: 0
        }
    );
    for (again, entries) in [(&first, 2), (&second, 1), (&first, 2)] {
        let report = flush(backend, again).await;
        assert_eq!(
            report,
            FlushReport {
                already_applied: entries,
                ..FlushReport::default()
            }
        );
    }
    assert_eq!(
        (backend.tally().await, totals(backend).await),
        (tally, before)
    );
    backend.tally_agrees().await;
}

pub async fn a_batch_that_was_partly_written_before_counts_the_rest(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let old = (1, ballot("p", 1, 0b01));
    flush(backend, &batch(std::slice::from_ref(&old))).await;
    let both = batch(&[old, (2, ballot("p", 2, 0b10))]);
    let report = flush(backend, &both).await;
    assert_eq!((report.counted, report.already_applied), (1, 1));
    // Below the settled mark all is applied, without a mark of its own.
    let mut acknowledged_below = batch(&[(3, ballot("p", 3, 0b10))]);
    acknowledged_below.acknowledged_below = [entry_key(3, 0)].into();
    flush(backend, &acknowledged_below).await;
    let report = flush(backend, &both).await;
    assert_eq!(
        report,
        FlushReport {
            already_applied: 2,
            ..FlushReport::default()
        }
    );
    assert_eq!(
        totals(backend).await,
        Totals {
            counted: 3,
            superseded: 0,
            rejected: 0
        }
    );
    backend.tally_agrees().await;
}

pub async fn a_changed_mind_moves_the_tally(backend: &Backend) {
    backend.has_poll(3, 1).await;
    flush(backend, &batch(&[(1, ballot("p", 1, 0b001))])).await;
    let report = flush(backend, &batch(&[(2, ballot("p", 1, 0b100))])).await;
    assert_eq!((report.counted, report.superseded), (0, 1));
    let tally = backend.tally().await;
    assert_eq!((tally.voters, tally.votes), (1, vec![0, 0, 1]));
    adds_up(backend, 2).await;
}

pub async fn a_stale_ballot_changes_nothing(backend: &Backend) {
    backend.has_poll(2, 1).await;
    flush(backend, &batch(&[(5, ballot("p", 1, 0b01))])).await;
    let before = backend.tally().await;
    let report = flush(backend, &batch(&[(4, ballot("p", 1, 0b10))])).await;
    assert_eq!(
        report,
        FlushReport {
            superseded: 1,
            ..FlushReport::default()
        }
    );
    assert_eq!(backend.tally().await, before);
    adds_up(backend, 2).await;
}

pub async fn batches_in_any_order_end_in_the_same_count(backend: &Backend) {
    backend.has_poll(4, 1).await;
    // Voter v votes at times v, 10 + v, 20 + v, for options 0, 1, 2; the last one counts.
    let rounds: Vec<_> = (0..3u64)
        .map(|round| {
            let entries: Vec<_> = (0..8u64)
                .map(|number| {
                    (
                        10 * round + number + 1,
                        ballot("p", number.into(), 1 << round),
                    )
                })
                .collect();
            batch(&entries)
        })
        .collect();
    for index in [2, 0, 1, 2, 1, 0] {
        flush(backend, &rounds[index]).await;
    }
    assert_eq!(backend.votes().await, [0, 0, 8, 0]);
    assert_eq!(
        totals(backend).await,
        Totals {
            counted: 8,
            superseded: 16,
            rejected: 0
        }
    );
    backend.tally_agrees().await;
}

pub async fn racing_flushes_of_the_same_voters_agree_with_the_ballots(backend: &Backend) {
    backend.has_poll(8, 1).await;
    let mut flushes = Vec::new();
    for round in 0..24u64 {
        let entries: Vec<_> = (0..40u64)
            .map(|number| {
                // The last round by time, 23, is the one that counts, wherever it comes.
                (
                    1_000 * (1 + (round * 7) % 24) + number,
                    ballot("p", number.into(), 1 << (((round * 7) % 24) % 8)),
                )
            })
            .collect();
        let flusher = Arc::clone(&backend.flusher);
        flushes.push(tokio::spawn(async move {
            flusher.flush(&batch(&entries)).await
        }));
    }
    let mut report = FlushReport::default();
    for flush in flushes {
        let one = flush.await.expect("no panic").expect("flushed");
        report.counted += one.report.counted;
        report.superseded += one.report.superseded;
    }
    assert_eq!((report.counted, report.superseded), (40, 23 * 40));
    let mut expected = [0; 8];
    expected[23 % 8] = 40;
    assert_eq!(backend.votes().await, expected);
    adds_up(backend, 24 * 40).await;
}

pub async fn racing_flushes_of_the_same_batch_count_it_once(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let entries: Vec<_> = (0..50u64)
        .map(|number| {
            (
                1 + number,
                ballot("p", (number % 20).into(), 1 << (number % 2)),
            )
        })
        .collect();
    // As the worker would, of each voter only the newest.
    let mut one = batch(&entries[30..]);
    one.entries = batch(&entries).entries;
    let flushes: Vec<_> = (0..8)
        .map(|_| {
            let (flusher, one) = (Arc::clone(&backend.flusher), one.clone());
            tokio::spawn(async move { flusher.flush(&one).await })
        })
        .collect();
    let mut reported = (0, 0, 0);
    for flush in flushes {
        let report = flush.await.expect("no panic").expect("flushed");
        reported.0 += report.report.counted;
        reported.1 += report.report.superseded;
        reported.2 += report.report.already_applied;
    }
    assert_eq!(reported, (20, 30, 7 * 50));
    assert_eq!(backend.votes().await, [10, 10]);
    adds_up(backend, 50).await;
}

pub async fn an_entry_that_is_in_a_batch_twice_is_reported_once(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let mut twice = batch(&[(1, ballot("p", 1, 0b01))]);
    twice.entries.extend(twice.entries.clone());
    let report = flush(backend, &twice).await;
    assert_eq!((report.counted, report.superseded), (1, 0));
    adds_up(backend, 1).await;
}

pub async fn a_rejected_ballot_stays_rejected_when_it_is_replayed(backend: &Backend) {
    // Its poll came too late; then the entry is delivered again.
    let (shard, entry) = entry_key(1, 0);
    let late = ballot("p", 1, 0b01);
    let rejected = Batch {
        entries: vec![((shard, entry), 0)],
        dead_letters: vec![DeadLetter {
            position: Position::new(shard, entry, 0),
            reason: RejectReason::UnknownPoll,
            detail: String::new(),
            payload: Vec::new(),
            ballots: 1,
        }],
        ..Batch::default()
    };
    flush(backend, &rejected).await;
    backend.has_poll(2, 1).await;
    flush(backend, &batch(&[(1, late)])).await;
    assert_eq!(backend.votes().await, [0, 0]);
    adds_up(backend, 1).await;
}

pub async fn of_two_ballots_in_different_shards_the_later_one_counts(backend: &Backend) {
    // As after a change of the number of shards.
    backend.has_poll(2, 1).await;
    let mut old = batch(&[(1_000, ballot("p", 1, 0b01))]);
    let mut new = batch(&[(2_000, ballot("p", 1, 0b10))]);
    let entry = |ms| entry_key(ms, 0).1;
    let place = |batch: &mut Batch, shard, ms| {
        batch.entries = vec![((shard, entry(ms)), 1)];
        batch.ballots[0].position = Position::new(shard, entry(ms), 0);
    };
    place(&mut old, ShardId(5), 1_000);
    place(&mut new, ShardId(2), 2_000);
    flush(backend, &new).await;
    flush(backend, &old).await;
    assert_eq!(backend.votes().await, [0, 1]);
    adds_up(backend, 2).await;
}

pub async fn several_choices_count_for_each_option(backend: &Backend) {
    backend.has_poll(63, 63).await;
    let last = 1 << 62;
    flush(
        backend,
        &batch(&[
            (1, ballot("p", 1, 0b101)),
            (2, ballot("p", 2, 0b100 | last)),
        ]),
    )
    .await;
    flush(backend, &batch(&[(3, ballot("p", 1, 0b110))])).await;
    let tally = backend.tally().await;
    assert_eq!(tally.voters, 2);
    assert_eq!((&tally.votes[..4], tally.votes[62]), (&[0, 1, 2, 0][..], 1));
    backend.tally_agrees().await;
}

pub async fn the_version_grows_when_the_tally_changes_and_only_then(backend: &Backend) {
    backend.has_poll(2, 1).await;
    backend
        .polls
        .put_poll(&poll_of("q", 2, 1))
        .await
        .expect("stored");
    let first = backend.tally().await.version;
    flush(backend, &batch(&[(1, ballot("p", 1, 0b01))])).await;
    let second = backend.tally().await.version;
    assert!(second > first);
    flush(
        backend,
        &batch(&[(2, ballot("p", 1, 0b01)), (3, ballot("q", 1, 0b01))]),
    )
    .await;
    assert_eq!(backend.tally().await.version, second);
    // As many votes as before, but others.
    flush(backend, &batch(&[(4, ballot("p", 1, 0b10))])).await;
    assert!(backend.tally().await.version > second);
}

pub async fn dead_letters_are_kept_once_and_read_in_pages(backend: &Backend) {
    let letter = |ms, reason| {
        let (shard, entry) = entry_key(ms, 0);
        DeadLetter {
            position: Position::new(shard, entry, 7),
            reason,
            detail: "it's \"odd\" \u{1f63a}".into(),
            payload: vec![0, 0xff, b'\''],
            ballots: 1,
        }
    };
    let letters = [
        letter(1, RejectReason::Malformed),
        letter(2, RejectReason::UnknownPoll),
        letter(3, RejectReason::UnknownOption),
        letter(4, RejectReason::TooManyChoices),
    ];
    let batch = Batch {
        entries: (1..=4).map(|ms| (entry_key(ms, 0), 0)).collect(),
        dead_letters: letters.to_vec(),
        ..Batch::default()
    };
    assert_eq!(flush(backend, &batch).await.rejected, 4);
    let replay = flush(backend, &batch).await;
    assert_eq!(
        replay,
        FlushReport {
            already_applied: 4,
            ..FlushReport::default()
        }
    );
    assert_eq!(totals(backend).await.rejected, 4);
    let page = |after, limit| backend.dead_letters.dead_letters(after, limit);
    assert_eq!(page(None, 10).await.expect("a page"), letters);
    assert_eq!(page(None, 3).await.expect("a page"), letters[..3]);
    assert_eq!(
        page(Some(letters[2].position), 3).await.expect("a page"),
        letters[3..]
    );
    assert_eq!(
        page(Some(letters[3].position), 3).await.expect("a page"),
        []
    );
}

pub async fn large_dead_letters_are_kept_in_part_and_listed_in_short(backend: &Backend) {
    let sizes = [0, LISTED, LISTED + 1, MAX_PAYLOAD, MAX_PAYLOAD + 1];
    let letter = |(ms, size): (u64, usize)| {
        let (shard, entry) = entry_key(ms, 0);
        DeadLetter {
            position: Position::new(shard, entry, 0),
            reason: RejectReason::Malformed,
            detail: "too much".to_owned(),
            payload: (0..=u8::MAX).cycle().take(size).collect(),
            ballots: 1,
        }
    };
    let letters: Vec<_> = (1..).zip(sizes).map(letter).collect();
    let batch = Batch {
        entries: (1..=5).map(|ms| (entry_key(ms, 0), 0)).collect(),
        dead_letters: letters.clone(),
        ..Batch::default()
    };
    flush(backend, &batch).await;
    let listed = backend.letters().await;
    assert_eq!(listed.len(), letters.len());
    for (listed, letter) in listed.iter().zip(&letters) {
        let shown = letter.payload.len().min(LISTED + 1);
        assert_eq!(listed.payload, letter.payload[..shown]);
        let one = backend.dead_letters.dead_letter(letter.position).await;
        let one = one.expect("an answer").expect("it is there");
        assert_eq!(one, *letter.bounded(), "of {} bytes", letter.payload.len());
        assert_eq!(listed.detail, one.detail);
    }
    let kept = backend.dead_letters.dead_letter(letters[4].position).await;
    let kept = kept.expect("an answer").expect("it is there");
    assert!(kept.payload.len() < MAX_PAYLOAD / 2);
    assert!(kept.detail.contains("SHA-256"), "{}", kept.detail);
}

pub async fn a_receipt_tells_what_became_of_its_ballot(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let receipt = |ms| {
        let (shard, entry) = entry_key(ms, 0);
        Receipt {
            poll: poll_id("p"),
            voter: ballot("p", 1, 1).voter,
            position: Position::new(shard, entry, 0),
        }
    };
    let state = async |ms| {
        backend
            .tallies
            .receipt_state(&receipt(ms))
            .await
            .expect("a state")
    };
    assert_eq!(state(5).await, ReceiptState::Pending);
    flush(backend, &batch(&[(5, ballot("p", 1, 0b01))])).await;
    assert_eq!(state(5).await, ReceiptState::Counted);
    assert_eq!(state(6).await, ReceiptState::Pending);
    flush(backend, &batch(&[(6, ballot("p", 1, 0b10))])).await;
    assert_eq!(state(5).await, ReceiptState::Superseded);
    assert_eq!(state(6).await, ReceiptState::Counted);
    let rejected = DeadLetter {
        position: receipt(3).position,
        reason: RejectReason::UnknownOption,
        detail: String::new(),
        payload: Vec::new(),
        ballots: 1,
    };
    let whole = |ms, reason| DeadLetter {
        position: Position::new(entry_key(ms, 0).0, entry_key(ms, 0).1, 0),
        reason,
        detail: String::new(),
        payload: vec![9],
        ballots: 3,
    };
    let unreadable = whole(2, RejectReason::Malformed);
    let unauthenticated = whole(4, RejectReason::Unauthenticated);
    let keys = [3, 2, 4].map(|ms| (entry_key(ms, 0), 0));
    let dead = Batch {
        entries: keys.to_vec(),
        dead_letters: vec![rejected, unreadable, unauthenticated],
        ..Batch::default()
    };
    flush(backend, &dead).await;
    assert_eq!(
        state(3).await,
        ReceiptState::Rejected(RejectReason::UnknownOption)
    );
    // Each ballot of an entry that could not be read, also those behind the first.
    for (ms, reason) in [2, 4].into_iter().zip(RejectReason::OF_WHOLE_ENTRIES) {
        let (shard, entry) = entry_key(ms, 0);
        let mut inside = receipt(2);
        inside.position = Position::new(shard, entry, 2);
        let state = backend.tallies.receipt_state(&inside).await;
        assert_eq!(state.expect("a state"), ReceiptState::Rejected(reason));
    }
    assert_eq!(
        totals(backend).await.rejected,
        7,
        "one, and the three of each entry"
    );
}

pub async fn polls_keep_their_options(backend: &Backend) {
    assert_eq!(backend.polls.polls().await.expect("polls"), []);
    let (one, two) = (poll_of("z-first", 2, 1), poll_of("a-second", 3, 2));
    for poll in [&one, &two, &one] {
        backend.polls.put_poll(poll).await.expect("stored");
    }
    assert_eq!(
        backend.polls.polls().await.expect("polls"),
        [one.clone(), two.clone()]
    );
    assert_eq!(
        backend.polls.poll(two.id()).await.expect("an answer"),
        Some(two)
    );
    assert_eq!(
        backend
            .polls
            .poll(&poll_id("none"))
            .await
            .expect("an answer"),
        None
    );
    for changed in [poll_of("z-first", 3, 1), poll_of("z-first", 2, 2)] {
        let refused = backend.polls.put_poll(&changed).await;
        assert!(matches!(refused, Err(StoreError::PollConflict(id)) if id == *one.id()));
    }
    assert_eq!(
        backend.polls.poll(one.id()).await.expect("an answer"),
        Some(one.clone())
    );
    let mut options = one.options().to_vec();
    "Another label".clone_into(&mut options[1].label);
    let renamed = crate::Poll::new(one.id().clone(), "Or which?", options, 1).expect("a poll");
    backend.polls.put_poll(&renamed).await.expect("stored");
    let stored = backend.polls.poll(one.id()).await.expect("an answer");
    let stored = stored.expect("the poll");
    assert_eq!(stored.revision(), one.revision() + 1);
    assert_eq!(stored.with_extras(renamed.extras().clone()), renamed);
}
