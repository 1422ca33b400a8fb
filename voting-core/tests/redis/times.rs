//! The moments at which polls open and close, where Redis' clock or memory is not as usual.

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
use voting_testing::RedisServer;

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
