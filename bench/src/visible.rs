//! From a vote to its being seen by a viewer.

use std::time::Duration;

use tokio::runtime::Runtime;
use voting_load::{Latencies, Load, Pace, Plan, Sources, check};

use crate::stage::{Programs, Stage};

/// Votes a second.
const RATES: [f64; 2] = [500.0, 5_000.0];

pub(crate) fn measure(programs: &Programs, runtime: &Runtime, seconds: u64) {
    println!("visible: from the moment a vote is due until a viewer sees it (goal p99 500 ms)");
    let stage = Stage::new(programs);
    let (_worker, vote, result) = (stage.worker(), stage.vote(), stage.result());
    for rate in RATES {
        runtime.block_on(async {
            let mut sources = Sources {
                result: Some(result.url.clone()),
                postgres: Some(stage.database.clone()),
                receipts: 1_000,
                ..Sources::default()
            };
            sources.look_before("cats-vs-dogs").await.expect("a look");
            let plan = Plan {
                votes: vec![vote.url.clone()],
                pace: Pace::Rate(rate),
                connections: 128,
                duration: Some(Duration::from_secs(seconds * 4)),
                watch: Some(result.url.clone()),
                ..Plan::default()
            };
            let load = Load::start(plan).expect("it starts");
            load.done().await;
            let history = load.stop().await;
            println!(
                "  {rate:.0}/s, {} seen: {}",
                history.visible().len(),
                Latencies::of(history.visible())
            );
            let acknowledgement = Latencies::of(history.acknowledgement());
            println!("  {:>5}   acknowledged: {acknowledgement}", "");
            let verdict = check(&history, &sources).await.expect("a verdict");
            assert!(verdict.is_clean(), "{verdict:?}");
        });
    }
}
