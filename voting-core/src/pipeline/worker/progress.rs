//! What a worker has done so far, for status pages, metrics and watchdogs.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::sync::watch;

use crate::store::outcome::FlushReport;

/// What one worker has done since it started.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Batches flushed and acknowledged.
    pub batches: u64,
    /// The reports of all flushes, added up. A flush whose answer was lost is told as replayed by
    /// the next attempt, so for exact numbers ask [`totals`](crate::BatchFlusher::totals).
    pub flushed: FlushReport,
    /// When a batch was last acknowledged, or, while none is in hand, a claim last came back, with or
    /// without entries. It stands still while a store fails.
    pub alive_at: Instant,
    /// The error that the worker is waiting out, if any.
    pub trouble: Option<String>,
}

/// Reads the [`Progress`] of a running worker.
pub type ProgressWatch = watch::Receiver<Progress>;

pub(super) struct ProgressSender {
    watch: watch::Sender<Progress>,
    /// Batches that are gathered and not yet acknowledged.
    in_hand: AtomicUsize,
    /// By what cannot be done.
    troubles: Mutex<BTreeMap<&'static str, String>>,
}

pub(super) fn channel() -> (ProgressSender, ProgressWatch) {
    let (sender, receiver) = watch::channel(Progress {
        batches: 0,
        flushed: FlushReport::default(),
        alive_at: Instant::now(),
        trouble: None,
    });
    let sender = ProgressSender {
        watch: sender,
        in_hand: AtomicUsize::new(0),
        troubles: Mutex::default(),
    };
    (sender, receiver)
}

impl ProgressSender {
    /// A claim came back. That is a sign of life only if no batch is stuck.
    pub(super) fn claimed(&self) {
        if self.in_hand.load(Ordering::Acquire) == 0 {
            self.watch
                .send_modify(|progress| progress.alive_at = Instant::now());
        }
    }

    /// What cannot be done, or can again. Whether that is another trouble than before.
    pub(super) fn trouble(&self, what: &'static str, trouble: Option<String>) -> bool {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let is_another = troubles.get(what) != trouble.as_ref();
        match trouble {
            Some(trouble) => _ = troubles.insert(what, trouble),
            None => _ = troubles.remove(what),
        }
        let all: Vec<_> = troubles.values().map(String::as_str).collect();
        let all = (!all.is_empty()).then(|| all.join("; "));
        self.watch.send_modify(|progress| progress.trouble = all);
        is_another
    }

    pub(super) fn batch_begun(&self) {
        self.in_hand.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn batch_done(&self, report: FlushReport) {
        self.in_hand.fetch_sub(1, Ordering::AcqRel);
        self.watch.send_modify(|progress| {
            progress.batches += 1;
            progress.flushed.counted += report.counted;
            progress.flushed.superseded += report.superseded;
            progress.flushed.rejected += report.rejected;
            progress.flushed.already_applied += report.already_applied;
            progress.alive_at = Instant::now();
        });
    }
}
