//! Exports over the operator's API.

mod support;

use std::io::Read;

use support::{FORM, OPERATOR_TOKEN, Services, connect, get, poll, send};
use voting_core::{
    Ballot, BatchFlusher, Choices, PollState, PollStore, VoterId,
    model::{
        poll_state::Seals,
        position::{EntryId, Position, ShardId},
    },
    store::{
        AuditLog,
        batch::{Batch, PlacedBallot},
    },
};
use voting_testing::await_some;

fn bearer() -> String {
    format!("Bearer {OPERATOR_TOKEN}")
}

fn export(services: &Services, poll: &str, file: &str) -> support::Answer {
    let url = format!("{}/v1/polls/{poll}/export/{file}", services.operator);
    get(&url, &[("authorization", &bearer())])
}

fn finish(services: &Services, poll: &str) {
    services.settle();
    let done = PollState::Final(Seals::default());
    let id = poll.parse().expect("an id");
    let advanced = services.block_on(services.memory.advance_poll(&id, &done));
    assert_eq!(advanced.expect("stored"), Some(done));
}

#[test]
fn a_tally_is_exported_in_each_state_and_only_to_the_operator() {
    let services = Services::start();
    for vote in ["a", "a", "b"] {
        let cast = format!("vote={vote}");
        send("POST", &services.vote, &[FORM], cast.as_bytes());
    }
    services.settle();
    let csv = export(&services, "cats-vs-dogs", "tally.csv");
    assert_eq!(csv.status, 200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(
        csv.header("content-disposition"),
        "attachment; filename=\"tally-cats-vs-dogs.csv\""
    );
    let rows: Vec<_> = csv.body.split("\r\n").collect();
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert!(rows[0].starts_with("\u{feff}option,label,votes,share,voters,"));
    assert!(
        rows[1].starts_with("a,Cats,2,0.666667,3,cats-vs-dogs,Cats vs Dogs!,open,"),
        "{rows:?}"
    );
    let json = export(&services, "cats-vs-dogs", "tally.json").json();
    assert_eq!(
        (&json["voters"], &json["state"]),
        (&3.into(), &"open".into())
    );
    assert_eq!(
        json["options"][1],
        serde_json::json!({"id": "b", "label": "Dogs", "votes": 1, "share": 0.333333})
    );
    assert_eq!(
        json["counting"],
        "Each voter chooses one option. If a voter has voted more than once, the last ballot counts."
    );
    finish(&services, "cats-vs-dogs");
    let json = export(&services, "cats-vs-dogs", "tally.json").json();
    assert_eq!(json["state"], "final");
    assert!(json["final_at"].is_string());
    for file in ["tally.csv", "tally.json", "ballots.csv", "ballots.json"] {
        let url = format!("{}/v1/polls/cats-vs-dogs/export/{file}", services.operator);
        assert_eq!(get(&url, &[]).status, 401, "{file}");
        assert_eq!(export(&services, "none", file).status, 404, "{file}");
        assert_eq!(export(&services, "N%20O", file).status, 404, "{file}");
    }
    assert_eq!(export(&services, "cats-vs-dogs", "ballots.xls").status, 404);
}

#[test]
fn ballots_are_exported_once_the_poll_is_final_and_that_is_in_the_audit_log() {
    let services = Services::start();
    let url = format!("{}/polls/many", services.vote);
    for votes in ["vote=a&vote=c", "vote=a&vote=c", "vote=b"] {
        send("POST", &url, &[FORM], votes.as_bytes());
    }
    let notes = || {
        let notes = services
            .block_on(services.memory.audit_log(0, 100))
            .unwrap();
        let notes = notes.into_iter().map(|entry| entry.note);
        let exports = notes.filter(|note| note.action == "poll.exported");
        exports.collect::<Vec<_>>()
    };
    let early = export(&services, "many", "ballots.csv");
    assert_eq!(early.status, 409);
    assert_eq!(early.json()["type"], "urn:voting:problem:poll-not-final");
    finish(&services, "many");
    assert_eq!(notes(), []);
    let csv = export(&services, "many", "ballots.csv");
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(
        csv.header("content-disposition"),
        "attachment; filename=\"ballots-many.csv\""
    );
    let warning = "There are only 3 ballots. 3 of 3 ballots have choices that fewer than 3 voters made. Such ballots \
         may tell who cast them.";
    assert_eq!(csv.header("export-warning"), warning);
    let (head, rows) = csv.body.split_once("\r\n").unwrap();
    assert_eq!(head, "a,b,c,d");
    let mut rows: Vec<_> = rows.split_terminator("\r\n").collect();
    rows.sort_unstable();
    assert_eq!(rows, ["0,1,0,0", "1,0,1,0", "1,0,1,0"]);
    let json = export(&services, "many", "ballots.json").json();
    assert_eq!(json["warning"], warning);
    let mut ballots = json["ballots"].as_array().unwrap().clone();
    ballots.sort_by_key(ToString::to_string);
    assert_eq!(
        ballots,
        serde_json::json!([["a", "c"], ["a", "c"], ["b"]])
            .as_array()
            .unwrap()
            .clone()
    );
    let notes = notes();
    assert_eq!(notes.len(), 2);
    assert_eq!(
        (
            notes[0].by.as_str(),
            notes[0].poll.as_ref().unwrap().as_str()
        ),
        ("operator", "many")
    );
    assert_eq!(
        notes[1].after.as_deref(),
        Some(r#"{"ballots":3,"format":"json"}"#)
    );
}

/// Stores a final poll with more ballots than fit into the buffers of a connection.
fn large_poll(services: &Services) -> u64 {
    const VOTERS: u16 = 60_000;
    let options: Vec<_> = (0..63)
        .map(|n| (format!("o{n}"), format!("O{n}")))
        .collect();
    let options: Vec<_> = options
        .iter()
        .map(|(id, label)| (id.as_str(), label.as_str()))
        .collect();
    let poll = poll("large", &options, 63);
    let entry = EntryId::new(1, 0).expect("an id");
    let placed = (0..VOTERS).map(|number| PlacedBallot {
        position: Position::new(ShardId(0), entry, number),
        ballot: Ballot {
            poll: poll.id().clone(),
            voter: VoterId::from_bytes(u128::from(number).to_be_bytes()),
            choices: Choices::from_bits(u64::MAX >> 1).expect("choices"),
            rules: None,
        },
    });
    let batch = Batch {
        entries: vec![((ShardId(0), entry), VOTERS.into())],
        ballots: placed.collect(),
        ..Batch::default()
    };
    services
        .block_on(services.memory.put_poll(&poll))
        .expect("stored");
    services
        .block_on(services.memory.flush(&batch))
        .expect("flushed");
    finish(services, "large");
    VOTERS.into()
}

#[test]
fn exports_are_few_at_a_time_and_a_client_that_goes_away_makes_room() {
    let services = Services::start();
    let voters = large_poll(&services);
    let begin = || {
        let mut client = connect(&services.operator);
        let request = format!(
            "GET /v1/polls/large/export/ballots.json HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\r\n",
            bearer()
        );
        std::io::Write::write_all(&mut client, request.as_bytes()).unwrap();
        let mut first = [0; 512];
        client.read_exact(&mut first).unwrap();
        assert!(first.starts_with(b"HTTP/1.1 200 "));
        client
    };
    let (one, _other) = (begin(), begin());
    let refused = export(&services, "large", "ballots.csv");
    assert_eq!(refused.status, 503);
    assert_eq!(
        refused.json()["type"],
        "urn:voting:problem:too-many-exports"
    );
    assert_ne!(refused.header("retry-after"), "");
    drop(one);
    let csv = await_some("room for an export", || {
        let csv = export(&services, "large", "ballots.csv");
        (csv.status == 200).then_some(csv)
    });
    assert_eq!(csv.header("export-warning"), "");
    assert_eq!(csv.body.lines().count() as u64, voters + 1);
}
