//! `voting export` and `voting import-polls`, on a file and on Postgres.

mod support;

use std::{fs, path::Path, time::Duration};

use support::deployment::Told;
use tokio::runtime::Runtime;
use voting_core::{
    Ballot, Choices, PollId, PollState, VoterId,
    backends::{
        postgres::{Postgres, PostgresOptions},
        sqlite::{Sqlite, SqliteOptions},
    },
    model::{
        poll_state::Seals,
        position::{EntryId, Position, ShardId},
    },
    store::{
        AuditLog, Store,
        batch::{Batch, PlacedBallot},
    },
};
use voting_testing::PostgresServer;

const POLLS: &str = r#"
[[polls]]
id = "lunch"
title = "=What is for lunch?"
max_choices = 2
results = "after_close"
options = [{ id = "rice", label = "Rice" }, { id = "soup", label = "Soup" }]

[[polls]]
id = "walk"
title = "Where to?"
options = [{ id = "lake", label = "Lake" }, { id = "hill", label = "Hill" }]
"#;

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("written");
    path.to_str().expect("a text").to_owned()
}

/// Three vote in `lunch`, and it becomes final.
async fn vote(store: &impl Store) {
    let id: PollId = "lunch".parse().expect("an id");
    let entry = EntryId::new(1, 0).expect("an id");
    let ballots = [1, 3, 3].into_iter().zip(0..).map(|(bits, voter)| {
        let ballot = Ballot {
            poll: id.clone(),
            voter: VoterId::from_bytes(u128::from(voter).to_be_bytes()),
            choices: Choices::from_bits(bits).expect("choices"),
            rules: None,
        };
        PlacedBallot {
            position: Position::new(ShardId(0), entry, voter),
            ballot,
        }
    });
    let batch = Batch {
        entries: vec![((ShardId(0), entry), 3)],
        ballots: ballots.collect(),
        ..Batch::default()
    };
    store.flush(&batch).await.expect("flushed");
    let done = PollState::Final(Seals::default());
    store.advance_poll(&id, &done).await.expect("stored");
}

/// Imports and exports with a program that has these settings. `vote` lets three vote in `lunch`.
fn imports_and_exports(
    settings: &[(&'static str, String)],
    vote: impl FnOnce(),
) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let polls = file(folder.path(), "polls.toml", POLLS);
    let run = |arguments: &[&str]| Told::by(settings, arguments);
    let tried = run(&["import-polls", &polls, "--dry-run"]);
    tried.ended(0);
    assert!(
        tried.text.contains("lunch: created\nwalk: created\n"),
        "{tried}"
    );
    for became in ["created", "unchanged"] {
        let told = run(&["import-polls", &polls]);
        told.ended(0);
        assert_eq!(
            told.text,
            format!("lunch: {became}\nwalk: {became}\n"),
            "{told}"
        );
    }
    let renamed = POLLS.replace("Where to?", "Where do we go?");
    let renamed = file(folder.path(), "renamed.toml", &renamed);
    for dry in [&["--dry-run"][..], &[]] {
        let told = run(&[&["import-polls", &renamed], dry].concat());
        told.ended(0);
        assert!(
            told.text.starts_with("lunch: unchanged\nwalk: changed\n"),
            "{told}"
        );
    }
    let other = POLLS
        .replace("\"hill\"", "\"town\"")
        .replace("lunch", "supper");
    let other = file(folder.path(), "other.toml", &other);
    for dry in [&["--dry-run"][..], &[]] {
        let told = run(&[&["import-polls", &other], dry].concat());
        told.ended(1);
        assert!(
            told.text.contains("supper: created\nwalk: refused: "),
            "{told}"
        );
    }
    // A file that does not say who sees the result shows it to nobody else.
    let rule = "results = \"after_close\"\n";
    let hidden = POLLS
        .replace("lunch", "dinner")
        .replace(rule, "results = \"host\"\n");
    let hidden = file(folder.path(), "hidden.toml", &hidden);
    run(&["import-polls", &hidden]).ended(0);
    let silent = POLLS.replace("lunch", "dinner").replace(rule, "");
    let silent = file(folder.path(), "silent.toml", &silent);
    for dry in [&["--dry-run"][..], &[]] {
        let told = run(&[&["import-polls", &silent], dry].concat());
        told.ended(1);
        assert!(told.text.starts_with("dinner: refused: "), "{told}");
    }
    let told = run(&["import-polls", &silent, "--show-results"]);
    told.ended(0);
    assert!(told.text.starts_with("dinner: changed\n"), "{told}");
    let wrong = POLLS.replace("max_choices = 2", "max_choices = 3");
    let wrong = file(folder.path(), "wrong.toml", &wrong);
    let told = run(&["import-polls", &wrong]);
    told.ended(1);
    assert!(told.errors.contains("polls[0] (lunch)"), "{told}");

    let told = run(&["export", "lunch", "--ballots"]);
    told.ended(1);
    assert!(told.errors.contains("is not final"), "{told}");
    vote();
    let told = run(&["export", "lunch"]);
    told.ended(0);
    let rows: Vec<_> = told.text.lines().collect();
    assert!(
        rows[1].starts_with("rice,Rice,3,1,3,lunch,\"'=What is for lunch?\",final,"),
        "{told}"
    );
    assert!(rows[2].starts_with("soup,Soup,2,0.666667,3,"), "{told}");
    let told = run(&["export", "lunch", "--format", "json"]);
    let tally: serde_json::Value = serde_json::from_str(&told.text).expect("JSON");
    assert_eq!(tally["options"][1]["votes"], 2);
    let output = folder.path().join("ballots.csv");
    let output = output.to_str().expect("a text");
    let told = run(&["export", "lunch", "--ballots", "--output", output]);
    told.ended(0);
    assert_eq!(told.text, "", "{told}");
    assert!(told.errors.contains("There are only 3 ballots."), "{told}");
    let csv = fs::read_to_string(output).expect("the file");
    let (head, rows) = csv.split_once("\r\n").expect("rows");
    assert_eq!(head, "rice,soup");
    let mut rows: Vec<_> = rows.lines().collect();
    rows.sort_unstable();
    assert_eq!(rows, ["1,0", "1,1", "1,1"]);
    assert!(!Path::new(&format!("{output}.part")).exists());
    let told = run(&["export", "lunch", "--ballots", "--format", "json"]);
    let ballots: serde_json::Value = serde_json::from_str(&told.text).expect("JSON");
    assert_eq!(ballots["ballots"].as_array().map(Vec::len), Some(3));
    let told = run(&["export", "nowhere"]);
    told.ended(1);
    assert!(told.errors.contains("there is no poll nowhere"), "{told}");
    let told = run(&["export", "lunch", "--output", "/nowhere/at/all"]);
    told.ended(1);
    assert!(
        told.errors.contains("cannot write /nowhere/at/all.part"),
        "{told}"
    );
    folder
}

#[test]
fn the_file_of_the_all_in_one_also_while_it_is_in_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("voting.db");
    let settings = [("VOTING_SQLITE__PATH", path.display().to_string())];
    let told = Told::by(&settings, &["export", "lunch"]);
    told.ended(1);
    assert!(told.errors.contains("there is no file"), "{told}");
    let runtime = Runtime::new().expect("a runtime");
    let mut in_use = None;
    let files = imports_and_exports(&settings, || {
        let store = Sqlite::open(&path, SqliteOptions::default()).expect("opened");
        runtime.block_on(vote(&store));
        in_use = Some(store);
    });
    let polls = file(files.path(), "polls.toml", POLLS);
    let told = Told::by(&settings, &["import-polls", &polls]);
    told.ended(1);
    assert!(told.errors.contains("stop the all-in-one first"), "{told}");
    drop(in_use);
    // The same when nobody uses it.
    let told = Told::by(&settings, &["export", "lunch", "--ballots"]);
    told.ended(0);
    assert_eq!(told.text.lines().count(), 4, "{told}");
    assert!(told.errors.contains("not in the audit log"), "{told}");
}

#[test]
fn postgres_and_each_export_of_ballots_is_in_the_audit_log() {
    let server = PostgresServer::start();
    let url = server.database("voting");
    let runtime = Runtime::new().expect("a runtime");
    let store = Postgres::new(&url, PostgresOptions::default()).expect("an address");
    runtime.block_on(store.migrate()).expect("migrated");
    imports_and_exports(&[("VOTING_POSTGRES__URL", url)], || {
        runtime.block_on(vote(&store));
    });
    let notes = runtime.block_on(async {
        let all = store.audit_log(0, 100).await.expect("notes");
        let exports = all.into_iter().map(|entry| entry.note);
        exports
            .filter(|note| note.action == "poll.exported")
            .collect::<Vec<_>>()
    });
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes.iter().all(|note| note.by == "export"));
    runtime.shutdown_timeout(Duration::from_secs(1));
}
