//! The metrics of the live tallies.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// How many viewers there are, and how often the store is asked.
#[derive(Clone, Default)]
pub(crate) struct LiveMetrics {
    /// Event streams that are open.
    pub(crate) viewers: Gauge,
    /// Tally reads from the store.
    pub(crate) look_ups: Counter,
    /// Tally reads that failed.
    pub(crate) failed_look_ups: Counter,
}

impl LiveMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let (viewers, look_ups) = (self.viewers.clone(), self.look_ups.clone());
        registry.register("voting_viewers", "Open event streams", viewers);
        registry.register(
            "voting_tally_look_ups",
            "Tally reads from the store",
            look_ups,
        );
        registry.register(
            "voting_tally_look_up_failures",
            "Failed tally reads; until one succeeds, viewers see the last value and its time",
            self.failed_look_ups.clone(),
        );
    }
}
