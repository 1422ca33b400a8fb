//! Ballots that wait for replicas, and replicas that take over.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use voting_core::{Log, error::ErrorKind};
use voting_testing::{Engine, ReplicatedRedis, await_that, newer_stores};

use super::*;

/// An entry with one ballot in the poll `p`.
fn entry() -> entry::NewEntry {
    entry::of_one(&ballot())
}

fn with_replicas(replicas: u16) -> RedisOptions {
    RedisOptions {
        replicas,
        response_timeout: Duration::from_secs(1),
        claim_timeout: Duration::from_secs(30),
        ..options(1)
    }
}

fn behind(servers: &ReplicatedRedis, replicas: u16) -> Redis {
    let options = RedisOptions {
        sentinels: Some(servers.sentinels()),
        // A disk that others use may be slow.
        response_timeout: Duration::from_secs(5),
        ..with_replicas(replicas)
    };
    Redis::new(&servers.url(), options).expect("an address")
}

fn length(server: &RedisServer) -> String {
    server.command(&["XLEN", "voting:{0}:log"])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_replica_has_not_on_its_disk_is_not_acknowledged() {
    if newer_stores().is_none() {
        return;
    }
    for engine in [Engine::Redis, Engine::Valkey] {
        let master = RedisServer::start_engine(engine, &[]);
        let follow = ["--replicaof", "127.0.0.1", &master.port().to_string()];
        let replica = RedisServer::start_engine(engine, &follow);
        let redis = Redis::new(&master.url(), with_replicas(1)).expect("an address");
        let queue = redis.queue();
        // The replica writes all that it was sent in the beginning to its disk first.
        until(async || redis.append(ShardId(0), entry()).await.is_ok()).await;

        replica.signal("STOP");
        let appended = redis.append(ShardId(0), entry()).await;
        assert!(
            matches!(appended, Err(CastError::Unknown(_))),
            "{engine:?}: {appended:?}"
        );
        // From then on it is known before.
        let appended = redis.append(ShardId(0), entry()).await;
        assert!(
            matches!(appended, Err(CastError::Refused(_))),
            "{engine:?}: {appended:?}"
        );
        let sealed = redis.seal(ShardId(0), &["q".parse().unwrap()]).await;
        sealed.expect_err("the replica may not know of the seal");
        // Another process finds the seal there. It must not take it for kept.
        let other = Redis::new(&master.url(), with_replicas(1)).expect("an address");
        let sealed = other.seal(ShardId(0), &["q".parse().unwrap()]).await;
        sealed.expect_err("the replica may not know of the seal");
        // It could be gone after the replica has taken over, so it must not be counted either.
        let claimed = queue.claim(10, Duration::from_millis(50)).await;
        assert!(
            claimed.is_err() || claimed.unwrap().entries.is_empty(),
            "{engine:?}"
        );

        replica.signal("CONT");
        let mut taken = 0;
        until(async || {
            let claim = queue.claim(10, Duration::from_millis(50)).await;
            taken += claim.map_or(0, |claim| claim.entries.len());
            taken.to_string() == length(&master)
        })
        .await;
        until(async || redis.append(ShardId(0), entry()).await.is_ok()).await;
    }
}

/// Asks until it holds.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_enough_replicas_nothing_is_sent_and_with_too_many_neither() {
    if newer_stores().is_none() {
        return;
    }
    let master = RedisServer::start_engine(Engine::Redis, &[]);
    let redis = Redis::new(&master.url(), with_replicas(1)).expect("an address");
    let error = redis
        .ready_to_append()
        .await
        .expect_err("there is no replica");
    assert!(
        in_words(&error).contains("0 of 1 replicas"),
        "{}",
        in_words(&error)
    );
    let appended = redis.append(ShardId(0), entry()).await;
    assert!(
        matches!(appended, Err(CastError::Refused(_))),
        "{appended:?}"
    );
    assert_eq!(length(&master), "0");

    let port = master.port().to_string();
    let follow = ["--replicaof", "127.0.0.1", &port];
    let _one = RedisServer::start_engine(Engine::Redis, &follow);
    until(async || redis.append(ShardId(0), entry()).await.is_ok()).await;

    // It may take over, and nobody waits for it.
    let _other = RedisServer::start_engine(Engine::Redis, &follow);
    let refused = async || match redis.append(ShardId(0), entry()).await {
        Err(CastError::Refused(error)) => error.to_string().contains("unavailable"),
        _ => false,
    };
    until(refused).await;
    let error = redis.ready_to_append().await.expect_err("one too many");
    assert_eq!(error.kind(), ErrorKind::NotDurable);
    assert!(
        in_words(&error).contains("Set redis.replicas to 2"),
        "{}",
        in_words(&error)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_cannot_wait_for_replicas_acknowledges_nothing() {
    let master = RedisServer::start();
    let follow = ["--replicaof", "127.0.0.1", &master.port().to_string()];
    let replica = RedisServer::start_with(&follow);
    let redis = Redis::new(&master.url(), with_replicas(1)).expect("an address");
    await_that("the replica follows", || {
        let status = replica.command(&["INFO", "replication"]);
        status.contains("master_link_status:up")
    });
    let has_waitaof = master.try_command(&["COMMAND", "INFO", "WAITAOF"]);
    if has_waitaof.is_ok_and(|told| told.contains("waitaof")) {
        return;
    }
    let error = redis
        .ready_to_append()
        .await
        .expect_err("it has no WAITAOF");
    assert!(in_words(&error).contains("7.2"), "{}", in_words(&error));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_over_has_every_acknowledged_entry() {
    if newer_stores().is_none() {
        return;
    }
    for engine in [Engine::Redis, Engine::Valkey] {
        let mut servers = ReplicatedRedis::start(engine, 1);
        let redis = behind(&servers, 1);
        until(async || redis.append(ShardId(0), entry()).await.is_ok()).await;
        let careless = behind(&servers, 0);
        let error = careless.ready_to_append().await;
        let error = error.expect_err("nobody waits for the replica that Sentinel may promote");
        assert_eq!(error.kind(), ErrorKind::NotDurable);
        let appended = careless.append(ShardId(0), entry()).await;
        assert!(
            matches!(appended, Err(CastError::Refused(_))),
            "{engine:?}: {appended:?}"
        );
        let mut acknowledged = Vec::new();
        for _ in 0..50 {
            acknowledged.push(redis.append(ShardId(0), entry()).await.expect("appended"));
        }
        let queue = redis.reader();
        let claim = queue
            .claim(10, Duration::from_secs(1))
            .await
            .expect("entries");
        let seen = claim.entries.last().expect("one").id;

        // Ballots come while the master is lost with its disk.
        let has_moved = Arc::new(AtomicBool::new(false));
        let casting = tokio::spawn({
            let (redis, has_moved) = (redis.clone(), Arc::clone(&has_moved));
            async move {
                let (mut acknowledged, mut after) = (Vec::new(), 0);
                while after < 50 {
                    let is_after = has_moved.load(Ordering::Relaxed);
                    match redis.append(ShardId(0), entry()).await {
                        Ok(id) => {
                            acknowledged.push(id);
                            after += u32::from(is_after);
                        }
                        Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
                acknowledged
            }
        });
        let now = tokio::task::block_in_place(|| {
            let now = servers.lose_master();
            // Nothing is acknowledged before there is another replica.
            servers.add_replica();
            now
        });
        has_moved.store(true, Ordering::Relaxed);
        acknowledged.extend(casting.await.expect("it ends"));

        let there = servers.servers[now].command(&["XRANGE", "voting:{0}:log", "-", "+"]);
        let mut before = seen;
        for (index, id) in acknowledged.iter().enumerate() {
            assert!(there.contains(&id.to_string()), "{engine:?}: {id} is lost");
            if index >= 50 {
                assert!(
                    *id > before,
                    "{engine:?}: {id} does not come after {before}"
                );
                before = *id;
            }
        }
        redis
            .ready_to_append()
            .await
            .expect("the new master is durable");
    }
}
