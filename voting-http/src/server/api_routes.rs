//! The routes that every service has: its API, its health, its metrics, its OpenAPI document and
//! the page that shows it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::Either;
use poem::{
    Endpoint, IntoEndpoint, Request, Response, Result, Route,
    endpoint::{BoxEndpoint, make_sync},
    get,
};
use poem_openapi::{OpenApi, OpenApiService, Webhook};

/// What a service serves besides its pages, its API and its health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposed {
    /// `/metrics`, for Prometheus. It tells how many ballots are cast, and no names.
    pub metrics: bool,
    /// `/docs` and `/openapi.json`: the description of the API.
    pub docs: bool,
}

impl Exposed {
    /// All of it.
    pub const ALL: Self = Self {
        metrics: true,
        docs: true,
    };

    /// Nothing of it.
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

/// The API of a service, and what stands beside it.
pub(crate) struct ApiRoutes {
    api: BoxEndpoint<'static>,
    rest: Route,
}

impl ApiRoutes {
    /// `document` is the completed one of `service`; `pages` are those of the service alone.
    pub(crate) fn new<T, W, M>(
        service: OpenApiService<T, W>,
        document: String,
        metrics: M,
        pages: Route,
        exposed: Exposed,
    ) -> Self
    where
        T: OpenApi + 'static,
        W: Webhook + 'static,
        M: Endpoint + 'static,
    {
        // Of some size, so kept once for all who ask. The page has the document in it.
        let docs = service.swagger_ui_html();
        let docs = Bytes::from(docs.replacen(&service.spec(), &document, 1));
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
        let mut rest = pages;
        if exposed.metrics {
            rest = rest.at("/metrics", get(metrics));
        }
        if exposed.docs {
            rest = rest
                .at("/openapi.json", get(document))
                .at("/docs", get(Arc::clone(&docs)))
                .at("/docs/", get(docs));
        }
        Self {
            api: service.into_endpoint(),
            rest,
        }
    }
}

impl Endpoint for ApiRoutes {
    type Output = Response;

    // The API routes by itself: to mount it in another router would be a step more for each ballot.
    fn call(&self, request: Request) -> impl Future<Output = Result<Response>> + Send {
        let path = request.uri().path();
        if path.starts_with("/v1/") || matches!(path, "/healthz" | "/readyz") {
            Either::Left(self.api.call(request))
        } else {
            Either::Right(self.rest.call(request))
        }
    }
}
