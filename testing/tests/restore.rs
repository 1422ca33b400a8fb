//! Postgres is restored from a backup while votes go on.

mod support;

use std::{path::Path, process::Output};

use support::{Crowd, Service, Stage, TOKEN, agent, all_is_well, await_that, settled};
use voting_testing::PostgresServer;

fn backup(database: &str, file: &Path) {
    let mut dump = PostgresServer::tool("pg_dump");
    dump.args(["--format=custom", "--file"]).arg(file);
    assert!(dump.arg(database).status().expect("it is there").success());
}

/// In place of the database, which is gone.
fn restore(server: &PostgresServer, file: &Path) {
    let others = server.url("postgres");
    for statement in [
        "DROP DATABASE voting WITH (FORCE)",
        "CREATE DATABASE voting",
    ] {
        PostgresServer::sql(&others, statement).expect("done");
    }
    let mut restore = PostgresServer::tool("pg_restore");
    restore.args(["--exit-on-error", "--dbname"]);
    restore.arg(server.url("voting")).arg(file);
    assert!(restore.status().expect("it is there").success());
}

fn said(output: &Output) -> (Option<i32>, String) {
    let (out, err) = (&output.stdout, &output.stderr);
    let both = [String::from_utf8_lossy(out), String::from_utf8_lossy(err)];
    (output.status.code(), both.concat())
}

fn make_a_poll(worker: &Service) {
    let poll = r#"{"id":"later","title":"Later","options":[{"id":"a","label":"A"},{"id":"b","label":"B"}]}"#;
    let made = agent()
        .post(format!("{}/v1/polls", worker.url))
        .header("authorization", format!("Bearer {TOKEN}"))
        .content_type("application/json")
        .send(poll);
    assert!(made.expect("an answer").status().is_success());
}

fn casts_in_it(vote: &Service) -> bool {
    let ballot = agent().put(format!("{}/v1/polls/later/ballot", vote.url));
    let ballot = ballot.content_type("application/json");
    let answer = ballot.send(r#"{"choices":["a"]}"#);
    answer.is_ok_and(|answer| answer.status() == 202)
}

#[test]
fn what_a_backup_lacks_is_counted_once_when_the_log_is_rewound() {
    let stage = Stage::new();
    let database = stage.postgres.url("voting");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    let (vote, worker) = (stage.vote(), stage.worker());
    await_that("the worker is ready", || worker.is_ready());
    let (code, text) = said(&stage.command(&["rewind"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("stop all workers first"),
        "one that waits: {text}"
    );
    let crowd = Crowd::gather(&[&vote]);
    crowd.await_more(300);
    backup(&database, &file);
    make_a_poll(&worker);
    await_that("a ballot is cast in the new poll", || casts_in_it(&vote));
    crowd.await_more(300);

    let (code, text) = said(&stage.command(&["rewind"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("stop all workers first"), "{text}");
    assert_eq!(worker.stop().code(), Some(0));
    restore(&stage.postgres, &file);
    let (code, text) = said(&stage.command(&["rewind"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("ballots are handed out again"), "{text}");
    assert!(
        text.contains("Poll later was made after the backup"),
        "{text}"
    );
    // Again is fine, and votes come in all the while.
    crowd.await_more(300);
    assert_eq!(said(&stage.command(&["rewind"])).0, Some(0));
    let (worker, result) = (stage.worker(), stage.result());
    crowd.await_more(300);
    all_is_well(&worker, &result, &crowd.disperse());
    let url = format!("{}/v1/polls/later/tally", result.url);
    let tally = agent().get(url).call().expect("an answer");
    let tally = tally.into_body().read_to_string().expect("a text");
    assert!(tally.contains(r#""voters":1"#), "{tally}");
}

#[test]
fn rewinding_says_what_neither_the_backup_nor_redis_has() {
    let mut stage = Stage::new();
    stage.more = vec![("VOTING_REDIS__RETENTION_HOURS", "0".to_owned())];
    let database = stage.postgres.url("voting");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    let (vote, worker) = (stage.vote(), stage.worker());
    await_that("there are tables", || worker.is_ready());
    backup(&database, &file);
    let crowd = Crowd::gather(&[&vote]);
    crowd.await_more(300);
    await_that("Redis keeps none of the first ballots", || {
        let kept = stage.redis.command(&["XLEN", "voting:{0}:log"]);
        kept.parse::<u64>().is_ok_and(|kept| kept < 10)
    });
    crowd.disperse();
    settled(&worker);
    worker.stop();
    restore(&stage.postgres, &file);
    let (code, text) = said(&stage.command(&["rewind"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("may be missing"), "{text}");
}
