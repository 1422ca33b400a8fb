//! What a store must keep of how the votes of a poll grew.
#![allow(missing_docs, reason = "the names are the requirements")]

use super::{
    Backend,
    delete::make_final,
    scene::{ballot, poll_id},
    voiding::{change, flush, has, span},
};
use crate::model::{
    ballot::{Ballot, Choices},
    moment::Moment,
    poll::{ChangeTo, ShowResults},
    vote_history::VoteHistory,
};

/// A ballot in `p` that chooses nothing.
fn blank(number: u128) -> Ballot {
    Ballot {
        choices: Choices::BLANK,
        ..ballot("p", number, 1)
    }
}

async fn history(backend: &Backend) -> Option<VoteHistory> {
    let history = backend.tallies.vote_history(&poll_id("p")).await;
    let history = history.expect("an answer")?;
    let tally = backend.tallies.tally(&poll_id("p")).await;
    assert_eq!(Some(&history.tally), tally.expect("a tally").as_ref());
    Some(history)
}

/// By which second so many voters and votes were counted.
type Point = (u64, u64, Option<Vec<u64>>);

async fn points(backend: &Backend) -> Vec<Point> {
    let points = history(backend).await.expect("the poll").points;
    let points = points.into_iter();
    points
        .map(|point| (point.at.unix_ms() / 1000, point.voters, point.votes))
        .collect()
}

pub async fn votes_are_dated_by_the_positions_of_ballots(backend: &Backend) {
    assert_eq!(history(backend).await, None);
    has(backend, "p", |settings| settings.blank = true).await;
    assert_eq!(points(backend).await, []);
    let votes = [
        (50_000, ballot("p", 1, 0b001)),
        (50_999, ballot("p", 2, 0b011)),
        (53_000, blank(3)),
        (55_000, ballot("p", 1, 0b100)),
    ];
    let expected = [
        (50, 0, Some(vec![0, 0, 0])),
        (51, 2, Some(vec![2, 1, 0])),
        (54, 3, Some(vec![2, 1, 0])),
        (56, 3, Some(vec![1, 1, 1])),
    ];
    // In the order of the log, and then all of it once more, as after a rewind.
    for vote in &votes {
        flush(backend, std::slice::from_ref(vote)).await;
    }
    for _ in 0..2 {
        assert_eq!(points(backend).await, expected);
        flush(backend, &votes).await;
    }
    // A ballot that is flushed late has its place all the same.
    flush(backend, &[(52_000, ballot("p", 4, 0b010))]).await;
    let expected = [
        (50, 0, Some(vec![0, 0, 0])),
        (51, 2, Some(vec![2, 1, 0])),
        (53, 3, Some(vec![2, 2, 0])),
        (54, 4, Some(vec![2, 2, 0])),
        (56, 4, Some(vec![1, 2, 1])),
    ];
    assert_eq!(points(backend).await, expected);
}

pub async fn what_is_voided_stays_in_the_history_until_then(backend: &Backend) {
    has(backend, "p", |_| ()).await;
    flush(backend, &[(50_000, ballot("p", 1, 0b001))]).await;
    flush(backend, &[(60_000, ballot("p", 2, 0b010))]).await;
    let begun = Moment::now().unix_ms() / 1000;
    change(backend, "p", span(50_000, 50_001))
        .await
        .expect("voided");
    let all = points(backend).await;
    assert_eq!(all[2], (61, 2, Some(vec![1, 1, 0])));
    let last = all.last().expect("a point");
    assert!(last.0 > begun, "{last:?}");
    assert_eq!((last.1, &last.2), (1, &Some(vec![0, 1, 0])));
    // What comes late and is voided never counted.
    flush(backend, &[(50_000, ballot("p", 3, 0b001))]).await;
    assert_eq!(points(backend).await[1], (51, 1, Some(vec![1, 0, 0])));
}

/// Who knows when somebody voted must not learn from the history what for.
pub async fn while_a_result_is_hidden_only_voters_are_dated(backend: &Backend) {
    has(backend, "p", |settings| {
        settings.results = ShowResults::AfterVote
    })
    .await;
    flush(
        backend,
        &[
            (50_000, ballot("p", 1, 0b001)),
            (52_000, ballot("p", 2, 0b010)),
        ],
    )
    .await;
    let mut hidden = [(50, 0, None), (51, 1, None), (53, 2, Some(vec![1, 1, 0]))];
    assert_eq!(points(backend).await, hidden);
    // It is not the last one any more.
    hidden[2].2 = None;
    // The result is shown from now on; what came before stays undated.
    has(backend, "p", |_| ()).await;
    flush(backend, &[(54_000, ballot("p", 3, 0b100))]).await;
    let shown = (55, 3, Some(vec![1, 1, 1]));
    assert_eq!(points(backend).await, [&hidden[..], &[shown]].concat());
}

/// Once the voters are forgotten, only when they came is kept, and not when votes for an option came. Once the poll is deleted, nothing of it does.
pub async fn a_history_is_kept_for_as_long_as_its_poll(backend: &Backend) {
    has(backend, "p", |_| ()).await;
    flush(backend, &[(50_000, ballot("p", 1, 0b001))]).await;
    let all = [(50, 0, Some(vec![0; 3])), (51, 1, Some(vec![1, 0, 0]))];
    make_final(backend, "p").await;
    assert_eq!(points(backend).await, all);
    change(backend, "p", ChangeTo::VotersForgotten)
        .await
        .expect("forgotten");
    let without_options = [(50, 0, None), (51, 1, Some(vec![1, 0, 0]))];
    assert_eq!(points(backend).await, without_options);
    change(backend, "p", ChangeTo::Deleted)
        .await
        .expect("deleted");
    assert_eq!(history(backend).await, None);
}

/// A poll that is open for ten years, with votes all the time, has some hundred points.
pub async fn a_long_history_takes_little_room(backend: &Backend) {
    has(backend, "p", |_| ()).await;
    let first = 50_000;
    let (mut ms, mut votes) = (first, Vec::new());
    while ms < 10 * 365 * 86_400_000 {
        votes.push((ms, ballot("p", u128::from(ms), 0b001)));
        // Twenty votes in each of the longest spans.
        ms += 100 + (ms - first) / 640;
    }
    for some in votes.chunks(2_000) {
        flush(backend, some).await;
    }
    let points = points(backend).await;
    assert!((100..=900).contains(&points.len()), "{}", points.len());
    assert_eq!(points.last().map(|last| last.1), Some(votes.len() as u64));
}
