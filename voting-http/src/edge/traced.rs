//! Traces requests, by the OpenTelemetry conventions for HTTP: see [`voting_core::trace`]. A span contains the route,
//! never a path or an address. So nothing that a client sends gets into a trace, except a known method.

use poem::{PathPattern, Request, Response, http::Method};
use tracing::{Span, field::Empty, trace_span};
use voting_core::trace::{self, Begin, TARGET};

use crate::edge::single;

/// A request that is traced.
pub(crate) struct Followed {
    span: Span,
    method: &'static str,
}

impl Followed {
    /// Begins a span. `None` for most requests, which are not traced.
    pub(crate) fn begin(request: &Request) -> Option<Self> {
        let tracer = trace::installed()?;
        if is_routine(request.uri().path()) {
            return None;
        }
        let begun = tracer.begin(single::only(request.headers(), "traceparent"));
        if begun == Begin::No {
            return None;
        }
        let method = known(request.method());
        let span = trace_span!(
            target: TARGET,
            parent: None,
            "request",
            otel.name = method,
            otel.kind = "server",
            otel.status_code = Empty,
            error.type = Empty,
            http.request.method = method,
            http.route = Empty,
            http.response.status_code = Empty,
        );
        if let Begin::Child(parent) = begun {
            tracer.set_parent(&span, parent);
        }
        Some(Self { span, method })
    }

    /// The span in which the request is handled.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(crate) fn end(self, answer: &Response) {
        let Self { span, method } = self;
        let status = answer.status();
        if let Some(PathPattern(pattern)) = answer.data() {
            let route = template(pattern);
            if let Some(tracer) = trace::installed() {
                tracer.rename(&span, format!("{method} {route}"));
            }
            span.record("http.route", route);
        }
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", status.as_str());
        }
        span.in_scope(|| tracing::debug!(status = status.as_u16(), "answered a traced request"));
    }
}

/// Whether the path is one that machines request regularly, or a part of a page.
fn is_routine(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics" | "/openapi.json")
        || path.starts_with("/assets/")
        || path.starts_with("/docs")
}

fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "_OTHER",
    }
}

/// A route as OpenAPI writes it: `/polls/{poll}`. The API's routes know their parameters by number only.
fn template(pattern: &str) -> String {
    let parts = pattern.split('/').map(|part| match part.strip_prefix(':') {
        Some(name) if name.starts_with("param") => "{id}".to_owned(),
        Some(name) => format!("{{{name}}}"),
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_names_its_parameters() {
        assert_eq!(template("/polls/:poll"), "/polls/{poll}");
        let route = template("/v1/polls/:param0/ballot");
        assert_eq!(route, "/v1/polls/{id}/ballot");
    }

    #[test]
    fn a_method_that_a_client_made_up_is_not_told() {
        let made_up = Method::from_bytes(b"VOTER-0123456789").expect("a method");
        assert_eq!(known(&made_up), "_OTHER");
    }
}
