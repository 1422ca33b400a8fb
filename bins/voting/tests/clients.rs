//! The OpenAPI documents can be used: generated clients in Python and TypeScript vote, read, create and close a
//! poll, a linter finds nothing, and schemathesis finds no answer that the documents do not declare. And the packages in
//! `clients/` are current and work.

mod support;

use std::{path::Path, process::Command};

use support::Voting;

/// The exit code if the tools cannot be installed, for example without a network.
const NO_TOOLS: i32 = 77;

#[test]
fn generated_clients_can_do_all_that_the_documents_say() {
    succeeds_against_services("tests/clients/run.sh");
}

#[test]
fn the_packages_for_other_languages_are_current_and_work() {
    succeeds_against_services("../../clients/try.sh");
}

/// Runs a script, by its path from this package.
fn succeeds_against_services(script: &str) {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let ran = Command::new("bash")
        .arg(script)
        .env("VOTE", &voting.vote)
        .env("RESULT", &voting.result)
        .env("OPERATOR", &voting.operator)
        .env("TOKEN", voting.operator_token())
        .env(
            "WORK",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients"),
        )
        .output()
        .expect("bash");
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
    let is_expected = std::env::var("EXPECT_CLIENTS").is_ok_and(|value| !value.is_empty());
    if ran.status.code() == Some(NO_TOOLS) && !is_expected {
        eprintln!("skipped: the generators of clients cannot be had here: {told}");
        return;
    }
    assert!(ran.status.success(), "{told}");
}
