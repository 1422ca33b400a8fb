//! Caches, so that many readers cost as much as one: polls are kept for a second, tallies for a tick,
//! histories for some seconds.

pub(crate) mod histories;
pub(crate) mod live;
pub(crate) mod live_metrics;
pub(crate) mod polls;
pub(crate) mod sent;
