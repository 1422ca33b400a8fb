//! What a service tells Prometheus, at `/metrics`. Names begin with `voting_` and end with their
//! unit; no label ever names a voter.

use std::{fmt, time::SystemTime};

use poem::{Endpoint, Response, http::StatusCode};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
        info::Info,
    },
    registry::Registry,
};
use voting_core::CastError;

use crate::health::Health;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The vote service's.
#[derive(Clone, Default)]
pub(crate) struct CastMetrics {
    casts: Family<Outcome, Counter>,
    seconds: CastSeconds,
}

/// A histogram has no buckets by itself.
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
        // From 0 on: of a counter that begins with its first refusal no growth could be seen.
        for outcome in OutcomeName::ALL {
            drop(casts.get_or_create(&Outcome { outcome }));
        }
        registry.register(
            "voting_casts",
            "Ballots handed to the log, by outcome; and those that were not, since their voter could not be said \
             (unidentified) or the log is of another secret (foreign-secret). What is refused for other reasons is not \
             among them",
            casts,
        );
        registry.register(
            "voting_cast_duration_seconds",
            "From a valid ballot to the log's answer",
            seconds,
        );
        registry.register(
            "voting_foreign_secret",
            "1 while the log is held to another secret than this service has, and takes no ballots from it",
            foreign.clone(),
        );
    }

    /// A ballot whose voter's cookie does not say who it is.
    pub(crate) fn unidentified(&self) {
        self.count(OutcomeName::Unidentified);
    }

    /// A ballot that this service may not take: the log is of another secret.
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

/// The result service's.
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

/// What every service tells of itself.
pub(crate) struct Common {
    health: Health,
    ready: Gauge,
    started: f64,
}

impl Common {
    /// Of a service that starts now.
    pub(crate) fn new(health: Health) -> Self {
        Self {
            health,
            ready: Gauge::default(),
            started: unix_seconds(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "voting_build",
            "The version of the program",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register(
            "process_start_time_seconds",
            "When the service started, in seconds since 1970",
            ConstGauge::new(self.started),
        );
        registry.register(
            "voting_ready",
            "1 if the service is ready for requests, else 0",
            self.ready.clone(),
        );
    }

    /// Finds out what is true now.
    pub(crate) async fn refresh(&self) {
        self.ready.set(self.health.is_ready().await.into());
    }
}

pub(crate) fn unix_seconds() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// Serves a registry.
pub(crate) struct Metrics {
    common: Common,
    registry: Registry,
}

impl Metrics {
    pub(crate) fn new(health: Health, fill: impl FnOnce(&mut Registry)) -> Self {
        let (common, mut registry) = (Common::new(health), Registry::default());
        common.register(&mut registry);
        fill(&mut registry);
        Self { common, registry }
    }
}

/// The registry in the format that Prometheus reads.
pub(crate) fn encode(registry: &Registry) -> Response {
    let mut body = String::new();
    match text::encode(&mut body, registry) {
        Ok(()) => Response::builder().content_type(CONTENT_TYPE).body(body),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into(),
    }
}

impl Endpoint for Metrics {
    type Output = Response;

    async fn call(&self, _: poem::Request) -> poem::Result<Response> {
        self.common.refresh().await;
        Ok(encode(&self.registry))
    }
}
