//! From a vote to its being seen by a viewer.

use std::time::Duration;

use tokio::runtime::Runtime;
use voting_load::{Latencies, Load, Pace, Plan, Secret, Sources, check};
use voting_testing::{Deployment, Programs, SECRET, Service};

use crate::{
    figures::median,
    setup::{deploy, ready},
};

/// Votes a second.
const RATES: [f64; 2] = [500.0, 5_000.0];

pub(crate) fn measure(programs: &Programs, runtime: &Runtime, rounds: usize, seconds: u64) {
    println!("visible: from the moment a vote is due until a viewer sees it (goal p99 500 ms)");
    let deployment = deploy(programs);
    let (_worker, vote, result) = (
        ready(deployment.worker()),
        ready(deployment.vote()),
        ready(deployment.result()),
    );
    let length = Duration::from_secs(seconds * 4);
    for rate in RATES {
        let all: Vec<[Latencies; 2]> = (0..rounds)
            .map(|_| runtime.block_on(one(&deployment, &vote, &result, rate, length)))
            .collect();
        for (index, what) in ["seen", "acknowledged"].into_iter().enumerate() {
            let of = |value: fn(&Latencies) -> f64| {
                median(all.iter().map(|round| value(&round[index])).collect())
            };
            let (p50, p99) = (of(|times| times.p50_ms), of(|times| times.p99_ms));
            println!("  {rate:.0}/s {what}: p50 {p50:.1} ms, p99 {p99:.1} ms");
        }
    }
}

/// How soon votes are seen, and how soon acknowledged.
async fn one(
    deployment: &Deployment,
    vote: &Service,
    result: &Service,
    rate: f64,
    length: Duration,
) -> [Latencies; 2] {
    let mut sources = Sources {
        result: Some(result.url.clone()),
        postgres: Some(deployment.database.clone()),
        receipts: 1_000,
        ..Sources::default()
    };
    sources.look_before("cats-vs-dogs").await.expect("a look");
    let plan = Plan {
        secret: Some(Secret::new(SECRET.as_bytes())),
        votes: vec![vote.url.clone()],
        pace: Pace::Rate(rate),
        connections: 128,
        duration: Some(length),
        watch: Some(result.url.clone()),
        ..Plan::default()
    };
    let load = Load::start(plan).expect("it starts");
    load.done().await;
    let history = load.stop().await;
    let verdict = check(&history, &sources).await.expect("a verdict");
    assert!(verdict.is_clean(), "{verdict:?}");
    [history.visible(), history.acknowledgement()].map(Latencies::of)
}
