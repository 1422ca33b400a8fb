//! What operators do: migrations, logins with few rights, and reading the log lines.

mod support;

use std::{fs::File, path::Path, process::Output};

use serde_json::{Value, json};
use support::{operator, settled, tally};
use voting_testing::{Deployment, PostgresServer, agent, await_that, text_of};

/// Casts a ballot for a new voter, and says what the cookie is.
fn cast(vote: &str) -> String {
    cast_again(vote, None).expect("a cookie")
}

fn cast_again(vote: &str, cookie: Option<&str>) -> Option<String> {
    let url = format!("{vote}/v1/polls/cats-vs-dogs/ballot");
    let mut ballot = agent().put(url).content_type("application/json");
    if let Some(cookie) = cookie {
        ballot = ballot.header("cookie", cookie);
    }
    let answer = ballot.send(r#"{"choices":["a"]}"#).expect("an answer");
    assert_eq!(answer.status(), 202);
    let set = answer.headers().get("set-cookie")?;
    let set = set.to_str().expect("a text");
    set.split(';').next().map(str::to_owned)
}

/// What a command said when it went well.
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The log lines so far.
fn lines(log: &Path) -> Vec<String> {
    let log = std::fs::read_to_string(log).expect("a log");
    log.lines().map(str::to_owned).collect()
}

fn is_said(log: &Path, what: &str) -> bool {
    lines(log).iter().any(|line| line.contains(what))
}

#[test]
fn a_worker_that_may_not_migrate_waits_until_somebody_has() {
    let mut deployment = Deployment::new();
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    deployment.log = Some(File::create(&log).expect("a file"));
    let owner = deployment.postgres.url("voting");
    PostgresServer::sql(&owner, "CREATE ROLE w LOGIN; CREATE ROLE r LOGIN").expect("made");
    let login = |role| {
        vec![(
            "VOTING_POSTGRES__URL",
            deployment.postgres.url_as(role, "voting"),
        )]
    };
    let (as_worker, as_result) = (login("w"), login("r"));
    deployment.more = as_worker;
    let worker = deployment.worker();
    await_that("the worker says what to do", || {
        is_said(&log, "run `voting migrate`")
    });
    assert!(!worker.is_ready());
    deployment.more = as_result;
    let result = deployment.result();
    assert!(!result.is_ready());
    let vote = deployment.vote();
    assert!(!vote.is_ready(), "it was given no polls");

    deployment.more.clear();
    let roles = ["migrate", "--create-roles"];
    let made = said(&deployment.voting(&roles));
    assert!(
        made.starts_with("There were no tables; made them, version"),
        "{made}"
    );
    assert!(
        made.contains("voting_worker and voting_result have their rights"),
        "{made}"
    );
    let again = said(&deployment.voting(&roles));
    assert!(again.contains("already"), "{again}");
    let grants = "GRANT voting_worker TO w; GRANT voting_result TO r";
    PostgresServer::sql(&owner, grants).expect("granted");

    await_that("the worker is ready", || worker.is_ready());
    await_that("the result service is ready", || result.is_ready());
    await_that("the vote service is ready", || vote.is_ready());
    cast(&vote.url);
    settled(&worker);
    assert_eq!(tally(&result)["options"][0]["votes"], 1);

    // From a version of the program that is yet to come.
    let newer = "INSERT INTO refinery_schema_history SELECT 999, 'later', applied_on, checksum
                 FROM refinery_schema_history LIMIT 1";
    PostgresServer::sql(&owner, newer).expect("inserted");
    let refused = deployment.voting(&["migrate"]);
    assert!(!refused.status.success());
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(
        error.contains("of version 999") && error.contains("newer version"),
        "{error}"
    );
    let late = deployment.worker();
    await_that("a worker that starts says so", || {
        is_said(&log, "of version 999")
    });
    assert!(!late.is_ready());
    for service in [vote, worker, result, late] {
        assert_eq!(service.stop().code(), Some(0));
    }
}

#[test]
fn each_log_line_is_an_object_and_tells_no_secret_and_no_voter() {
    let mut deployment = Deployment::new();
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    deployment.log = Some(File::create(&log).expect("a file"));
    let owner = deployment.postgres.url("voting");
    let password = "a-password-of-the-tests";
    let with_password = owner.replace("postgres@", &format!("postgres:{password}@"));
    deployment.more = vec![
        ("VOTING_LOG_FORMAT", "json".to_owned()),
        ("VOTING_LOG", "debug".to_owned()),
        ("VOTING_POSTGRES__URL", with_password),
    ];
    deployment.postgres.kill();
    let (vote, worker, result) = (deployment.vote(), deployment.worker(), deployment.result());
    await_that("the worker says what it waits for", || {
        is_said(&log, "could not synchronise the log with the store")
    });
    assert!(!result.is_ready());
    deployment.postgres.launch();
    await_that("the vote service is ready", || vote.is_ready());
    let mut cookies = vec![cast(&vote.url)];
    settled(&worker);
    // One that the database refuses, and one that waits for it.
    let refuse = "ALTER TABLE ballots ADD CONSTRAINT refuse CHECK (ms = 0) NOT VALID";
    PostgresServer::sql(&owner, refuse).expect("done");
    cookies.push(cast(&vote.url));
    let pipeline = settled(&worker);
    assert_eq!(pipeline["rejected"], 1, "{pipeline}");
    let mend = "ALTER TABLE ballots DROP CONSTRAINT refuse";
    PostgresServer::sql(&owner, mend).expect("done");
    cast_again(&vote.url, cookies.last().map(String::as_str));
    settled(&worker);
    let column = "SELECT replace(voter::text, '-', '') FROM ballots";
    let voters = PostgresServer::sql(&owner, column).expect("voters");
    deployment.postgres.kill();
    cookies.push(cast(&vote.url));
    await_that("the worker says that it waits", || {
        is_said(&log, "trying again")
    });
    for service in [vote, worker, result] {
        service.stop();
    }

    let lines = lines(&log);
    for line in &lines {
        let event: Value = serde_json::from_str(line).expect(line);
        for field in ["timestamp", "level", "message", "target"] {
            assert!(event[field].is_string(), "no {field} in {line}");
        }
    }
    let mut secrets = vec![password, voting_testing::SECRET, voting_testing::TOKEN];
    secrets.extend(voters.lines());
    secrets.extend(
        cookies
            .iter()
            .filter_map(|cookie| cookie.split_once('='))
            .map(|(_, v)| v),
    );
    assert_eq!(secrets.len(), 8, "{secrets:?}");
    for line in &lines {
        let plain = line.replace('-', "");
        for secret in &secrets {
            let told = line.contains(secret) || plain.contains(secret);
            assert!(!told, "{secret} is in {line}");
        }
    }
}

/// Asks a service over and over whether it is ready, for so long, and says which reasons its log has for why it is
/// not.
fn reasons(service: &voting_testing::Service, log: &Path) -> Vec<String> {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(7);
    while std::time::Instant::now() < until {
        assert!(!service.is_ready());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let mut lines = lines(log);
    lines.retain(|line| line.contains("not ready"));
    lines
}

#[test]
fn why_a_store_cannot_be_used_is_logged_once() {
    let mut deployment = Deployment::new();
    let owner = deployment.postgres.url("voting");
    PostgresServer::sql(&owner, "CREATE ROLE few LOGIN CONNECTION LIMIT 0").expect("made");
    let folder = tempfile::tempdir().expect("a folder");
    let postgres = &deployment.postgres;
    let wrong = deployment
        .redis
        .url()
        .replace("redis://", "redis://nobody:wrong@");
    let cases = [
        (
            true,
            postgres.url("none"),
            "database \"none\" does not exist",
        ),
        (
            true,
            postgres.url_as("nobody", "voting"),
            "role \"nobody\" does not exist",
        ),
        (
            true,
            postgres.url_as("few", "voting"),
            "too many connections for role",
        ),
        (false, wrong, "Password authentication failed"),
        (false, "redis://127.0.0.1:1/".to_owned(), "refused"),
    ];
    for (number, (of_postgres, url, reason)) in cases.into_iter().enumerate() {
        let log = folder.path().join(number.to_string());
        deployment.log = Some(File::create(&log).expect("a file"));
        let told = if of_postgres {
            deployment.more = vec![("VOTING_POSTGRES__URL", url)];
            reasons(&deployment.result(), &log)
        } else {
            deployment.more = vec![("VOTING_REDIS__URL", url)];
            reasons(&deployment.vote(), &log)
        };
        assert!(told.len() == 1 && told[0].contains(reason), "{told:#?}");
    }
}

#[test]
fn a_wrong_password_is_logged_once_and_not_shown() {
    let authority = voting_testing::Authority::new();
    let mut deployment = Deployment::encrypted(&authority);
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    deployment.log = Some(File::create(&log).expect("a file"));
    let right = deployment.postgres.url("voting");
    let (begin, rest) = right.split_once("://").expect("an address");
    let (login, place) = rest.split_once('@').expect("a login");
    let user = login.split(':').next().expect("a user");
    let wrong = format!("{begin}://{user}:not-the-password@{place}");
    deployment.more.push(("VOTING_POSTGRES__URL", wrong));
    let result = deployment.result();
    let told = reasons(&result, &log);
    assert!(
        told.len() == 1 && told[0].contains("password authentication failed"),
        "{told:#?}"
    );
    assert!(!is_said(&log, "not-the-password"));
}

fn poll(id: &str) -> Value {
    let options = json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]);
    json!({"id": id, "title": "?", "options": options})
}

#[test]
fn a_poll_that_was_put_can_be_voted_in_at_once_at_each_replica() {
    let deployment = Deployment::new();
    let (worker, other) = (deployment.worker(), deployment.worker());
    let replicas = [deployment.vote(), deployment.vote()];
    for replica in &replicas {
        await_that("the vote service is ready", || replica.is_ready());
    }
    for number in 0..8 {
        let id = format!("poll-{number}");
        let cast = |replica: &voting_testing::Service| {
            let url = format!("{}/v1/polls/{id}/ballot", replica.url);
            let ballot = agent().put(url).content_type("application/json");
            ballot
                .send(r#"{"choices":["a"]}"#)
                .expect("an answer")
                .status()
        };
        // Whoever looks for it beforehand must not find it missing afterwards.
        for replica in &replicas {
            assert_eq!(cast(replica), 404);
        }
        let at = if number % 2 == 0 { &worker } else { &other };
        let put = operator(at)
            .post_json("polls", &poll(&id))
            .expect("an answer");
        assert_eq!(put.status(), 201);
        let stored = text_of(put);
        assert!(stored.contains(r#""published":true"#), "{stored}");
        for replica in &replicas {
            assert_eq!(cast(replica), 202, "{id}");
        }
    }
    // While Redis is away a poll is stored, and said not to be published.
    let Deployment { mut redis, .. } = deployment;
    redis.kill();
    let put = operator(&worker).post_json("polls", &poll("later"));
    let put = put.expect("an answer");
    assert_eq!(put.status(), 201);
    let stored = text_of(put);
    assert!(stored.contains(r#""published":false"#), "{stored}");
}

#[test]
fn each_program_says_what_keeps_it_from_starting_and_nothing_else() {
    let check = |name: &str, settings: &[(&str, &str)]| {
        let output = std::process::Command::new(voting_testing::program(name))
            .env_clear()
            .envs(settings.iter().copied())
            .arg("--check-config")
            .output()
            .expect("it runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        (output.status.success(), text)
    };
    let secret = ("VOTING_SECRET", voting_testing::SECRET);
    let token = ("VOTING_WORKER__TOKEN", voting_testing::TOKEN);
    let redis = ("VOTING_REDIS__URL", "redis://localhost");
    let postgres = ("VOTING_POSTGRES__URL", "postgres://localhost/voting");
    for (name, needs, lacks) in [
        ("voting-vote", &[secret, redis][..], "redis.url"),
        ("voting-worker", &[token, redis, postgres], "postgres.url"),
        ("voting-result", &[secret, postgres], "postgres.url"),
    ] {
        let (is_good, text) = check(name, needs);
        assert!(
            is_good && text == format!("{name}: the settings are good\n"),
            "{text}"
        );
        let (is_good, text) = check(name, &needs[..needs.len() - 1]);
        assert!(
            !is_good && text.contains(&format!("{lacks} is not set")),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
