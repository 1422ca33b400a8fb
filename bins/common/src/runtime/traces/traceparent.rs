//! The header `traceparent`, as defined by W3C Trace Context (level 1, 2021).

use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use voting_core::trace::TraceContext;

const NAME: &str = "traceparent";

/// The lengths of the version, the trace id, the span id and the flags.
const LENGTHS: [usize; 4] = [2, 32, 16, 2];

/// The caller's span, and whether it is recorded; `None` if the header is not valid.
pub(super) fn read(header: &str) -> Option<(TraceContext, bool)> {
    if !is_well_formed(header) {
        return None;
    }
    let context =
        TraceContextPropagator::new().extract_with_context(&Context::new(), &Only(header));
    let span = context.span();
    let caller = span.span_context();
    // An id that consists of zeros is not valid.
    let (trace, span) = (caller.trace_id().to_bytes(), caller.span_id().to_bytes());
    Some((TraceContext::new(trace, span)?, caller.is_sampled()))
}

/// The propagator also accepts shorter fields, signs, and a dash at the end. The standard does not allow them.
fn is_well_formed(header: &str) -> bool {
    let is_allowed = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
    let lengths: Vec<usize> = header.split('-').map(str::len).collect();
    // Later versions may have further fields behind the flags.
    let is_whole = lengths.len() == LENGTHS.len() || !header.starts_with("00-");
    let fields = header.bytes().take(LENGTHS.iter().sum::<usize>() + 3);
    lengths.starts_with(&LENGTHS) && is_whole && fields.into_iter().all(is_allowed)
}

/// The one header of a request.
struct Only<'a>(&'a str);

impl Extractor for Only<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        (name == NAME).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![NAME]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_read_from_the_header() {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let (context, sampled) = read(header).unwrap();
        assert_eq!(
            format!("00-{context:?}-01"),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        );
        assert!(sampled);
        assert!(!read(&header.replace("-01", "-02")).unwrap().1);
        assert!(read(&header.replacen("00", "cc", 1).replace("-01", "-01-what")).is_some());
    }

    #[test]
    fn what_is_no_such_header_is_passed_over() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        for bad in [
            "",
            "00",
            zero,
            &good[..54],
            &good.to_uppercase(),
            &good.replacen("00", "ff", 1),
            &format!("{good}-more"),
            &good.replace("-01", "-1"),
            &good.replace("-01", "-+1"),
            &good.replacen("-4", "-+", 1),
            &good.replacen("-4bf9", "-", 1),
            &format!("{good}-"),
            &format!(" {good}"),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
