//! The first step: takes entries from the log, by count or by time, and checks them.

use std::time::Duration;

use tokio::{sync::mpsc, time::Instant};

use super::{
    Shared, SignedOnly,
    prepare::{Gathered, prepare},
    retry::{GaveUp, Retry},
    unsigned::settle,
};
use crate::store::{batch::Batch, unsigned::UnsignedUntil};

/// How long one claim waits for a first entry. A claim must not be dropped before it returns, so the worker may notice
/// a stop only after this time.
const CLAIM_WAIT: Duration = Duration::from_millis(200);

/// The longest wait: a clock cannot add much more, and longer waits would make no difference.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// A batch, and the entries from which it was made.
pub(super) struct Prepared {
    pub(super) gathered: Gathered,
    pub(super) batch: Batch,
}

/// Makes batches until the worker is asked to stop and the log is empty.
pub(super) async fn run(
    worker: &Shared,
    mut retry: Retry,
    batches: mpsc::Sender<Prepared>,
) -> Result<(), GaveUp> {
    let unsigned = match &worker.signed_only {
        Some(SignedOnly { log, store }) => {
            let settle = || settle(log, store);
            let what = "find out which entries must be signed";
            Some(retry.until_done(what, &worker.progress, settle).await?)
        }
        None => None,
    };
    loop {
        // Checked before the claim, so that ballots that were cast before the stop are still claimed.
        let stopping = retry.stopping();
        let mut gathered = gather(worker, unsigned.as_ref(), &mut retry).await?;
        if gathered.ballots() == 0 {
            if stopping {
                return Ok(());
            }
            continue;
        }
        worker
            .polls
            .look_up(&worker.progress, &mut retry, &mut gathered)
            .await?;
        worker.ask_rule(&mut retry, &mut gathered).await?;
        let batch = prepare(&gathered, &worker.polls.known());
        worker.progress.batch_begun();
        worker.pace.begins();
        let prepared = Prepared { gathered, batch };
        if batches.send(prepared).await.is_err() {
            // The next step has ended, and returns the reason.
            return Ok(());
        }
    }
}

/// Takes entries until there are enough, until the first entry has waited long enough, or while the store has little to
/// do. If the worker was asked to stop, also returns when there are no more entries.
async fn gather(
    worker: &Shared,
    unsigned: Option<&UnsignedUntil>,
    retry: &mut Retry,
) -> Result<Gathered, GaveUp> {
    let (options, progress) = (&worker.options, &worker.progress);
    let mut gathered = Gathered::default();
    // When the first entry came, and until when more are gathered.
    let (mut first, mut until) = (None, Instant::now());
    loop {
        let stopping = retry.stopping();
        if stopping && !retry.draining() {
            return Ok(gathered);
        }
        let wait = match first {
            _ if stopping => Duration::ZERO,
            None => CLAIM_WAIT,
            Some(_) => CLAIM_WAIT.min(until - Instant::now()),
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
            // The entries that are already claimed do not wait until the log works again.
            return Ok(gathered);
        };
        progress.claimed();
        let came_empty = claim.entries.is_empty();
        if let Some(key) = gathered.add(claim, &worker.keys, unsigned) {
            worker.lacks_key(key);
        }
        if gathered.ballots() == 0 {
            return Ok(gathered);
        }
        let first = *first.get_or_insert_with(Instant::now);
        let [earliest, latest] =
            [options.min_wait, options.max_wait].map(|wait| first + wait.min(FAR));
        let full = gathered.ballots() >= options.max_ballots;
        if full || (stopping && came_empty) {
            return Ok(gathered);
        }
        match worker.pace.gathers_until(earliest, latest) {
            Some(time) => until = time,
            // While it stops, the worker takes all that is there.
            None if stopping && Instant::now() < latest => {}
            None => return Ok(gathered),
        }
    }
}
