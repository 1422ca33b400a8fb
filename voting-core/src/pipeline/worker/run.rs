//! The worker's loop has three steps, and each step works on a different batch. While the store commits one batch, the
//! next batch is gathered and checked, and the batch before is acknowledged.

use std::collections::HashSet;

use tokio::{sync::mpsc, try_join};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    Shared, Worker, WorkerExit,
    gather::{self, Prepared},
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
) -> WorkerExit {
    let stop = Stop::new(stop);
    let retry = || Retry::new(&worker.options, stop.clone());
    let [gathering, flushing, acknowledging] = [retry(), retry(), retry()];
    let worker = Shared {
        queue: worker.queue,
        flusher: worker.flusher,
        polls: Polls::new(worker.polls),
        rule: worker.rule,
        hook: worker.hook,
        keys: worker.keys,
        signed_only: worker.signed_only,
        options: worker.options,
        progress,
    };
    // At most one batch waits between two steps: the log hands out again what a worker holds for too long.
    let (prepared, to_flush) = mpsc::channel(1);
    let (flushed, to_acknowledge) = mpsc::channel(1);
    let steps = try_join!(
        gather::run(&worker, gathering, prepared),
        flush(&worker, flushing, to_flush, flushed),
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
    mut batches: mpsc::Receiver<Prepared>,
    flushed: mpsc::Sender<Done>,
) -> Result<(), GaveUp> {
    while let Some(Prepared { gathered, batch }) = batches.recv().await {
        let (mut gathered, mut batch) = (gathered, batch);
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
    Ok(())
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
