//! The worker's metrics: where all ballots are. They are up to a second old.

use std::sync::atomic::AtomicU64;

use poem::{Endpoint, Request, Response};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Inner, OperatorService, overview::Sample};
use crate::{
    server::{
        health::Health,
        metrics::{Common, encode, unix_seconds},
    },
    webhooks::Webhooks,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    outcome: &'static str,
}

/// `GET /metrics`.
pub(super) struct Metrics {
    service: OperatorService,
    common: Common,
}

impl Metrics {
    pub(super) fn new(service: OperatorService, health: Health) -> Self {
        Self {
            service,
            common: Common::new(health),
        }
    }
}

/// What is known of webhooks; the numbers are up to 15 seconds old.
fn register_webhooks(registry: &mut Registry, webhooks: &Webhooks) {
    let attempts = Family::<Of, Counter<u64, AtomicU64>>::default();
    for (outcome, number) in webhooks.attempts() {
        attempts.get_or_create(&Of { outcome }).inc_by(number);
    }
    registry.register(
        "voting_webhook_attempts",
        "Messages that this worker has sent to webhooks, by outcome: delivered or failed",
        attempts,
    );
    let Some(numbers) = webhooks.numbers() else {
        return;
    };
    let states = Family::<InState, Gauge<f64, AtomicU64>>::default();
    for (state, webhooks) in [
        ("well", numbers.well),
        ("failing", numbers.failing),
        ("disabled", numbers.disabled),
    ] {
        states
            .get_or_create(&InState { state })
            .set(number(webhooks));
    }
    registry.register(
        "voting_webhooks",
        "Webhooks, by state: well, failing (the last attempt has failed) or disabled (nothing is sent)",
        states,
    );
    let waiting: Gauge<f64, AtomicU64> = Gauge::default();
    waiting.set(number(numbers.waiting));
    registry.register(
        "voting_webhook_waiting",
        "Messages that wait to be sent to webhooks that are enabled",
        waiting,
    );
}

impl Endpoint for Metrics {
    type Output = Response;

    async fn call(&self, _: Request) -> poem::Result<Response> {
        self.common.refresh().await;
        let Inner {
            pipeline, overview, ..
        } = &*self.service.0;
        let progress = pipeline.worker.progress().borrow().clone();
        let Sample {
            stats,
            totals,
            polls,
        } = overview.latest();
        let mut registry = Registry::default();
        self.common.register(&mut registry);
        self.service.0.gate.register(&mut registry);
        if let Some(webhooks) = &self.service.0.webhooks {
            register_webhooks(&mut registry, webhooks);
        }
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
            "Entries that an earlier flush had already written",
            progress.flushed.already_applied,
        );
        // If a store does not answer, only its own numbers are missing.
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
            "Time since this worker last acknowledged a batch, or last heard from the log while it had no batch",
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
                "When the oldest pending ballot was cast; the present moment if there is none",
                stats
                    .oldest_pending_ms
                    .map_or_else(unix_seconds, |ms| number(ms) / 1000.0),
            );
            if let Some(memory) = stats.memory {
                now(
                    "voting_log_memory_bytes",
                    "Memory that Redis uses and that counts towards its limit; with several servers, of the fullest",
                    number(memory.used),
                );
                if let Some(limit) = memory.limit {
                    now(
                        "voting_log_memory_limit_bytes",
                        "Memory at which that Redis refuses ballots; absent if there is no limit",
                        number(limit),
                    );
                }
            }
        }
        if let Some(polls) = polls {
            now(
                "voting_poll_overdue_seconds",
                "How long ago the most overdue poll should have closed; 0 if none is overdue",
                polls.overdue.as_secs_f64(),
            );
            let by_state: Family<InState, Gauge> = Family::default();
            for (state, polls) in [
                ("draft", polls.drafts),
                ("scheduled", polls.scheduled),
                ("open", polls.open),
                ("closing", polls.closing),
                ("final", polls.finished),
            ] {
                by_state.get_or_create(&InState { state }).set(polls);
            }
            registry.register("voting_polls", "Polls, by state", by_state);
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
