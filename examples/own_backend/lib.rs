//! A back end of one's own: a log and a store, held against the conformance suite by `tests/own_backend.rs`.
//!
//! It is in memory, so that what matters is easy to see: what each method promises. One of yours writes to a disk or a
//! database instead, and returns only once that has what it was given. The traits say what each method must do:
//! [`BallotLog`], [`BallotQueue`] and [`Log`] for the log, [`BatchFlusher`], [`TallyStore`], [`PollStore`] and
//! [`DeadLetterStore`] for the store.
//!
//! [`BallotLog`]: voting_core::BallotLog
//! [`BallotQueue`]: voting_core::BallotQueue
//! [`Log`]: voting_core::log::Log
//! [`BatchFlusher`]: voting_core::BatchFlusher
//! [`TallyStore`]: voting_core::TallyStore
//! [`PollStore`]: voting_core::PollStore
//! [`DeadLetterStore`]: voting_core::DeadLetterStore

mod log;
mod store;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use self::log::OwnQueue;
use self::{log::Entries, store::Tables};
use tokio::sync::Notify;

/// The log and the store. Clones share them.
#[derive(Debug, Clone)]
pub struct OwnBackend(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    entries: Mutex<Entries>,
    /// Wakes those who wait for an entry.
    arrival: Notify,
    tables: Mutex<Tables>,
}

impl OwnBackend {
    /// An empty back end that hands an entry out again after this time without an acknowledgement.
    pub fn new(claim_timeout: Duration) -> Self {
        Self(Arc::new(Inner {
            entries: Mutex::new(Entries::new(claim_timeout)),
            arrival: Notify::new(),
            tables: Mutex::default(),
        }))
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for OwnBackend {
    fn default() -> Self {
        Self::new(Duration::from_secs(30))
    }
}
