//! How a worker repeats calls to a store that fails. It tries again without an end. Once it is asked to stop, it tries
//! only for its grace time.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
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

/// The worker was asked to stop, and the time to wait for a store is over.
pub(super) struct GaveUp;

pub(super) struct Retry {
    backoff: ExponentialBuilder,
    pauses: ExponentialBackoff,
    /// The steps that fail now, such as `flush`.
    failing: BTreeSet<&'static str>,
    stop: Stop,
    again: Arc<Notify>,
    drain: Duration,
    grace: Duration,
}

impl Retry {
    /// A notification by `again` ends a pause.
    pub(super) fn new(options: &WorkerOptions, stop: Stop, again: Arc<Notify>) -> Self {
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
            again,
            drain: options.drain,
            grace: options.grace,
        }
    }

    /// Whether the worker was asked to stop.
    pub(super) fn stopping(&self) -> bool {
        self.stop.since().is_some()
    }

    /// Whether the worker was asked to stop and may still take entries.
    pub(super) fn draining(&self) -> bool {
        self.stop
            .since()
            .is_some_and(|since| since.elapsed() < self.drain)
    }

    /// Returns when the worker was asked to stop and the grace time after that is over.
    async fn over(&self) {
        let since = self.stop.cancelled().await;
        sleep(self.grace.saturating_sub(since.elapsed())).await;
    }

    /// Repeats the attempt until it succeeds.
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
                // The store does not answer. It is safe to drop a flush or an acknowledgement: it may have taken
                // place, and it may be repeated.
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

    /// Pauses after a failure. Gives up when the grace time is over.
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
            () = self.again.notified() => Ok(()),
            // The worker was just asked to stop: make one more attempt at once.
            _ = self.stop.cancelled(), if !was_stopping => Ok(()),
        }
    }
}
