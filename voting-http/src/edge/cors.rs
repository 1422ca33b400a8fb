//! Other origins whose scripts may use the JSON API and the event streams (the CORS protocol of the Fetch standard).
//!
//! It is for what is below `/v1/`. Pages and forms stay for the service's own origin.

use poem::{
    Request, Response,
    http::{HeaderValue, Method, StatusCode, header},
};

use crate::{edge::single, pages::site::PublicUrl};

/// What a preflight is told of methods. Which route takes which, the request itself is told.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE");

/// Headers that a script may read besides those that it always may.
const EXPOSED: HeaderValue = HeaderValue::from_static("retry-after");

/// How long a browser may keep the answer to a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins that are allowed.
#[derive(Debug, Clone)]
pub(crate) struct Cors(Vec<String>);

/// A mark on requests that a script of another, allowed origin sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CrossOrigin;

/// How a request stands to the allowed origins.
pub(crate) struct Standing {
    is_api: bool,
    /// The origin that sent it, if it is allowed.
    allowed: Option<HeaderValue>,
}

impl Cors {
    /// `None` where no other origin is allowed.
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

    /// The answer to a browser that asks whether it may send a request.
    pub(crate) fn preflight(&self, request: &Request) -> Option<Response> {
        let headers = request.headers();
        if *request.method() != Method::OPTIONS
            || !self.is_allowed()
            || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            return None;
        }
        let mut answer = Response::builder().status(StatusCode::NO_CONTENT).finish();
        let told = answer.headers_mut();
        told.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        told.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        // The application may have a header of its own for its login.
        if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            told.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        for varies in [
            "access-control-request-method",
            "access-control-request-headers",
        ] {
            told.append(header::VARY, HeaderValue::from_static(varies));
        }
        Some(answer)
    }

    /// Lets the script read the answer. Without the header that allows its origin a browser keeps the answer from it.
    pub(crate) fn put_on(&self, answer: &mut Response) {
        if !self.is_api {
            return;
        }
        let headers = answer.headers_mut();
        // Also where nothing is allowed: a cache must not hand this answer to an origin that is.
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        let Some(origin) = &self.allowed else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        // Cookies are sent and kept only then. It needs an origin by name, which there is.
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}
