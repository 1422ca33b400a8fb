//! What a [`BallotLog`](crate::BallotLog) and its [`BallotQueue`](crate::BallotQueue) must do.
#![allow(missing_docs, reason = "the names are the requirements")]

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::{
    Backend,
    scene::{LONG, ballot},
};
use crate::{
    log::VoteSink,
    model::position::{EntryKey, ShardId},
};

fn keys(claim: &crate::log::claim::Claim) -> Vec<EntryKey> {
    claim
        .entries
        .iter()
        .map(|entry| (entry.shard, entry.id))
        .collect()
}

pub async fn entries_come_out_in_the_order_in_which_they_went_in(backend: &Backend) {
    let mut put = Vec::new();
    for number in 0..50 {
        put.push(backend.append(&ballot("p", number, 1)).await);
    }
    let claim = (backend.queue)().claim(1_000, LONG).await.expect("claimed");
    let mut by_shard = HashMap::<_, Vec<_>>::new();
    for (shard, id) in keys(&claim) {
        by_shard.entry(shard).or_default().push(id);
    }
    assert!(
        by_shard.values().all(|ids| ids.is_sorted_by(|a, b| a < b)),
        "{by_shard:?}"
    );
    assert_eq!(
        HashSet::<_>::from_iter(keys(&claim)),
        HashSet::from_iter(put)
    );
    for entry in &claim.entries {
        crate::log::entry::decode(&entry.payload).expect("the payload as it was put");
    }
}

pub async fn what_stands_beside_an_entry_changes_nothing_in_it(backend: &Backend) {
    let ballot = ballot("p", 1, 1);
    let shard = ShardId::of(ballot.voter, backend.log.shards());
    for traces in [&b"no traces that anybody knows"[..], b""] {
        let entry = crate::log::entry::NewEntry {
            traces: traces.to_vec(),
            ..crate::log::entry::of_one(&ballot)
        };
        let id = backend.log.append(shard, entry).await.expect("appended");
        let claim = (backend.queue)().claim(1, LONG).await.expect("claimed");
        assert_eq!(keys(&claim), [(shard, id)]);
        let claimed = &claim.entries[0];
        assert!(claimed.traces == traces || claimed.traces.is_empty());
        assert_eq!(claimed.payload, crate::log::entry::of_one(&ballot).payload);
        assert_eq!(claimed.ballots, 1);
    }
}

pub async fn an_entry_is_with_one_consumer_at_a_time(backend: &Backend) {
    for number in 0..40 {
        backend.append(&ballot("p", number, 1)).await;
    }
    let (one, two) = ((backend.queue)(), (backend.queue)());
    let mut seen = HashSet::new();
    for queue in [&one, &two].into_iter().cycle() {
        let claim = queue.claim(5, Duration::ZERO).await.expect("claimed");
        if claim.entries.is_empty() {
            break;
        }
        for key in keys(&claim) {
            assert!(seen.insert(key), "{key:?} is with two consumers");
        }
    }
    assert_eq!(seen.len(), 40);
}

pub async fn an_entry_that_is_not_acknowledged_comes_again(backend: &Backend) {
    let key = backend.append(&ballot("p", 1, 1)).await;
    let (dead, alive) = ((backend.queue)(), (backend.queue)());
    let claimed = Instant::now();
    assert_eq!(keys(&dead.claim(10, LONG).await.expect("claimed")), [key]);
    let again = loop {
        let claim = alive
            .claim(10, Duration::from_millis(20))
            .await
            .expect("claimed");
        if !claim.entries.is_empty() {
            break claim;
        }
        assert!(claimed.elapsed() < LONG, "the entry never came again");
    };
    assert_eq!(keys(&again), [key]);
    assert!(
        claimed.elapsed() >= backend.claim_timeout,
        "it came too early"
    );
    // The first consumer was only slow: that it acknowledges now must do no harm.
    dead.acknowledge(&[key]).await.expect("acknowledged");
    alive.acknowledge(&[key]).await.expect("acknowledged");
    assert_eq!(alive.stats().await.expect("stats").pending, 0);
}

pub async fn an_acknowledged_entry_never_comes_again(backend: &Backend) {
    backend.append(&ballot("p", 1, 1)).await;
    let queue = (backend.queue)();
    let claim = queue.claim(10, LONG).await.expect("claimed");
    queue
        .acknowledge(&keys(&claim))
        .await
        .expect("acknowledged");
    let wait = backend.claim_timeout * 2;
    let later = (backend.queue)().claim(10, wait).await.expect("claimed");
    assert_eq!(keys(&later), []);
    let later = queue.claim(10, Duration::ZERO).await.expect("claimed");
    assert_eq!(keys(&later), []);
}

pub async fn a_waiting_claim_sees_a_ballot_at_once(backend: &Backend) {
    let queue = (backend.queue)();
    let claim = tokio::spawn(async move { queue.claim(10, LONG).await });
    let sink = backend.sink();
    let cast = sink.cast(ballot("p", 1, 1)).await.expect("cast");
    let claim = timeout(LONG / 2, claim)
        .await
        .expect("woken up")
        .expect("no panic");
    let claim = claim.expect("claimed");
    assert_eq!(
        keys(&claim),
        [(cast.position.shard(), cast.position.entry())]
    );
}

pub async fn an_idle_claim_comes_back_empty(backend: &Backend) {
    let wait = Duration::from_millis(50);
    let started = Instant::now();
    let claim = (backend.queue)().claim(10, wait).await.expect("claimed");
    assert_eq!(keys(&claim), []);
    assert!(started.elapsed() >= wait);
}

pub async fn the_log_counts_what_it_took_and_what_is_left(backend: &Backend) {
    let queue = (backend.queue)();
    let before = queue.stats().await.expect("stats");
    assert_eq!(
        (before.accepted, before.pending, before.oldest_pending_ms),
        (0, 0, None)
    );
    let sink = backend.sink();
    let first = sink.cast(ballot("p", 1, 1)).await.expect("cast");
    sink.cast(ballot("p", 2, 1)).await.expect("cast");
    let stats = queue.stats().await.expect("stats");
    assert_eq!((stats.accepted, stats.pending), (2, 2));
    assert_eq!(stats.oldest_pending_ms, Some(first.position.ms()));
    let claim = queue.claim(1_000, LONG).await.expect("claimed");
    let stats = queue.stats().await.expect("stats");
    assert_eq!(stats.pending, 2, "a claimed ballot is still pending");
    queue
        .acknowledge(&keys(&claim))
        .await
        .expect("acknowledged");
    let stats = queue.stats().await.expect("stats");
    assert_eq!(
        (stats.accepted, stats.pending, stats.oldest_pending_ms),
        (2, 0, None)
    );
}

pub async fn a_claim_is_about_as_large_as_asked(backend: &Backend) {
    for number in 0..20 {
        backend.append(&ballot("p", number, 1)).await;
    }
    let queue = (backend.queue)();
    let claim = queue.claim(7, LONG).await.expect("claimed");
    assert!(
        (1..=7).contains(&claim.entries.len()),
        "{}",
        claim.entries.len()
    );
    let rest = queue.claim(1_000, LONG).await.expect("claimed");
    assert_eq!(claim.entries.len() + rest.entries.len(), 20);
}

pub async fn the_log_is_settled_below_the_first_entry_in_hand(backend: &Backend) {
    // All of one voter, so of one shard.
    let mut put = Vec::new();
    for _ in 0..3 {
        put.push(backend.append(&ballot("p", 1, 1)).await);
    }
    let queue = (backend.queue)();
    let claim = queue.claim(1_000, LONG).await.expect("claimed");
    let shard = put[0].0;
    assert!(claim.acknowledged_below[&shard] <= put[0].1);
    queue
        .acknowledge(&[put[0], put[2]])
        .await
        .expect("acknowledged");
    let fourth = backend.append(&ballot("p", 1, 1)).await;
    let claim = queue.claim(1_000, LONG).await.expect("claimed");
    assert!(keys(&claim).contains(&fourth));
    let acknowledged_below = claim.acknowledged_below[&shard];
    assert!(
        acknowledged_below <= put[1].1,
        "{acknowledged_below} has not been acknowledged"
    );
}
