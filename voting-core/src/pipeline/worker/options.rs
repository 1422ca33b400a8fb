//! The options of a worker.

use std::time::Duration;

/// When a worker flushes, and how long it waits for a store that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerOptions {
    /// A batch is flushed when it has about this many ballots. Default: 5,000.
    pub max_ballots: usize,
    /// A batch is also flushed this long after its first ballot was taken, and earlier while the store has little to
    /// do: if no batch is being flushed, and the last one was flushed a while ago. Keep this time well below the log's
    /// claim time-out: after the claim time-out, the log hands the worker's entries to other workers. Default: 50 ms.
    pub max_wait: Duration,
    /// A batch that is not full is not flushed earlier than this after its first ballot, however little the store has
    /// to do. `max_wait` takes precedence. Default: zero.
    pub min_wait: Duration,
    /// How many batches are flushed at a time. More than one helps only with a store that writes several at once, such
    /// as Postgres. A worker with a [hook](super::AfterFlush) flushes one at a time. Default: 1.
    pub flushes: usize,
    /// The first pause after a store failed. Each further pause is about twice as long as the one before.
    /// Default: 50 ms.
    pub min_backoff: Duration,
    /// The longest pause after a store failed. Default: 5 s.
    pub max_backoff: Duration,
    /// When the worker is asked to stop, it continues until the log is empty. After this time it takes no new entries.
    /// Set it to zero if other workers continue. Default: 5 s.
    pub drain: Duration,
    /// When the worker is asked to stop, how long it still waits for a store that fails or does not answer.
    /// Default: 10 s.
    pub grace: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            max_ballots: 5_000,
            max_wait: Duration::from_millis(50),
            min_wait: Duration::ZERO,
            flushes: 1,
            min_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(5),
            drain: Duration::from_secs(5),
            grace: Duration::from_secs(10),
        }
    }
}
