//! The routes that every service has: its API, its health, its metrics, its OpenAPI document and the page that shows
//! the document.

use std::sync::{Arc, OnceLock};

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

/// The page that shows the OpenAPI document. It has 1.6 MB, and making it takes three times as much memory. So it is made when
/// somebody asks for it, and hardly any process has it.
struct Docs {
    document: Bytes,
    page: OnceLock<Bytes>,
}

impl Docs {
    fn new(document: Bytes) -> Self {
        let page = OnceLock::new();
        Self { document, page }
    }

    fn answer(&self) -> Response {
        // One copy is shared by all requests.
        let page = self.page.get_or_init(|| {
            // The page contains the document, and everything else in it is the same for each service.
            let empty = OpenApiService::new((), "", "");
            let page = empty.swagger_ui_html();
            let document = String::from_utf8_lossy(&self.document);
            page.replacen(&empty.spec(), &document, 1).into()
        });
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .body(page.clone())
    }
}

/// Requests that need not go through the routers.
pub(crate) trait Shortcuts: Send + Sync + 'static {
    /// The endpoint for this request, which answers as that of the routers does. `None` for most requests.
    fn of(&self, request: &Request) -> Option<&BoxEndpoint<'static>>;
}

/// The API of a service, and its other routes.
pub(crate) struct ApiRoutes {
    shortcuts: Option<Box<dyn Shortcuts>>,
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
        let mut patterns = methods::paths(&document);
        let document = Bytes::from(document);
        let docs = Docs::new(document.clone());
        let document = make_sync(move |_| {
            Response::builder()
                .content_type("application/json")
                .body(document.clone())
        });
        let docs = Arc::new(make_sync(move |_| docs.answer()));
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
            shortcuts: None,
            api: service.into_endpoint(),
            rest: rest.route.boxed(),
            patterns,
        }
    }

    /// Answers some requests without the routers.
    pub(crate) fn with_shortcuts(mut self, shortcuts: impl Shortcuts) -> Self {
        self.shortcuts = Some(Box::new(shortcuts));
        self
    }

    #[cfg(test)]
    pub(crate) fn without_shortcuts(mut self) -> Self {
        self.shortcuts = None;
        self
    }

    #[cfg(test)]
    pub(crate) fn is_shortcut(&self, request: &Request) -> bool {
        self.shortcut(request).is_some()
    }

    fn shortcut(&self, request: &Request) -> Option<&BoxEndpoint<'static>> {
        self.shortcuts.as_ref()?.of(request)
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
        if let Some(endpoint) = self.shortcut(&request) {
            return DynEndpoint::call(endpoint.as_ref(), request);
        }
        let path = request.uri().path();
        let is_api = path.starts_with("/v1/") || matches!(path, "/healthz" | "/readyz");
        let routes = if is_api { &self.api } else { &self.rest };
        DynEndpoint::call(routes.as_ref(), request)
    }
}
