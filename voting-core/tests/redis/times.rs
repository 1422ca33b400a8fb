//! The moments at which polls open and close, where Redis' clock or memory is not as usual.

use std::time::Duration;

use voting_core::{
    BallotLog, CastError, StoreError,
    backends::redis::Redis,
    log::entry,
    model::{
        moment::Moment,
        poll::PollWindow,
        position::{EntryId, ShardId},
    },
};
use voting_testing::{RedisServer, await_that};

use super::{ballot, options};

const LOG: &str = "voting:{0}:log";
const SHARD: ShardId = ShardId(0);

fn window(poll: &str, opens: Option<u64>, closes: Option<u64>) -> PollWindow {
    let at = |ms: Option<u64>| ms.and_then(Moment::from_unix_ms);
    PollWindow {
        poll: poll.parse().expect("an id"),
        rules: 1,
        times: 1,
        opens_at: at(opens),
        closes_at: at(closes),
    }
}

/// The same poll, with its first times or its second ones.
fn times(times: u32, closes: u64) -> PollWindow {
    PollWindow {
        times,
        ..window("p", None, Some(closes))
    }
}

async fn is_held(redis: &Redis, window: &PollWindow) {
    let answer = redis.set_windows(SHARD, std::slice::from_ref(window)).await;
    assert_eq!(answer.expect("an answer").held[0], *window);
}

async fn lacks_the_times(redis: &Redis) {
    let refused = cast(redis, "p").await.expect_err("it lacks the times");
    assert!(matches!(refused, CastError::TimesUnknown(_)), "{refused:?}");
}

async fn becomes_ready(redis: &Redis) {
    while redis.ready_to_append().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const MARGIN_MS: u64 = 10_000;
const HOUR_MS: u64 = 3_600_000;

/// The closing was moved since the backup, to an earlier moment or to a later one. The old or the new one is so near by
/// now that a shard with the old times would not take the new ones.
#[tokio::test]
async fn a_redis_that_was_restored_with_old_times_takes_no_ballot_by_them() {
    for is_moved_back in [false, true] {
        let mut server = RedisServer::start();
        let redis = Redis::new(&server.url(), options(1)).expect("an address");
        redis.ready_to_append().await.expect("ready");
        let (near, far) = (3_000 + MARGIN_MS, HOUR_MS);
        let begun = Moment::now().unix_ms();
        let (old, new) = if is_moved_back {
            (far, near)
        } else {
            (near, far)
        };
        let (old, new) = (times(1, begun + old), times(2, begun + new));
        is_held(&redis, &old).await;
        cast(&redis, "p").await.expect("taken");
        let backup = server.back_up();
        becomes_ready(&redis).await;
        is_held(&redis, &old).await;
        is_held(&redis, &new).await;
        server.restore(&backup);
        becomes_ready(&redis).await;
        lacks_the_times(&redis).await;
        while Moment::now().unix_ms() < begun + near - MARGIN_MS {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        lacks_the_times(&redis).await;
        is_held(&redis, &new).await;
        cast(&redis, "p").await.expect("taken");
    }
}

#[tokio::test]
async fn a_redis_that_was_restarted_gets_no_older_times_than_it_had() {
    let mut server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    redis.ready_to_append().await.expect("ready");
    let closes = Moment::now().unix_ms() + HOUR_MS;
    let (old, new) = (times(1, closes), times(2, closes + HOUR_MS));
    is_held(&redis, &old).await;
    is_held(&redis, &new).await;
    server.kill();
    server.launch();
    becomes_ready(&redis).await;
    lacks_the_times(&redis).await;
    let answer = redis.set_windows(SHARD, std::slice::from_ref(&old)).await;
    assert_eq!(answer.expect("an answer").held, std::slice::from_ref(&new));
    lacks_the_times(&redis).await;
    is_held(&redis, &new).await;
    cast(&redis, "p").await.expect("taken");
    // What it has is its own again.
    let answer = redis.set_windows(SHARD, std::slice::from_ref(&old)).await;
    assert_eq!(answer.expect("an answer").held, [new]);
    cast(&redis, "p").await.expect("taken");
}

/// It may have been promoted before a change of the times reached it.
#[tokio::test]
async fn a_replica_that_takes_over_takes_no_ballot_by_the_times_of_its_master() {
    let mut master = RedisServer::start();
    let of = format!("127.0.0.1 {}", master.port());
    let replica = RedisServer::start_with(&["--replicaof", &of]);
    // A Redis draws a new `master_replid` when its first replica begins to copy it.
    await_that("the replica follows", || {
        let replication = replica.command(&["INFO", "replication"]);
        replication.contains("master_link_status:up")
    });
    let redis = Redis::new(&master.url(), options(1)).expect("an address");
    redis.ready_to_append().await.expect("ready");
    let window = times(1, Moment::now().unix_ms() + HOUR_MS);
    is_held(&redis, &window).await;
    cast(&redis, "p").await.expect("taken");
    await_that("the replica has all", || {
        replica.command(&["XLEN", LOG]) == "1"
    });
    master.kill();
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    let redis = Redis::new(&replica.url(), options(1)).expect("an address");
    redis.ready_to_append().await.expect("ready");
    lacks_the_times(&redis).await;
    is_held(&redis, &window).await;
    cast(&redis, "p").await.expect("taken");
}

async fn cast(redis: &Redis, poll: &str) -> Result<EntryId, CastError> {
    let mut ballot = ballot();
    (ballot.poll, ballot.rules) = (poll.parse().expect("an id"), Some(1));
    redis.append(SHARD, entry::of_one(&ballot)).await
}

/// Redis' clock was set back, or its ids were raised: what counts is the ms that the next id has.
#[tokio::test]
async fn ids_that_are_ahead_of_the_clock_decide() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    redis.ready_to_append().await.expect("ready");
    let ahead = Moment::now().unix_ms() + 3_600_000;
    server.command(&["XSETID", LOG, &format!("{ahead}-7")]);
    let windows = [
        window("opened", Some(ahead), None),
        window("opens", Some(ahead + 1), None),
        window("closed", None, Some(ahead)),
        window("closes", None, Some(ahead + 1)),
    ];
    let answer = redis.set_windows(SHARD, &windows).await.expect("an answer");
    assert_eq!((answer.clock_ms, &answer.held[..]), (ahead, &windows[..]));
    let id = |ms, seq| EntryId::new(ms, seq).expect("an id");
    assert_eq!(cast(&redis, "opened").await.expect("taken"), id(ahead, 8));
    assert_eq!(cast(&redis, "closes").await.expect("taken"), id(ahead, 9));
    let early = cast(&redis, "opens").await.expect_err("it opens later");
    assert!(matches!(early, CastError::NotOpen(_)), "{early:?}");
    let late = cast(&redis, "closed").await.expect_err("it is closed");
    assert!(matches!(late, CastError::Closed(_)), "{late:?}");
    // All ids of that ms are in use: the next one is of the next ms, and is compared too.
    server.command(&["XSETID", LOG, &format!("{ahead}-{}", u64::MAX)]);
    let late = cast(&redis, "closes").await.expect_err("it would be late");
    assert!(matches!(late, CastError::Closed(_)), "{late:?}");
    assert_eq!(server.command(&["XLEN", LOG]), "2");
    let next = cast(&redis, "opened").await.expect("taken");
    assert_eq!(next, id(ahead + 1, 0));
    cast(&redis, "opens").await.expect("now it is open");
}

#[tokio::test]
async fn a_redis_that_is_full_keeps_its_windows_and_takes_no_others() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    let later = Some(Moment::now().unix_ms() + 3_600_000);
    let windows = [window("p", None, later)];
    redis.set_windows(SHARD, &windows).await.expect("taken");
    cast(&redis, "p").await.expect("taken");
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let again = redis.set_windows(SHARD, &windows).await;
    assert_eq!(again.expect("nothing is written").held, windows);
    let other = [window("q", None, later)];
    let refused = redis.set_windows(SHARD, &other).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    let refused = cast(&redis, "p").await.expect_err("it is full");
    assert!(matches!(refused, CastError::Refused(_)), "{refused:?}");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    redis.set_windows(SHARD, &other).await.expect("taken");
    cast(&redis, "q").await.expect("taken");
}

#[tokio::test]
async fn a_window_that_cannot_be_read_is_no_absent_window() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    redis.ready_to_append().await.expect("ready");
    for text in ["", "1 1 -", "1 1 - x", "a 1 - -", "1 1 - - -"] {
        server.command(&["HSET", "voting:{0}:windows", "p", text]);
        let refused = cast(&redis, "p").await.expect_err("it cannot be read");
        assert!(matches!(refused, CastError::Refused(_)), "{refused:?}");
        let answer = redis.set_windows(SHARD, &[window("p", None, None)]).await;
        answer.expect_err("it cannot be read");
    }
    assert_eq!(server.command(&["XLEN", LOG]), "0");
}
