//! Postgres is restored from a backup while votes go on.

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Output, Stdio},
};

use serde_json::{Value, json};
use support::{Crowd, all_is_well, operator, settled};
use voting_testing::{Deployment, PostgresServer, Service, agent, await_that, get_json, text_of};

fn said(output: &Output) -> (Option<i32>, String) {
    let (out, err) = (&output.stdout, &output.stderr);
    let both = [String::from_utf8_lossy(out), String::from_utf8_lossy(err)];
    (output.status.code(), both.concat())
}

/// Makes a poll of this name, with a title.
fn make_a_poll(worker: &Service, id: &str, title: &str) {
    operator(worker).add_poll(id, title).expect("a poll");
}

/// Casts a ballot in it; the answer's status.
fn cast_in(vote: &Service, poll: &str) -> u16 {
    let ballot = agent().put(format!("{}/v1/polls/{poll}/ballot", vote.url));
    let ballot = ballot.content_type("application/json");
    let answer = ballot.send(r#"{"choices":["a"]}"#);
    answer.map_or(0, |answer| answer.status().as_u16())
}

fn tally_of(result: &Service, poll: &str) -> String {
    let url = format!("{}/v1/polls/{poll}/tally", result.url);
    text_of(agent().get(url).call().expect("an answer"))
}

/// What the doctor ends with, and the lines of a check.
fn doctor(deployment: &Deployment, check: &str) -> (Option<i32>, String) {
    let (code, text) = said(&deployment.voting(&["doctor"]));
    let of_it = |line: &&str| line.get(6..).is_some_and(|line| line.starts_with(check));
    let lines: Vec<_> = text.lines().filter(of_it).collect();
    (code, lines.join("\n"))
}

#[test]
fn what_a_backup_lacks_is_counted_once_when_the_log_is_rewound() {
    let deployment = Deployment::new();
    let database = deployment.postgres.url("voting");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    let (vote, worker) = (deployment.vote(), deployment.worker());
    await_that("the worker is ready", || worker.is_ready());
    let (code, text) = said(&deployment.voting(&["rewind"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("stop all workers first"),
        "one that waits: {text}"
    );
    let crowd = Crowd::gather(&[&vote]);
    crowd.await_more(300);
    make_a_poll(&worker, "shut", "Before");
    await_that("a ballot is cast in it", || cast_in(&vote, "shut") == 202);
    PostgresServer::backup(&database, &file);
    make_a_poll(&worker, "later", "Later");
    await_that("a ballot is cast in the new poll", || {
        cast_in(&vote, "later") == 202
    });
    make_a_poll(&worker, "shut", "Closed now");
    operator(&worker).close("shut");
    let mut in_shut = 1;
    await_that("it takes no more ballots", || {
        let status = cast_in(&vote, "shut");
        in_shut += u64::from(status == 202);
        status == 409
    });
    crowd.await_more(300);

    let (code, text) = said(&deployment.voting(&["rewind"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("stop all workers first"), "{text}");
    assert_eq!(worker.stop().code(), Some(0));
    deployment.postgres.restore_voting(&file);
    let (code, text) = said(&deployment.voting(&["rewind"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("ballots are handed out again"), "{text}");
    assert!(
        text.contains("Poll later was made after the backup"),
        "{text}"
    );
    for said in [
        "Poll shut was closed after",
        "Poll shut was given other texts",
    ] {
        assert!(text.contains(said), "{text}");
    }
    // Again is fine, and votes come in all the while.
    crowd.await_more(300);
    assert_eq!(said(&deployment.voting(&["rewind"])).0, Some(0));
    let (worker, result) = (deployment.worker(), deployment.result());
    crowd.await_more(300);
    all_is_well(&worker, &result, &crowd.disperse());
    let tally = tally_of(&result, "later");
    assert!(tally.contains(r#""voters":1"#), "{tally}");
    await_that("the poll that was closed is final", || {
        tally_of(&result, "shut").contains("final")
    });
    let tally = tally_of(&result, "shut");
    let voters = format!(r#""voters":{in_shut},"#);
    assert!(tally.contains(&voters), "{tally}");
    let texts = "SELECT definition FROM polls WHERE id = 'shut'";
    let texts = PostgresServer::sql(&database, texts).expect("asked");
    assert!(texts.contains("Closed now"), "{texts}");
    let (code, text) = said(&deployment.voting(&["doctor"]));
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn a_worker_counts_nothing_on_a_backup_that_was_restored_under_it() {
    let mut deployment = Deployment::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (file, log) = (folder.path().join("backup"), folder.path().join("log"));
    deployment.log = Some(std::fs::File::create(&log).expect("made"));
    let database = deployment.postgres.url("voting");
    let (vote, worker) = (deployment.vote(), deployment.worker());
    await_that("the worker is ready", || worker.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    crowd.await_more(300);
    PostgresServer::backup(&database, &file);
    deployment.postgres.database("copy");
    deployment.postgres.restore(&file, "copy");
    let in_backup = voters(&deployment.postgres.url("copy"));
    make_a_poll(&worker, "later", "Later");
    await_that("a ballot is cast in the new poll", || {
        cast_in(&vote, "later") == 202
    });
    await_that("it is counted", || {
        let sql = "SELECT COUNT(*) FROM ballots JOIN polls ON poll = key WHERE id = 'later'";
        PostgresServer::sql(&database, sql) == Ok("1".to_owned())
    });
    crowd.await_more(300);

    deployment.postgres.restore_voting(&file);
    await_that("the worker says so", || {
        let said = std::fs::read_to_string(&log).expect("read");
        said.contains("put back to an earlier state") && said.contains("cannot flush")
    });
    crowd.await_more(300);
    await_that("it is not ready", || !worker.is_ready());
    let (code, text) = doctor(&deployment, "conservation");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("run `voting rewind`"), "{text}");
    let (code, text) = said(&deployment.voting(&["rewind"]));
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(voters(&database), in_backup, "nothing was counted on it");
    // One that starts now waits, too.
    worker.kill();
    let worker = deployment.worker();
    crowd.await_more(300);
    assert_eq!(voters(&database), in_backup, "nothing was counted on it");
    worker.kill();

    // As the doctor says.
    await_that("the log can be rewound", || {
        said(&deployment.voting(&["rewind"])).0 == Some(0)
    });
    let (worker, result) = (deployment.worker(), deployment.result());
    all_is_well(&worker, &result, &crowd.disperse());
    let tally = tally_of(&result, "later");
    assert!(tally.contains(r#""voters":1"#), "{tally}");
    let (code, text) = said(&deployment.voting(&["doctor"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("dead letters: none"), "{text}");
}

/// What the operator's service says of a poll.
fn poll_of(worker: &Service, id: &str) -> Value {
    operator(worker)
        .get(&format!("polls/{id}"))
        .expect("an answer")
}

/// A vote of a new voter; its receipt.
fn vote_for(vote: &Service, poll: &str, option: &str) -> String {
    let ballot = agent().put(format!("{}/v1/polls/{poll}/ballot", vote.url));
    let body = json!({"choices": [option]}).to_string();
    let answer = ballot.content_type("application/json").send(body);
    let answer: Value = serde_json::from_str(&text_of(answer.expect("an answer"))).expect("JSON");
    answer["receipt"].as_str().expect("a receipt").to_owned()
}

fn state_of(result: &Service, receipt: &str) -> String {
    let answer = get_json(&format!("{}/v1/receipts/{receipt}", result.url));
    answer.expect("an answer")["state"]
        .as_str()
        .expect("a state")
        .to_owned()
}

#[test]
fn voters_that_are_forgotten_come_back_with_no_rewind_and_are_forgotten_again_after_a_restore() {
    const VOTERS: u64 = 30;
    let deployment = Deployment::new();
    let database = deployment.postgres.url("voting");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    let (vote, result) = (deployment.vote(), deployment.result());
    let worker = deployment.worker();
    await_that("the worker is ready", || worker.is_ready());
    make_a_poll(&worker, "done", "Which?");
    await_that("a ballot is cast in it", || cast_in(&vote, "done") == 202);
    let mut receipts: Vec<_> = (1..VOTERS)
        .map(|number| vote_for(&vote, "done", ["a", "b"][usize::from(number % 3 == 0)]))
        .collect();
    PostgresServer::backup(&database, &file);
    receipts.push(vote_for(&vote, "done", "b"));
    let ballots = "SELECT COUNT(*) FROM ballots JOIN polls ON poll = key WHERE id = 'done'";
    let ballots = || PostgresServer::sql(&database, ballots).expect("asked");
    let forget = ["forget-voters", "done", "--confirm", "done"];
    let (code, text) = said(&deployment.voting(&forget));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("once it is final"), "{text}");
    operator(&worker).close("done");
    await_that("it is final", || {
        tally_of(&result, "done").contains("final")
    });
    let (tally, recount) = (
        tally_of(&result, "done"),
        operator(&worker).recount("done").expect("a recount"),
    );
    assert!(
        tally.contains(&format!(r#""voters":{}"#, VOTERS + 1)),
        "{tally}"
    );
    assert_eq!(recount["agrees"], true);
    let is_as_it_was = |worker: &Service| {
        // The version counts how often the tally changed, which a restore may do in other steps.
        let figures = |tally: &str| tally.split_once(r#""voters""#).map(|(_, it)| it.to_owned());
        assert_eq!(figures(&tally_of(&result, "done")), figures(&tally));
        assert_eq!(operator(worker).recount("done").as_ref(), Some(&recount));
        let pipeline = settled(worker);
        let number = |name: &str| pipeline[name].as_u64().expect("a number");
        let told = number("counted") + number("superseded") + number("rejected");
        assert_eq!(number("accepted"), told, "{pipeline}");
    };

    // Killed in the middle: nothing is forgotten.
    let (holder, input) = holds_dead_letters(&database);
    let mut forgetting = Command::new(deployment.programs().path("voting"));
    forgetting.env_clear().envs(deployment.settings());
    let mut killed = forgetting.args(forget).spawn().expect("it starts");
    await_that("it waits for the table", || {
        let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%forget_voters%'";
        PostgresServer::sql(&database, waits) == Ok("1".to_owned())
    });
    killed.kill().expect("it runs");
    killed.wait().expect("gone");
    release(holder, input);
    await_that("its transaction is undone", || {
        let open = "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE '%forget_voters%' AND pid <> pg_backend_pid()";
        PostgresServer::sql(&database, open) == Ok("0".to_owned())
    });
    assert_eq!(ballots(), (VOTERS + 1).to_string());
    assert_eq!(state_of(&result, &receipts[0]), "counted");
    is_as_it_was(&worker);

    let (code, text) = said(&deployment.voting(&forget));
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(ballots(), "0");
    assert_eq!(state_of(&result, &receipts[0]), "forgotten");
    is_as_it_was(&worker);
    await_that("the vote services know it", || {
        let poll = get_json(&format!("{}/v1/polls/done", vote.url));
        poll.is_some_and(|poll| poll["voters_forgotten_at"].is_string())
    });

    // A rewind hands out all ballots again.
    assert_eq!(worker.stop().code(), Some(0));
    assert_eq!(said(&deployment.voting(&["rewind"])).0, Some(0));
    let worker = deployment.worker();
    await_that("the worker is ready", || worker.is_ready());
    is_as_it_was(&worker);
    assert_eq!(ballots(), "0");

    // A backup has voters, and lacks one who must count.
    assert_eq!(worker.stop().code(), Some(0));
    deployment.postgres.restore_voting(&file);
    assert_eq!(said(&deployment.voting(&["rewind"])).0, Some(0));
    let worker = deployment.worker();
    await_that("the worker is ready", || worker.is_ready());
    await_that("the voters are forgotten again", || {
        poll_of(&worker, "done")["voters_forgotten_at"].is_string()
    });
    is_as_it_was(&worker);
    assert_eq!(ballots(), "0");
    assert_eq!(state_of(&result, &receipts[0]), "forgotten");
    let (code, text) = said(&deployment.voting(&["doctor"]));
    assert_eq!(code, Some(0), "{text}");
}

/// A session of `psql` that keeps others from changing dead letters until its input is closed.
fn holds_dead_letters(database: &str) -> (Child, ChildStdin) {
    let mut psql = PostgresServer::psql(database);
    let holder = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut holder = holder.expect("psql is there");
    let mut input = holder.stdin.take().expect("its input");
    let hold = "BEGIN; LOCK TABLE dead_letters IN EXCLUSIVE MODE; SELECT 'held';\n";
    input.write_all(hold.as_bytes()).expect("written");
    let mut said = String::new();
    let mut output = BufReader::new(holder.stdout.take().expect("its output"));
    output.read_line(&mut said).expect("a line");
    assert_eq!(said, "held\n");
    (holder, input)
}

fn release(mut holder: Child, input: ChildStdin) {
    drop(input);
    holder.wait().expect("gone");
}

/// So many the database has of all polls.
fn voters(database: &str) -> String {
    PostgresServer::sql(database, "SELECT COUNT(*) FROM ballots").expect("asked")
}

#[test]
fn a_worker_that_has_run_on_a_restored_backup_is_reported() {
    let deployment = Deployment::new();
    let database = deployment.postgres.url("voting");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    let (vote, worker) = (deployment.vote(), deployment.worker());
    await_that("the worker is ready", || worker.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    crowd.await_more(300);
    PostgresServer::backup(&database, &file);
    crowd.await_more(300);
    let known = crowd.disperse();
    settled(&worker);
    assert_eq!(worker.stop().code(), Some(0));
    deployment.postgres.restore_voting(&file);
    // Earlier versions counted on, and marked all that was acknowledged as applied.
    let mark = "INSERT INTO applied_below
                SELECT shard, (extract(epoch FROM now()) * 1000)::bigint, 0
                FROM generate_series(0, 3) AS s (shard)
                ON CONFLICT (shard) DO UPDATE SET ms = excluded.ms, seq = excluded.seq";
    PostgresServer::sql(&database, mark).expect("done");
    let (code, text) = doctor(&deployment, "conservation");
    assert_eq!(code, Some(1), "{text}");
    for said in [
        "a worker has run on a restored backup",
        "restore the same backup once more",
    ] {
        assert!(text.contains(said), "{text}");
    }
    let (code, text) = said(&deployment.voting(&["rewind"]));
    assert_eq!(code, Some(1), "{text}");
    for said in ["a worker has run", "restore the backup once more"] {
        assert!(text.contains(said), "{text}");
    }
    let (code, text) = said(&deployment.voting(&["rewind", "--anyway"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("missing in the counters"), "{text}");

    // As they say.
    deployment.postgres.restore_voting(&file);
    let (code, text) = said(&deployment.voting(&["rewind"]));
    assert_eq!(code, Some(0), "{text}");
    let (worker, result) = (deployment.worker(), deployment.result());
    all_is_well(&worker, &result, &known);
    let (code, text) = said(&deployment.voting(&["doctor"]));
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn a_poll_that_the_log_is_sealed_for_is_closed_though_the_database_has_it_open() {
    let deployment = Deployment::new();
    let database = deployment.postgres.url("voting");
    let (vote, worker) = (deployment.vote(), deployment.worker());
    await_that("the worker is ready", || worker.is_ready());
    make_a_poll(&worker, "shut", "Shut");
    operator(&worker).close("shut");
    await_that("it takes no more ballots", || cast_in(&vote, "shut") == 409);
    assert_eq!(worker.stop().code(), Some(0));
    // As after a restore by which nobody has rewound, and a Redis that has forgotten what was published.
    let open = r#"UPDATE polls SET state = '{"state":"open"}' WHERE id = 'shut'"#;
    PostgresServer::sql(&database, open).expect("done");
    deployment.redis.command(&["DEL", "voting:polls"]);
    let (code, text) = doctor(&deployment, "closed polls");
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("shut") && text.contains("start a worker"),
        "{text}"
    );
    let (code, text) = said(&deployment.voting(&["rewind"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Poll shut was closed after"), "{text}");
    PostgresServer::sql(&database, open).expect("done");
    let (worker, result) = (deployment.worker(), deployment.result());
    await_that("a worker closes it", || {
        tally_of(&result, "shut").contains("final")
    });
    drop(worker);
    // A poll that the database lost, too.
    PostgresServer::sql(&database, "DELETE FROM polls WHERE id = 'shut'").expect("done");
    let _worker = deployment.worker();
    await_that("a worker brings it back, closed", || {
        tally_of(&result, "shut").contains("final")
    });
}

#[test]
fn rewinding_says_what_neither_the_backup_nor_redis_has() {
    let mut deployment = Deployment::new();
    deployment.more = vec![("VOTING_REDIS__RETENTION_HOURS", "0".to_owned())];
    let database = deployment.postgres.url("voting");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    let (vote, worker) = (deployment.vote(), deployment.worker());
    await_that("there are tables", || worker.is_ready());
    PostgresServer::backup(&database, &file);
    let crowd = Crowd::gather(&[&vote]);
    crowd.await_more(300);
    await_that("Redis keeps none of the first ballots", || {
        let kept = deployment.redis.command(&["XLEN", "voting:{0}:log"]);
        kept.parse::<u64>().is_ok_and(|kept| kept < 10)
    });
    crowd.disperse();
    settled(&worker);
    worker.stop();
    deployment.postgres.restore_voting(&file);
    let (code, text) = said(&deployment.voting(&["rewind"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("may be missing"), "{text}");
}
