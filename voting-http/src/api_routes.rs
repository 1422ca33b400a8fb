//! The routes that every service has: its API, its health, its metrics, its OpenAPI document and
//! the page that shows it.

use std::sync::Arc;

use bytes::Bytes;
use poem::{Endpoint, IntoEndpoint, Response, Route, endpoint::make_sync};
use poem_openapi::{OpenApi, OpenApiService, Webhook};

pub(crate) fn api_routes<T, W, M>(service: OpenApiService<T, W>, metrics: M) -> Route
where
    T: OpenApi + 'static,
    W: Webhook + 'static,
    M: Endpoint + 'static,
{
    let document = service.spec_endpoint();
    // Of some size, so kept once for all who ask.
    let docs = Bytes::from(service.swagger_ui_html());
    let docs = Arc::new(make_sync(move |_| {
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .body(docs.clone())
    }));
    let api = Arc::new(service.into_endpoint());
    Route::new()
        .nest_no_strip("/v1", Arc::clone(&api))
        .at("/healthz", Arc::clone(&api))
        .at("/readyz", api)
        .at("/metrics", metrics)
        .at("/openapi.json", document)
        .at("/docs", Arc::clone(&docs))
        .at("/docs/", docs)
}
