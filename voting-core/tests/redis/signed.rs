//! Entries that are signed.

use std::sync::Arc;

use voting_core::{
    DeadLetterStore, Poll, PollStore, TallyStore, VoteSink, Worker, WorkerOptions,
    backends::{memory::Memory, redis::Redis},
    log::entry_keys::EntryKeys,
    model::{moment::Moment, rejection::RejectReason},
};

use super::*;

const LOG: &str = "voting:{0}:log";

fn keys() -> EntryKeys {
    let key = SecretKey::new([9; 32]).expect("a key");
    EntryKeys::new("voting").signing_with(&key)
}

/// Redis' clock was set back, or its ids were raised, even after the sink has learned the clock: no ballot is refused for it.
#[tokio::test]
async fn ids_that_are_ahead_of_the_clock_make_no_ballot_late() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    let sink = redis.signing_sink(keys());
    sink.cast(ballot()).await.expect("cast");
    let ahead = Moment::now().unix_ms() + 3_600_000;
    server.command(&["XSETID", LOG, &format!("{ahead}-7")]);
    for _ in 0..3 {
        let receipt = sink.cast(ballot()).await.expect("cast");
        assert_eq!(receipt.position.entry().ms(), ahead);
    }
    let claim = redis.queue().claim(10, Duration::ZERO).await;
    let claim = claim.expect("an answer");
    assert_eq!(claim.entries.len(), 4);
    for entry in claim.entries {
        let read = keys().open(&entry.payload, (entry.shard, entry.id));
        read.expect("the key").expect("in time");
    }
}

/// Somebody who can write to Redis appends an entry again, in another shard or later; changes it; or writes one.
#[tokio::test]
async fn what_is_not_signed_for_its_place_is_set_aside() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(2)).expect("an address");
    let store = Arc::new(Memory::default());
    let poll = Poll::builder("p", "Which?")
        .option("a", "A")
        .option("b", "B");
    let poll = poll.build().expect("a poll");
    store.put_poll(&poll).await.expect("stored");
    let worker = Worker::new(
        Arc::new(redis.queue()),
        store.clone(),
        store.clone(),
        WorkerOptions::default(),
    )
    .with_entry_keys(keys())
    .refusing_unsigned(Arc::new(redis.clone()), store.clone())
    .start();
    let settled = async || {
        while redis.queue().stats().await.expect("stats").pending > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let sink = redis.signing_sink(keys());
    let receipt = sink.cast(ballot()).await.expect("cast");
    settled().await;
    let shard = receipt.position.shard();
    let (of, other) = match shard.0 {
        0 => ("voting:{0}:log", "voting:{1}:log"),
        _ => ("voting:{1}:log", "voting:{0}:log"),
    };
    let add = |key: &str, id: &str, change: &str| {
        let script = format!(
            "local old = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][2]
             local bytes = old[2]
             {change}
             redis.call('HINCRBY', string.gsub(ARGV[1], 'log$', 'stats'), 'accepted', 1)
             return redis.call('XADD', ARGV[1], '{id}', 'b', bytes, 'n', 1)"
        );
        server.command(&["EVAL", &script, "1", of, key]);
    };
    add(other, "*", "");
    // The ballot is for the other option, without another tag.
    add(
        of,
        "*",
        "bytes = string.sub(bytes, 1, -18) .. '\\2' .. string.sub(bytes, -16)",
    );
    let unsigned = "bytes = '\\1\\1\\1p\\0\\1\\0' .. string.rep('x', 16) .. '\\1'";
    add(other, "*", unsigned);
    settled().await;
    let letters = store.dead_letters(None, 10).await.expect("letters");
    let told: Vec<_> = letters
        .iter()
        .map(|letter| (letter.reason, letter.detail.as_str()))
        .collect();
    let unauthenticated = RejectReason::Unauthenticated;
    let mut expected = [
        (unauthenticated, "the entry's signature is not valid"),
        (unauthenticated, "the entry's signature is not valid"),
        (unauthenticated, "the entry is not signed"),
    ];
    let mut told = told;
    told.sort_by_key(|(_, detail)| *detail);
    expected.sort_by_key(|(_, detail)| *detail);
    assert_eq!(told, expected);
    // An old entry as it was, a day later.
    let later = Moment::now().unix_ms() + 86_400_000;
    server.command(&["XTRIM", of, "MAXLEN", "1"]);
    let entry = sink.cast(ballot_in(shard)).await.expect("cast");
    assert_eq!(entry.position.shard(), shard);
    add(of, &format!("{later}-0"), "");
    settled().await;
    let letters = store.dead_letters(None, 10).await.expect("letters");
    assert_eq!(letters.len(), 4);
    assert!(
        letters
            .iter()
            .any(|letter| letter.detail.contains("after its deadline")),
        "{letters:?}"
    );
    let tally = store.tally(poll.id()).await.expect("a tally");
    assert_eq!(tally.expect("a poll").votes, [2, 0]);
    worker.stop().await;
}

/// A ballot of a voter in this shard.
fn ballot_in(shard: ShardId) -> Ballot {
    loop {
        let ballot = ballot();
        if ShardId::of(ballot.voter, 2) == shard {
            return ballot;
        }
    }
}
