//! Stores that fail, around ones that work.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    error::StoreError,
    log::{BallotQueue, claim::Claim, stats::QueueStats},
    model::position::EntryKey,
    store::{
        BatchFlusher,
        batch::Batch,
        outcome::{Flushed, Totals},
    },
};

/// Never acknowledges, as a worker does that dies after its flush.
pub(super) struct DiesBeforeAcknowledging(pub(super) Arc<dyn BallotQueue>);

#[async_trait]
impl BallotQueue for DiesBeforeAcknowledging {
    async fn claim(&self, max_ballots: usize, wait: Duration) -> Result<Claim, StoreError> {
        self.0.claim(max_ballots, wait).await
    }

    async fn acknowledge(&self, _: &[EntryKey]) -> Result<(), StoreError> {
        Err(StoreError::unavailable("dead"))
    }

    async fn stats(&self) -> Result<QueueStats, StoreError> {
        self.0.stats().await
    }
}

/// Fails a number of flushes; every other one of them after it was written, as when the
/// connection breaks before the answer.
pub(super) struct FailsForAWhile {
    pub(super) flusher: Arc<dyn BatchFlusher>,
    pub(super) failures: AtomicU32,
}

#[async_trait]
impl BatchFlusher for FailsForAWhile {
    async fn flush(&self, batch: &Batch) -> Result<Flushed, StoreError> {
        let left = self.failures.load(Ordering::Acquire);
        if left == 0 {
            return self.flusher.flush(batch).await;
        }
        self.failures.store(left - 1, Ordering::Release);
        if left.is_multiple_of(2) {
            self.flusher.flush(batch).await?;
        }
        Err(StoreError::unavailable("out for a while"))
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.flusher.totals().await
    }
}

/// Does not flush, and either says so or says nothing.
pub(super) struct Down {
    pub(super) flusher: Arc<dyn BatchFlusher>,
    pub(super) hangs: bool,
}

#[async_trait]
impl BatchFlusher for Down {
    async fn flush(&self, _: &Batch) -> Result<Flushed, StoreError> {
        if self.hangs {
            std::future::pending().await
        }
        Err(StoreError::unavailable("down"))
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.flusher.totals().await
    }
}
