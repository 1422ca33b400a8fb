//! The messages of the program, and its exit codes.

mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use support::{
    Services, database,
    liar::{Deed, Liar},
    put_poll, tamper,
};

/// Runs the program to its end.
async fn output(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voting-load"));
    command.args(arguments).env_remove("VOTING_POSTGRES__URL");
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
    output.await.expect("no panic")
}

/// The program's exit code and its report.
async fn program(arguments: &[&str]) -> (Option<i32>, serde_json::Value) {
    let output = output(&[arguments, &["--json"]].concat()).await;
    let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_says_whether_the_promise_was_kept() {
    for (name, deeds, code) in [("well", &[][..], 0), ("ill", &[(50, Deed::Lose)], 1)] {
        let url = database(name);
        let services = Services::on_postgres_with(&url, |sink| Liar::of(sink, deeds)).await;
        let (vote, result) = (services.vote.as_str(), services.result.as_str());
        let arguments = ["--vote", vote, "--result", result, "--postgres", &url];
        let more = ["--ballots", "200", "--patience", "1"];
        let (exit, said) = program(&[&arguments[..], &more].concat()).await;
        assert_eq!(exit, Some(code), "{said}");
        assert_eq!(said["counts"]["acknowledged"], 200);
        assert_eq!(said["lost"], if code == 0 { 0 } else { 4 });
        assert_eq!(said["clean"], code == 0);
        assert_eq!(said["visible"]["count"], 200);
    }
    let nowhere = ["--vote", "http://127.0.0.1:1"];
    assert_eq!(program(&nowhere).await.0, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_acknowledged_nothing_is_proven() {
    let url = database("refused");
    let services = Services::on_postgres_with(&url, |sink| Liar::of(sink, &[(1, Deed::Refuse)]));
    let services = services.await;
    let places = ["--vote", &services.vote, "--result", &services.result];
    let store = ["--postgres", &url, "--ballots", "50", "--patience", "1"];
    for more in [&store[..], &store[2..]] {
        let (exit, said) = program(&[&places[..], more].concat()).await;
        assert_eq!(exit, Some(2), "{said}");
        assert_eq!(said["counts"]["refused"], 50);
        assert_eq!(said["clean"], false);
        let doubt = "nothing was acknowledged, so nothing is proven";
        assert_eq!(said["doubts"][0], doubt, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_pending_is_not_known_to_be_lost() {
    let url = database("pending");
    let services = Services::on_postgres(&url).await;
    services.stop_worker().await;
    let places = ["--vote", &services.vote, "--result", &services.result];
    let store = ["--postgres", &url, "--ballots", "50", "--patience", "1"];
    for more in [&store[..], &store[2..]] {
        let (exit, said) = program(&[&places[..], more].concat()).await;
        assert_eq!(exit, Some(2), "{said}");
        assert_eq!((&said["pending"], &said["lost"]), (&50.into(), &0.into()));
        assert_eq!(said["untold"], 0, "{said}");
    }
}

/// Casts ballots with the program, without a check: one run for each ballot.
async fn cast(services: &Services, ballots: usize) {
    for _ in 0..ballots {
        let arguments = ["--vote", &services.vote, "--ballots", "1", "--no-check"];
        assert_eq!(program(&arguments).await.0, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ballots_that_wait_when_the_load_begins_are_not_taken_for_double() {
    let url = database("before");
    let services = Services::on_postgres(&url).await;
    let places = ["--vote", &services.vote, "--result", &services.result];
    let store = ["--postgres", &url, "--ballots", "200", "--patience", "5"];
    // The ballots are not counted until the load is running.
    services.stop_worker().await;
    cast(&services, 2).await;
    let arguments = [&places[..], &store[..], &["--rate", "100"]].concat();
    let counting = async {
        while services.accepted().await < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        services.start_worker();
    };
    let ((exit, said), ()) = tokio::join!(program(&arguments), counting);
    assert_eq!(exit, Some(2), "{said}");
    assert_eq!(
        (&said["were_pending"], &said["double"]),
        (&2.into(), &0.into()),
        "{said}"
    );
    assert_eq!(
        (&said["miscounted"], &said["surplus"]),
        (&0.into(), &0.into()),
        "{said}"
    );
    let doubt = "2 ballots of others waited to be counted when the load began; run it again";
    assert_eq!(said["doubts"][0], doubt, "{said}");
    // After that, the program succeeds.
    assert_eq!(program(&arguments).await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_until_the_tally_is_at_rest() {
    let url = database("rest");
    let services = Services::on_postgres(&url).await;
    let places = ["--vote", &services.vote, "--result", &services.result];
    services.stop_worker().await;
    cast(&services, 2).await;
    // The ballots are counted a moment after the program has begun to look.
    let count = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        services.start_worker();
    };
    let arguments = [&places[..], &["--ballots", "50", "--patience", "5"]].concat();
    let ((exit, said), ()) = tokio::join!(program(&arguments), count);
    assert_eq!(exit, Some(0), "{said}");
    // Other voters continue to vote.
    let other = [
        "--vote",
        &services.vote,
        "--rate",
        "50",
        "--duration",
        "600",
        "--no-check",
    ];
    let other = start(&other);
    let (exit, said) = program(&arguments).await;
    terminate(&other);
    end(other).await;
    assert_eq!((exit, said), (Some(2), serde_json::Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_in_words_what_is_wrong() {
    let url = database("words");
    let services = Services::on_postgres_with(&url, |sink| Liar::of(sink, &[(50, Deed::Lose)]));
    let services = services.await;
    let places = ["--vote", &services.vote, "--result", &services.result];
    let store = ["--postgres", &url, "--patience", "1", "--ballots", "200"];
    let said = output(&[&places[..], &store].concat()).await;
    let text = String::from_utf8_lossy(&said.stdout);
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("FAILED: 4 lost, "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_how_much_it_has_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let services = Services::on_sqlite(&folder.path().join("voting.db")).await;
    let places = ["--vote", &services.vote, "--result", &services.result];
    let arguments = ["--ballots", "200", "--receipts", "50", "--patience", "1"];
    let said = output(&[&places[..], &arguments].concat()).await;
    let text = String::from_utf8_lossy(&said.stdout);
    assert_eq!(said.status.code(), Some(0), "{text}");
    let last = text.lines().last().unwrap_or_default();
    let honest = "Nothing is wrong: 50 of 200 voters looked at, and the tally.";
    assert_eq!(last, honest, "{text}");
    assert!(
        !text.contains("unaccounted"),
        "nothing was added up: {text}"
    );

    // With forms there are no receipts to ask for.
    let (exit, said) = program(&[&places[..], &arguments, &["--form"]].concat()).await;
    assert_eq!((exit, said), (Some(2), serde_json::Value::Null));
    let tally = services.tally().await;
    assert_eq!(tally["voters"], 200, "it casts nothing then");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_it_casts_it_asks_whom_it_will_ask_afterwards() {
    let url = database("asked");
    let services = Services::on_postgres(&url).await;
    let arguments = ["--vote", &services.vote, "--postgres", &url];
    let wrong = ["--result", "http://127.0.0.1:1", "--ballots", "50"];
    let (exit, said) = program(&[&arguments[..], &wrong].concat()).await;
    assert_eq!((exit, said), (Some(2), serde_json::Value::Null));
    assert_eq!(services.tally().await["voters"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_taken_in_by_the_result_service_of_another_system() {
    let [url, other] = ["one", "other"].map(database);
    let services = Services::on_postgres(&url).await;
    let others = Services::on_postgres(&other).await;
    let one = ["--vote", &others.vote, "--ballots", "5", "--no-check"];
    assert_eq!(program(&one).await.0, Some(0));
    while others.tally().await["voters"] != 5 {}
    let arguments = ["--vote", &services.vote, "--postgres", &url];
    let wrong = ["--result", &others.result, "--ballots", "50"];
    let (exit, said) = program(&[&arguments[..], &wrong].concat()).await;
    assert_eq!((exit, said), (Some(2), serde_json::Value::Null));
    assert_eq!(services.tally().await["voters"], 0, "it casts nothing then");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_check_fails_it_still_says_what_it_cast() {
    let url = database("gone");
    let services = Services::on_postgres(&url).await;
    let places = ["--vote", &services.vote, "--result", &services.result];
    let more = [
        "--postgres",
        &url,
        "--patience",
        "1",
        "--rate",
        "200",
        "--duration",
        "2",
    ];
    let arguments = [&places[..], &more].concat();
    let gone = async {
        while tamper(&url, "UPDATE ballots SET n = n").await == 0 {}
        tamper(&url, "ALTER TABLE ballots RENAME TO gone").await
    };
    let ((exit, said), _) = tokio::join!(program(&arguments), gone);
    assert_eq!(exit, Some(2), "{said}");
    assert_eq!(said["checked"], false);
    assert!(said["error"].is_string(), "{said}");
    assert_eq!(said["counts"]["due"], 400);
}

/// The program while it runs.
fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voting-load"));
    command
        .args(arguments)
        .arg("--json")
        .env_remove("VOTING_POSTGRES__URL");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it starts")
}

fn terminate(child: &Child) {
    let kill = Command::new("kill").arg(child.id().to_string()).status();
    assert!(kill.expect("it runs").success());
}

async fn end(child: Child) -> (Option<i32>, serde_json::Value) {
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().expect("it ends"));
    let output = output.await.expect("no panic");
    let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_it_checks_what_it_has_cast() {
    let url = database("stop");
    let services = Services::on_postgres(&url).await;
    let places = ["--vote", &services.vote, "--result", &services.result];
    let more = ["--rate", "200", "--duration", "600", "--patience", "5"];
    let child = start(&[&places[..], &more].concat());
    while services.tally().await["voters"] == 0 {}
    terminate(&child);
    let (exit, said) = end(child).await;
    assert_eq!((exit, &said["checked"]), (Some(0), &true.into()), "{said}");
    assert_eq!(said["counts"]["acknowledged"], said["counted"], "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_while_it_checks_it_says_what_it_has_cast_and_ends() {
    let url = database("stop");
    let services = Services::on_postgres(&url).await;
    services.stop_worker().await;
    let places = ["--vote", &services.vote, "--result", &services.result];
    let more = ["--postgres", &url, "--ballots", "50", "--patience", "600"];
    let mut child = start(&[&places[..], &more].concat());
    let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let child = tokio::task::spawn_blocking(move || {
        let mut lines = lines.map(|line| line.expect("text"));
        let waits = lines.any(|line| line == "checking: 0 of 50 counted");
        assert!(waits, "it says how far it is");
        terminate(&child);
        child
    });
    let (exit, said) = end(child.await.expect("no panic")).await;
    assert_eq!(exit, Some(2), "{said}");
    assert_eq!(
        (&said["checked"], &said["error"]),
        (&false.into(), &"it was stopped".into())
    );
    assert_eq!(said["counts"]["acknowledged"], 50);
    assert_eq!(said.get("lost"), None, "nothing is known of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_can_be_set() {
    let url = database("limits");
    let services = Services::on_postgres_with(&url, |sink| Liar::of(sink, &[(5, Deed::Refuse)]));
    let services = services.await;
    let places = ["--vote", &services.vote, "--result", &services.result];
    let more = ["--ballots", "100", "--patience", "5"];
    for (limit, exit) in [
        (["--max-refused", "0.1"], 3),
        (["--max-refused", "0.2"], 0),
        (["--max-p99-ms", "0.001"], 3),
        (["--max-p99-ms", "60000"], 0),
    ] {
        let (code, said) = program(&[&places[..], &more, &limit].concat()).await;
        assert_eq!(code, Some(exit), "{limit:?} {said}");
        assert_eq!(said["clean"], true);
        let exceeded = said["exceeded"].as_array().map(Vec::len);
        assert_eq!(exceeded, Some(usize::from(exit == 3)), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_from_the_environment_is_looked_at() {
    let url = database("environment");
    let services = Services::on_postgres(&url).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_voting-load"));
    command.args([
        "--vote",
        &services.vote,
        "--result",
        &services.result,
        "--form",
    ]);
    command
        .args(["--ballots", "50", "--json"])
        .env("VOTING_POSTGRES__URL", &url);
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
    let output = output.await.expect("no panic");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&said["store_read"], &said["told"]),
        (&true.into(), &50.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_is_newer_than_the_list_of_polls_is_found() {
    let url = database("newer");
    let services = Services::on_postgres(&url).await;
    let places = ["--vote", &services.vote, "--result", &services.result];
    let once = ["--ballots", "20", "--postgres", &url];
    // The vote service has just read its list of polls, which it caches for a second.
    let (exit, said) = program(&[&places[..], &once, &["--no-check"]].concat()).await;
    assert_eq!(exit, Some(0), "{said}");
    put_poll(&url, "newer").await;
    let (exit, said) = program(&[&places[..], &once, &["--poll", "newer"]].concat()).await;
    assert_eq!(exit, Some(0), "{said}");
    let unknown = output(&[&places[..], &["--poll", "no poll/?"]].concat()).await;
    let text = String::from_utf8_lossy(&unknown.stderr);
    assert!(text.contains("there is no poll no poll/?"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_checked_is_not_told() {
    let url = database("unchecked");
    let services = Services::on_postgres(&url).await;
    let arguments = ["--vote", &services.vote, "--ballots", "50", "--no-check"];
    let (exit, said) = program(&arguments).await;
    assert_eq!((exit, &said["checked"]), (Some(0), &false.into()));
    assert_eq!(said["counts"]["acknowledged"], 50);
    for word in ["lost", "double", "clean"] {
        assert_eq!(said.get(word), None, "{said}");
    }
}
