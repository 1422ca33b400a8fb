//! What an [`ExportStore`](crate::store::ExportStore) must hand out, and to whom it must not be a burden.
#![allow(missing_docs, reason = "the names are the requirements")]

use tokio::time::timeout;

use super::{
    Backend,
    scene::{LONG, ballot, batch, entry_key, poll_id, poll_of},
};
use crate::{
    error::StoreError,
    model::{
        ballot::Choices,
        placed_ballot::PlacedBallot,
        poll_state::{PollState, Seals},
        position::Position,
    },
    store::{
        batch::Batch,
        export::{BallotExport, CHUNK},
    },
};

/// More than are on their way between a store and a reader.
const MANY: u64 = 100_000;

async fn advance(backend: &Backend, id: &str, to: PollState) {
    let advanced = backend.polls.advance_poll(&poll_id(id), &to).await;
    advanced.expect("stored");
}

async fn export(backend: &Backend, id: &str) -> BallotExport {
    let export = backend.exports.export_ballots(&poll_id(id)).await;
    export.expect("an export")
}

async fn read(mut export: BallotExport) -> Vec<u64> {
    let mut ballots = Vec::new();
    while let Some(chunk) = export.next().await {
        let chunk = chunk.expect("a chunk");
        assert!(chunk.len() <= CHUNK, "{}", chunk.len());
        ballots.extend(chunk.into_iter().map(Choices::bits));
    }
    ballots
}

/// A final poll `p` in which each voter chose what no other voter chose.
async fn many_voted(backend: &Backend) {
    backend
        .polls
        .put_poll(&poll_of("p", 20, 20))
        .await
        .expect("stored");
    for (ms, voters) in (1..).zip((1..=MANY).collect::<Vec<_>>().chunks(20_000)) {
        let key = entry_key(ms, 0);
        let placed = voters.iter().zip(0..).map(|(number, index)| PlacedBallot {
            position: Position::new(key.0, key.1, index),
            ballot: ballot("p", u128::from(*number), *number),
        });
        let batch = Batch {
            entries: vec![(key, voters.len() as u64)],
            ballots: placed.collect(),
            ..Batch::default()
        };
        backend.flusher.flush(&batch).await.expect("flushed");
    }
    advance(backend, "p", PollState::Final(Seals::default())).await;
}

pub async fn ballots_are_exported_once_a_poll_is_final(backend: &Backend) {
    let exports = &backend.exports;
    let missing = exports.export_ballots(&poll_id("p")).await;
    assert!(
        matches!(&missing, Err(StoreError::NoPoll(id)) if *id == poll_id("p")),
        "{missing:?}"
    );
    let nothing = exports.counted_poll(&poll_id("p")).await;
    assert_eq!(nothing.expect("an answer"), None);
    for id in ["p", "q"] {
        let poll = poll_of(id, 3, 2);
        backend.polls.put_poll(&poll).await.expect("stored");
    }
    let seals: Seals = [entry_key(9, 0)].into_iter().collect();
    let cast = [
        (1, ballot("p", 1, 0b001)),
        (2, ballot("p", 1, 0b011)),
        (3, ballot("p", 2, 0b011)),
        (4, ballot("p", 3, 0b011)),
        (5, ballot("p", 4, 0b100)),
        (6, ballot("q", 1, 0b010)),
    ];
    for one in cast {
        let flushed = backend.flusher.flush(&batch(&[one])).await;
        flushed.expect("flushed");
    }
    for state in [PollState::Open, PollState::Closing(seals.clone())] {
        advance(backend, "p", state).await;
        let early = exports.export_ballots(&poll_id("p")).await;
        assert!(
            matches!(&early, Err(StoreError::NotFinal(id)) if *id == poll_id("p")),
            "{early:?}"
        );
    }
    advance(backend, "p", PollState::Final(seals)).await;
    let export = export(backend, "p").await;
    let head = export.head().clone();
    assert_eq!((head.ballots, head.few_alike), (4, 1));
    let counted = exports.counted_poll(&poll_id("p")).await.expect("a tally");
    let (poll, tally) = counted.expect("the poll is there");
    assert_eq!(head.poll, poll);
    assert!(poll.state().is_final());
    assert_eq!((tally.voters, tally.votes), (4, vec![3, 3, 1]));
    let mut ballots = read(export).await;
    ballots.sort_unstable();
    assert_eq!(ballots, [0b011, 0b011, 0b011, 0b100]);
    // Also where nobody voted.
    let poll = poll_of("nobody", 2, 1);
    backend.polls.put_poll(&poll).await.expect("stored");
    advance(backend, "nobody", PollState::Final(Seals::default())).await;
    let export = self::export(backend, "nobody").await;
    assert_eq!(export.head().ballots, 0);
    assert_eq!(read(export).await, [0; 0]);
}

pub async fn an_export_has_the_counted_ballot_of_each_voter_in_another_order_each_time(
    backend: &Backend,
) {
    many_voted(backend).await;
    let (one, other) = (export(backend, "p").await, export(backend, "p").await);
    assert_eq!(
        (one.head().ballots, one.head().few_alike),
        (MANY, MANY),
        "nobody voted alike"
    );
    let (one, other) = tokio::join!(read(one), read(other));
    for (read, against) in [(&one, &other), (&other, &one)] {
        let mut sorted = read.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (1..=MANY).collect::<Vec<_>>());
        // Of a random order, half of the neighbours rise, and about one ballot is where it was.
        let rising = read.windows(2).filter(|pair| pair[0] < pair[1]).count() as u64;
        assert!(rising.abs_diff(MANY / 2) < MANY / 50, "{rising}");
        let in_place = read.iter().zip(1..).filter(|(one, at)| **one == *at);
        assert!(in_place.count() < 20);
        let same = read.iter().zip(against).filter(|(one, other)| one == other);
        assert!(same.count() < 20);
    }
}

pub async fn an_export_that_is_dropped_or_slow_holds_nothing_up(backend: &Backend) {
    many_voted(backend).await;
    let poll = poll_of("q", 2, 1);
    backend.polls.put_poll(&poll).await.expect("stored");
    // More than there are connections.
    let mut slow = Vec::new();
    for _ in 0..6 {
        slow.push(export(backend, "p").await);
    }
    let others = async {
        for ms in 100..110 {
            let one = batch(&[(ms, ballot("q", u128::from(ms), 1))]);
            backend.flusher.flush(&one).await.expect("flushed");
            backend.tally_agrees().await;
        }
    };
    timeout(LONG, others).await.expect("not held up");
    // Each can be read to its end, also after another one was dropped in the middle.
    while let Some(mut export) = slow.pop() {
        let first = export.next().await.expect("a chunk").expect("a chunk");
        assert!(!first.is_empty());
        if slow.is_empty() {
            let rest = read(export).await;
            assert_eq!((first.len() + rest.len()) as u64, MANY);
        }
    }
}
