//! The back end of one's own passes the conformance suite, and a whole system runs on it.

use std::{sync::Arc, time::Duration};

use own_backend::OwnBackend;
use voting_core::{conformance::Backend, log::Log, prelude::*};

async fn backend() -> Backend {
    let claim_timeout = Duration::from_millis(200);
    let own = OwnBackend::new(claim_timeout);
    let all = Arc::new(own.clone());
    Backend {
        log: all.clone(),
        queue: Box::new(move || own.reader()),
        flusher: all.clone(),
        tallies: all.clone(),
        polls: all.clone(),
        dead_letters: all.clone(),
        audit: all.clone(),
        events: all.clone(),
        exports: all.clone(),
        tokens: all,
        webhooks: None,
        claim_timeout,
        // Nothing of it outlives the process.
        reopen: None,
        keep: Box::new(()),
    }
}

voting_core::conformance_suite!(backend());

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_system_runs_on_it() {
    let voting = Voting::embedded(OwnBackend::default());
    let voting = voting.start().await.unwrap();
    let poll = Poll::builder("drinks", "Tea or coffee?")
        .option("tea", "Tea")
        .option("coffee", "Coffee")
        .build();
    voting.put_poll(&poll.unwrap()).await.unwrap();
    let voter = VoterId::issue();
    for choice in ["tea", "coffee"] {
        voting.cast("drinks", voter, [choice]).await.unwrap();
    }
    voting.counted().await.unwrap();
    assert_eq!(voting.tally("drinks").await.unwrap().votes, [0, 1]);
    voting.shutdown(Duration::from_secs(10)).await.unwrap();
}
