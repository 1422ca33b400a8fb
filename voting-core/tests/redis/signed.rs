//! Entries that are signed.

use std::sync::Arc;

use voting_core::{
    DeadLetterStore, Poll, PollDirectory, PollPublisher, PollStore, TallyStore, VoteSink, Worker,
    WorkerOptions,
    backends::{
        memory::Memory,
        redis::{Redis, RedisOptions},
    },
    log::entry_keys::EntryKeys,
    model::{moment::Moment, rejection::RejectReason},
    pipeline::put_back::bring_back_polls,
};

use super::*;

const LOG: &str = "voting:{0}:log";

fn keys() -> EntryKeys {
    let key = SecretKey::new([9; 32]).expect("a key");
    EntryKeys::new("voting").signing_with(&key)
}

fn signing(server: &RedisServer, shards: u16) -> Redis {
    let options = RedisOptions {
        entry_keys: keys(),
        accept_unsigned_polls: false,
        ..options(shards)
    };
    Redis::new(&server.url(), options).expect("an address")
}

/// Redis' clock was set back, or its ids were raised, even after the sink has learned the clock: no ballot is refused for it.
#[tokio::test]
async fn ids_that_are_ahead_of_the_clock_make_no_ballot_late() {
    let server = RedisServer::start();
    let redis = signing(&server, 1);
    let sink = redis.sink();
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
    let redis = signing(&server, 2);
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
    let sink = redis.sink();
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

fn poll_named(title: &str) -> Poll {
    let poll = Poll::builder("p", title).option("a", "A").option("b", "B");
    poll.build().expect("a poll")
}

/// Somebody who can write to Redis changes the polls' copy, takes the signature off, or puts an earlier copy back.
#[tokio::test]
async fn polls_that_no_worker_has_published_are_not_used_and_are_replaced() {
    const POLLS: &str = "voting:polls";
    let server = RedisServer::start();
    let (worker, vote) = (signing(&server, 1), signing(&server, 1));
    let store = Memory::default();
    store.put_poll(&poll_named("Tea?")).await.expect("stored");
    let step = async || {
        bring_back_polls(&worker, &store).await.expect("looked");
        let polls = store.polls().await.expect("read");
        worker.publish(&polls).await.expect("published");
    };
    step().await;
    let read = || server.command(&["GET", POLLS]);
    let (first, titles) = (read(), async || {
        let polls = vote.polls().await.map_err(|error| in_words(&error))?;
        Ok::<_, String>(polls[0].title().to_owned())
    });
    assert_eq!(titles().await.as_deref(), Ok("Tea?"));
    // Nothing is written while nothing changes.
    step().await;
    assert_eq!(read(), first);

    let forgeries = [
        (
            first.replace("Tea?", "Coffee?"),
            "does not have the entry key",
        ),
        (unsigned(&first).replace("Tea?", "Coffee?"), "not signed"),
        (unsigned(&first), "not signed"),
    ];
    for (forgery, why) in forgeries {
        server.command(&["SET", POLLS, &forgery]);
        let error = titles().await.expect_err("forged");
        assert!(error.contains(why), "{error}");
        step().await;
        assert_eq!(titles().await.as_deref(), Ok("Tea?"));
    }
    assert_eq!(store.polls().await.expect("read")[0].title(), "Tea?");
    // The first copy was genuine; a service that has read a later one does not go back.
    server.command(&["SET", POLLS, &first]);
    let error = titles().await.expect_err("earlier");
    assert!(error.contains("earlier copy"), "{error}");
    let stranger = Redis::new(&server.url(), options(1)).expect("an address");
    stranger
        .polls()
        .await
        .expect("without a key nothing is checked");
}

fn unsigned(copy: &str) -> String {
    let (_, polls) = copy.split_once("},").expect("its signature");
    format!("[{{{polls}")
}

/// During an upgrade a worker of before writes the copy without a signature.
#[tokio::test]
async fn polls_without_a_signature_are_read_until_they_are_refused() {
    let server = RedisServer::start();
    let before = Redis::new(&server.url(), options(1)).expect("an address");
    before
        .publish(&[poll_named("Tea?")])
        .await
        .expect("published");
    let during = RedisOptions {
        entry_keys: keys(),
        ..options(1)
    };
    let during = Redis::new(&server.url(), during).expect("an address");
    assert_eq!(during.polls().await.expect("read").len(), 1);
    assert_eq!(during.polls_signed_by().await.expect("read"), None);
    during
        .publish(&[poll_named("Tea?")])
        .await
        .expect("published");
    let id = keys().signing_id();
    assert_eq!(during.polls_signed_by().await.expect("read"), id);
    // An earlier program reads it, and leaves it as it is as long as the polls are the same.
    assert_eq!(before.polls().await.expect("read").len(), 1);
    before
        .publish(&[poll_named("Tea?")])
        .await
        .expect("published");
    assert_eq!(signing(&server, 1).polls().await.expect("read").len(), 1);
    // The next key signs again, and the former one still reads.
    let next = SecretKey::new([10; 32]).expect("a key");
    let next = keys().signing_with(&next);
    let rotated = RedisOptions {
        entry_keys: next.clone(),
        ..options(1)
    };
    let rotated = Redis::new(&server.url(), rotated).expect("an address");
    rotated
        .publish(&[poll_named("Tea?")])
        .await
        .expect("published");
    let signed_by = rotated.polls_signed_by().await.expect("read");
    assert_eq!(signed_by, next.signing_id());
    let error = in_words(&signing(&server, 1).polls().await.expect_err("unknown"));
    assert!(error.contains("does not have"), "{error}");
}
