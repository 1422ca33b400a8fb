//! The worker's loop has three steps, and each step works on a different batch. While the store commits one batch, the
//! next batch is gathered and checked, and the batch before is acknowledged. Several batches may be flushed at a time:
//! to the store, these flushes are like those of several workers.

use std::{collections::HashSet, sync::Arc};

use futures_util::future::try_join_all;
use tokio::{
    sync::{Mutex, Notify, mpsc},
    time::Instant,
    try_join,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    Shared, Worker, WorkerExit,
    gather::{self, Prepared},
    pace::Pace,
    polls::Polls,
    prepare::prepare,
    progress::ProgressSender,
    retry::{GaveUp, Retry, Stop},
};
use crate::{
    error::StoreError,
    model::position::EntryKey,
    store::{
        batch::Batch,
        outcome::{FlushReport, Flushed},
    },
    trace::{Followed, tell_flush},
};

/// A batch that is flushed.
struct Done {
    entries: Vec<EntryKey>,
    report: FlushReport,
}

pub(super) async fn run(
    worker: Worker,
    progress: ProgressSender,
    stop: CancellationToken,
    again: Arc<Notify>,
) -> WorkerExit {
    let stop = Stop::new(stop);
    let retry = || Retry::new(&worker.options, stop.clone(), Arc::clone(&again));
    let [gathering, acknowledging] = [retry(), retry()];
    // A hook is told of the batches in the order of their commits.
    let flushes = match worker.hook {
        Some(_) => 1,
        None => worker.options.flushes.max(1),
    };
    let flushing: Vec<_> = (0..flushes).map(|_| retry()).collect();
    let worker = Shared {
        queue: worker.queue,
        flusher: worker.flusher,
        polls: Polls::new(worker.polls),
        rule: worker.rule,
        hook: worker.hook,
        keys: worker.keys,
        signed_only: worker.signed_only,
        options: worker.options,
        pace: Pace::new(),
        progress,
    };
    // At most one batch waits between two steps: the log hands out again what a worker holds for too long.
    let (prepared, to_flush) = mpsc::channel(1);
    let (flushed, to_acknowledge) = mpsc::channel(1);
    let to_flush = Mutex::new(to_flush);
    let flushes = flushing
        .into_iter()
        .map(|retry| flush(&worker, retry, &to_flush, flushed.clone()));
    let flushes: Vec<_> = flushes.collect();
    // The last step ends when all flushes have ended.
    drop(flushed);
    let steps = try_join!(
        gather::run(&worker, gathering, prepared),
        try_join_all(flushes),
        acknowledge(&worker, acknowledging, to_acknowledge),
    );
    match steps {
        Ok(_) => WorkerExit::Clean,
        Err(GaveUp) => WorkerExit::Unfinished,
    }
}

async fn flush(
    worker: &Shared,
    mut retry: Retry,
    batches: &Mutex<mpsc::Receiver<Prepared>>,
    flushed: mpsc::Sender<Done>,
) -> Result<(), GaveUp> {
    loop {
        let next = batches.lock().await.recv().await;
        let Some(Prepared {
            mut gathered,
            mut batch,
        }) = next
        else {
            return Ok(());
        };
        let begun = Instant::now();
        let mut changed = HashSet::new();
        let flushed_now = loop {
            match flush_one(worker, &mut retry, &batch, &gathered.followed).await? {
                Ok(flushed) => break flushed,
                Err(poll) => {
                    worker.polls.forget(&poll);
                    // Each poll of a batch may have changed once: it has closed, for example. If one changes again,
                    // pause before the next attempt.
                    if !changed.insert(poll.clone()) {
                        let again = StoreError::PollChanged(poll);
                        retry.wait_out("flush", &again, &worker.progress).await?;
                    }
                }
            }
            worker
                .polls
                .look_up(&worker.progress, &mut retry, &mut gathered)
                .await?;
            worker.ask_rule(&mut retry, &mut gathered).await?;
            batch = prepare(&gathered, &worker.polls.known());
        };
        worker.pace.ended(begun.elapsed());
        if let Some(hook) = &worker.hook {
            hook.flushed(&flushed_now);
        }
        // Before waiting for the next step.
        std::mem::take(&mut gathered.followed).committed(&batch);
        let entries = batch.entries.iter().map(|(key, _)| *key).collect();
        let done = Done {
            entries,
            report: flushed_now.report,
        };
        if flushed.send(done).await.is_err() {
            return Ok(());
        }
    }
}

/// Flushes a batch, or returns the poll that has changed since it was looked up.
async fn flush_one(
    worker: &Shared,
    retry: &mut Retry,
    batch: &Batch,
    followed: &Followed,
) -> Result<Result<Flushed, crate::PollId>, GaveUp> {
    retry
        .until_done("flush", &worker.progress, || async {
            let span = followed.flush_span(batch);
            let flushed = worker.flusher.flush(batch).instrument(span.clone()).await;
            tell_flush(&span, &flushed);
            match flushed {
                Ok(flushed) => Ok(Ok(flushed)),
                // Waiting does not help here, but looking up the poll does.
                Err(StoreError::PollChanged(poll)) => Ok(Err(poll)),
                Err(error) => Err(error),
            }
        })
        .await
}

/// Acknowledges entries after their flush: a ballot leaves the log only when the store has it.
async fn acknowledge(
    worker: &Shared,
    mut retry: Retry,
    mut batches: mpsc::Receiver<Done>,
) -> Result<(), GaveUp> {
    while let Some(Done { entries, report }) = batches.recv().await {
        retry
            .until_done("acknowledge", &worker.progress, || {
                worker.queue.acknowledge(&entries)
            })
            .await?;
        worker.progress.batch_done(report);
        tracing::debug!(entries = entries.len(), ?report, "flushed");
        if report.rejected > 0 {
            tracing::warn!(
                rejected = report.rejected,
                "ballots went to the dead letters"
            );
        }
    }
    Ok(())
}
