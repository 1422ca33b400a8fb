//! The first step: takes entries from the log, by count or by time, and checks them.

use std::time::Duration;

use tokio::{sync::mpsc, time::Instant};

use super::{
    Shared,
    prepare::{Gathered, prepare},
    retry::{GaveUp, Retry},
};
use crate::store::batch::Batch;

/// How long one claim waits for a first entry. A claim must not be dropped half-way, so this is
/// also how long a stop can take to be seen.
const CLAIM_WAIT: Duration = Duration::from_millis(200);

/// Longer waits mean the same, and a clock cannot add much more.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// A batch, and what it was made of.
pub(super) struct Prepared {
    pub(super) gathered: Gathered,
    pub(super) batch: Batch,
}

/// Makes batches until the worker is to stop and the log is empty.
pub(super) async fn run(
    worker: &Shared,
    mut retry: Retry,
    batches: mpsc::Sender<Prepared>,
) -> Result<(), GaveUp> {
    loop {
        // Looked at before the claim: what was cast before the stop is then still claimed.
        let stopping = retry.stopping();
        let mut gathered = gather(worker, &mut retry).await?;
        if gathered.ballots() == 0 {
            if stopping {
                return Ok(());
            }
            continue;
        }
        worker
            .polls
            .look_up(&worker.progress, &mut retry, &gathered)
            .await?;
        worker.ask_rule(&mut retry, &mut gathered).await?;
        let batch = prepare(&gathered, &worker.polls.known());
        worker.progress.batch_begun();
        let prepared = Prepared { gathered, batch };
        if batches.send(prepared).await.is_err() {
            // The next step has ended, and tells why.
            return Ok(());
        }
    }
}

/// Takes entries until there are enough, or the first has waited long enough, or, when the
/// worker is to stop, there are no more.
async fn gather(worker: &Shared, retry: &mut Retry) -> Result<Gathered, GaveUp> {
    let (options, progress) = (&worker.options, &worker.progress);
    let mut gathered = Gathered::default();
    let mut deadline = None;
    loop {
        let stopping = retry.stopping();
        if stopping && !retry.draining() {
            return Ok(gathered);
        }
        let wait = match deadline {
            _ if stopping => Duration::ZERO,
            None => CLAIM_WAIT,
            Some(deadline) => CLAIM_WAIT.min(deadline - Instant::now()),
        };
        let wanted = options
            .max_ballots
            .saturating_sub(gathered.ballots())
            .max(1);
        let claim = || worker.queue.claim(wanted, wait);
        let claim = if gathered.ballots() == 0 {
            retry.until_done("claim", progress, claim).await?
        } else if let Ok(claim) = claim().await {
            claim
        } else {
            // What is in hand does not wait for the log to come back.
            return Ok(gathered);
        };
        progress.claimed();
        let came_empty = claim.entries.is_empty();
        if let Some(key) = gathered.add(claim, &worker.keys) {
            worker.lacks_key(key);
        }
        if gathered.ballots() == 0 {
            return Ok(gathered);
        }
        let now = Instant::now();
        let max_wait = options.max_wait.min(FAR);
        let deadline = *deadline.get_or_insert(now + max_wait);
        let full = gathered.ballots() >= options.max_ballots;
        if full || now >= deadline || (stopping && came_empty) {
            return Ok(gathered);
        }
    }
}
