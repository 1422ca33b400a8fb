//! A short run, with faults of every kind, and runs of what is broken, which must fail.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use voting_testing::processes::{children, signal, title};

/// One run at a time: each has a machine's worth of processes.
static TURN: Mutex<()> = Mutex::new(());

fn command(arguments: &str) -> Command {
    let logs = concat!(env!("CARGO_TARGET_TMPDIR"), "/torture");
    let mut command = Command::new(env!("CARGO_BIN_EXE_voting-torture"));
    command
        .args(arguments.split_whitespace())
        .args(["--logs", logs]);
    command
}

/// Runs it. The exit code, and what it has printed.
fn run(arguments: &str) -> (Option<i32>, String) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let done = command(arguments).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let printed = text(&done.stdout) + &text(&done.stderr);
    println!("{printed}");
    (done.status.code(), printed)
}

/// It comes to a verdict, which says in one of these ways how ballots were lost.
fn is_found_out(arguments: &str, ways: &[&str]) {
    let (code, printed) = run(arguments);
    assert_eq!(code, Some(1), "{printed}");
    assert!(ways.iter().any(|way| printed.contains(way)), "{printed}");
}

/// One fault of each kind, and each process killed, paused and restarted.
const SHORT: &str = "--faults 37 --gap-ms 400 --longest-ms 2000 --rate 1000";

#[test]
fn faults_of_every_kind_lose_nothing_and_count_nothing_twice() {
    nothing_is_wrong(&format!("--seed 1 {SHORT}"));
}

#[test]
#[ignore = "of another seed each time; the nightly run does it"]
fn other_faults_lose_nothing_and_count_nothing_twice_either() {
    // It is drawn by the run, which prints the command for the same faults again.
    nothing_is_wrong(SHORT);
}

fn nothing_is_wrong(arguments: &str) {
    let (code, printed) = run(arguments);
    assert_eq!(code, Some(0), "{printed}");
    // Not what was planned, but what came of it.
    let made = |line: &&str| !line.contains("NOT MADE");
    let made: String = printed.lines().filter(made).collect();
    for effect in [
        "killed",
        "stands still",
        "restarted",
        "names forgotten",
        "a connection's process of Postgres is killed",
        "is cut (felt ",
        "is silent (felt ",
        "carries no answers (felt ",
        "carries no requests (felt ",
        "ms slow (felt ",
        "commands refused",
        "ahead (of ",
        "rewriting started",
        "acknowledged in time",
    ] {
        assert!(made.contains(effect), "{effect} is missing: {printed}");
    }
    assert!(printed.contains("faults of 19 kinds"), "{printed}");
    assert!(printed.contains("votes were voided by "), "{printed}");
}

#[test]
fn a_worker_that_ends_by_itself_is_noticed() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut running =
        command("--seed 2 --faults 2 --gap-ms 1000 --longest-ms 100 --patience-ms 5000")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
    let mut lines = BufReader::new(running.stdout.take().expect("its output")).lines();
    let mut lines = lines.by_ref().map(|line| line.expect("a text"));
    let mut printed = String::new();
    for line in lines.by_ref() {
        printed += &(line + "\n");
        if printed.contains("acknowledged by") {
            break;
        }
    }
    let of_run = children(running.id()).into_iter();
    let worker = of_run.filter(|id| title(*id).contains("voting-worker"));
    signal("KILL", &worker.take(1).collect::<Vec<_>>());
    printed.extend(lines.map(|line| line + "\n"));
    println!("{printed}");
    let code = running.wait().expect("it ends").code();
    assert_eq!(code, Some(1), "{printed}");
    // Which of the two is said depends on when the run looks.
    let is_missed = ["is not ready again", "was not ready for"];
    assert!(
        is_missed.iter().any(|missed| printed.contains(missed)),
        "{printed}"
    );
    assert!(
        printed.contains("has ended by itself: signal: 9"),
        "{printed}"
    );
    assert!(!printed.contains("ballots lost"), "{printed}");
}

#[test]
fn a_redis_that_syncs_once_a_second_is_found_out() {
    if voting_torture::disk::ForgetfulDisk::mount().is_err() {
        // If FUSE is expected the run above fails.
        return;
    }
    // Those that their voters have replaced since are not lost as far as the store can tell, and these may be all.
    is_found_out(
        "--seed 1 --faults 19 --gap-ms 300 --longest-ms 1000 --rate 3000 --broken everysec",
        &["are missing from the log", "ballots lost"],
    );
}

#[test]
#[ignore = "builds a broken worker, which takes minutes; the nightly run does it"]
fn a_worker_that_acknowledges_too_early_is_found_out() {
    is_found_out(
        "--seed 1 --faults 60 --gap-ms 300 --longest-ms 3000 --rate 1000 --broken ack-before-commit",
        &["ballots lost"],
    );
}

#[test]
#[ignore = "builds a broken worker, which takes minutes; the nightly run does it"]
fn a_store_without_the_order_guard_is_found_out() {
    is_found_out(
        "--seed 1 --faults 60 --gap-ms 300 --longest-ms 3000 --rate 1000 --broken no-order-guard",
        &["ballots lost"],
    );
}

#[test]
#[ignore = "builds a broken vote service, which takes minutes; the nightly run does it"]
fn a_log_that_takes_ballots_after_the_closing_is_found_out() {
    is_found_out(
        "--seed 1 --faults 60 --gap-ms 300 --longest-ms 3000 --rate 1000 --broken late-ballots",
        &["acknowledged ballots do not count"],
    );
}
