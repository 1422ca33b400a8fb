//! The store that takes the time of flushes passes the conformance suite as the store within it does.

#[path = "../timed/store.rs"]
mod store;

use std::{sync::Arc, time::Duration};

use voting_core::{
    Log,
    backends::memory::{Memory, MemoryOptions},
    conformance::Backend,
};

use self::store::{Timed, Times};

async fn backend() -> Backend {
    let claim_timeout = Duration::from_millis(200);
    let memory = Memory::new(MemoryOptions {
        claim_timeout,
        ..MemoryOptions::default()
    });
    let all = Arc::new(memory.clone());
    let timed = Arc::new(Timed::new(memory.clone()));
    Backend {
        log: all.clone(),
        queue: Box::new(move || memory.reader()),
        flusher: timed,
        tallies: all.clone(),
        polls: all.clone(),
        dead_letters: all.clone(),
        audit: all.clone(),
        events: all.clone(),
        exports: all.clone(),
        tokens: all,
        webhooks: None,
        claim_timeout,
        reopen: None,
        keep: Box::new(()),
    }
}

voting_core::conformance_suite!(backend(); flush, first, empty, store_range, delete, forget, voiding, history, work, close);

#[tokio::test]
async fn it_counts_what_is_flushed_and_what_fails() {
    use voting_core::{
        BatchFlusher,
        model::ballot::{Ballot, Choices, VoterId},
        model::position::{EntryId, Position, ShardId},
        store::batch::{Batch, PlacedBallot},
    };

    let timed = Timed::new(Memory::default());
    timed.flush(&Batch::default()).await.unwrap();
    let entry = EntryId::new(1, 0).unwrap();
    let ballot = Ballot {
        poll: "none".parse().unwrap(),
        voter: VoterId::issue(),
        choices: Choices::from_bits(1).unwrap(),
        rules: None,
    };
    let unknown = Batch {
        entries: vec![((ShardId(0), entry), 1)],
        ballots: vec![PlacedBallot {
            position: Position::new(ShardId(0), entry, 0),
            ballot,
        }],
        ..Batch::default()
    };
    timed.flush(&unknown).await.unwrap_err();
    let times = timed.times();
    let expected = Times {
        done: 1,
        failed: 1,
        counted: 0,
        longest: times.longest,
    };
    assert_eq!(times, expected);
}
