//! How a worker bears stores that fail: it tries again for ever, or, once it is to stop, for its
//! grace time.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{WorkerOptions, progress::ProgressSender};
use crate::error::{StoreError, in_one_line};

/// When the worker was asked to stop; the same moment for all its steps.
#[derive(Clone)]
pub(super) struct Stop {
    token: CancellationToken,
    since: Arc<OnceLock<Instant>>,
}

impl Stop {
    pub(super) fn new(token: CancellationToken) -> Self {
        Self {
            token,
            since: Arc::default(),
        }
    }

    fn since(&self) -> Option<Instant> {
        self.token
            .is_cancelled()
            .then(|| *self.since.get_or_init(Instant::now))
    }

    async fn cancelled(&self) -> Instant {
        self.token.cancelled().await;
        *self.since.get_or_init(Instant::now)
    }
}

/// The stop came, and the time to wait for a store is over.
pub(super) struct GaveUp;

pub(super) struct Retry {
    backoff: ExponentialBuilder,
    pauses: ExponentialBackoff,
    /// What cannot be done.
    failing: BTreeSet<&'static str>,
    stop: Stop,
    drain: Duration,
    grace: Duration,
}

impl Retry {
    pub(super) fn new(options: &WorkerOptions, stop: Stop) -> Self {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(options.min_backoff)
            .with_max_delay(options.max_backoff)
            .with_jitter()
            .without_max_times();
        Self {
            backoff,
            pauses: backoff.build(),
            failing: BTreeSet::new(),
            stop,
            drain: options.drain,
            grace: options.grace,
        }
    }

    /// Whether the worker is to stop.
    pub(super) fn stopping(&self) -> bool {
        self.stop.since().is_some()
    }

    /// Whether a worker that is to stop may still take entries.
    pub(super) fn draining(&self) -> bool {
        self.stop
            .since()
            .is_some_and(|since| since.elapsed() < self.drain)
    }

    /// Ends when the worker is to stop and has waited for a store for as long as it may.
    async fn over(&self) {
        let since = self.stop.cancelled().await;
        sleep(self.grace.saturating_sub(since.elapsed())).await;
    }

    /// Attempts until it works.
    pub(super) async fn until_done<T, F: Future<Output = Result<T, StoreError>>>(
        &mut self,
        what: &'static str,
        progress: &ProgressSender,
        attempt: impl Fn() -> F,
    ) -> Result<T, GaveUp> {
        loop {
            let outcome = tokio::select! {
                biased;
                outcome = attempt() => outcome,
                // The store hangs. To drop a flush or an acknowledgement is safe: both may have
                // taken place, and both may be done again.
                () = self.over() => Err(StoreError::unavailable("no answer")),
            };
            match outcome {
                Ok(done) => {
                    self.works_again(what, progress);
                    return Ok(done);
                }
                Err(error) => self.wait_out(what, &error, progress).await?,
            }
        }
    }

    fn works_again(&mut self, what: &'static str, progress: &ProgressSender) {
        if self.failing.remove(what) {
            tracing::info!("{what} works again");
            progress.trouble(what, None);
            self.pauses = self.backoff.build();
        }
    }

    /// Pauses after a failure; gives up when the time to wait is over.
    pub(super) async fn wait_out(
        &mut self,
        what: &'static str,
        error: &StoreError,
        progress: &ProgressSender,
    ) -> Result<(), GaveUp> {
        let error = in_one_line(error);
        if self.failing.insert(what) {
            tracing::error!(error, "cannot {what}; trying again until it works");
        }
        progress.trouble(what, Some(format!("cannot {what}: {error}")));
        let pause = self.pauses.next().unwrap_or_default();
        let was_stopping = self.stopping();
        tokio::select! {
            () = self.over() => {
                tracing::error!(error, "cannot {what}; giving up, the ballots stay in the log");
                Err(GaveUp)
            }
            () = sleep(pause) => Ok(()),
            // One more attempt at once.
            _ = self.stop.cancelled(), if !was_stopping => Ok(()),
        }
    }
}
