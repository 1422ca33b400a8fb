//! Decides what is traced, and connects the spans of `tracing` to the spans that are sent.

use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use voting_core::trace::{self, Begin, TraceContext};

use super::traceparent;

pub(super) struct Tracer {
    ratio: f64,
    trust_traceparent: bool,
}

impl Tracer {
    pub(super) fn new(ratio: f64, trust_traceparent: bool) -> Self {
        Self {
            ratio,
            trust_traceparent,
        }
    }
}

impl trace::Tracer for Tracer {
    fn begin(&self, traceparent: Option<&str>) -> Begin {
        let caller = traceparent.filter(|_| self.trust_traceparent);
        match caller.and_then(traceparent::read) {
            Some((context, true)) => Begin::Child(context),
            // The caller's span is not recorded, so the trace would have a gap.
            Some((_, false)) => Begin::No,
            None if fastrand::f64() < self.ratio => Begin::Root,
            None => Begin::No,
        }
    }

    fn context_of(&self, span: &Span) -> Option<TraceContext> {
        let context = span.context();
        let span = context.span();
        let context = span.span_context();
        if !context.is_sampled() {
            return None;
        }
        TraceContext::new(context.trace_id().to_bytes(), context.span_id().to_bytes())
    }

    fn set_parent(&self, span: &Span, parent: TraceContext) {
        let parent = Context::new().with_remote_span_context(of(parent));
        // This fails only for a span that is not recorded.
        let _ = span.set_parent(parent);
    }

    fn rename(&self, span: &Span, name: String) {
        span.context().span().update_name(name);
    }

    fn link(&self, span: &Span, other: TraceContext) {
        span.add_link(of(other));
    }
}

fn of(context: TraceContext) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(context.trace_id()),
        SpanId::from_bytes(context.span_id()),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    )
}

#[cfg(test)]
mod tests {
    use voting_core::trace::Tracer as _;

    use super::*;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_stranger_cannot_have_itself_followed() {
        let tracer = Tracer::new(0.0, false);
        assert_eq!(tracer.begin(Some(SAMPLED)), Begin::No);
        let tracer = Tracer::new(1.0, false);
        assert_eq!(tracer.begin(Some(SAMPLED)), Begin::Root);
    }

    #[test]
    fn a_caller_that_is_trusted_decides() {
        let tracer = Tracer::new(0.0, true);
        assert!(matches!(tracer.begin(Some(SAMPLED)), Begin::Child(_)));
        let tracer = Tracer::new(1.0, true);
        let not_sampled = SAMPLED.replace("-01", "-00");
        assert_eq!(tracer.begin(Some(&not_sampled)), Begin::No);
        assert_eq!(tracer.begin(Some("nonsense")), Begin::Root);
    }

    #[test]
    fn about_as_many_are_followed_as_is_asked_for() {
        let tracer = Tracer::new(0.1, false);
        let followed = (0..100_000).filter(|_| tracer.begin(None) == Begin::Root);
        assert!((9_000..11_000).contains(&followed.count()));
    }
}
