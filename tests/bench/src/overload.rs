//! More ballots than the way to the log takes: what is taken all the same, what the others are told, and
//! what it does to the service.
//!
//! The way to Redis is made narrow, so that the limit is known and is not the processor that the load
//! shares.

use std::time::{Duration, Instant};

use tokio::{runtime::Runtime, time::sleep};
use voting_load::{Counts, Latencies, Load, Pace, Plan, Secret, Sources, check};
use voting_testing::{
    Deployment, Programs, SECRET, Service,
    link::{Condition, Link},
};

use crate::{
    figures::memory,
    setup::{deploy, ready},
};

/// Bytes a second that go through.
const NARROW: u32 = 50_000;

/// How many times what it takes comes in.
const TIMES: f64 = 3.0;

/// Until it is as busy as it gets.
const WARM_UP: Duration = Duration::from_secs(3);

pub(crate) fn measure(programs: &Programs, runtime: &Runtime, seconds: u64) {
    println!("overload: {TIMES} times what the way to the log takes");
    let mut deployment = deploy(programs);
    let (_worker, result) = (ready(deployment.worker()), ready(deployment.result()));
    let link = runtime.block_on(Link::new()).expect("a port");
    link.leads_to(([127, 0, 0, 1], deployment.redis.port()).into());
    let url = format!("redis://{}/", link.address());
    deployment.more = vec![("VOTING_REDIS__URL", url)];
    let vote = ready(deployment.vote());
    link.set(Condition::Narrow(NARROW));
    let idle = memory(vote.id());
    let length = Duration::from_secs(seconds * 3);
    let run = |connections, pace, length| {
        runtime.block_on(
            Round {
                deployment: &deployment,
                vote: &vote,
                result: &result,
            }
            .run(connections, pace, length),
        )
    };

    let peaks = [256, 1_024, 4_096].map(|connections| {
        let round = run(connections, Pace::FlatOut, length);
        println!("  {connections:>5} connections, one ballot after another: {round}");
        round.accepted
    });
    let peak = peaks.into_iter().fold(0.0, f64::max);
    let rate = (peak * TIMES).floor();
    // Each waits a second or so.
    let connections = 10_000;
    let over = run(connections, Pace::Rate(rate), length);
    println!("  {rate:.0}/s over {connections} connections: {over}");
    println!(
        "  accepted {:.2} of the peak (goal 0.9); memory {idle:.0} MiB before, at most {:.0} MiB in the \
         first half and {:.0} MiB in the second",
        over.accepted / peak,
        over.memory[0],
        over.memory[1],
    );
    assert!(over.refused > 0.0, "all were taken, so it was no overload");
    let after = run(256, Pace::Rate((peak / 2.0).floor()), length);
    println!("  then at half of the peak: {after}");
    assert!(after.refused == 0.0, "it has not recovered");
}

struct Round<'a> {
    deployment: &'a Deployment,
    vote: &'a Service,
    result: &'a Service,
}

struct Outcome {
    /// Ballots a second, once it is busy.
    accepted: f64,
    /// With 503 and `Retry-After`.
    refused: f64,
    unknown: u64,
    latencies: Latencies,
    /// MiB, at most, in each half.
    memory: [f64; 2],
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.0}/s accepted, {:.0}/s refused, {} unknown; acknowledged {}",
            self.accepted, self.refused, self.unknown, self.latencies
        )
    }
}

impl Round<'_> {
    async fn run(&self, connections: usize, pace: Pace, length: Duration) -> Outcome {
        let mut sources = Sources {
            result: Some(self.result.url.clone()),
            postgres: Some(self.deployment.database.clone()),
            receipts: 1_000,
            ..Sources::default()
        };
        sources.look_before("cats-vs-dogs").await.expect("a look");
        let plan = Plan {
            secret: Some(Secret::new(SECRET.as_bytes())),
            votes: vec![self.vote.url.clone()],
            pace,
            connections,
            duration: Some(WARM_UP + length),
            ..Plan::default()
        };
        let load = Load::start(plan).expect("it starts");
        sleep(WARM_UP).await;
        let (before, begun) = (load.counts(), Instant::now());
        let mut most = [0.0_f64; 2];
        while begun.elapsed() < length {
            let half = usize::from(begun.elapsed() > length / 2);
            most[half] = most[half].max(memory(self.vote.id()));
            sleep(Duration::from_millis(100)).await;
        }
        let (after, took) = (load.counts(), begun.elapsed().as_secs_f64());
        load.done().await;
        let history = load.stop().await;
        let verdict = check(&history, &sources).await.expect("a verdict");
        assert!(verdict.is_clean(), "{verdict:?}");
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let rate = |of: fn(&Counts) -> u64| (of(&after) - of(&before)) as f64 / took;
        Outcome {
            accepted: rate(|counts| counts.acknowledged),
            refused: rate(|counts| counts.refused),
            unknown: history.counts().unknown,
            latencies: Latencies::of(history.acknowledgement()),
            memory: most,
        }
    }
}
