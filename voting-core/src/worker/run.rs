//! The worker's loop.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Worker, WorkerExit,
    patience::{GaveUp, Patience},
    prepare::{Gathered, KnownPolls, prepare},
    progress::ProgressSender,
};
use crate::{error::StoreError, id::PollId, poll::Poll, traits::PollDirectory};

/// How long one claim waits for a first entry. A claim must not be dropped half-way, so this is
/// also how long a stop can take to be seen.
const CLAIM_WAIT: Duration = Duration::from_millis(200);

/// Longer waits mean the same, and a clock cannot add much more.
const FAR: Duration = Duration::from_secs(24 * 3600);

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
        let mut changed_again = false;
        let (batch, report) = loop {
            let missing = polls.missing(&gathered);
            let found = patience
                .until_done("look up polls", progress, || {
                    look_up(worker.polls.as_ref(), &missing)
                })
                .await?;
            polls.learn(found);
            let batch = prepare(&gathered, polls);
            let flushed = patience
                .until_done("flush", progress, || async {
                    match worker.flusher.flush(&batch).await {
                        Ok(report) => Ok(Ok(report)),
                        // Waiting does not mend it, but looking the poll up does.
                        Err(StoreError::PollChanged(poll)) => Ok(Err(poll)),
                        Err(error) => Err(error),
                    }
                })
                .await?;
            match flushed {
                Ok(report) => break (batch, report),
                Err(poll) => {
                    polls.forget(&poll);
                    // Once is as it may be. A store that says so again and again is in trouble.
                    if std::mem::replace(&mut changed_again, true) {
                        let changed = StoreError::PollChanged(poll);
                        patience.wait_out("flush", &changed, progress).await?;
                    }
                }
            }
        };
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
            let claim = || worker.queue.claim(wanted, wait);
            let claim = if gathered.ballots() == 0 {
                patience.until_done("claim", progress, claim).await?
            } else if let Ok(claim) = claim().await {
                claim
            } else {
                // What is in hand does not wait for the log to come back.
                return Ok(gathered);
            };
            progress.alive();
            let came_empty = claim.entries.is_empty();
            gathered.add(claim);
            if gathered.ballots() == 0 {
                return Ok(gathered);
            }
            let now = Instant::now();
            let max_wait = worker.options.max_wait.min(FAR);
            let deadline = *deadline.get_or_insert(now + max_wait);
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
