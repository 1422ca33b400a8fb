//! A Redis that changes while it runs.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use voting_core::{
    BallotLog, BallotQueue, CastError, GroupCommit, PollDirectory, PollPublisher, VoteSink,
    backends::redis::{Redis, RedisOptions},
    error::in_one_line,
    log::entry,
    model::position::ShardId,
};
use voting_testing::RedisServer;

use super::{ballot, in_words, options};

const LOG: &str = "voting:{0}:log";

fn redis(server: &RedisServer) -> Redis {
    Redis::new(&server.url(), options(1)).expect("an address")
}

/// Casts one ballot after the other until one is not acknowledged, and says how long the others were.
async fn cast_until_refused(sink: &GroupCommit) -> (Duration, CastError) {
    let begun = Instant::now();
    let mut thanked = Duration::ZERO;
    while begun.elapsed() < Duration::from_secs(10) {
        match sink.cast(ballot()).await {
            Ok(_) => thanked = begun.elapsed(),
            Err(error) => return (thanked, error),
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("ballots are acknowledged for {thanked:?}");
}

#[tokio::test]
async fn nobody_is_thanked_when_redis_is_not_durable_any_more() {
    let server = RedisServer::start();
    let redis = redis(&server);
    let sink = redis.sink();
    let weaker: [&[&str]; 7] = [
        &["CONFIG", "SET", "appendfsync", "everysec"],
        &["CONFIG", "SET", "appendonly", "no"],
        &["CONFIG", "SET", "aof-load-truncated", "yes"],
        &["CONFIG", "SET", "no-appendfsync-on-rewrite", "yes"],
        &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"],
        &["ACL", "SETUSER", "default", "-xack"],
        &["CONFIG", "SET", "replicaof", "127.0.0.1 1"],
    ];
    for change in weaker {
        sink.cast(ballot()).await.expect("durable");
        let mend: Vec<String> = match change {
            ["CONFIG", "SET", "replicaof", _] => words(&["REPLICAOF", "NO", "ONE"]),
            ["CONFIG", _, name, _] => {
                let before = server.command(&["CONFIG", "GET", name]);
                let before = before.lines().nth(1).expect("its value");
                words(&["CONFIG", "SET", name, before])
            }
            _ => words(&["ACL", "SETUSER", "default", "+@all"]),
        };
        match change {
            ["CONFIG", "SET", "replicaof", master] => {
                let (host, port) = master.split_once(' ').expect("two");
                server.command(&["REPLICAOF", host, port]);
            }
            _ => _ = server.command(change),
        }
        let (thanked, error) = cast_until_refused(&sink).await;
        assert!(
            thanked < Duration::from_millis(1_200),
            "{change:?} {thanked:?}"
        );
        // It goes on being so, and the reason is told.
        let again = sink.cast(ballot()).await.expect_err("not durable");
        assert!(
            matches!(again, CastError::Refused(_)),
            "{again:?} {error:?}"
        );
        let mend: Vec<_> = mend.iter().map(String::as_str).collect();
        server.command(&mend);
    }
    sink.cast(ballot()).await.expect("durable again");
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn who_has_not_cast_for_a_while_looks_before_the_first_ballot() {
    let server = RedisServer::start();
    let redis = redis(&server);
    let sink = redis.sink();
    sink.cast(ballot()).await.expect("durable");
    sleep(Duration::from_millis(1_100)).await;
    server.command(&["CONFIG", "SET", "appendfsync", "everysec"]);
    let refused = sink.cast(ballot()).await.expect_err("not durable");
    assert!(matches!(refused, CastError::Refused(_)), "{refused:?}");
    assert_eq!(server.command(&["XLEN", LOG]), "1", "it was not even sent");
}

/// It is in the log, but may not stay there, so it is not said to be.
#[tokio::test]
async fn a_ballot_that_is_under_way_meanwhile_is_of_unknown_outcome() {
    let server = RedisServer::start();
    let redis = redis(&server);
    let sink = redis.sink();
    sink.cast(ballot()).await.expect("durable");
    server.command(&["CLIENT", "PAUSE", "1500", "WRITE"]);
    let cast = sink.cast(ballot());
    let change = async {
        sleep(Duration::from_millis(300)).await;
        server.command(&["CONFIG", "SET", "appendfsync", "everysec"]);
    };
    let (cast, ()) = tokio::join!(cast, change);
    let unknown = cast.expect_err("it may be lost");
    assert!(matches!(unknown, CastError::Unknown(_)), "{unknown:?}");
    let why = in_words(&unknown);
    assert!(why.contains("appendfsync always"), "{why}");
    assert_eq!(server.command(&["XLEN", LOG]), "2");
}

#[tokio::test]
async fn a_user_who_may_not_ask_any_more_is_reported_what_is_missing() {
    let server = RedisServer::start();
    let voting = ["ACL", "SETUSER", "voting", "on", ">x", "~*", "&*", "+@all"];
    server.command(&voting);
    let url = server.url().replace("redis://", "redis://voting:x@");
    let redis = Redis::new(&url, options(1)).expect("an address");
    let sink = redis.sink();
    sink.cast(ballot()).await.expect("cast");
    server.command(&["ACL", "SETUSER", "voting", "-config"]);
    let (thanked, error) = cast_until_refused(&sink).await;
    assert!(thanked < Duration::from_millis(1_200), "{thanked:?}");
    let why = in_words(&error);
    assert!(why.contains("must be allowed CONFIG GET"), "{why}");
    server.command(&["ACL", "SETUSER", "voting", "+@all"]);
    sink.cast(ballot()).await.expect("cast");
}

/// A seal that is forgotten lets ballots into a poll that is final.
#[tokio::test]
async fn no_poll_is_sealed_where_the_seal_may_be_lost() {
    let server = RedisServer::start();
    let redis = redis(&server);
    let [first, second] = ["p", "q"].map(|poll| [poll.parse().expect("an id")]);
    redis.seal(ShardId(0), &first).await.expect("sealed");
    sleep(Duration::from_millis(1_100)).await;
    server.command(&["CONFIG", "SET", "appendonly", "no"]);
    let error = redis.seal(ShardId(0), &second).await;
    let error = in_words(&error.expect_err("it may be lost"));
    assert!(error.contains("appendonly yes"), "{error}");
    let sealed = server.command(&["SMEMBERS", "voting:{0}:sealed"]);
    assert_eq!(sealed, "p", "it was not even sent");
}

/// It is there, but may not stay.
#[tokio::test]
async fn a_seal_that_is_under_way_meanwhile_is_not_said_to_hold() {
    let server = RedisServer::start();
    let redis = redis(&server);
    let [first, second] = ["p", "q"].map(|poll| [poll.parse().expect("an id")]);
    redis.seal(ShardId(0), &first).await.expect("sealed");
    server.command(&["CLIENT", "PAUSE", "1500", "WRITE"]);
    let seal = redis.seal(ShardId(0), &second);
    let change = async {
        sleep(Duration::from_millis(300)).await;
        server.command(&["CONFIG", "SET", "appendfsync", "everysec"]);
    };
    let (seal, ()) = tokio::join!(seal, change);
    let error = in_words(&seal.expect_err("it may be lost"));
    assert!(error.contains("appendfsync always"), "{error}");
    let sealed = server.command(&["SCARD", "voting:{0}:sealed"]);
    assert_eq!(sealed, "2");
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_is_not_ready_and_says_why() {
    let server = RedisServer::start_with(&["--save", "3600 1"]);
    let careless = RedisOptions {
        accept_loss: true,
        response_timeout: Duration::from_millis(500),
        ..options(1)
    };
    let careless = Redis::new(&server.url(), careless).expect("an address");
    let redis = redis(&server);
    let queue = redis.queue();
    let ready = async || {
        redis.ready_to_append().await.expect("ready");
        careless.ready_to_append().await.expect("ready");
        queue.ready_to_claim().await.expect("ready");
    };
    let not_ready = async |reason: &str, worker: bool| {
        redis
            .ready_to_append()
            .await
            .expect_err("it takes no ballot");
        let error = careless
            .ready_to_append()
            .await
            .expect_err("it takes no ballot");
        let error = in_one_line(&error);
        assert!(error.contains(reason), "{error}");
        assert_eq!(queue.ready_to_claim().await.is_ok(), worker, "{reason}");
    };
    ready().await;
    careless.publish(&[]).await.expect("published");
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    not_ready("replica", false).await;
    let error = in_one_line(&redis.ready_to_append().await.expect_err("a replica"));
    assert!(error.contains("a replica, of 127.0.0.1 1"), "{error}");
    server.command(&["REPLICAOF", "NO", "ONE"]);
    ready().await;

    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    // To acknowledge is what makes room.
    not_ready("memory is full", true).await;
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    ready().await;

    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    not_ready("too few replicas", false).await;
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    ready().await;

    // What is to be its snapshot cannot be written.
    let folder = server.command(&["CONFIG", "GET", "dir"]);
    let folder = folder.lines().nth(1).expect("its folder").to_owned();
    let snapshot = std::path::Path::new(&folder).join("dump.rdb");
    std::fs::create_dir_all(snapshot.join("in the way")).expect("made");
    server.command(&["BGSAVE"]);
    let deadline = Instant::now() + Duration::from_secs(20);
    let failed = "rdb_last_bgsave_status:err";
    while !server.command(&["INFO", "persistence"]).contains(failed) {
        assert!(Instant::now() < deadline, "it does not fail");
        sleep(Duration::from_millis(20)).await;
    }
    not_ready("cannot write to its disk", false).await;
    server.command(&["CONFIG", "SET", "save", ""]);
    ready().await;

    server.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let error = careless
        .ready_to_append()
        .await
        .expect_err("writes are paused");
    let error = in_one_line(&error);
    assert!(error.contains("paused"), "{error}");
    // What only reads does not wait behind the question.
    careless.polls().await.expect("it can be read");
    server.command(&["CLIENT", "UNPAUSE"]);
    ready().await;
}

/// As by a Redis that was started anew, while nobody asked it anything.
#[tokio::test]
async fn a_connection_that_was_lost_meanwhile_fails_no_question_and_no_ballot() {
    let server = RedisServer::start();
    let redis = redis(&server);
    redis.publish(&[]).await.expect("published");
    redis
        .append(ShardId(0), entry::of_one(&ballot()))
        .await
        .expect("appended");
    let queue = redis.queue();
    let kill = || {
        let killed = server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert_ne!(killed, "0");
    };
    kill();
    redis.polls().await.expect("asked again");
    kill();
    redis.ready_to_append().await.expect("asked again");
    kill();
    queue.stats().await.expect("asked again");
    let claim = queue.claim(1, Duration::ZERO).await.expect("claimed");
    assert_eq!(claim.entries.len(), 1);
    // Also while it waits for an entry.
    let waits = queue.claim(1, Duration::from_millis(900));
    let (waited, ()) = tokio::join!(waits, async {
        sleep(Duration::from_millis(200)).await;
        kill();
    });
    waited.expect("claimed");
    sleep(Duration::from_millis(1_100)).await;
    kill();
    redis
        .append(ShardId(0), entry::of_one(&ballot()))
        .await
        .expect("it has looked before");
}

/// Done once it is ready.
async fn is_ready(redis: &Redis) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(error) = redis.ready_to_append().await {
        let in_time = Instant::now() < deadline;
        assert!(in_time, "it is not ready again: {}", in_words(&error));
        sleep(Duration::from_millis(20)).await;
    }
}

/// Those who are connected stay so.
#[tokio::test]
async fn a_redis_without_room_for_clients_is_not_ready_and_says_why() {
    let server = RedisServer::start_with(&["--maxclients", "20"]);
    let early = redis(&server);
    let queue = early.queue();
    early.sink().cast(ballot()).await.expect("cast");
    early.ready_to_append().await.expect("ready");
    queue.ready_to_claim().await.expect("ready");
    let crowd = server.crowd();
    early.sink().cast(ballot()).await.expect("it is connected");
    let late = redis(&server);
    let error = in_words(&late.ready_to_append().await.expect_err("no room"));
    assert!(error.contains("max number of clients"), "{error}");
    let refused = late.sink().cast(ballot()).await.expect_err("no room");
    assert!(matches!(refused, CastError::Refused(_)), "{refused:?}");
    let error = late.queue().ready_to_claim().await.expect_err("no room");
    assert!(in_words(&error).contains("max number"), "{error:?}");
    drop(crowd);
    is_ready(&late).await;
    late.sink().cast(ballot()).await.expect("cast");
    assert_eq!(server.command(&["XLEN", LOG]), "3");
}

#[tokio::test]
async fn a_redis_that_still_reads_its_log_takes_no_ballot_and_is_then_ready() {
    // Of the beginning of its log, which was written anew, each key takes 50 ms. After each it answers.
    let mut server = RedisServer::start_with(&[
        "--key-load-delay",
        "50000",
        "--loading-process-events-interval-bytes",
        "1024",
        "--rdbcompression",
        "no",
    ]);
    let fill = "for i = 1, 120 do redis.call('SET', 'x' .. i, string.rep('x', 2000)) end";
    server.command(&["EVAL", fill, "0"]);
    let redis = redis(&server);
    let queue = redis.queue();
    redis.sink().cast(ballot()).await.expect("cast");
    redis.ready_to_append().await.expect("ready");
    server.command(&["BGREWRITEAOF"]);
    let deadline = Instant::now() + Duration::from_secs(20);
    let is_written =
        |info: &str| info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrites:1");
    while !is_written(&server.command(&["INFO", "persistence"])) {
        assert!(Instant::now() < deadline, "the log is not written anew");
        sleep(Duration::from_millis(20)).await;
    }
    server.kill();
    server.launch();
    let error = in_words(&redis.ready_to_append().await.expect_err("it reads its log"));
    assert!(error.contains("still reads its log"), "{error}");
    let refused = redis.sink().cast(ballot()).await.expect_err("it reads");
    assert!(matches!(refused, CastError::Refused(_)), "{refused:?}");
    let error = queue.ready_to_claim().await.expect_err("it reads its log");
    assert!(in_words(&error).contains("loading"), "{error:?}");
    is_ready(&redis).await;
    queue.ready_to_claim().await.expect("ready");
    redis.sink().cast(ballot()).await.expect("cast");
    assert_eq!(server.command(&["XLEN", LOG]), "2");
}
