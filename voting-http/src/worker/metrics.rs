//! What the worker tells Prometheus: where all ballots are, up to a second old.

use std::{sync::atomic::AtomicU64, time::SystemTime};

use poem::{Endpoint, Request, Response};
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use super::{WorkerService, overview::Sample};
use crate::metrics::encode;

/// `GET /metrics`.
pub(super) struct Metrics(pub(super) WorkerService);

impl Endpoint for Metrics {
    type Output = Response;

    async fn call(&self, _: Request) -> poem::Result<Response> {
        let pipeline = &self.0.0.pipeline;
        let progress = pipeline.worker.progress().borrow().clone();
        let Sample { stats, totals } = self.0.0.overview.latest();
        let mut registry = Registry::default();
        let mut total = |name: &str, help: &str, value: u64| {
            let counter: Counter<u64, AtomicU64> = Counter::default();
            counter.inc_by(value);
            registry.register(name, help, counter);
        };
        total(
            "voting_batches",
            "Batches that this worker has flushed",
            progress.batches,
        );
        total(
            "voting_replayed_entries",
            "Entries that had been flushed before this worker did",
            progress.flushed.replayed,
        );
        // A store that does not answer takes only its own numbers with it.
        if let Some(stats) = &stats {
            total(
                "voting_accepted_ballots",
                "Ballots ever acknowledged to voters",
                stats.accepted,
            );
            total(
                "voting_lost_entries",
                "Log entries that were deleted before they were counted; must stay zero",
                stats.lost_entries,
            );
        }
        if let Some(totals) = totals {
            total(
                "voting_superseded_ballots",
                "Ballots whose voter has a newer one",
                totals.superseded,
            );
            total(
                "voting_rejected_ballots",
                "Ballots among the dead letters",
                totals.rejected,
            );
        }
        let mut now = |name: &str, help: &str, value: f64| {
            let gauge: Gauge<f64, AtomicU64> = Gauge::default();
            gauge.set(value);
            registry.register(name, help, gauge);
        };
        now(
            "voting_worker_idle_seconds",
            "Since this worker acknowledged a batch or, with none in hand, heard from the log",
            progress.alive_at.elapsed().as_secs_f64(),
        );
        if let Some(totals) = totals {
            now(
                "voting_counted_ballots",
                "Ballots that count",
                number(totals.counted),
            );
        }
        if let Some(stats) = &stats {
            now(
                "voting_pending_ballots",
                "Ballots not yet in the store",
                number(stats.pending),
            );
            now(
                "voting_oldest_unprocessed_timestamp_seconds",
                "When the oldest pending ballot was cast; now, when there is none",
                stats
                    .oldest_pending_ms
                    .map_or_else(unix_seconds, |ms| number(ms) / 1000.0),
            );
        }
        Ok(encode(&registry))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating-point numbers"
)]
fn number(count: u64) -> f64 {
    count as f64
}

fn unix_seconds() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
