//! Adds the trace to JSON log lines that are written while a traced request or ballot is processed.
//!
//! The JSON format of `tracing-subscriber` cannot add fields. Other layers that can add them nest the fields
//! elsewhere, or do not write the journal's priority. So the two ids are inserted in front of the first field of the
//! finished object.

use opentelemetry::{Context, trace::TraceContextExt};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Adds the trace to lines that are JSON objects.
pub(crate) struct WithTrace<F>(pub(crate) F);

impl<F, S, N> FormatEvent<S, N> for WithTrace<F>
where
    F: FormatEvent<S, N>,
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let current = Context::current();
        let span = current.span();
        let followed = span.span_context();
        if !followed.is_valid() {
            return self.0.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        let Some(rest) = line.strip_prefix('{') else {
            return writer.write_str(&line);
        };
        let (trace, span) = (followed.trace_id(), followed.span_id());
        write!(
            writer,
            r#"{{"trace_id":"{trace}","span_id":"{span}",{rest}"#
        )
    }
}
