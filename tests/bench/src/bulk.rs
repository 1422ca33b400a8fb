//! Ballots a second that a worker takes from a file, while it counts them.

use std::{
    fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use voting_testing::{Operator, Programs, Service, TOKEN, await_that};

use crate::{
    figures::{median, processor},
    setup::{deploy, ready},
};

/// A file of this name, with so many lines, each of another voter.
fn write_file(round: usize, lines: usize) -> PathBuf {
    let name = format!("voting-bench-{}-{round}.ndjson", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mut file = BufWriter::new(fs::File::create(&path).expect("made"));
    for voter in 0..lines {
        writeln!(
            file,
            r#"{{"voter":"{round:04x}{voter:08x}c0ffee0123456789abcd","choices":["a"]}}"#
        )
        .expect("written");
    }
    file.flush().expect("written");
    path
}

/// Sends a file with curl, and returns how many lines have a receipt.
fn hand_in(worker: &Service, file: &Path) -> usize {
    let output = Command::new("curl")
        .args(["--silent", "--request", "POST"])
        .args(["--header", "Content-Type: application/x-ndjson"])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .arg("--upload-file")
        .arg(file)
        .arg(format!("{}/v1/polls/bulk/ballots", worker.url))
        .output()
        .expect("curl is installed");
    assert!(output.status.success(), "{output:?}");
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let is_taken = |line: &&[u8]| line.windows(11).any(|part| part == br#""receipt":""#);
    lines.filter(is_taken).count()
}

pub(crate) fn measure(programs: &Programs, rounds: usize, lines: usize) {
    println!(
        "bulk: ballots a second of a file with {lines} lines over one connection, appendfsync always"
    );
    let mut deployment = deploy(programs);
    deployment.more = vec![("VOTING_WORKER__BULK_CASTS", "true".to_owned())];
    let worker = ready(deployment.worker());
    let operator = Operator::new(&worker.url, TOKEN);
    operator.add_poll("bulk", "Bulk").expect("a poll");
    let probe = write_file(0, 1);
    await_that("the poll takes ballots", || hand_in(&worker, &probe) == 1);
    fs::remove_file(probe).expect("removed");
    let processes = [worker.id(), deployment.redis.id()];
    let mut runs = Vec::new();
    for round in 1..=rounds {
        let file = write_file(round, lines);
        let before = processes.map(processor);
        let begun = Instant::now();
        assert_eq!(hand_in(&worker, &file), lines, "all are taken");
        let taken = begun.elapsed().as_secs_f64();
        operator.settled();
        let counted = begun.elapsed().as_secs_f64();
        let after = processes.map(processor);
        fs::remove_file(file).expect("removed");
        #[expect(clippy::cast_precision_loss, reason = "few enough")]
        let lines = lines as f64;
        let each = |index: usize| (after[index] - before[index]) * 1_000_000.0 / lines;
        runs.push([lines / taken, lines / counted, each(0), each(1)]);
    }
    let of = |index: usize| median(runs.iter().map(|run| run[index]).collect());
    println!(
        "  {:.0}/s acknowledged (goal 50,000), {:.0}/s counted; processor time of each: {:.1} µs in the worker, which \
         also counts, {:.1} in Redis",
        of(0),
        of(1),
        of(2),
        of(3)
    );
}
