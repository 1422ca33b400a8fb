//! What can be set about a worker.

use std::time::Duration;

/// When a worker flushes, and how it bears a store that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerOptions {
    /// A batch is flushed when it has about so many ballots, …
    pub max_ballots: usize,
    /// … or so long after its first ballot was taken. Keep it well below the log's claim
    /// time-out, after which the log takes the worker for dead.
    pub max_wait: Duration,
    /// The first pause after a store failed; each further one is about twice as long, …
    pub min_backoff: Duration,
    /// … up to this.
    pub max_backoff: Duration,
    /// Once asked to stop, the worker goes on until the log is empty, but takes nothing new
    /// after this time. Zero where other workers go on.
    pub drain: Duration,
    /// Once asked to stop, how long a store that fails or hangs is waited for.
    pub grace: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            max_ballots: 5_000,
            max_wait: Duration::from_millis(50),
            min_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(5),
            drain: Duration::from_secs(5),
            grace: Duration::from_secs(10),
        }
    }
}
