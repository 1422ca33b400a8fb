//! Votes are voided while people vote, while processes are killed, and around a rewind and a restore.

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Output, Stdio},
};

use serde_json::{Value, json};
use support::{Crowd, POLL, all_is_well, operator};
use voting_core::model::moment::Moment;
use voting_testing::{
    Deployment, PostgresServer, Service, TOKEN, agent, await_some, await_that, get_json, text_of,
};

/// A moment after all that was done so far, which has passed.
fn now() -> String {
    let then = Moment::now().unix_ms();
    await_that("a millisecond passes", || Moment::now().unix_ms() > then);
    Moment::now().to_string()
}

/// A vote of a new voter; its receipt.
fn vote_for(vote: &Service, option: &str) -> String {
    await_some("a vote is taken", || {
        let ballot = agent().put(format!("{}/v1/polls/done/ballot", vote.url));
        let body = json!({"choices": [option]}).to_string();
        let answer = ballot.content_type("application/json").send(body).ok()?;
        let answer: Value = serde_json::from_str(&text_of(answer)).ok()?;
        answer["receipt"].as_str().map(str::to_owned)
    })
}

fn state_of(result: &Service, receipt: &str) -> String {
    let answer = get_json(&format!("{}/v1/receipts/{receipt}", result.url));
    let answer = answer.expect("an answer");
    answer["state"].as_str().expect("a state").to_owned()
}

/// Voters, voided ones, and the votes, which a recount confirms.
fn figures(worker: &Service, result: &Service) -> (u64, u64, u64, u64) {
    let operator = operator(worker);
    operator.settled();
    let recount = operator.recount("done").expect("a recount");
    assert_eq!(recount["agrees"], true, "{recount}");
    let tally = await_some("a tally", || {
        let tally = get_json(&format!("{}/v1/polls/done/tally", result.url))?;
        (tally["voters"] == recount["kept"]["voters"]).then_some(tally)
    });
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let votes = |option: usize| number(&tally["options"][option]["votes"]);
    (
        number(&tally["voters"]),
        number(&tally["voided"]),
        votes(0),
        votes(1),
    )
}

fn said(output: &Output) -> (Option<i32>, String) {
    let (out, err) = (&output.stdout, &output.stderr);
    let both = [String::from_utf8_lossy(out), String::from_utf8_lossy(err)];
    (output.status.code(), both.concat())
}

fn succeeds(deployment: &Deployment, arguments: &[&str]) -> String {
    let (code, text) = said(&deployment.voting(arguments));
    assert_eq!(code, Some(0), "{text}");
    text
}

/// A worker that was killed is taken for one at work for some seconds.
fn rewinds(deployment: &Deployment) {
    let rewound = || said(&deployment.voting(&["rewind"])).0 == Some(0);
    await_that("the log is rewound", rewound);
}

/// A session of `psql` that keeps others from changing ballots until its input is closed.
fn holds_ballots(database: &str) -> (Child, ChildStdin) {
    let mut psql = PostgresServer::psql(database);
    let holder = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut holder = holder.expect("psql is there");
    let mut input = holder.stdin.take().expect("its input");
    let hold = "BEGIN; LOCK TABLE ballots IN EXCLUSIVE MODE; SELECT 'held';\n";
    input.write_all(hold.as_bytes()).expect("written");
    let mut said = String::new();
    let mut output = BufReader::new(holder.stdout.take().expect("its output"));
    output.read_line(&mut said).expect("a line");
    assert_eq!(said, "held\n");
    (holder, input)
}

#[test]
fn what_is_voided_stays_so_after_a_kill_a_rewind_and_a_restore() {
    let deployment = Deployment::new();
    let database = deployment.postgres.url("voting");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    let (vote, result) = (deployment.vote(), deployment.result());
    let worker = deployment.worker();
    await_that("the worker is ready", || worker.is_ready());
    operator(&worker)
        .add_poll("done", "Which?")
        .expect("a poll");
    let honest = vote_for(&vote, "a");
    let from = now();
    let script: Vec<_> = (0..20).map(|_| vote_for(&vote, "b")).collect();
    let until = now();
    vote_for(&vote, "b");
    assert_eq!(figures(&worker, &result), (22, 0, 1, 21));
    PostgresServer::backup(&database, &file);
    let void = [
        "void",
        "done",
        "--from",
        &from,
        "--until",
        &until,
        "--reason",
        "A script voted.",
    ];

    // Killed in the middle: nothing is voided, and there is no rule.
    let (mut holder, input) = holds_ballots(&database);
    let mut voiding = Command::new(deployment.programs().path("voting"));
    voiding.env_clear().envs(deployment.settings());
    let mut killed = voiding.args(void).spawn().expect("it starts");
    await_that("it waits for the table", || {
        let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%SET voided%'";
        PostgresServer::sql(&database, waits) == Ok("1".to_owned())
    });
    killed.kill().expect("it runs");
    killed.wait().expect("gone");
    drop(input);
    holder.wait().expect("gone");
    await_that("its transaction is undone", || {
        let open = "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE '%SET voided%' AND pid <> pg_backend_pid()";
        PostgresServer::sql(&database, open) == Ok("0".to_owned())
    });
    assert_eq!(figures(&worker, &result), (22, 0, 1, 21));
    assert!(succeeds(&deployment, &["void", "done"]).contains("by 0 rules"));

    // A worker dies with votes that nobody has counted. The rule holds for them, too.
    worker.kill();
    let from_late = now();
    let late: Vec<_> = (0..10).map(|_| vote_for(&vote, "b")).collect();
    let until_late = now();
    succeeds(&deployment, &void);
    let void_late = [
        "void",
        "done",
        "--from",
        &from_late,
        "--until",
        &until_late,
        "--reason",
        "Again.",
    ];
    let told = succeeds(&deployment, &void_late);
    assert!(
        told.contains("by 2 rules") && told.contains("A script voted."),
        "{told}"
    );
    let worker = deployment.worker();
    await_that("the worker is ready", || worker.is_ready());
    assert_eq!(figures(&worker, &result), (2, 30, 1, 1));
    for receipt in [&script[0], &late[9]] {
        assert_eq!(state_of(&result, receipt), "voided");
    }
    assert_eq!(state_of(&result, &honest), "counted");
    await_that("the copy has the rules", || {
        let copy = deployment.redis.command(&["GET", "voting:polls"]);
        copy.contains("Again.")
    });

    // A rewind hands out all votes again.
    assert_eq!(worker.stop().code(), Some(0));
    rewinds(&deployment);
    let worker = deployment.worker();
    await_that("the worker is ready", || worker.is_ready());
    assert_eq!(figures(&worker, &result), (2, 30, 1, 1));

    // A backup has neither the rules nor the late votes.
    assert_eq!(worker.stop().code(), Some(0));
    deployment.postgres.restore_voting(&file);
    rewinds(&deployment);
    let worker = deployment.worker();
    await_that("the worker is ready", || worker.is_ready());
    assert_eq!(figures(&worker, &result), (2, 30, 1, 1));
    assert_eq!(state_of(&result, &script[19]), "voided");

    succeeds(&deployment, &["void", "done", "--undo", "1"]);
    assert_eq!(figures(&worker, &result), (22, 10, 1, 21));
    operator(&worker).close("done");
    let refused = await_some("it is final", || {
        let (code, text) = said(&deployment.voting(&["void", "done", "--undo", "2"]));
        (code == Some(1)).then_some(text)
    });
    assert!(refused.contains("until it is final"), "{refused}");
    let (code, text) = said(&deployment.voting(&["doctor"]));
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn rules_that_come_and_go_under_load_leave_every_vote_counted() {
    let deployment = Deployment::new();
    let (vote, result) = (deployment.vote(), deployment.result());
    let mut workers = vec![deployment.worker(), deployment.worker()];
    await_that("the workers are ready", || {
        workers.iter().all(Service::is_ready)
    });
    let crowd = Crowd::gather(&[&vote]);
    crowd.await_more(100);
    for round in 0..6 {
        let from = now();
        crowd.await_more(60);
        // One of the two dies in each second round, with what it has claimed.
        if round % 2 == 1 {
            workers.remove(0).kill();
            workers.push(deployment.worker());
        }
        let worker = &workers[0];
        let url = format!("{}/v1/polls/{POLL}/voidings", worker.url);
        let body = json!({"reason": "A try.", "from": from, "until": now()});
        let made = await_some("a rule is made", || {
            let rule = agent().post(&url);
            let rule = rule.header("authorization", format!("Bearer {TOKEN}"));
            let rule = rule.content_type("application/json");
            serde_json::from_str::<Value>(&text_of(rule.send(body.to_string()).ok()?)).ok()
        });
        let number = &made["voidings"][0]["number"];
        await_that("votes are voided", || {
            let rules = operator(worker).get(&format!("polls/{POLL}/voidings"));
            rules.is_some_and(|rules| rules["voided"].as_u64() > Some(0))
        });
        let recount = operator(worker).recount(POLL).expect("a recount");
        assert_eq!(recount["agrees"], true, "{recount}");
        await_some("the rule is undone", || {
            let undo = agent().delete(format!("{url}/{number}"));
            let undo = undo.header("authorization", format!("Bearer {TOKEN}"));
            undo.call().ok()
        });
    }
    let known = crowd.disperse();
    all_is_well(&workers[0], &result, &known);
}
