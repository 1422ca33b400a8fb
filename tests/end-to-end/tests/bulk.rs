//! A file of ballots that is handed in while its worker is killed: each line with a receipt counts once, and the file can be sent
//! again.

mod support;

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use support::operator;
use voting_testing::{
    Deployment, PostgresServer, Service, TOKEN, agent, await_some, await_that, get_json, text_of,
};

/// How many lines the file has, each of another voter.
const LINES: usize = 30_000;

/// So many answers are there when the worker is killed.
const AT_THE_KILL: usize = 1_000;

fn write_file(folder: &Path) -> PathBuf {
    let path = folder.join("ballots.ndjson");
    let lines = (0..LINES).map(|voter| {
        let key = format!("{voter:08x}c0ffee0123456789abcdef0123456789");
        let choice = if voter % 3 == 0 { "a" } else { "b" };
        format!("{}\n", json!({"voter": key, "choices": [choice]}))
    });
    fs::write(&path, lines.collect::<String>()).expect("written");
    path
}

/// Sends the file with curl, which reads the answer while it sends.
fn hand_in(worker: &Service, file: &Path, told: &Path) -> Child {
    Command::new("curl")
        .args(["--silent", "--no-buffer", "--request", "POST"])
        .args(["--header", "Content-Type: application/x-ndjson"])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .arg("--upload-file")
        .arg(file)
        .arg("--output")
        .arg(told)
        .arg(format!("{}/v1/polls/bulk/ballots", worker.url))
        .stdin(Stdio::null())
        .spawn()
        .expect("curl is installed")
}

/// The answers that came whole.
fn answers(told: &Path) -> Vec<Value> {
    let text = fs::read_to_string(told).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// The receipts, of each line one.
fn receipts(answers: &[Value]) -> Vec<&str> {
    let receipts = answers.iter().zip(1_u64..).map(|(answer, number)| {
        assert_eq!(answer["line"], number, "{answer}");
        answer["receipt"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
    });
    receipts.collect()
}

/// How many voters and votes a recount finds, which agrees with the tally.
fn recount(worker: &Service) -> (u64, Vec<u64>) {
    operator(worker).settled();
    let recount = await_some("the recount", || operator(worker).recount("bulk"));
    assert_eq!(recount["agrees"], true, "{recount}");
    let counted = &recount["counted"];
    let options = counted["options"].as_array().expect("options").iter();
    let votes = options.map(|option| option["votes"].as_u64().expect("a number"));
    (
        counted["voters"].as_u64().expect("a number"),
        votes.collect(),
    )
}

#[test]
fn a_file_whose_worker_is_killed_is_sent_again_and_each_line_counts_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, told) = (write_file(folder.path()), folder.path().join("told"));
    let mut deployment = Deployment::new();
    deployment.more = vec![
        ("VOTING_WORKER__BULK_CASTS", "true".to_owned()),
        ("VOTING_WORKER__MAX_BALLOTS", "5000".to_owned()),
    ];
    let (first, result) = (deployment.worker(), deployment.result());
    await_that("the worker is ready", || first.is_ready());
    operator(&first).add_poll("bulk", "Bulk").expect("a poll");
    let probe = |worker: &Service| {
        let probe = agent().post(format!("{}/v1/polls/bulk/ballots", worker.url));
        let probe = probe.header("authorization", format!("Bearer {TOKEN}"));
        probe.content_type("application/x-ndjson").send("\n")
    };
    let begin = |worker: &Service| {
        await_that("the poll takes ballots", || {
            probe(worker).is_ok_and(|answer| answer.status() == 200)
        });
        let _ = fs::remove_file(&told);
        hand_in(worker, &file, &told)
    };

    let mut curl = begin(&first);
    await_that("some lines are answered", || {
        answers(&told).len() >= AT_THE_KILL
    });
    first.kill();
    curl.wait().expect("curl ends");
    let before = answers(&told);
    let before = receipts(&before);
    assert!(before.len() < LINES, "the worker was killed in time");

    let second = deployment.worker();
    await_that("the worker is ready", || second.is_ready());
    let (voters, _) = recount(&second);
    assert!(
        voters >= before.len() as u64,
        "{voters} of {}",
        before.len()
    );
    for receipt in before.iter().step_by(before.len() / 50) {
        let state = get_json(&format!("{}/v1/receipts/{receipt}", result.url));
        assert_eq!(state.expect("a state")["state"], "counted");
    }

    let expected = (LINES as u64, vec![LINES as u64 / 3, LINES as u64 / 3 * 2]);
    for _ in 0..2 {
        let mut curl = begin(&second);
        assert!(curl.wait().expect("curl ends").success());
        let all = answers(&told);
        let all: HashSet<_> = receipts(&all).into_iter().collect();
        assert_eq!(all.len(), LINES);
        assert_eq!(recount(&second), expected);
    }
    let export = operator(&second).get("polls/bulk/export/tally.json");
    assert_eq!(export.expect("an export")["handed_in"], LINES);

    // A worker of version 0.1 would take the ballots for those of voters.
    let upgrade = "UPDATE upgrades SET finished = 2";
    PostgresServer::sql(&deployment.database, upgrade).expect("done");
    let refused = probe(&second).expect("an answer");
    assert_eq!(refused.status(), 409);
    let told = text_of(refused);
    assert!(told.contains("voting migrate --finish"), "{told}");
}
