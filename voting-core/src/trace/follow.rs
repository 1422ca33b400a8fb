//! The spans of the pipeline, by the OpenTelemetry conventions for messages: a ballot is sent to the log, and a
//! worker processes it together with others in one flush.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering},
};

use tracing::{Span, field::Empty, trace_span};

use super::{TARGET, installed};
use crate::log::entry_context;
use crate::{
    error::{StoreError, in_one_line},
    log::claim::LogEntry,
    model::position::{Position, ShardId},
    store::{batch::Batch, outcome::Flushed},
};

/// A span for sending a ballot, below the current span. It is disabled if the current span is not traced.
pub(crate) fn send_span(shard: ShardId) -> Span {
    let Some(tracer) = installed() else {
        return Span::none();
    };
    let request = Span::current();
    if request.is_disabled() || tracer.context_of(&request).is_none() {
        return Span::none();
    }
    trace_span!(
        target: TARGET,
        "send",
        otel.name = "send ballots",
        otel.kind = "producer",
        otel.status_code = Empty,
        error.type = Empty,
        messaging.system = "voting",
        messaging.destination.name = "ballots",
        messaging.destination.partition.id = %shard,
        messaging.operation.name = "send",
        messaging.operation.type = "send",
        messaging.message.id = Empty,
        voting.entry.ballots = Empty,
    )
}

/// The traced ballots of a batch.
#[derive(Default)]
pub(crate) struct Followed {
    ballots: Vec<(Position, Span)>,
    attempts: AtomicU32,
}

impl Followed {
    /// Adds the traced ballots of an entry that the worker has claimed. Trace data that cannot be read is ignored.
    pub(crate) fn add(&mut self, entry: &LogEntry) {
        if entry.traces.is_empty() {
            return;
        }
        let Some(tracer) = installed() else {
            return;
        };
        for (index, context) in entry_context::decode(&entry.traces) {
            let span = trace_span!(
                target: TARGET,
                parent: None,
                "process",
                otel.name = "process ballots",
                otel.kind = "consumer",
                otel.status_code = Empty,
                error.type = Empty,
                messaging.system = "voting",
                messaging.destination.name = "ballots",
                messaging.destination.partition.id = %entry.shard,
                messaging.operation.name = "process",
                messaging.operation.type = "process",
                messaging.message.id = format!("{}-{}", entry.shard, entry.id),
            );
            tracer.set_parent(&span, context);
            let position = Position::new(entry.shard, entry.id, index);
            self.ballots.push((position, span));
        }
    }

    /// A span for one attempt to flush the batch. It is disabled if no ballot of the batch is traced. The span begins
    /// a trace of its own, since the flush is for many ballots, and it is linked with the span of each.
    pub(crate) fn flush_span(&self, batch: &Batch) -> Span {
        if self.ballots.is_empty() {
            return Span::none();
        }
        let Some(tracer) = installed() else {
            return Span::none();
        };
        let mut shards: Vec<_> = batch.entries.iter().map(|((shard, _), _)| *shard).collect();
        shards.sort_unstable();
        shards.dedup();
        let shards: Vec<_> = shards.iter().map(ShardId::to_string).collect();
        let span = trace_span!(
            target: TARGET,
            parent: None,
            "flush",
            otel.status_code = Empty,
            error.type = Empty,
            voting.batch.entries = batch.entries.len(),
            voting.batch.ballots = batch.entries.iter().map(|(_, valid)| valid).sum::<u64>(),
            voting.batch.dead_letters = batch.dead_letters.len(),
            voting.shards = shards.join(","),
            voting.attempt = self.attempts.fetch_add(1, Ordering::Relaxed) + 1,
            voting.counted = Empty,
            voting.superseded = Empty,
            voting.rejected = Empty,
            voting.replayed = Empty,
        );
        let flush = tracer.context_of(&span);
        for (_, ballot) in &self.ballots {
            if let Some(ballot) = tracer.context_of(ballot) {
                tracer.link(&span, ballot);
            }
            if let Some(flush) = flush {
                tracer.link(ballot, flush);
            }
        }
        span
    }

    /// Ends the spans after the commit of the batch. The spans of its dead letters are marked as failed.
    pub(crate) fn committed(self, batch: &Batch) {
        if self.ballots.is_empty() || batch.dead_letters.is_empty() {
            return;
        }
        let letters = batch.dead_letters.iter();
        let reasons: HashMap<_, _> = letters
            .map(|letter| (letter.position, letter.reason))
            .collect();
        for (position, span) in &self.ballots {
            if let Some(reason) = reasons.get(position) {
                failed(span, reason.as_str());
            }
        }
    }
}

/// Marks a span as failed.
pub(crate) fn failed(span: &Span, kind: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind);
}

/// Records the outcome of a flush in its span.
pub(crate) fn tell_flush(span: &Span, outcome: &Result<Flushed, StoreError>) {
    if span.is_disabled() {
        return;
    }
    match outcome {
        Ok(Flushed { report, .. }) => {
            span.record("voting.counted", report.counted);
            span.record("voting.superseded", report.superseded);
            span.record("voting.rejected", report.rejected);
            span.record("voting.replayed", report.already_applied);
        }
        Err(error) => failed(span, error.variant()),
    }
    span.in_scope(|| match outcome {
        Ok(Flushed { report, .. }) => {
            tracing::debug!(?report, "flushed a batch with traced ballots")
        }
        Err(error) => tracing::debug!(error = in_one_line(error), "could not flush the batch"),
    });
}
