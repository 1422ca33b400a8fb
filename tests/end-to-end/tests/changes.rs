//! Stores that change while the services run.

mod support;

use std::{
    fs::File,
    thread::sleep,
    time::{Duration, Instant},
};

use support::{settled, tally};
use voting_testing::{Deployment, PostgresServer, Service, agent, await_that};

/// The status of a ballot of a new voter, and what was said.
fn cast(vote: &Service) -> (u16, String) {
    let url = format!("{}/v1/polls/cats-vs-dogs/ballot", vote.url);
    let ballot = agent().put(url).content_type("application/json");
    let mut answer = ballot.send(r#"{"choices":["a"]}"#).expect("an answer");
    let said = answer.body_mut().read_to_string().expect("a text");
    (answer.status().as_u16(), said)
}

fn receipt(vote: &Service) -> String {
    let (status, said) = cast(vote);
    assert_eq!(status, 202, "{said}");
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    said["receipt"].as_str().expect("a receipt").to_owned()
}

fn status(url: &str) -> u16 {
    let asked = agent().get(url).call();
    asked.expect("an answer").status().as_u16()
}

/// Casts until one is not acknowledged, and says how long the others were.
fn cast_until_refused(vote: &Service) -> Duration {
    let begun = Instant::now();
    let mut thanked = Duration::ZERO;
    loop {
        let (status, said) = cast(vote);
        match status {
            202 => thanked = begun.elapsed(),
            503 => return thanked,
            _ => panic!("{status} {said}"),
        }
        assert!(thanked < Duration::from_secs(10), "all are acknowledged");
    }
}

#[test]
fn a_redis_that_is_not_durable_any_more_gets_no_ballot_and_one_that_is_a_replica_makes_none_ready()
{
    let deployment = Deployment::new();
    let (vote, other, worker) = (deployment.vote(), deployment.vote(), deployment.worker());
    let all = [&vote, &other, &worker];
    await_that("all are ready", || all.iter().all(|one| one.is_ready()));
    let soon = Duration::from_millis(1_500);
    receipt(&other);
    for (name, weak, strong) in [
        ("appendfsync", "everysec", "always"),
        ("appendonly", "no", "yes"),
    ] {
        deployment.redis.command(&["CONFIG", "SET", name, weak]);
        assert!(cast_until_refused(&vote) < soon);
        // This one was idle meanwhile.
        sleep(Duration::from_secs(1));
        assert_eq!(cast(&other).0, 503);
        assert_eq!(cast(&vote).0, 503);
        await_that("it is not ready", || !vote.is_ready());
        deployment.redis.command(&["CONFIG", "SET", name, strong]);
        await_that("a ballot is taken", || cast(&vote).0 == 202);
    }
    await_that("all are ready", || all.iter().all(|one| one.is_ready()));

    let doctor = || {
        let told = deployment.voting(&["doctor"]);
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        (told.status.code().expect("an exit code"), text)
    };
    deployment.redis.command(&["REPLICAOF", "127.0.0.1", "1"]);
    await_that("none is ready", || !all.iter().any(|one| one.is_ready()));
    assert_eq!(cast(&vote).0, 503);
    let (code, told) = doctor();
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("FAIL  redis role: "), "{told}");
    assert!(told.contains("a replica, of 127.0.0.1:1"), "{told}");
    deployment.redis.command(&["REPLICAOF", "NO", "ONE"]);
    await_that("all are ready", || all.iter().all(|one| one.is_ready()));

    deployment
        .redis
        .command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    await_that("none is ready", || !all.iter().any(|one| one.is_ready()));
    let (code, told) = doctor();
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("FAIL  redis writes: "), "{told}");
    assert!(told.contains("paused"), "{told}");
    deployment.redis.command(&["CLIENT", "UNPAUSE"]);
    await_that("all are ready", || all.iter().all(|one| one.is_ready()));
    settled(&worker);
}

#[test]
fn after_stores_were_started_anew_no_question_fails() {
    let mut deployment = Deployment::new();
    let (vote, worker, result) = (deployment.vote(), deployment.worker(), deployment.result());
    let (idle, idle_vote) = (deployment.result(), deployment.vote());
    let all = [&vote, &worker, &result, &idle, &idle_vote];
    await_that("all are ready", || all.iter().all(|one| one.is_ready()));
    let receipt = receipt(&vote);
    settled(&worker);
    let url = format!("{}/v1/receipts/{receipt}", result.url);
    let ask = || {
        let asked: Vec<_> = (0..60)
            .map(|_| {
                let url = url.clone();
                std::thread::spawn(move || status(&url))
            })
            .collect();
        let told = asked
            .into_iter()
            .map(|asked| asked.join().expect("no panic"));
        let bad: Vec<_> = told.filter(|status| *status != 200).collect();
        assert!(bad.is_empty(), "{bad:?}");
    };
    ask();
    deployment.postgres.stop();
    deployment.postgres.launch();
    sleep(Duration::from_secs(3));
    ask();
    assert!(idle.is_ready(), "its first question");
    // Readiness is kept for a second.
    sleep(Duration::from_millis(1_100));
    let kill = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
    deployment.redis.command(&kill);
    for one in [&vote, &idle_vote, &worker] {
        assert!(one.is_ready(), "the first question to {}", one.url);
    }
    sleep(Duration::from_millis(1_100));
    deployment.redis.command(&kill);
    for one in [&vote, &idle_vote] {
        let (status, said) = cast(one);
        assert_eq!(status, 202, "{said}");
    }
    settled(&worker);
}

#[test]
fn a_worker_that_cannot_write_is_not_ready_and_says_why() {
    let mut deployment = Deployment::new();
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    deployment.log = Some(File::create(&log).expect("a file"));
    let is_said = |what: &str| {
        let lines = std::fs::read_to_string(&log).expect("a log");
        lines
            .lines()
            .any(|line| line.contains("not ready") && line.contains(what))
    };
    let (vote, worker) = (deployment.vote(), deployment.worker());
    await_that("all are ready", || worker.is_ready() && vote.is_ready());
    let owner = deployment.postgres.url("voting");
    let sql = |statements: &str| PostgresServer::sql(&owner, statements).expect("done");
    // As Postgres says it.
    sql(
        "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE EXCEPTION 'could not extend file: No space left on device'
             USING ERRCODE = 'disk_full'; END $$;
         CREATE TRIGGER no_room BEFORE INSERT ON ballots EXECUTE FUNCTION no_room()",
    );
    receipt(&vote);
    await_that("it is not ready", || !worker.is_ready());
    await_that("it says why", || is_said("No space left on device"));
    sql("DROP TRIGGER no_room ON ballots");
    await_that("it is ready again", || worker.is_ready());
    settled(&worker);

    sql(
        "ALTER DATABASE voting SET default_transaction_read_only = on;
         SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = 'voting' AND pid <> pg_backend_pid()",
    );
    await_that("it is not ready", || !worker.is_ready());
    await_that("it says why", || is_said("default_transaction_read_only"));
}

#[test]
fn on_a_standby_results_are_shown_and_ballots_are_counted_once_it_is_promoted() {
    let mut deployment = Deployment::new();
    let (vote, worker, result) = (deployment.vote(), deployment.worker(), deployment.result());
    let all = [&vote, &worker, &result];
    await_that("all are ready", || all.iter().all(|one| one.is_ready()));
    receipt(&vote);
    settled(&worker);
    let standby = deployment.postgres.standby();
    assert_eq!(worker.stop().code(), Some(0));
    assert_eq!(result.stop().code(), Some(0));

    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    deployment.log = Some(File::create(&log).expect("a file"));
    let url = standby.url("voting");
    deployment.more.push(("VOTING_POSTGRES__URL", url.clone()));
    let (worker, result) = (deployment.worker(), deployment.result());
    await_that("results are shown", || result.is_ready());
    assert_eq!(tally(&result)["voters"], 1);
    await_that("it says why it is not ready", || {
        assert!(!worker.is_ready());
        let lines = std::fs::read_to_string(&log).expect("a log");
        lines
            .lines()
            .any(|line| line.contains("not ready") && line.contains("it is a standby"))
    });
    // Meanwhile ballots wait.
    receipt(&vote);
    assert_eq!(tally(&result)["voters"], 1);
    PostgresServer::sql(&url, "SELECT pg_promote()").expect("promoted");
    await_that("it is ready", || worker.is_ready());
    settled(&worker);
    await_that("both are shown", || tally(&result)["voters"] == 2);
}
