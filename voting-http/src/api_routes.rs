//! The routes that every service has: its API, its health, its OpenAPI document and the page that
//! shows it.

use std::sync::Arc;

use poem::{
    EndpointExt, Response, Route,
    endpoint::{DynEndpoint, ToDynEndpoint},
};
use poem_openapi::{OpenApi, OpenApiService, Webhook};

pub(crate) fn api_routes<T, W>(service: OpenApiService<T, W>) -> Route
where
    T: OpenApi + 'static,
    W: Webhook + 'static,
{
    let document = service.spec_endpoint();
    let docs = service.swagger_ui();
    let api: Arc<dyn DynEndpoint<Output = Response>> = Arc::new(ToDynEndpoint(
        poem::IntoEndpoint::into_endpoint(service).map_to_response(),
    ));
    Route::new()
        .nest_no_strip("/v1", Arc::clone(&api))
        .at("/healthz", Arc::clone(&api))
        .at("/readyz", api)
        .at("/openapi.json", document)
        .nest("/docs", docs)
}
