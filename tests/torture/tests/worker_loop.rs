//! The worker's own loop, over stores that fail, hang and answer late in every which way: whatever they
//! do, each ballot counts once and the last one of a voter decides.

use std::{
    collections::{BTreeMap, VecDeque},
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use tokio::time::{sleep, timeout};
use voting_core::{
    Ballot, BallotQueue, BatchFlusher, Choices, Poll, PollOption, PollStore, ReceiptState,
    StoreError, TallyStore, VoteSink, VoterId, Worker, WorkerOptions,
    backends::memory::{Memory, MemoryOptions},
    log::{claim::Claim, stats::QueueStats},
    model::position::EntryKey,
    store::{
        batch::Batch,
        outcome::{Flushed, Totals},
    },
};

/// After this time another worker takes over, be the one that has an entry dead or only slow.
const CLAIM_TIMEOUT: Duration = Duration::from_millis(3);

/// What a store does with a call.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Fine,
    /// It fails and nothing is done.
    Fails,
    /// It is done, and told to have failed.
    AnswerIsLost,
    /// It is done late, after another worker may have taken over.
    Late,
    /// The worker dies before it.
    DiesBefore,
    /// The worker dies after it.
    DiesAfter,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        4 => Just(Fate::Fine),
        2 => Just(Fate::Fails),
        2 => Just(Fate::AnswerIsLost),
        2 => Just(Fate::Late),
        1 => Just(Fate::DiesBefore),
        1 => Just(Fate::DiesAfter),
    ];
    vec(fate, 0..12)
}

/// Both ends of a worker, which share what is to become of its calls; once that is used up, all is
/// well.
struct Faulty {
    memory: Memory,
    fates: Mutex<VecDeque<Fate>>,
}

impl Faulty {
    async fn call<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fate = self.fates.lock().expect("sound").pop_front();
        let failed = || Err(StoreError::unavailable("as it was to be"));
        match fate.unwrap_or(Fate::Fine) {
            Fate::Fine => work.await,
            Fate::Fails => failed(),
            Fate::AnswerIsLost => {
                work.await?;
                failed()
            }
            Fate::Late => {
                sleep(CLAIM_TIMEOUT * 3).await;
                work.await
            }
            Fate::DiesBefore => pending().await,
            Fate::DiesAfter => {
                work.await?;
                pending().await
            }
        }
    }
}

#[async_trait]
impl BallotQueue for Faulty {
    async fn claim(&self, max_ballots: usize, wait: Duration) -> Result<Claim, StoreError> {
        let queue = self.memory.queue();
        self.call(queue.claim(max_ballots, wait)).await
    }

    async fn acknowledge(&self, entries: &[EntryKey]) -> Result<(), StoreError> {
        let queue = self.memory.queue();
        self.call(queue.acknowledge(entries)).await
    }

    async fn stats(&self) -> Result<QueueStats, StoreError> {
        self.memory.queue().stats().await
    }
}

#[async_trait]
impl BatchFlusher for Faulty {
    async fn flush(&self, batch: &Batch) -> Result<Flushed, StoreError> {
        self.call(self.memory.flush(batch)).await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.memory.totals().await
    }
}

fn poll() -> Poll {
    let option = |id: &str| PollOption {
        id: id.parse().expect("an id"),
        label: id.to_owned(),
    };
    let options = ["a", "b", "c"].map(option).to_vec();
    Poll::new("poll".parse().expect("an id"), "Which?", options, 1).expect("a poll")
}

fn start(memory: &Memory, fates: Vec<Fate>, max_ballots: usize) {
    let stores = Arc::new(Faulty {
        memory: memory.clone(),
        fates: Mutex::new(fates.into()),
    });
    let options = WorkerOptions {
        max_ballots,
        max_wait: Duration::from_micros(200),
        // One or two, as it happens.
        flushes: 1 + max_ballots % 2,
        min_backoff: Duration::from_micros(100),
        max_backoff: Duration::from_millis(1),
        ..WorkerOptions::default()
    };
    Worker::new(stores.clone(), Arc::new(memory.clone()), stores, options).start();
}

async fn try_out(
    casts: Vec<(u8, u8)>,
    workers: Vec<Vec<Fate>>,
    max_ballots: usize,
    shards: u16,
) -> TestCaseResult {
    let memory = Memory::new(MemoryOptions {
        shards,
        claim_timeout: CLAIM_TIMEOUT,
    });
    let poll = poll();
    memory.put_poll(&poll).await.expect("stored");
    for fates in workers {
        start(&memory, fates, max_ballots);
    }
    let sink = memory.sink();
    let mut last = BTreeMap::new();
    let mut earlier = Vec::new();
    for (voter, option) in &casts {
        let ballot = Ballot {
            poll: poll.id().clone(),
            voter: VoterId::from_bytes(u128::from(*voter).to_be_bytes()),
            choices: Choices::from_bits(1 << option).expect("choices"),
            rules: None,
        };
        let receipt = sink.cast(ballot).await.expect("acknowledged");
        earlier.extend(last.insert(*voter, (receipt, *option)));
        tokio::task::yield_now().await;
    }
    // Somebody must be alive in the end.
    start(&memory, Vec::new(), max_ballots);
    let settled = async {
        while memory.queue().stats().await.expect("known").pending > 0 {
            sleep(Duration::from_micros(500)).await;
        }
    };
    timeout(Duration::from_secs(20), settled)
        .await
        .expect("all is counted in the end");
    // Slow ones still do what they were about to.
    sleep(CLAIM_TIMEOUT * 5).await;

    let recount = memory
        .recount(poll.id())
        .await
        .expect("known")
        .expect("a poll");
    prop_assert!(recount.agrees(), "{recount:?}");
    let mut votes = [0; 3];
    for (receipt, option) in last.values() {
        votes[usize::from(*option)] += 1;
        let state = memory.receipt_state(receipt).await.expect("known");
        prop_assert_eq!(state, ReceiptState::Counted);
    }
    prop_assert_eq!(&recount.kept.votes[..], &votes[..]);
    for (receipt, _) in &earlier {
        let state = memory.receipt_state(receipt).await.expect("known");
        prop_assert_eq!(state, ReceiptState::Superseded);
    }
    let totals = memory.totals().await.expect("known");
    prop_assert_eq!(totals.counted, last.len() as u64);
    prop_assert_eq!(totals.superseded, earlier.len() as u64);
    prop_assert_eq!(totals.rejected, 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn whatever_the_stores_do_the_last_choice_of_each_voter_counts_once(
        casts in vec((0..4_u8, 0..3_u8), 1..40),
        workers in vec(fates(), 1..4),
        max_ballots in 1..6_usize,
        shards in 1..3_u16,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(try_out(casts, workers, max_ballots, shards))?;
    }
}
