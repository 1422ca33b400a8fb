//! What the Redis back end must do in a cluster, beside the conformance suite.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use voting_core::{
    Ballot, BallotLog, BallotQueue, CastError, Choices, VoterId,
    backends::redis::{Redis, RedisOptions, RedisQueue},
    error::in_one_line,
    log::entry,
    model::position::{EntryId, ShardId},
};
use voting_testing::RedisCluster;

/// Of so many, each master has some.
const SHARDS: u16 = 8;

const LONG: Duration = Duration::from_secs(60);

fn options() -> RedisOptions {
    RedisOptions {
        shards: SHARDS,
        claim_timeout: Duration::from_millis(1_000),
        cluster: true,
        ..RedisOptions::default()
    }
}

fn redis(cluster: &RedisCluster) -> Redis {
    Redis::new(&cluster.url(), options()).expect("addresses")
}

fn log_key(shard: ShardId) -> String {
    format!("voting:{{{shard}}}:log")
}

async fn append(redis: &Redis, shard: ShardId) -> Result<(ShardId, EntryId), CastError> {
    let ballot = Ballot {
        poll: "p".parse().expect("an id"),
        voter: VoterId::issue(),
        choices: Choices::from_bits(1).expect("choices"),
        rules: None,
    };
    redis
        .append(shard, entry::of_one(&ballot))
        .await
        .map(|id| (shard, id))
}

/// Claims and acknowledges until all these were seen.
async fn drain(queue: &RedisQueue, mut missing: HashSet<(ShardId, EntryId)>) {
    let deadline = Instant::now() + LONG;
    while !missing.is_empty() {
        assert!(Instant::now() < deadline, "lost: {missing:?}");
        let Ok(claim) = queue.claim(100, Duration::from_millis(100)).await else {
            continue;
        };
        let keys: Vec<_> = claim
            .entries
            .iter()
            .map(|entry| (entry.shard, entry.id))
            .collect();
        if queue.acknowledge(&keys).await.is_ok() {
            keys.iter().for_each(|key| _ = missing.remove(key));
        }
    }
}

#[tokio::test]
async fn a_lone_ballot_is_claimed_at_once_by_a_claim_that_waits() {
    let cluster = RedisCluster::start();
    let redis = redis(&cluster);
    let queue = redis.queue();
    queue.claim(10, Duration::ZERO).await.expect("claimed");
    for shard in 0..SHARDS {
        // A busy machine may be slow once. A claim that looks at the shards in turn is slow each time.
        let mut quickest = LONG;
        for _ in 0..5 {
            let cast = async {
                sleep(Duration::from_millis(300)).await;
                append(&redis, ShardId(shard)).await.expect("appended");
                Instant::now()
            };
            let (claim, cast) = tokio::join!(queue.claim(10, LONG), cast);
            quickest = quickest.min(cast.elapsed());
            let claim = claim.expect("claimed");
            let keys: Vec<_> = claim.entries.iter().map(|e| (e.shard, e.id)).collect();
            assert_eq!(keys.len(), 1);
            // Or it would be handed out again after its time.
            queue.acknowledge(&keys).await.expect("acknowledged");
            if quickest < Duration::from_millis(250) {
                break;
            }
        }
        assert!(quickest < Duration::from_millis(250), "{quickest:?}");
    }
}

#[tokio::test]
async fn while_a_master_is_away_its_ballots_are_refused_the_others_go_on_and_nothing_is_lost() {
    let mut cluster = RedisCluster::start();
    let redis = redis(&cluster);
    let queue = redis.queue();
    let away = 1;
    let (gone, there): (Vec<_>, Vec<_>) = (0..SHARDS)
        .map(ShardId)
        .partition(|shard| cluster.owner(&log_key(*shard)) == away);
    assert!(!gone.is_empty() && !there.is_empty());
    let mut kept = HashSet::new();
    for shard in gone.iter().chain(&there) {
        kept.insert(append(&redis, *shard).await.expect("appended"));
    }

    cluster.masters[away].kill();
    for shard in &gone {
        let begun = Instant::now();
        append(&redis, *shard)
            .await
            .expect_err("its master is away");
        assert!(begun.elapsed() < Duration::from_secs(6));
    }
    // Once it is known that there is no connection, the answer is a clear no.
    let refused = append(&redis, gone[0]).await.expect_err("refused");
    assert!(matches!(refused, CastError::Refused(_)), "{refused:?}");
    let error = in_one_line(&redis.ready_to_append().await.expect_err("not ready"));
    let port = cluster.masters[away].port().to_string();
    assert!(error.contains(&port), "{error}");
    let mut others = HashSet::new();
    for shard in &there {
        others.insert(append(&redis, *shard).await.expect("appended"));
    }
    kept.extend(&others);
    let of_others = kept.iter().filter(|(shard, _)| there.contains(shard));
    let of_others: HashSet<_> = of_others.copied().collect();
    drain(&queue, of_others.clone()).await;
    // A worker goes on with the others, without a pause; that one is away the operator's numbers tell.
    let idle = queue.claim(10, Duration::from_millis(50)).await;
    assert_eq!(idle.expect("the others answer").entries, []);
    queue.stats().await.expect_err("not all answer");
    // What one shard cannot acknowledge is not held against the others.
    let mut mixed: Vec<_> = of_others.iter().copied().take(1).collect();
    mixed.extend(kept.iter().find(|(shard, _)| gone.contains(shard)));
    queue
        .acknowledge(&mixed)
        .await
        .expect("done as far as can be");

    cluster.masters[away].launch();
    let deadline = Instant::now() + LONG;
    for shard in &gone {
        let id = loop {
            assert!(Instant::now() < deadline, "it does not recover");
            match append(&redis, *shard).await {
                Ok(id) => break id,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        };
        kept.insert(id);
    }
    drain(&queue, kept.difference(&of_others).copied().collect()).await;
    redis.ready_to_append().await.expect("ready again");
    let stats = queue.stats().await.expect("stats");
    assert_eq!(stats.lost_entries, 0);
}

#[tokio::test]
async fn each_master_must_be_durable() {
    let cluster = RedisCluster::start();
    let redis = redis(&cluster);
    redis.ready_to_append().await.expect("all are");
    for master in &cluster.masters {
        master.command(&["CONFIG", "SET", "appendfsync", "everysec"]);
        let error = in_one_line(&redis.ready_to_append().await.expect_err("one is not"));
        assert!(error.contains("appendfsync always"), "{error}");
        assert!(error.contains(&master.port().to_string()), "{error}");
        master.command(&["CONFIG", "SET", "appendfsync", "always"]);
    }
    redis.ready_to_append().await.expect("all are again");
}

#[tokio::test]
async fn a_replica_that_takes_over_by_itself_is_refused() {
    let mut cluster = RedisCluster::start();
    let redis = redis(&cluster);
    append(&redis, ShardId(0)).await.expect("appended");
    let setting = "cluster-replica-no-failover";
    cluster.add_replica(&[]);
    let error = in_one_line(
        &redis
            .ready_to_append()
            .await
            .expect_err("it can lose ballots"),
    );
    assert!(
        error.contains(setting) && error.contains("takes over by itself"),
        "{error}"
    );
    // Also without a look at readiness, once it is known that there are other nodes.
    let refused = append(&redis, ShardId(0)).await.expect_err("refused");
    assert!(matches!(refused, CastError::Refused(_)), "{refused:?}");
    let careless = RedisOptions {
        accept_loss: true,
        ..options()
    };
    let careless = Redis::new(&cluster.url(), careless).expect("addresses");
    careless
        .ready_to_append()
        .await
        .expect("it was said in so many words");
    let replica = cluster.replica.as_ref().expect("there");
    replica.command(&["CONFIG", "SET", setting, "yes"]);
    redis
        .ready_to_append()
        .await
        .expect("it waits for its master");
    append(&redis, ShardId(0)).await.expect("appended");
}

/// Appends to all shards, again and again, until none is acknowledged any more, and says how long any was.
async fn append_until_refused(redis: &Redis) -> Duration {
    let begun = Instant::now();
    let mut thanked = Duration::ZERO;
    while begun.elapsed() < thanked + Duration::from_millis(500) {
        assert!(
            begun.elapsed() < LONG,
            "ballots are acknowledged all the while"
        );
        for shard in (0..SHARDS).map(ShardId) {
            if append(redis, shard).await.is_ok() {
                thanked = begun.elapsed();
            }
        }
        sleep(Duration::from_millis(10)).await;
    }
    thanked
}

async fn append_to_all(redis: &Redis) {
    for shard in (0..SHARDS).map(ShardId) {
        append(redis, shard).await.expect("appended");
    }
}

#[tokio::test]
async fn nobody_is_thanked_when_one_master_is_not_durable_any_more() {
    let mut cluster = RedisCluster::start();
    let waits = ["--cluster-replica-no-failover", "yes"];
    cluster.add_replica(&waits);
    let redis = redis(&cluster);
    append_to_all(&redis).await;
    let soon = Duration::from_millis(1_300);
    for master in &cluster.masters {
        master.command(&["CONFIG", "SET", "appendfsync", "everysec"]);
        let thanked = append_until_refused(&redis).await;
        assert!(thanked < soon, "{thanked:?}");
        master.command(&["CONFIG", "SET", "appendfsync", "always"]);
        append_to_all(&redis).await;
    }
    // Nor when a replica would take over without the latest ballots.
    let replica = cluster.replica.as_ref().expect("there");
    let setting = "cluster-replica-no-failover";
    replica.command(&["CONFIG", "SET", setting, "no"]);
    let thanked = append_until_refused(&redis).await;
    assert!(thanked < soon, "{thanked:?}");
    replica.command(&["CONFIG", "SET", setting, "yes"]);
    append_to_all(&redis).await;
    // One that takes over because an operator says so must keep what it acknowledges, too.
    replica.command(&["CONFIG", "SET", "appendfsync", "everysec"]);
    // The one that it takes over from becomes its replica.
    cluster.masters[0].command(&["CONFIG", "SET", setting, "yes"]);
    append_to_all(&redis).await;
    replica.command(&["CLUSTER", "FAILOVER", "TAKEOVER"]);
    let thanked = append_until_refused(&redis).await;
    assert!(thanked < Duration::from_secs(3), "{thanked:?}");
    let error = in_one_line(&redis.ready_to_append().await.expect_err("not durable"));
    assert!(error.contains(&replica.port().to_string()), "{error}");
    replica.command(&["CONFIG", "SET", "appendfsync", "always"]);
    append_to_all(&redis).await;
}

/// One that answers nothing holds up its own ballots only.
#[tokio::test]
async fn while_a_master_hangs_the_others_go_on_without_a_pause() {
    let cluster = RedisCluster::start();
    let redis = redis(&cluster);
    append_to_all(&redis).await;
    let hangs = 1;
    let there: Vec<_> = (0..SHARDS)
        .map(ShardId)
        .filter(|shard| cluster.owner(&log_key(*shard)) != hangs)
        .collect();
    cluster.masters[hangs].signal("STOP");
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    while begun.elapsed() < Duration::from_secs(4) {
        for shard in &there {
            let sent = Instant::now();
            append(&redis, *shard).await.expect("its master is there");
            slowest = slowest.max(sent.elapsed());
        }
        sleep(Duration::from_millis(20)).await;
    }
    cluster.masters[hangs].signal("CONT");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

/// Moves a shard to a master that had nothing before, one key after the other, with time in between.
async fn reshard(cluster: &RedisCluster, shard: ShardId) {
    let from = &cluster.masters[cluster.owner(&log_key(shard))];
    let to = cluster.masters.last().expect("one");
    let (from_id, to_id) = (
        from.command(&["CLUSTER", "MYID"]),
        to.command(&["CLUSTER", "MYID"]),
    );
    let slot = from.command(&["CLUSTER", "KEYSLOT", &log_key(shard)]);
    to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
    from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
    let port = to.port().to_string();
    loop {
        sleep(Duration::from_millis(200)).await;
        let key = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "1"]);
        if key.is_empty() {
            break;
        }
        from.command(&["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"]);
    }
    to.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
    from.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
}

#[tokio::test]
async fn a_shard_that_moves_to_another_master_loses_and_refuses_nothing() {
    let mut cluster = RedisCluster::start();
    cluster.add_master();
    let redis = redis(&cluster);
    redis.ready_to_append().await.expect("ready");
    let shard = ShardId(0);
    let done = Arc::new(AtomicBool::new(false));
    let voters = tokio::spawn({
        let (redis, done) = (redis.clone(), done.clone());
        async move {
            let mut kept = HashSet::new();
            while !done.load(Ordering::Acquire) {
                kept.insert(append(&redis, shard).await.expect("never refused"));
            }
            kept
        }
    });
    let worker = tokio::spawn({
        let (queue, done) = (redis.queue(), done.clone());
        async move {
            let mut seen = Vec::new();
            while !done.load(Ordering::Acquire) {
                let claim = queue.claim(100, Duration::from_millis(50)).await;
                let claim = claim.expect("never in trouble");
                let keys = claim.entries.iter().map(|entry| (entry.shard, entry.id));
                let keys: Vec<_> = keys.collect();
                queue.acknowledge(&keys).await.expect("acknowledged");
                seen.extend(keys);
            }
            seen
        }
    });
    sleep(Duration::from_millis(100)).await;
    reshard(&cluster, shard).await;
    sleep(Duration::from_millis(300)).await;
    done.store(true, Ordering::Release);
    let (kept, seen) = (
        voters.await.expect("voters"),
        worker.await.expect("a worker"),
    );
    let once: HashSet<_> = seen.iter().copied().collect();
    assert_eq!(once.len(), seen.len(), "no entry comes twice");
    let missing = kept.difference(&once).copied().collect();
    drain(&redis.queue(), missing).await;
    let stats = redis.queue().stats().await.expect("stats");
    assert_eq!((stats.accepted, stats.pending), (kept.len() as u64, 0));
    assert_eq!(
        cluster.masters[3].command(&["EXISTS", &log_key(shard)]),
        "1"
    );
}
