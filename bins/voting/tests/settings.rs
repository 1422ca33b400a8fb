//! `voting config`: what is said of settings that are wrong, and of those that are in force.

mod support;

use std::fs;

use support::deployment::{SECRETS, Told};

/// As three services have them.
fn good() -> Vec<(&'static str, String)> {
    vec![
        ("VOTING_SECRET", SECRETS[0].to_owned()),
        ("VOTING_WORKER__TOKEN", SECRETS[1].to_owned()),
        (
            "VOTING_REDIS__URL",
            format!("redis://u:{}@h:1/", SECRETS[2].replace(' ', "%20")),
        ),
        ("VOTING_POSTGRES__URL", "postgres://u:p@h/d".to_owned()),
    ]
}

fn check(settings: &[(&'static str, String)], more: &[&str]) -> Told {
    let mut arguments = vec!["config", "check"];
    arguments.extend(more);
    Told::by(settings, &arguments)
}

#[test]
fn good_settings_are_good_without_any_server() {
    let told = check(&good(), &[]);
    told.ended(0).says(
        "ok",
        "settings",
        &["good for voting-vote, voting-worker, voting-result"],
    );
    let told = check(&[], &[]);
    told.ended(0).says("ok", "settings", &["good for voting"]);
    let json = check(&good(), &["--json"]);
    let document: serde_json::Value = serde_json::from_str(&json.text).expect("JSON");
    assert_eq!(document["level"], "ok");
}

#[test]
fn all_unknown_settings_are_named_with_where_they_are_set() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("voting.toml");
    fs::write(
        &file,
        "[vote]\nlissten = '127.0.0.1:1'\n[wroker]\nmax_ballots = 1\n",
    )
    .unwrap();
    let mut settings = good();
    settings.push(("VOTING_SERVICE_HOST", "x".to_owned()));
    settings.push(("VOTING_REDIS__SHARDS", "0".to_owned()));
    let path = file.to_str().unwrap();
    let told = check(&settings, &["--config", path]);
    told.ended(1)
        .says(
            "FAIL",
            "settings",
            &[
                "vote.lissten",
                path,
                "listen, max_connections, public_port, public_url",
            ],
        )
        .says("FAIL", "settings", &["wroker.max_ballots", path])
        .says("FAIL", "settings", &["service_host", "VOTING_SERVICE_HOST"])
        .says("FAIL", "settings", &["redis.shards is not in 1 to 65535"]);
    // A service says the same when it does not start.
    let start = Told::by(&settings, &["--config", path]);
    start.ended(1);
    for part in [
        "vote.lissten",
        "wroker.max_ballots",
        "VOTING_SERVICE_HOST",
        "redis.shards",
    ] {
        assert!(start.errors.contains(part), "{start}");
    }
}

#[test]
fn what_a_service_needs_and_lacks_is_named() {
    let without = |key: &str| {
        let mut settings = good();
        settings.retain(|(known, _)| *known != key);
        settings
    };
    let told = check(&without("VOTING_WORKER__TOKEN"), &[]);
    told.ended(1).says(
        "FAIL",
        "settings",
        &["voting-worker needs more: worker.token is not set"],
    );
    check(
        &without("VOTING_WORKER__TOKEN"),
        &["--for", "vote", "--for", "result"],
    )
    .ended(0);
    let told = check(&without("VOTING_SECRET"), &[]);
    told.ended(1).says(
        "FAIL",
        "settings",
        &["voting-vote needs more: secret is not set"],
    );
    let told = check(&without("VOTING_REDIS__URL"), &["--for", "worker"]);
    told.ended(1)
        .says("FAIL", "settings", &["redis.url is not set"]);
    // Who names Redis only is a vote service.
    let told = check(&without("VOTING_POSTGRES__URL"), &[]);
    told.ended(0)
        .says("ok", "settings", &["good for voting-vote"]);
}

#[test]
fn values_and_files_that_are_none_are_named() {
    let with = |key: &'static str, value: &str| {
        let mut settings = good();
        settings.retain(|(known, _)| *known != key);
        settings.push((key, value.to_owned()));
        check(&settings, &[])
    };
    with("VOTING_SECRET_FILE", "/nowhere").says(
        "FAIL",
        "settings",
        &["both as a value and as a file"],
    );
    with("VOTING_SECRET", "short").says("FAIL", "settings", &["too short", "32 bytes"]);
    with("VOTING_REDIS__URL", "http://h/").says("FAIL", "settings", &["redis.url is no address"]);
    with("VOTING_POSTGRES__URL", "h").says("FAIL", "settings", &["postgres.url is no address"]);
    with("VOTING_POSTGRES__CA_FILE", "/nowhere").says(
        "FAIL",
        "settings",
        &["cannot read /nowhere"],
    );
    with("VOTING_VOTE__LISTEN", "here").says("FAIL", "settings", &["vote.listen", "environment"]);
    with("VOTING_LOG", "a=b=c").says("FAIL", "settings", &["log is not a level"]);
    let told = with("VOTING_VOTE__PUBLIC_URL", "https://vote.test");
    told.ended(0).says("warn", "settings", &["only one is set"]);
    let mut settings = good();
    settings.retain(|(key, _)| *key != "VOTING_SECRET");
    settings.push(("VOTING_SECRET_FILE", "/nowhere/secret".to_owned()));
    let told = check(&settings, &[]);
    told.ended(1)
        .says("FAIL", "settings", &["cannot read /nowhere/secret"]);
    let told = check(&good(), &["--config", "/nowhere.toml"]);
    told.ended(1).says("FAIL", "settings", &["/nowhere.toml"]);
}

#[test]
fn the_settings_in_force_are_shown_with_where_they_are_from_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("voting.toml");
    fs::write(&file, "[worker]\nmax_wait_ms = 7\n").unwrap();
    let path = file.to_str().unwrap();
    let flags = [
        "--vote-listen",
        "127.0.0.1:9",
        "config",
        "show",
        "--config",
        path,
    ];
    let told = Told::by(&good(), &flags);
    told.ended(0);
    for line in [
        "vote.listen = \"127.0.0.1:9\"  # by --vote-listen",
        &format!("worker.max_wait_ms = 7  # in {path}"),
        "redis.url = \"(hidden)\"  # in the environment, VOTING_REDIS__URL",
        "secret = \"(hidden)\"  # in the environment, VOTING_SECRET",
        "redis.shards = 4  # by default",
        "# redis.ca_file is not set",
    ] {
        assert!(
            told.text.lines().any(|told| told == line),
            "no {line} in\n{told}"
        );
    }
    let told = check(&good(), &["--show"]);
    assert!(
        told.text.contains("postgres.connections = 4  # by default"),
        "{told}"
    );
    told.ended(0).says("ok", "settings", &[]);
}
