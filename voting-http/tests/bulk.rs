//! Bulk casts: a trusted server hands in ballots, a line for each, and reads an answer for each.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use support::{Answer, JSON, NDJSON, OPERATOR_TOKEN, Services, Setup, connect, get, secret, send};
use voting_core::{
    Ballot, CastError, GroupCommit, Poll, PollDirectory, PollStore, Receipt, StoreError, VoteSink,
    VoterId,
    backends::memory::Memory,
    model::{
        poll::{ChangeTo, CodeChange, PollChange, PollSettings, Voters},
        poll_key::{PollKey, PollKeyWrap},
    },
    pipeline::poll_keys::KeyedPolls,
};
use voting_http::ReceiptKey;
use voting_testing::await_that;

fn wrap() -> PollKeyWrap {
    PollKeyWrap::new(&secret())
}

fn bearer() -> String {
    format!("Bearer {OPERATOR_TOKEN}")
}

fn hand_in(services: &Services, poll: &str, body: &str) -> Answer {
    let url = format!("{}/v1/polls/{poll}/ballots", services.operator);
    let bearer = bearer();
    send(
        "POST",
        &url,
        &[("authorization", &bearer), NDJSON],
        body.as_bytes(),
    )
}

/// A key that names a voter in a poll for everybody.
fn key(voter: u32) -> String {
    format!("{voter:08x}c0ffee0123456789abcdef0123456789")
}

fn line(voter: impl Into<Value>, choice: &str) -> String {
    format!("{}\n", json!({"voter": voter.into(), "choices": [choice]}))
}

fn answers(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let lines = answer.body.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Why each line was not taken, without the beginning that all have; nothing for one that was.
fn kinds(answers: &[Value]) -> Vec<&str> {
    let kinds = answers.iter().map(|answer| {
        assert!(
            answer["receipt"].is_string() != answer["type"].is_string(),
            "{answer}"
        );
        answer["type"].as_str().unwrap_or_default()
    });
    kinds
        .map(|kind| kind.trim_start_matches("urn:voting:problem:"))
        .collect()
}

#[test]
fn each_line_is_answered_in_order_and_none_stops_another() {
    let services = Services::start();
    let long = json!({"voter": "x".repeat(20_000), "choices": ["a"]}).to_string();
    let body = [
        line(key(1), "a"),
        "no json\n".to_owned(),
        "\n".to_owned(),
        line(key(2), "b"),
        line(key(3), "cow"),
        line("short", "a"),
        format!("{long}\n"),
        format!("{}\n", json!({"voter": key(4), "choices": ["a"], "x": 1})),
        format!(
            "{}\n",
            json!({"voter": {"iss": "i", "sub": "s"}, "choices": ["a"]})
        ),
        format!("{}\n", json!({"voter": key(4), "choices": []})),
        format!("{}\n", json!({"voter": key(4)})),
        format!(
            "{{\"voter\":\"{}\",\"choices\":[\"a\"],\"choices\":[\"b\"]}}\n",
            key(4)
        ),
        // The same voter again, and a last line without an end.
        line(key(1), "b"),
        line(key(5), "a").trim_end().to_owned(),
    ]
    .concat();
    let told = hand_in(&services, "cats-vs-dogs", &body);
    let told = answers(&told);
    let numbers: Vec<_> = told
        .iter()
        .map(|answer| answer["line"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    assert_eq!(
        kinds(&told),
        [
            "",
            "request",
            "",
            "invalid-choice",
            "invalid",
            "too-large",
            "request",
            "invalid",
            "invalid-choice",
            "request",
            "request",
            "",
            ""
        ],
        "{told:?}"
    );
    assert_eq!(services.votes("cats-vs-dogs"), [1, 2]);
    let receipt = told[0]["receipt"].as_str().unwrap();
    let state = get(&format!("{}/v1/receipts/{receipt}", services.result), &[]);
    assert_eq!(state.json()["state"], "superseded", "{}", state.body);
}

#[test]
fn a_file_that_is_sent_again_changes_nothing() {
    let services = Services::start();
    let body: String = (0..20_000)
        .map(|voter| line(key(voter), if voter % 3 == 0 { "a" } else { "b" }))
        .collect();
    for _ in 0..2 {
        let told = answers(&hand_in(&services, "cats-vs-dogs", &body));
        assert_eq!(told.len(), 20_000);
        assert!(kinds(&told).iter().all(|kind| kind.is_empty()));
        assert_eq!(services.votes("cats-vs-dogs"), [6_667, 13_333]);
    }
}

#[test]
fn a_line_is_answered_while_the_next_ones_are_not_sent_yet() {
    let services = Services::start();
    let mut stream = connect(&services.operator);
    let head = format!(
        "POST /v1/polls/cats-vs-dogs/ballots HTTP/1.1\r\nHost: test\r\nAuthorization: {}\r\n\
         Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        bearer()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut next = |what: &str| {
        let mut text = String::new();
        while !text.contains(what) {
            assert_ne!(reader.read_line(&mut text).unwrap(), 0, "{text}");
        }
        text
    };
    assert!(next("\r\n").contains("100 Continue"));
    for voter in 1..=3 {
        let line = line(key(voter), "a");
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        stream.write_all(chunk.as_bytes()).unwrap();
        let told = next("receipt");
        assert!(
            told.contains(&format!("{{\"line\":{voter},\"receipt\"")),
            "{told}"
        );
    }
    // The client goes away in the middle of a line. What was acknowledged stays.
    stream.write_all(b"5\r\n{\"vot\r\n").unwrap();
    drop(reader);
    drop(stream);
    assert_eq!(services.votes("cats-vs-dogs"), [3, 0]);
}

/// A poll of this id and kind, and its key.
fn keyed(services: &Services, id: &str, voters: Voters, pseudonyms: bool) -> PollKey {
    let mut settings = PollSettings::default();
    settings.voters = voters;
    let poll = Poll::builder(id, "Which?")
        .option("a", "A")
        .option("b", "B");
    let poll = poll.settings(settings).build().unwrap();
    let polls = KeyedPolls::new(services.memory.clone(), Some(wrap())).with_pseudonyms(pseudonyms);
    services.block_on(polls.put_poll(&poll)).unwrap();
    let stored = services
        .block_on(services.memory.poll(poll.id()))
        .unwrap()
        .unwrap();
    wrap()
        .open(poll.id(), stored.wrapped_key().unwrap())
        .unwrap()
}

fn with_keys() -> Services {
    Services::set_up(|_| Setup {
        vote: |builder| builder.poll_keys(wrap()),
        operator: |builder| builder.poll_keys(wrap()),
        ..Setup::default()
    })
}

fn voter_of(answer: &Value) -> VoterId {
    let receipt = answer["receipt"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    ReceiptKey::new(&secret()).open(receipt).unwrap().voter
}

#[test]
fn a_code_is_the_same_voter_as_at_the_vote_service_until_it_is_revoked() {
    let services = with_keys();
    let poll_key = keyed(&services, "board", Voters::Codes, false);
    let change = |change| {
        let change = PollChange::new("board".parse().unwrap(), ChangeTo::Codes(change));
        services
            .block_on(services.memory.change_poll(&change, "test"))
            .unwrap();
    };
    change(CodeChange::Issue(3));
    let code = |serial| poll_key.codes().code(serial, 0).to_string();
    let url = format!("{}/v1/polls/board/ballot", services.vote);
    await_that("the vote service knows the code", || {
        let headers = [("voter-code", &*code(0)), JSON];
        send("PUT", &url, &headers, br#"{"choices":["b"]}"#).status == 202
    });
    assert_eq!(services.votes("board"), [0, 1]);
    let body = [
        line(code(0).to_lowercase(), "a"),
        line(code(1), "a"),
        line(poll_key.codes().code(3, 0).to_string(), "a"),
        line(code(1).replace('-', " "), "a"),
        line(key(1), "a"),
    ]
    .concat();
    let told = hand_in(&services, "board", &body);
    let told = answers(&told);
    assert_eq!(kinds(&told), ["", "", "invalid-code", "", "invalid-code"]);
    assert_eq!(services.votes("board"), [2, 0]);
    change(CodeChange::Revoke(1));
    await_that("a revoked code is refused", || {
        let told = hand_in(&services, "board", &line(code(1), "b"));
        kinds(&answers(&told)) == ["invalid-code"]
    });
}

#[test]
fn a_person_or_a_key_is_the_voter_of_the_session_or_the_header() {
    let services = with_keys();
    let people = keyed(&services, "staff", Voters::Identity, false);
    let open = keyed(&services, "open", Voters::Open, true);
    let person = json!({"iss": "https://id.test", "sub": "anna"});
    let told = hand_in(&services, "staff", &line(person, "a"));
    assert_eq!(
        voter_of(&answers(&told)[0]),
        people.login("https://id.test", "anna")
    );
    for person in [
        json!({"iss": "", "sub": "anna"}),
        json!({"iss": "i"}),
        json!("anna"),
    ] {
        let told = hand_in(&services, "staff", &line(person, "a"));
        assert!(["invalid", "request"].contains(&kinds(&answers(&told))[0]));
    }
    let told = hand_in(&services, "open", &line(key(1), "a"));
    assert_eq!(
        voter_of(&answers(&told)[0]),
        open.program(key(1).as_bytes())
    );
    // The header names the same voter, whose vote takes the place of the one that was handed in.
    for poll in ["open", "cats-vs-dogs"] {
        let key = key(7);
        let told = hand_in(&services, poll, &line(key.as_str(), "a"));
        assert_eq!(kinds(&answers(&told)), [""]);
        let url = format!("{}/v1/polls/{poll}/ballot", services.vote);
        let headers = [("idempotency-key", key.as_str()), JSON];
        let cast = send("PUT", &url, &headers, br#"{"choices":["b"]}"#);
        assert_eq!(cast.status, 202, "{}", cast.body);
    }
    assert_eq!(services.votes("open"), [1, 1]);
    assert_eq!(services.votes("cats-vs-dogs"), [0, 1]);
}

#[test]
fn without_the_key_of_a_poll_nobody_votes_under_another_id() {
    let services = Services::start();
    keyed(&services, "board", Voters::Codes, false);
    let told = hand_in(&services, "board", &line("0000-0000-0000-0000", "a"));
    assert_eq!(told.status, 503, "{}", told.body);
    assert!(told.body.contains("lacks the poll's key"), "{}", told.body);
}

#[test]
fn a_request_as_a_whole_is_refused_before_a_line_is_read() {
    let services = Services::start();
    let body = line(key(1), "a").repeat(50_000);
    let missing = hand_in(&services, "nowhere", &body);
    assert_eq!(missing.status, 404, "{}", missing.body);
    let url = format!("{}/v1/polls/cats-vs-dogs/ballots", services.operator);
    let bearer = bearer();
    let json = send(
        "POST",
        &url,
        &[("authorization", &bearer), JSON],
        body.as_bytes(),
    );
    assert_eq!(json.status, 415, "{}", json.body);
    let nobody = send("POST", &url, &[NDJSON], b"");
    assert_eq!(nobody.status, 401, "{}", nobody.body);
    let close = format!("{}/v1/polls/cats-vs-dogs/close", services.operator);
    let closed = send("POST", &close, &[("authorization", &bearer)], b"");
    assert_eq!(closed.status, 202, "{}", closed.body);
    await_that("the poll is closed", || {
        let told = hand_in(&services, "cats-vs-dogs", &body);
        told.status == 409 && told.json()["type"] == "urn:voting:problem:poll-closed"
    });
    let off = Services::set_up(|_| Setup {
        takes_bulk: false,
        ..Setup::default()
    });
    let told = hand_in(&off, "cats-vs-dogs", &body);
    assert_eq!(told.status, 409);
    assert_eq!(told.json()["type"], "urn:voting:problem:bulk-casts-off");
}

/// Of some ballots it is not known whether they are stored.
struct Unsure {
    memory: Memory,
    inner: OnceLock<GroupCommit>,
    casts: AtomicUsize,
}

#[async_trait::async_trait]
impl VoteSink for Unsure {
    async fn cast(&self, ballot: Ballot) -> Result<Receipt, CastError> {
        match self.casts.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => {
                let sink = self.inner.get_or_init(|| self.memory.sink());
                sink.cast(ballot).await
            }
            1 => Err(CastError::Unknown("the link is gone".into())),
            _ => Err(CastError::Refused("no room".into())),
        }
    }

    async fn ready_to_cast(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[test]
fn a_line_says_whether_its_outcome_is_unknown() {
    let services = Services::set_up(|memory| Setup {
        bulk: Some(Arc::new(Unsure {
            memory: memory.clone(),
            inner: OnceLock::new(),
            casts: AtomicUsize::new(0),
        })),
        ..Setup::default()
    });
    let body: String = (0..6).map(|voter| line(key(voter), "a")).collect();
    let told = answers(&hand_in(&services, "cats-vs-dogs", &body));
    assert_eq!(
        kinds(&told),
        [
            "",
            "outcome-unknown",
            "not-stored",
            "",
            "outcome-unknown",
            "not-stored"
        ]
    );
    assert_eq!(services.votes("cats-vs-dogs"), [2, 0]);
}

/// In an all-in-one too, whose entries are not signed.
#[test]
fn votes_that_were_handed_in_are_counted_apart_and_voided_by_their_source() {
    let services = Services::start();
    let bearer = bearer();
    let headers = [("authorization", &*bearer), JSON];
    let url = format!("{}/v1/polls/cats-vs-dogs", services.vote);
    let own = send(
        "PUT",
        &format!("{url}/ballot"),
        &[JSON],
        br#"{"choices":["a"]}"#,
    );
    assert_eq!(own.status, 202);
    let body: String = (0..3).map(|voter| line(key(voter), "b")).collect();
    hand_in(&services, "cats-vs-dogs", &body);
    assert_eq!(services.votes("cats-vs-dogs"), [1, 3]);
    let url = format!("{}/v1/polls/cats-vs-dogs", services.operator);
    let export = || get(&format!("{url}/export/tally.json"), &headers).json();
    assert_eq!(export()["handed_in"], 3);
    let voidings = format!("{url}/voidings");
    let both = br#"{"reason":"x","handed_in":true,"revoked_codes":true}"#;
    assert_eq!(send("POST", &voidings, &headers, both).status, 422);
    let rule = br#"{"reason":"A kiosk was broken.","handed_in":true}"#;
    let voided = send("POST", &voidings, &headers, rule);
    assert_eq!(voided.status, 200, "{}", voided.body);
    assert_eq!(voided.json()["voided"], 3);
    assert_eq!(voided.json()["voidings"][0]["handed_in"], true);
    // What comes later is voided, too.
    hand_in(&services, "cats-vs-dogs", &line(key(9), "a"));
    assert_eq!(services.votes("cats-vs-dogs"), [1, 0]);
    assert_eq!(export()["handed_in"], Value::Null);
    let undone = send("DELETE", &format!("{voidings}/1"), &headers, b"");
    assert_eq!(undone.status, 200, "{}", undone.body);
    assert_eq!(services.votes("cats-vs-dogs"), [2, 3]);
}

#[test]
fn the_audit_log_says_who_handed_ballots_in() {
    let services = Services::start();
    hand_in(&services, "cats-vs-dogs", &line(key(1), "a"));
    let url = format!("{}/v1/audit?poll=cats-vs-dogs", services.operator);
    let log = get(&url, &[("authorization", &bearer())]);
    assert!(log.body.contains("ballots.handed-in"), "{}", log.body);
}
