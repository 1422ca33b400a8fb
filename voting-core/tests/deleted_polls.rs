//! A poll that is deleted, on Redis and Postgres: nothing brings it or its ballots back.

mod support;

use std::{sync::Arc, time::Duration};

use support::{Database, ballot, poll_id, poll_named};
use tokio::time::{Instant, sleep};
use voting_core::{
    BallotQueue, BatchFlusher, CastError, DeadLetterStore, PollDirectory, PollPublisher, PollState,
    PollStore, VoteSink, Worker, WorkerHandle, WorkerOptions,
    backends::{
        postgres::Postgres,
        redis::{Redis, RedisOptions, RedisQueue, RewindError},
    },
    log::SeparateLog,
    model::{
        poll::{ChangeTo, PollChange},
        poll_state::Seals,
    },
    pipeline::{coordinator::Coordinator, worker::WorkerExit},
    store::AppliedStore,
};
use voting_testing::RedisServer;

struct System {
    redis: Redis,
    queue: Arc<RedisQueue>,
    coordinator: Coordinator,
}

impl System {
    fn new(server: &RedisServer, store: &Postgres) -> Self {
        let options = RedisOptions {
            shards: 2,
            claim_timeout: Duration::from_millis(500),
            ..RedisOptions::default()
        };
        let redis = Redis::new(&server.url(), options).expect("an address");
        let queue = Arc::new(redis.queue());
        let (log, postgres) = (Arc::new(redis.clone()), Arc::new(store.clone()));
        Self {
            coordinator: Coordinator::new(log, queue.clone(), postgres),
            redis,
            queue,
        }
    }

    async fn round(&self) {
        self.coordinator.round().await.expect("a round");
    }

    fn worker(&self, queue: Arc<RedisQueue>) -> WorkerHandle {
        let options = WorkerOptions {
            max_wait: Duration::from_millis(5),
            ..WorkerOptions::default()
        };
        let guarded = self.coordinator.guarded();
        Worker::new(queue, guarded.clone(), guarded, options).start()
    }

    /// Runs a worker until all ballots are acknowledged.
    async fn count(&self) {
        // Its own one, which is gone with it.
        let queue = Arc::new(self.redis.queue());
        let worker = self.worker(queue.clone());
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.queue.stats().await.expect("stats").pending > 0 {
            assert!(
                Instant::now() < deadline,
                "{:?}",
                worker.progress().borrow().trouble
            );
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(worker.stop().await, WorkerExit::Clean);
        queue.close().await.expect("closed");
    }

    /// Hands out again all that the log has, once it is seen that no worker runs any more.
    async fn rewind(&self, store: &Postgres) -> u64 {
        let applied = store.applied().await.expect("marks");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.redis.look_back(&applied).await {
                Ok(back) => return self.redis.rewind(&back).await.expect("rewound"),
                Err(RewindError::WorkersRunning) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    async fn published(&self) -> Vec<String> {
        let published = self.redis.published().await.expect("an answer");
        let published = published.unwrap_or_default();
        published.iter().map(|poll| poll.id().to_string()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_or_is_handed_out_again_brings_no_deleted_poll_back() {
    let (database, mut server) = (Database::new(), RedisServer::start());
    let store = database.with_poll().await;
    let other = poll_named("q");
    store.put_poll(&other).await.expect("stored");
    let system = System::new(&server, &store);
    system.round().await;
    let sink = system.redis.sink();
    for voter in 1..=5 {
        sink.cast(ballot(voter, 0b01)).await.expect("cast");
    }
    sink.cast(ballot(1, 0b10)).await.expect("cast");
    sink.cast(ballot(9, 0b100)).await.expect("cast");
    system.count().await;
    let closing = PollState::Closing(Seals::default());
    let polls = system.coordinator.polls();
    let there = polls.advance_poll(&poll_id(), &closing).await;
    there.expect("stored");
    system.round().await;
    let stored = store.poll(&poll_id()).await.expect("an answer");
    let stored = stored.expect("the poll");
    assert!(stored.state().is_final());
    let totals = store.totals().await.expect("totals");
    assert_eq!(
        (totals.counted, totals.superseded, totals.rejected),
        (5, 1, 1)
    );
    assert_eq!(system.published().await, ["p", "q"]);
    let delete = PollChange::new(poll_id(), ChangeTo::Deleted);
    let deleted = polls.change_poll(&delete, "operator").await;
    assert_eq!(deleted.expect("deleted"), None);
    // It is still published, as when another process does so late, or this one fails before it does.
    for _ in 0..2 {
        system.round().await;
        assert_eq!(system.published().await, ["q"]);
        let late = [stored.clone(), other.clone()];
        system.redis.publish(&late).await.expect("published");
    }
    system.round().await;
    assert_eq!(store.poll(&poll_id()).await.expect("an answer"), None);

    // All its ballots are handed out again.
    let letters = store.dead_letters(None, 9).await.expect("dead letters");
    assert_eq!(system.rewind(&store).await, 7);
    // A worker may look the poll up while it is still published.
    system.redis.publish(&[stored]).await.expect("published");
    system.count().await;
    assert_eq!(store.totals().await.expect("totals"), totals);
    let after = store.dead_letters(None, 9).await.expect("dead letters");
    assert_eq!(after, letters);
    assert!(after[0].payload.is_empty());
    let stats = system.queue.stats().await.expect("stats");
    assert_eq!(
        stats.accepted,
        totals.counted + totals.superseded + totals.rejected
    );

    // A Redis that was made anew learns that the poll takes no more ballots.
    server.wipe();
    server.launch();
    let system = System::new(&server, &store);
    system.round().await;
    let sink = system.redis.sink();
    for voter in 1..=5 {
        let late = sink.cast(ballot(voter, 0b01)).await;
        assert!(matches!(late, Err(CastError::Closed(_))), "{late:?}");
    }
    let mut of_other = ballot(1, 0b01);
    of_other.poll = other.id().clone();
    sink.cast(of_other).await.expect("cast");
}
