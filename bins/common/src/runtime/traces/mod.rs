//! Traces by OTLP: sends the spans of traced requests and ballots to a collector.
//!
//! Nothing waits for the collector. A thread of its own sends the spans from a queue. Spans are dropped if the queue is
//! full or if they cannot be delivered.

mod deliver;
mod lines;
mod traceparent;
mod tracer;

use std::{process, time::Duration};

use gethostname::gethostname;
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use voting_core::trace::install;

pub(crate) use self::lines::WithTrace;
use self::{deliver::Deliverer, tracer::Tracer};
use crate::settings::config::TraceSettings;

/// How long the collector may take to accept a batch of spans.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long a process that ends waits for the collector to accept the remaining spans.
const LAST: Duration = Duration::from_secs(2);

/// The sender of spans.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Starts to send the spans of the program with this name, if the settings give an address.
    pub(crate) fn start(
        program: &str,
        settings: &TraceSettings,
    ) -> Result<Option<Self>, ExporterBuildError> {
        let Some(endpoint) = &settings.endpoint else {
            return Ok(None);
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Deliverer::new(TIMEOUT))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(TIMEOUT)
            .build()?;
        let host = gethostname().to_string_lossy().into_owned();
        let instance = format!("{host}-{}", process::id());
        let resource = Resource::builder()
            .with_service_name(program.to_owned())
            .with_attributes([
                KeyValue::new("service.namespace", "voting"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", instance),
                KeyValue::new("host.name", host),
            ])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            // Spans are made only for traced requests and ballots, so all of them are sent.
            .with_sampler(Sampler::AlwaysOn)
            .with_batch_exporter(exporter)
            .build();
        let tracer = Tracer::new(settings.sample_ratio, settings.trust_traceparent);
        if install(Box::new(tracer)).is_err() {
            tracing::error!("traces were started twice");
        }
        Ok(Some(Self { provider }))
    }

    /// The tracer to which the spans go.
    pub(crate) fn tracer(&self) -> SdkTracer {
        self.provider.tracer("voting")
    }

    /// Sends the remaining spans, if the collector accepts them soon.
    pub(crate) fn finish(self) {
        // A failure is logged where it occurs.
        let _ = self.provider.shutdown_with_timeout(LAST);
    }
}
