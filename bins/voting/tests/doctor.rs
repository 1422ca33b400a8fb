//! `voting doctor` over real servers: first everything is right, then one thing is broken at a time.

mod support;

use std::{
    fs,
    io::{Read, Write},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use support::{
    Voting,
    deployment::{CLAIM_TIMEOUT, Deployment, SECRETS, Told, set_mode},
};
use tempfile::TempDir;
use voting_core::{SecretKey, backends::postgres::Postgres, log::entry_keys::EntryKeys};
use voting_testing::{Authority, PgBouncer, PostgresServer, RedisCluster, RedisServer, await_some};

/// A deployment with a worker that has counted some ballots.
fn healthy() -> Deployment {
    let mut deployment = Deployment::new();
    deployment.start_worker();
    deployment.cast(20);
    deployment.settle();
    deployment
}

#[test]
fn an_entry_key_that_is_needed_and_not_here_is_a_failure_and_one_that_is_not_needed_is_reported() {
    let mut deployment = healthy();
    let key = SecretKey::new(SECRETS[1]).expect("a key");
    let id = EntryKeys::id_of(&key);
    let keys = EntryKeys::new("voting").signing_with(&key);
    deployment.cast_signed(1, keys);
    let needed = format!("1 entry of key {id}, which is not here");
    let told = deployment.doctor(&["--for", "worker"]);
    told.ended(1).says("FAIL", "entry keys", &[&needed, "wait"]);
    let file = deployment.file("token");
    let file = file.to_str().expect("a text");
    deployment.set("VOTING_OTHER_ENTRY_KEY_FILES", file);
    let told = deployment.doctor(&["--for", "worker"]);
    let there = format!("1 entry of key {id}; keep it");
    told.says("ok", "entry keys", &[&there]).only("FAIL", &[]);
    deployment.set("VOTING_ENTRY_KEY", "another entry key of 32 bytes or more");
    let told = deployment.doctor(&["--for", "vote"]);
    told.says("ok", "secrets", &["entry_key is set, not in a file"]);
    let file = deployment.file("secret");
    deployment.set(
        "VOTING_OTHER_ENTRY_KEY_FILES",
        file.to_str().expect("a text"),
    );
    deployment
        .doctor(&[])
        .ended(1)
        .says("FAIL", "settings", &["entry_key is the same as secret"]);
}

#[test]
fn of_a_healthy_deployment_nothing_is_wrong() {
    let deployment = healthy();
    // This is longer than the time after which a silent worker is considered dead.
    let end = Instant::now() + CLAIM_TIMEOUT * 2;
    while Instant::now() < end {
        let told = deployment.doctor(&[]);
        told.ended(0)
            .only("warn", &[])
            .only("FAIL", &[])
            .only("?", &[]);
        told.says(
            "ok",
            "settings",
            &["voting-vote, voting-worker, voting-result"],
        )
        .says("ok", "secrets", &["worker.token is in"])
        .says("ok", "redis", &["answers at 127.0.0.1:"])
        .says("ok", "redis durability", &["keeps"])
        .says("ok", "redis rights", &["user default"])
        .says("ok", "redis shards", &["4, as in the log"])
        .says("ok", "secret", &["not held to a secret yet"])
        .says("ok", "entry keys", &["does not sign"])
        .says("ok", "entry keys", &["without a signature"])
        .says(
            "ok",
            "log",
            &["20 ballots of 4 shards", "0 ballots not counted yet"],
        )
        .says("ok", "workers", &["1 worker"])
        .says("ok", "postgres tables", &["which this program needs"])
        .says("ok", "postgres upgrade", &["finished"])
        .says("ok", "postgres rights", &["worker_login"])
        .says("ok", "polls", &["1 open, 0 closing, 0 final"])
        .says(
            "ok",
            "conservation",
            &["20 accepted; 20 counted", "0 pending"],
        )
        .says("ok", "order of ids", &[]);
    }
    let json = deployment.doctor(&["--json"]);
    let document: serde_json::Value = serde_json::from_str(&json.text).expect("JSON");
    assert_eq!(document["level"], "ok");
    let checks = document["checks"].as_array().expect("checks");
    assert!(checks.len() > 20, "{json}");
    assert!(checks.iter().all(|check| check["level"] == "ok"), "{json}");
}

#[test]
fn an_upgrade_that_is_not_finished_is_reported() {
    let deployment = healthy();
    deployment.sql("UPDATE upgrades SET finished = 2");
    let told = deployment.doctor(&[]);
    told.says("warn", "postgres upgrade", &["migrate --finish"]);
    told.only("warn", &["postgres upgrade"]);
}

#[test]
fn it_changes_nothing() {
    let deployment = Deployment::new();
    let digest = || deployment.redis.command(&["DEBUG", "DIGEST"]);
    let before = digest();
    let told = deployment.doctor(&[]);
    told.says("warn", "log", &["nobody has used"]).says(
        "FAIL",
        "published polls",
        &["no worker has published"],
    );
    assert_eq!(
        digest(),
        before,
        "it has made something in a Redis that nobody has used"
    );
    deployment.step();
    deployment.cast(5);
    let rows = "SELECT SUM(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables";
    let (before, written) = (digest(), deployment.sql(rows));
    let told = deployment.doctor(&[]);
    told.says(
        "FAIL",
        "workers",
        &["no worker was heard of", "ballots wait", "start a worker"],
    )
    .ended(1);
    assert_eq!((digest(), deployment.sql(rows)), (before, written));
}

#[test]
fn a_redis_that_can_lose_ballots_is_reported() {
    let mut deployment = healthy();
    deployment
        .redis
        .command(&["CONFIG", "SET", "appendfsync", "everysec"]);
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["redis durability"]);
    told.says(
        "FAIL",
        "redis durability",
        &["appendfsync always", "To do: "],
    );
    deployment.set("VOTING_REDIS__ACCEPT_LOSS", "true");
    let told = deployment.doctor(&[]);
    told.ended(0)
        .says("warn", "redis durability", &["appendfsync always"])
        .says("warn", "settings", &["accept_loss"]);
    deployment.unset("VOTING_REDIS__ACCEPT_LOSS");
    deployment
        .redis
        .command(&["CONFIG", "SET", "appendfsync", "always"]);
    deployment.doctor(&[]).ended(0);
}

#[test]
fn a_pooler_that_changes_sessions_is_reported() {
    let postgres = PostgresServer::start();
    let deployment = Deployment::on(&postgres, RedisServer::start());
    deployment.step();
    let database = deployment.database.rsplit('/').next().expect("a name");
    for (mode, is_told) in [("transaction", true), ("session", false)] {
        let pooler = PgBouncer::start(&postgres, mode);
        let url = pooler.url(database);
        let mut settings = deployment.settings.clone();
        settings.retain(|(name, _)| *name != "VOTING_POSTGRES__URL");
        settings.push(("VOTING_POSTGRES__URL", url));
        let told = Told::by(&settings, &["doctor"]);
        let parts = ["changes sessions", "pool_mode = session"];
        assert_eq!(
            told.has("FAIL", "postgres pooler", &parts),
            is_told,
            "{told}"
        );
    }
}

#[test]
fn a_user_with_too_few_rights_is_reported() {
    let mut deployment = healthy();
    let password = SECRETS[2].replace(' ', "%20");
    let user = |name: &str, rights: &[&str]| {
        let secret = format!(">{}", SECRETS[2]);
        let mut set = vec!["ACL", "SETUSER", name, "on", &secret, "~*"];
        set.extend(rights);
        deployment.redis.command(&set);
        format!(
            "redis://{name}:{password}@127.0.0.1:{}/",
            deployment.redis.port()
        )
    };
    let all = user("all", &["+@all"]);
    let reader = user("reader", &["+@all", "-xadd", "-xack", "-info"]);
    let wrong = all.replace(&password, "wrong");
    deployment.set("VOTING_REDIS__URL", &reader);
    let told = deployment.doctor(&[]);
    told.ended(1)
        .says(
            "FAIL",
            "redis rights",
            &["user reader", "voting-vote does: info, xadd", "+xadd"],
        )
        .says(
            "FAIL",
            "redis rights",
            &["user reader", "voting-worker does: info, xack", "+xack"],
        )
        .says("?", "redis server", &["may not look"]);
    let told = deployment.doctor(&["--for", "vote"]);
    told.says("FAIL", "redis rights", &["xadd"]);
    assert!(!told.text.contains("xack"), "{told}");
    // A part that could not be checked is not reported as right.
    deployment
        .redis
        .command(&["ACL", "SETUSER", "reader", "+xadd", "+xack"]);
    let told = deployment.doctor(&[]);
    told.ended(1).says("FAIL", "redis rights", &["+info"]).says(
        "?",
        "redis server",
        &["may not look"],
    );
    deployment
        .redis
        .command(&["ACL", "SETUSER", "reader", "+info", "-client|list"]);
    let told = await_some("the worker has had nothing to do for long", || {
        let told = deployment.doctor(&[]);
        (told.code == 2).then_some(told)
    });
    told.only("?", &["workers"])
        .says("?", "workers", &["may not see", "--worker URL"]);
    deployment.set("VOTING_REDIS__URL", &wrong);
    let told = deployment.doctor(&[]);
    told.ended(1).says(
        "FAIL",
        "redis",
        &["does not answer at 127.0.0.1:", "password"],
    );
    deployment.set("VOTING_REDIS__URL", &all);
    deployment.doctor(&[]).ended(0);
    deployment
        .redis
        .command(&["ACL", "SETUSER", "default", "-hset"]);
    let told = deployment.doctor(&[]);
    told.ended(1).says(
        "FAIL",
        "redis durability",
        &["reads its own log", "hset", "ACL SETUSER default"],
    );
}

#[test]
fn a_user_with_the_rights_that_are_advised_can_vote_count_and_close() {
    let mut deployment = Deployment::new();
    let set = |rights: &[&str]| {
        let mut set = vec!["ACL", "SETUSER", "small"];
        set.extend(rights);
        deployment.redis.command(&set);
    };
    set(&["on", ">p", "-@all", "+ping", "+acl|whoami", "+acl|dryrun"]);
    let url = format!("redis://small:p@127.0.0.1:{}/", deployment.redis.port());
    deployment.set("VOTING_REDIS__URL", &url);
    let told = deployment.doctor(&[]);
    let advised = told
        .text
        .lines()
        .filter(|line| line.contains("ACL SETUSER small"));
    let advised: Vec<String> = advised
        .map(|line| {
            let (_, rights) = line.split_once("ACL SETUSER small ").expect("advice");
            let (rights, _) = rights.split_once(';').expect("its end");
            rights.replace('\'', "")
        })
        .collect();
    assert_eq!(
        advised.len(),
        2,
        "of the vote service and the worker: {told}"
    );
    let redis = &deployment.redis;
    for rights in &advised {
        let mut set = vec!["ACL", "SETUSER", "small"];
        set.extend(rights.split(' '));
        redis.command(&set);
    }
    deployment.reconnect(&url);
    deployment.start_worker();
    deployment.cast(20);
    deployment.settle();
    let told = deployment.doctor(&[]);
    told.only("FAIL", &[])
        .says("ok", "redis rights", &["user small"]);
    deployment.stop_worker();
    deployment.sql(r#"UPDATE polls SET state = '{"state":"closing","seals":[]}'"#);
    // The ids have to be raised too.
    deployment.sql("INSERT INTO applied VALUES (0, 4000000000000, 0)");
    deployment.step();
    let told = deployment.doctor(&[]);
    told.says("ok", "polls", &["0 closing, 1 final"])
        .says("warn", "order of ids", &[]);
}

#[test]
fn a_redis_without_room_or_with_trouble_on_its_disk_is_reported() {
    let deployment = healthy();
    let redis = &deployment.redis;
    // This makes the rewrite slow enough to be interrupted.
    redis.command(&["DEBUG", "POPULATE", "1000"]);
    redis.command(&["CONFIG", "SET", "rdb-key-save-delay", "1000000"]);
    redis.command(&["BGREWRITEAOF"]);
    let parent = redis.id().to_string();
    let child = || {
        let found = Command::new("pgrep").args(["-P", &parent]).output();
        let found = found.expect("pgrep is there").stdout;
        let found = String::from_utf8_lossy(&found).trim().to_owned();
        (!found.is_empty()).then_some(found)
    };
    let child = await_some("a rewrite", child);
    let killed = Command::new("kill").args(["-s", "KILL", &child]).status();
    assert!(killed.expect("kill is there").success());
    await_some("the rewrite has failed", || {
        let info = redis.command(&["INFO", "persistence"]);
        info.contains("aof_last_bgrewrite_status:err").then_some(())
    });
    redis.command(&["CONFIG", "SET", "rdb-key-save-delay", "0"]);
    let told = deployment.doctor(&[]);
    told.ended(0)
        .only("FAIL", &[])
        .only("warn", &["redis log file"]);
    told.says(
        "warn",
        "redis log file",
        &["could not rewrite", "BGREWRITEAOF"],
    );
    redis.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let told = deployment.doctor(&[]);
    told.ended(1)
        .only("FAIL", &["redis memory", "redis writes"]);
    told.says(
        "FAIL",
        "redis memory",
        &["of 1 MiB (its maxmemory)", "refused"],
    );
}

#[test]
fn a_redis_that_is_away_or_hangs_does_not_stop_the_other_checks() {
    let mut deployment = healthy();
    deployment.stop_worker();
    let rest = |told: &Told| {
        told.ended(1).only("FAIL", &["redis"]);
        told.says("ok", "postgres tables", &[])
            .says("ok", "polls", &[])
            .says("ok", "dead letters", &[]);
    };
    deployment.redis.signal("STOP");
    let asked = Instant::now();
    let told = deployment.doctor(&["--timeout", "1"]);
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "{:?}",
        asked.elapsed()
    );
    rest(told.says(
        "FAIL",
        "redis",
        &["no answer within 1 s", "no ballot is taken"],
    ));
    deployment.redis.signal("CONT");
    deployment.redis.kill();
    let told = deployment.doctor(&[]);
    rest(told.says("FAIL", "redis", &["does not answer", "refused"]));
}

#[test]
fn a_postgres_that_forgets_or_is_away_does_not_stop_the_other_checks() {
    let mut postgres = PostgresServer::start();
    let deployment = Deployment::on(&postgres, RedisServer::start());
    deployment.step();
    let told = deployment.doctor(&[]);
    told.ended(0)
        .only("FAIL", &[])
        .says("warn", "workers", &["no worker is connected"]);
    let forget = "ALTER SYSTEM SET fsync = off";
    PostgresServer::sql(&deployment.database, forget).expect("set");
    let default = "ALTER SYSTEM SET synchronous_commit = off";
    PostgresServer::sql(&deployment.database, default).expect("set");
    PostgresServer::sql(&deployment.database, "SELECT pg_reload_conf()").expect("done");
    let told = await_some("the server has taken it", || {
        let told = deployment.doctor(&[]);
        (told.code == 1).then_some(told)
    });
    told.only("FAIL", &["postgres durability"]);
    told.says("FAIL", "postgres durability", &["fsync is off", "To do: "]);
    PostgresServer::sql(&deployment.database, "ALTER SYSTEM RESET fsync").expect("set");
    PostgresServer::sql(&deployment.database, "SELECT pg_reload_conf()").expect("done");
    let told = await_some("the server has taken it", || {
        let told = deployment.doctor(&[]);
        (told.code == 0).then_some(told)
    });
    // The services do not use the server's default.
    told.says("ok", "postgres durability", &["synchronous_commit is off"]);
    postgres.kill();
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["postgres"]);
    told.says(
        "FAIL",
        "postgres",
        &["does not answer at 127.0.0.1:", "ballots wait in Redis"],
    )
    .says("ok", "redis durability", &[])
    .says("ok", "log", &[]);
    // A service that does not use it gets no such line.
    deployment.doctor(&["--for", "vote"]).ended(0);
}

#[test]
fn a_redis_without_room_for_clients_is_reported() {
    let redis = RedisServer::start_with(&["--maxclients", "30"]);
    let postgres = PostgresServer::start();
    let deployment = Deployment::on(&postgres, redis);
    let crowd = deployment.redis.crowd();
    deployment.doctor(&["--for", "vote"]).ended(1).says(
        "FAIL",
        "redis",
        &["max number of clients", "raise maxclients"],
    );
    drop(crowd);
    await_some("there is room again", || {
        (deployment.doctor(&["--for", "vote"]).code == 0).then_some(())
    });
}

#[test]
fn a_standby_is_no_place_for_a_worker_and_one_for_results() {
    let primary = PostgresServer::start();
    let deployment = Deployment::on(&primary, RedisServer::start());
    deployment.step();
    let standby = primary.standby();
    let [there, here] = [&primary, &standby].map(|server| format!(":{}/", server.port()));
    let mut settings = deployment.settings.clone();
    for (name, value) in &mut settings {
        if *name == "VOTING_POSTGRES__URL" {
            *value = value.replace(&there, &here);
        }
    }
    let told = Told::by(&settings, &["doctor", "--for", "worker"]);
    let parts = ["it is a standby", "To do: ", "the address of its primary"];
    told.ended(1)
        .only("FAIL", &["postgres"])
        .says("FAIL", "postgres", &parts)
        .says("ok", "postgres tables", &[])
        .says("ok", "postgres durability", &[])
        .says("ok", "postgres disk", &[]);
    Told::by(&settings, &["doctor", "--for", "result"])
        .ended(0)
        .only("FAIL", &[])
        .says("ok", "postgres", &["it is a standby"]);
}

#[test]
fn tables_of_another_version_are_reported() {
    let deployment = healthy();
    let version = |statement: &str| {
        deployment.sql(statement);
        let told = deployment.doctor(&[]);
        told.ended(1).only("FAIL", &["postgres tables"]);
        told
    };
    let newest = Postgres::wanted_schema_version();
    let older = format!(
        "CREATE TABLE kept AS SELECT * FROM refinery_schema_history WHERE version = {newest};
         DELETE FROM refinery_schema_history WHERE version = {newest}"
    );
    let found = format!("version {};", newest - 1);
    version(&older).says("FAIL", "postgres tables", &[&found, "run `voting migrate`"]);
    let newer = "INSERT INTO refinery_schema_history SELECT * FROM kept;
                 INSERT INTO refinery_schema_history
                 SELECT 999, 'later', applied_on, checksum FROM kept";
    version(newer).says(
        "FAIL",
        "postgres tables",
        &["of version 999", "newer version"],
    );
    version("DROP TABLE refinery_schema_history").says(
        "FAIL",
        "postgres tables",
        &["there are no tables"],
    );
}

#[test]
fn a_login_with_too_few_or_too_many_rights_is_reported() {
    let mut deployment = healthy();
    let worker = deployment.settings.clone();
    deployment.set("VOTING_POSTGRES__URL", &deployment.result_login());
    let told = deployment.doctor(&[]);
    told.ended(1)
        .only("FAIL", &["postgres rights"])
        .only("?", &["conservation", "order of ids", "webhooks"]);
    told.says(
        "FAIL",
        "postgres rights",
        &["voting-worker", "INSERT on ballots", "GRANT voting_worker"],
    )
    .says("?", "conservation", &["login of postgres.url may not look"]);
    let told = deployment.doctor(&["--for", "result"]);
    told.ended(0)
        .only("warn", &[])
        .says("ok", "postgres rights", &["result_login"]);
    deployment.settings = worker;
    let told = deployment.doctor(&["--for", "result"]);
    told.ended(0)
        .says("warn", "postgres rights", &["may write"]);
    let role = deployment
        .sql("SELECT rolname FROM pg_roles WHERE rolname LIKE current_database() || '_worker'");
    deployment.sql(&format!("REVOKE UPDATE ON turnouts FROM {role}"));
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["postgres rights"]);
    told.says(
        "FAIL",
        "postgres rights",
        &["voting-worker: UPDATE on turnouts."],
    );
    deployment.set("VOTING_POSTGRES__URL", &deployment.database.clone());
    let told = deployment.doctor(&[]);
    told.ended(0)
        .says("warn", "postgres rights", &["superuser", "--create-roles"]);
    let nobody = deployment
        .database
        .replace("postgres@", "nobody_of_the_tests@");
    deployment.set("VOTING_POSTGRES__URL", &nobody);
    let told = deployment.doctor(&[]);
    told.ended(1)
        .says("FAIL", "postgres", &["does not exist", "set a login"]);
}

#[test]
fn a_worker_that_died_with_entries_in_hand_is_reported() {
    let mut deployment = healthy();
    deployment.stop_worker();
    deployment.cast(10);
    let read = |shard: u16, worker: &str| {
        let log = format!("voting:{{{shard}}}:log");
        let read = [
            "XREADGROUP",
            "GROUP",
            "workers",
            worker,
            "COUNT",
            "1",
            "STREAMS",
            &log,
            ">",
        ];
        deployment.redis.command(&read)
    };
    for shard in 0..4 {
        read(shard, "ghost");
    }
    let told = await_some("it is taken for dead", || {
        let told = deployment.doctor(&[]);
        told.has("warn", "workers", &["dead", "ghost"])
            .then_some(told)
    });
    told.ended(1).only("FAIL", &["workers"]);
    told.says("FAIL", "workers", &["ballots wait", "start a worker"]);
    deployment.start_worker();
    deployment.settle();
    let told = deployment.doctor(&[]);
    told.ended(0)
        .only("warn", &[])
        .says("ok", "workers", &["1 worker"]);
}

#[test]
fn ids_that_fall_behind_the_store_are_reported() {
    let mut deployment = healthy();
    deployment.stop_worker();
    let later = (Instant::now(), 4_000_000_000_000_u64);
    deployment.sql(&format!("INSERT INTO applied VALUES (0, {}, 0)", later.1));
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["order of ids"]);
    told.says(
        "FAIL",
        "order of ids",
        &["taken for older", "stop the vote services"],
    );
    // This is a step of a worker.
    deployment.step();
    let told = deployment.doctor(&[]);
    told.ended(0)
        .says("warn", "order of ids", &["ahead of Redis' clock"]);
}

#[test]
fn lost_and_missing_ballots_are_reported() {
    let mut deployment = healthy();
    let redis = &deployment.redis;
    redis.command(&["HSET", "voting:{1}:stats", "lost", "3"]);
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["log lost"]);
    told.says("FAIL", "log lost", &["3 entries were deleted"]);
    redis.command(&["HDEL", "voting:{1}:stats", "lost"]);
    // This is the state after a worker ran on a restored backup.
    deployment.sql("UPDATE turnouts SET voters = voters - 1");
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["conservation"]);
    told.says(
        "FAIL",
        "conservation",
        &[
            "1 ballot that were counted before are not in Postgres",
            "restore the same backup once more, run `voting rewind`",
        ],
    );
    // This is the state after Redis was made anew.
    deployment.sql("UPDATE turnouts SET voters = voters + 8");
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["conservation"]);
    told.says(
        "FAIL",
        "conservation",
        &["7 ballots more", "set up again", "voting rewind --new-log"],
    );
    deployment.sql("UPDATE turnouts SET voters = voters - 7");
    // This is the state after an older backup was restored.
    deployment.sql("CREATE TABLE kept_below AS SELECT * FROM applied_below");
    deployment.sql("CREATE TABLE kept AS SELECT * FROM applied");
    deployment.sql("DELETE FROM applied; DELETE FROM applied_below");
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["conservation"]);
    told.says(
        "FAIL",
        "conservation",
        &[
            "Postgres was put back to an earlier state",
            "stop the workers, run `voting rewind`, start the workers",
        ],
    );
    deployment.sql("INSERT INTO applied SELECT * FROM kept");
    deployment.sql("INSERT INTO applied_below SELECT * FROM kept_below");
    deployment.doctor(&[]).ended(0);
    deployment.sql("INSERT INTO dead_letters VALUES (0, 1, 0, 'malformed', '', '', 1)");
    let told = deployment.doctor(&[]);
    told.only("FAIL", &["conservation"])
        .says("warn", "dead letters", &["1 malformed", "replay"]);
    deployment.stop_worker();
    let told = await_some("no worker was heard of for some seconds", || {
        let told = deployment.voting(&["rewind", "--new-log"]);
        (told.code == 0).then_some(told)
    });
    assert!(told.text.contains("1 ballots of the database"), "{told}");
    // Each ballot is handed out again.
    deployment.start_worker();
    deployment.settle();
    deployment.doctor(&[]).ended(0).says(
        "ok",
        "conservation",
        &["21 accepted; 20 counted, 0 superseded, 1 rejected, 0 pending"],
    );
    deployment.stop_worker();
    deployment.redis.command(&["DEL", "voting:{2}:log"]);
    let told = deployment.doctor(&[]);
    told.says("FAIL", "log", &["shards 2 have no stream"]);
}

#[test]
fn polls_that_are_stuck_or_not_published_are_reported() {
    let mut deployment = healthy();
    deployment.stop_worker();
    deployment.sql(r#"UPDATE polls SET state = '{"state":"closing","seals":[]}'"#);
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["closing", "published polls"]);
    told.says(
        "FAIL",
        "closing",
        &["cats-vs-dogs is closing", "no worker moves it on"],
    )
    .says("FAIL", "published polls", &["other polls, or other states"]);
    deployment.step();
    let told = deployment.doctor(&[]);
    told.ended(0)
        .says("ok", "polls", &["0 open, 0 closing, 1 final"]);
    deployment.redis.command(&["DEL", "voting:polls"]);
    let told = deployment.doctor(&[]);
    told.ended(1)
        .says("FAIL", "published polls", &["no worker has published"]);
    deployment.sql("DELETE FROM polls");
    let told = deployment.doctor(&[]);
    told.says("warn", "polls", &["there is no poll"]);
}

#[test]
fn settings_and_secrets_that_are_wrong_are_reported() {
    let mut deployment = healthy();
    let good = deployment.settings.clone();
    deployment.set("VOTING_REDIS__SHARDS", "5");
    let told = deployment.doctor(&[]);
    told.ended(1).says(
        "FAIL",
        "redis shards",
        &["is 5, but the log has 4", "set redis.shards = 4"],
    );

    deployment.settings.clone_from(&good);
    let secret = deployment.file("secret");
    set_mode(deployment.folder(), 0o755);
    set_mode(&secret, 0o644);
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["secrets"]);
    told.says(
        "FAIL",
        "secrets",
        &["secret is in", "every user", "chmod o="],
    );
    // No other user can enter a task's own folder.
    let folder = deployment.folder().to_str().expect("a text").to_owned();
    deployment.set("NOMAD_SECRETS_DIR", &folder);
    deployment.doctor(&[]).ended(0);
    deployment.unset("NOMAD_SECRETS_DIR");
    set_mode(&secret, 0o600);
    deployment.doctor(&[]).ended(0);
    fs::write(&secret, "short").expect("written");
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["secrets"]);
    told.says(
        "FAIL",
        "secrets",
        &["secret is too short", "32 bytes", "openssl rand"],
    );
    fs::remove_file(&secret).expect("removed");
    let told = deployment.doctor(&[]);
    told.ended(1)
        .says("FAIL", "secrets", &["cannot read", "No such file"]);
    deployment.set("VOTING_SECRET", SECRETS[0]);
    let told = deployment.doctor(&[]);
    told.ended(1)
        .says("FAIL", "secrets", &["both as a value and as a file"]);
    deployment.unset("VOTING_SECRET_FILE");
    let told = deployment.doctor(&[]);
    told.ended(0)
        .says("ok", "secrets", &["secret is set, not in a file"]);

    // A worker must not have the secret, and the doctor must not advise to make one.
    deployment.unset("VOTING_SECRET");
    let told = deployment.doctor(&[]);
    told.ended(0)
        .says("ok", "settings", &["good for voting-worker"]);
    assert!(!told.text.contains("openssl"), "{told}");
    // A service that needs the secret must not be advised to make another one.
    let told = deployment.doctor(&["--for", "vote"]);
    told.ended(1).says(
        "FAIL",
        "secrets",
        &[
            "secret is not set",
            "that the other services have",
            "Only where nobody has voted yet",
        ],
    );
    deployment.set("VOTING_SECRET", SECRETS[0]);

    deployment.set("VOTING_POSTGRES__URL", "nowhere");
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["settings"]);
    told.says(
        "FAIL",
        "settings",
        &["postgres.url is not a valid Postgres URL"],
    )
    .says("ok", "redis", &[]);
    deployment.settings.clone_from(&good);
    fs::write(&secret, SECRETS[0]).expect("written");
    set_mode(&secret, 0o600);
    deployment.set("VOTING_REDIS__SHARD", "4");
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["settings"]);
    told.says(
        "FAIL",
        "settings",
        &["redis.shard", "VOTING_REDIS__SHARD", "shards"],
    )
    .says("ok", "conservation", &[]);
}

#[test]
fn a_secret_that_is_not_the_logs_is_reported() {
    let deployment = healthy();
    let hold = |text: &str| deployment.redis.command(&["SET", "voting:secrets", text]);
    let ours = SecretKey::new(SECRETS[0]).expect("a secret").fingerprint();
    hold(&ours.to_string());
    deployment
        .doctor(&[])
        .ended(0)
        .says("ok", "secret", &[&ours.to_string()]);
    hold("0123456789abcdef");
    deployment.doctor(&[]).ended(1).says(
        "FAIL",
        "secret",
        &[&ours.to_string(), "0123456789abcdef", "no service takes"],
    );
    // The worker has no secret.
    deployment.doctor(&["--for", "worker"]).says(
        "ok",
        "secret",
        &["0123456789abcdef", "none that can be compared"],
    );
    hold(&format!("0123456789abcdef {ours}"));
    let drops = ["drops 0123456789abcdef", "step 3"];
    deployment
        .doctor(&[])
        .ended(0)
        .says("warn", "secret", &drops);
    hold(&format!("{ours} 0123456789abcdef"));
    let lacks = ["cast under 0123456789abcdef", "no service takes"];
    deployment
        .doctor(&[])
        .ended(1)
        .says("FAIL", "secret", &lacks);
    hold("something else");
    deployment
        .doctor(&[])
        .ended(2)
        .says("?", "secret", &["not fingerprints"]);
}

#[test]
fn encrypted_connections_are_told_from_plain_ones_and_no_password_is_shown() {
    let authority = Authority::new();
    let redis = RedisServer::start_encrypted(&authority);
    let postgres = PostgresServer::start_encrypted(&authority);
    let settings = |ca: &Authority| {
        let ca_file = ca.file().to_string_lossy().into_owned();
        [
            ("VOTING_REDIS__URL", redis.url()),
            ("VOTING_REDIS__CA_FILE", ca_file.clone()),
            ("VOTING_POSTGRES__URL", postgres.url("postgres")),
            ("VOTING_POSTGRES__CA_FILE", ca_file),
        ]
    };
    let told = Told::by(&settings(&authority), &["doctor"]);
    for (check, port) in [("redis", redis.port()), ("postgres", postgres.port())] {
        let place = format!("answers at localhost:{port}, encrypted, and its certificate verified");
        told.says("ok", check, &[&place]);
    }
    let stranger = Authority::new();
    let wrong = Told::by(&settings(&stranger), &["doctor"]);
    wrong.ended(1);
    for check in ["redis", "postgres"] {
        wrong.says(
            "FAIL",
            check,
            &[
                "no service connects to localhost:",
                "certificate",
                "not signed by a trusted authority",
                "ca_file",
            ],
        );
    }
    for told in [told, wrong] {
        for password in ["pass/word", "pass%2Fword", "pass word", "pass%20word"] {
            assert!(!told.text.contains(password), "{told}");
        }
    }
}

/// The doctor's report about encrypted servers with certificates of this authority.
fn encrypted(authority: &Authority) -> Told {
    let redis = RedisServer::start_encrypted(authority);
    let postgres = PostgresServer::start_encrypted(authority);
    let ca_file = authority.file().to_string_lossy().into_owned();
    let settings = [
        ("VOTING_REDIS__URL", redis.url()),
        ("VOTING_REDIS__CA_FILE", ca_file.clone()),
        ("VOTING_POSTGRES__URL", postgres.url("postgres")),
        ("VOTING_POSTGRES__CA_FILE", ca_file),
    ];
    Told::by(&settings, &["doctor"])
}

#[test]
fn a_certificate_that_has_expired_or_is_about_to_is_reported() {
    let expired = encrypted(&Authority::new().with_days(-90, -3));
    let early = encrypted(&Authority::new().with_days(3, 90));
    let other = encrypted(&Authority::new().with_name("elsewhere.example"));
    for store in ["redis", "postgres"] {
        let place = "no service connects to localhost:";
        expired.says("FAIL", store, &[place, "expired 3 days ago", "renew it"]);
        early.says("FAIL", store, &[place, "begins in", "clock"]);
        other.says(
            "FAIL",
            store,
            &[place, "elsewhere.example", "in the address"],
        );
        assert!(!expired.text.contains("start it"), "{expired}");
    }
    let soon = encrypted(&Authority::new().with_days(-80, 10));
    let late = encrypted(&Authority::new().with_days(-60, 30));
    for check in ["redis certificate", "postgres certificate"] {
        soon.says("warn", check, &["expires in 9 days", "renew it"]);
        late.says("ok", check, &["expires in 29 days"]);
    }
}

#[test]
fn a_postgres_that_refuses_says_why_and_the_cure_is_for_that() {
    let mut postgres = PostgresServer::start();
    let mut deployment = Deployment::on(&postgres, RedisServer::start());
    deployment.step();
    let good = deployment.settings.clone();
    let url = good.iter().find(|(key, _)| *key == "VOTING_POSTGRES__URL");
    let (_, url) = url.expect("an address").clone();
    let login = url.split(['/', '@']).nth(2).expect("a login").to_owned();
    let told = deployment.doctor(&[]);
    told.ended(0)
        .says("ok", "postgres disk", &["takes 16 MiB more"]);

    // The reason is reported at once, and not after the time-out.
    let asked = Instant::now();
    deployment.sql(&format!("ALTER ROLE {login} CONNECTION LIMIT 0"));
    let told = deployment.doctor(&["--timeout", "60"]);
    told.ended(1).only("FAIL", &["postgres"]).says(
        "FAIL",
        "postgres",
        &[
            "refuses the connection",
            "too many connections",
            "CONNECTION LIMIT",
        ],
    );
    assert!(asked.elapsed() < Duration::from_secs(20), "{told}");
    assert!(!told.text.contains("start it"), "{told}");
    deployment.sql(&format!("ALTER ROLE {login} CONNECTION LIMIT 4"));
    let told = deployment.doctor(&[]);
    told.ended(0).says(
        "warn",
        "postgres connections",
        &["of this role", "ALTER ROLE"],
    );
    deployment.sql(&format!("ALTER ROLE {login} CONNECTION LIMIT -1"));

    let database = url.rsplit('/').next().expect("a database").to_owned();
    let nowhere = url.trim_end_matches(&database).to_owned() + "nowhere_of_the_tests";
    deployment.set("VOTING_POSTGRES__URL", &nowhere);
    deployment.doctor(&[]).ended(1).says(
        "FAIL",
        "postgres",
        &["nowhere_of_the_tests", "does not exist", "CREATE DATABASE"],
    );
    let nobody = url.replace(&login, "nobody_of_the_tests");
    deployment.set("VOTING_POSTGRES__URL", &nobody);
    deployment
        .doctor(&[])
        .ended(1)
        .says("FAIL", "postgres", &["does not exist", "CREATE ROLE"]);
    deployment.settings.clone_from(&good);

    let result = deployment.login(&postgres, "result");
    let set = "SET default_transaction_read_only = on";
    deployment.sql(&format!("ALTER DATABASE {database} {set}"));
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["postgres"]).says(
        "FAIL",
        "postgres",
        &["default_transaction_read_only is on", "ALTER DATABASE"],
    );
    deployment.set("VOTING_POSTGRES__URL", &result);
    deployment.doctor(&["--for", "result"]).ended(0);
    deployment.settings.clone_from(&good);
    let reset = "RESET default_transaction_read_only";
    let write = format!("SET transaction_read_only = off; ALTER DATABASE {database} {reset}");
    deployment.sql(&write);
    deployment.doctor(&[]).ended(0);

    // The transaction ends with this session.
    let mut session = PostgresServer::psql(&deployment.database);
    let session = session.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut session = session.spawn().expect("psql is there");
    let mut input = session.stdin.take().expect("piped");
    input.write_all(b"SELECT 1;\n").expect("asked");
    let mut answer = [0; 2];
    let output = session.stdout.as_mut().expect("piped");
    output.read_exact(&mut answer).expect("answered");
    let stop = Command::new("kill")
        .args(["-s", "TERM", &postgres.id().to_string()])
        .status();
    assert!(stop.expect("kill is there").success());
    let told = await_some("it says that it shuts down", || {
        let told = deployment.doctor(&[]);
        told.has("FAIL", "postgres", &["wait: it starts, stops or recovers"])
            .then_some(told)
    });
    assert!(!told.text.contains("start it"), "{told}");
    drop(input);
    session.wait().expect("it ends");
    postgres.kill();
}

#[test]
fn a_wrong_password_is_reported() {
    let authority = Authority::new();
    let postgres = PostgresServer::start_encrypted(&authority);
    let url = postgres.url("postgres").replace("pass%20word", "wrong");
    let ca_file = authority.file().to_string_lossy().into_owned();
    let settings = [
        ("VOTING_POSTGRES__URL", url),
        ("VOTING_POSTGRES__CA_FILE", ca_file),
    ];
    let told = Told::by(&settings, &["doctor"]);
    told.ended(1).says(
        "FAIL",
        "postgres",
        &["refuses the connection", "set the login and the password"],
    );
}

/// A file system in memory. It is removed when it is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` if this user may not mount one.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=128m", "none"]);
        let mounted = mount.arg(folder.path()).status();
        mounted
            .is_ok_and(|done| done.success())
            .then_some(Self(folder))
    }

    /// Fills the file system.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.path().join("full")).expect("made");
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    fn relieve(&self) {
        fs::remove_file(self.0.path().join("full")).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_postgres_whose_disk_is_full_is_reported() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("not tried: this user may not mount a small disk");
        return;
    };
    let postgres = PostgresServer::start_in(disk.0.path());
    let deployment = Deployment::on(&postgres, RedisServer::start());
    deployment.step();
    deployment.doctor(&[]).ended(0);
    disk.fill();
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["postgres disk"]).says(
        "FAIL",
        "postgres disk",
        &["it is full", "make room", "ballots wait in Redis"],
    );
    disk.relieve();
    deployment.doctor(&[]).ended(0);
    drop(postgres);
}

#[test]
fn services_that_are_named_are_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let voting = Voting::start(folder.path());
    let path = folder.path().join("voting-data/voting.db");
    let settings = [("VOTING_SQLITE__PATH", path.to_string_lossy().into_owned())];
    let (vote, result, worker) = (&voting.vote, &voting.result, &voting.operator);
    let arguments = [
        "doctor", "--vote", vote, "--result", result, "--worker", worker,
    ];
    let told = Told::by(&settings, &arguments);
    told.ended(0).only("warn", &[]).only("FAIL", &[]);
    for service in ["vote service", "result service", "worker"] {
        told.says("ok", "service", &[service, "is ready"]);
    }
    let vote = voting.vote.clone();
    voting.kill();
    let told = Told::by(
        &settings,
        &["doctor", "--vote", &vote, "--result", "https://x/"],
    );
    told.ended(1).only("FAIL", &["service"]);
    told.says(
        "FAIL",
        "service",
        &["vote service", "does not answer", "refused"],
    )
    .says("FAIL", "service", &["result service", "https://x/"]);
}

#[test]
fn the_file_of_the_all_in_one_is_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("voting-data");
    let path = data.join("voting.db");
    let settings = [("VOTING_SQLITE__PATH", path.to_string_lossy().into_owned())];
    let look = || Told::by(&settings, &["doctor"]);
    let told = look();
    told.ended(0)
        .says("ok", "settings", &["good for voting"])
        .says("ok", "file", &["is not there", "made at the first start"])
        .says("ok", "secrets", &["secret is made at the first start"]);
    assert!(!data.exists(), "the doctor makes nothing");

    let voting = Voting::start(folder.path());
    let form = voting_testing::agent().post(&voting.vote);
    let form = form.content_type("application/x-www-form-urlencoded");
    assert_eq!(form.send("vote=a").expect("an answer").status(), 200);
    voting.settled();
    let told = look();
    told.ended(0).only("warn", &["disk space"]);
    told.says("ok", "file", &["sound, and of this version"])
        .says("ok", "file rights", &[])
        .says("ok", "conservation", &["1 accepted; 1 counted"])
        .says("ok", "polls", &["1 open"])
        .says("ok", "dead letters", &["none"])
        .says("ok", "secrets", &["secret is in", "not for all to read"]);
    voting.signal("TERM");
    assert!(voting.wait().success());
    look()
        .ended(0)
        .says("ok", "conservation", &["1 accepted; 1 counted"])
        .says("ok", "secret", &["is the one to which the log is held"]);
    let mut other = settings.to_vec();
    other.push(("VOTING_SECRET", "y".repeat(32)));
    Told::by(&other, &["doctor"])
        .ended(1)
        .says("FAIL", "secret", &["cast under"]);

    for folder in [folder.path(), data.as_path()] {
        set_mode(folder, 0o755);
    }
    set_mode(&path, 0o644);
    look()
        .ended(1)
        .says("FAIL", "file rights", &["who voted for what", "chmod o="]);
    set_mode(&path, 0o600);
    let secret = data.join("secret");
    let kept = fs::read(&secret).expect("a secret");
    fs::remove_file(&secret).expect("removed");
    look().ended(1).says(
        "FAIL",
        "secrets",
        &["is missing", "1 ballot", "from the backup"],
    );
    fs::write(&secret, kept).expect("written");
    set_mode(&secret, 0o600);
    let sql = |statement: &str| {
        let file = rusqlite::Connection::open(&path).expect("opened");
        file.execute(statement, []).expect("done");
    };
    sql("UPDATE totals SET superseded = 3");
    look()
        .ended(1)
        .says("FAIL", "conservation", &["3 superseded"]);
    sql("UPDATE totals SET superseded = 0");
    sql("PRAGMA user_version = 999");
    look().ended(1).says("FAIL", "file", &["newer version"]);
    sql("PRAGMA user_version = 2");
    // This `-wal` file is from another database, as after a restore of a backup beside it.
    let wal = data.join("voting.db-wal");
    fs::write(&wal, "").expect("written");
    set_mode(&wal, 0o600);
    look().ended(2).says("?", "file", &["-shm", "To do: "]);
    fs::remove_file(&wal).expect("removed");
    let mut bytes = fs::read(&path).expect("read");
    let third = 2 * 4096;
    bytes[third..third + 200].fill(0xa5);
    fs::write(&path, bytes).expect("written");
    look()
        .ended(1)
        .says("FAIL", "file", &["is damaged", "restore the backup"]);
}

#[test]
fn each_node_of_a_cluster_is_looked_at() {
    let mut cluster = RedisCluster::start();
    let url = cluster.url();
    let postgres = PostgresServer::start();
    // A server beside the cluster that no service uses.
    let mut deployment = Deployment::with(&postgres, RedisServer::start(), &url, true);
    deployment.start_worker();
    deployment.cast(5);
    deployment.settle();
    let told = deployment.doctor(&[]);
    told.ended(0).only("FAIL", &[]).only("?", &[]);
    for master in &cluster.masters {
        let port = format!(":{} ", master.port());
        told.says("ok", "redis durability", &[&port, "keeps"]);
    }
    cluster.masters[2].command(&["CONFIG", "SET", "aof-load-truncated", "yes"]);
    let port = format!(":{} ", cluster.masters[2].port());
    let told = deployment.doctor(&[]);
    told.ended(1).only("FAIL", &["redis durability"]);
    told.says(
        "FAIL",
        "redis durability",
        &[&port, "aof-load-truncated no"],
    );
    cluster.masters[2].command(&["CONFIG", "SET", "aof-load-truncated", "no"]);
    let replica = cluster.add_replica(&["--cluster-replica-no-failover", "no"]);
    let port = format!(":{} ", replica.port());
    let told = deployment.doctor(&[]);
    told.ended(1)
        .says("FAIL", "redis durability", &[&port, "takes over by itself"]);
    drop(deployment);
}
