//! The worker's loop.

use std::{future::Future, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    Worker, WorkerExit, WorkerOptions,
    prepare::{Gathered, KnownPolls, prepare},
    progress::ProgressSender,
};
use crate::{error::StoreError, id::PollId, poll::Poll, traits::PollDirectory};

/// How long one claim waits for a first entry. A claim must not be dropped half-way, so this is
/// also how long a stop can take to be seen.
const CLAIM_WAIT: Duration = Duration::from_millis(200);

/// The stop came, and the time to wait for a store is over.
struct GaveUp;

pub(super) async fn run(
    worker: Worker,
    progress: ProgressSender,
    stop: CancellationToken,
) -> WorkerExit {
    let mut running = Running {
        patience: Patience::new(&worker.options, stop),
        worker,
        progress,
        polls: KnownPolls::default(),
    };
    loop {
        match running.one_batch().await {
            Ok(More::Yes) => {}
            Ok(More::No) => return WorkerExit::Clean,
            Err(GaveUp) => return WorkerExit::Unfinished,
        }
    }
}

struct Running {
    worker: Worker,
    progress: ProgressSender,
    patience: Patience,
    polls: KnownPolls,
}

enum More {
    Yes,
    No,
}

impl Running {
    async fn one_batch(&mut self) -> Result<More, GaveUp> {
        // Looked at before the claim: what was cast before the stop is then still claimed.
        let stopping = self.patience.stopping();
        let gathered = self.gather().await?;
        if gathered.ballots() == 0 {
            return Ok(if stopping { More::No } else { More::Yes });
        }
        let Self {
            worker,
            progress,
            patience,
            polls,
        } = self;
        let missing = polls.missing(&gathered);
        let found = patience
            .until_done("look up polls", progress, || {
                look_up(worker.polls.as_ref(), &missing)
            })
            .await?;
        polls.learn(found);
        let batch = prepare(gathered, polls);
        let report = patience
            .until_done("flush", progress, || worker.flusher.flush(&batch))
            .await?;
        // Not before: a ballot leaves the log only when the store has it.
        let entries: Vec<_> = batch.entries.iter().map(|(key, _)| *key).collect();
        patience
            .until_done("acknowledge", progress, || {
                worker.queue.acknowledge(&entries)
            })
            .await?;
        progress.batch_done(report);
        tracing::debug!(entries = entries.len(), ?report, "flushed");
        if report.rejected > 0 {
            tracing::warn!(
                rejected = report.rejected,
                "ballots went to the dead letters"
            );
        }
        Ok(More::Yes)
    }

    /// Takes entries until there are enough, or the first has waited long enough, or, when the
    /// worker is to stop, there are no more.
    async fn gather(&mut self) -> Result<Gathered, GaveUp> {
        let Self {
            worker,
            progress,
            patience,
            ..
        } = self;
        let mut gathered = Gathered::default();
        let mut deadline = None;
        loop {
            let stopping = patience.stopping();
            if stopping && !patience.draining() {
                return Ok(gathered);
            }
            let wait = match deadline {
                _ if stopping => Duration::ZERO,
                None => CLAIM_WAIT,
                Some(deadline) => CLAIM_WAIT.min(deadline - Instant::now()),
            };
            let wanted = worker
                .options
                .max_ballots
                .saturating_sub(gathered.ballots())
                .max(1);
            let claim = patience
                .until_done("claim", progress, || worker.queue.claim(wanted, wait))
                .await?;
            progress.alive();
            let came_empty = claim.entries.is_empty();
            gathered.add(claim);
            if gathered.ballots() == 0 {
                return Ok(gathered);
            }
            let now = Instant::now();
            let deadline = *deadline.get_or_insert(now + worker.options.max_wait);
            let full = gathered.ballots() >= worker.options.max_ballots;
            if full || now >= deadline || (stopping && came_empty) {
                return Ok(gathered);
            }
        }
    }
}

/// The polls of these names that there are.
async fn look_up(polls: &dyn PollDirectory, ids: &[PollId]) -> Result<Vec<Poll>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(polls.poll(id).await?);
    }
    Ok(found)
}

/// Waits out a store that fails: for ever, or, once the worker is to stop, for the grace time.
struct Patience {
    backoff: ExponentialBuilder,
    pauses: backon::ExponentialBackoff,
    failing: bool,
    stop: CancellationToken,
    stop_seen: Option<Instant>,
    drain: Duration,
    grace: Duration,
}

impl Patience {
    fn new(options: &WorkerOptions, stop: CancellationToken) -> Self {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(options.min_backoff)
            .with_max_delay(options.max_backoff)
            .with_jitter()
            .without_max_times();
        Self {
            backoff,
            pauses: backoff.build(),
            failing: false,
            stop,
            stop_seen: None,
            drain: options.drain,
            grace: options.grace,
        }
    }

    fn stopping(&mut self) -> bool {
        if self.stop_seen.is_none() && self.stop.is_cancelled() {
            self.stop_seen = Some(Instant::now());
        }
        self.stop_seen.is_some()
    }

    fn draining(&self) -> bool {
        self.stop_seen
            .is_some_and(|seen| seen.elapsed() < self.drain)
    }

    async fn until_done<T, F: Future<Output = Result<T, StoreError>>>(
        &mut self,
        what: &'static str,
        progress: &ProgressSender,
        attempt: impl Fn() -> F,
    ) -> Result<T, GaveUp> {
        loop {
            match attempt().await {
                Ok(done) => {
                    if self.failing {
                        tracing::info!("{what} works again");
                        progress.trouble(None);
                        self.failing = false;
                        self.pauses = self.backoff.build();
                    }
                    return Ok(done);
                }
                Err(error) => self.wait_out(what, &error, progress).await?,
            }
        }
    }

    async fn wait_out(
        &mut self,
        what: &'static str,
        error: &StoreError,
        progress: &ProgressSender,
    ) -> Result<(), GaveUp> {
        let error = describe(error);
        if !self.failing {
            tracing::error!(error, "cannot {what}; trying again until it works");
            self.failing = true;
        }
        progress.trouble(Some(format!("cannot {what}: {error}")));
        let pause = self.pauses.next().unwrap_or_default();
        if !self.stopping() {
            tokio::select! {
                () = sleep(pause) => return Ok(()),
                () = self.stop.cancelled() => {}
            }
            self.stopping();
            return Ok(());
        }
        let last = self.stop_seen.unwrap_or_else(Instant::now) + self.grace;
        if Instant::now() >= last {
            tracing::error!(
                error,
                "cannot {what}; giving up, the ballots stay in the log"
            );
            return Err(GaveUp);
        }
        let _ = timeout_at(last, sleep(pause)).await;
        Ok(())
    }
}

/// An error with all its causes, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
