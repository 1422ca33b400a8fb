//! What the Redis back end must do beside the conformance suite.

mod changes;
mod replicas;
mod signed;
mod times;

use std::time::Duration;

use voting_core::{
    Ballot, BallotLog, BallotQueue, CastError, Choices, PollDirectory, SecretKey, StoreError,
    VoteSink, VoterId,
    backends::redis::{Redis, RedisOptions, RewindError},
    log::{SeparateLog, entry},
    model::{
        position::ShardId,
        secret::Fingerprint,
        secrets::{KnownSecrets, LogSecrets},
    },
    store::applied::Applied,
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
        rules: None,
    }
}

fn in_words(error: &dyn std::error::Error) -> String {
    format!("{error}: {}", error.source().expect("a cause"))
}

#[tokio::test]
async fn a_redis_that_can_lose_ballots_is_not_ready() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    redis
        .ready_to_append()
        .await
        .expect("it is set up to be durable");
    let weaker = [
        ("appendfsync", "everysec"),
        ("appendonly", "no"),
        ("aof-load-truncated", "yes"),
        ("no-appendfsync-on-rewrite", "yes"),
        ("maxmemory-policy", "allkeys-lru"),
    ];
    for (name, value) in weaker {
        let before = server.command(&["CONFIG", "GET", name]);
        let before = before.lines().nth(1).expect("its value").to_owned();
        server.command(&["CONFIG", "SET", name, value]);
        let error = redis
            .ready_to_append()
            .await
            .expect_err("it is not durable");
        assert!(in_words(&error).contains(name), "{error:?}");
        let careless = RedisOptions {
            accept_loss: true,
            ..options(1)
        };
        let careless = Redis::new(&server.url(), careless).expect("an address");
        careless
            .ready_to_append()
            .await
            .expect("it was said in so many words");
        server.command(&["CONFIG", "SET", name, &before]);
    }
    redis.ready_to_append().await.expect("it is durable again");
}

fn fingerprint(byte: u8) -> Fingerprint {
    let secret = SecretKey::new([byte; 32]).expect("long enough");
    secret.fingerprint()
}

#[tokio::test]
async fn of_secrets_that_come_at_once_one_is_the_logs() {
    for _ in 0..20 {
        let server = RedisServer::start();
        let ask = |byte| {
            let redis = Redis::new(&server.url(), options(1)).expect("an address");
            async move { redis.check_secrets(&fingerprint(byte).into()).await }
        };
        let asked = futures_util::future::join_all((1..=8).map(ask)).await;
        let admitted = asked.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(admitted, 1, "{asked:?}");
        let foreign = |answer: &Result<Vec<_>, _>| {
            matches!(answer, Ok(_) | Err(StoreError::ForeignSecret { .. }))
        };
        assert!(asked.iter().all(foreign), "{asked:?}");
        // And stays it, whoever asks again.
        let again = futures_util::future::join_all((1..=8).map(ask)).await;
        let answers = asked.iter().zip(&again);
        for (first, again) in answers {
            assert_eq!(first.is_ok(), again.is_ok(), "{asked:?} {again:?}");
        }
    }
}

#[tokio::test]
async fn the_secrets_that_are_allowed_stand_beside_the_layout() {
    let mut server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    redis.ready_to_append().await.expect("ready");
    assert_eq!(
        redis.log_secrets().await.expect("an answer"),
        LogSecrets::default()
    );
    redis
        .check_secrets(&fingerprint(1).into())
        .await
        .expect("the first");
    redis
        .check_secrets(&fingerprint(1).into())
        .await
        .expect("the same");
    redis
        .check_secrets(&fingerprint(2).into())
        .await
        .expect_err("another");
    // An older program compares this exactly.
    assert_eq!(
        server.command(&["GET", "voting:layout"]).trim(),
        "1 shards=1"
    );
    server.kill();
    server.launch();
    redis
        .check_secrets(&fingerprint(2).into())
        .await
        .expect_err("still");
    // Whoever has both is accepted, and nobody else.
    let both = format!("{} {}", fingerprint(1), fingerprint(2));
    server.command(&["SET", "voting:secrets", &both]);
    for (current, other) in [(1, 2), (2, 1)] {
        let known = KnownSecrets {
            current: fingerprint(current),
            others: vec![fingerprint(other)],
        };
        redis.check_secrets(&known).await.expect("it has both");
    }
    for byte in [1, 3] {
        let lacking = redis.check_secrets(&fingerprint(byte).into()).await;
        lacking.expect_err("it lacks one");
    }
    for text in ["", " ", "x", &both[1..]] {
        server.command(&["SET", "voting:secrets", text]);
        for byte in [1, 2] {
            let answer = redis.check_secrets(&fingerprint(byte).into()).await;
            assert!(matches!(answer, Err(StoreError::Corrupt(_))), "{answer:?}");
        }
    }
}

/// What an older program does: it has one secret, and knows one text.
fn older_accepts(server: &RedisServer, byte: u8) -> bool {
    let text = server.command(&["GET", "voting:secrets"]);
    let print = fingerprint(byte).to_string();
    text.split_whitespace().any(|word| word == print)
}

#[tokio::test]
async fn once_there_are_cookies_of_a_new_secret_an_older_program_takes_no_ballots() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    let known = |current, other| KnownSecrets {
        current: fingerprint(current),
        others: vec![fingerprint(other)],
    };
    redis.check_secrets(&known(1, 2)).await.expect("the first");
    assert!(older_accepts(&server, 1));
    redis
        .check_secrets(&known(2, 1))
        .await
        .expect("it has both");
    assert!(!older_accepts(&server, 1));
    redis
        .check_secrets(&known(1, 2))
        .await
        .expect("it has both");
    assert!(!older_accepts(&server, 1));
    let secrets = redis.log_secrets().await.expect("an answer");
    assert_eq!(secrets.accepted, [fingerprint(1), fingerprint(2)]);
    // A process that ends in between leaves the earlier text first.
    server.command(&["SET", "voting:secrets", &fingerprint(1).to_string()]);
    let secrets = redis.log_secrets().await.expect("an answer");
    assert_eq!(secrets.accepted, [fingerprint(1)]);
    redis
        .check_secrets(&known(2, 1))
        .await
        .expect("it has both");
    let dropped = redis.check_secrets(&fingerprint(2).into()).await;
    assert_eq!(dropped.expect("the last one"), [fingerprint(1)]);
    assert!(older_accepts(&server, 2) && !older_accepts(&server, 1));
    let secrets = redis.log_secrets().await.expect("an answer");
    assert_eq!(secrets.accepted, [fingerprint(2)]);
}

/// What it would leave out of its own log at its next start are the ballots.
#[tokio::test]
async fn a_redis_that_would_not_read_its_own_log_again_is_not_ready() {
    let mut server = RedisServer::start();
    let voting = ["ACL", "SETUSER", "voting", "on", ">x", "~*", "&*", "+@all"];
    server.command(&voting);
    let url = server.url().replace("redis://", "redis://voting:x@");
    let redis = Redis::new(&url, options(1)).expect("an address");
    server.command(&["ACL", "SETUSER", "default", "resetkeys"]);
    let error = redis
        .ready_to_append()
        .await
        .expect_err("it would lose ballots");
    assert!(in_words(&error).contains("`default`"), "{error:?}");
    redis.sink().cast(ballot()).await.expect_err("refused");
    server.command(&["ACL", "SETUSER", "default", "~*"]);
    redis.ready_to_append().await.expect("ready");
    redis.sink().cast(ballot()).await.expect("cast");
    server.kill();
    server.launch();
    assert_eq!(server.command(&["XLEN", "voting:{0}:log"]), "1");
}

#[tokio::test]
async fn the_number_of_shards_cannot_change() {
    let server = RedisServer::start();
    let four = Redis::new(&server.url(), options(4)).expect("an address");
    four.sink().cast(ballot()).await.expect("cast");
    let five = Redis::new(&server.url(), options(5)).expect("an address");
    let error = five.ready_to_append().await.expect_err("the log has four");
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
    let queue = redis.queue();
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
    let other = redis.queue();
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

/// Votes are taken for as long as there is memory for those that are not yet counted.
#[tokio::test]
async fn counted_ballots_make_room_for_new_ones_though_they_were_to_be_kept() {
    let server = RedisServer::start();
    let options = RedisOptions {
        retention: Duration::from_secs(24 * 3600),
        ..options(1)
    };
    let redis = Redis::new(&server.url(), options).expect("an address");
    redis.ready_to_append().await.expect("ready");
    let used = server.command(&["INFO", "memory"]);
    let used = used
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    let used: u64 = used.expect("told").trim().parse().expect("a number");
    let allowed = (used + 4 * 1024 * 1024).to_string();
    server.command(&["CONFIG", "SET", "maxmemory", &allowed]);

    let queue = redis.queue();
    // An entry of 64 KiB that is not to be counted, but is as good as any for taking room.
    let large = || entry::NewEntry {
        payload: vec![0; 64 * 1024],
        ..entry::of_one(&ballot())
    };
    let append = async |entry| redis.append(ShardId(0), entry).await;
    let mut appended = 0;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    // Four times what there is memory for.
    while appended < 256 {
        assert!(tokio::time::Instant::now() < deadline, "{appended}");
        if append(large()).await.is_ok() {
            appended += 1;
        }
        let claim = queue
            .claim(1, Duration::from_millis(50))
            .await
            .expect("claimed");
        let keys: Vec<_> = claim.entries.iter().map(|e| (e.shard, e.id)).collect();
        queue.acknowledge(&keys).await.expect("acknowledged");
    }
    let kept: u64 = server
        .command(&["XLEN", "voting:{0}:log"])
        .parse()
        .expect("a number");
    assert!((1..64).contains(&kept), "{kept}");

    // What is not acknowledged stays, whatever there is room for.
    let mut refused = None;
    let mut stays = 0;
    for _ in 0..256 {
        match append(large()).await {
            Ok(_) => stays += 1,
            Err(error) => refused = Some(error),
        }
    }
    assert!(
        matches!(refused, Some(CastError::Refused(_))),
        "{refused:?}"
    );
    let mut seen = 0;
    while seen < stays {
        let claim = queue
            .claim(1, Duration::from_secs(5))
            .await
            .expect("claimed");
        assert!(!claim.entries.is_empty(), "{seen} of {stays}");
        let keys: Vec<_> = claim.entries.iter().map(|e| (e.shard, e.id)).collect();
        seen += keys.len();
        queue.acknowledge(&keys).await.expect("acknowledged");
    }
}

/// As after a long time without Postgres, which was then restored.
#[tokio::test]
async fn the_log_can_be_rewound_though_redis_has_no_memory_left() {
    let server = RedisServer::start();
    let options = RedisOptions {
        retention: Duration::from_secs(24 * 3600),
        ..options(1)
    };
    let redis = Redis::new(&server.url(), options).expect("an address");
    for _ in 0..10 {
        let entry = entry::of_one(&ballot());
        redis.append(ShardId(0), entry).await.expect("appended");
    }
    let queue = redis.queue();
    let claim = queue.claim(100, Duration::ZERO).await.expect("claimed");
    let keys: Vec<_> = claim.entries.iter().map(|e| (e.shard, e.id)).collect();
    queue.acknowledge(&keys).await.expect("acknowledged");
    let refused = redis
        .look_back(&Applied::default())
        .await
        .expect_err("a worker is there");
    assert!(matches!(refused, RewindError::WorkersRunning));
    queue.close().await.expect("closed");
    drop(queue);

    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let back = loop {
        match redis.look_back(&Applied::default()).await {
            Err(RewindError::WorkersRunning) if tokio::time::Instant::now() < deadline => {}
            back => break back.expect("it needs no memory"),
        }
    };
    let all = keys.len() as u64;
    assert_eq!((back.ballots, back.lacking, back.accepted), (all, all, all));
    assert!(back.complete_from.is_empty());
    let one_is_there = Applied {
        also: [keys[0]].into(),
        ..Applied::default()
    };
    let lacking = redis
        .look_back(&one_is_there)
        .await
        .expect("looked")
        .lacking;
    assert_eq!(lacking, all - 1);
    let handed_out = redis.rewind(&back).await.expect("it needs no memory");
    assert_eq!(handed_out, all);
    let again = redis.queue().claim(100, Duration::ZERO).await;
    assert_eq!(again.expect("claimed").entries.len(), keys.len());
}

#[tokio::test]
async fn what_a_dead_worker_had_in_hand_is_handed_out_once_after_a_rewind() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    for _ in 0..4 {
        redis.sink().cast(ballot()).await.expect("cast");
    }
    let dead = redis.queue();
    let claim = dead.claim(4, Duration::from_secs(5)).await;
    assert_eq!(claim.expect("claimed").entries.len(), 4);
    drop(dead);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let back = loop {
        match redis.look_back(&Applied::default()).await {
            Err(RewindError::WorkersRunning) if tokio::time::Instant::now() < deadline => {}
            back => break back.expect("it is dead"),
        }
    };
    redis.rewind(&back).await.expect("rewound");
    // By now it is taken for dead, and its entries would be taken over.
    let queue = redis.queue();
    let mut left = 4;
    while left > 0 {
        let claim = queue.claim(1, Duration::from_secs(5)).await;
        let keys: Vec<_> = claim
            .expect("claimed")
            .entries
            .iter()
            .map(|e| (e.shard, e.id))
            .collect();
        queue.acknowledge(&keys).await.expect("acknowledged");
        left -= keys.len() as u64;
        assert_eq!(queue.stats().await.expect("stats").pending, left);
    }
    let more = queue.claim(10, Duration::ZERO).await.expect("claimed");
    assert!(more.entries.is_empty(), "{more:?} is acknowledged");
}

#[tokio::test]
async fn an_entry_that_was_deleted_before_it_was_counted_is_reported() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    redis.sink().cast(ballot()).await.expect("cast");
    let dead = redis.queue();
    dead.claim(10, Duration::from_secs(5))
        .await
        .expect("claimed");
    server.command(&["XTRIM", "voting:{0}:log", "MAXLEN", "0"]);
    let queue = redis.queue();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while queue.stats().await.expect("stats").lost_entries == 0 {
        assert!(tokio::time::Instant::now() < deadline, "nobody tells");
        queue
            .claim(10, Duration::from_millis(50))
            .await
            .expect("claimed");
    }
    let stats = queue.stats().await.expect("stats");
    assert_eq!(stats.lost_entries, 1);
}

#[tokio::test]
async fn a_log_that_was_made_anew_under_its_readers_is_read_on() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(2)).expect("an address");
    redis.sink().cast(ballot()).await.expect("cast");
    let queue = redis.queue();
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
    server.signal("STOP");
    let unknown = sink.cast(ballot()).await.expect_err("no answer");
    assert!(matches!(unknown, CastError::Unknown(_)), "{unknown:?}");
    server.signal("CONT");
    // It answers again, and so has come to that command.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while sink.cast(ballot()).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "it never recovers");
    }
    assert_eq!(server.command(&["XLEN", "voting:{0}:log"]), "2");
}

#[tokio::test]
async fn a_password_that_was_wrong_at_first_is_tried_again() {
    let server = RedisServer::start();
    server.command(&[
        "ACL", "SETUSER", "voting", "on", ">old", "~*", "&*", "+@all",
    ]);
    let url = server.url().replace("redis://", "redis://voting:new@");
    let redis = Redis::new(&url, options(1)).expect("an address");
    for _ in 0..2 {
        let error = redis
            .ready_to_append()
            .await
            .expect_err("the password is wrong");
        assert!(in_words(&error).contains("authentication"), "{error:?}");
        let refused = redis.sink().cast(ballot()).await.expect_err("refused");
        assert!(
            matches!(refused, CastError::Refused(_)),
            "nothing was sent: {refused:?}"
        );
    }
    server.command(&["ACL", "SETUSER", "voting", ">new"]);
    redis.ready_to_append().await.expect("it is right now");
    redis.sink().cast(ballot()).await.expect("cast");
    // Who loses its connection and must say the password again, likewise.
    server.command(&["ACL", "SETUSER", "voting", "<new"]);
    server.command(&["CLIENT", "KILL", "USER", "voting"]);
    while redis.ready_to_append().await.is_ok() {}
    redis.ready_to_append().await.expect_err("wrong again");
    server.command(&["ACL", "SETUSER", "voting", ">new"]);
    redis.ready_to_append().await.expect("right again");
}

/// Adds an entry whose field has a name that is no text.
fn push_no_text(server: &RedisServer) {
    let add = r"return redis.call('XADD', KEYS[1], '*', '\255\254', 'x', 'b', '\255')";
    server.command(&["EVAL", add, "1", "voting:{0}:log"]);
}

#[tokio::test]
async fn an_entry_whose_field_is_no_text_is_handed_out_like_any_other() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    let dead = redis.queue();
    assert!(
        dead.claim(1, Duration::ZERO)
            .await
            .expect("claimed")
            .entries
            .is_empty()
    );
    push_no_text(&server);
    redis.sink().cast(ballot()).await.expect("cast");
    push_no_text(&server);
    dead.stats()
        .await
        .expect("counted, though the first is no text");
    redis
        .raise_ids(entry_id(1))
        .await
        .expect("read, though the first is no text");
    let claim = dead.claim(10, Duration::ZERO).await.expect("claimed");
    assert_eq!(claim.entries.len(), 3);
    // Taken over, it is no worse.
    let heir = redis.queue();
    let mut taken = 0;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while taken < 3 {
        assert!(tokio::time::Instant::now() < deadline, "not taken over");
        let claim = heir.claim(10, Duration::from_millis(50)).await;
        taken += claim.expect("claimed").entries.len();
    }
}

fn entry_id(ms: u64) -> voting_core::model::position::EntryId {
    voting_core::model::position::EntryId::new(ms, 0).expect("an id")
}

fn consumers(server: &RedisServer) -> usize {
    let told = server.command(&["XINFO", "CONSUMERS", "voting:{0}:log", "workers"]);
    told.lines().filter(|line| *line == "name").count()
}

#[tokio::test]
async fn a_consumer_that_is_closed_is_forgotten_unless_it_has_something_in_hand() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    let (idle, busy) = (redis.queue(), redis.queue());
    // Redis knows a consumer once it has had an entry.
    redis.sink().cast(ballot()).await.expect("cast");
    let claim = idle.claim(1, Duration::ZERO).await.expect("claimed");
    let keys = [(claim.entries[0].shard, claim.entries[0].id)];
    idle.acknowledge(&keys).await.expect("acknowledged");
    redis.sink().cast(ballot()).await.expect("cast");
    let claim = busy.claim(1, Duration::ZERO).await.expect("claimed");
    assert_eq!((claim.entries.len(), consumers(&server)), (1, 2));
    idle.close().await.expect("closed");
    busy.close().await.expect("closed");
    assert_eq!(consumers(&server), 1, "the one with an entry stays");
    // And so does its entry.
    let heir = redis.queue();
    let late = heir.claim(1, Duration::from_secs(10)).await;
    let late = late.expect("claimed");
    let keys = [(late.entries[0].shard, late.entries[0].id)];
    assert_eq!(late.entries[0].id, claim.entries[0].id);
    heir.acknowledge(&keys).await.expect("acknowledged");
    busy.close().await.expect("closed");
    heir.close().await.expect("closed");
    assert_eq!(consumers(&server), 0);
}

/// The increments of Redis' log, the newest last.
fn log_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(folder.join("appendonlydir")).expect("a folder");
    let files = files.map(|file| file.expect("a file").path());
    let mut files: Vec<_> = files
        .filter(|file| file.to_string_lossy().contains(".incr."))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_log_that_a_power_cut_has_torn_keeps_what_was_acknowledged_and_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = RedisServer::start_in(folder.path(), &[]);
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    let append = async |redis: &Redis| {
        let entry = entry::of_one(&ballot());
        redis.append(ShardId(0), entry).await.expect("appended")
    };
    append(&redis).await;
    append(&redis).await;
    server.kill();
    // In the middle of the last command of the second append's transaction.
    let log = log_files(folder.path()).pop().expect("a log");
    let bytes = std::fs::read(&log).expect("read");
    let needle = b"accepted";
    let at = bytes.windows(needle.len()).rposition(|part| part == needle);
    std::fs::write(&log, &bytes[..at.expect("it counts")]).expect("torn");
    server.launch();
    assert_eq!(server.command(&["XLEN", "voting:{0}:log"]), "1");
    let polls = ["p".parse().expect("an id")];
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    append(&redis).await;
    redis.seal(ShardId(0), &polls).await.expect("sealed");
    // What was torn must not swallow what came after it.
    server.kill();
    server.launch();
    let redis = Redis::new(&server.url(), options(1)).expect("an address");
    let late = redis.append(ShardId(0), entry::of_one(&ballot())).await;
    assert!(matches!(late, Err(CastError::Closed(_))), "{late:?}");
    assert_eq!(server.command(&["XLEN", "voting:{0}:log"]), "2");
    let stats = redis.queue().stats().await.expect("stats");
    assert_eq!(stats.accepted, 2);
}
