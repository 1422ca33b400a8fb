//! Traces of single ballots: from the request that casts the ballot, over the log, to the commit.
//!
//! The spans are spans of `tracing`, with the target [`TARGET`] and the level TRACE. They exist only for what is
//! traced. Nothing is traced unless the process has [installed](install) a [`Tracer`], which connects the spans to
//! the service that collects the traces. This crate knows no such service.
//!
//! No span contains a voter, a choice or a secret.

mod follow;

use std::{fmt, sync::OnceLock};

use tracing::Span;

pub(crate) use self::follow::{Followed, failed, send_span, tell_flush};

/// The target of all spans of this crate.
pub const TARGET: &str = "voting::traces";

/// The facts that a span needs to be a child of another span, which may be in another process, as in W3C Trace
/// Context. The other span is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
}

impl TraceContext {
    /// A context of a trace id and a span id, both big-endian. `None` if either is zero, since zero is not a valid
    /// id.
    pub fn new(trace: [u8; 16], span: [u8; 8]) -> Option<Self> {
        let names = trace.iter().any(|byte| *byte != 0) && span.iter().any(|byte| *byte != 0);
        names.then_some(Self { trace, span })
    }

    /// The id of the trace.
    pub fn trace_id(self) -> [u8; 16] {
        self.trace
    }

    /// The id of the span.
    pub fn span_id(self) -> [u8; 8] {
        self.span
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (
            u128::from_be_bytes(self.trace),
            u64::from_be_bytes(self.span),
        );
        write!(f, "{trace:032x}-{span:016x}")
    }
}

/// Whether a request is traced, and as a part of which trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// The request is not traced.
    No,
    /// The request is traced, and begins a trace.
    Root,
    /// The request is traced, as a part of this trace.
    Child(TraceContext),
}

/// Decides what is traced, and connects spans of `tracing` to the traces that the process sends.
///
/// None of these methods may block.
pub trait Tracer: Send + Sync {
    /// Decides whether a request is traced. `traceparent` is the header of this name, unchanged, so any client may
    /// have written it.
    fn begin(&self, traceparent: Option<&str>) -> Begin;

    /// The context for a child of this span; `None` if the span is not recorded.
    fn context_of(&self, span: &Span) -> Option<TraceContext>;

    /// Makes a span a child of another one. The span has not been entered yet.
    fn set_parent(&self, span: &Span, parent: TraceContext);

    /// Renames a span whose name is known only later. The span may have begun.
    fn rename(&self, span: &Span, name: String);

    /// Adds a link from a span to another one.
    fn link(&self, span: &Span, other: TraceContext);
}

static TRACER: OnceLock<Box<dyn Tracer>> = OnceLock::new();

/// The process has a tracer already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is a tracer already")]
pub struct AlreadyInstalled;

/// Installs the tracer of the process. It is used until the process ends.
///
/// # Errors
/// The process has a tracer already.
pub fn install(tracer: Box<dyn Tracer>) -> Result<(), AlreadyInstalled> {
    TRACER.set(tracer).map_err(|_| AlreadyInstalled)
}

/// The tracer of the process, if there is one.
pub fn installed() -> Option<&'static dyn Tracer> {
    TRACER.get().map(Box::as_ref)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_names_no_trace_and_no_span() {
        assert!(TraceContext::new([0; 16], [1; 8]).is_none());
        assert!(TraceContext::new([1; 16], [0; 8]).is_none());
        let context = TraceContext::new([0xab; 16], [0x01; 8]).unwrap();
        let shown = "abababababababababababababababab-0101010101010101";
        assert_eq!(format!("{context:?}"), shown);
    }
}
