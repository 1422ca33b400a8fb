//! A log around another one, in which a step can be done otherwise.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use voting_core::{
    BallotLog, BallotQueue, CastError, PollId, StoreError,
    conformance::Backend,
    log::{ShardWindows, claim::Claim, entry::NewEntry, stats::QueueStats},
    model::{
        poll::PollWindow,
        position::{EntryId, EntryKey, ShardId},
        secret::Fingerprint,
        secrets::KnownSecrets,
    },
};

use super::With;

/// What is done otherwise; by itself nothing.
#[async_trait]
pub trait BrokenLog: Default + Send + Sync + 'static {
    /// What breaks it once it was opened anew.
    fn reopened() -> Self {
        Self::default()
    }

    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        log.append(shard, entry).await
    }

    async fn seal(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        polls: &[PollId],
    ) -> Result<EntryId, StoreError> {
        log.seal(shard, polls).await
    }

    async fn set_windows(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        log.set_windows(shard, windows).await
    }

    async fn check_secrets(
        &self,
        log: &dyn BallotLog,
        secrets: &KnownSecrets,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        log.check_secrets(secrets).await
    }

    async fn claim(
        &self,
        queue: &dyn BallotQueue,
        max_ballots: usize,
        wait: Duration,
    ) -> Result<Claim, StoreError> {
        queue.claim(max_ballots, wait).await
    }

    async fn acknowledge(
        &self,
        queue: &dyn BallotQueue,
        entries: &[EntryKey],
    ) -> Result<(), StoreError> {
        queue.acknowledge(entries).await
    }

    async fn stats(&self, queue: &dyn BallotQueue) -> Result<QueueStats, StoreError> {
        queue.stats().await
    }
}

/// The back end with its log broken.
pub fn with_log<B: BrokenLog>(backend: Backend) -> Backend {
    with(backend, B::default())
}

fn with<B: BrokenLog>(backend: Backend, broken: B) -> Backend {
    let broken = Arc::new(broken);
    let (queue, reopen) = (backend.queue, backend.reopen);
    let log = Log {
        log: backend.log,
        broken: Arc::clone(&broken),
    };
    let around = Backend {
        log: Arc::new(log),
        queue: Box::new(move || {
            Arc::new(Queue {
                queue: queue(),
                broken: Arc::clone(&broken),
            })
        }),
        reopen: None,
        ..backend
    };
    match reopen {
        None => around,
        Some(reopen) => {
            around.with_reopen(|| Box::pin(async { with(reopen().await, B::reopened()) }))
        }
    }
}

struct Log<B> {
    log: Arc<dyn BallotLog>,
    broken: Arc<B>,
}

#[async_trait]
impl<B: BrokenLog> BallotLog for Log<B> {
    fn shards(&self) -> u16 {
        self.log.shards()
    }

    async fn append(&self, shard: ShardId, entry: NewEntry) -> Result<EntryId, CastError> {
        self.broken.append(self.log.as_ref(), shard, entry).await
    }

    async fn seal(&self, shard: ShardId, polls: &[PollId]) -> Result<EntryId, StoreError> {
        self.broken.seal(self.log.as_ref(), shard, polls).await
    }

    fn keeps_windows(&self) -> bool {
        self.log.keeps_windows()
    }

    async fn set_windows(
        &self,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        let log = self.log.as_ref();
        self.broken.set_windows(log, shard, windows).await
    }

    async fn ready_to_append(&self) -> Result<(), StoreError> {
        self.log.ready_to_append().await
    }

    async fn check_secrets(&self, secrets: &KnownSecrets) -> Result<Vec<Fingerprint>, StoreError> {
        self.broken.check_secrets(self.log.as_ref(), secrets).await
    }
}

struct Queue<B> {
    queue: Arc<dyn BallotQueue>,
    broken: Arc<B>,
}

#[async_trait]
impl<B: BrokenLog> BallotQueue for Queue<B> {
    async fn claim(&self, max_ballots: usize, wait: Duration) -> Result<Claim, StoreError> {
        let queue = self.queue.as_ref();
        self.broken.claim(queue, max_ballots, wait).await
    }

    async fn acknowledge(&self, entries: &[EntryKey]) -> Result<(), StoreError> {
        self.broken.acknowledge(self.queue.as_ref(), entries).await
    }

    async fn stats(&self) -> Result<QueueStats, StoreError> {
        self.broken.stats(self.queue.as_ref()).await
    }
}
