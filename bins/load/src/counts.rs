//! What has happened so far, readable while it happens.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many ballots met which fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Ballots that were to be sent by now, sent or not.
    pub due: u64,
    /// The service has said that the ballot is stored.
    pub acknowledged: u64,
    /// No answer, or one that says that the outcome is unknown: the ballot may count.
    pub unknown: u64,
    /// The service has said that the ballot is not stored; it must not count.
    pub refused: u64,
    /// No service could be reached, so the ballot was not sent; it must not count.
    pub unreachable: u64,
    /// An answer that no working service gives to these ballots, which may count.
    pub unexpected: u64,
    /// Of the acknowledged: a place in the log before that of the voter's ballot that was
    /// acknowledged before this one was sent. The older one would count.
    pub disordered: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) due: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) unreachable: AtomicU64,
    pub(crate) unexpected: AtomicU64,
    pub(crate) disordered: AtomicU64,
}

pub(crate) fn up(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Counters {
    pub(crate) fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Counts {
            due: read(&self.due),
            acknowledged: read(&self.acknowledged),
            unknown: read(&self.unknown),
            refused: read(&self.refused),
            unreachable: read(&self.unreachable),
            unexpected: read(&self.unexpected),
            disordered: read(&self.disordered),
        }
    }
}

impl Counts {
    /// Ballots with an outcome, be it that it is unknown.
    pub fn ended(&self) -> u64 {
        self.acknowledged + self.unknown + self.refused + self.unreachable + self.unexpected
    }

    /// Ballots that were due and never sent: the load ended before there was a free connection.
    /// While it runs, also those in flight.
    pub fn missed(&self) -> u64 {
        self.due.saturating_sub(self.ended())
    }
}
