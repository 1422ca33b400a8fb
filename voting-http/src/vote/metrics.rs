//! The vote service's metrics about casts.

use std::fmt;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use voting_core::CastError;

/// The outcomes of casts, and how long casts took.
#[derive(Clone, Default)]
pub(crate) struct CastMetrics {
    casts: Family<Outcome, Counter>,
    seconds: CastSeconds,
}

/// Makes the histogram, which needs its buckets.
#[derive(Clone)]
struct CastSeconds(Histogram);

impl Default for CastSeconds {
    fn default() -> Self {
        let buckets = [
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
        ];
        Self(Histogram::new(buckets))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: OutcomeName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum OutcomeName {
    Accepted,
    Closed,
    ForeignSecret,
    Overloaded,
    Refused,
    Unidentified,
    Unknown,
}

impl OutcomeName {
    const ALL: [Self; 7] = [
        Self::Accepted,
        Self::Closed,
        Self::ForeignSecret,
        Self::Overloaded,
        Self::Refused,
        Self::Unidentified,
        Self::Unknown,
    ];
}

impl EncodeLabelValue for OutcomeName {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> fmt::Result {
        let name = match self {
            Self::Accepted => "accepted",
            Self::Closed => "closed",
            Self::ForeignSecret => "foreign-secret",
            Self::Overloaded => "overloaded",
            Self::Refused => "refused",
            Self::Unidentified => "unidentified",
            Self::Unknown => "unknown",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}

impl CastMetrics {
    pub(crate) fn register(&self, registry: &mut Registry, foreign: &Gauge) {
        let (casts, seconds) = (self.casts.clone(), self.seconds.0.clone());
        // The counters begin at 0. If a counter began with its first refusal, Prometheus would see no growth.
        for outcome in OutcomeName::ALL {
            drop(casts.get_or_create(&Outcome { outcome }));
        }
        registry.register(
            "voting_casts",
            "Ballots handed to the log, by outcome. Also those not handed to it because their voter was not \
             identified (unidentified) or the log accepts another secret (foreign-secret). Ballots refused for \
             other reasons are not counted",
            casts,
        );
        registry.register(
            "voting_cast_duration_seconds",
            "Time from a valid ballot to the answer of the log",
            seconds,
        );
        registry.register(
            "voting_foreign_secret",
            "1 while the log accepts another secret than this service has, so that the service refuses ballots",
            foreign.clone(),
        );
    }

    /// Counts a ballot whose voter's cookie does not say who the voter is.
    pub(crate) fn unidentified(&self) {
        self.count(OutcomeName::Unidentified);
    }

    /// Counts a ballot that this service may not take, since the log accepts only another secret.
    pub(crate) fn foreign_secret(&self) {
        self.count(OutcomeName::ForeignSecret);
    }

    fn count(&self, outcome: OutcomeName) {
        self.casts.get_or_create(&Outcome { outcome }).inc();
    }

    pub(crate) fn cast<T>(&self, seconds: f64, outcome: &Result<T, CastError>) {
        let outcome = match outcome {
            Ok(_) => OutcomeName::Accepted,
            Err(CastError::Closed(_)) => OutcomeName::Closed,
            Err(CastError::Overloaded) => OutcomeName::Overloaded,
            Err(CastError::Unknown(_)) => OutcomeName::Unknown,
            Err(_) => OutcomeName::Refused,
        };
        self.count(outcome);
        self.seconds.0.observe(seconds);
    }
}
