//! The routes that every service has: its API, its health, its metrics, its OpenAPI document and the page that shows
//! the document.

use std::sync::Arc;

use bytes::Bytes;
use poem::{
    Endpoint, EndpointExt, IntoEndpoint, Request, Response, Result, Route,
    endpoint::{BoxEndpoint, DynEndpoint, make_sync},
    get,
};
use poem_openapi::{OpenApi, OpenApiService, Webhook};

use super::methods;

/// Which parts a service serves besides its pages, its API and its health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposed {
    /// `/metrics`, for Prometheus. It says how many ballots are cast; it contains no names.
    pub metrics: bool,
    /// `/docs` and `/openapi.json`: the description of the API.
    pub docs: bool,
}

impl Exposed {
    /// Serves all of these parts.
    pub const ALL: Self = Self {
        metrics: true,
        docs: true,
    };

    /// Serves none of these parts.
    pub const NONE: Self = Self {
        metrics: false,
        docs: false,
    };
}

impl Default for Exposed {
    fn default() -> Self {
        Self::ALL
    }
}

/// Routes with their patterns, so that a test can visit each of them.
#[derive(Default)]
pub(crate) struct Pages {
    route: Route,
    patterns: Vec<&'static str>,
}

impl Pages {
    /// As [`Route::at`].
    pub(crate) fn at<E>(self, pattern: &'static str, endpoint: E) -> Self
    where
        E: IntoEndpoint,
        E::Endpoint: 'static,
    {
        self.with(pattern, |route| route.at(pattern, endpoint))
    }

    /// As [`Route::nest`].
    pub(crate) fn nest<E>(self, pattern: &'static str, endpoint: E) -> Self
    where
        E: IntoEndpoint,
        E::Endpoint: 'static,
    {
        self.with(pattern, |route| route.nest(pattern, endpoint))
    }

    fn with(mut self, pattern: &'static str, add: impl FnOnce(Route) -> Route) -> Self {
        self.patterns.push(pattern);
        self.route = add(self.route);
        self
    }
}

/// Routes whose patterns nobody asks for.
impl From<Route> for Pages {
    fn from(route: Route) -> Self {
        Self {
            route,
            patterns: Vec::new(),
        }
    }
}

/// The API of a service, and its other routes.
pub(crate) struct ApiRoutes {
    api: BoxEndpoint<'static>,
    rest: BoxEndpoint<'static>,
    patterns: Vec<String>,
}

impl ApiRoutes {
    /// `document` is the completed document of `service`; `pages` are the routes of this service only.
    pub(crate) fn new<T, W, M>(
        service: OpenApiService<T, W>,
        document: String,
        metrics: M,
        pages: impl Into<Pages>,
        exposed: Exposed,
    ) -> Self
    where
        T: OpenApi + 'static,
        W: Webhook + 'static,
        M: Endpoint + 'static,
    {
        // Both are large, so one copy is shared by all requests. The page contains the document.
        let docs = service.swagger_ui_html();
        let docs = Bytes::from(docs.replacen(&service.spec(), &document, 1));
        let mut patterns = methods::paths(&document);
        let document = Bytes::from(document);
        let document = make_sync(move |_| {
            Response::builder()
                .content_type("application/json")
                .body(document.clone())
        });
        let docs = Arc::new(make_sync(move |_| {
            Response::builder()
                .content_type("text/html; charset=utf-8")
                .body(docs.clone())
        }));
        let mut rest = pages.into();
        if exposed.metrics {
            rest = rest.at("/metrics", get(metrics));
        }
        if exposed.docs {
            rest = rest
                .at("/openapi.json", get(document))
                .at("/docs", get(Arc::clone(&docs)))
                .at("/docs/", get(docs));
        }
        patterns.extend(rest.patterns.iter().map(ToString::to_string));
        Self {
            api: service.into_endpoint(),
            rest: rest.route.boxed(),
            patterns,
        }
    }

    /// The patterns of all routes.
    pub(crate) fn patterns(self) -> Vec<String> {
        self.patterns
    }
}

impl Endpoint for ApiRoutes {
    type Output = Response;

    // API requests go to the API's routes directly. Inside another router, each ballot would take one more step.
    // Both are called as `dyn`, so that the future is only a pointer: the caller's future holds it, and is moved.
    fn call(&self, request: Request) -> impl Future<Output = Result<Response>> + Send {
        let path = request.uri().path();
        let is_api = path.starts_with("/v1/") || matches!(path, "/healthz" | "/readyz");
        let routes = if is_api { &self.api } else { &self.rest };
        DynEndpoint::call(routes.as_ref(), request)
    }
}
