//! `--healthcheck` of each program, as a container's supervisor runs it.

use std::process::{Command, Output};
use voting_testing::{Deployment, Service, await_that, program};

/// As its setting says where it listens.
fn listen_of(service: &Service) -> String {
    service.url.replace("http://localhost", "127.0.0.1")
}

fn check(name: &str, service: &Service) -> Output {
    check_at(name, &listen_of(service))
}

fn check_at(name: &str, listen: &str) -> Output {
    let setting = name.replace("voting-", "VOTING_").to_uppercase() + "__LISTEN";
    let mut command = Command::new(program(name));
    command.env_clear().env(setting, listen);
    command.arg("--healthcheck").output().expect("it starts")
}

fn is_ready(name: &str, service: &Service) -> bool {
    check(name, service).status.success()
}

/// What it says of one that is not ready: one line.
fn reason(name: &str, service: &Service) -> String {
    let checked = check(name, service);
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    let reason = String::from_utf8(checked.stderr).expect("a text");
    assert_eq!(reason.lines().count(), 1, "{reason}");
    reason
}

#[test]
fn a_service_is_healthy_when_it_is_ready_and_says_why_when_it_is_not() {
    let mut deployment = Deployment::new();
    let (vote, worker, result) = (deployment.vote(), deployment.worker(), deployment.result());
    let all = [
        ("voting-vote", &vote),
        ("voting-worker", &worker),
        ("voting-result", &result),
    ];
    for (name, service) in all {
        await_that("it is ready", || is_ready(name, service));
        let said = check(name, service).stdout;
        assert_eq!(String::from_utf8_lossy(&said), format!("{name}: ready\n"));
    }

    deployment.redis.kill();
    await_that("the vote service is not ready", || {
        !is_ready("voting-vote", &vote)
    });
    let said = reason("voting-vote", &vote);
    assert!(said.starts_with("voting-vote: not ready: "), "{said}");
    assert!(
        is_ready("voting-result", &result),
        "it has no use for Redis"
    );

    deployment.postgres.kill();
    await_that("the result service is not ready", || {
        !is_ready("voting-result", &result)
    });

    // Alive, but it answers nobody.
    worker.signal("STOP");
    let said = reason("voting-worker", &worker);
    assert!(said.contains("no answer"), "{said}");
    worker.signal("CONT");

    let listen = listen_of(&vote);
    assert_eq!(vote.stop().code(), Some(0));
    let checked = check_at("voting-vote", &listen);
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
}

#[test]
fn a_health_check_with_settings_that_are_wrong_fails() {
    let mut command = Command::new(program("voting-vote"));
    command.env_clear().env("VOTING_NO_SUCH_THING", "1");
    let asked = command.arg("--healthcheck").output().expect("it starts");
    assert_eq!(asked.status.code(), Some(1), "{asked:?}");
}
