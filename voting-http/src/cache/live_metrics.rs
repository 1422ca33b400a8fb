//! What the result service tells Prometheus of its tallies.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// Who watches, and how often the store is asked.
#[derive(Clone, Default)]
pub(crate) struct LiveMetrics {
    /// Event streams that are open.
    pub(crate) viewers: Gauge,
    /// Times that the store was asked for a tally.
    pub(crate) look_ups: Counter,
    /// Times that there was no answer.
    pub(crate) failed_look_ups: Counter,
}

impl LiveMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let (viewers, look_ups) = (self.viewers.clone(), self.look_ups.clone());
        registry.register("voting_viewers", "Open event streams", viewers);
        registry.register(
            "voting_tally_look_ups",
            "Times that the store was asked for a tally",
            look_ups,
        );
        registry.register(
            "voting_tally_look_up_failures",
            "Times that the tally could not be read; viewers are told since when it stands still",
            self.failed_look_ups.clone(),
        );
    }
}
