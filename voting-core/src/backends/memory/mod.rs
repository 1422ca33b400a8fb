//! A back end in memory: the whole pipeline without a file or a server, for tests, demos and
//! embedding where nothing needs to outlive the process.
//!
//! It keeps all promises but one: "durable" lasts as long as the process.

mod log;
mod store;
mod webhook_tables;
mod webhooks;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use self::log::MemoryQueue;
use self::{log::Log, store::Store};
use crate::{
    backends::embedded::Arrivals,
    model::secrets::LogSecrets,
    pipeline::group_commit::{GroupCommit, GroupCommitOptions},
};

/// How a [`Memory`] is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryOptions {
    /// The shards of the log, at least one. Default: 1.
    pub shards: u16,
    /// After this time without an acknowledgement an entry is handed out again. Default: 30 s.
    pub claim_timeout: Duration,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            shards: 1,
            claim_timeout: Duration::from_secs(30),
        }
    }
}

/// The log and the store, in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    log: Mutex<Log>,
    arrivals: Arrivals,
    store: Mutex<Store>,
    /// To which the log is held.
    secrets: Mutex<LogSecrets>,
    shards: u16,
}

impl Default for Inner {
    fn default() -> Self {
        Self::new(MemoryOptions::default())
    }
}

impl Inner {
    fn new(options: MemoryOptions) -> Self {
        let shards = options.shards.max(1);
        Self {
            log: Mutex::new(Log::new(shards, options.claim_timeout)),
            arrivals: Arrivals::default(),
            store: Mutex::default(),
            secrets: Mutex::default(),
            shards,
        }
    }
}

impl Memory {
    /// An empty back end.
    pub fn new(options: MemoryOptions) -> Self {
        Self(Arc::new(Inner::new(options)))
    }

    /// A sink that writes to the log. Call it within a tokio runtime.
    pub fn sink(&self) -> GroupCommit {
        GroupCommit::new(Arc::new(self.clone()), GroupCommitOptions::default())
    }

    /// A reading end of the log.
    pub fn queue(&self) -> MemoryQueue {
        MemoryQueue(self.clone())
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // No code panics between two changes that belong together, so a poisoned lock is sound.
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
