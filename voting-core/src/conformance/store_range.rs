//! What a store must keep in full: many polls, many ballots, all bits of voters and positions.
#![allow(missing_docs, reason = "the names are the requirements")]

use super::{
    Backend,
    scene::{ballot, entry_key, poll_id, poll_of, voter},
};
use crate::{
    model::{
        ballot::{Ballot, VoterId},
        position::{EntryId, Position, ShardId},
        receipt::{Receipt, ReceiptState},
        rejection::RejectReason,
    },
    store::{
        batch::{Batch, PlacedBallot, Revival},
        dead_letter::DeadLetter,
        outcome::{FlushReport, Totals},
    },
};

fn at(shard: u16, ms: u64, seq: u64, index: u16) -> Position {
    let entry = EntryId::new(ms, seq).expect("an entry id");
    Position::new(ShardId(shard), entry, index)
}

fn letter(position: Position, reason: RejectReason) -> DeadLetter {
    DeadLetter {
        position,
        reason,
        detail: String::new(),
        payload: Vec::new(),
        ballots: 1,
    }
}

/// A batch as a worker would make it of these ballots and dead letters.
fn batch_of(ballots: Vec<(Position, Ballot)>, dead_letters: Vec<DeadLetter>) -> Batch {
    let mut batch = Batch {
        dead_letters,
        ..Batch::default()
    };
    for (position, ballot) in ballots {
        let key = (position.shard(), position.entry());
        match batch.entries.last_mut() {
            Some((last, valid)) if *last == key => *valid += 1,
            _ => batch.entries.push((key, 1)),
        }
        batch.ballots.push(PlacedBallot { position, ballot });
    }
    let known: std::collections::HashSet<_> = batch.entries.iter().map(|(key, _)| *key).collect();
    for letter in &batch.dead_letters {
        let key = (letter.position.shard(), letter.position.entry());
        let is_last = batch.entries.last().is_some_and(|(last, _)| *last == key);
        if !is_last && !known.contains(&key) {
            batch.entries.push((key, 0));
        }
    }
    batch.keep_one_of_each_voter();
    batch
}

async fn flush(backend: &Backend, batch: &Batch) -> FlushReport {
    backend.flusher.flush(batch).await.expect("flushed").report
}

async fn state(backend: &Backend, poll: &str, voter: VoterId, position: Position) -> ReceiptState {
    let receipt = Receipt {
        poll: poll_id(poll),
        voter,
        position,
    };
    let state = backend.tallies.receipt_state(&receipt).await;
    state.expect("a state")
}

pub async fn a_batch_of_many_polls_counts_in_each(backend: &Backend) {
    // Long names that differ at their ends only. Poll n has n voters, who all choose option n % 3.
    let name = |number: u64| format!("{:a<60}{number:03}", "p");
    let polls: Vec<_> = (1..=30).map(|n| poll_of(&name(n), 3, 1)).collect();
    for poll in polls.iter().rev() {
        backend.polls.put_poll(poll).await.expect("stored");
    }
    let mut ballots = Vec::new();
    for number in 1..=30 {
        for voter in 0..number {
            let vote = ballot(&name(number), voter.into(), 1 << (number % 3));
            ballots.push((
                at(0, 1 + number, 0, u16::try_from(voter).expect("few")),
                vote,
            ));
        }
    }
    let all = ballots.len() as u64;
    let batch = batch_of(ballots, Vec::new());
    assert_eq!(flush(backend, &batch).await.counted, all);
    let mut listed = backend.polls.polls().await.expect("polls");
    listed.reverse();
    assert_eq!(listed, polls);
    for (number, poll) in (1..=30).zip(&polls) {
        let id = poll.id();
        let tally = backend.tallies.tally(id).await.expect("an answer");
        let tally = tally.expect("the poll is there");
        let mut votes = vec![0; 3];
        votes[usize::try_from(number % 3).expect("small")] = number;
        assert_eq!(
            (&tally.poll, tally.voters, &tally.votes),
            (id, number, &votes)
        );
        let recount = backend.tallies.recount(id).await.expect("an answer");
        let recount = recount.expect("the poll is there");
        assert!(recount.agrees(), "{recount:?}");
        assert_eq!(recount.counted.votes, votes);
    }
    let totals = backend.flusher.totals().await.expect("totals");
    assert_eq!(totals.counted, all);
}

pub async fn a_batch_of_thousands_is_written_whole(backend: &Backend) {
    backend.has_poll(3, 1).await;
    // Four ballots an entry. The first 500 voters change their minds, all within the batch.
    let votes = (0..500_u64)
        .map(|v| (v, 0b100))
        .chain((0..5_000).map(|v| (v, 1 << (v % 2))));
    let ballots = (0..).zip(votes).map(|(nth, (voter, bits))| {
        let index = u16::try_from(nth % 4).expect("small");
        (
            at(0, 1 + nth / 4, 0, index),
            ballot("p", voter.into(), bits),
        )
    });
    let dead = (0..1_001).map(|index| letter(at(1, 7, 0, index), RejectReason::UnknownPoll));
    let batch = batch_of(ballots.collect(), dead.collect());
    assert_eq!(batch.entries.len(), 1_376);
    let report = flush(backend, &batch).await;
    let expected = FlushReport {
        counted: 5_000,
        superseded: 500,
        rejected: 1_001,
        already_applied: 0,
    };
    assert_eq!(report, expected);
    let is_there = async || {
        let tally = backend.tally().await;
        assert_eq!((tally.voters, tally.votes), (5_000, vec![2_500, 2_500, 0]));
        backend.tally_agrees().await;
        let totals = backend.flusher.totals().await.expect("totals");
        let expected = Totals {
            counted: 5_000,
            superseded: 500,
            rejected: 1_001,
        };
        assert_eq!(totals, expected);
    };
    is_there().await;
    let page = backend.dead_letters.dead_letters(None, 2_000).await;
    assert!(page.expect("a page") == batch.dead_letters);
    for nth in [0, 4_999] {
        let PlacedBallot { position, ballot } = &batch.ballots[nth];
        let state = state(backend, "p", ballot.voter, *position).await;
        assert_eq!(state, ReceiptState::Counted);
    }
    let mut again = batch;
    again.dead_letters.clear();
    let again = flush(backend, &again).await;
    assert_eq!(
        (again.already_applied, again.counted, again.superseded),
        (1_376, 0, 0)
    );
    is_there().await;
}

pub async fn voters_that_differ_in_one_bit_are_two(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let base = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128;
    let voters = (0..128).map(|bit| base ^ (1 << bit)).chain([base]);
    let ballots: Vec<_> = (0..)
        .zip(voters)
        .map(|(index, voter)| (at(0, 1, 0, index), ballot("p", voter, 0b01)))
        .collect();
    let report = flush(backend, &batch_of(ballots.clone(), Vec::new())).await;
    assert_eq!((report.counted, report.superseded), (129, 0));
    assert_eq!(backend.votes().await, [129, 0]);
    for (position, Ballot { voter, .. }) in ballots {
        let state = state(backend, "p", voter, position).await;
        assert_eq!(state, ReceiptState::Counted, "{voter:?}");
    }
    backend.tally_agrees().await;
}

pub async fn positions_are_kept_to_their_last_bit(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let (last_ms, last_seq, last) = (u64::MAX >> 1, (1 << 47) - 1, u16::MAX);
    // An older and a newer one each. What cuts them short takes the two for equal or for reversed.
    let pairs = [
        (at(0, 1, 0xffff, last), at(0, 1, 0x1_0000, 0)),
        (at(0, 2, 7, 9), at(0, 2, (1 << 33) + 7, 9)),
        (at(0, 3, 1, 0), at(0, 3, last_seq, last)),
        (at(0, 4, 0, 0), at(0, (1 << 32) + 4, 0, 0)),
        (at(0, u32::MAX.into(), 5, 5), at(0, 1 << 32, 0, 0)),
        (at(0, 5, 0, 0), at(0, last_ms, last_seq, last)),
        (at(1, 6, 0, 0), at(257, 6, 0, 0)),
        (at(1, 7, 0, 0), at(u16::MAX, 7, 0, 0)),
    ];
    let of = |pick: fn(&(Position, Position)) -> Position, bits| {
        let ballots = (0..).zip(&pairs);
        let ballots = ballots.map(|(number, pair)| (pick(pair), ballot("p", number, bits)));
        batch_of(ballots.collect(), Vec::new())
    };
    let (older, newer) = (of(|pair| pair.0, 0b01), of(|pair| pair.1, 0b10));
    let all = pairs.len() as u64;
    let first = flush(backend, &newer).await;
    assert_eq!((first.counted, first.already_applied), (all, 0));
    // Each entry is another one, also for the marks of what is applied.
    let second = flush(backend, &older).await;
    assert_eq!((second.superseded, second.already_applied), (all, 0));
    assert_eq!(backend.votes().await, [0, all]);
    for (number, (older, newer)) in (0..).zip(&pairs) {
        let state = async |position| state(backend, "p", voter(number), position).await;
        assert_eq!(state(*older).await, ReceiptState::Superseded, "{older}");
        assert_eq!(state(*newer).await, ReceiptState::Counted, "{newer}");
    }
    for again in [&newer, &older] {
        assert_eq!(flush(backend, again).await.already_applied, all);
    }
    assert_eq!(backend.votes().await, [0, all]);
    backend.tally_agrees().await;
}

pub async fn an_empty_batch_changes_nothing(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let one = batch_of(vec![(at(0, 2, 0, 0), ballot("p", 1, 1))], Vec::new());
    flush(backend, &one).await;
    let before = backend.tally().await;
    let mut nothing = Batch::default();
    assert_eq!(flush(backend, &nothing).await, FlushReport::default());
    // Of another shard, and so of nothing that was flushed.
    let (_, acknowledged_below) = entry_key(9, 0);
    nothing.acknowledged_below = [(ShardId(1), acknowledged_below)].into();
    assert_eq!(flush(backend, &nothing).await, FlushReport::default());
    assert_eq!(backend.tally().await, before);
    let two = batch_of(vec![(at(0, 3, 0, 0), ballot("p", 2, 1))], Vec::new());
    assert_eq!(flush(backend, &two).await.counted, 1);
    let late = batch_of(vec![(at(1, 8, 0, 0), ballot("p", 3, 1))], Vec::new());
    assert_eq!(
        flush(backend, &late).await.already_applied,
        1,
        "below its mark"
    );
}

pub async fn a_receipt_is_of_one_poll_and_one_ballot(backend: &Backend) {
    backend.has_poll(2, 1).await;
    let stored = backend.polls.put_poll(&poll_of("q", 2, 1)).await;
    stored.expect("stored");
    let (one, two) = (voter(1), voter(2));
    let ballots = vec![
        (at(0, 5, 0, 0), ballot("p", 1, 0b01)),
        (at(0, 6, 0, 0), ballot("q", 1, 0b01)),
        (at(0, 7, 0, 0), ballot("q", 2, 0b01)),
    ];
    let dead = vec![
        letter(at(0, 8, 0, 1), RejectReason::UnknownOption),
        letter(at(0, 9, 0, 0), RejectReason::Malformed),
        letter(at(0, 10, 0, 0), RejectReason::UnknownOption),
    ];
    flush(backend, &batch_of(ballots, dead)).await;
    let unknown_option = ReceiptState::Rejected(RejectReason::UnknownOption);
    for (poll, voter, position, expected) in [
        ("p", one, at(0, 5, 0, 0), ReceiptState::Counted),
        ("q", one, at(0, 6, 0, 0), ReceiptState::Counted),
        ("q", two, at(0, 7, 0, 0), ReceiptState::Counted),
        // The right place in the wrong poll, and of somebody else.
        ("p", one, at(0, 6, 0, 0), ReceiptState::Pending),
        ("p", two, at(0, 7, 0, 0), ReceiptState::Pending),
        ("q", one, at(0, 7, 0, 0), ReceiptState::Pending),
        ("nowhere", one, at(0, 5, 0, 0), ReceiptState::Pending),
        // Beside a dead letter.
        ("q", two, at(0, 8, 0, 0), ReceiptState::Pending),
        ("q", two, at(0, 8, 0, 1), unknown_option),
        ("q", two, at(0, 8, 0, 2), ReceiptState::Pending),
        ("q", two, at(1, 9, 0, 2), ReceiptState::Pending),
        // Only an entry that could not be read stands for all of its ballots.
        ("q", two, at(0, 10, 0, 1), ReceiptState::Pending),
    ] {
        let state = state(backend, poll, voter, position).await;
        assert_eq!(state, expected, "{poll} {voter:?} {position}");
    }
}

pub async fn dead_letters_are_distinguished_by_their_whole_position(backend: &Backend) {
    let mut positions = vec![
        at(0, 1, 0, 0),
        at(1, 1, 0, 0),
        at(257, 1, 0, 0),
        at(u16::MAX, 1, 0, 0),
        at(0, 1, 0, 1),
        at(0, 1, 0, u16::MAX),
        at(0, 1, 1, 0),
        at(0, 1, 1 << 33, 0),
        at(0, 1, (1 << 47) - 1, u16::MAX),
        at(0, 2, 0, 0),
        at(0, (1 << 32) + 1, 0, 0),
        at(0, u64::MAX >> 1, 0, 0),
    ];
    positions.sort();
    let letters: Vec<_> = (0..)
        .zip(&positions)
        .map(|(number, position)| DeadLetter {
            detail: format!("{number} {}", "\u{1f63a}\n'\"\\".repeat(200)),
            // Of one more than 16 bits can count.
            payload: (0..=u8::MAX)
                .cycle()
                .skip(number)
                .take(if number == 3 { 0x1_0001 } else { number })
                .collect(),
            ballots: if number == 3 { u16::MAX } else { 1 },
            ..letter(*position, RejectReason::Unstorable)
        })
        .collect();
    let mut mixed = letters.clone();
    mixed.reverse();
    let report = flush(backend, &batch_of(Vec::new(), mixed)).await;
    assert_eq!(report.rejected, 11 + u64::from(u16::MAX));
    for letter in &letters {
        let found = backend.dead_letters.dead_letter(letter.position).await;
        assert!(
            found.expect("an answer").as_ref() == Some(letter),
            "{}",
            letter.position
        );
    }
    let none = backend.dead_letters.dead_letter(at(2, 1, 0, 0)).await;
    assert_eq!(none.expect("an answer"), None);
    // A letter at a time, each after the last one, as they stand in the log.
    let page = async |after, limit| {
        let page = backend.dead_letters.dead_letters(after, limit).await;
        let page = page.expect("a page").into_iter();
        page.map(|letter| letter.position).collect::<Vec<_>>()
    };
    let mut after = None;
    for position in &positions {
        assert_eq!(page(after, 1).await, [*position]);
        after = Some(*position);
    }
    assert_eq!(page(Some(at(2, 1, 0, 0)), 2).await, positions[2..4]);
}

pub async fn several_dead_letters_are_taken_back_at_once(backend: &Backend) {
    let positions: Vec<_> = (0..3).map(|index| at(0, 1, 0, index)).collect();
    let dead = positions
        .iter()
        .map(|at| letter(*at, RejectReason::UnknownPoll));
    flush(backend, &batch_of(Vec::new(), dead.collect())).await;
    backend.has_poll(2, 1).await;
    let ballots = (1..)
        .zip(&positions[..2])
        .map(|(number, at)| (*at, ballot("p", number, 1)));
    let mut back = batch_of(ballots.collect(), Vec::new());
    back.entries.clear();
    let revived = positions[..2].iter().map(|position| Revival {
        position: *position,
        valid: 1,
    });
    back.revived = revived.collect();
    assert_eq!(flush(backend, &back).await.counted, 2);
    assert_eq!(backend.votes().await, [2, 0]);
    let left: Vec<_> = backend
        .letters()
        .await
        .iter()
        .map(|letter| letter.position)
        .collect();
    assert_eq!(left, positions[2..]);
    backend.tally_agrees().await;
}
