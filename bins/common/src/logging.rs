//! What is logged, and how its lines are written.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{LevelFilter, ParseError, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};
use voting_core::trace::TARGET;

use crate::traces::{Traces, WithTrace};

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: an object each.
    Json,
}

/// The setting says nothing that can be logged by.
#[derive(Debug, thiserror::Error)]
#[error("log is not a level, or levels by module, such as info or info,voting_core=debug")]
pub(crate) struct BadLog(#[from] ParseError);

/// Whether it can be logged by.
pub(crate) fn check(log: &str) -> Result<(), BadLog> {
    EnvFilter::try_new(log)?;
    Ok(())
}

/// Log lines go to the standard error output, and what is followed to where its traces go.
pub(crate) fn start(log: &str, format: LogFormat, traces: Option<&Traces>) -> Result<(), BadLog> {
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .map_event_format(WithTrace)
            .boxed(),
    };
    let lines = lines.with_filter(EnvFilter::try_new(log)?);
    let spans = traces.map(|traces| {
        tracing_opentelemetry::layer()
            .with_tracer(traces.tracer())
            .with_level(false)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE))
    });
    tracing_subscriber::registry()
        .with(spans)
        .with(lines)
        .init();
    Ok(())
}
