//! A store around another one, which notes how long each flush takes.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use voting_core::{
    BatchFlusher, StoreError, async_trait,
    store::{
        batch::Batch,
        outcome::{Flushed, Totals},
    },
};

/// What became of the flushes so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// Flushes that are done.
    pub(crate) done: u64,
    /// Flushes that failed. The worker tries each of them again.
    pub(crate) failed: u64,
    /// Ballots that were counted.
    pub(crate) counted: u64,
    /// The longest that a flush took, also one that failed.
    pub(crate) longest: Duration,
}

/// Passes each call on, and takes its time.
#[derive(Debug)]
pub(crate) struct Timed<F> {
    inner: F,
    times: Mutex<Times>,
}

impl<F> Timed<F> {
    pub(crate) fn new(inner: F) -> Self {
        Self {
            inner,
            times: Mutex::default(),
        }
    }

    pub(crate) fn times(&self) -> Times {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<F: BatchFlusher> BatchFlusher for Timed<F> {
    async fn flush(&self, batch: &Batch) -> Result<Flushed, StoreError> {
        let begun = Instant::now();
        let flushed = self.inner.flush(batch).await;
        // The worker waits for this, so it only notes. What was told elsewhere before the flush might not be so after it.
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.longest = times.longest.max(begun.elapsed());
        match &flushed {
            Ok(flushed) => {
                times.done += 1;
                times.counted += flushed.report.counted;
            }
            Err(_) => times.failed += 1,
        }
        flushed
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.inner.totals().await
    }

    // A decorator passes on what has a default, too: the store around which it is may do it in its own way.
    async fn ready_to_flush(&self) -> Result<(), StoreError> {
        self.inner.ready_to_flush().await
    }
}
