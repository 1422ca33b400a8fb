//! Votes a second that a vote service takes, against a handler that does nothing.

use std::{
    fs,
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::runtime::Runtime;
use voting_core::model::moment::Moment;
use voting_load::{Latencies, Load, Pace, Plan};
use voting_testing::{Deployment, Operator, Programs, Service, TOKEN, agent, await_that};

use crate::{
    figures::{median, ms, processor, quantile},
    setup::{deploy, ready},
    wrk::wrk,
};

/// Requests that `wrk` sends over and over: the course's form, and the API's JSON.
pub(crate) const FORM: (&str, &str) = (
    "/",
    r#"wrk.method="POST" wrk.body="vote=a" wrk.headers["Content-Type"]="application/x-www-form-urlencoded""#,
);
const JSON: (&str, &str) = (
    "/v1/polls/cats-vs-dogs/ballot",
    r#"wrk.method="PUT" wrk.body='{"choices":["a"]}' wrk.headers["Content-Type"]="application/json""#,
);

/// The same in a poll that closes at a set time.
const TIMED_FORM: (&str, &str) = ("/polls/scheduled", FORM.1);
const TIMED_JSON: (&str, &str) = ("/v1/polls/scheduled/ballot", JSON.1);

/// The poll that closes at a set time.
const TIMED: &str = "scheduled";

/// The vote services that are measured, and their servers.
struct Measured {
    deployment: Deployment,
    vote: Service,
}

impl Measured {
    /// With a poll that closes tomorrow beside the usual one, if these programs can have one.
    fn of(programs: &Programs, is_timed: bool) -> Self {
        let mut deployment = deploy(programs);
        if !is_timed {
            // Programs without times sign no entries either.
            deployment.without = vec!["VOTING_ENTRY_KEY"];
        }
        // The polls are published by a worker; while votes come in none works.
        let worker = ready(deployment.worker());
        let vote = ready(deployment.vote());
        if is_timed {
            let closes = Moment::now().plus(Duration::from_secs(24 * 3600));
            let options = json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]);
            let poll = json!({
                "id": TIMED, "title": "Timed", "options": options, "closes_at": closes.to_string(),
            });
            let operator = Operator::new(&worker.url, TOKEN);
            let stored = operator.post_json("polls", &poll).expect("an answer");
            assert!(stored.status().is_success(), "{stored:?}");
            await_that("the poll takes votes", || {
                let ballot = agent().put(format!("{}{}", vote.url, TIMED_JSON.0));
                let ballot = ballot.content_type("application/json");
                let answer = ballot.send(r#"{"choices":["a"]}"#).expect("an answer");
                answer.status() == 202
            });
        }
        worker.kill();
        Self { deployment, vote }
    }
}

pub(crate) fn measure(
    programs: &Programs,
    beside: Option<&Programs>,
    runtime: &Runtime,
    rounds: usize,
    seconds: u64,
    connections: &[usize],
) {
    println!(
        "intake: votes a second, appendfsync always, each from a new voter; a sync of the disk \
         takes {:.2} ms",
        ms(sync_time())
    );
    let ours = Measured::of(programs, true);
    let older = beside.map(|programs| Measured::of(programs, false));
    let own = std::env::current_exe().expect("this program");
    let noop = start_noop(&own);
    let mut what = vec![
        ("nothing", &noop, FORM, &ours),
        ("form", &ours.vote, FORM, &ours),
        ("JSON", &ours.vote, JSON, &ours),
        ("form, closes at a set time", &ours.vote, TIMED_FORM, &ours),
        ("JSON, closes at a set time", &ours.vote, TIMED_JSON, &ours),
    ];
    if let Some(older) = &older {
        what.push(("form, programs beside", &older.vote, FORM, older));
        what.push(("JSON, programs beside", &older.vote, JSON, older));
    }
    let mut peak = 0.0_f64;
    for &connections in connections {
        let mut all: Vec<Vec<Run>> = what.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds {
            for ((_, service, request, at), runs) in what.iter().zip(&mut all) {
                let redis = at.deployment.redis.id();
                runs.push(Run::of(service, *request, redis, connections, seconds));
                // What is in the log is of no more use, and takes memory.
                empty(&at.deployment);
            }
        }
        let of = |runs: &[Run], value: fn(&Run) -> f64| median(runs.iter().map(value).collect());
        let share = |runs: &[Run], of: &[Run]| {
            let pairs = runs.iter().zip(of);
            median(pairs.map(|(run, of)| run.rate / of.rate).collect())
        };
        for (nth, ((what, ..), runs)) in what.iter().zip(&all).enumerate() {
            let beside = match nth {
                1 | 3 if older.is_some() => Some(&all[5]),
                2 | 4 if older.is_some() => Some(&all[6]),
                _ => None,
            };
            let beside = beside.map(|of| format!(", {:.2} of programs beside", share(runs, of)));
            println!(
                "  {connections:>4} connections, {what}: {:.0}/s, {:.2} of nothing (goal 0.75){}; \
                 processor time of each: {:.1} µs in the service, {:.1} in Redis",
                of(runs, |run| run.rate),
                share(runs, &all[0]),
                beside.unwrap_or_default(),
                of(runs, |run| run.service),
                of(runs, |run| run.redis),
            );
        }
        peak = peak.max(of(&all[1], |run| run.rate));
    }
    let vote = &ours.vote;
    let rate = (peak / 2.0).floor();
    let plan = Plan {
        votes: vec![vote.url.clone()],
        pace: Pace::Rate(rate),
        connections: 256,
        duration: Some(Duration::from_secs(seconds * 2)),
        form: true,
        ..Plan::default()
    };
    let history = runtime.block_on(async {
        let load = Load::start(plan).expect("it starts");
        load.done().await;
        load.stop().await
    });
    let latencies = Latencies::of(history.acknowledgement());
    println!("  at half of the peak, {rate:.0} forms a second: {latencies}");
    let counts = history.counts();
    assert_eq!(counts.acknowledged, counts.ended(), "{counts:?}");
}

/// What came of some seconds of load.
struct Run {
    /// Requests a second.
    rate: f64,
    /// Processor time of a request in the service, in microseconds, …
    service: f64,
    /// … and in Redis.
    redis: f64,
}

impl Run {
    fn of(
        service: &Service,
        request: (&str, &str),
        redis: u32,
        connections: usize,
        seconds: u64,
    ) -> Self {
        let processes = [service.id(), redis];
        let before = processes.map(processor);
        let rate = wrk(&service.url, request, connections, seconds);
        let after = processes.map(processor);
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        let requests = rate * seconds as f64;
        let each = |index: usize| (after[index] - before[index]) * 1_000_000.0 / requests;
        Self {
            rate,
            service: each(0),
            redis: each(1),
        }
    }
}

/// What one more block on the disk costs, where the servers' files are.
fn sync_time() -> Duration {
    let path = std::env::temp_dir().join(format!("voting-bench-{}.sync", std::process::id()));
    let mut file = fs::File::create(&path).expect("made");
    let mut times: Vec<_> = (0..100)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&[7; 4096]).expect("written");
            file.sync_data().expect("synced");
            begun.elapsed()
        })
        .collect();
    fs::remove_file(path).expect("removed");
    quantile(&mut times, 0.5)
}

fn start_noop(own: &Path) -> Service {
    // The same program serves it, so that it is built alike.
    let script = tempfile(&format!("#!/bin/sh\nexec '{}' noop\n", own.display()));
    ready(Service::start(Command::new(&script).env_clear(), "Noop:"))
}

fn tempfile(text: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("voting-bench-{}", std::process::id()));
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("made executable");
    path.display().to_string()
}

/// Empties the log but for its groups.
fn empty(deployment: &Deployment) {
    for key in deployment.redis.command(&["KEYS", "*"]).lines() {
        if deployment.redis.command(&["TYPE", key]) == "stream" {
            deployment.redis.command(&["XTRIM", key, "MAXLEN", "0"]);
        }
    }
}
