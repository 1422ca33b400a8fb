//! The counts so far, which can be read during the load.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many ballots had which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Ballots that were to be sent by now, sent or not.
    pub due: u64,
    /// Ballots that the service has acknowledged.
    pub acknowledged: u64,
    /// Ballots without an answer, or whose answer says that the outcome is unknown. They may count.
    pub unknown: u64,
    /// Ballots that the service has refused. They must not count.
    pub refused: u64,
    /// Ballots that were not sent, since no service could be reached. They must not count.
    pub unreachable: u64,
    /// Ballots with an answer that no working service gives. They may count.
    pub unexpected: u64,
    /// Acknowledged ballots whose place in the log is before the place of an earlier one: the earlier ballot of the
    /// same voter was acknowledged before this one was sent. The older ballot would count.
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
    /// Ballots with an outcome, which may be unknown.
    pub fn ended(&self) -> u64 {
        self.acknowledged + self.unknown + self.refused + self.unreachable + self.unexpected
    }

    /// Ballots that were due and never sent, since the load ended before there was a free connection. During the
    /// load, this includes ballots in flight.
    pub fn missed(&self) -> u64 {
        self.due.saturating_sub(self.ended())
    }
}
