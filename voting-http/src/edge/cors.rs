//! Lets scripts of other origins use the JSON API and the event streams (the CORS protocol of the Fetch standard).
//!
//! This applies to paths below `/v1/`. Pages and forms are for the service's own origin only.

use poem::{
    Request, Response,
    http::{HeaderValue, Method, StatusCode, header},
};

use crate::{edge::single, pages::site::PublicUrl};

/// The methods that a preflight is told. If a route does not take one of them, the request itself is told so.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE");

/// A script may read this header besides those that it may always read.
const EXPOSED: HeaderValue = HeaderValue::from_static("retry-after");

/// How long a browser may keep the answer to a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins that are allowed.
#[derive(Debug, Clone)]
pub(crate) struct Cors(Vec<String>);

/// A mark on each request from a script of another, allowed origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CrossOrigin;

/// Whether a request comes from an allowed origin.
pub(crate) struct Standing {
    is_api: bool,
    /// The origin of the request, if it is allowed.
    allowed: Option<HeaderValue>,
}

impl Cors {
    /// `None` if no other origin is allowed.
    pub(crate) fn new(origins: &[PublicUrl]) -> Option<Self> {
        let origins: Vec<_> = origins.iter().map(ToString::to_string).collect();
        (!origins.is_empty()).then_some(Self(origins))
    }

    pub(crate) fn standing(&self, request: &Request) -> Standing {
        let is_api = request.uri().path().starts_with("/v1/");
        let origin = single::only(request.headers(), "origin").filter(|_| is_api);
        let allowed = origin.filter(|origin| self.0.iter().any(|allowed| allowed == origin));
        Standing {
            is_api,
            allowed: allowed.and_then(|origin| HeaderValue::from_str(origin).ok()),
        }
    }
}

impl Standing {
    pub(crate) fn is_allowed(&self) -> bool {
        self.allowed.is_some()
    }

    /// The answer to a preflight: a browser asks whether it may send a request.
    pub(crate) fn preflight(&self, request: &Request) -> Option<Response> {
        let headers = request.headers();
        if *request.method() != Method::OPTIONS
            || !self.is_allowed()
            || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            return None;
        }
        let mut answer = Response::builder().status(StatusCode::NO_CONTENT).finish();
        let reported = answer.headers_mut();
        reported.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        reported.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        // Any header is allowed: the application may have a header of its own for its login.
        if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            reported.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        for varies in [
            "access-control-request-method",
            "access-control-request-headers",
        ] {
            reported.append(header::VARY, HeaderValue::from_static(varies));
        }
        Some(answer)
    }

    /// Adds the headers that let the script read the answer. A browser gives a script no answer without them.
    pub(crate) fn put_on(&self, answer: &mut Response) {
        if !self.is_api {
            return;
        }
        let headers = answer.headers_mut();
        // `Vary` is set even if the origin is not allowed, since a cache must not give this answer to an origin that
        // is allowed.
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        let Some(origin) = &self.allowed else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        // Browsers send and keep cookies only with this header. It requires an origin by name, which is set above.
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}
