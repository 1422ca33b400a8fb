//! What the Redis back end must do beside the conformance suite.

use std::time::Duration;

use voting_core::{
    Ballot, BallotLog, BallotQueue, CastError, Choices, PollDirectory, VoteSink, VoterId, entry,
    position::ShardId,
    redis::{Redis, RedisOptions},
};
use voting_testing::RedisServer;

fn options(shards: u16) -> RedisOptions {
    RedisOptions {
        shards,
        claim_timeout: Duration::from_millis(300),
        retention: Duration::ZERO,
        ..RedisOptions::default()
    }
}

fn ballot() -> Ballot {
    Ballot {
        poll: "p".parse().expect("an id"),
        voter: VoterId::issue(),
        choices: Choices::from_bits(1).expect("choices"),
    }
}

fn in_words(error: &dyn std::error::Error) -> String {
    format!("{error}: {}", error.source().expect("a cause"))
}

#[tokio::test]
async fn a_redis_that_can_lose_ballots_is_not_ready() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    redis.check().await.expect("it is set up to be durable");
    let weaker = [
        ("appendfsync", "everysec"),
        ("appendonly", "no"),
        ("no-appendfsync-on-rewrite", "yes"),
        ("maxmemory-policy", "allkeys-lru"),
    ];
    for (name, value) in weaker {
        let before = server.command(&["CONFIG", "GET", name]);
        let before = before.lines().nth(1).expect("its value").to_owned();
        server.command(&["CONFIG", "SET", name, value]);
        let error = redis.check().await.expect_err("it is not durable");
        assert!(in_words(&error).contains(name), "{error:?}");
        let careless = RedisOptions {
            accept_loss: true,
            ..options(1)
        };
        let careless = Redis::new(&server.url(), careless).expect("an address");
        careless
            .check()
            .await
            .expect("it was said in so many words");
        server.command(&["CONFIG", "SET", name, &before]);
    }
    redis.check().await.expect("it is durable again");
}

#[tokio::test]
async fn the_number_of_shards_cannot_change() {
    let server = RedisServer::start();
    let four = Redis::new(&server.url(), options(4)).expect("an address");
    four.sink().cast(ballot()).await.expect("cast");
    let five = Redis::new(&server.url(), options(5)).expect("an address");
    let error = five.check().await.expect_err("the log has four");
    assert!(in_words(&error).contains("shards=4"), "{error:?}");
    let refused = five.sink().cast(ballot()).await.expect_err("refused");
    assert!(matches!(refused, CastError::Refused(_)), "{refused:?}");
}

#[tokio::test]
async fn acknowledged_entries_are_trimmed_and_no_others() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    for _ in 0..10 {
        let entry = entry::of_one(&ballot());
        redis.append(ShardId(0), entry).await.expect("appended");
    }
    let queue = redis.queue().expect("a queue");
    let claim = queue.claim(6, Duration::ZERO).await.expect("claimed");
    let keys: Vec<_> = claim
        .entries
        .iter()
        .map(|entry| (entry.shard, entry.id))
        .collect();
    assert_eq!(keys.len(), 6);
    // The third is still in hand.
    queue
        .acknowledge(&[keys[0], keys[1], keys[3], keys[4], keys[5]])
        .await
        .expect("acknowledged");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let log = "voting:{0}:log";
    let other = redis.queue().expect("a queue");
    let again = other.claim(100, Duration::ZERO).await.expect("claimed");
    assert_eq!(
        server.command(&["XLEN", log]),
        "8",
        "the two before the one in hand are gone"
    );
    // The one in hand comes again, and what nobody has had.
    let mut seen: Vec<_> = again.entries.iter().map(|entry| entry.id).collect();
    if !seen.contains(&keys[2].1) {
        let late = other
            .claim(100, Duration::from_secs(5))
            .await
            .expect("claimed");
        seen.extend(late.entries.iter().map(|entry| entry.id));
    }
    assert!(seen.contains(&keys[2].1));
}

#[tokio::test]
async fn an_entry_that_was_deleted_before_it_was_counted_is_told() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    redis.sink().cast(ballot()).await.expect("cast");
    let dead = redis.queue().expect("a queue");
    dead.claim(10, Duration::from_secs(5))
        .await
        .expect("claimed");
    server.command(&["XTRIM", "voting:{0}:log", "MAXLEN", "0"]);
    let queue = redis.queue().expect("a queue");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while queue.lost_entries() == 0 {
        assert!(tokio::time::Instant::now() < deadline, "nobody tells");
        queue
            .claim(10, Duration::from_millis(50))
            .await
            .expect("claimed");
    }
    assert_eq!(queue.lost_entries(), 1);
}

#[tokio::test]
async fn a_log_that_was_made_anew_under_its_readers_is_read_on() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(2)).expect("an address");
    redis.sink().cast(ballot()).await.expect("cast");
    let queue = redis.queue().expect("a queue");
    queue
        .claim(10, Duration::from_secs(5))
        .await
        .expect("claimed");
    server.command(&["FLUSHALL"]);
    redis.sink().cast(ballot()).await.expect("cast");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let claim = queue.claim(10, Duration::from_millis(50)).await;
        if claim.is_ok_and(|claim| claim.entries.len() == 1) {
            break;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "the ballot is never read"
        );
    }
}

#[tokio::test]
async fn before_polls_are_published_nobody_says_that_there_are_none() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    redis.polls().await.expect_err("not known");
}

#[tokio::test]
async fn a_ballot_of_which_the_voter_was_told_that_its_fate_is_unknown_does_not_come_later() {
    let server = RedisServer::start();
    let hasty = RedisOptions {
        response_timeout: Duration::from_millis(300),
        ..options(1)
    };
    let redis = Redis::new(&server.url(), hasty).expect("an address");
    let sink = redis.sink();
    sink.cast(ballot()).await.expect("cast");
    // It stands still with the command in its socket.
    server.pause();
    let unknown = sink.cast(ballot()).await.expect_err("no answer");
    assert!(matches!(unknown, CastError::Unknown(_)), "{unknown:?}");
    server.resume();
    // It answers again, and so has come to that command.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while sink.cast(ballot()).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "it never recovers");
    }
    assert_eq!(server.command(&["XLEN", "voting:{0}:log"]), "2");
}
