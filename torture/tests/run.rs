//! A short run, with faults of every kind, and runs of what is broken, which must fail.

use std::{
    process::Command,
    sync::{Mutex, PoisonError},
};

/// One run at a time: each has a machine's worth of processes.
static STAGE: Mutex<()> = Mutex::new(());

/// Runs it. The exit code, and what it has printed.
fn run(arguments: &str) -> (Option<i32>, String) {
    let _turn = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let logs = concat!(env!("CARGO_TARGET_TMPDIR"), "/torture");
    let mut command = Command::new(env!("CARGO_BIN_EXE_voting-torture"));
    command
        .args(arguments.split_whitespace())
        .args(["--logs", logs]);
    let done = command.output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let printed = text(&done.stdout) + &text(&done.stderr);
    println!("{printed}");
    (done.status.code(), printed)
}

/// It comes to a verdict, and that is that ballots are lost.
fn is_found_out(arguments: &str) -> String {
    let (code, printed) = run(arguments);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("ballots lost"), "{printed}");
    printed
}

#[test]
fn faults_of_every_kind_lose_nothing_and_count_nothing_twice() {
    let (code, printed) = run("--seed 1 --faults 18 --gap-ms 800 --longest-ms 2000 --rate 1000");
    assert_eq!(code, Some(0), "{printed}");
    for kind in [
        "killed",
        "stands still",
        "restarted",
        "power cut",
        "cable",
        "memory",
        "jump",
        "anew",
    ] {
        assert!(printed.contains(kind), "{kind} is missing: {printed}");
    }
}

#[test]
fn a_redis_that_syncs_once_a_second_is_found_out() {
    if voting_torture::disk::ForgetfulDisk::mount().is_err() {
        // If FUSE is expected the run above fails.
        return;
    }
    let printed = is_found_out(
        "--seed 1 --faults 18 --gap-ms 300 --longest-ms 1000 --rate 1000 --broken everysec",
    );
    // Of these, others than the last of their voters are not lost as far as the store can tell.
    assert!(printed.contains("are missing from the log"), "{printed}");
}

#[test]
#[ignore = "builds a broken worker, which takes minutes; .ci/run does it"]
fn a_worker_that_acknowledges_too_early_is_found_out() {
    is_found_out(
        "--seed 1 --faults 60 --gap-ms 300 --longest-ms 3000 --rate 1000 --broken ack-before-commit",
    );
}

#[test]
#[ignore = "builds a broken worker, which takes minutes; .ci/run does it"]
fn a_store_without_the_order_guard_is_found_out() {
    is_found_out(
        "--seed 1 --faults 60 --gap-ms 300 --longest-ms 3000 --rate 1000 --broken no-order-guard",
    );
}
