//! Starts the log.

use std::io::IsTerminal;

use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt::{
        self,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::SubscriberExt,
    util::SubscriberInitExt,
};
use voting_core::trace::TARGET;

use crate::{
    runtime::{
        journal::{self, WithPriority},
        traces::{Traces, WithTrace},
    },
    settings::log::{BadLog, LogFormat, filter},
};

/// Starts to write log lines to the standard error output, and spans to the collector of traces.
pub(crate) fn start(log: &str, format: LogFormat, traces: Option<&Traces>) -> Result<(), BadLog> {
    let is_for_journal = journal::is_read();
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        // The journal adds the time itself.
        LogFormat::Text if is_for_journal => lines
            .with_ansi(false)
            .without_time()
            .map_event_format(|inner| WithPriority {
                inner,
                is_for_journal,
            })
            .boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        // A program that reads JSON needs whole objects, with the time and the level.
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .map_event_format(|json| WithPriority {
                inner: WithTrace(json),
                is_for_journal,
            })
            .boxed(),
    };
    let lines = lines.with_filter(filter(log)?);
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

/// Prints why the program ends, to the standard error output. With JSON, the line has the form of a log line.
pub(crate) fn complain(program: &str, why: &str, format: LogFormat) {
    let line = match format {
        LogFormat::Text => format!("{program}: {why}"),
        LogFormat::Json => object("ERROR", why, &[("program", program)]),
    };
    let priority = if journal::is_read() {
        journal::ERROR
    } else {
        ""
    };
    eprintln!("{priority}{line}");
}

/// A JSON object in the form of a log line, for messages that are printed whatever the log level is.
pub(crate) fn object(level: &str, message: &str, fields: &[(&str, &str)]) -> String {
    let mut now = String::new();
    // This cannot fail, since it writes to memory.
    let _ = SystemTime.format_time(&mut Writer::new(&mut now));
    let mut object = serde_json::Map::new();
    let first = [
        ("timestamp", now.as_str()),
        ("level", level),
        ("message", message),
    ];
    for (name, value) in first.iter().chain(fields) {
        object.insert((*name).to_owned(), (*value).into());
    }
    object.insert("target".to_owned(), "voting_service".into());
    serde_json::Value::Object(object).to_string()
}
