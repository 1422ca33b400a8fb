//! The services on Redis and Postgres, as processes, while parts of them fail.

mod support;

use std::{process::Command, thread};

use support::{CLAIM_TIMEOUT, Crowd, Stage, agent, all_is_well, await_that, settled, tally};

#[test]
fn each_service_starts_before_its_stores_and_becomes_ready_by_itself() {
    let mut stage = Stage::new();
    stage.redis.kill();
    stage.postgres.kill();
    let (vote, worker, result) = (stage.vote(), stage.worker(), stage.result());
    for service in [&vote, &worker, &result] {
        let alive = agent().get(format!("{}/healthz", service.url)).call();
        assert_eq!(alive.expect("an answer").status(), 200);
        assert!(!service.is_ready());
    }
    stage.postgres.launch();
    await_that("the result service is ready without Redis", || {
        result.is_ready()
    });
    assert!(!vote.is_ready() && !worker.is_ready());
    stage.redis.launch();
    await_that("the worker is ready", || worker.is_ready());
    await_that("the vote service is ready", || vote.is_ready());

    let form = agent().post(format!("{}/", vote.url));
    let form = form
        .content_type("application/x-www-form-urlencoded")
        .send("vote=b");
    assert_eq!(form.expect("an answer").status(), 200);
    settled(&worker);
    assert_eq!(tally(&result)["options"][1]["votes"], 1);
    for service in [vote, worker, result] {
        assert_eq!(service.stop().code(), Some(0));
    }
}

#[test]
fn a_worker_that_is_killed_over_and_over_loses_nothing_and_counts_nothing_twice() {
    let stage = Stage::new();
    let (vote, result) = (stage.vote(), stage.result());
    let mut worker = stage.worker();
    await_that("the vote service is ready", || vote.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    for _ in 0..6 {
        crowd.await_more(300);
        worker.kill();
        worker = stage.worker();
    }
    crowd.await_more(300);
    let known = crowd.disperse();
    assert_eq!(
        (known.refused, known.unanswered),
        (0, 0),
        "voters notice nothing"
    );
    all_is_well(&worker, &result, &known);
}

#[test]
fn while_postgres_is_away_votes_are_taken_and_then_the_backlog_drains() {
    let mut stage = Stage::new();
    let (vote, worker, result) = (stage.vote(), stage.worker(), stage.result());
    await_that("the vote service is ready", || vote.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    for in_order in [true, false] {
        crowd.await_more(200);
        if in_order {
            stage.postgres.stop();
        } else {
            stage.postgres.kill();
        }
        crowd.await_more(1_000);
        assert!(vote.is_ready(), "the vote service does not need Postgres");
        stage.postgres.launch();
        await_that("the worker is ready again", || worker.is_ready());
    }
    let known = crowd.disperse();
    assert_eq!(
        (known.refused, known.unanswered),
        (0, 0),
        "voters notice nothing"
    );
    all_is_well(&worker, &result, &known);
}

#[test]
fn a_redis_that_is_killed_and_comes_back_has_lost_no_acknowledged_vote() {
    let mut stage = Stage::new();
    let (vote, worker, result) = (stage.vote(), stage.worker(), stage.result());
    await_that("the vote service is ready", || vote.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    for _ in 0..3 {
        crowd.await_more(300);
        stage.redis.kill();
        await_that("the vote service is not ready", || !vote.is_ready());
        stage.redis.launch();
        await_that("the vote service is ready again", || vote.is_ready());
    }
    crowd.await_more(300);
    let known = crowd.disperse();
    assert!(
        known.refused > 0,
        "in between, voters are asked to come back"
    );
    all_is_well(&worker, &result, &known);
}

#[test]
fn a_vote_service_that_is_killed_has_kept_what_it_acknowledged() {
    let stage = Stage::new();
    let (worker, result) = (stage.worker(), stage.result());
    let steady = stage.vote();
    await_that("the vote service is ready", || steady.is_ready());
    let doomed = stage.vote();
    let crowd = Crowd::gather(&[&steady, &doomed]);
    crowd.await_more(500);
    doomed.kill();
    crowd.await_more(500);
    let known = crowd.disperse();
    assert!(known.unanswered > 0);
    all_is_well(&worker, &result, &known);
}

#[test]
fn a_worker_that_was_paused_for_too_long_counts_nothing_twice() {
    let stage = Stage::new();
    let (vote, result) = (stage.vote(), stage.result());
    let (paused, relief) = (stage.worker(), stage.worker());
    await_that("the vote service is ready", || vote.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    for _ in 0..3 {
        crowd.await_more(300);
        paused.signal("STOP");
        // Long enough for the other one to take over what this one holds.
        thread::sleep(CLAIM_TIMEOUT * 2);
        crowd.await_more(100);
        paused.signal("CONT");
    }
    let known = crowd.disperse();
    all_is_well(&relief, &result, &known);
    assert_eq!(paused.stop().code(), Some(0));
}

#[test]
fn entries_that_cannot_be_read_are_set_aside_and_the_rest_counts() {
    let stage = Stage::new();
    let (vote, worker, result) = (stage.vote(), stage.worker(), stage.result());
    await_that("the vote service is ready", || vote.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    let push = |fields: &[&str]| {
        let port = stage.redis.url();
        let pushed = Command::new("redis-cli")
            .args(["-u", &port, "XADD", "voting:{0}:log", "*"])
            .args(fields)
            .output()
            .expect("redis-cli is there");
        assert!(pushed.status.success());
    };
    for _ in 0..5 {
        crowd.await_more(50);
        push(&["b", "not an entry", "n", "1"]);
        push(&["vote", "a"]);
    }
    crowd.await_more(50);
    let known = crowd.disperse();
    let pipeline = settled(&worker);
    await_that("all entries are read", || {
        let letters = settled(&worker)["rejected"].as_u64();
        letters == Some(10)
    });
    let voters = tally(&result)["voters"].as_u64().expect("a number");
    assert_eq!(voters, known.receipts.len() as u64, "{pipeline}");
}
