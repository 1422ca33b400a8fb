//! The worker takes entries from the log and checks them. It gathers them in batches, limited by count and by time.
//! It flushes each batch in one transaction, and acknowledges the entries after the commit.
//!
//! A worker may be killed at any point. The log hands out again the entries that the worker had not acknowledged. If
//! they were already flushed, a second flush of them changes nothing.

mod gather;
mod hook;
mod options;
mod pace;
mod polls;
mod prepare;
mod progress;
mod retry;
mod rules;
mod run;
mod unsigned;

use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub use self::{
    hook::AfterFlush,
    options::WorkerOptions,
    progress::{Progress, ProgressWatch},
};
use self::{pace::Pace, polls::Polls, progress::ProgressSender};
use crate::{
    log::{
        BallotLog, BallotQueue,
        entry_keys::{EntryKeys, UnknownKey},
    },
    pipeline::rule::BallotRule,
    store::{BatchFlusher, PollDirectory, unsigned::UnsignedStore},
};

/// A worker that is ready to start.
pub struct Worker {
    queue: Arc<dyn BallotQueue>,
    polls: Arc<dyn PollDirectory>,
    flusher: Arc<dyn BatchFlusher>,
    rule: Option<Arc<dyn BallotRule>>,
    hook: Option<Arc<dyn AfterFlush>>,
    keys: EntryKeys,
    signed_only: Option<SignedOnly>,
    options: WorkerOptions,
}

/// Where a worker finds out which entries must be signed.
struct SignedOnly {
    log: Arc<dyn BallotLog>,
    store: Arc<dyn UnsignedStore>,
}

/// What the steps of a running worker share.
struct Shared {
    queue: Arc<dyn BallotQueue>,
    flusher: Arc<dyn BatchFlusher>,
    polls: Polls,
    rule: Option<Arc<dyn BallotRule>>,
    hook: Option<Arc<dyn AfterFlush>>,
    keys: EntryKeys,
    signed_only: Option<SignedOnly>,
    options: WorkerOptions,
    pace: Pace,
    progress: ProgressSender,
}

impl Shared {
    /// Reports a missing key once. Keys are read only at the start, so this trouble stays until the next start. From now on
    /// the worker takes no entries over: those are left to workers that may have the key.
    fn lacks_key(&self, key: UnknownKey) {
        self.queue.leave_abandoned();
        if self.progress.trouble("read entries", Some(key.to_string())) {
            tracing::error!(key = key.0, "{key}; such entries stay in the log");
        }
    }
}

impl Worker {
    /// A worker that reads `queue`, checks against `polls` and writes to `flusher`.
    pub fn new(
        queue: Arc<dyn BallotQueue>,
        polls: Arc<dyn PollDirectory>,
        flusher: Arc<dyn BatchFlusher>,
        options: WorkerOptions,
    ) -> Self {
        Self {
            queue,
            polls,
            flusher,
            rule: None,
            hook: None,
            keys: EntryKeys::default(),
            signed_only: None,
            options,
        }
    }

    /// Makes dead letters of ballots that this rule refuses.
    #[must_use]
    pub fn with_rule(mut self, rule: Arc<dyn BallotRule>) -> Self {
        self.rule = Some(rule);
        self
    }

    /// Checks signed entries with these keys. Without the keys, signed entries stay in the log, and the worker
    /// reports [trouble](Progress::trouble).
    #[must_use]
    pub fn with_entry_keys(mut self, keys: EntryKeys) -> Self {
        self.keys = keys;
        self
    }

    /// Makes dead letters of entries that are not signed, unless they were in the log when a worker first did so: this is kept
    /// in the store. Without it, unsigned entries are counted.
    #[must_use]
    pub fn refusing_unsigned(
        mut self,
        log: Arc<dyn BallotLog>,
        store: Arc<dyn UnsignedStore>,
    ) -> Self {
        self.signed_only = Some(SignedOnly { log, store });
        self
    }

    /// Calls this hook after each batch that is committed.
    #[must_use]
    pub fn after_flush(mut self, hook: Arc<dyn AfterFlush>) -> Self {
        self.hook = Some(hook);
        self
    }

    /// Starts the loop as a task of the current tokio runtime.
    pub fn start(self) -> WorkerHandle {
        let stop = CancellationToken::new();
        let (ended, end) = watch::channel(None);
        let (progress, watch) = progress::channel();
        let (stopped, rule) = (stop.clone(), self.rule.clone());
        let again = Arc::new(Notify::new());
        let notified = Arc::clone(&again);
        tokio::spawn(async move {
            let exit = run::run(self, progress, stopped, notified).await;
            ended.send_replace(Some(exit));
        });
        WorkerHandle {
            rule,
            stop,
            again,
            end,
            progress: watch,
        }
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerExit {
    /// All entries that the worker had taken are flushed and acknowledged.
    Clean,
    /// A store did not answer before the time to stop was over. The worker's entries stay in the log, for the next
    /// worker.
    Unfinished,
    /// The worker's task panicked. Its entries stay in the log, for the next worker.
    Panicked,
}

/// A running worker. Dropping the handle does not stop the worker.
#[derive(Clone)]
pub struct WorkerHandle {
    rule: Option<Arc<dyn BallotRule>>,
    stop: CancellationToken,
    again: Arc<Notify>,
    end: watch::Receiver<Option<WorkerExit>>,
    progress: ProgressWatch,
}

impl WorkerHandle {
    /// Asks the worker to flush and acknowledge its entries and then to end. Waits until the worker has ended. May be
    /// called more than once, from any task.
    pub async fn stop(&self) -> WorkerExit {
        self.stop.cancel();
        self.ended().await
    }

    /// Ends the worker's pauses after failures: it tries again at once. Call it when something was mended that the
    /// worker may have met, for example when the tables were made.
    pub fn try_again(&self) {
        self.again.notify_waiters();
    }

    /// Waits until the worker has ended, for whatever reason.
    pub async fn ended(&self) -> WorkerExit {
        let mut end = self.end.clone();
        match end.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or(WorkerExit::Panicked),
            Err(_) => WorkerExit::Panicked,
        }
    }

    /// The application's rule that the worker asks, if it asks one.
    pub fn rule(&self) -> Option<&Arc<dyn BallotRule>> {
        self.rule.as_ref()
    }

    /// What the worker has done so far.
    pub fn progress(&self) -> &ProgressWatch {
        &self.progress
    }
}

impl std::fmt::Debug for WorkerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerHandle")
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}
