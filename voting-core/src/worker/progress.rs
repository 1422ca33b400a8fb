//! What a worker has done so far, for status pages, metrics and watchdogs.

use std::time::Instant;

use tokio::sync::watch;

use crate::batch::FlushReport;

/// What one worker has done since it started.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Batches flushed and acknowledged.
    pub batches: u64,
    /// The reports of all flushes, added up. A flush whose answer was lost is told as replayed by
    /// the next attempt, so for exact numbers ask [`totals`](crate::BatchFlusher::totals).
    pub flushed: FlushReport,
    /// When the loop last went round: a claim came back, with or without entries, or a batch was
    /// acknowledged. It stands still while a store fails.
    pub alive_at: Instant,
    /// The error that the worker is waiting out, if any.
    pub trouble: Option<String>,
}

/// Reads the [`Progress`] of a running worker.
pub type ProgressWatch = watch::Receiver<Progress>;

pub(super) struct ProgressSender(watch::Sender<Progress>);

pub(super) fn channel() -> (ProgressSender, ProgressWatch) {
    let (sender, receiver) = watch::channel(Progress {
        batches: 0,
        flushed: FlushReport::default(),
        alive_at: Instant::now(),
        trouble: None,
    });
    (ProgressSender(sender), receiver)
}

impl ProgressSender {
    pub(super) fn alive(&self) {
        self.0
            .send_modify(|progress| progress.alive_at = Instant::now());
    }

    pub(super) fn trouble(&self, trouble: Option<String>) {
        self.0.send_modify(|progress| progress.trouble = trouble);
    }

    pub(super) fn batch_done(&self, report: FlushReport) {
        self.0.send_modify(|progress| {
            progress.batches += 1;
            progress.flushed.counted += report.counted;
            progress.flushed.superseded += report.superseded;
            progress.flushed.rejected += report.rejected;
            progress.flushed.replayed += report.replayed;
            progress.alive_at = Instant::now();
        });
    }
}
