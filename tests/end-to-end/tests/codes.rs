//! A poll with codes over two vote services, while a worker is killed: each code counts once, with the last choice that was
//! acknowledged for it.

mod support;

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use serde_json::json;
use support::operator;
use voting_testing::{Deployment, Service, TOKEN, agent, await_some, await_that, text_of};

const ENTRY_KEY: &str = "3b1f6c1e0d5a4f9b8c7d6e5f4a3b2c1d";
const CLIENTS: usize = 64;

/// A deployment with a key for the keys of polls.
fn deployment() -> Deployment {
    let mut deployment = Deployment::new();
    deployment.more = vec![("VOTING_ENTRY_KEY", ENTRY_KEY.to_owned())];
    deployment
}

fn cast(vote: &Service, code: &str, choice: &str) -> u16 {
    let ballot = agent().put(format!("{}/v1/polls/board/ballot", vote.url));
    let ballot = ballot.content_type("application/json");
    let ballot = ballot.header("voter-code", code);
    let answer = ballot.send(json!({"choices": [choice]}).to_string());
    answer.map_or(0, |answer| answer.status().as_u16())
}

/// The codes that `voting codes issue` writes.
fn issue(deployment: &Deployment, count: usize) -> Vec<String> {
    let count = count.to_string();
    let issued = deployment.voting(&["codes", "issue", "board", "--count", &count]);
    let err = String::from_utf8_lossy(&issued.stderr);
    assert_eq!(issued.status.code(), Some(0), "{err}");
    let csv = String::from_utf8_lossy(&issued.stdout);
    let rows = csv.lines().skip(1);
    rows.map(|row| row.split(',').nth(1).expect("a code").to_owned())
        .collect()
}

/// So many codes, each used by all of 64 clients, in small for the suite.
fn each_code_counts_once(count: usize) {
    let deployment = deployment();
    let (votes, worker) = ([deployment.vote(), deployment.vote()], deployment.worker());
    await_that("the worker is ready", || worker.is_ready());
    let options = json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]);
    let poll = json!({"id": "board", "title": "Board", "options": options, "voters": "codes"});
    let stored = operator(&worker).post_json("polls", &poll);
    assert!(stored.expect("an answer").status().is_success());
    let codes = issue(&deployment, count);
    assert_eq!(codes.len(), count);
    let last = codes.last().expect("a code");
    for vote in &votes {
        await_that("the codes are known", || cast(vote, last, "a") == 202);
    }

    // The last acknowledged choice of a code is known only if no two of its ballots are on their way at a time.
    let turns: Vec<Mutex<Option<&str>>> = codes.iter().map(|_| Mutex::new(None)).collect();
    let acknowledged = AtomicUsize::new(0);
    let killed = Mutex::new(Some(worker));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (votes, codes, turns, acknowledged) = (&votes, &codes, &turns, &acknowledged);
            scope.spawn(move || {
                for step in 0..codes.len() {
                    let index = (step + client * 7) % codes.len();
                    let choice = ["a", "b"][(client + step) % 2];
                    let mut turn = turns[index].lock().expect("a turn");
                    await_that("the ballot is acknowledged", || {
                        cast(&votes[client % 2], &codes[index], choice) == 202
                    });
                    *turn = Some(choice);
                    acknowledged.fetch_add(1, Relaxed);
                }
            });
        }
        let half = CLIENTS * codes.len() / 2;
        await_that("half of the ballots are cast", || {
            acknowledged.load(Relaxed) >= half
        });
        if let Some(worker) = killed.lock().expect("the worker").take() {
            worker.kill();
        }
        *killed.lock().expect("the worker") = Some(deployment.worker());
    });
    let worker = killed.into_inner().expect("the worker").expect("it runs");
    await_that("the worker is ready", || worker.is_ready());
    operator(&worker).settled();

    let mut expected = HashMap::from([("a", 0_u64), ("b", 0)]);
    for turn in turns {
        let choice = turn.into_inner().expect("a turn").expect("it was used");
        *expected.entry(choice).or_default() += 1;
    }
    let recount = await_some("the recount", || operator(&worker).recount("board"));
    assert_eq!(recount["agrees"], true, "{recount}");
    assert_eq!(recount["counted"]["voters"], count, "{recount}");
    for option in recount["counted"]["options"].as_array().expect("options") {
        let id = option["id"].as_str().expect("an id");
        assert_eq!(option["votes"], expected[id], "{recount}");
    }
    let used = operator(&worker).get("polls/board/codes").expect("numbers");
    assert_eq!(
        (&used["issued"], &used["used"]),
        (&json!(count), &json!(count))
    );
}

#[test]
fn sixty_four_clients_with_the_same_codes_count_once_each_while_a_worker_is_killed() {
    each_code_counts_once(40);
}

#[test]
#[ignore = "takes minutes"]
fn the_same_with_a_thousand_codes() {
    each_code_counts_once(1_000);
}

#[test]
fn the_key_of_the_deployment_is_exchanged_and_codes_stay_valid() {
    let mut deployment = deployment();
    let folder = tempfile::tempdir().expect("a folder");
    let other = folder.path().join("other");
    std::fs::write(&other, ENTRY_KEY).expect("written");
    let (vote, worker) = (deployment.vote(), deployment.worker());
    await_that("the worker is ready", || worker.is_ready());
    let options = json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]);
    let poll = json!({"id": "board", "title": "Board", "options": options, "voters": "codes"});
    let stored = operator(&worker).post_json("polls", &poll);
    assert!(stored.expect("an answer").status().is_success());
    let code = issue(&deployment, 1).remove(0);
    await_that("the code is taken", || cast(&vote, &code, "a") == 202);
    let (_, _) = (vote.stop(), worker.stop());

    deployment.more = vec![
        (
            "VOTING_ENTRY_KEY",
            "9a8b7c6d5e4f30211203f4e5d6c7b8a9".to_owned(),
        ),
        ("VOTING_OTHER_ENTRY_KEY_FILES", other.display().to_string()),
    ];
    let worker = deployment.worker();
    await_that("the worker is ready", || worker.is_ready());
    // The old key is gone once the worker has wrapped the keys of polls anew.
    deployment.more.truncate(1);
    let vote = deployment.vote();
    await_that("the code is taken under the new key", || {
        cast(&vote, &code, "b") == 202
    });
    operator(&worker).settled();
    let recount = operator(&worker).recount("board").expect("a recount");
    assert_eq!(recount["counted"]["voters"], 1, "{recount}");
}

#[test]
fn without_a_key_codes_are_refused_in_words_and_an_open_poll_is_made() {
    let mut deployment = Deployment::new();
    deployment.more = vec![("VOTING_ENTRY_KEY", String::new())];
    let worker = deployment.worker();
    await_that("the worker is ready", || worker.is_ready());
    let options = json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]);
    let poll = json!({"id": "board", "title": "Board", "options": options, "voters": "codes"});
    let url = format!("{}/v1/polls", worker.url);
    let refused = agent()
        .post(url)
        .header("authorization", format!("Bearer {TOKEN}"))
        .content_type("application/json")
        .send(poll.to_string())
        .expect("an answer");
    assert_eq!(refused.status(), 409);
    let told = text_of(refused);
    assert!(told.contains("entry_key_file"), "{told}");
    operator(&worker).add_poll("open", "Open").expect("a poll");
}
