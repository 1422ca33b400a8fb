//! The metrics of a service, at `/metrics`. Names begin with `voting_` and end with their unit; no label ever names a
//! voter.

use std::time::SystemTime;

use poem::{Endpoint, Response, http::StatusCode};
use prometheus_client::{
    encoding::text,
    metrics::{
        gauge::{ConstGauge, Gauge},
        info::Info,
    },
    registry::Registry,
};

use crate::server::health::Health;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics that every service has.
pub(crate) struct Common {
    health: Health,
    ready: Gauge,
    started: f64,
}

impl Common {
    /// The metrics of a service that starts now.
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

    /// Updates the values that change without an event.
    pub(crate) async fn refresh(&self) {
        self.ready.set(self.health.is_ready().await.into());
    }
}

pub(crate) fn unix_seconds() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// Serves the metrics of a registry.
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

/// The registry in the text format that Prometheus reads.
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
