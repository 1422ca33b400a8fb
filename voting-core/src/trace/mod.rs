//! Following single ballots: from the request in which one is cast, over the log, to the commit.
//!
//! The spans are those of `tracing`, with the target [`TARGET`] and the level TRACE. They are made only
//! for what is followed, and nothing is followed unless the process has [installed](install) a [`Tracer`],
//! which ties them to whatever it sends its traces to. This crate knows none.
//!
//! No span has a voter, a choice or a secret in it.

mod follow;

use std::{fmt, sync::OnceLock};

use tracing::Span;

pub(crate) use self::follow::{Followed, failed, send_span, tell_flush};

/// The target of all spans that follow a ballot.
pub const TARGET: &str = "voting::traces";

/// What the next span must know to be a child of another, wherever that is, as in W3C Trace Context.
/// The other one is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
}

impl TraceContext {
    /// Of a trace and a span in it, big-endian; `None` if either is zero, which names none.
    pub fn new(trace: [u8; 16], span: [u8; 8]) -> Option<Self> {
        let names = trace.iter().any(|byte| *byte != 0) && span.iter().any(|byte| *byte != 0);
        names.then_some(Self { trace, span })
    }

    /// The trace.
    pub fn trace_id(self) -> [u8; 16] {
        self.trace
    }

    /// The span in it.
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

/// Whether a request is followed, and as a child of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// It is not.
    No,
    /// It is, and begins a trace.
    Root,
    /// It is, as a part of this trace.
    Child(TraceContext),
}

/// Decides what is followed, and ties spans of `tracing` to the traces that the process sends.
///
/// None of this may wait.
pub trait Tracer: Send + Sync {
    /// Whether a request is followed. `traceparent` is the header of that name, as it came: whoever
    /// sent it may be anybody.
    fn begin(&self, traceparent: Option<&str>) -> Begin;

    /// What a child of this span must know; `None` when the span is not recorded.
    fn context_of(&self, span: &Span) -> Option<TraceContext>;

    /// Makes a span, which nobody has entered yet, a child of another.
    fn set_parent(&self, span: &Span, parent: TraceContext);

    /// Gives a span, which may have begun, a name that is known only now.
    fn rename(&self, span: &Span, name: String);

    /// Says that a span has to do with another.
    fn link(&self, span: &Span, other: TraceContext);
}

static TRACER: OnceLock<Box<dyn Tracer>> = OnceLock::new();

/// The process has a tracer already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is a tracer already")]
pub struct AlreadyInstalled;

/// From now on, and until the process ends, ballots are followed as `tracer` says.
///
/// # Errors
/// There is one already.
pub fn install(tracer: Box<dyn Tracer>) -> Result<(), AlreadyInstalled> {
    TRACER.set(tracer).map_err(|_| AlreadyInstalled)
}

/// The tracer of the process, if any.
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
