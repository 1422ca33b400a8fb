//! Data that an earlier version made goes on working: databases, a log in Redis with a ballot that is not counted
//! yet, cookies and receipts. What is in `kept/` was made by the programs of the commit that its folder names.

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use serde_json::Value;
use support::{POLL, settled, tally};
use voting_core::{
    TallyStore,
    backends::sqlite::{Sqlite, SqliteOptions},
};
use voting_testing::{Deployment, PostgresServer, Service, agent, await_that, get_json, text_of};

const SECRET: &str = "the secret under which the kept files were made";

fn kept(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kept/63e3b15");
    folder.join(name)
}

fn json(name: &str) -> Value {
    let text = fs::read_to_string(kept(name)).expect("it is kept");
    serde_json::from_str(&text).expect("JSON")
}

/// Votes with a cookie of before. The voter has it already, so none is given under another name than the current.
fn vote(vote: &Service, cookie: &Value, choice: &str) -> String {
    let ballot = agent()
        .put(format!("{}/v1/polls/{POLL}/ballot", vote.url))
        .header("cookie", cookie.as_str().expect("a cookie"))
        .content_type("application/json")
        .send(format!(r#"{{"choices":["{choice}"]}}"#));
    let answer = ballot.expect("an answer");
    let status = answer.status();
    let body = text_of(answer);
    assert_eq!(status, 202, "{body}");
    let accepted: Value = serde_json::from_str(&body).expect("JSON");
    accepted["receipt"].as_str().expect("a receipt").to_owned()
}

#[test]
fn a_database_of_before_is_counted_on_and_its_voters_are_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("votes.db");
    let mut database = Vec::new();
    let packed = fs::File::open(kept("embedded.sqlite.gz")).expect("it is kept");
    GzDecoder::new(packed)
        .read_to_end(&mut database)
        .expect("unpacked");
    fs::write(&file, database).expect("written");
    #[cfg(unix)]
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("private");

    let known = json("embedded.json");
    let mut deployment = Deployment::new();
    deployment.more = vec![("VOTING_SECRET", SECRET.to_owned())];
    let service = deployment.all_in_one(&file);
    service.await_ready();
    vote(&service, &known["voters"][1]["cookie"], "b");
    assert!(service.stop().success());

    let store = Sqlite::open(&file, SqliteOptions::default()).expect("opened");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let poll = POLL.parse().expect("an id");
    let tally = runtime.block_on(store.tally(&poll)).expect("a tally");
    let tally = tally.expect("the poll");
    assert_eq!((tally.voters, tally.votes), (3, vec![0, 3]));
}

/// Sends commands as they are kept; what is no text is in hexadecimal digits.
fn restore(port: u16, commands: &Value) {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("Redis");
    let mut answers = BufReader::new(stream.try_clone().expect("the same socket"));
    let mut stream = stream;
    for command in commands.as_array().expect("a list") {
        let parts = command.as_array().expect("a list");
        let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
        for part in parts {
            let part = match part["hex"].as_str() {
                Some(digits) => hex(digits),
                None => part.as_str().expect("a text").as_bytes().to_vec(),
            };
            bytes.extend(format!("${}\r\n", part.len()).as_bytes());
            bytes.extend(part);
            bytes.extend(b"\r\n");
        }
        stream.write_all(&bytes).expect("sent");
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("an answer");
        assert!(!answer.starts_with('-'), "{command}: {answer}");
        if let Some(length) = answer.strip_prefix('$') {
            let length: usize = length.trim().parse().expect("a length");
            let mut rest = vec![0; length + 2];
            answers.read_exact(&mut rest).expect("the rest");
        }
    }
}

fn hex(digits: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("digits");
    (0..digits.len()).step_by(2).map(pair).collect()
}

#[test]
fn a_log_and_a_database_of_before_are_counted_on_and_their_receipts_are_read() {
    let known = json("separate.json");
    let mut deployment = Deployment::new();
    deployment.more = vec![("VOTING_SECRET", SECRET.to_owned())];
    let dump = fs::read_to_string(kept("postgres.sql")).expect("it is kept");
    PostgresServer::sql(&deployment.database, &dump).expect("restored");
    restore(deployment.redis.port(), &known["redis"]);

    let worker = deployment.worker();
    let (vote_service, result) = (deployment.vote(), deployment.result());
    for service in [&worker, &vote_service, &result] {
        service.await_ready();
    }
    settled(&worker);
    await_that("the ballot that nobody had counted is counted", || {
        tally(&result)["voters"] == 4
    });
    let state = |receipt: &str| {
        let url = format!("{}/v1/receipts/{receipt}", result.url);
        let told = get_json(&url).expect("a state");
        told["state"].as_str().expect("a state").to_owned()
    };
    let receipt = |of: &Value| state(of.as_str().expect("a receipt"));
    assert_eq!(receipt(&known["voters"][0]["receipt"]), "superseded");
    assert_eq!(receipt(&known["newer_receipt"]), "counted");
    assert_eq!(receipt(&known["voters"][2]["receipt"]), "counted");
    assert_eq!(receipt(&known["uncounted"]["receipt"]), "counted");

    let again = vote(&vote_service, &known["voters"][1]["cookie"], "b");
    settled(&worker);
    assert_eq!(state(&again), "counted");
    assert_eq!(receipt(&known["voters"][1]["receipt"]), "superseded");
    // What is shown is up to a tick old.
    await_that("all four have voted for Dogs", || {
        let tally = tally(&result);
        (&tally["voters"], &tally["options"][1]["votes"]) == (&4.into(), &4.into())
    });

    // Programs of an earlier version may run beside these. What they write is read.
    let sql = |statement: &str| {
        let done = PostgresServer::sql(&deployment.database, statement);
        done.expect("done")
    };
    assert_eq!(sql("SELECT finished FROM upgrades"), "2");
    sql(&format!(
        "INSERT INTO polls (id, definition)
             SELECT 'older', replace(definition, '\"id\":\"{POLL}\"', '\"id\":\"older\"')
             FROM polls WHERE id = '{POLL}';
         INSERT INTO dead_letters VALUES (0, 1, 0, 'malformed', 'no entry', '\\x00', 1)"
    ));
    await_that("the poll of an older program is there", || {
        let url = format!("{}/v1/polls/older", vote_service.url);
        get_json(&url).is_some_and(|poll| poll["id"] == "older")
    });
}
